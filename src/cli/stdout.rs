//! Standard output, written on a thread of its own: its reader may be slow, or stop, and a signal ends the
//! command all the same.

use bytes::Bytes;

use super::destination::Stream;
use super::exit::Failure;
use super::writing::Writing;

/// Lines on their way to standard output.
#[derive(Default)]
pub(super) struct Output {
    writing: Option<Writing>,
}

impl Output {
    /// Writes a line.
    pub(super) async fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.text(format!("{text}\n")).await
    }

    /// Writes text.
    pub(super) async fn text(&mut self, text: String) -> Result<(), Failure> {
        let writing = self.writing.get_or_insert_with(|| Writing::begin(Stream::Stdout));
        match writing.write(Bytes::from(text)).await {
            true => Ok(()),
            false => self.finish().await,
        }
    }

    /// Waits until everything is written.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        match self.writing.take() {
            Some(writing) => writing.end().await.map_err(|error| Failure::stdout(&error)),
            None => Ok(()),
        }
    }
}
