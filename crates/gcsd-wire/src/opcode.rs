//! The table of opcodes (proto-spec.md, "Opcodes"): the one place that lists them.
//!
//! The enum, the names, the enums of decoded requests and replies, and the golden tests follow from it.

use bytes::Bytes;

use super::args::{ArgsError, WireArgs};

macro_rules! opcodes {
    ($($(#[doc = $doc:literal])+ $code:literal $opcode:ident $stem:ident $upload:ident $body:ident;)*) => {
        /// The kind of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode {
            $($(#[doc = $doc])+ $opcode = $code,)*
        }

        impl Opcode {
            /// Every opcode, in the order of the table.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$opcode),*];

            /// The opcode of a number, if there is one.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$opcode),)* _ => None }
            }

            /// The opcode's name as the specification spells it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$opcode => stringify!($opcode),)* }
            }

            /// The stem of the files that are about the opcode, here and in the tests.
            pub fn stem(self) -> &'static str {
                match self { $(Self::$opcode => stringify!($stem),)* }
            }

            /// Whether the head's `upload` names the upload that the request is about; else it must be 0.
            pub fn has_upload(self) -> bool {
                match self { $(Self::$opcode => opcodes!(@$upload),)* }
            }

            /// Whether a request of this kind may have a body.
            pub fn has_body(self) -> bool {
                match self { $(Self::$opcode => opcodes!(@$body),)* }
            }

            /// Whether that body may come in pieces.
            pub fn may_stream(self) -> bool {
                match self { $(Self::$opcode => opcodes!(@stream $body),)* }
            }
        }

        /// The args of a request, by opcode.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[doc = $doc])+ $opcode(super::$stem::Args),)*
        }

        impl Request {
            /// Reads the args of a request.
            pub fn decode(opcode: Opcode, args: Bytes) -> Result<Self, ArgsError> {
                match opcode { $(Opcode::$opcode => super::$stem::Args::decode(args).map(Self::$opcode),)* }
            }

            /// The bytes of the args.
            pub fn to_bytes(&self) -> Bytes {
                match self { $(Self::$opcode(args) => args.to_bytes(),)* }
            }

            /// The request's opcode.
            pub fn opcode(&self) -> Opcode {
                match self { $(Self::$opcode(_) => Opcode::$opcode,)* }
            }
        }

        /// The args of a successful reply's frame, by opcode.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Reply {
            $($(#[doc = $doc])+ $opcode(super::$stem::Reply),)*
        }

        impl Reply {
            /// Reads the args of a reply's frame whose status is `ok`.
            pub fn decode(opcode: Opcode, args: Bytes) -> Result<Self, ArgsError> {
                match opcode { $(Opcode::$opcode => super::$stem::Reply::decode(args).map(Self::$opcode),)* }
            }

            /// The bytes of the args.
            pub fn to_bytes(&self) -> Bytes {
                match self { $(Self::$opcode(args) => args.to_bytes(),)* }
            }

            /// The reply's opcode.
            pub fn opcode(&self) -> Opcode {
                match self { $(Self::$opcode(_) => Opcode::$opcode,)* }
            }
        }
    };
    (@upload) => { true };
    (@body) => { true };
    (@streamed) => { true };
    (@none) => { false };
    (@stream streamed) => { true };
    (@stream body) => { false };
    (@stream none) => { false };
}

opcodes! {
    /// Versions, limits, authentication.
    0x01 Hello hello none none;
    /// Is anybody there?
    0x02 Ping ping none none;

    /// Begin an unfinished object.
    0x10 StartUpload start_upload upload none;
    /// A range of an upload's bytes, streamed.
    0x11 WriteAt write_at upload streamed;
    /// Ask GCS what it holds of an upload.
    0x12 QueryUpload query_upload upload none;
    /// Make the object of what is committed.
    0x13 FinishUpload finish_upload upload none;
    /// Throw away what is committed.
    0x14 CancelUpload cancel_upload upload none;
    /// Come back to an upload by its token.
    0x15 AttachUpload attach_upload upload none;
    /// Forget an upload on this connection; GCS keeps it.
    0x16 DetachUpload detach_upload upload none;

    /// An object in one request, its bytes streamed.
    0x20 PutObject put_object none streamed;
    /// Bytes of an object, streamed back.
    0x21 ReadAt read_at none none;
    /// What GCS says of an object.
    0x22 StatObject stat_object none none;
    /// One page of a bucket's objects.
    0x23 ListObjects list_objects none none;
    /// An object, or one generation of it, is gone.
    0x24 DeleteObject delete_object none none;
    /// One object of up to 32.
    0x25 ComposeObjects compose_objects none none;
    /// One step of a copy.
    0x26 RewriteObject rewrite_object none none;
    /// An object's metadata, changed in the fields that are named.
    0x27 PatchObject patch_object none none;
    /// An object gets another name in its bucket.
    0x28 MoveObject move_object none none;

    /// Begin an object of parts.
    0x30 StartMultipart start_multipart none none;
    /// A part of an object, streamed.
    0x31 UploadPart upload_part none streamed;
    /// A page of the parts that GCS holds.
    0x32 ListParts list_parts none none;
    /// The object of its parts.
    0x33 CompleteMultipart complete_multipart none body;
    /// Throw parts away.
    0x34 AbortMultipart abort_multipart none none;

    /// One page of a project's buckets.
    0x40 ListBuckets list_buckets none none;
    /// What GCS says of a bucket.
    0x41 StatBucket stat_bucket none none;
}

impl Request {
    /// Whether carrying the request out twice does no more than carrying it out once
    /// (proto-spec.md, "Errors and recovery"). Requests about uploads have rules of their own.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::DeleteObject(args) => args.of.is_deleted_once(),
            Self::PutObject(args) => args.destination.preconditions.pins_generation(),
            // Done twice, it says that there is no such upload.
            Self::CompleteMultipart(_) => false,
            Self::ComposeObjects(args) => args.destination.preconditions.pins_generation(),
            Self::RewriteObject(args) => args.rewrite.destination.preconditions.pins_generation(),
            Self::PatchObject(args) => args.object.preconditions.pins_metageneration(),
            Self::MoveObject(args) => {
                args.source.preconditions.pins_generation() || args.preconditions.pins_generation()
            }
            Self::Hello(_)
            | Self::Ping(_)
            | Self::StartUpload(_)
            | Self::WriteAt(_)
            | Self::QueryUpload(_)
            | Self::FinishUpload(_)
            | Self::CancelUpload(_)
            | Self::AttachUpload(_)
            | Self::DetachUpload(_)
            | Self::ReadAt(_)
            | Self::StatObject(_)
            | Self::ListObjects(_)
            | Self::ListBuckets(_)
            | Self::StatBucket(_)
            | Self::StartMultipart(_)
            | Self::UploadPart(_)
            | Self::ListParts(_)
            | Self::AbortMultipart(_) => true,
        }
    }
}
