//! What several requests and replies share about objects: preconditions, references, `ObjectInfo`
//! (proto-spec.md, "Shared structs").

use bytes::BytesMut;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader};
use super::field::{Struct, Word32};
use super::layout::{FieldKind, FieldLayout, Presence, StructLayout};
use super::table::{wire_args_as, wire_struct};
pub use gcsd_types::ObjectRef;
use gcsd_types::{Crc32c, EncryptionKey, ObjectInfo, Preconditions};

/// Four numbers whose bits stand in a word of the struct around them: the only struct of that kind.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct RawPreconditions([U64; 4]);

const fn precondition(name: &'static str, at: u8, doc: &'static str) -> FieldLayout {
    FieldLayout {
        name,
        offset: at as usize * 8,
        size: 8,
        kind: FieldKind::Number,
        presence: Presence::Bit(&[], at),
        without: &[],
        doc,
    }
}

impl Struct for Preconditions {
    type Raw = RawPreconditions;
    const LAYOUT: StructLayout = StructLayout {
        name: "Preconditions",
        size: 32,
        doc: " What must hold for GCS to carry a request out. Part of other structs, whose `present` has bits 0 to 3 for the four.",
        fields: &[
            precondition(
                "if_generation_match",
                0,
                "The live generation is this one; 0: there is no live object.",
            ),
            precondition(
                "if_generation_not_match",
                1,
                "The live generation is not this one.",
            ),
            precondition("if_metageneration_match", 2, "The metadata has this version."),
            precondition(
                "if_metageneration_not_match",
                3,
                "The metadata has not this version.",
            ),
        ],
    };

    fn pack(&self) -> RawPreconditions {
        RawPreconditions(numbers(self).map(|number| number.unwrap_or(0).into()))
    }

    fn open_bits(&self, bit: u32) -> u32 {
        let given = numbers(self).map(|number| u32::from(number.is_some()));
        bit * (given[0] | given[1] << 1 | given[2] << 2 | given[3] << 3)
    }

    fn put_elements(&self, _: &mut BytesMut) {}

    fn put_tail(&self, _: &mut BytesMut) {}

    fn unpack(
        raw: &RawPreconditions,
        Word32 { word, bit }: Word32,
        _: &mut Reader,
    ) -> Result<Self, ArgsError> {
        let number = |at: usize| (word & bit << at != 0).then(|| raw.0[at].get());
        Ok(Self {
            if_generation_match: number(0),
            if_generation_not_match: number(1),
            if_metageneration_match: number(2),
            if_metageneration_not_match: number(3),
        })
    }
}

const _: () = assert!(Preconditions::LAYOUT.is_sound(32) && size_of::<RawPreconditions>() == 32);

fn numbers(of: &Preconditions) -> [Option<u64>; 4] {
    [
        of.if_generation_match,
        of.if_generation_not_match,
        of.if_metageneration_match,
        of.if_metageneration_not_match,
    ]
}

wire_struct! {
    /// An object that the request is about. Its variable fields stand behind the struct that it is part of.
    impl ObjectRef: "ObjectRef"[64], part {
        /// 3 to 222 bytes of `a-z 0-9 . _ -`, with a letter or digit at both ends, else `bad_name`.
        bucket: BucketName;
        /// 1 to 1024 bytes without CR and LF; not `.` or `..`, not below `.well-known/acme-challenge/`, else `bad_name`.
        object: ObjectName;
        /// The project that pays, for buckets where the requester does.
        user_project: Option<String>;
        /// Which parts of GCS's JSON are wanted, in GCS's notation (`name,metadata/owner`); absent: all.
        fields: Option<String>;
        bits present;
        pad reserved 4;
        /// The version that is meant; absent: the live one.
        generation: Option<u64>, present[4];
        /// The conditions on the object.
        preconditions: Preconditions, present[0];
        pad reserved2 8;
        /// The customer-supplied key that the object is encrypted with: 32 bytes.
        key: Option<EncryptionKey>, present[7];
    }
}

use gcsd_types::{BucketName, ObjectName};

/// Why `fields` is refused in a request whose reply has no JSON.
pub(crate) const NO_JSON: &str = "selects from JSON, and this reply has none";

/// Why a key is refused in a request that reads and writes no bytes of an object.
pub(crate) const NO_KEY: &str = "is not needed: no bytes of the object are read or written";

wire_struct! {
    /// What GCS says of an object.
    impl ObjectInfo: "ObjectInfo"[64], part {
        /// The version of the object's bytes.
        generation: u64;
        /// The version of the object's metadata within the generation.
        metageneration: u64;
        /// Bytes stored.
        size: u64;
        /// Of the stored bytes.
        crc32c: Option<Crc32c>, present[0];
        bits present;
        /// Of the stored bytes; some objects have none (composed ones, XML multipart uploads).
        md5: Option<[u8; 16]>, present[1];
        pad reserved 16;
    }
}

/// A reply that describes an object; its body is GCS's JSON resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The fields that a program needs.
    pub object: ObjectInfo,
}

impl From<&Described> for ObjectInfo {
    fn from(reply: &Described) -> Self {
        reply.object
    }
}

impl From<ObjectInfo> for Described {
    fn from(object: ObjectInfo) -> Self {
        Self { object }
    }
}

wire_args_as!(Described, ObjectInfo, false);
