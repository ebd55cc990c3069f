//! Answers that are lost: what was done is found, what was not is made again, and what nothing tells is said to be unknown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::{
    Deleted, Error, GivenUp, NewObject, OpenUpload, Preconditions, ReliableRequests, ReliableUpload, Seen,
    Sight, Token, UploadError,
};
use gcsd_types::{ComposeSource, Crc32c, EncryptionKey, ObjectInfo, ObjectRef, Rewrite};
use gcsd_wire::{Kind, Request, Retry, compose_objects, put_object, stat_object};
use tokio::time::timeout;

use crate::support::daemon::{
    BUCKET, Daemon, Options, PATIENCE, behind, destination, object_ref, pattern, write_at,
};
use crate::support::peer::Peer;
use crate::support::script::{Say, json, not_found, object, play, precondition_failed, resource};
use crate::support::uploads::{Way, WayWriter, daemons, direct, new_object, retries, tcp, via_daemon};

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

/// Somebody else, who writes before it is looked.
#[derive(Clone)]
struct Beside {
    way: Way,
    daemon: Arc<Daemon>,
    bytes: Bytes,
}

impl OpenUpload for Beside {
    type Writer = WayWriter;

    fn size(&self) -> Option<u64> {
        self.way.size()
    }

    async fn start(&mut self) -> Result<(WayWriter, Token), Error> {
        self.way.start().await
    }

    async fn attach(&mut self, token: &Token) -> Result<WayWriter, Error> {
        self.way.attach(token).await
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        let written = self.daemon.devgcs.put_object(BUCKET, "o", &self.bytes).await;
        written.expect("somebody may");
        self.way.look().await
    }
}

/// The answer to the last request is lost, done or not, and the session is gone.
const DONE: &str = "close-connection-after-all on last call 0; lose-session-410 on query call 0";
const UNDONE: &str = "return-503 on last call 0; lose-session-404 on query call 0";

async fn failing(faults: &str) -> Daemon {
    Daemon::with(Options::failing(faults)).await
}

fn ways(daemon: &Daemon, object: &NewObject) -> [Way; 2] {
    [
        Way::Daemon(via_daemon(&[daemon.address], tcp(), object.clone())),
        Way::Direct(direct(&daemon.devgcs, tcp(), object.clone())),
    ]
}

async fn put(way: impl OpenUpload, bytes: &Bytes) -> Result<ObjectInfo, UploadError> {
    soon(ReliableUpload::start(way, bytes.clone(), retries()).complete()).await
}

fn generations(daemon: &Daemon) -> usize {
    let snapshot = daemon.devgcs.inspect();
    let finished = |session: &&devgcs::SessionRecord| session.phase == devgcs::SessionPhase::Finished;
    snapshot.sessions.iter().filter(finished).count()
}

#[tokio::test]
async fn an_upload_finds_its_own_object_and_makes_no_second_one() {
    let bytes = Bytes::from(pattern(700_000));
    for which in 0..2 {
        for before in [None, Some(&b"another"[..]), Some(&bytes[..])] {
            for pinned in [false, true] {
                let daemon = failing(DONE).await;
                let mut new = new_object("o");
                let old = match before {
                    Some(before) => {
                        let stored = daemon.devgcs.put_object(BUCKET, "o", before).await;
                        stored.expect("stored").generation
                    }
                    None => 0,
                };
                if pinned {
                    new.destination.preconditions.if_generation_match = Some(old);
                }
                let way = ways(&daemon, &new)[which].clone();
                let what = format!("{which} {old} {pinned}");
                let made = put(way, &bytes)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                let stored = daemon.devgcs.object(BUCKET, "o").expect("it is there");
                assert_eq!(stored.generation, made.generation, "{what}");
                assert_ne!(made.generation, old, "{what}");
                assert!(daemon.object("o").await == bytes[..], "{what}");
                let inspect = daemon.devgcs.inspect();
                assert_eq!(inspect.count(CallKind::StartUpload), 1, "{what}");
                assert_eq!(inspect.count(CallKind::GetObject), 1, "{what}: one look");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_that_made_none_begins_again() {
    let bytes = Bytes::from(pattern(700_000));
    for which in 0..2 {
        for pinned in [false, true] {
            let daemon = failing(UNDONE).await;
            let mut new = new_object("o");
            if pinned {
                new = new.if_absent();
            }
            let way = ways(&daemon, &new)[which].clone();
            put(way, &bytes).await.expect("made");
            assert!(daemon.object("o").await == bytes[..]);
            assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 2);
        }
    }
}

#[tokio::test]
async fn an_upload_beside_somebody_elses_leaves_that_object_alone() {
    let bytes = Bytes::from(pattern(700_000));
    let mut others = bytes.to_vec();
    others[0] ^= 1;
    for which in 0..2 {
        for faults in [DONE, UNDONE] {
            for other in [
                Bytes::from(others.clone()),
                Bytes::from_static(b"short"),
                bytes.clone(),
            ] {
                let daemon = Arc::new(failing(faults).await);
                let way = ways(&daemon, &new_object("o"))[which].clone();
                let beside = Beside {
                    way,
                    daemon: daemon.clone(),
                    bytes: other.clone(),
                };
                let result = put(beside, &bytes).await;
                let theirs = daemon.devgcs.object(BUCKET, "o").expect("it is there");
                match result {
                    // Nobody can tell the same bytes apart.
                    Ok(made) => {
                        assert_eq!(other, bytes);
                        assert_eq!(made.generation, theirs.generation);
                    }
                    Err(UploadError::Unknown { seen, .. }) => {
                        assert_ne!(other, bytes);
                        assert!(matches!(*seen, Seen::Object(seen) if seen.generation == theirs.generation));
                    }
                    Err(error) => panic!("{faults}: {error}"),
                }
                assert!(daemon.object("o").await == other[..], "{faults}");
                assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 1);
                assert!(generations(&daemon) <= 1);
            }
        }
    }
}

/// An upload of five bytes, whose session is gone after its last request was not answered, and what it then sees.
async fn seen(new: NewObject, looks: &[(&str, Say)]) -> (Result<ObjectInfo, UploadError>, Vec<String>) {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let location = format!(
        "Location: http://{}/upload?upload_id=secret\r\nConnection: close\r\n",
        peer.address()
    );
    let gone = || json("410 Gone", "");
    let begun = [
        (
            "POST /upload/storage",
            Say::This(crate::support::peer::response("200 OK", &location, "")),
        ),
        ("PUT /upload?upload_id", Say::Nothing),
        ("PUT /upload?upload_id", gone()),
    ];
    let script = [&begun[..], looks].concat();
    let way = via_daemon(&[daemon.address], tcp(), new);
    let bytes = Bytes::from_static(b"hello");
    let (result, lines) = tokio::join!(put(way, &bytes), play(&peer, &script));
    (result, lines)
}

const LOOK: &str = "GET /storage/v1/b/bucket/o/o";

#[tokio::test]
async fn who_may_not_look_does_not_know() {
    let (result, _) = seen(new_object("o"), &[(LOOK, json("403 Forbidden", ""))]).await;
    match result.expect_err("nobody knows") {
        UploadError::Unknown { error, seen } => {
            assert!(error.is(Kind::SessionLost), "{error}");
            assert!(
                matches!(&*seen, Seen::Unseen(error) if error.is(Kind::Forbidden)),
                "{seen}"
            );
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_look_pays_and_has_the_key_as_the_upload_does() {
    let mut new = new_object("o");
    new.destination.user_project = Some("payer".to_owned());
    new.destination.key = Some(EncryptionKey::new([7; 32]));
    let (result, lines) = seen(new.clone(), &[(LOOK, object(5, b"hello"))]).await;
    assert_eq!(result.expect("its own").generation, 5);
    assert!(lines[3].contains("userProject=payer"), "{lines:?}");
    // An object with another key, or none, is looked at without one, and tells no checksum.
    let refused = json("400 Bad Request", r#"{"error":{"message":"the wrong key"}}"#);
    let bare = json("200 OK", r#"{"generation":"5","size":"5"}"#);
    let (result, _) = seen(new, &[(LOOK, refused), (LOOK, bare)]).await;
    assert!(matches!(result, Err(UploadError::Unknown { .. })), "{result:?}");
}

#[tokio::test]
async fn a_start_that_is_refused_behind_a_lost_end_is_looked_at_again() {
    // It was not there at the first look, and is at the second.
    let looks = [
        (LOOK, not_found()),
        ("POST /upload/storage", json("403 Forbidden", "")),
        (LOOK, object(5, b"hello")),
    ];
    let (result, _) = seen(new_object("o"), &looks).await;
    assert_eq!(result.expect("its own").generation, 5);
    let looks = [
        (LOOK, not_found()),
        ("POST /upload/storage", precondition_failed()),
        (LOOK, not_found()),
    ];
    let (result, _) = seen(new_object("o"), &looks).await;
    let error = result.expect_err("refused");
    let refused =
        matches!(&error, UploadError::GivenUp(GivenUp::Refused(error)) if error.is(Kind::PreconditionFailed));
    assert!(refused, "{error}");
}

fn requests(daemon: &Daemon) -> ReliableRequests {
    ReliableRequests::new(daemons(&[daemon.address], tcp()), retries())
}

fn rewrite(generation: Option<u64>, conditions: Preconditions) -> Rewrite {
    let mut to = destination("copy");
    to.preconditions = conditions;
    Rewrite {
        source: ObjectRef {
            generation,
            ..object_ref("source")
        },
        destination: to,
        max_bytes: None,
        token: None,
    }
}

fn replacing(generation: Option<u64>) -> Preconditions {
    Preconditions {
        if_generation_match: generation,
        ..Preconditions::default()
    }
}

#[tokio::test]
async fn copies_and_compositions_that_were_made_are_found() {
    for lost in ["close-connection-after-all", "return-503-after-all"] {
        for (before, pinned) in [
            (None, false),
            (None, true),
            (Some("old"), true),
            (Some("old"), false),
        ] {
            for composes in [false, true] {
                let daemon = failing(&format!("{lost} on any call 0")).await;
                let devgcs = &daemon.devgcs;
                devgcs
                    .put_object(BUCKET, "source", b"hello")
                    .await
                    .expect("stored");
                let old = match before {
                    Some(old) => {
                        devgcs
                            .put_object(BUCKET, "copy", old)
                            .await
                            .expect("stored")
                            .generation
                    }
                    None => 0,
                };
                let conditions = replacing(pinned.then_some(old));
                let requests = requests(&daemon);
                let made = match composes {
                    true => {
                        let source = ComposeSource::new("source".parse().expect("a name"));
                        let to = rewrite(None, conditions).destination;
                        soon(requests.compose(&to, &[source.clone(), source])).await
                    }
                    false => soon(requests.copy(rewrite(None, conditions))).await,
                };
                let what = format!("{lost} {before:?} {pinned} {composes}");
                let made = made.unwrap_or_else(|error| panic!("{what}: {error}")).info;
                let expected: &[u8] = if composes { b"hellohello" } else { b"hello" };
                assert!(daemon.object("copy").await == expected, "{what}");
                let stored = devgcs.object(BUCKET, "copy").expect("it is there");
                assert_eq!(stored.generation, made.generation, "{what}");
                assert_eq!(made.crc32c, Some(Crc32c::of(expected)), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_copy_that_was_not_made_is_made_again_only_where_it_replaces_nothing() {
    for (before, pinned) in [
        (None, false),
        (None, true),
        (Some("old"), true),
        (Some("old"), false),
    ] {
        let daemon = failing("return-503 on any call 0").await;
        let devgcs = &daemon.devgcs;
        devgcs
            .put_object(BUCKET, "source", b"hello")
            .await
            .expect("stored");
        let old = match before {
            Some(old) => {
                devgcs
                    .put_object(BUCKET, "copy", old)
                    .await
                    .expect("stored")
                    .generation
            }
            None => 0,
        };
        let copied = soon(requests(&daemon).copy(rewrite(None, replacing(pinned.then_some(old))))).await;
        if before.is_some() && !pinned {
            let error = copied.expect_err("the old one can be a newer one");
            assert!(error.is_unknown(), "{error}");
            assert!(daemon.object("copy").await == b"old"[..], "nothing is repeated");
        } else {
            copied.expect("made");
            assert!(daemon.object("copy").await == b"hello"[..]);
        }
    }
}

const GENERATION: u64 = 1_795_345_200_123_456;

/// Copies against a script.
async fn copy(rewrite: Rewrite, script: &[(&str, Say)]) -> (Result<u64, GivenUp>, Vec<String>) {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let requests = requests(&daemon);
    let (copied, lines) = tokio::join!(soon(requests.copy(rewrite)), play(&peer, script));
    (copied.map(|copy| copy.info.generation), lines)
}

const REWRITE: &str = "POST /storage/v1/b/bucket/o/source/rewriteTo/b/bucket/o/copy";
const COPY: &str = "GET /storage/v1/b/bucket/o/copy";
const SOURCE: &str = "GET /storage/v1/b/bucket/o/source";

#[tokio::test]
async fn a_copy_beside_somebody_elses_object_is_unknown() {
    for conditions in [replacing(None), replacing(Some(0)), replacing(Some(3))] {
        let repeats = conditions.if_generation_match.is_some();
        let lost = (REWRITE, Say::Nothing);
        let refused = (REWRITE, precondition_failed());
        let begun = match repeats {
            true => vec![lost, refused],
            false => vec![lost],
        };
        // The same size, other bytes.
        let looks = [(COPY, object(9, b"HELLO")), (SOURCE, object(1, b"hello"))];
        let (copied, _) = copy(rewrite(None, conditions), &[&begun[..], &looks].concat()).await;
        let error = copied.expect_err("nothing tells");
        assert!(
            error.is_unknown() && error.to_string().contains("generation 9"),
            "{error}"
        );
        // The same bytes cannot be told apart.
        let looks = [(COPY, object(9, b"hello")), (SOURCE, object(1, b"hello"))];
        let (copied, _) = copy(rewrite(None, conditions), &[&begun[..], &looks].concat()).await;
        assert_eq!(copied, Ok(9));
        // The source is gone, so there is nothing to compare with.
        let looks = [(COPY, object(9, b"hello")), (SOURCE, not_found())];
        let (copied, _) = copy(rewrite(Some(1), conditions), &[&begun[..], &looks].concat()).await;
        assert!(copied.expect_err("nothing tells").is_unknown());
        // Nobody may look.
        let looks = [(COPY, json("403 Forbidden", ""))];
        let (copied, _) = copy(rewrite(None, conditions), &[&begun[..], &looks].concat()).await;
        assert!(copied.expect_err("nothing tells").is_unknown());
    }
    // What is to be replaced is there yet: the refusal says what is.
    let script = [
        (REWRITE, Say::Nothing),
        (REWRITE, precondition_failed()),
        (COPY, object(3, b"old")),
    ];
    let (copied, _) = copy(rewrite(None, replacing(Some(3))), &script).await;
    assert!(matches!(copied, Err(GivenUp::Refused(error)) if error.is(Kind::PreconditionFailed)));
}

#[tokio::test]
async fn a_copy_that_is_older_than_the_request_is_none() {
    // Ten years before: it is replaced, and nothing newer is.
    let old = GENERATION - 315_360_000_000_000;
    let lost = (REWRITE, Say::Nothing);
    let looked = (COPY, object(old, b"hello"));
    let script = [
        lost.clone(),
        looked.clone(),
        (REWRITE, json("200 OK", &copied_as(7))),
    ];
    let (copied, lines) = copy(rewrite(None, replacing(None)), &script).await;
    assert_eq!(copied, Ok(7));
    assert!(
        lines[2].contains(&format!("ifGenerationMatch={old}")),
        "{lines:?}"
    );
    // Who is not to replace it has not made it.
    for wanted in [0, 5] {
        let script = [lost.clone(), (REWRITE, precondition_failed()), looked.clone()];
        let (copied, _) = copy(rewrite(None, replacing(Some(wanted))), &script).await;
        let refused = copied.expect_err("it was there before");
        assert!(matches!(&refused, GivenUp::Refused(error) if error.is(Kind::PreconditionFailed)));
    }
}

#[tokio::test]
async fn an_identical_object_from_just_before_is_not_taken_for_its_own() {
    for (faults, conditions) in [
        ("return-503 on any call 0", replacing(Some(0))),
        ("return-503 on any call 0", replacing(Some(5))),
        ("return-503 on any call 0", replacing(None)),
        ("return-reset-connection on any call 0", replacing(Some(0))),
    ] {
        for composes in [false, true] {
            let daemon = failing(faults).await;
            for name in ["source", "copy"] {
                let stored = daemon.devgcs.put_object(BUCKET, name, b"hello").await;
                stored.expect("stored");
            }
            let requests = requests(&daemon);
            let to = rewrite(None, conditions);
            let made = match composes {
                true => {
                    let source = ComposeSource::new("source".parse().expect("a name"));
                    soon(requests.compose(&to.destination, &[source])).await
                }
                false => soon(requests.copy(to)).await,
            };
            let error = made.expect_err("it was there before");
            assert!(error.is_unknown(), "{faults} {conditions:?} {composes}: {error}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_unfinished_has_not_made_the_object_that_is_there() {
    let bytes = Bytes::from(pattern(700_000));
    for which in 0..2 {
        let daemon = failing("close-connection on last call 0").await;
        let stored = daemon.devgcs.put_object(BUCKET, "o", &bytes).await;
        stored.expect("stored");
        let way = ways(&daemon, &new_object("o").if_absent())[which].clone();
        let error = put(way, &bytes).await.expect_err("it was there before");
        let refused = matches!(&error, UploadError::GivenUp(GivenUp::Refused(error)) if error.is(Kind::PreconditionFailed));
        assert!(refused, "{which}: {error}");
    }
}

#[tokio::test]
async fn an_upload_looks_before_it_gives_up_behind_a_lost_end() {
    let spent = || {
        let mut policy = retries();
        policy.budget = Duration::ZERO;
        policy
    };
    for bytes in [Bytes::new(), Bytes::from(pattern(700_000))] {
        for which in 0..2 {
            let daemon = failing("close-connection-after-all on last call 0").await;
            let way = ways(&daemon, &new_object("o"))[which].clone();
            let upload = ReliableUpload::start(way, bytes.clone(), spent());
            let made = soon(upload.complete()).await.expect("made");
            let stored = daemon.devgcs.object(BUCKET, "o").expect("it is there");
            assert_eq!(stored.generation, made.generation);
        }
    }
}

fn copied_as(generation: u64) -> String {
    format!(
        r#"{{"totalBytesRewritten":"5","objectSize":"5","done":true,"resource":{}}}"#,
        resource(generation, b"hello")
    )
}

#[tokio::test]
async fn a_precondition_that_nobody_asked_for_is_not_what_fails() {
    let step = |token: &str| {
        let text = format!(
            r#"{{"totalBytesRewritten":"1","objectSize":"5","done":false,"rewriteToken":"{token}"}}"#
        );
        (REWRITE, json("200 OK", &text))
    };
    let begun = [
        step("one"),
        (REWRITE, Say::Nothing),
        (COPY, not_found()),
        step("two"),
        (REWRITE, precondition_failed()),
    ];
    let own = [(COPY, object(9, b"hello")), (SOURCE, object(1, b"hello"))];
    let (copied, lines) = copy(rewrite(None, replacing(None)), &[&begun[..], &own].concat()).await;
    assert_eq!(copied, Ok(9));
    assert!(lines[3].contains("ifGenerationMatch=0"), "{lines:?}");
    let other = [(COPY, object(9, b"HELLO")), (SOURCE, object(1, b"hello"))];
    for looks in [&other[..], &[(COPY, not_found())]] {
        let (copied, _) = copy(rewrite(None, replacing(None)), &[&begun[..], looks].concat()).await;
        assert!(copied.expect_err("nothing tells").is_unknown());
    }
}

#[tokio::test]
async fn a_copy_that_is_made_again_replaces_nothing_that_has_come_since() {
    let done = copied_as(7);
    let script = [
        (REWRITE, Say::Nothing),
        (COPY, not_found()),
        (REWRITE, json("200 OK", &done)),
    ];
    let (copied, lines) = copy(rewrite(None, replacing(None)), &script).await;
    assert_eq!(copied, Ok(7));
    assert!(!lines[0].contains("ifGenerationMatch"), "{lines:?}");
    assert!(lines[2].contains("ifGenerationMatch=0"), "{lines:?}");
}

/// Deletes against a script.
async fn delete(change: impl FnOnce(&mut ObjectRef), script: &[(&str, Say)]) -> Result<Deleted, GivenUp> {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let requests = requests(&daemon);
    let mut of = object_ref("o");
    change(&mut of);
    let (deleted, _) = tokio::join!(soon(requests.delete(&of)), play(&peer, script));
    deleted
}

const DELETE: &str = "DELETE /storage/v1/b/bucket/o/o";

#[tokio::test]
async fn a_deletion_is_found_or_unknown_and_deletes_nothing_newer() {
    let any = |_: &mut ObjectRef| ();
    let lost = || (DELETE, Say::Nothing);
    // Without a generation: one request, and a look.
    // What is not there may have been deleted, or never have been there.
    let gone = Ok(Deleted::Gone);
    assert_eq!(delete(any, &[lost(), (LOOK, not_found())]).await, gone);
    let seen = delete(any, &[lost(), (LOOK, object(9, b"new"))]).await;
    assert!(seen.expect_err("old or new").is_unknown());
    let unseen = delete(any, &[lost(), (LOOK, json("403 Forbidden", ""))]).await;
    assert!(unseen.expect_err("nobody may look").is_unknown());
    // A server that gives no answer of GCS's may have done it.
    for status in ["202 Accepted", "206 Partial Content"] {
        let done = delete(any, &[(DELETE, json(status, "")), (LOOK, not_found())]).await;
        assert_eq!(done, gone, "{status}");
    }
    // By its precondition.
    let pin = |of: &mut ObjectRef| of.preconditions.if_generation_match = Some(3);
    for refused in [not_found(), precondition_failed()] {
        let begun = [lost(), (DELETE, refused)];
        let none = delete(pin, &[&begun[..], &[(LOOK, not_found())]].concat()).await;
        assert_eq!(none, gone);
        let other = delete(pin, &[&begun[..], &[(LOOK, object(9, b"new"))]].concat()).await;
        assert!(other.expect_err("deleted, or replaced").is_unknown());
        let there = delete(pin, &[&begun[..], &[(LOOK, object(3, b"old"))]].concat()).await;
        assert!(!there.expect_err("it is there").is_unknown());
    }
    // One version: whatever is live now, this one is gone.
    let version = |of: &mut ObjectRef| of.generation = Some(3);
    let script = [lost(), (DELETE, not_found()), (LOOK, not_found())];
    assert_eq!(delete(version, &script).await, gone);
    // A first refusal needs no look.
    let refused = delete(any, &[(DELETE, not_found())]).await;
    assert!(refused.expect_err("there is none").error().is(Kind::NotFound));
}

#[tokio::test]
async fn a_success_that_a_call_does_not_have_is_no_answer() {
    for status in ["202 Accepted", "204 No Content", "206 Partial Content"] {
        for pinned in [false, true] {
            let peer = Peer::listen().await;
            let daemon = behind(&peer).await;
            let mut client = daemon.connect().await;
            let mut to = destination("o");
            to.preconditions = replacing(pinned.then_some(0));
            let args = put_object::Args {
                destination: to,
                body_crc32c: None,
            };
            let sequence = client.begin(0, &Request::PutObject(args), 5).await;
            client.raw(b"hello").await;
            let script = [("POST /upload/storage", json(status, ""))];
            let (reply, _) = tokio::join!(client.reply_to(sequence), play(&peer, &script));
            let class = if pinned { Retry::Same } else { Retry::Query };
            reply.fails(Kind::BadResponse, class);
            // The others.
            let calls = [
                ("GET /storage", stat_request(), Retry::Same),
                ("POST /storage", compose_request(), class),
            ];
            for (line, request, class) in calls {
                let mut request = request;
                if let (Request::ComposeObjects(args), true) = (&mut request, pinned) {
                    args.destination.preconditions.if_generation_match = Some(0);
                }
                let script = [(line, json(status, ""))];
                let (reply, _) = tokio::join!(client.call(0, request), play(&peer, &script));
                reply.fails(Kind::BadResponse, class);
            }
        }
        // A range of an upload.
        let peer = Peer::listen().await;
        let daemon = behind(&peer).await;
        let mut client = daemon.connect().await;
        let location = format!(
            "Location: http://{}/up?upload_id=x\r\nConnection: close\r\n",
            peer.address()
        );
        let started = Say::This(crate::support::peer::response("200 OK", &location, ""));
        let begun = [("POST /upload", started)];
        tokio::join!(client.start(1, "o"), play(&peer, &begun));
        let sequence = client.begin(1, &write_at(0, Some(5)), 5).await;
        client.raw(b"hello").await;
        let script = [("PUT /up?", json(status, ""))];
        let (reply, _) = tokio::join!(client.reply_to(sequence), play(&peer, &script));
        reply.fails(Kind::BadResponse, Retry::Query);
    }
}

fn stat_request() -> Request {
    Request::StatObject(stat_object::Args { of: object_ref("o") })
}

fn compose_request() -> Request {
    Request::ComposeObjects(compose_objects::Args {
        destination: destination("o"),
        sources: vec![ComposeSource::new("source".parse().expect("a name"))],
    })
}

#[tokio::test]
async fn versions_that_are_kept_change_nothing() {
    let daemon = failing("close-connection-after-all on delete call 0").await;
    let versioned = crate::support::http::request(
        daemon.devgcs.address(),
        "PATCH",
        "/storage/v1/b/bucket",
        &[("Content-Type", "application/json")],
        br#"{"versioning":{"enabled":true}}"#,
    );
    assert_eq!(versioned.await.status, 200);
    let devgcs = &daemon.devgcs;
    let stored = devgcs.put_object(BUCKET, "o", b"one").await.expect("stored");
    let mut of = object_ref("o");
    of.preconditions.if_generation_match = Some(stored.generation);
    // The live version is gone, and kept as a noncurrent one.
    assert_eq!(soon(requests(&daemon).delete(&of)).await, Ok(Deleted::Gone));
    assert!(!daemon.has_object("o"));
    let mut kept = object_ref("o");
    kept.generation = Some(stored.generation);
    soon(requests(&daemon).stat(&kept)).await.expect("kept");
    // That one is deleted for good, beside another that is live.
    devgcs.put_object(BUCKET, "o", b"two").await.expect("stored");
    assert_eq!(soon(requests(&daemon).delete(&kept)).await, Ok(Deleted::Done));
    assert!(daemon.object("o").await == b"two"[..]);
}
