//! The table of opcodes (proto-spec.md, "Opcodes"): the one place that lists them.
//!
//! The enum, the names, the enums of decoded requests and replies, `gcsd encode` and `decode`, the specification's table and
//! the golden tests follow from it.

use bytes::Bytes;

use super::args::{ArgsError, WireArgs};
use super::layout::StructLayout;

/// What the head's `upload` is to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadUse {
    /// 0.
    None,
    /// An id that is bound.
    Names,
    /// An id that the request binds.
    Binds,
    /// An id that the request makes free.
    Unbinds,
}

impl UploadUse {
    /// The word for it in the specification's table.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Names => "yes",
            Self::Binds => "binds",
            Self::Unbinds => "unbinds",
        }
    }
}

macro_rules! opcodes {
    ($($(#[doc = $doc:literal])+ $code:literal $opcode:ident $stem:ident $upload:ident $body:ident $gcs:literal;)*) => {
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

            /// What it is for, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$opcode => concat!($($doc),+).trim_ascii(),)* }
            }

            /// What it asks GCS for; empty where there is no call.
            pub fn gcs(self) -> &'static str {
                match self { $(Self::$opcode => $gcs,)* }
            }

            /// What the head's `upload` is.
            pub fn upload(self) -> UploadUse {
                match self { $(Self::$opcode => UploadUse::$upload,)* }
            }

            /// The struct that the args of the request are.
            pub fn args(self) -> &'static StructLayout {
                match self { $(Self::$opcode => <super::$stem::Args as WireArgs>::LAYOUTS[0],)* }
            }

            /// The structs that the args of a reply's frame can be.
            pub fn replies(self) -> &'static [&'static StructLayout] {
                match self { $(Self::$opcode => <super::$stem::Reply as WireArgs>::LAYOUTS,)* }
            }

            /// The struct that the args of a reply's frame are, by their length; `None` where there are none.
            pub fn reply(self, args_len: usize) -> Option<&'static StructLayout> {
                let fitting = self.replies().iter().filter(|layout| args_len > 0 && layout.size <= args_len);
                fitting.copied().max_by_key(|layout| layout.size)
            }

            /// Whether the head's `upload` names the upload that the request is about; else it must be 0.
            pub fn has_upload(self) -> bool {
                self.upload() != UploadUse::None
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
    (@body) => { true };
    (@streamed) => { true };
    (@none) => { false };
    (@stream streamed) => { true };
    (@stream body) => { false };
    (@stream none) => { false };
}

opcodes! {
    /// Versions, limits, authentication.
    0x01 Hello hello None none "";
    /// Is anybody there?
    0x02 Ping ping None none "";
    /// End a request in flight on this connection.
    0x03 Cancel cancel None none "";

    /// Begin an unfinished object.
    0x10 StartUpload start_upload Binds none "`POST` that opens a session";
    /// A range of an upload's bytes, streamed.
    0x11 WriteAt write_at Names streamed "`PUT` of a range";
    /// Ask GCS what it holds of an upload.
    0x12 QueryUpload query_upload Names none "`PUT` without bytes";
    /// Make the object of what is committed.
    0x13 FinishUpload finish_upload Names none "`PUT` without bytes, with the size";
    /// Throw away what is committed.
    0x14 CancelUpload cancel_upload Names none "`DELETE`";
    /// Come back to an upload by its token.
    0x15 AttachUpload attach_upload Binds none "";
    /// Forget an upload on this connection; GCS keeps it.
    0x16 DetachUpload detach_upload Unbinds none "";

    /// An object in one request, its bytes streamed.
    0x20 PutObject put_object None streamed "`POST` of metadata and bytes";
    /// Bytes of an object, streamed back.
    0x21 ReadAt read_at None none "`GET` of the bytes";
    /// What GCS says of an object.
    0x22 StatObject stat_object None none "`GET` of the metadata";
    /// One page of a bucket's objects.
    0x23 ListObjects list_objects None none "`GET` of a page";
    /// An object, or one generation of it, is gone.
    0x24 DeleteObject delete_object None none "`DELETE`";
    /// One object of up to 32.
    0x25 ComposeObjects compose_objects None none "`POST` of a composition";
    /// One step of a copy.
    0x26 RewriteObject rewrite_object None none "`POST` of a step of a copy";
    /// An object's metadata, changed in the fields that are named.
    0x27 PatchObject patch_object None none "`PATCH`";
    /// An object gets another name in its bucket.
    0x28 MoveObject move_object None none "`POST` of another name";

    /// Begin an object of parts.
    0x30 StartMultipart start_multipart None none "`POST` that opens a multipart upload";
    /// A part of an object, streamed.
    0x31 UploadPart upload_part None streamed "`PUT` of a part";
    /// A page of the parts that GCS holds.
    0x32 ListParts list_parts None none "`GET` of a page of parts";
    /// The object of its parts.
    0x33 CompleteMultipart complete_multipart None body "`POST` of the list of parts";
    /// Throw parts away.
    0x34 AbortMultipart abort_multipart None none "`DELETE`";

    /// One page of a project's buckets.
    0x40 ListBuckets list_buckets None none "`GET` of a page";
    /// What GCS says of a bucket.
    0x41 StatBucket stat_bucket None none "`GET` of the metadata";
}

/// A range of opcodes, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The first.
    pub first: u8,
    /// The last.
    pub last: u8,
    /// What they are for.
    pub about: &'static str,
}

/// What the numbers of opcodes are for. Those of the assigned groups that are not in the table are free.
pub const GROUPS: &[Group] = &{
    const fn group(first: u8, last: u8, about: &'static str) -> Group {
        Group { first, last, about }
    }
    [
        group(
            0x00,
            0x00,
            "the reply to bytes that are no request; never a request",
        ),
        group(0x01, 0x0f, "the connection"),
        group(0x10, 0x1f, "resumable uploads"),
        group(0x20, 0x2f, "objects in one request"),
        group(0x30, 0x3f, "multipart"),
        group(0x40, 0x4f, "buckets"),
        group(0x50, 0x57, "reserved for appends"),
        group(0x58, 0x5f, "reserved for signing"),
        group(0x60, 0x6f, "reserved for folders and storage control"),
        group(0x70, 0xdf, "unassigned"),
        group(0xe0, 0xff, "experiments: never assigned"),
    ]
};

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
            | Self::Cancel(_)
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
