//! What a policy permits over a connection, and that nothing else reaches Cloud Storage.

use gcsd_types::{ComposeSource, ObjectQuery, Preconditions, Rewrite};
use gcsd_wire::args::Empty;
use gcsd_wire::{Kind, Opcode, Reply, Request, Retry, hello};
use serde_json::{Value, json};

use crate::support::cases::{self, Args};
use crate::support::daemon::{
    BUCKET, Client, Daemon, Frame, Options, PATIENCE, attach, cancel_upload, destination, finish_upload,
    object_ref, policy, put_object, query_upload, start_upload, write_at,
};

/// A policy of one rule, for anybody.
fn allowing(allow: &Value) -> Value {
    json!({"rule": [{"name": "it", "anybody": true, "allow": allow}]})
}

async fn daemon(policy: Value) -> Daemon {
    Daemon::with(Options {
        policy: Some(policy),
        ..Options::default()
    })
    .await
}

/// How many calls have come to Cloud Storage.
fn calls(daemon: &Daemon) -> u64 {
    daemon.devgcs.inspect().counts.values().sum()
}

fn rewrite(source: &str, target: &str) -> Request {
    Request::RewriteObject(gcsd_wire::rewrite_object::Args {
        rewrite: Box::new(Rewrite {
            source: object_ref(source),
            destination: destination(target),
            max_bytes: None,
            token: None,
        }),
    })
}

fn compose(sources: &[&str], target: &str) -> Request {
    let source = |name: &&str| ComposeSource::new(name.parse().expect("a name"));
    Request::ComposeObjects(gcsd_wire::compose_objects::Args {
        destination: destination(target),
        sources: sources.iter().map(source).collect(),
    })
}

fn move_object(source: &str, target: &str) -> Request {
    Request::MoveObject(gcsd_wire::move_object::Args {
        source: object_ref(source),
        destination: target.parse().expect("a name"),
        preconditions: Preconditions::default(),
    })
}

fn stat(name: &str) -> Request {
    Request::StatObject(gcsd_wire::stat_object::Args { of: object_ref(name) })
}

fn delete(name: &str) -> Request {
    Request::DeleteObject(gcsd_wire::delete_object::Args { of: object_ref(name) })
}

fn list(prefix: Option<&str>) -> Request {
    let query = ObjectQuery {
        prefix: prefix.map(str::to_owned),
        ..ObjectQuery::new(BUCKET.parse().expect("a name"))
    };
    Request::ListObjects(gcsd_wire::list_objects::Args { query })
}

/// Sends a whole object, and waits for the reply.
async fn put(client: &mut Client, name: &str, bytes: &[u8]) -> Frame {
    let request = Request::PutObject(put_object(name));
    let sequence = client.begin(0, &request, bytes.len() as u64).await;
    client.raw(bytes).await;
    client.reply_to(sequence).await
}

/// One request of each kind, with its body, as the golden vectors have them.
fn every_request() -> Vec<(Request, Vec<u8>)> {
    let mut requests: Vec<(Request, Vec<u8>)> = Vec::new();
    for frame in cases::all().into_iter().flat_map(|case| case.frames) {
        if let Args::Request(request) = frame.args
            && !requests
                .iter()
                .any(|(known, _)| known.opcode() == request.opcode())
        {
            requests.push((request, frame.body.to_vec()));
        }
    }
    assert_eq!(requests.len(), Opcode::ALL.len());
    requests
}

#[tokio::test]
async fn what_no_rule_permits_never_reaches_cloud_storage() {
    // A rule that permits nothing.
    let daemon = daemon(allowing(&json!([]))).await;
    for (request, body) in every_request() {
        let mut client = daemon.connect().await;
        let opcode = request.opcode();
        let upload = u32::from(opcode.has_upload());
        let sequence = client.begin(upload, &request, body.len() as u64).await;
        client.raw(&body).await;
        let mut reply = client.reply_to(sequence).await;
        match opcode {
            Opcode::Hello | Opcode::Ping | Opcode::Cancel => drop(reply.ok()),
            // There is no upload to decide on: the one that could be is not begun, and no token opens.
            Opcode::WriteAt
            | Opcode::QueryUpload
            | Opcode::FinishUpload
            | Opcode::CancelUpload
            | Opcode::DetachUpload => drop(reply.fails(Kind::UnknownUpload, Retry::Never)),
            Opcode::AttachUpload => drop(reply.fails(Kind::BadToken, Retry::Never)),
            _ => {
                let said = reply.fails(Kind::Denied, Retry::Never).message;
                assert!(
                    said.starts_with("the rule \"it\" does not permit "),
                    "{opcode:?}: {said}"
                );
                // The body was skipped, and the connection goes on.
                client.lives().await;
            }
        }
        if opcode == Opcode::StartUpload {
            // What is queued behind it learns of it.
            reply = client.call(1, query_upload()).await;
            let said = reply.fails(Kind::UploadFailed, Retry::Never).message;
            assert!(said.contains("denied"), "{said}");
        }
        assert_eq!(calls(&daemon), 0, "{opcode:?}");
    }
}

#[tokio::test]
async fn each_source_and_the_target_must_be_permitted() {
    let all = ["read", "list", "create", "replace", "update", "delete"];
    let daemon = daemon(allowing(
        &json!([{"buckets": [BUCKET], "prefixes": ["in/"], "verbs": all}]),
    ))
    .await;
    let stored = |name: &'static str| daemon.devgcs.put_object(BUCKET, name, "bytes");
    for name in ["in/a", "in/b", "out/a"] {
        stored(name).await.expect("stored");
    }
    let mut client = daemon.connect().await;
    let before = calls(&daemon);
    for (request, on) in [
        (rewrite("out/a", "in/c"), "read on gs://bucket/out/a"),
        (rewrite("in/a", "out/c"), "create on gs://bucket/out/c"),
        (compose(&["in/a", "out/a"], "in/c"), "read on gs://bucket/out/a"),
        (compose(&["in/a", "in/b"], "out/c"), "create on gs://bucket/out/c"),
        (move_object("out/a", "in/c"), "read on gs://bucket/out/a"),
        (move_object("in/a", "out/c"), "create on gs://bucket/out/c"),
        (list(Some("out/")), "list on gs://bucket/out/*"),
        (list(Some("in")), "list on gs://bucket/in*"),
        (list(None), "list on gs://bucket/*"),
    ] {
        let said = client
            .call(0, request)
            .await
            .fails(Kind::Denied, Retry::Never)
            .message;
        assert!(said.contains(on), "{said}");
        assert!(
            said.contains("gs://bucket/in/*"),
            "names what is permitted: {said}"
        );
    }
    assert_eq!(calls(&daemon), before);
    for request in [
        rewrite("in/a", "in/c"),
        compose(&["in/a", "in/b"], "in/d"),
        move_object("in/b", "in/e"),
        list(Some("in/")),
        list(Some("in/a")),
    ] {
        let mut frame = client.call(0, request).await;
        while frame.head.more() {
            frame = client.frame().await.expect("the list goes on");
        }
        frame.ok();
    }
    assert_eq!(
        daemon.devgcs.object_names(BUCKET),
        ["in/a", "in/c", "in/d", "in/e", "out/a"]
    );
}

#[tokio::test]
async fn without_replace_nothing_is_replaced() {
    let verbs = ["read", "create", "delete"];
    let daemon = daemon(allowing(&json!([{"buckets": [BUCKET], "verbs": verbs}]))).await;
    for name in ["there", "source"] {
        let stored = daemon.devgcs.put_object(BUCKET, name, "as it was");
        stored.await.expect("stored");
    }
    let mut client = daemon.connect().await;
    let is_there = Kind::PreconditionFailed;
    put(&mut client, "there", b"other")
        .await
        .fails(is_there, Retry::Never);
    for request in [
        rewrite("source", "there"),
        compose(&["source"], "there"),
        move_object("source", "there"),
    ] {
        client.call(0, request).await.fails(is_there, Retry::Never);
    }
    // An upload is refused when it begins, or when it would end.
    client
        .call(1, start_upload("there"))
        .await
        .fails(is_there, Retry::Never);
    client.start(2, "soon").await;
    let stored = daemon.devgcs.put_object(BUCKET, "soon", "as it was");
    stored.await.expect("stored");
    let late = client.write(2, 0, Some(5), b"other").await;
    late.fails(is_there, Retry::Never);
    // What takes no condition is denied, and so is one that asks for more.
    let before = calls(&daemon);
    let parts = every_request()
        .into_iter()
        .filter_map(|(request, _)| match request {
            Request::StartMultipart(mut args) => {
                args.destination.bucket = BUCKET.parse().expect("a name");
                Some(Request::StartMultipart(args))
            }
            Request::CompleteMultipart(mut args) => {
                args.of.bucket = BUCKET.parse().expect("a name");
                Some(Request::CompleteMultipart(args))
            }
            _ => None,
        });
    let mut denied: Vec<Request> = parts.collect();
    assert_eq!(denied.len(), 2);
    let mut replacing = put_object("there");
    replacing.destination.preconditions.if_generation_match = Some(7);
    denied.push(Request::PutObject(replacing));
    for request in denied {
        let sequence = client.begin(0, &request, 0).await;
        let said = client.reply_to(sequence).await.fails(Kind::Denied, Retry::Never);
        assert!(
            said.message.contains("does not permit replace"),
            "{}",
            said.message
        );
    }
    assert_eq!(calls(&daemon), before);
    for name in ["there", "source", "soon"] {
        assert_eq!(daemon.object(name).await, b"as it was", "{name}");
    }
    // And what is new is made.
    put(&mut client, "new", b"bytes").await.ok();
    client.call(0, rewrite("source", "copy")).await.ok();
    client.call(0, compose(&["source", "new"], "both")).await.ok();
    client.call(0, move_object("source", "moved")).await.ok();
    client.put(3, "uploaded", b"bytes").await;
    assert_eq!(
        daemon.devgcs.object_names(BUCKET),
        ["both", "copy", "moved", "new", "soon", "there", "uploaded"]
    );
}

#[tokio::test]
async fn no_name_escapes_its_prefix() {
    let verbs = ["read", "list", "create", "replace", "delete"];
    let daemon = daemon(allowing(
        &json!([{"buckets": [BUCKET], "prefixes": ["in/"], "verbs": verbs}]),
    ))
    .await;
    for name in ["x", "in", "/in/x", "out/x", "IN/x"] {
        let stored = daemon.devgcs.put_object(BUCKET, name, "theirs");
        stored.await.expect("stored");
    }
    let before = daemon.devgcs.object_names(BUCKET);
    let mut client = daemon.connect().await;
    let asked = calls(&daemon);
    for name in [
        "x",
        "in",
        "/in/x",
        "out/x",
        "IN/x",
        "%69n/x",
        "in%2Fx",
        "in\\x",
        "./in/x",
        "../in/x",
        "i\0n/x",
        "in\u{2215}x",
        "\u{ff49}n/x",
        " in/x",
        "i",
        "\u{feff}in/x",
    ] {
        put(&mut client, name, b"mine")
            .await
            .fails(Kind::Denied, Retry::Never);
        for request in [
            stat(name),
            delete(name),
            rewrite(name, "in/y"),
            rewrite("in/y", name),
        ] {
            client.call(0, request).await.fails(Kind::Denied, Retry::Never);
        }
    }
    assert_eq!(calls(&daemon), asked);
    // What begins with the prefix is below it, whatever it looks like: names are bytes, to Cloud Storage, too.
    let inside = [
        "in/../x",
        "in/..",
        "in//x",
        "in/",
        "in/%2e%2e/x",
        "in/./../out/x",
        "in/?x",
        "in/#x",
        "in/a&name=x",
        "in/..\\x",
        "in/\u{202e}x",
        "in/%00",
        "in/o/../../x",
    ];
    for name in inside {
        put(&mut client, name, b"mine").await.ok();
        client.call(0, stat(name)).await.ok();
        assert_eq!(daemon.object(name).await, b"mine", "{name}");
    }
    for name in ["x", "in", "/in/x", "out/x", "IN/x"] {
        assert_eq!(daemon.object(name).await, b"theirs", "{name}");
    }
    for name in inside {
        client.call(0, delete(name)).await.ok();
    }
    assert_eq!(daemon.devgcs.object_names(BUCKET), before);
    // Buckets have one name each.
    for bucket in [
        "Bucket",
        "b/../bucket",
        "bucket/",
        "bucket.",
        "gs://bucket",
        "_",
        "projects/_/buckets/bucket",
    ] {
        assert!(bucket.parse::<gcsd_types::BucketName>().is_err(), "{bucket}");
    }
}

#[tokio::test]
async fn a_policy_that_changes_holds_from_the_next_request_on() {
    let verbs = |verbs: &[&str]| allowing(&json!([{"buckets": [BUCKET], "verbs": verbs}]));
    let daemon = daemon(verbs(&["create"])).await;
    let mut client = daemon.connect().await;
    let token = client.start(1, "object").await;
    client.write(1, 0, None, &[1; 256 << 10]).await.ok();
    daemon.access.replace(Some(policy(verbs(&["read", "delete"]))));
    let asked = calls(&daemon);
    let sequence = client.begin(1, &write_at(256 << 10, Some(262_145)), 1).await;
    client.raw(b"x").await;
    client.reply_to(sequence).await.fails(Kind::Denied, Retry::Never);
    for request in [query_upload(), finish_upload(256 << 10), cancel_upload()] {
        client.call(1, request).await.fails(Kind::Denied, Retry::Never);
    }
    client.call(1, Request::DetachUpload(Empty)).await.ok();
    client
        .call(2, attach(&token))
        .await
        .fails(Kind::Denied, Retry::Never);
    assert_eq!(calls(&daemon), asked);
    // The rule is gone, and then its name is somebody else's.
    daemon.access.replace(Some(policy(json!({}))));
    client
        .call(0, stat("object"))
        .await
        .fails(Kind::Unauthenticated, Retry::Never);
    let other = json!({"rule": [{"name": "other", "anybody": true,
        "allow": [{"buckets": [BUCKET], "verbs": ["create", "read"]}]}]});
    daemon.access.replace(Some(policy(other)));
    client
        .call(0, stat("object"))
        .await
        .fails(Kind::Unauthenticated, Retry::Never);
    let mut another = daemon.connect().await;
    another
        .call(1, attach(&token))
        .await
        .fails(Kind::Denied, Retry::Never);
    assert_eq!(calls(&daemon), asked);
    // And back.
    daemon.access.replace(Some(policy(verbs(&["create"]))));
    client.call(3, attach(&token)).await.ok();
    client.call(3, query_upload()).await.ok();
    let done = client.write(3, 256 << 10, Some(262_145), b"x").await;
    assert!(done.progress().object.is_some());
}

fn hello(name: Option<&str>, secret: &'static str) -> Request {
    Request::Hello(hello::Args {
        min_version: 1,
        max_version: 1,
        name: name.map(str::to_owned),
        secret: secret.into(),
        ..hello::Args::default()
    })
}

/// Two identities with secrets, one of them with two.
fn identities() -> Value {
    let secret = |name: &str, secret: &str| json!({"name": name, "sha256": gcsd::policy::SecretHash::of(secret.as_bytes()).to_hex()});
    let allow = json!([{"buckets": [BUCKET], "verbs": ["read", "create", "replace"]}]);
    json!({"rule": [
        {"name": "alice", "secrets": [secret("old", "one"), secret("new", "two")], "allow": allow},
        {"name": "bob", "secrets": [secret("bob", "three")], "allow": allow},
    ]})
}

#[tokio::test]
async fn a_secret_says_who_a_connection_is() {
    let daemon = daemon(identities()).await;
    let mut client = daemon.connect().await;
    // Who says nothing is nobody.
    let said = client
        .call(0, stat("x"))
        .await
        .fails(Kind::Unauthenticated, Retry::Never);
    assert!(
        said.message.contains("send a secret in Hello first"),
        "{}",
        said.message
    );
    client.call(0, hello(None, "")).await.ok();
    client
        .call(0, stat("x"))
        .await
        .fails(Kind::Unauthenticated, Retry::Never);
    for (name, secret) in [
        (None, "four"),
        (Some("old"), "two"),
        (Some("bob"), "one"),
        (Some("alice"), "one"),
        (Some("old"), ""),
    ] {
        let mut client = daemon.connect().await;
        let reply = client.call(0, hello(name, secret)).await;
        reply.fails(Kind::Unauthenticated, Retry::Never);
        client.closed().await;
    }
    for (name, secret) in [
        (None, "one"),
        (Some("old"), "one"),
        (Some("new"), "two"),
        (None, "three"),
    ] {
        let mut client = daemon.connect().await;
        client.call(0, hello(name, secret)).await.ok();
        put(&mut client, "object", b"bytes").await.ok();
        // Somebody else is another connection.
        let other = if secret == "three" { "one" } else { "three" };
        let reply = client.call(0, hello(None, other)).await;
        reply.fails(Kind::Unauthenticated, Retry::Never);
        client.closed().await;
    }
}

#[tokio::test]
async fn a_token_is_whose_it_was_sealed_for() {
    let first = daemon(identities()).await;
    // Another daemon of the fleet.
    let second = Daemon::with(Options {
        policy: Some(identities()),
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let open = async |daemon: &Daemon, secret: &'static str| {
        let mut client = daemon.connect().await;
        client.call(0, hello(None, secret)).await.ok();
        client
    };
    let mut alice = open(&first, "one").await;
    let token = alice.start(1, "object").await;
    alice.write(1, 0, None, &[7; 256 << 10]).await.ok();
    for daemon in [&first, &second] {
        let mut bob = open(daemon, "three").await;
        let asked = calls(&first);
        let said = bob
            .call(1, attach(&token))
            .await
            .fails(Kind::Denied, Retry::Never);
        assert!(!said.message.contains("alice"), "{}", said.message);
        let reply = bob.call(1, query_upload()).await;
        reply.fails(Kind::UploadFailed, Retry::Never);
        assert_eq!(calls(&first), asked);
    }
    // Bob has not fenced it.
    assert_eq!(
        alice.call(1, query_upload()).await.progress().committed,
        256 << 10
    );
    // The same identity by another secret, on another daemon.
    let mut again = open(&second, "two").await;
    match again.call(1, attach(&token)).await.ok() {
        Reply::AttachUpload(reply) => assert_eq!(reply.object.as_str(), "object"),
        other => panic!("{other:?}"),
    }
    again.call(1, query_upload()).await.ok();
    let done = again.write(1, 256 << 10, Some(262_145), b"x").await;
    assert!(done.progress().object.is_some());
    // A daemon without a policy knows no identities: neither does it open such tokens, nor are its own somebody's.
    let without = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let mut nobody = without.connect().await;
    let token = alice.start(2, "other").await;
    nobody
        .call(1, attach(&token))
        .await
        .fails(Kind::Denied, Retry::Never);
    let unowned = nobody.start(2, "third").await;
    alice
        .call(3, attach(&unowned))
        .await
        .fails(Kind::Denied, Retry::Never);
}

#[tokio::test]
async fn the_secret_of_the_file_has_a_rule_where_one_says_so() {
    let allow = json!([{"buckets": [BUCKET], "verbs": ["create"]}]);
    let daemon = Daemon::with(Options {
        secret: Some("sesame"),
        policy: Some(json!({"rule": [{"name": "all", "auth-file": true, "allow": allow}]})),
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    client.call(0, hello(None, "sesame")).await.ok();
    put(&mut client, "object", b"bytes").await.ok();
    client
        .call(0, stat("object"))
        .await
        .fails(Kind::Denied, Retry::Never);
    for (name, secret) in [(None, "other"), (Some("sesame"), "sesame")] {
        let mut client = daemon.connect().await;
        let reply = client.call(0, hello(name, secret)).await;
        reply.fails(Kind::Unauthenticated, Retry::Never);
    }
}

#[tokio::test]
async fn an_object_is_no_larger_than_its_rule_permits() {
    const MAX: u64 = 512 << 10;
    let verbs = ["read", "create", "replace"];
    let daemon = daemon(
        json!({"rule": [{"name": "it", "anybody": true, "max-object-size": MAX,
        "allow": [{"buckets": [BUCKET], "verbs": verbs}]}]}),
    )
    .await;
    let bytes = vec![1; usize::try_from(MAX).expect("small") + 1];
    let mut client = daemon.connect().await;
    put(&mut client, "large", &bytes)
        .await
        .fails(Kind::Denied, Retry::Never);
    let mut sized = gcsd_wire::start_upload::Args::from(destination("large"));
    sized.size = Some(MAX + 1);
    client
        .call(1, Request::StartUpload(sized))
        .await
        .fails(Kind::Denied, Retry::Never);
    client
        .call(0, compose(&["large"], "other"))
        .await
        .fails(Kind::Denied, Retry::Never);
    assert_eq!(calls(&daemon), 0);
    client.start(2, "large").await;
    client.write(2, 0, None, &bytes[..256 << 10]).await.ok();
    let asked = calls(&daemon);
    let rest = &bytes[256 << 10..];
    client
        .write(2, 256 << 10, Some(MAX + 1), rest)
        .await
        .fails(Kind::Denied, Retry::Never);
    client
        .write(2, 256 << 10, None, &[1; 512 << 10])
        .await
        .fails(Kind::Denied, Retry::Never);
    client
        .call(2, finish_upload(MAX + 1))
        .await
        .fails(Kind::Denied, Retry::Never);
    assert_eq!(calls(&daemon), asked);
    // In pieces, its size shows as it comes.
    for (upload, request) in [
        (2, write_at(256 << 10, None)),
        (0, Request::PutObject(put_object("large"))),
    ] {
        let mut client = match upload {
            0 => daemon.connect().await,
            _ => {
                let mut other = daemon.connect().await;
                other.start(upload, "large").await;
                other.write(upload, 0, None, &bytes[..256 << 10]).await.ok();
                other
            }
        };
        let sequence = client.begin_streamed(upload, &request).await;
        client.raw(&crate::support::pieces::data(&bytes)).await;
        client.raw(&crate::support::pieces::end(None)).await;
        let status = client.reply_to(sequence).await.head.status;
        assert_eq!(status.kind(), Some(Kind::BadBody), "{status:?}");
    }
    assert!(!daemon.has_object("large"));
    put(&mut client, "fits", &bytes[1..]).await.ok();
    assert_eq!(
        client
            .write(2, 256 << 10, Some(MAX), &rest[1..])
            .await
            .progress()
            .committed,
        MAX
    );
    assert_eq!(daemon.devgcs.object_names(BUCKET), ["fits", "large"]);
}

#[tokio::test]
async fn an_identity_has_no_more_requests_in_flight_than_its_rule_permits() {
    let mut policy = identities();
    policy["rule"][0]["max-in-flight"] = 1.into();
    let daemon = daemon(policy).await;
    let (mut first, mut second, mut other) = (
        daemon.connect().await,
        daemon.connect().await,
        daemon.connect().await,
    );
    for (client, secret) in [(&mut first, "one"), (&mut second, "two"), (&mut other, "three")] {
        client.call(0, hello(None, secret)).await.ok();
    }
    let named = |name: &str| {
        let calls = daemon.devgcs.inspect().calls;
        calls.iter().any(|call| call.path.ends_with(name))
    };
    daemon.devgcs.pause_bodies(true);
    let held = first.begin(0, &Request::PutObject(put_object("held")), 5).await;
    first.raw(b"bytes").await;
    let there = |snapshot: &devgcs::Snapshot| snapshot.connections > 0;
    assert!(daemon.devgcs.wait_for(PATIENCE, there).await);
    let waits = second.begin(0, &stat("waits"), 0).await;
    // Others do not wait for them.
    for _ in 0..20 {
        other
            .call(0, stat("theirs"))
            .await
            .fails(Kind::NotFound, Retry::Never);
    }
    assert!(named("theirs") && !named("waits"));
    daemon.devgcs.pause_bodies(false);
    first.reply_to(held).await.ok();
    second.reply_to(waits).await.fails(Kind::NotFound, Retry::Never);
    assert!(named("waits"));
}
