//! Where an upload's bytes come from: a producer, whose bytes are held until they are committed, or a source that
//! can be read again, of which nothing is held.

use std::future::Future;

use super::super::Body;
use super::error::UploadError;
use super::plan::{Sizes, View};
use super::source::SourceChanged;
use gcsd_types::Crc32c;

/// The bytes of an upload.
pub(super) trait Supply: Send + 'static {
    /// What there is.
    fn view(&self) -> View;

    /// How large requests should be.
    fn sizes(&self) -> Sizes;

    /// Waits until there is more, or the end. `false` if neither will ever come. Cancel safe.
    fn more(&mut self) -> impl Future<Output = bool> + Send;

    /// Takes in what has come meanwhile, without waiting.
    fn absorb(&mut self);

    /// Bytes before `committed` are never asked for again, except by a restart where that is possible.
    fn release(&mut self, committed: u64);

    /// The `len` bytes from `offset` on.
    fn body(&mut self, offset: u64, len: u64) -> impl Future<Output = Result<Body, UploadError>> + Send;

    /// The checksum of what [`body`](Self::body) last gave, for the same range, once all of it was taken; `None` if
    /// it was not.
    fn sum(&mut self, offset: u64, len: u64) -> Option<Crc32c>;

    /// The checksum of the whole object; asked for only when the end is known.
    fn whole(&mut self) -> impl Future<Output = Result<Crc32c, UploadError>> + Send;

    /// An error where the bytes are known to be others than those that were sent.
    fn check(&mut self) -> Result<(), SourceChanged>;

    /// From where another process could go on, and the checksum of what lies before: at most `committed`.
    fn resume_point(&self, committed: u64) -> (u64, Crc32c);
}
