//! DeleteObject and ComposeObjects (proto-spec.md, sections of the same names).

use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Address, Connection, Options as ClientOptions};
use gcsd_net::TcpConnector;
use gcsd_types::{ComposeSource, Crc32c, ObjectRef};
use gcsd_wire::{Kind, Reply, Request, Retry, compose_objects, delete_object, stat_object};

use crate::support::daemon::{BUCKET, Daemon, Options, destination, object_ref};
use crate::support::peer::Peer;

fn delete(change: impl FnOnce(&mut ObjectRef)) -> Request {
    let mut of = object_ref("it");
    change(&mut of);
    Request::DeleteObject(delete_object::Args { of })
}

fn compose(to: &str, from: &[&str]) -> compose_objects::Args {
    compose_objects::Args {
        destination: destination(to),
        sources: from
            .iter()
            .map(|name| ComposeSource::new(name.parse().expect("a name")))
            .collect(),
    }
}

#[tokio::test]
async fn a_deleted_object_is_gone() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "it", b"hello").await;
    let generation = daemon
        .devgcs
        .object(BUCKET, "it")
        .expect("it is there")
        .generation;
    let other = delete(|of| of.preconditions.if_generation_match = Some(generation + 1));
    client
        .call(0, other)
        .await
        .fails(Kind::PreconditionFailed, Retry::Never);
    let other = delete(|of| of.generation = Some(generation + 1));
    client.call(0, other).await.fails(Kind::NotFound, Retry::Never);
    assert!(daemon.has_object("it"));
    let frame = client
        .call(0, delete(|of| of.generation = Some(generation)))
        .await;
    assert_eq!(frame.ok(), Reply::DeleteObject(gcsd_wire::args::Done));
    assert_eq!((frame.head.http_status, frame.body.len()), (204, 0));
    assert!(!daemon.has_object("it"));
    client
        .call(0, delete(|_| ()))
        .await
        .fails(Kind::NotFound, Retry::Never);
    // What a deletion has no use for.
    let fields = delete(|of| of.fields = Some("name".into()));
    client.call(0, fields).await.fails(Kind::BadArgs, Retry::Never);
    let key = delete(|of| of.key = Some(gcsd_types::EncryptionKey::new([1; 32])));
    client.call(0, key).await.fails(Kind::BadArgs, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn objects_become_one() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "a #1", b"Hello, ").await;
    client.put(2, "b/ü", b"world").await;
    let generation = daemon
        .devgcs
        .object(BUCKET, "b/ü")
        .expect("it is there")
        .generation;
    let mut args = compose("both", &["a #1", "b/ü", "a #1"]);
    args.destination.metadata = Bytes::from_static(br#"{"contentType":"text/x"}"#);
    args.destination.preconditions.if_generation_match = Some(0);
    args.sources[1].generation = Some(generation);
    args.sources[1].if_generation_match = Some(generation);
    let frame = client.call(0, Request::ComposeObjects(args.clone())).await;
    let Reply::ComposeObjects(reply) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert_eq!(frame.head.http_status, 200);
    let whole = b"Hello, worldHello, ";
    assert_eq!(daemon.object("both").await, whole);
    assert_eq!((reply.object.size, reply.object.md5), (19, None));
    assert_eq!(reply.object.crc32c, Some(Crc32c::of(whole)));
    let json: serde_json::Value = serde_json::from_slice(&frame.body).expect("JSON");
    assert_eq!(
        (&json["contentType"], &json["componentCount"]),
        (&"text/x".into(), &3.into())
    );

    // It is there now, so that its condition does not hold any more.
    let again = client.call(0, Request::ComposeObjects(args.clone())).await;
    again.fails(Kind::PreconditionFailed, Retry::Never);
    // The reply has what it needs, whatever is asked for.
    args.destination.preconditions.if_generation_match = Some(reply.object.generation);
    args.destination.fields = Some("name".into());
    let frame = client.call(0, Request::ComposeObjects(args.clone())).await;
    let Reply::ComposeObjects(again) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert!(again.object.generation > reply.object.generation && again.object.size == 19);
    assert!(!String::from_utf8_lossy(&frame.body).contains("text/x"));
    args.destination.preconditions.if_generation_match = None;
    args.sources[1].if_generation_match = Some(7);
    let other = client.call(0, Request::ComposeObjects(args)).await;
    other.fails(Kind::PreconditionFailed, Retry::Never);
    let missing = client
        .call(0, Request::ComposeObjects(compose("x", &["absent"])))
        .await;
    missing.fails(Kind::NotFound, Retry::Never);
}

#[tokio::test]
async fn a_composition_has_1_to_32_sources_and_known_conditions() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "a", b"x").await;
    for (count, good) in [(0, false), (1, true), (32, true), (33, false)] {
        let args = compose("all", &vec!["a"; count]);
        let frame = client.call(0, Request::ComposeObjects(args)).await;
        match good {
            true => drop(frame.ok()),
            false => drop(frame.fails(Kind::BadArgs, Retry::Never)),
        }
    }
    assert_eq!(daemon.object("all").await, vec![b'x'; 32]);
    for bad in 0..3 {
        let mut args = compose("bad", &["a"]);
        match bad {
            0 => args.destination.preconditions.if_generation_not_match = Some(1),
            1 => args.destination.preconditions.if_metageneration_not_match = Some(1),
            _ => args.destination.metadata = Bytes::from_static(b"[]"),
        }
        let frame = client.call(0, Request::ComposeObjects(args)).await;
        frame.fails(Kind::BadArgs, Retry::Never);
    }
    assert!(!daemon.has_object("bad"));
    client.lives().await;
}

/// A daemon in front of a server that the test plays.
async fn before(peer: &Peer, grace: Duration) -> Daemon {
    Daemon::with(Options {
        endpoint: Some(format!("http://{}", peer.address())),
        grace,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_lost_answer_is_unknown_unless_it_can_only_happen_once() {
    let peer = Peer::listen().await;
    let daemon = before(&peer, Duration::ZERO).await;
    let mut client = daemon.connect().await;
    let mut pinned = compose("it", &["a"]);
    pinned.destination.preconditions.if_generation_match = Some(0);
    for (request, retry) in [
        (delete(|_| ()), Retry::Query),
        (delete(|of| of.generation = Some(5)), Retry::Same),
        (Request::ComposeObjects(compose("it", &["a"])), Retry::Query),
        (Request::ComposeObjects(pinned), Retry::Same),
    ] {
        let serve = async {
            let mut server = peer.accept().await;
            server.head().await;
            server.reset();
        };
        let (frame, ()) = tokio::join!(client.call(0, request), serve);
        frame.fails(Kind::Reset, retry);
    }
    client.lives().await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_change_says_that_it_is_unknown() {
    for (request, retry) in [
        (delete(|_| ()), Retry::Query),
        (delete(|of| of.generation = Some(5)), Retry::Reconnect),
    ] {
        let peer = Peer::listen().await;
        let mut daemon = before(&peer, Duration::ZERO).await;
        let mut client = daemon.connect().await;
        let sequence = client.begin(0, &request, 0).await;
        let mut server = peer.accept().await;
        server.head().await;
        daemon.stop();
        let frame = client.reply_to(sequence).await;
        frame.fails(Kind::Draining, retry);
        assert!(frame.head.closing());
    }
}

#[tokio::test]
async fn the_client_library_deletes_and_composes() {
    let daemon = Daemon::start().await;
    let mut raw = daemon.connect().await;
    raw.put(1, "a", b"x").await;
    let address: Address = daemon.address.to_string().parse().expect("an address");
    let connection = Connection::open(&TcpConnector, &address, &ClientOptions::default())
        .await
        .expect("connected");
    let composed = connection
        .compose_objects(&compose("b", &["a", "a"]))
        .await
        .expect("composed");
    assert_eq!(composed.args.object.size, 2);
    assert!(composed.json.starts_with(b"{"));
    let of = object_ref("b");
    let args = delete_object::Args { of: of.clone() };
    connection.delete_object(&args).await.expect("deleted");
    let error = connection.delete_object(&args).await.expect_err("gone");
    assert_eq!((error.name(), error.retry()), ("not_found", Retry::Never));
    let gone = connection.stat_object(&stat_object::Args { of }).await;
    assert_eq!(gone.expect_err("gone").name(), "not_found");
}
