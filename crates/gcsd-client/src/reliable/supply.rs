//! Where an upload's bytes come from: a producer, whose bytes are held until they are committed, or a source that
//! can be read again, of which nothing is held.

use std::future::Future;

use super::super::Body;
use super::error::UploadError;
use super::plan::{Sizes, View};
use super::source::SourceChanged;
use gcsd_types::Crc32c;

/// Supplies the bytes of an upload.
pub(super) trait Supply: Send + 'static {
    /// What can be sent.
    fn view(&self) -> View;

    /// How large requests should be.
    fn sizes(&self) -> Sizes;

    /// Waits for more, or for the end. Returns `false` if neither will come. Cancel safe.
    fn more(&mut self) -> impl Future<Output = bool> + Send;

    /// Takes in what has come, without waiting.
    fn absorb(&mut self);

    /// Bytes before `committed` will not be asked for again, except by a restart, where that is possible.
    fn release(&mut self, committed: u64);

    /// The `len` bytes from `offset` on.
    fn body(&mut self, offset: u64, len: u64) -> impl Future<Output = Result<Body, UploadError>> + Send;

    /// The checksum of the last [`body`](Self::body), which had this range; `None` if not all of it was taken.
    fn sum(&mut self, offset: u64, len: u64) -> Option<Crc32c>;

    /// The checksum of the whole object. Asked for only once the end is known.
    fn whole(&mut self) -> impl Future<Output = Result<Crc32c, UploadError>> + Send;

    /// Fails if the bytes are known to differ from those that were sent.
    fn check(&mut self) -> Result<(), SourceChanged>;

    /// Where another process could continue, at most at `committed`, and the checksum of everything before.
    fn resume_point(&self, committed: u64) -> (u64, Crc32c);
}
