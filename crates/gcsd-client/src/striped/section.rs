//! A range of a source, as a source of its own.

use std::sync::Arc;

use super::super::{BodySource, ReplaySource, SourceChanged};

/// `len` bytes of `source`, from `offset` on.
#[derive(Debug)]
pub(super) struct Section<S> {
    pub(super) source: Arc<S>,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl<S: ReplaySource + Sync> ReplaySource for Section<S> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        self.source.read(self.offset.saturating_add(offset), len)
    }

    fn check(&self) -> Result<(), SourceChanged> {
        self.source.check()
    }
}
