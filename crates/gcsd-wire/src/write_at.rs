//! WriteAt: a range of an upload's bytes, streamed (proto-spec.md, "WriteAt").

use super::args::{ArgsError, check_size};
use super::table::wire_struct;
use gcsd_types::Crc32c;

wire_struct! {
    /// Where the body belongs.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct WriteAtArgs: "WriteAt.args"[40], request, checked by WriteAtArgs::check {
        /// The position in the object of the body's first byte.
        offset: u64;
        /// The object's size: this range is the last.
        total: Option<u64>, present[0];
        /// The checksum of the whole object; only with `total`, else `bad_args`. GCS makes no object that differs.
        object_crc32c: Option<Crc32c>, present[1];
        /// The checksum of this request's body. If another body came, GCS is not given all of it: `body_damaged`.
        body_crc32c: Option<Crc32c>, present[2];
        bits present;
        pad reserved 4;
        pad reserved2 8;
    }
}

impl WriteAtArgs {
    fn check(&self) -> Result<(), ArgsError> {
        check_size("offset", self.offset)?;
        check_size("total", self.total)?;
        match self.object_crc32c {
            Some(_) if self.total.is_none() => Err(ArgsError::value(
                "object_crc32c",
                "is the checksum of the whole object, and goes only with 'total'",
            )),
            _ => Ok(()),
        }
    }
}

/// The args of the request.
pub type Args = WriteAtArgs;
/// What GCS holds after the range.
pub type Reply = super::progress::Progress;
