//! Complete, abort, shutdown, drop: at every moment.

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::sim::{Call, Fault, Persisted};
use super::*;
use gcsd_wire::Retry;

const SECOND: Duration = Duration::from_secs(1);

/// A writer with two chunks and a bit in it, left alone until nothing moves any more.
async fn under_way(sim: &Sim) -> ReliableWriter {
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    within(writer.write_bytes(bytes(2 * K + 9))).await.expect("room");
    tokio::time::sleep(SECOND).await;
    writer
}

#[tokio::test(start_paused = true)]
async fn a_producer_with_nothing_to_write_learns_of_a_failure() {
    let sim = Sim::with([(1, Fault::Unsent(Retry::Never))]);
    let mut writer = under_way(&sim).await;
    let failed = within(writer.failed()).await;
    assert!(matches!(failed, UploadError::GivenUp(_)), "{failed}");
    // While nothing fails, there is nothing to learn.
    let mut writer = under_way(&Sim::with([])).await;
    let failed = tokio::time::timeout(SECOND * 1000, writer.failed()).await;
    assert!(failed.is_err(), "{failed:?}");
    within(writer.complete()).await.expect("no faults");
}

#[tokio::test(start_paused = true)]
async fn an_abort_at_every_call_cancels_and_leaks_nothing() {
    // Whatever is under way stands still, or is about to fail.
    for at in 0..2 {
        for fault in [
            Fault::Stalled,
            Fault::Unsent(Retry::Same),
            Fault::Lost(Retry::Reconnect, Persisted::Odd),
        ] {
            if (at, fault) == (0, Fault::Stalled) {
                // A start that hangs is waited for: see the next test.
                continue;
            }
            let sim = Sim::with([(at, fault)]);
            let writer = under_way(&sim).await;
            assert_eq!(within(writer.abort()).await, Aborted::Cancelled, "{at} {fault:?}");
            // An answer to a start that is lost leaves one that nobody knows.
            let lost = usize::from(at == 0 && matches!(fault, Fault::Lost(..)));
            assert_eq!(sim.open_sessions(), lost, "{at} {fault:?}");
            assert_eq!(sim.object(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_waits_for_a_start_under_way() {
    let sim = Sim::with([(0, Fault::Late(SECOND * 20))]);
    let writer = under_way(&sim).await;
    assert_eq!(within(writer.abort()).await, Aborted::Cancelled);
    assert_eq!(sim.lock().sessions.len(), 1);
    assert_eq!(sim.open_sessions(), 0);
    // But not for ever.
    let sim = Sim::with([(0, Fault::Stalled)]);
    let writer = under_way(&sim).await;
    let start = Instant::now();
    assert_eq!(within(writer.abort()).await, Aborted::Cancelled);
    assert_eq!(start.elapsed().as_secs(), 30);
    // Nothing was there.
    let sim = Sim::with([(0, Fault::Unsent(Retry::Same)), (1, Fault::Unsent(Retry::Same))]);
    let writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    assert_eq!(within(writer.abort()).await, Aborted::Cancelled);
    assert!(sim.lock().sessions.len() <= 1);
    assert_eq!(sim.open_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_tried_again_until_gcs_was_told() {
    for fault in [
        Fault::Unsent(Retry::Same),
        Fault::Unsent(Retry::Query),
        Fault::Unsent(Retry::Reconnect),
    ] {
        let clean = Sim::default();
        let calls = {
            drop(under_way(&clean).await);
            clean.lock().calls.len()
        };
        let sim = Sim::with((calls..calls + 3).map(|at| (at, fault)));
        let writer = under_way(&sim).await;
        assert_eq!(within(writer.abort()).await, Aborted::Cancelled, "{fault:?}");
        assert_eq!(sim.open_sessions(), 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_what_it_could_not_find_out() {
    // GCS cannot be reached.
    let sim = Sim::default();
    let writer = under_way(&sim).await;
    sim.lock().broken = Some(Fault::Unsent(Retry::Same));
    let start = Instant::now();
    match within(writer.abort()).await {
        Aborted::Unknown { error: Some(failure) } => assert_eq!(failure.retry(), Retry::Same),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() < SECOND * 31);
    // It never answers.
    let sim = Sim::default();
    let writer = under_way(&sim).await;
    sim.lock().broken = Some(Fault::Stalled);
    let start = Instant::now();
    let aborted = within(writer.abort()).await;
    assert!(
        matches!(aborted, Aborted::Unknown { error: Some(_) }),
        "{aborted:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 30);
    // GCS does not know it, or refuses.
    let sim = Sim::default();
    let writer = under_way(&sim).await;
    sim.lock().broken = Some(Fault::Gone);
    assert_eq!(within(writer.abort()).await, Aborted::Unknown { error: None });
    let sim = Sim::default();
    let writer = under_way(&sim).await;
    sim.lock().broken = Some(Fault::Unsent(Retry::Never));
    let aborted = within(writer.abort()).await;
    assert!(
        matches!(aborted, Aborted::Unknown { error: Some(_) }),
        "{aborted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_abort_after_the_end_says_so() {
    let all = bytes(K + 1);
    // It is known.
    let sim = Sim::default();
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    writer.write_all(&all).await.expect("room");
    writer.shutdown().await.expect("no faults");
    let aborted = within(writer.abort()).await;
    assert_eq!(aborted, Aborted::AlreadyFinished { generation: 100 });
    // The last answer is on its way.
    let sim = Sim::with([
        (1, Fault::Lost(Retry::Query, Persisted::All)),
        (2, Fault::Stalled),
    ]);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    writer.write_all(&all).await.expect("room");
    let shutdown = tokio::time::timeout(SECOND * 9, writer.shutdown()).await;
    assert!(shutdown.is_err(), "the query hangs");
    assert!(sim.object().is_some());
    let aborted = within(writer.abort()).await;
    assert_eq!(aborted, Aborted::AlreadyFinished { generation: 100 });
}

#[tokio::test(start_paused = true)]
async fn an_abort_after_an_error_still_cancels() {
    let sim = Sim::with([(1, Fault::Unsent(Retry::Never))]);
    let mut writer = under_way(&sim).await;
    let error = within(writer.write_bytes(bytes(1)))
        .await
        .expect_err("it has failed");
    assert!(
        matches!(error, UploadError::GivenUp(GivenUp::Refused(_))),
        "{error}"
    );
    assert_eq!(sim.open_sessions(), 1, "it could be resumed");
    assert_eq!(within(writer.abort()).await, Aborted::Cancelled);
    assert_eq!(sim.open_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drop_finishes_nothing_and_ends_the_task() {
    for at in 0..2 {
        let sim = Sim::with([(at, Fault::Stalled)]);
        drop(under_way(&sim).await);
        tokio::time::sleep(SECOND * 1000).await;
        let calls = sim.lock().calls.len();
        assert_eq!(sim.object(), None);
        assert_eq!(calls, at + 1, "nothing was asked after the drop");
    }
    // All the bytes of a declared size are there: the end was not said.
    let sim = Sim::default().declared(2 * K as u64 + 9);
    drop(under_way(&sim).await);
    tokio::time::sleep(SECOND * 1000).await;
    assert_eq!(sim.object(), None);
    // The future of `complete` is dropped before anything was finished.
    let sim = Sim::with([(1, Fault::Stalled)]);
    let writer = under_way(&sim).await;
    let complete = tokio::time::timeout(SECOND, writer.complete()).await;
    assert!(complete.is_err());
    tokio::time::sleep(SECOND * 1000).await;
    assert_eq!((sim.object(), sim.lock().calls.len()), (None, 2));
    // So is a source's.
    let sim = Sim::with([(1, Fault::Stalled)]);
    let upload = ReliableUpload::start(sim.clone(), bytes(K), retries());
    assert!(tokio::time::timeout(SECOND, upload.complete()).await.is_err());
    tokio::time::sleep(SECOND * 1000).await;
    assert_eq!((sim.object(), sim.lock().calls.len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn a_source_is_aborted_as_a_producer_is() {
    for at in 1..3 {
        let sim = Sim::with([(at, Fault::Stalled)]);
        let upload = ReliableUpload::start(sim.clone(), bytes(5 * K), retries());
        tokio::time::sleep(SECOND).await;
        assert_eq!(within(upload.abort()).await, Aborted::Cancelled);
        assert_eq!(sim.open_sessions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_the_end_of_an_async_write() {
    let all = bytes(3 * K + 1);
    let sim = Sim::with([(2, Fault::Lost(Retry::Query, Persisted::Odd))]);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    let mut reader = &all[..];
    tokio::io::copy(&mut reader, &mut writer).await.expect("copied");
    writer.flush().await.expect("nothing wrong");
    writer.shutdown().await.expect("recovered");
    let calls = sim.lock().calls.len();
    let error = writer.write_all(b"more").await.expect_err("after the end");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let error = writer.write_bytes(bytes(1)).await.expect_err("after the end");
    assert_eq!(error, UploadError::AfterEnd);
    writer.shutdown().await.expect("still well");
    let result = writer.complete().await;
    check(&sim, &all, result, "shutdown");
    assert_eq!(sim.lock().calls.len(), calls);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_whoever_asks_next_and_every_time() {
    let sim = Sim::with([(1, Fault::Unsent(Retry::Never))]);
    let mut writer = under_way(&sim).await;
    writer.flush().await.expect_err("refused");
    let error = writer.write_all(b"x").await.expect_err("refused");
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<UploadError>());
    assert!(
        matches!(inner, Some(UploadError::GivenUp(GivenUp::Refused(_)))),
        "{error}"
    );
    writer.shutdown().await.expect_err("refused");
    assert!(writer.write_bytes(bytes(1)).await.is_err());
    let error = writer.complete().await.expect_err("refused");
    assert!(
        matches!(error, UploadError::GivenUp(GivenUp::Refused(_))),
        "{error}"
    );
    // A producer that waits for room is told as well.
    let sim = Sim::with([(1, Fault::Late(SECOND * 9)), (2, Fault::Unsent(Retry::Never))]);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    let error = within(writer.write_bytes(bytes(50 * K)))
        .await
        .expect_err("refused");
    assert!(
        matches!(error, UploadError::GivenUp(GivenUp::Refused(_))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_and_shown() {
    let all = bytes(4 * K);
    let faults = [
        (0, Fault::Unsent(Retry::Same)),
        (2, Fault::Lost(Retry::Query, Persisted::Nothing)),
        (4, Fault::Lost(Retry::Reconnect, Persisted::All)),
    ];
    let sim = Sim::with(faults);
    let mut upload = ReliableUpload::start(sim.clone(), all.clone(), retries());
    let token = within(upload.token()).await.expect("it starts");
    assert_eq!(token.expose(), "0");
    assert!(
        !format!("{upload:?}").contains(r#"Token("0""#),
        "a token is a secret"
    );
    let reports = upload.reports();
    within(upload.wait()).await.expect("recovered");
    let report = reports.borrow().clone();
    assert_eq!(
        (report.repeats, report.queries, report.reconnects, report.restarts),
        (1, 1, 1, 0)
    );
    assert_eq!(report.recovered(), 3);
    let calls = sim.lock().calls.clone();
    assert!(calls.contains(&Call::Attach), "{calls:?}");
    // No token where nothing starts.
    let sim = Sim::with([(0, Fault::Unsent(Retry::Never))]);
    let mut writer = ReliableWriter::start(sim, &options()).expect("good options");
    let error = within(writer.token()).await.expect_err("refused");
    assert!(
        matches!(error, UploadError::GivenUp(GivenUp::Refused(_))),
        "{error}"
    );
}
