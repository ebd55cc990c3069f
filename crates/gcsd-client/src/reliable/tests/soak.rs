//! Uploads under random faults, by tens of thousands: each seed does the same whenever it runs.

use tokio::io::AsyncWriteExt as _;

use super::faults::{ANYWHERE, RESTARTS, fits};
use super::sim::{Call, Fault};
use super::*;

/// What survives whatever happens: faults that leave the upload.
fn survivable(call: Call) -> Vec<Fault> {
    let faults = ANYWHERE.into_iter().filter(|fault| fits(call, *fault));
    // Told twice, a wrong reply is believed.
    faults.filter(|fault| *fault != Fault::WrongReply).collect()
}

/// Those and, rarely, one that takes the upload away.
fn all(call: Call) -> Vec<Fault> {
    let mut faults = survivable(call);
    if matches!(call, Call::Write { .. }) {
        faults.extend(RESTARTS);
    }
    faults
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Abort,
    Drop,
}

fn pick(random: &mut Random, end: usize) -> usize {
    usize::try_from(below(random, end as u64)).expect("below a usize")
}

/// Writes pieces of random sizes to `sim`, with pauses, and then ends as `end` says.
async fn produce(
    sim: &Sim,
    bytes: &Bytes,
    random: &mut Random,
    end: End,
) -> (Result<ObjectInfo, UploadError>, Option<Aborted>) {
    let chosen = WriterOptions {
        max_chunk: (1 + below(random, 4)) * K as u64,
        max_held: [3 * K, 4 * K, 20 * K][pick(random, 3)],
        retries: RetryPolicy {
            jitter: seeded(below(random, 1 << 20)),
            // All faults that are left can strike the abort.
            abort_budget: Duration::from_secs(1000),
            ..retries()
        },
        ..options()
    };
    let mut writer = ReliableWriter::start(sim.clone(), &chosen).expect("good options");
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let most = [10, 9_000, K, 3 * K][pick(random, 4)].min(rest.len());
        let piece = rest.split_to(1 + pick(random, most));
        let written = match pick(random, 2) {
            0 => writer.write_all(&piece).await.is_ok(),
            _ => writer.write_bytes(piece).await.is_ok(),
        };
        if !written {
            break;
        }
        if pick(random, 8) == 0 {
            tokio::time::sleep(Duration::from_millis(below(random, 90_000))).await;
        }
    }
    match end {
        End::Complete => (writer.complete().await, None),
        End::Abort => (Err(UploadError::Stopped), Some(writer.abort().await)),
        End::Drop => {
            drop(writer);
            // Whatever went on would go on now.
            tokio::time::sleep(Duration::from_secs(10_000)).await;
            (Err(UploadError::Stopped), None)
        }
    }
}

/// One upload.
async fn upload_of(seed: u64, most: &Bytes) {
    let mut random = Random::new(seed);
    let size = match pick(&mut random, 4) {
        0 => pick(&mut random, 3),
        1 => (K * pick(&mut random, 5) + pick(&mut random, 3)).saturating_sub(1),
        _ => pick(&mut random, 5 * K),
    };
    let bytes = most.slice(..size);
    let with_restarts = pick(&mut random, 4) == 0;
    let faults = 1 + pick(&mut random, 12);
    let faults = u32::try_from(faults).expect("few");
    let sim = Sim::by_luck(seed, faults, if with_restarts { all } else { survivable });
    let declared = pick(&mut random, 3) == 0;
    let sim = if declared { sim.declared(size as u64) } else { sim };
    let what = format!("seed {seed}: {size} bytes, {faults} faults, restarts {with_restarts}");
    if pick(&mut random, 3) == 0 {
        let result = within(upload(&sim, &bytes, Producer::Source)).await;
        match &result {
            Err(UploadError::TooManyRestarts { .. }) if with_restarts => {
                assert_eq!(sim.object(), None, "{what}")
            }
            _ => check(&sim, &bytes, result, &what),
        }
        return;
    }
    let end = [End::Complete, End::Complete, End::Abort, End::Drop][pick(&mut random, 4)];
    let (result, aborted) = within(produce(&sim, &bytes, &mut random, end)).await;
    match (end, &result, &aborted) {
        (End::Complete, Err(UploadError::CannotRestart { .. } | UploadError::TooManyRestarts { .. }), _)
            if with_restarts =>
        {
            assert_eq!(sim.object(), None, "{what}");
        }
        (End::Complete, ..) => check(&sim, &bytes, result, &what),
        (End::Abort, _, Some(Aborted::Cancelled | Aborted::Unknown { error: None })) => {
            assert_eq!(sim.object(), None, "{what}");
            // One whose start was answered, and the answer lost, has no bytes: nobody knows it.
            let leaked = |session: &&sim::Session| session.is_open() && !session.bytes.is_empty();
            assert_eq!(sim.lock().sessions.iter().filter(leaked).count(), 0, "{what}");
        }
        (End::Abort, ..) => panic!("{what}: {aborted:?}"),
        (End::Drop, ..) => assert_eq!(sim.object(), None, "{what}"),
    }
}

/// Says which seed it was, wherever a test fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::disallowed_macros, reason = "the test harness shows it")]
            {
                eprintln!("the seed is {}", self.0);
            }
        }
    }
}

/// How many seeds run; `GCSD_SIMULATED_UPLOADS` says another number.
const SEEDS: u64 = 2_000;

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_whatever_breaks() {
    let count = std::env::var("GCSD_SIMULATED_UPLOADS").ok();
    let count = count.map_or(SEEDS, |count| count.parse().expect("a number"));
    let most = bytes(5 * K);
    for seed in 0..count {
        let _named = Named(seed);
        upload_of(seed, &most).await;
    }
}
