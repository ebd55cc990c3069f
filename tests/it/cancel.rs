//! Cancel: what it ends, what it leaves, and that it is heard (proto-spec.md, "Cancel").

use devgcs::CallKind;
use gcsd_wire::cancel::{Args, CancelOutcome};
use gcsd_wire::{Kind, Opcode, Reply, Request, Retry, ping, read_at, stat_object};

use crate::support::daemon::{
    Client, Daemon, Frame, Options, behind, finish_upload, object_ref, pattern, put_object, query_upload,
    start_upload, write_at,
};
use crate::support::peer::Peer;

const MIB: usize = 1 << 20;

fn cancel(target: u64) -> Request {
    Request::Cancel(Args { target })
}

fn stat(object: &str) -> Request {
    Request::StatObject(stat_object::Args {
        of: object_ref(object),
    })
}

fn delete(object: &str) -> Request {
    Request::DeleteObject(gcsd_wire::delete_object::Args {
        of: object_ref(object),
    })
}

fn read(object: &str) -> Request {
    Request::ReadAt(read_at::Args {
        of: object_ref(object),
        range: read_at::Range::From(0),
        decompress: false,
    })
}

fn outcome(reply: &Frame) -> CancelOutcome {
    match reply.ok() {
        Reply::Cancel(reply) => reply.outcome,
        other => panic!("{other:?}"),
    }
}

/// Cancels `target`, which must be in flight; its last frame, which stands before Cancel's reply.
async fn cancelled(client: &mut Client, target: u64, retry: Retry) -> Frame {
    let sequence = client.begin(0, &cancel(target), 0).await;
    let last = client.reply_to(target).await;
    last.fails(Kind::Cancelled, retry);
    assert!(!last.head.closing() && !last.head.more());
    assert_eq!(outcome(&client.reply_to(sequence).await), CancelOutcome::Ended);
    last
}

#[tokio::test]
async fn a_call_is_cut_at_gcs_and_its_class_says_whether_that_matters() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    for (request, retry) in [
        (stat("an/object"), Retry::Same),
        (delete("an/object"), Retry::Query),
        (read("an/object"), Retry::Same),
    ] {
        let target = client.begin(0, &request, 0).await;
        let mut call = peer.accept().await;
        call.head().await;
        cancelled(&mut client, target, retry).await;
        // Whatever GCS has not taken yet, it does not get.
        call.end().await;
        client.lives().await;
    }
}

#[tokio::test]
async fn what_is_not_in_flight_cannot_be_ended() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let answered = client.begin(0, &stat("no/object"), 0).await;
    client
        .reply_to(answered)
        .await
        .fails(Kind::NotFound, Retry::Never);
    for target in [answered, 0, 1 << 40, answered + 4] {
        // The last is that of the Cancel itself.
        let reply = client.call(0, cancel(target)).await;
        assert_eq!(outcome(&reply), CancelOutcome::NotInFlight);
    }
}

#[tokio::test]
async fn a_request_that_ends_by_itself_keeps_its_answer_and_each_has_one() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "raced", b"bytes").await;
    for _ in 0..200 {
        let target = client.begin(0, &stat("raced"), 0).await;
        let sequence = client.begin(0, &cancel(target), 0).await;
        let last = client.reply_to(target).await;
        if last.head.status.is_ok() {
            last.ok();
        } else {
            last.fails(Kind::Cancelled, Retry::Same);
        }
        outcome(&client.reply_to(sequence).await);
    }
    client.lives().await;
}

#[tokio::test]
async fn a_read_that_nobody_wants_ends_and_the_connection_goes_on() {
    let daemon = Daemon::with(Options {
        max_calls: 1,
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    let body = pattern(64 * MIB);
    client.put(1, "large", &body).await;
    let target = client.begin(0, &read("large"), 0).await;
    client.reply_to(target).await.ok();
    // One stream a connection: a Ping waits behind what is under way, and for no more than that.
    let ping = client.begin(0, &Request::Ping(ping::Args::default()), 0).await;
    let sequence = client.begin(0, &cancel(target), 0).await;
    let (mut came, mut pinged) = (0, false);
    let last = loop {
        let frame = client.frame().await.expect("a reply");
        if frame.head.sequence == ping {
            frame.ok();
            pinged = true;
            continue;
        }
        assert_eq!(frame.head.sequence, target);
        came += frame.body.len();
        if !frame.head.more() {
            break frame;
        }
    };
    last.fails(Kind::Cancelled, Retry::Same);
    assert!(pinged && came < body.len());
    assert_eq!(outcome(&client.reply_to(sequence).await), CancelOutcome::Ended);
    // The one call that the daemon makes at a time is free again.
    assert!(client.call(0, stat("large")).await.head.status.is_ok());
}

#[tokio::test]
async fn a_write_whose_answer_is_outstanding_leaves_the_upload_unsettled() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "cancelled/write").await;
    let body = pattern(MIB);
    assert_eq!(
        client.write(1, 0, None, &body).await.progress().committed,
        1 << 20
    );
    daemon.devgcs.pause_bodies(true);
    let target = client.begin(1, &write_at(1 << 20, Some((1 << 20) + 9)), 9).await;
    client.raw(b"last word").await;
    let error = cancelled(&mut client, target, Retry::Query).await.error();
    assert_eq!(error.committed, Some(1 << 20));
    client
        .call(1, finish_upload(1 << 20))
        .await
        .fails(Kind::Unsettled, Retry::Query);
    daemon.devgcs.pause_bodies(false);
    // What was on its way when the connection was cut may have arrived.
    let progress = client.call(1, query_upload()).await.progress();
    if progress.object.is_none() {
        let rest = &b"last word"[usize::try_from(progress.committed).expect("small") - MIB..];
        let reply = client
            .write(1, progress.committed, Some((1 << 20) + 9), rest)
            .await;
        assert!(reply.progress().object.is_some());
    }
    assert_eq!(
        daemon.object("cancelled/write").await,
        [&body[..], b"last word"].concat()
    );
}

#[tokio::test]
async fn a_put_whose_answer_is_outstanding_may_have_made_the_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut pinned = put_object("cancelled/put");
    pinned.destination.preconditions.if_generation_match = Some(0);
    for (args, retry) in [(pinned, Retry::Same), (put_object("cancelled/put"), Retry::Query)] {
        daemon.devgcs.pause_bodies(true);
        let target = client.begin(0, &Request::PutObject(args), 5).await;
        client.raw(b"bytes").await;
        cancelled(&mut client, target, retry).await;
        daemon.devgcs.pause_bodies(false);
    }
    client.lives().await;
}

#[tokio::test]
async fn what_waits_for_its_turn_is_ended_and_nothing_behind_it_overtakes() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "queue").await;
    daemon.devgcs.pause_bodies(true);
    let body = pattern(256 * 1024);
    let write = client.begin(1, &write_at(0, None), body.len() as u64).await;
    // Small enough for the buffers below: the daemon has all of it, and waits for the answer.
    client.raw(&body).await;
    let queries = [
        client.begin(1, &query_upload(), 0).await,
        client.begin(1, &query_upload(), 0).await,
    ];
    let finish = client.begin(1, &finish_upload(body.len() as u64), 0).await;
    for query in queries {
        let error = cancelled(&mut client, query, Retry::Same).await.error();
        assert_eq!(error.committed, Some(0));
    }
    daemon.devgcs.pause_bodies(false);
    assert_eq!(
        client.reply_to(write).await.progress().committed,
        body.len() as u64
    );
    let reply = client.reply_to(finish).await;
    assert_eq!(reply.head.opcode, Opcode::FinishUpload as u8);
    assert!(reply.progress().object.is_some());
    assert_eq!(daemon.devgcs.inspect().count(CallKind::QueryUpload), 0);
}

#[tokio::test]
async fn a_start_that_is_ended_binds_nothing() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    let start = client.begin(1, &start_upload("cancelled/start"), 0).await;
    let query = client.begin(1, &query_upload(), 0).await;
    let mut call = peer.accept().await;
    call.head().await;
    let sequence = client.begin(0, &cancel(start), 0).await;
    client.reply_to(start).await.fails(Kind::Cancelled, Retry::Same);
    let frames = [
        client.frame().await.expect("a reply"),
        client.frame().await.expect("a reply"),
    ];
    for frame in frames {
        match frame.head.sequence {
            of if of == query => drop(frame.fails(Kind::UploadFailed, Retry::Never)),
            of => assert_eq!((of, outcome(&frame)), (sequence, CancelOutcome::Ended)),
        }
    }
    // The id is free.
    let again = client.begin(1, &start_upload("cancelled/start"), 0).await;
    let mut call = peer.accept().await;
    call.head().await;
    cancelled(&mut client, again, Retry::Same).await;
}

#[tokio::test]
async fn a_cancel_and_a_ping_have_a_place_beside_all_others() {
    let peer = Peer::listen().await;
    let mut options = Options {
        endpoint: Some(format!("http://{}", peer.address())),
        ..Options::default()
    };
    options.limits.max_in_flight = 2;
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    let first = client.begin(0, &stat("one"), 0).await;
    let second = client.begin(0, &stat("two"), 0).await;
    let calls = [peer.accept().await, peer.accept().await];
    // Each is answered, however many there are.
    for _ in 0..3 {
        client.lives().await;
    }
    let third = client.begin(0, &stat("three"), 0).await;
    drop(calls);
    for _ in [first, second] {
        let reply = client.frame().await.expect("a reply");
        assert!([first, second].contains(&reply.head.sequence));
    }
    let mut call = peer.accept().await;
    call.head().await;
    cancelled(&mut client, third, Retry::Same).await;
}
