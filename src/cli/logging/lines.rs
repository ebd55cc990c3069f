//! What an event has become in its form, on its way to where lines go.

use std::io::{self, Write};
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::journal;

/// Where lines go.
pub(super) type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Makes lines of events: one of each, whatever its fields hold.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) journal: bool,
    pub(super) sink: Sink,
}

/// One of them. The subscriber writes it in one piece.
pub(super) struct Line<'a> {
    prefix: &'static [u8],
    sink: &'a Sink,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        self.of(Level::INFO)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.of(*metadata.level())
    }
}

impl Lines {
    fn of(&self, level: Level) -> Line<'_> {
        let prefix = if self.journal { journal::prefix(level) } else { b"" };
        Line {
            prefix,
            sink: &self.sink,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let mut line = Vec::with_capacity(self.prefix.len() + text.len() + 1);
        line.extend_from_slice(self.prefix);
        for byte in text {
            match byte {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                _ => line.push(*byte),
            }
        }
        line.push(b'\n');
        (self.sink)(&line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
