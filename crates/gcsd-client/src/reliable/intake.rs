//! The task's side of a producer: what was written, until it is committed.

use tokio::sync::mpsc;

use super::super::Body;
use super::error::UploadError;
use super::options::WriterOptions;
use super::plan::{Sizes, View};
use super::retained::{Chunk, Retained};
use super::source::SourceChanged;
use super::supply::Supply;
use gcsd_types::Crc32c;

/// What comes from a producer.
#[derive(Debug)]
pub(super) enum Input {
    /// The next bytes.
    Chunk(Chunk),
    /// The end.
    End,
}

/// What a producer has written, and the channel that brings more.
#[derive(Debug)]
pub(super) struct Intake {
    /// Bounded by the room that each chunk carries.
    inputs: mpsc::UnboundedReceiver<Input>,
    retained: Retained,
    ended: bool,
    /// What is committed; the producer may not have come that far.
    skip: u64,
    declared: Option<u64>,
    sizes: Sizes,
}

impl Intake {
    pub(super) fn new(
        inputs: mpsc::UnboundedReceiver<Input>,
        retained: Retained,
        declared: Option<u64>,
        options: &WriterOptions,
    ) -> Self {
        Self {
            inputs,
            retained,
            ended: false,
            skip: 0,
            declared,
            sizes: Sizes {
                min: options.min_chunk,
                max: options.max_chunk,
                last: options.max_chunk,
            },
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Chunk(chunk) => {
                self.retained.push(chunk);
                self.retained.trim(self.skip);
            }
            Input::End => self.ended = true,
        }
    }
}

impl Supply for Intake {
    fn view(&self) -> View {
        View {
            from: self.retained.from(),
            end: self.retained.end(),
            ended: self.ended,
            declared: self.declared,
        }
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    async fn more(&mut self) -> bool {
        match self.inputs.recv().await {
            Some(input) => {
                self.take(input);
                true
            }
            None => false,
        }
    }

    fn absorb(&mut self) {
        // Bounded by the room that each chunk carries.
        while let Ok(input) = self.inputs.try_recv() {
            self.take(input);
        }
    }

    fn release(&mut self, committed: u64) {
        self.skip = committed;
        self.retained.trim(committed);
    }

    async fn body(&mut self, offset: u64, len: u64) -> Result<Body, UploadError> {
        let body = Body::from(self.retained.slices(offset, len));
        Ok(match self.retained.crc32c_of(offset, len) {
            Some(crc32c) => body.with_crc32c(crc32c),
            None => body,
        })
    }

    fn sum(&mut self, offset: u64, len: u64) -> Option<Crc32c> {
        self.retained.crc32c_of(offset, len)
    }

    async fn whole(&mut self) -> Result<Crc32c, UploadError> {
        Ok(self.retained.crc32c())
    }

    fn check(&mut self) -> Result<(), SourceChanged> {
        Ok(())
    }

    fn resume_point(&self, _committed: u64) -> (u64, Crc32c) {
        (self.retained.from(), self.retained.crc32c_before())
    }
}
