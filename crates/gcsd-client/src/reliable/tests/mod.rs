//! The whole of it against a scripted GCS, on tokio's paused clock: no socket, and no real time passes.

mod endings;
mod faults;
mod holding;
mod looking;
mod resuming;
mod sim;
mod soak;

use std::time::Duration;

use bytes::Bytes;
use gcsd_fault::Random;

use self::sim::Sim;
use super::*;
use gcsd_types::{Crc32c, ObjectInfo};

/// A quarter of a mebibyte: the smallest chunk.
const K: usize = 256 * 1024;

/// Bytes that differ from place to place.
fn bytes(len: usize) -> Bytes {
    let of = |i: usize| (i >> 16) ^ (i >> 8) ^ i;
    (0..len).map(|i| of(i).to_le_bytes()[0]).collect()
}

fn options() -> WriterOptions {
    WriterOptions {
        min_chunk: 256 << 10,
        max_chunk: 512 << 10,
        max_held: 1 << 20,
        retries: retries(),
    }
}

/// Waits that `seed` repeats.
pub(super) fn seeded(seed: u64) -> Jitter {
    Jitter::from_fn(move || {
        let mut random = Random::new(seed);
        move || random.next_u64()
    })
}

/// A number below `end`, by the high bits of the next one: the recorded seeds of these tests count on it.
fn below(random: &mut Random, end: u64) -> u64 {
    let product = u128::from(random.next_u64()) * u128::from(end);
    u64::try_from(product >> 64).expect("below a u64")
}

fn retries() -> RetryPolicy {
    RetryPolicy {
        jitter: seeded(1),
        ..RetryPolicy::default()
    }
}

/// How bytes get into an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Producer {
    /// By `write_bytes`, in pieces of so many bytes.
    Pieces(usize),
    /// By `AsyncWrite`, in pieces of so many bytes.
    Copied(usize),
    /// From a source that can be read again.
    Source,
}

/// Everything that is written, as one upload to `sim`.
async fn upload(sim: &Sim, all: &Bytes, way: Producer) -> Result<ObjectInfo, UploadError> {
    use tokio::io::AsyncWriteExt as _;

    match way {
        Producer::Source => {
            ReliableUpload::start(sim.clone(), all.clone(), retries())
                .complete()
                .await
        }
        Producer::Pieces(len) => {
            let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
            let mut rest = all.clone();
            while !rest.is_empty() {
                writer.write_bytes(rest.split_to(len.min(rest.len()))).await?;
            }
            writer.complete().await
        }
        Producer::Copied(len) => {
            let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
            for piece in all.chunks(len) {
                if writer.write_all(piece).await.is_err() {
                    break;
                }
            }
            writer.complete().await
        }
    }
}

/// The object is there, and it is `all`.
#[track_caller]
fn check(sim: &Sim, all: &Bytes, result: Result<ObjectInfo, UploadError>, what: &str) {
    let object = result.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(object.size, all.len() as u64, "{what}");
    assert_eq!(object.crc32c, Some(Crc32c::of(all)), "{what}");
    assert!(sim.object().as_deref() == Some(&all[..]), "{what}: other bytes");
}

/// A bound far beyond what any test waits for, on the paused clock.
async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(100_000), work)
        .await
        .expect("it never ends")
}
