//! One object comes down: into a stream, or into a file, over one connection or several.

use std::fs::File;
use std::io;
use std::ops::Range as Span;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::blocking::blocking;
use super::connect::Remote;
use super::destination::{Destination, Stream};
use super::exit::{Exit, Failure, failed};
use super::metadata;
use super::temporary::Temporary;
use super::writing::{Region, Writing};
use gcsd_client::{
    Daemons, ReadError, ReadRequest, ReadStart, ReliableReader, ReliableRequests, Report, RetryPolicy,
};
use gcsd_types::{ByteRange, Crc32c, ObjectInfo, ObjectRef, Preconditions};

/// The fewest bytes that are worth a connection of their own.
const LEAST: u64 = 1 << 20;

/// How often bytes that were damaged on the way are read again.
const READ_AGAIN: u32 = 3;

/// How objects come down.
#[derive(Debug, Clone)]
pub(super) struct Download {
    daemons: Daemons,
    pub(super) requests: ReliableRequests,
    retries: RetryPolicy,
    /// How many connections one object may have.
    connections: u64,
    /// Files get the time of what their objects were made of.
    preserves_mtime: bool,
    /// Where everything that is recovered from is counted.
    reports: watch::Sender<Report>,
}

/// What was received.
#[derive(Debug)]
pub(super) struct Downloaded {
    pub(super) object: ObjectInfo,
    received: Received,
}

/// How many bytes, and their checksum.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    len: u64,
    crc32c: Crc32c,
}

impl Downloaded {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "generation": self.object.generation.to_string(),
            "size": self.received.len.to_string(),
            "crc32c": self.received.crc32c.to_base64(),
        })
    }
}

impl Download {
    /// Objects that come through a daemon, once one was reached.
    pub(super) async fn new(
        remote: &Remote,
        quiet: bool,
        connections: u64,
        reports: &watch::Sender<Report>,
    ) -> Result<Self, Failure> {
        let daemons = remote.daemon.reached(&remote.patience, quiet).await?;
        let retries = remote.patience.policy();
        Ok(Self {
            requests: ReliableRequests::new(daemons.clone(), retries.clone()).reporting(reports.clone()),
            daemons,
            retries,
            connections,
            preserves_mtime: false,
            reports: reports.clone(),
        })
    }

    /// Gives files the time when those were last written to that their objects were made of.
    pub(super) fn preserving_mtime(self, preserves_mtime: bool) -> Self {
        Self {
            preserves_mtime,
            ..self
        }
    }

    /// Fetches what `request` asks for into what `open` opens. That happens once it is known what is coming, so that
    /// what cannot be read leaves the destination alone.
    pub(super) async fn run(
        &self,
        request: ReadRequest,
        bar: &ProgressBar,
        open: impl FnOnce() -> Result<Destination, Failure> + Send + 'static,
    ) -> Result<Downloaded, Failure> {
        if let Some((object, spans)) = self.spans(&request).await? {
            let whole = spans.first().map_or(0, |first| first.start)..spans.last().map_or(0, |last| last.end);
            set_length(bar, whole.end - whole.start);
            let request = pinned(request, object.generation);
            match blocking(open).await? {
                Destination::File(temporary) => {
                    let received = self.verified(&object, &request, spans, bar, &temporary).await?;
                    self.restore_mtime(&request, object.generation, &temporary)
                        .await?;
                    keep(temporary).await?;
                    return Ok(Downloaded { object, received });
                }
                // A stream takes its bytes in their order.
                Destination::Stream(stream) => {
                    let received = self.stream(self.reader(request), bar, stream).await?;
                    return Ok(Downloaded { object, received });
                }
            }
        }
        let mut reader = self.reader(request.clone());
        let start = reader.start().await?;
        let object = start.object;
        if let Some(len) = start.len {
            set_length(bar, len);
        }
        let received = match blocking(open).await? {
            Destination::Stream(stream) => self.stream(reader, bar, stream).await?,
            Destination::File(temporary) => {
                let request = match object.generation {
                    0 => request,
                    generation => pinned(request, generation),
                };
                let file = shared(&temporary).map_err(|error| at(&temporary, &error))?;
                let slice = Slice {
                    request,
                    file: file.clone(),
                    offset: 0,
                    part_of: None,
                };
                let request = slice.request.clone();
                let received = self.slice(slice, Some(reader), bar).await;
                let received = received.map_err(|error| error.at(&temporary))?;
                // What was read again may be shorter.
                file.set_len(received.len)
                    .map_err(|error| at(&temporary, &error))?;
                self.restore_mtime(&request, object.generation, &temporary)
                    .await?;
                keep(temporary).await?;
                received
            }
        };
        Ok(Downloaded { object, received })
    }

    /// Sets the time of a file that has all its bytes, if that is asked for and the object knows it.
    async fn restore_mtime(
        &self,
        request: &ReadRequest,
        generation: u64,
        temporary: &Temporary,
    ) -> Result<(), Failure> {
        if !self.preserves_mtime {
            return Ok(());
        }
        let of = ObjectRef {
            generation: (generation != 0).then_some(generation),
            ..request.object.clone()
        };
        let found = self.requests.stat(&of).await?;
        match metadata::modified(&found.json) {
            Some(time) => temporary
                .file
                .set_modified(time)
                .map_err(|error| at(temporary, &error)),
            None => Ok(()),
        }
    }

    fn reader(&self, request: ReadRequest) -> ReliableReader {
        let reader = ReliableReader::new(self.daemons.clone(), request, &self.retries);
        reader.reporting(self.reports.clone())
    }

    /// How to cut what `request` asks for; `None` where one connection is enough.
    async fn spans(&self, request: &ReadRequest) -> Result<Option<(ObjectInfo, Vec<Span<u64>>)>, Failure> {
        if self.connections < 2 || request.decompress {
            return Ok(None);
        }
        let object = self.requests.stat(&request.object).await?.info;
        let whole = resolve(request.range, object.size);
        let count = self
            .connections
            .min(whole.end.saturating_sub(whole.start) / LEAST);
        Ok((count > 1 && object.generation != 0).then(|| (object, cut(whole, count))))
    }

    async fn stream(
        &self,
        mut reader: ReliableReader,
        bar: &ProgressBar,
        stream: Stream,
    ) -> Result<Received, Failure> {
        let failed = stream.failing();
        let writing = Writing::begin(stream);
        copy(&mut reader, writing, bar)
            .await
            .map_err(|error| match error {
                SliceError::Read(error) => (&error).into(),
                SliceError::Write(error) => failed(&error),
                SliceError::Differs(why) => differs(why),
            })
    }

    /// Fetches ranges that follow each other. GCS has a checksum of the whole only: what differs from it is read again.
    async fn verified(
        &self,
        object: &ObjectInfo,
        request: &ReadRequest,
        spans: Vec<Span<u64>>,
        bar: &ProgressBar,
        temporary: &Temporary,
    ) -> Result<Received, Failure> {
        let asked: u64 = spans.iter().map(|span| span.end - span.start).sum();
        let mut again = READ_AGAIN;
        loop {
            let received = self
                .slices(request, object, spans.clone(), bar, temporary)
                .await?;
            if received.len != asked {
                return Err(differs(format!("{} bytes came instead of {asked}", received.len)));
            }
            let verified = match asked == object.size {
                true => verify(object, received.crc32c),
                false => Ok(()),
            };
            match verified {
                Ok(()) => return Ok(received),
                Err(failure) if again == 0 => return Err(failure),
                Err(_) => {
                    again -= 1;
                    self.damaged();
                    bar.dec(received.len);
                }
            }
        }
    }

    /// Counts that bytes are read again because they were damaged.
    fn damaged(&self) {
        self.reports.send_modify(|report| {
            report.restarts += 1;
            *report.failures.entry("damaged").or_default() += 1;
        });
    }

    /// Fetches ranges that follow each other, all at once.
    async fn slices(
        &self,
        request: &ReadRequest,
        object: &ObjectInfo,
        spans: Vec<Span<u64>>,
        bar: &ProgressBar,
        temporary: &Temporary,
    ) -> Result<Received, Failure> {
        let file = shared(temporary).map_err(|error| at(temporary, &error))?;
        let first = spans.first().map_or(0, |span| span.start);
        let mut received = vec![Received::default(); spans.len()];
        let mut tasks = JoinSet::new();
        for (number, span) in spans.into_iter().enumerate() {
            let mut request = request.clone();
            request.range = ByteRange::Of {
                offset: span.start,
                len: span.end - span.start,
            };
            let slice = Slice {
                request,
                file: file.clone(),
                offset: span.start - first,
                part_of: Some(*object),
            };
            let download = Self {
                daemons: self.daemons.starting_at(number),
                ..self.clone()
            };
            let bar = bar.clone();
            tasks.spawn(async move { (number, download.slice(slice, None, &bar).await) });
        }
        while let Some(ended) = tasks.join_next().await {
            let (number, slice) = ended.map_err(failed)?;
            received[number] = slice.map_err(|error| error.at(temporary))?;
        }
        Ok(received.iter().fold(Received::default(), |sum, next| Received {
            len: sum.len + next.len,
            // `None` only for more bytes than a machine of this kind can have.
            crc32c: sum.crc32c.combine(next.crc32c, next.len).unwrap_or_default(),
        }))
    }

    /// Fetches one range. What is damaged on the way is read again.
    async fn slice(
        &self,
        slice: Slice,
        begun: Option<ReliableReader>,
        bar: &ProgressBar,
    ) -> Result<Received, SliceError> {
        let mut reader = begun.unwrap_or_else(|| self.reader(slice.request.clone()));
        for again in (0..=READ_AGAIN).rev() {
            if let Some(object) = &slice.part_of {
                let start = reader.start().await.map_err(SliceError::Read)?;
                check_part(object, slice.request.range, &start)?;
            }
            let writing = Writing::begin(Region::new(slice.file.clone(), slice.offset));
            match copy(&mut reader, writing, bar).await {
                Err(SliceError::Read(error @ ReadError::Damaged { .. })) if again > 0 => {
                    self.damaged();
                    tracing::debug!(%error, "read again");
                    bar.dec(reader.received());
                    reader = self.reader(slice.request.clone());
                }
                ended => return ended,
            }
        }
        // The last turn has returned.
        Ok(Received::default())
    }
}

/// A range of an object, and its place in a file.
struct Slice {
    request: ReadRequest,
    file: Arc<File>,
    offset: u64,
    /// The object that it must be a part of; `None` where the read finds out which one that is.
    part_of: Option<ObjectInfo>,
}

/// Why a range did not come.
#[derive(Debug)]
enum SliceError {
    Read(ReadError),
    Write(io::Error),
    /// It is none of the object's.
    Differs(String),
}

impl SliceError {
    fn at(self, temporary: &Temporary) -> Failure {
        match self {
            Self::Differs(why) => differs(why),
            Self::Read(error) => (&error).into(),
            Self::Write(error) => at(temporary, &error),
        }
    }
}

/// Copies to the end.
async fn copy(
    reader: &mut ReliableReader,
    writing: Writing,
    bar: &ProgressBar,
) -> Result<Received, SliceError> {
    let read = loop {
        match reader.next().await {
            Ok(Some(piece)) => {
                let len = piece.len() as u64;
                if !writing.write(piece).await {
                    break Ok(());
                }
                bar.inc(len);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What was read is written in any case, so that nothing is in the way of reading it again.
    let written = writing.end().await;
    read.map_err(SliceError::Read)?;
    written.map_err(SliceError::Write)?;
    Ok(Received {
        len: reader.received(),
        crc32c: reader.crc32c(),
    })
}

/// The same request of one generation. The conditions held when that was found.
fn pinned(mut request: ReadRequest, generation: u64) -> ReadRequest {
    request.object.generation = Some(generation);
    request.object.preconditions = Preconditions::default();
    request
}

/// Where `range` lies in an object of `size` bytes.
fn resolve(range: ByteRange, size: u64) -> Span<u64> {
    match range {
        ByteRange::From(offset) => offset.min(size)..size,
        ByteRange::Of { offset, len } => offset.min(size)..offset.saturating_add(len).min(size),
        ByteRange::Suffix(len) => size.saturating_sub(len)..size,
    }
}

/// `whole` in `count` pieces, as even as can be.
fn cut(whole: Span<u64>, count: u64) -> Vec<Span<u64>> {
    let len = u128::from(whole.end - whole.start);
    let bound = |number: u64| {
        let offset = len * u128::from(number) / u128::from(count);
        whole.start + u64::try_from(offset).unwrap_or(u64::MAX)
    };
    (0..count)
        .map(|number| bound(number)..bound(number + 1))
        .collect()
}

/// How many bytes come, on a bar that is of one object.
fn set_length(bar: &ProgressBar, len: u64) {
    if bar.length().is_some() {
        bar.set_length(len);
    }
}

/// Whether an answer has the bytes of `object` in `range`, which lies within it.
fn check_part(object: &ObjectInfo, range: ByteRange, start: &ReadStart) -> Result<(), SliceError> {
    let part = &start.object;
    let span = resolve(range, object.size);
    let sums_differ = matches!((part.crc32c, object.crc32c), (Some(part), Some(whole)) if part != whole);
    if part.generation != object.generation || part.size != object.size || sums_differ {
        return Err(SliceError::Differs(format!(
            "a part is of generation {} with {} bytes, and the object is generation {} with {} bytes",
            part.generation, part.size, object.generation, object.size
        )));
    }
    match start.offset == span.start && start.len == Some(span.end - span.start) {
        true => Ok(()),
        false => Err(SliceError::Differs(
            "a part has another range than was asked for".to_owned(),
        )),
    }
}

fn differs(why: String) -> Failure {
    Failure::new(Exit::Differs, "damaged", why).advise("try again")
}

fn verify(object: &ObjectInfo, found: Crc32c) -> Result<(), Failure> {
    match object.crc32c {
        Some(expected) if expected != found => Err((&ReadError::Damaged { expected, found }).into()),
        _ => Ok(()),
    }
}

fn shared(temporary: &Temporary) -> io::Result<Arc<File>> {
    temporary.file.try_clone().map(Arc::new)
}

fn at(temporary: &Temporary, error: &io::Error) -> Failure {
    Failure::io(temporary.target.display(), error)
}

/// Gives the file its name.
async fn keep(temporary: Temporary) -> Result<(), Failure> {
    let place = temporary.target.display().to_string();
    let renamed = tokio::task::spawn_blocking(move || temporary.rename()).await;
    let renamed = renamed.map_err(io::Error::other).flatten();
    renamed.map_err(|error| Failure::io(place, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_and_are_about_equal() {
        for (whole, count) in [(0..10, 3), (5..6, 1), (7..u64::MAX, 64), (100..164, 64)] {
            let pieces = cut(whole.clone(), count);
            let lens = || pieces.iter().map(|piece| piece.end - piece.start);
            assert_eq!(
                (pieces[0].start, pieces[pieces.len() - 1].end),
                (whole.start, whole.end)
            );
            assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            assert!(lens().max().unwrap_or(0) - lens().min().unwrap_or(0) <= 1);
        }
    }

    #[test]
    fn ranges_lie_within_the_object() {
        assert_eq!(resolve(ByteRange::From(4), 10), 4..10);
        assert_eq!(resolve(ByteRange::From(40), 10), 10..10);
        assert_eq!(resolve(ByteRange::Of { offset: 4, len: 3 }, 10), 4..7);
        let far = ByteRange::Of {
            offset: 4,
            len: u64::MAX,
        };
        assert_eq!(resolve(far, 10), 4..10);
        assert_eq!(resolve(ByteRange::Suffix(3), 10), 7..10);
        assert_eq!(resolve(ByteRange::Suffix(30), 10), 0..10);
    }
}
