//! WriteAt: what streams, what stalls, what is cut (proto-spec.md, "WriteAt").

use std::time::Duration;

use devgcs::CallKind;
use gcsd_types::Crc32c;
use gcsd_wire::{Kind, Request, Retry, write_at::Args};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::daemon::{
    Daemon, Options, PATIENCE, cancel_upload, finish_upload, pattern, query_upload, start_upload, write_at,
};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn the_body_reaches_gcs_before_it_is_complete() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "streamed").await;
    let body = pattern(4 * MIB);
    let sequence = client.begin(1, &write_at(0, Some(4 << 20)), 4 << 20).await;
    // From the very first byte on: nothing waits for more to come.
    for sent in [1, 2, 3, 1000, MIB, 4 * MIB - 1] {
        let before = daemon
            .devgcs
            .inspect()
            .session("streamed")
            .map_or(0, |session| session.received);
        let from = usize::try_from(before).expect("small");
        client.raw(&body[from..sent]).await;
        let arrived = daemon
            .devgcs
            .wait_for(PATIENCE, |state| {
                state
                    .session("streamed")
                    .is_some_and(|s| s.received == sent as u64)
            })
            .await;
        assert!(
            arrived,
            "{sent} bytes were sent, and not all arrived while the client withholds the rest"
        );
    }
    client.raw(&body[4 * MIB - 1..]).await;
    let progress = client.reply_to(sequence).await.progress();
    assert_eq!(progress.committed, 4 << 20);
    assert_eq!(
        (progress.received, progress.received_crc32c),
        (4 << 20, Crc32c::of(&body))
    );
    assert_eq!(progress.object.expect("finished").crc32c, Some(Crc32c::of(&body)));
    assert_eq!(daemon.object("streamed").await, body);
}

#[tokio::test]
async fn a_stalled_gcs_stalls_the_client() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "stalled").await;
    daemon.devgcs.pause_bodies(true);
    client.begin(1, &write_at(0, Some(1 << 30)), 1 << 30).await;
    // Far less than 1 GiB fits into the sockets' buffers and the daemon's one read buffer.
    let chunk = pattern(MIB);
    let mut sent = 0;
    while let Ok(written) = timeout(Duration::from_millis(500), client.stream.write(&chunk)).await {
        sent += written.expect("the connection lives");
        assert!(sent < 256 * MIB, "the daemon takes what GCS does not");
    }
    daemon.devgcs.pause_bodies(false);
    client.raw(&chunk).await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_no_object() {
    let daemon = Daemon::start().await;
    for (object, reset) in [("fin", false), ("rst", true)] {
        let mut client = daemon.connect().await;
        let token = client.start(1, object).await;
        client.begin(1, &write_at(0, Some(3 << 20)), 3 << 20).await;
        client.raw(&pattern(2 * MIB + 5)).await;
        daemon
            .devgcs
            .wait_for(PATIENCE, |state| {
                state.session(object).is_some_and(|s| s.received > 0)
            })
            .await;
        if reset {
            client.stream.set_zero_linger().expect("a socket option");
        }
        drop(client);
        let cut = daemon.devgcs.wait_for(PATIENCE, |state| {
            state.session(object).is_some_and(|s| s.writing == 0)
        });
        assert!(cut.await, "the PUT goes on though its client is gone");
        assert!(!daemon.has_object(object));
        // What arrived is not lost: another connection goes on.
        let mut client = daemon.connect().await;
        let attach = gcsd_wire::attach_upload::Args { token, key: None };
        client.call(7, Request::AttachUpload(attach)).await.ok();
        let committed = client.call(7, query_upload()).await.progress().committed;
        assert_eq!(committed % (256 * 1024), 0);
        let body = pattern(3 * MIB);
        let from = usize::try_from(committed).expect("small");
        let reply = client.write(7, committed, Some(3 << 20), &body[from..]).await;
        assert!(reply.progress().object.is_some());
        assert_eq!(daemon.object(object).await, body);
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_cut_and_told() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "short").await;
    let sequence = client.begin(1, &write_at(0, Some(100)), 100).await;
    client.raw(&pattern(99)).await;
    client.half_close().await;
    let reply = client.reply_to(sequence).await;
    // Whether anything had gone out by then is a matter of time.
    assert_eq!(reply.head.status.kind(), Some(Kind::BodyTruncated));
    assert!(matches!(
        reply.head.status.retry(),
        Some(Retry::Same | Retry::Query)
    ));
    assert!(reply.head.closing());
    client.closed().await;
    assert!(!daemon.has_object("short"));
}

#[tokio::test]
async fn a_client_that_stalls_in_a_body_is_told() {
    let mut options = Options::default();
    options.limits.client_timeout = Duration::from_millis(300);
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    client.start(1, "slow").await;
    let sequence = client.begin(1, &write_at(0, Some(100)), 100).await;
    client.raw(&pattern(50)).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::ClientStalled, Retry::Query);
    assert!(reply.head.closing());
    client.closed().await;
}

#[tokio::test]
async fn a_gcs_that_stalls_is_told_and_the_connection_lives() {
    let mut options = Options::default();
    options.limits.gcs_timeout = Duration::from_millis(300);
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    let upload = client.start_at_last("deaf").await;
    daemon.devgcs.pause_bodies(true);
    let reply = client.write(upload, 0, Some(100), &pattern(100)).await;
    reply.fails(Kind::GcsStalled, Retry::Query);
    assert!(!reply.head.closing());
    client
        .write(upload, 0, Some(100), &pattern(100))
        .await
        .fails(Kind::Unsettled, Retry::Query);
    daemon.devgcs.pause_bodies(false);
    // What lay in the sockets may have made it after all; or a write that is only slow runs into the clock again.
    while client
        .at_last(upload, &query_upload())
        .await
        .progress()
        .object
        .is_none()
    {
        let again = client.write(upload, 0, Some(100), &pattern(100)).await;
        if !again.stalled() {
            assert!(again.progress().object.is_some());
        }
    }
}

#[tokio::test]
async fn a_range_that_cannot_be_is_refused_without_a_call() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "ranges").await;
    let calls = daemon.devgcs.inspect().calls.len();
    client
        .write(1, 0, None, &pattern(100))
        .await
        .fails(Kind::BadAlignment, Retry::Never);
    client
        .write(1, 0, None, &[])
        .await
        .fails(Kind::BadBody, Retry::Never);
    client
        .write(1, 0, Some(99), &pattern(100))
        .await
        .fails(Kind::BadArgs, Retry::Never);
    let gap = client
        .write(1, 1 << 18, None, &pattern(1 << 18))
        .await
        .fails(Kind::Gap, Retry::Query);
    assert_eq!(gap.committed, Some(0));
    client
        .write(1, u64::MAX, Some(99), &pattern(100))
        .await
        .fails(Kind::BadArgs, Retry::Never);
    for total in [1 << 63, u64::MAX] {
        client
            .write(1, 0, Some(total), &pattern(100))
            .await
            .fails(Kind::BadArgs, Retry::Never);
        client
            .call(1, finish_upload(total))
            .await
            .fails(Kind::BadArgs, Retry::Never);
        let Request::StartUpload(mut start) = start_upload("too/large") else {
            panic!("it is one")
        };
        start.size = Some(total);
        client
            .call(2, Request::StartUpload(start))
            .await
            .fails(Kind::BadArgs, Retry::Never);
    }
    let lone = Request::WriteAt(Args {
        offset: 0,
        total: Some(5),
        object_crc32c: Some(Crc32c(1)),
        body_crc32c: None,
    });
    client.begin(1, &lone, 5).await;
    client.raw(b"hello").await;
    assert_eq!(
        daemon.devgcs.inspect().calls.len(),
        calls,
        "only the last may have reached GCS so far"
    );
    client
        .frame()
        .await
        .expect("a reply")
        .fails(Kind::ChecksumMismatch, Retry::Restart);
    assert!(!daemon.has_object("ranges"));
    client.lives().await;
}

#[tokio::test]
async fn ranges_of_every_shape_make_the_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let quarter = 256 * 1024;
    let body = pattern(3 * quarter + 17);
    client.start(1, "shapes").await;
    assert_eq!(
        client
            .write(1, 0, None, &body[..2 * quarter])
            .await
            .progress()
            .committed,
        2 * quarter as u64
    );
    // It ends where it may, and is too short for GCS.
    let calls = daemon.devgcs.inspect().calls.len();
    client
        .write(1, 100, None, &body[100..quarter])
        .await
        .fails(Kind::BadAlignment, Retry::Never);
    assert_eq!(daemon.devgcs.inspect().calls.len(), calls);
    // An overlap, whose resent bytes GCS ignores.
    let again = client.write(1, 5, None, &body[5..3 * quarter]).await.progress();
    assert_eq!(again.committed, 3 * quarter as u64);
    let end = client
        .write(
            1,
            3 * quarter as u64,
            Some(body.len() as u64),
            &body[3 * quarter..],
        )
        .await;
    assert_eq!(end.progress().object.expect("finished").size, body.len() as u64);
    assert!(!end.body.is_empty(), "the JSON resource comes along");
    assert_eq!(daemon.object("shapes").await, body);

    client.start(2, "empty").await;
    assert_eq!(
        client
            .write(2, 0, Some(0), &[])
            .await
            .progress()
            .object
            .expect("finished")
            .size,
        0
    );

    client.start(3, "finished apart").await;
    client.write(3, 0, None, &body[..quarter]).await.progress();
    let early = client
        .call(3, finish_upload(quarter as u64 + 1))
        .await
        .fails(Kind::Incomplete, Retry::Query);
    assert_eq!(early.committed, Some(quarter as u64));
    let finished = client.call(3, finish_upload(quarter as u64)).await.progress();
    assert_eq!(
        finished.object.expect("finished").crc32c,
        Some(Crc32c::of(&body[..quarter]))
    );
    client
        .write(3, 0, Some(1), b"x")
        .await
        .fails(Kind::UploadEnded, Retry::Never);
    assert!(client.call(3, query_upload()).await.progress().object.is_some());
}

#[tokio::test]
async fn what_is_pipelined_behind_a_failed_start_does_not_reach_gcs() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let Request::StartUpload(mut args) = start_upload("x") else {
        panic!("it is one")
    };
    args.destination.bucket = "no-such-bucket".parse().expect("a name");
    let start = client.begin(1, &Request::StartUpload(args), 0).await;
    let write = client.begin(1, &write_at(0, None), 1 << 18).await;
    client.raw(&pattern(1 << 18)).await;
    let finish = client.begin(1, &finish_upload(1 << 18), 0).await;
    let failed = client.reply_to(start).await;
    assert_eq!(failed.head.http_status, 404);
    failed.fails(Kind::NotFound, Retry::Never);
    let error = client
        .reply_to(write)
        .await
        .fails(Kind::UploadFailed, Retry::Never);
    assert!(error.message.contains("not_found"), "{}", error.message);
    client
        .reply_to(finish)
        .await
        .fails(Kind::UploadFailed, Retry::Never);
    assert_eq!(daemon.devgcs.inspect().calls.len(), 1);
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 1);
    // The id can be used again.
    client.put(1, "second try", b"bytes").await;
    assert_eq!(daemon.object("second try").await, b"bytes");
}

#[tokio::test]
async fn requests_on_other_uploads_overtake() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "slow").await;
    daemon.devgcs.pause_bodies(true);
    let slow = client.begin(1, &write_at(0, Some(4)), 4).await;
    client.raw(b"slow").await;
    client.lives().await;
    client.start(2, "other").await;
    let cancelled = client.call(2, cancel_upload()).await.ok();
    assert_eq!(
        cancelled,
        gcsd_wire::Reply::CancelUpload(gcsd_wire::cancel_upload::Reply::Cancelled)
    );
    daemon.devgcs.pause_bodies(false);
    assert!(client.reply_to(slow).await.progress().object.is_some());
}
