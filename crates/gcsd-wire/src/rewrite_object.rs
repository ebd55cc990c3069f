//! RewriteObject: one step of a copy (proto-spec.md, "RewriteObject").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit_optional, flag, put};
use super::destination::{RawDestination, put_destination};
use super::object::{
    KEY_BIT, NUMBER_BIT, PRECONDITION_BITS, RawObjectInfo, RawObjectRef, no_fields, put_object_ref,
};
use gcsd_types::{ObjectInfo, Rewrite, Rewritten};

/// What to copy where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The step.
    pub rewrite: Box<Rewrite>,
}

/// How far the copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the step came to.
    pub rewritten: Rewritten,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    destination: RawDestination,
    source: RawObjectRef,
    rewrite_token_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 128);

/// `state` bit: the copy is there.
const DONE: u32 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    rewritten: U64,
    size: U64,
    state: U32,
    rewrite_token_len: U16,
    reserved: U16,
    object: RawObjectInfo,
}
const _: () = assert!(size_of::<RawReply>() == 72);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let Rewrite {
            source,
            destination,
            max_bytes,
            token,
        } = &*self.rewrite;
        let (token, rewrite_token_len) = fit_optional(token);
        put(
            out,
            &RawArgs {
                destination: RawDestination::pack(destination, 0, *max_bytes),
                source: RawObjectRef::pack(source, 0),
                rewrite_token_len: rewrite_token_len.into(),
                reserved: U16::ZERO,
                reserved2: U32::ZERO,
            },
        );
        put_destination(out, destination);
        put_object_ref(out, source);
        out.extend_from_slice(token.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.destination.count.get() != 0 || raw.reserved.get() != 0 || raw.reserved2.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let allowed = PRECONDITION_BITS | NUMBER_BIT | KEY_BIT;
        let destination = raw.destination.unpack(allowed, &mut reader)?;
        let source = raw.source.unpack(KEY_BIT, &mut reader)?;
        no_fields(&source)?;
        if source.user_project.is_some() {
            return Err(ArgsError::Value {
                field: "user_project",
                why: "is that of the destination",
            });
        }
        let token = reader.optional_text(raw.rewrite_token_len.get().into(), "rewrite_token")?;
        reader.end(Self {
            rewrite: Box::new(Rewrite {
                source,
                destination,
                max_bytes: raw.destination.number(),
                token,
            }),
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let of = &self.rewritten;
        let (token, rewrite_token_len) = fit_optional(&of.token);
        let object = of.object.unwrap_or_default();
        put(
            out,
            &RawReply {
                rewritten: of.rewritten.into(),
                size: of.size.into(),
                state: flag(of.object.is_some(), DONE).into(),
                rewrite_token_len: rewrite_token_len.into(),
                reserved: U16::ZERO,
                object: RawObjectInfo::pack(&object),
            },
        );
        out.extend_from_slice(token.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let token = reader.optional_text(raw.rewrite_token_len.get().into(), "rewrite_token")?;
        let done = raw.state.get() & DONE != 0;
        reader.end(Self {
            rewritten: Rewritten {
                rewritten: raw.rewritten.get(),
                size: raw.size.get(),
                token,
                object: done.then(|| -> ObjectInfo { raw.object.unpack() }),
            },
        })
    }
}
