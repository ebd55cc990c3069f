//! Two writers on one upload: the later one fences the first (proto-spec.md, "Ordering and concurrency").

use gcsd_types::Crc32c;
use gcsd_wire::args::Empty;
use gcsd_wire::{Kind, Request, Retry, write_at::Args};
use tokio::task::JoinSet;

use crate::support::daemon::{
    Client, Daemon, Options, PATIENCE, attach, cancel_upload, finish_upload, pattern, query_upload, write_at,
};
use crate::support::peer::{Peer, active, response};
use crate::support::pieces::{data, end};
use crate::support::waiting::becomes;

const MIB: usize = 1 << 20;

/// A daemon whose clients may leave so much of a refused body that any test's rest is skipped.
async fn daemon() -> Daemon {
    let mut options = Options::default();
    options.limits.drain_cap = 1 << 30;
    Daemon::with(options).await
}

fn last(offset: u64, object: &[u8]) -> Request {
    Request::WriteAt(Args {
        offset,
        total: Some(object.len() as u64),
        object_crc32c: Some(Crc32c::of(object)),
        body_crc32c: None,
    })
}

/// Attaches as `upload`, asks what is committed, and writes the rest of `object`.
async fn take_over(client: &mut Client, upload: u32, token: &str, object: &[u8]) {
    client.call(upload, attach(token)).await.ok();
    let committed = client.call(upload, query_upload()).await.progress().committed;
    let rest = &object[usize::try_from(committed).expect("small")..];
    let sequence = client
        .begin(upload, &last(committed, object), rest.len() as u64)
        .await;
    client.raw(rest).await;
    let written = client.reply_to(sequence).await.progress();
    assert_eq!(written.object.expect("finished").crc32c, Some(Crc32c::of(object)));
}

/// Waits for what connections held to go with them: their tasks notice in their own time.
async fn nothing_is_held(daemon: &Daemon) {
    becomes(|| daemon.fences.uploads() == 0).await;
}

/// All that is left to do with the upload is to detach it.
async fn is_fenced(client: &mut Client, upload: u32) {
    for request in [query_upload(), finish_upload(1), cancel_upload()] {
        let reply = client.call(upload, request).await;
        assert!(reply.fails(Kind::Fenced, Retry::Never).committed.is_some());
        assert!(!reply.head.closing());
    }
    let reply = client.write(upload, 0, None, &pattern(1 << 18)).await;
    assert!(reply.fails(Kind::Fenced, Retry::Never).committed.is_some());
    client.call(upload, Request::DetachUpload(Empty)).await.ok();
    client
        .call(upload, query_upload())
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn a_zombie_in_the_middle_of_a_body_is_cut() {
    let daemon = daemon().await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(3 * MIB);
    let token = zombie.start(1, "body").await;
    zombie.write(1, 0, None, &object[..MIB]).await.progress();
    let sequence = zombie
        .begin(1, &last(1 << 20, &object), object.len() as u64 - (1 << 20))
        .await;
    zombie.raw(&object[MIB..2 * MIB + 5]).await;
    let arrived = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.session("body").is_some_and(|s| s.received > 2 * MIB as u64)
    });
    assert!(arrived.await, "the zombie's bytes do not arrive");
    take_over(&mut owner, 9, &token, &object).await;
    // It learns so at once, though it owes bytes.
    let reply = zombie.reply_to(sequence).await;
    assert_eq!(
        reply.fails(Kind::Fenced, Retry::Never).committed,
        Some(1 << 20),
        "what GCS had told this connection"
    );
    zombie.raw(&object[2 * MIB + 5..]).await;
    is_fenced(&mut zombie, 1).await;
    assert_eq!(daemon.object("body").await, object);
    assert_eq!(
        daemon.devgcs.inspect().session("body").map(|s| s.writing),
        Some(0)
    );
}

#[tokio::test]
async fn a_zombie_between_two_pieces_is_cut() {
    let daemon = daemon().await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(2 * MIB);
    let token = zombie.start(1, "pieces").await;
    let sequence = zombie.begin_streamed(1, &write_at(0, None)).await;
    zombie.raw(&data(&object[..MIB])).await;
    take_over(&mut owner, 1, &token, &object).await;
    zombie.reply_to(sequence).await.fails(Kind::Fenced, Retry::Never);
    // What it still has to say, and its end, are skipped.
    zombie.raw(&data(&object[MIB..])).await;
    zombie.raw(&end(None)).await;
    is_fenced(&mut zombie, 1).await;
    assert_eq!(daemon.object("pieces").await, object);
}

#[tokio::test]
async fn a_zombie_that_owes_more_than_is_skipped_loses_its_connection() {
    let daemon = Daemon::start().await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(MIB);
    let token = zombie.start(1, "much").await;
    // Not the last range: GCS keeps a total that it was given, and it would bind the owner, too.
    let sequence = zombie.begin(1, &write_at(0, None), 1 << 40).await;
    zombie.raw(&object[..1000]).await;
    let begun = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.session("much").is_some_and(|s| s.received == 1000)
    });
    assert!(begun.await, "the zombie's PUT does not begin");
    take_over(&mut owner, 1, &token, &object).await;
    let reply = zombie.reply_to(sequence).await;
    reply.fails(Kind::Fenced, Retry::Never);
    assert!(reply.head.closing());
    assert_eq!(daemon.object("much").await, object);
}

#[tokio::test]
async fn a_zombie_that_gcs_stalls_does_not_stall_the_owner() {
    let daemon = daemon().await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(3 * MIB);
    let token = zombie.start(1, "stalled").await;
    daemon.devgcs.pause_bodies(true);
    let sequence = zombie.begin(1, &last(0, &object), object.len() as u64).await;
    zombie.raw(&object).await;
    let stuck = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.session("stalled").is_some_and(|s| s.writing == 1)
    });
    assert!(stuck.await, "the zombie's PUT does not begin");
    owner.call(1, attach(&token)).await.ok();
    zombie.reply_to(sequence).await.fails(Kind::Fenced, Retry::Never);
    daemon.devgcs.pause_bodies(false);
    let committed = owner.call(1, query_upload()).await.progress().committed;
    let rest = &object[usize::try_from(committed).expect("small")..];
    let reply = owner.write(1, committed, Some(object.len() as u64), rest).await;
    assert!(reply.progress().object.is_some());
    is_fenced(&mut zombie, 1).await;
    assert_eq!(daemon.object("stalled").await, object);
}

/// Seen from GCS: when AttachUpload is answered, the connection of the zombie's PUT is closed, whatever it was
/// doing, and only then another request comes.
#[tokio::test]
async fn the_zombies_request_is_gone_before_the_attach_is_answered() {
    let gcs = Peer::listen().await;
    let daemon = Daemon::with(Options {
        endpoint: Some(format!("http://{}", gcs.address())),
        ..Options::default()
    })
    .await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let body = pattern(1 << 18);
    for finish in [false, true] {
        let start = async {
            let mut put = gcs.accept().await;
            put.head().await;
            let location = format!("Location: http://{}/session?upload_id=secret\r\n", gcs.address());
            put.send(response(
                "200 OK",
                &format!("{location}Connection: close\r\n"),
                "",
            ))
            .await;
        };
        let (token, ()) = tokio::join!(zombie.start(1, "o"), start);
        // GCS has all of it, and does not answer.
        let sequence = if finish {
            zombie.begin(1, &finish_upload(0), 0).await
        } else {
            let sequence = zombie.begin(1, &write_at(0, None), body.len() as u64).await;
            zombie.raw(&body).await;
            sequence
        };
        let mut put = gcs.accept().await;
        assert!(put.head().await.starts_with("PUT /session"));
        if !finish {
            put.body(body.len()).await;
        }
        owner.call(1, attach(&token)).await.ok();
        assert_eq!(put.count_to_end().await, 0);
        zombie.reply_to(sequence).await.fails(Kind::Fenced, Retry::Never);
        let query = async {
            let mut query = gcs.accept().await;
            assert!(query.head().await.contains("bytes */*"));
            query.send(active(Some("bytes=0-262143"))).await;
            query
        };
        let (reply, _query) = tokio::join!(owner.call(1, query_upload()), query);
        assert_eq!(reply.progress().committed, 1 << 18);
        // A fenced id is free again.
        owner.call(1, Request::DetachUpload(Empty)).await.ok();
    }
}

#[tokio::test]
async fn an_idle_zombie_finds_out_when_it_comes_back() {
    let daemon = Daemon::start().await;
    let (mut zombie, mut owner) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(MIB);
    let token = zombie.start(1, "idle").await;
    zombie.write(1, 0, None, &object[..1 << 19]).await.progress();
    owner.call(5, attach(&token)).await.ok();
    is_fenced(&mut zombie, 1).await;
    // It may take the upload back, if it means to.
    take_over(&mut zombie, 1, &token, &object).await;
    is_fenced(&mut owner, 5).await;
    assert_eq!(daemon.object("idle").await, object);
}

#[tokio::test]
async fn a_second_id_on_the_same_connection_fences_the_first() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let object = pattern(MIB);
    let token = client.start(1, "twice").await;
    client
        .call(1, attach(&token))
        .await
        .fails(Kind::UploadInUse, Retry::Never);
    client.write(1, 0, None, &object[..1 << 18]).await.progress();
    client.call(2, attach(&token)).await.ok();
    client
        .call(1, query_upload())
        .await
        .fails(Kind::Fenced, Retry::Never);
    // The id of a fenced upload is free.
    take_over(&mut client, 1, &token, &object).await;
    // What has ended is nobody's any more: it is neither fenced nor fences.
    assert!(client.call(1, query_upload()).await.progress().object.is_some());
    client.call(3, attach(&token)).await.ok();
    assert!(client.call(3, query_upload()).await.progress().object.is_some());
    assert!(client.call(1, query_upload()).await.progress().object.is_some());
    client
        .call(2, query_upload())
        .await
        .fails(Kind::Fenced, Retry::Never);
}

#[tokio::test]
async fn nothing_is_held_longer_than_it_is_open() {
    let daemon = Daemon::start().await;
    let (mut one, mut two) = (daemon.connect().await, daemon.connect().await);
    let object = pattern(1 << 18);
    one.put(1, "finished", &object).await;
    assert_eq!(daemon.fences.uploads(), 0, "a finished upload is still held");
    let token = one.start(1, "a").await;
    one.start(2, "b").await;
    two.start(1, "c").await;
    two.call(2, attach(&token)).await.ok();
    assert_eq!(daemon.fences.uploads(), 3);
    one.call(2, cancel_upload()).await.ok();
    assert_eq!(daemon.fences.uploads(), 2, "a cancelled upload is still held");
    two.call(1, Request::DetachUpload(Empty)).await.ok();
    assert_eq!(daemon.fences.uploads(), 1, "a detached upload is still held");
    drop((one, two));
    nothing_is_held(&daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_attaches_has_one_winner_and_one_object() {
    let daemon = daemon().await;
    let object = pattern(2 * MIB);
    let token = daemon.connect().await.start(1, "storm").await;
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let (mut client, token, object) = (daemon.connect().await, token.clone(), object.clone());
        writers.spawn(async move {
            // All that a writer does is right or fenced; `true` for whoever saw the object.
            for upload in 1..=8 {
                let reply = client.call(upload, attach(&token)).await;
                if !reply.head.status.is_ok() {
                    reply.fails(Kind::Fenced, Retry::Never);
                    continue;
                }
                let reply = client.call(upload, query_upload()).await;
                if !reply.head.status.is_ok() {
                    reply.fails(Kind::Fenced, Retry::Never);
                    continue;
                }
                let progress = reply.progress();
                if progress.object.is_some() {
                    return true;
                }
                let rest = &object[usize::try_from(progress.committed).expect("small")..];
                let sequence = client
                    .begin(upload, &last(progress.committed, &object), rest.len() as u64)
                    .await;
                client.raw(rest).await;
                let reply = client.reply_to(sequence).await;
                if reply.head.status.is_ok() {
                    return true;
                }
                reply.fails(Kind::Fenced, Retry::Never);
            }
            false
        });
    }
    let seen = writers.join_all().await;
    assert!(seen.contains(&true), "nobody finished");
    assert_eq!(daemon.object("storm").await, object);
    nothing_is_held(&daemon).await;
}
