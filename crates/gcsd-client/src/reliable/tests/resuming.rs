//! Another process goes on: with the bytes from the checkpoint on, with all of them, and with a file.

use super::sim::{Call, Fault, Persisted};
use super::*;
use gcsd_wire::Retry;

/// How the second process brings the bytes.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// It goes on where the checkpoint says.
    FromTheCheckpoint,
    /// It begins at byte 0, and knows only the token.
    FromTheStart,
    /// It reads a file.
    Source,
    /// It reads a file, and knows only the token.
    SourceWithToken,
}

/// The checkpoint of a first process that is killed when `fault` strikes its call `at`.
async fn killed(sim: &Sim, all: &Bytes, way: Producer) -> Option<Checkpoint> {
    match way {
        Producer::Source => {
            let upload = ReliableUpload::start(sim.clone(), all.clone(), retries());
            tokio::time::sleep(Duration::from_secs(10)).await;
            upload.reports().borrow().checkpoint.clone()
        }
        Producer::Pieces(len) | Producer::Copied(len) => {
            let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
            let reports = writer.reports();
            let work = async {
                for piece in all.chunks(len) {
                    let piece = Bytes::copy_from_slice(piece);
                    writer
                        .write_bytes(piece)
                        .await
                        .expect("it does not fail, it hangs");
                }
                writer.complete().await
            };
            let hangs = tokio::time::timeout(Duration::from_secs(10), work).await;
            assert!(hangs.is_err(), "it was to be killed before its end");
            reports.borrow().checkpoint.clone()
        }
    }
}

async fn resumed(
    sim: &Sim,
    all: &Bytes,
    checkpoint: Checkpoint,
    again: Again,
) -> Result<ObjectInfo, UploadError> {
    let start = Checkpoint {
        offset: 0,
        crc32c: Crc32c::default(),
        ..checkpoint.clone()
    };
    let from = usize::try_from(checkpoint.offset).expect("small");
    let (checkpoint, rest) = match again {
        Again::FromTheCheckpoint => (checkpoint, all.slice(from..)),
        Again::FromTheStart => (start, all.clone()),
        Again::Source | Again::SourceWithToken => {
            let checkpoint = match again {
                Again::Source => checkpoint,
                _ => start,
            };
            let upload = ReliableUpload::resume(sim.clone(), all.clone(), checkpoint, retries());
            return upload.complete().await;
        }
    };
    let mut writer = ReliableWriter::resume(sim.clone(), checkpoint, &options()).expect("good options");
    for piece in rest.chunks(100_000) {
        writer.write_bytes(Bytes::copy_from_slice(piece)).await?;
    }
    writer.complete().await
}

const AGAIN: [Again; 4] = [
    Again::FromTheCheckpoint,
    Again::FromTheStart,
    Again::Source,
    Again::SourceWithToken,
];

#[tokio::test(start_paused = true)]
async fn killed_at_every_call_another_process_goes_on() {
    let all = bytes(5 * K + 3);
    for way in [Producer::Source, Producer::Pieces(K)] {
        for at in 1..4 {
            // What it had sent is there, or a part of it, or turns up later, or was the last of it.
            for part in [
                Persisted::Nothing,
                Persisted::Middle,
                Persisted::Odd,
                Persisted::All,
            ] {
                for growing in [false, true] {
                    for again in AGAIN {
                        let fault = match growing {
                            false => Fault::Lost(Retry::Query, part),
                            true => Fault::Growing(part),
                        };
                        let sim = Sim::with([(at, fault), (at + 1, Fault::Stalled)]);
                        let what = format!("{way:?} {at} {fault:?} {again:?}");
                        if way == Producer::Source && at > 2 {
                            continue;
                        }
                        let checkpoint = killed(&sim, &all, way).await.expect("it has started");
                        let result = within(resumed(&sim, &all, checkpoint, again)).await;
                        check(&sim, &all, result, &what);
                        assert_eq!(sim.lock().sessions.len(), 1, "{what}: it began again");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_not_sent_again() {
    let all = bytes(5 * K + 3);
    let sim = Sim::with([(3, Fault::Stalled)]);
    let checkpoint = killed(&sim, &all, Producer::Pieces(K))
        .await
        .expect("it has started");
    assert!(checkpoint.offset >= 2 * K as u64);
    let from = usize::try_from(checkpoint.offset).expect("small");
    assert_eq!(checkpoint.crc32c, Crc32c::of(&all[..from]));
    for again in AGAIN {
        let before = sim.lock().calls.len();
        let sim = sim.clone();
        let result = within(resumed(&sim, &all, checkpoint.clone(), again)).await;
        check(&sim, &all, result, &format!("{again:?}"));
        for call in &sim.lock().calls[before..] {
            if let Call::Write { offset, .. } = call {
                assert!(*offset >= checkpoint.offset, "{again:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_bytes_than_the_first_process_had_make_no_object() {
    let all = bytes(5 * K + 3);
    let mut other = all.to_vec();
    other[7] ^= 1;
    let other = Bytes::from(other);
    for again in AGAIN {
        let sim = Sim::with([(3, Fault::Stalled)]);
        let checkpoint = killed(&sim, &all, Producer::Pieces(K))
            .await
            .expect("it has started");
        let result = within(resumed(&sim, &other, checkpoint, again)).await;
        match (again, result) {
            // These bytes are not looked at.
            (Again::FromTheCheckpoint, result) => check(&sim, &all, result, "from the checkpoint"),
            // A source knows the checksum up to the checkpoint, and need not look either.
            (Again::Source, result) => check(&sim, &all, result, "a source"),
            (Again::FromTheStart, Err(UploadError::CannotRestart { .. })) => assert_eq!(sim.object(), None),
            // All of it can be sent again, and then it is this that is the object.
            (Again::SourceWithToken, result) => {
                check(&sim, &other, result, "from byte 0");
                assert_eq!(sim.lock().sessions.len(), 2);
            }
            (again, result) => panic!("{again:?}: {result:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fewer_bytes_than_are_committed_are_another_object() {
    let all = bytes(5 * K + 3);
    for again in [Again::FromTheStart, Again::SourceWithToken] {
        let sim = Sim::with([(3, Fault::Stalled)]);
        let checkpoint = killed(&sim, &all, Producer::Pieces(K))
            .await
            .expect("it has started");
        let short = all.slice(..K);
        let error = within(resumed(&sim, &short, checkpoint, again))
            .await
            .expect_err("too short");
        assert!(matches!(error, UploadError::Ahead { .. }), "{again:?}: {error}");
        assert_eq!(sim.object(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_the_first_process_finished_is_found() {
    let all = bytes(3 * K);
    for way in [Producer::Source, Producer::Pieces(K)] {
        for again in AGAIN {
            let sim = Sim::default();
            let clean = Sim::default();
            within(upload(&clean, &all, way)).await.expect("no faults");
            let last = clean.lock().calls.len() - 1;
            let faults = [
                (last, Fault::Lost(Retry::Query, Persisted::All)),
                (last + 1, Fault::Stalled),
            ];
            drop(sim);
            let sim = Sim::with(faults);
            let checkpoint = killed(&sim, &all, way).await.expect("it has started");
            assert!(sim.object().is_some());
            let result = within(resumed(&sim, &all, checkpoint, again)).await;
            check(&sim, &all, result, &format!("{way:?} {again:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_begins_again_where_byte_0_is_there() {
    let all = bytes(5 * K + 3);
    for again in AGAIN {
        let sim = Sim::with([(3, Fault::Stalled), (4, Fault::Gone)]);
        let checkpoint = killed(&sim, &all, Producer::Pieces(K))
            .await
            .expect("it has started");
        let result = within(resumed(&sim, &all, checkpoint, again)).await;
        match again {
            Again::FromTheCheckpoint => {
                let error = result.expect_err("byte 0 is gone");
                assert!(matches!(error, UploadError::CannotRestart { .. }), "{error}");
            }
            _ => check(&sim, &all, result, &format!("{again:?}")),
        }
    }
}
