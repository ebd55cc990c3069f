//! RewriteObject, PatchObject and MoveObject (proto-spec.md, sections of the same names).

use bytes::Bytes;
use gcsd_client::{Address, Connection, Options as ClientOptions};
use gcsd_net::TcpConnector;
use gcsd_types::{Crc32c, Rewrite, Rewritten};
use gcsd_wire::{Kind, Reply, Request, Retry, move_object, patch_object, rewrite_object};

use crate::support::daemon::{BUCKET, Client, Daemon, Options, destination, object_ref, pattern};
use crate::support::peer::Peer;

fn rewrite(from: &str, to: &str) -> Rewrite {
    Rewrite {
        source: object_ref(from),
        destination: destination(to),
        max_bytes: None,
        token: None,
    }
}

fn ask(rewrite: &Rewrite) -> Request {
    let rewrite = Box::new(rewrite.clone());
    Request::RewriteObject(rewrite_object::Args { rewrite })
}

async fn step(client: &mut Client, rewrite: &Rewrite) -> (Rewritten, serde_json::Value) {
    let frame = client.call(0, ask(rewrite)).await;
    let Reply::RewriteObject(reply) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert_eq!(frame.head.http_status, 200);
    (
        reply.rewritten,
        serde_json::from_slice(&frame.body).expect("JSON"),
    )
}

#[tokio::test]
async fn a_copy_is_made_in_steps() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let bytes = pattern((5 << 20) / 2);
    client.put(1, "from", &bytes).await;
    let generation = daemon
        .devgcs
        .object(BUCKET, "from")
        .expect("it is there")
        .generation;
    let mut copy = rewrite("from", "to #/ü");
    copy.max_bytes = Some(1 << 20);
    copy.source.generation = Some(generation);
    copy.destination.preconditions.if_generation_match = Some(0);
    for done in [1 << 20, 2 << 20] {
        let (made, json) = step(&mut client, &copy).await;
        assert_eq!((made.rewritten, made.size), (done, bytes.len() as u64));
        assert_eq!((made.object, json["done"].as_bool()), (None, Some(false)));
        assert!(made.token.is_some() && !daemon.has_object("to #/ü"));
        // The same step again does no harm.
        assert_eq!(step(&mut client, &copy).await.0.rewritten, done);
        copy.token = made.token;
    }
    // The reply has what it needs, whatever is asked for.
    copy.destination.fields = Some("resource(name)".into());
    let (made, json) = step(&mut client, &copy).await;
    let object = made.object.expect("it is done");
    assert_eq!((made.rewritten, made.token), (bytes.len() as u64, None));
    assert_eq!(
        (object.size, object.crc32c),
        (bytes.len() as u64, Some(Crc32c::of(&bytes)))
    );
    assert_eq!(json["resource"]["name"], "to #/ü");
    assert!(json["resource"]["contentType"].is_null());
    assert!(daemon.object("to #/ü").await == bytes);
    // Its own condition does not hold any more.
    let again = client.call(0, ask(&copy)).await;
    again.fails(Kind::PreconditionFailed, Retry::Never);
}

#[tokio::test]
async fn a_copy_has_metadata_of_its_own_and_conditions_on_both_sides() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "from", b"hello").await;
    let mut copy = rewrite("from", "to");
    copy.destination.metadata = Bytes::from_static(br#"{"contentType":"text/x"}"#);
    let (made, json) = step(&mut client, &copy).await;
    assert_eq!(json["resource"]["contentType"], "text/x");
    assert!(made.object.is_some());
    let generation = made.object.expect("it is done").generation;
    type Change = fn(&mut Rewrite, u64);
    let refused: [(Change, Kind); 6] = [
        (
            |copy, _| copy.source.preconditions.if_generation_match = Some(7),
            Kind::PreconditionFailed,
        ),
        (
            |copy, _| copy.source.preconditions.if_metageneration_not_match = Some(1),
            Kind::PreconditionFailed,
        ),
        (
            |copy, now| copy.destination.preconditions.if_generation_not_match = Some(now),
            Kind::PreconditionFailed,
        ),
        (|copy, _| copy.source.generation = Some(7), Kind::NotFound),
        (|copy, _| copy.token = Some("no token".into()), Kind::Refused),
        (|copy, _| copy.max_bytes = Some(1000), Kind::Refused),
    ];
    for (change, kind) in refused {
        let mut copy = copy.clone();
        change(&mut copy, generation);
        client.call(0, ask(&copy)).await.fails(kind, Retry::Never);
    }
    let mut odd = copy.clone();
    odd.source.user_project = Some("p".into());
    client.call(0, ask(&odd)).await.fails(Kind::BadArgs, Retry::Never);
    odd = copy;
    odd.destination.metadata = Bytes::from_static(br#"{"name":"other"}"#);
    client.call(0, ask(&odd)).await.fails(Kind::BadArgs, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn metadata_is_patched() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "it", b"hello").await;
    let generation = daemon
        .devgcs
        .object(BUCKET, "it")
        .expect("it is there")
        .generation;
    let patch = |json: &'static str, metageneration| {
        let mut object = destination("it");
        object.metadata = Bytes::from_static(json.as_bytes());
        object.preconditions.if_metageneration_match = metageneration;
        patch_object::Args {
            object,
            generation: Some(generation),
        }
    };
    let set = patch(r#"{"contentType":"text/x","metadata":{"a":"b"}}"#, Some(1));
    let frame = client.call(0, Request::PatchObject(set.clone())).await;
    let Reply::PatchObject(reply) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert_eq!(
        (reply.object.generation, reply.object.metageneration),
        (generation, 2)
    );
    let json: serde_json::Value = serde_json::from_slice(&frame.body).expect("JSON");
    assert_eq!(
        (&json["contentType"], &json["metadata"]["a"]),
        (&"text/x".into(), &"b".into())
    );
    client
        .call(0, Request::PatchObject(set))
        .await
        .fails(Kind::PreconditionFailed, Retry::Never);
    let frame = client
        .call(0, Request::PatchObject(patch(r#"{"metadata":null}"#, None)))
        .await;
    frame.ok();
    let json: serde_json::Value = serde_json::from_slice(&frame.body).expect("JSON");
    assert!(json["metadata"].is_null() && json["contentType"] == "text/x");
    for bad in ["", "[]", r#"{"name":"other"}"#] {
        let frame = client.call(0, Request::PatchObject(patch(bad, None))).await;
        frame.fails(Kind::BadArgs, Retry::Never);
    }
    let mut other = patch("{}", None);
    other.generation = Some(7);
    client
        .call(0, Request::PatchObject(other))
        .await
        .fails(Kind::NotFound, Retry::Never);
}

#[tokio::test]
async fn an_object_gets_another_name() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "old/ü", b"hello").await;
    let generation = daemon
        .devgcs
        .object(BUCKET, "old/ü")
        .expect("it is there")
        .generation;
    let mut args = move_object::Args {
        source: object_ref("old/ü"),
        destination: "new #1".parse().expect("a name"),
        preconditions: gcsd_types::Preconditions::default(),
    };
    args.source.preconditions.if_generation_match = Some(generation + 1);
    let frame = client.call(0, Request::MoveObject(args.clone())).await;
    frame.fails(Kind::PreconditionFailed, Retry::Never);
    args.preconditions.if_generation_match = Some(0);
    args.source.preconditions.if_generation_match = Some(generation);
    let frame = client.call(0, Request::MoveObject(args.clone())).await;
    let Reply::MoveObject(reply) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert!(reply.object.generation > generation && reply.object.size == 5);
    assert_eq!(daemon.object("new #1").await, b"hello");
    assert!(!daemon.has_object("old/ü"));
    let frame = client.call(0, Request::MoveObject(args.clone())).await;
    frame.fails(Kind::NotFound, Retry::Never);
    args.source.generation = Some(generation);
    let frame = client.call(0, Request::MoveObject(args)).await;
    frame.fails(Kind::BadArgs, Retry::Never);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_unless_it_can_only_happen_once() {
    let peer = Peer::listen().await;
    let daemon = Daemon::with(Options {
        endpoint: Some(format!("http://{}", peer.address())),
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    let mut pinned = rewrite("a", "b");
    pinned.destination.preconditions.if_generation_match = Some(0);
    let mut object = destination("a");
    object.metadata = Bytes::from_static(b"{}");
    let patch = patch_object::Args {
        object,
        generation: Some(5),
    };
    let mut pinned_patch = patch.clone();
    pinned_patch.object.preconditions.if_metageneration_match = Some(1);
    let rename = move_object::Args {
        source: object_ref("a"),
        destination: "b".parse().expect("a name"),
        preconditions: gcsd_types::Preconditions::default(),
    };
    let mut pinned_rename = rename.clone();
    pinned_rename.source.preconditions.if_generation_match = Some(5);
    for (request, retry) in [
        (ask(&rewrite("a", "b")), Retry::Query),
        (ask(&pinned), Retry::Same),
        (Request::PatchObject(patch), Retry::Query),
        (Request::PatchObject(pinned_patch), Retry::Same),
        (Request::MoveObject(rename), Retry::Query),
        (Request::MoveObject(pinned_rename), Retry::Same),
    ] {
        let serve = async {
            let mut server = peer.accept().await;
            server.head().await;
            server.reset();
        };
        let (frame, ()) = tokio::join!(client.call(0, request), serve);
        frame.fails(Kind::Reset, retry);
    }
}

#[tokio::test]
async fn the_client_library_copies_patches_and_moves() {
    let daemon = Daemon::start().await;
    let mut raw = daemon.connect().await;
    raw.put(1, "a", b"hello").await;
    let address: Address = daemon.address.to_string().parse().expect("an address");
    let connection = Connection::open(&TcpConnector, &address, &ClientOptions::default())
        .await
        .expect("connected");
    let rewrite = Box::new(rewrite("a", "b"));
    let copied = connection.rewrite_object(&rewrite_object::Args { rewrite }).await;
    assert!(copied.expect("copied").args.rewritten.object.is_some());
    let mut object = destination("b");
    object.metadata = Bytes::from_static(br#"{"cacheControl":"no-cache"}"#);
    let patched = connection
        .patch_object(&patch_object::Args {
            object,
            generation: None,
        })
        .await;
    assert_eq!(patched.expect("patched").args.object.metageneration, 2);
    let moved = connection
        .move_object(&move_object::Args {
            source: object_ref("b"),
            destination: "c".parse().expect("a name"),
            preconditions: gcsd_types::Preconditions::default(),
        })
        .await;
    assert_eq!(moved.expect("moved").args.object.size, 5);
    assert_eq!(daemon.object("c").await, b"hello");
}
