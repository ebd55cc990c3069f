//! What a seed means.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::WriterOptions;
use gcsd_fault::Random;

use crate::support::daemon::pattern;
use crate::support::stage::{impatient, roomy};

const K: usize = 256 * 1024;

/// How an upload ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Abort,
    Drop,
}

/// All that is random in an upload but for which task runs when.
#[derive(Debug)]
pub(super) struct Luck {
    pub(super) seed: u64,
    /// How many daemons there are; none is straight to GCS.
    pub(super) daemons: usize,
    pub(super) size: usize,
    /// GCS is told the size.
    pub(super) declared: bool,
    /// From a source that can be read again, not a producer.
    pub(super) rereadable: bool,
    pub(super) end: End,
    /// How much a producer writes before the end.
    pub(super) written: usize,
    /// How long it then waits, before it aborts or drops.
    pub(super) patience: Duration,
    pub(super) options: WriterOptions,
    /// The plans of the client's connections, of the daemons', and of GCS.
    pub(super) client: String,
    pub(super) gcs: String,
    pub(super) devgcs: String,
    /// Where the sizes of the pieces come from.
    pub(super) pieces: Random,
}

/// A number below `end`.
pub(super) fn pick(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).expect("below a usize")
}

impl Luck {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let near = |random: &mut Random| K * pick(random, 9) + pick(random, 3);
        let size = match pick(random, 8) {
            0 => 0,
            1 => 1 + pick(random, 1000),
            2..=4 => near(random).saturating_sub(1),
            _ => pick(random, 3 << 20),
        };
        let end = match pick(random, 10) {
            0 | 1 => End::Abort,
            2 => End::Drop,
            _ => End::Complete,
        };
        let daemons = [0, 1, 1, 2, 3][pick(random, 5)];
        let written = match end {
            End::Complete => size,
            End::Abort | End::Drop => pick(random, size + 1),
        };
        let chunk = (1 + pick(random, 4)) * K;
        let options = roomy(seed)
            .with_chunks(K as u64, chunk as u64)
            .with_max_held([3 * K, 5 * K, 16 * K][pick(random, 3)])
            .with_retries(impatient(seed));
        Self {
            seed,
            daemons,
            size,
            declared: pick(random, 3) == 0 && end == End::Complete,
            rereadable: pick(random, 3) == 0,
            end,
            written,
            patience: Duration::from_millis(random.below(60)),
            options,
            // Nothing guards the heads of HTTP in the clear against a flip.
            client: connections(random, size, daemons > 0),
            gcs: connections(random, size, false),
            devgcs: devgcs(random),
            pieces: random.split(1),
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        Bytes::from(pattern(self.size))
    }
}

/// A plan for connections over which `size` bytes go. The first fail, most of them: not all for ever.
fn connections(random: &mut Random, size: usize, flips: bool) -> String {
    let mut plan = format!("seed {}", random.next_u64() >> 1);
    if pick(random, 4) == 0 {
        return plan;
    }
    let out = size + size / 4 + 2000;
    for _ in 0..1 + pick(random, 4) {
        let ending = ["reset", "close"][pick(random, 2)];
        let phase = ["before", "in", "after"][pick(random, 3)];
        let rule = match pick(random, if flips { 10 } else { 8 }) {
            0 => "refuse p 0.2".to_owned(),
            1 => "hang for 60ms p 0.2".to_owned(),
            2 | 3 => format!("{ending} {phase} write 0..{out} p 0.4"),
            4 => format!("{ending} {phase} read 0..1500 p 0.4"),
            5 => format!("stall write 0..{out} p 0.1"),
            6 => "stall read 0..1500 for 50ms p 0.3".to_owned(),
            7 => format!("short write {} p 0.3", 7 + size / 300),
            8 => format!("flip write 0..{out} p 0.2"),
            _ => "flip read 0..1500 p 0.2".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = write!(plan, "; {}", rule.replace(" p ", " on 0..10 p "));
    }
    plan
}

/// A plan for GCS.
fn devgcs(random: &mut Random) -> String {
    let mut plan = format!("seed {}", random.next_u64() >> 1);
    if pick(random, 4) == 0 {
        return plan;
    }
    for _ in 0..1 + pick(random, 5) {
        let status = [408, 429, 500, 502, 503, 504][pick(random, 6)];
        let when = ["", "-after-some", "-after-body", "-after-all"][pick(random, 4)];
        let rule = match pick(random, 12) {
            0 | 1 => format!("return-{status}{when} on write p 0.2"),
            2 => format!("return-reset-connection{when} on write p 0.2"),
            3 => format!("close-connection{when} on last p 0.4"),
            4 => format!("return-{status} on any p 0.1"),
            5 => format!("return-{status}-after-all on any p 0.1"),
            6 => "persist-some on write p 0.3".to_owned(),
            7 => format!("hide-some+return-{status}-after-some on write p 0.3"),
            8 => "no-range on write p 0.2".to_owned(),
            9 => "stall-for-40ms-after-some on write p 0.3".to_owned(),
            10 => "lose-session-410 on write p 0.04".to_owned(),
            _ => "return-broken-stream-final-chunk-after-10B on last p 0.4".to_owned(),
        };
        let _ = write!(plan, "; {}", rule.replace(" p ", " call 0..20 p "));
    }
    plan
}
