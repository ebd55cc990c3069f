//! `put --connections`: a file in parts, side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use indicatif::ProgressBar;

use super::exit::Failure;
use super::gs_url::GsUrl;
use super::units;
use gcsd_client::{
    BodySource, Leftovers, NextPiece, ReplaySource, RetryPolicy, SourceChanged, StripedCheckpoint,
    StripedOptions, Via,
};
use gcsd_types::CHUNK_ALIGNMENT;

/// A part has so many bytes at least, where nothing else is said: a smaller file gains nothing by being cut.
const USUAL_PART: u64 = 8 << 20;

/// The least that may be asked for: GCS's own limit for parts of the XML API.
const LEAST_PART: u64 = 5 << 20;

/// Over how many connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Several connections")]
pub(super) struct Stripes {
    /// Upload a file in so many parts at once, each over a connection of its own (to all daemons of --connect in turn), and
    /// compose them to the object in the end. A file of less than 16 MiB is not cut.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: Option<u16>,
    /// How large a part is, at least 5MiB; more parts than connections wait for their turn [default: the file's size by the
    /// number of connections].
    #[arg(long, value_name = "SIZE", value_parser = units::size, requires = "connections")]
    part_size: Option<u64>,
    /// What the names of the temporary objects begin with, in the same bucket [default: the object's name].
    #[arg(long, value_name = "PREFIX", requires = "connections")]
    part_prefix: Option<String>,
    /// How the parts become the object: temporary objects that are composed, or a multipart upload of the XML API, which has no
    /// temporary objects and knows no preconditions.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = How::Compose)]
    via: How,
}

/// How parts become an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    Compose,
    Multipart,
}

impl Stripes {
    /// Whether to cut a file into parts at all.
    pub(super) fn is_asked_for(&self) -> bool {
        self.connections.is_some_and(|connections| connections > 1)
    }

    /// How to cut something of `size` bytes; `None` where it stays in one piece.
    pub(super) fn options(
        &self,
        size: Option<u64>,
        retries: RetryPolicy,
    ) -> Result<Option<StripedOptions>, Failure> {
        let Some(connections) = self.connections.filter(|_| self.is_asked_for()) else {
            return Ok(None);
        };
        let Some(size) = size else {
            return Err(Failure::usage(
                "--connections needs a file: what comes through a pipe comes once, and in one row",
            ));
        };
        let part_size = match self.part_size {
            Some(part_size) if part_size < LEAST_PART => {
                return Err(Failure::usage("--part-size must be 5MiB at least"));
            }
            Some(part_size) => part_size,
            None => {
                let parts = (size / USUAL_PART).clamp(1, connections.into());
                size.div_ceil(parts).next_multiple_of(CHUNK_ALIGNMENT)
            }
        };
        if size <= part_size {
            return Ok(None);
        }
        Ok(Some(self.resuming(retries).with_part_size(part_size)))
    }

    /// The same for an upload that was cut by an earlier run.
    pub(super) fn resuming(&self, retries: RetryPolicy) -> StripedOptions {
        let mut options = StripedOptions::default().with_retries(retries);
        options.connections = self.connections.map_or(options.connections, usize::from);
        options.via = match self.via {
            How::Compose => Via::Compose,
            How::Multipart => Via::Multipart,
        };
        options.part_prefix.clone_from(&self.part_prefix);
        options
    }
}

/// What could not be cleared up, for people; `None` where all was.
pub(super) fn describe_leftovers(url: &GsUrl, leftovers: &Leftovers) -> Option<String> {
    let bucket = &url.bucket;
    let objects: Vec<String> = leftovers
        .objects
        .iter()
        .map(|name| format!("gs://{bucket}/{name}"))
        .collect();
    let objects = match &objects[..] {
        [] => None,
        [one] => Some(format!("a temporary object could not be deleted: {one}")),
        [one, more @ ..] => Some(format!(
            "{} temporary objects could not be deleted, {one} and others",
            1 + more.len()
        )),
    };
    let unsure = leftovers
        .unsure
        .as_ref()
        .map(|failure| match leftovers.prefix.is_empty() {
            true => format!("the multipart upload may be left, and is billed until it is aborted: {failure}"),
            false => format!(
                "there may be temporary objects left, gs://{bucket}/{}*: {failure}",
                leftovers.prefix
            ),
        });
    match (objects, unsure) {
        (Some(objects), Some(unsure)) => Some(format!("{objects}; {unsure}")),
        (objects, unsure) => objects.or(unsure),
    }
}

/// A source that shows on a bar how far its parts were read, together.
pub(super) struct PartMeter<R> {
    source: R,
    reading: Reading,
}

#[derive(Clone)]
struct Reading {
    bar: ProgressBar,
    part_size: u64,
    /// How far each part was read.
    parts: Arc<[AtomicU64]>,
    /// Bytes of parts that need not be read any more.
    done: u64,
}

impl<R: ReplaySource> PartMeter<R> {
    /// Over `source`, which is cut as `checkpoint` says, or anew into parts of `part_size`.
    pub(super) fn new(
        source: R,
        bar: ProgressBar,
        part_size: u64,
        checkpoint: Option<&StripedCheckpoint>,
    ) -> Self {
        let part_size = checkpoint.map_or(part_size, StripedCheckpoint::part_size).max(1);
        let finished = checkpoint.map_or(0, |checkpoint| checkpoint.parts().1);
        let finished = u64::try_from(finished).unwrap_or(u64::MAX);
        let parts = source
            .size()
            .div_ceil(part_size)
            .clamp(1, Via::Multipart.max_parts());
        let reading = Reading {
            bar,
            part_size,
            parts: (0..parts).map(|_| AtomicU64::new(0)).collect(),
            done: finished.saturating_mul(part_size),
        };
        Self { source, reading }
    }
}

impl<R: ReplaySource> ReplaySource for PartMeter<R> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        let mut body = MeteredPart {
            source: self.source.read(offset, len),
            reading: self.reading.clone(),
            at: offset,
        };
        body.show(0);
        Box::new(body)
    }

    fn check(&self) -> Result<(), SourceChanged> {
        self.source.check()
    }
}

struct MeteredPart {
    source: Box<dyn BodySource>,
    reading: Reading,
    at: u64,
}

impl MeteredPart {
    fn show(&mut self, more: u64) {
        let reading = &self.reading;
        let part = usize::try_from(self.at / reading.part_size).unwrap_or(usize::MAX);
        self.at += more;
        if let Some(part) = reading.parts.get(part) {
            let before = self.at - self.at % reading.part_size;
            // At its very end, the position is already that of the next part.
            let read = match self.at - before {
                0 if more > 0 => reading.part_size,
                read => read,
            };
            part.store(read, Ordering::Relaxed);
        }
        let read = reading.parts.iter().map(|part| part.load(Ordering::Relaxed));
        reading.bar.set_position(reading.done + read.sum::<u64>());
    }
}

impl BodySource for MeteredPart {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let piece = self.source.next().await?;
            self.show(piece.len() as u64);
            Ok(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stripes(connections: u16, part_size: Option<u64>) -> Stripes {
        Stripes {
            connections: Some(connections),
            part_size,
            part_prefix: None,
            via: How::Compose,
        }
    }

    #[test]
    fn small_files_stay_whole_and_others_are_cut_evenly() {
        const MIB: u64 = 1 << 20;
        let cut = |connections, part_size, size| {
            let options = stripes(connections, part_size).options(Some(size), RetryPolicy::default());
            options
                .expect("good flags")
                .map(|options| options.part_size.expect("one"))
        };
        assert_eq!(cut(1, None, 1 << 40), None);
        assert_eq!(cut(4, None, 0), None);
        assert_eq!(cut(4, None, 16 * MIB - 1), None);
        assert_eq!(cut(4, None, 16 * MIB), Some(8 * MIB));
        assert_eq!(cut(4, None, 32 * MIB + 1), Some(8 * MIB + CHUNK_ALIGNMENT));
        assert_eq!(cut(4, None, 400 * MIB), Some(100 * MIB));
        assert_eq!(cut(4, Some(5 * MIB), 5 * MIB), None);
        assert_eq!(cut(4, Some(5 * MIB), 5 * MIB + 1), Some(5 * MIB));
        let refused = |part_size, size| {
            stripes(2, part_size)
                .options(size, RetryPolicy::default())
                .is_err()
        };
        assert!(refused(None, None));
        assert!(refused(Some(5 * MIB - 1), Some(1 << 30)));
        assert!(stripes(1, None).options(None, RetryPolicy::default()).is_ok());
    }

    #[tokio::test]
    async fn the_bar_shows_the_sum_of_all_parts() {
        let bar = ProgressBar::hidden();
        let meter = PartMeter::new(Bytes::from(vec![0; 25]), bar.clone(), 10, None);
        let mut bodies: Vec<_> = [(0, 10), (10, 10), (20, 5)]
            .map(|(offset, len)| meter.read(offset, len))
            .into();
        for (body, position) in bodies.iter_mut().zip([10, 20, 25]) {
            body.next().await.expect("in memory");
            assert_eq!(bar.position(), position);
        }
        // One of them begins again, in its middle.
        let mut again = meter.read(15, 5);
        assert_eq!(bar.position(), 20);
        again.next().await.expect("in memory");
        assert_eq!(bar.position(), 25);
    }
}
