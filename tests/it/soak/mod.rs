//! The soak: uploads under random faults at both hops and in GCS, each from a seed of its own.
//!
//! `GCSD_SOAK_UPLOADS=5000` says how many, `GCSD_SOAK_SEED=17` runs the upload of one seed alone and shows it.

mod luck;

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Aborted, ReliableUpload, ReliableWriter, UploadError};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use crate::support::crowd::run_all;
use crate::support::stage::{Ended, HANGS, Hop, Stage, Verdict, complete, faulty, sized, wait};
use luck::{End, Luck};

const NAME: &str = "soak/object.bin";

/// What became of an upload.
#[derive(Debug)]
struct Outcome {
    luck: Luck,
    problems: Vec<String>,
    ended: Option<Ended>,
}

/// The upload of one seed.
async fn upload(seed: u64) -> Outcome {
    let luck = Luck::of(seed);
    let bytes = luck.bytes();
    let (client, gcs) = (faulty(&luck.client), faulty(&luck.gcs));
    let devgcs = luck.devgcs.parse().expect("a plan");
    let mut stage = Stage::set(luck.daemons.max(1), client, gcs, devgcs).await;
    let mut outcome = Outcome {
        luck,
        problems: Vec::new(),
        ended: None,
    };
    let played = timeout(HANGS, play(&stage, &outcome.luck, &bytes)).await;
    let Ok(ended) = played else {
        outcome.problems.push("it never ends".to_owned());
        return outcome;
    };
    let verdict = stage.judge(NAME, &bytes, &ended).await;
    outcome.problems.extend(problems(&outcome.luck, &ended, &verdict));
    outcome.ended = Some(ended);
    outcome
}

/// Uploads as luck will have it.
async fn play(stage: &Stage, luck: &Luck, bytes: &Bytes) -> Ended {
    let object = sized(NAME, luck.declared.then_some(bytes.len()));
    let hop = if luck.daemons == 0 {
        Hop::Direct
    } else {
        Hop::ToDaemon
    };
    let open = stage.over(hop, object);
    if luck.rereadable {
        let upload = ReliableUpload::start(open, bytes.clone(), luck.options.retries.clone());
        return match luck.end {
            End::Complete => wait(upload).await,
            End::Abort => {
                sleep(luck.patience).await;
                let report = upload.reports().borrow().clone();
                Ended::aborted(upload.abort().await, report)
            }
            End::Drop => {
                sleep(luck.patience).await;
                drop(upload);
                Ended::dropped()
            }
        };
    }
    let mut writer = ReliableWriter::start(open, &luck.options).expect("good options");
    let mut random = luck.pieces.clone();
    let mut at = 0;
    while at < luck.written {
        let most = [100, 5_000, 100_000, 700_000][luck::pick(&mut random, 4)];
        let end = bytes
            .len()
            .min(luck.written)
            .min(at + 1 + luck::pick(&mut random, most));
        let piece = bytes.slice(at..end);
        let written = match luck::pick(&mut random, 3) {
            0 => writer.write_all(&piece).await.is_ok(),
            1 => writer.write_all(&piece).await.is_ok() && writer.flush().await.is_ok(),
            _ => writer.write_bytes(piece).await.is_ok(),
        };
        if !written {
            // Why is told at the end.
            break;
        }
        at = end;
        if luck::pick(&mut random, 12) == 0 {
            // A slow producer.
            sleep(Duration::from_millis(random.below(30))).await;
        }
    }
    match luck.end {
        End::Complete => complete(writer).await,
        End::Abort => {
            sleep(luck.patience).await;
            let report = writer.reports().borrow().clone();
            Ended::aborted(writer.abort().await, report)
        }
        End::Drop => {
            drop(writer);
            Ended::dropped()
        }
    }
}

/// What must not be.
fn problems(luck: &Luck, ended: &Ended, verdict: &Verdict) -> Vec<String> {
    let mut problems = verdict.wrong.clone();
    let mut problem = |text: String| problems.push(text);
    let source_ends = luck.rereadable;
    match (luck.end, &ended.result, &ended.aborted) {
        (End::Complete, Ok(_), _) => {}
        // Where byte 0 is needed again, a producer may have let it go; a source has it, as often as is allowed.
        (End::Complete, Err(UploadError::CannotRestart { .. }), _) if !luck.rereadable => {}
        (End::Complete, Err(UploadError::TooManyRestarts { .. }), _) => {}
        (End::Complete, Err(error), _) => problem(format!("it ended in an error: {error}")),
        (End::Abort, _, Some(Aborted::Cancelled)) if verdict.present => {
            problem("it is said to be cancelled, and is there".to_owned());
        }
        (End::Abort, _, Some(Aborted::Cancelled | Aborted::Unknown { error: None })) => {}
        (End::Abort, _, Some(Aborted::AlreadyFinished { .. })) if source_ends && verdict.present => {}
        (End::Abort, _, aborted) => problem(format!("the abort found {aborted:?}")),
        (End::Drop, ..) if verdict.present && !source_ends => problem("a drop finished it".to_owned()),
        (End::Drop, ..) => {}
    }
    if luck.end != End::Drop {
        // One whose start was answered, and the answer lost, nobody knows.
        for session in &verdict.known {
            problem(format!("a session is left open: {session:?}"));
        }
    }
    problems
}

#[test]
fn nothing_is_lost_whatever_breaks() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    };
    let one = number("GCSD_SOAK_SEED");
    let count = number("GCSD_SOAK_UPLOADS").unwrap_or(200);
    let first = RandomState::new().hash_one(0) >> 16;
    let seeds: Vec<u64> = match one {
        Some(seed) => vec![seed],
        None => (first..first + count).collect(),
    };
    let outcomes = run_all(seeds, upload);
    let mut bad = 0;
    let (mut recovered, mut restarted, mut completed, mut gave_up) = (0, 0, 0, 0);
    for outcome in &outcomes {
        if let Some(ended) = &outcome.ended {
            recovered += ended.report.recovered();
            restarted += ended.report.restarts;
            completed += u64::from(ended.result.is_ok());
            gave_up += u64::from(ended.result.is_err() && outcome.luck.end == End::Complete);
        }
        if one.is_some() || !outcome.problems.is_empty() {
            bad += usize::from(!outcome.problems.is_empty());
            let seed = outcome.luck.seed;
            eprintln!(
                "seed {seed}: {:#?}\n  {:#?}\n{:#?}",
                outcome.problems, outcome.luck, outcome.ended
            );
            eprintln!("  GCSD_SOAK_SEED={seed} cargo test --test it soak -- --nocapture");
        }
    }
    eprintln!(
        "{} uploads: {completed} completed after {recovered} failures, {restarted} new starts from byte 0; \
         {gave_up} could not start again; the others were aborted or dropped",
        outcomes.len()
    );
    assert_eq!(bad, 0, "of {} uploads", outcomes.len());
}
