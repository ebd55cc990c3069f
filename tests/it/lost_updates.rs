//! Renames and patches whose answers are lost: found, made again, or said to be unknown.

use std::future::Future;

use gcsd_client::{GivenUp, ObjectRef, Preconditions, ReliableRequests, StoredObject};
use gcsd_types::{Destination, ObjectName};
use gcsd_wire::Kind;
use tokio::time::timeout;

use crate::support::daemon::{PATIENCE, behind, destination, object_ref};
use crate::support::peer::Peer;
use crate::support::script::{Say, json, not_found, object, play, precondition_failed};
use crate::support::uploads::{daemons, retries, tcp};

/// A generation that is a time later than any test's.
const LATER: u64 = 4_000_000_000_000_000;

const OLD: &str = "GET /storage/v1/b/bucket/o/old";
const NEW: &str = "GET /storage/v1/b/bucket/o/new";
const MOVE: &str = "POST /storage/v1/b/bucket/o/old/moveTo/o/new";
const PATCH: &str = "PATCH /storage/v1/b/bucket/o/old";

/// Makes a request against a script.
async fn against<F>(
    script: &[(&str, Say)],
    request: impl FnOnce(ReliableRequests) -> F,
) -> (Result<u64, GivenUp>, Vec<String>)
where
    F: Future<Output = Result<StoredObject, GivenUp>>,
{
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let requests = ReliableRequests::new(daemons(&[daemon.address], tcp()), retries());
    let request = timeout(PATIENCE, request(requests));
    let (done, lines) = tokio::join!(request, play(&peer, script));
    (done.expect("in time").map(|object| object.info.generation), lines)
}

async fn rename(script: &[(&str, Say)]) -> (Result<u64, GivenUp>, Vec<String>) {
    against(script, |requests| async move {
        let (old, new): (ObjectRef, _) = (object_ref("old"), ObjectName::new("new").expect("a name"));
        requests.rename(&old, &new, Preconditions::default()).await
    })
    .await
}

#[tokio::test]
async fn a_rename_pins_what_it_saw_and_is_found_behind_a_lost_answer() {
    let old = || (OLD, object(3, b"hello"));
    let (renamed, lines) = rename(&[old(), (MOVE, object(9, b"hello"))]).await;
    assert_eq!(renamed, Ok(9));
    assert!(lines[1].contains("ifSourceGenerationMatch=3"), "{lines:?}");
    // It is repeated, and the refusal of the repeat is looked at.
    let lost = |refused: Say, left: Say, found: Option<Say>| {
        let mut script = vec![old(), (MOVE, Say::Nothing), (MOVE, refused), (OLD, left)];
        script.extend(found.map(|found| (NEW, found)));
        script
    };
    for refused in [not_found(), precondition_failed()] {
        let done = lost(refused.clone(), not_found(), Some(object(LATER, b"hello")));
        assert_eq!(rename(&done).await.0, Ok(LATER));
        // Somebody has used the old name since.
        let done = lost(
            refused.clone(),
            object(LATER, b"other"),
            Some(object(LATER, b"hello")),
        );
        assert_eq!(rename(&done).await.0, Ok(LATER));
        // Other bytes are somebody else's, and so is nothing.
        for found in [object(LATER, b"HELLO"), not_found()] {
            let (renamed, _) = rename(&lost(refused.clone(), not_found(), Some(found))).await;
            assert!(renamed.expect_err("nothing tells").is_unknown());
        }
    }
    // The source is as it was: the refusal says what is.
    let (renamed, _) = rename(&lost(precondition_failed(), object(3, b"hello"), None)).await;
    assert!(matches!(renamed, Err(GivenUp::Refused(error)) if error.is(Kind::PreconditionFailed)));
    // A first refusal needs no look.
    let (renamed, _) = rename(&[old(), (MOVE, not_found())]).await;
    assert!(renamed.expect_err("refused").error().is(Kind::NotFound));
}

async fn patch(script: &[(&str, Say)]) -> (Result<u64, GivenUp>, Vec<String>) {
    against(script, |requests| async move {
        let object = Destination {
            metadata: r#"{"contentType":"a/b","cacheControl":null}"#.into(),
            ..destination("old")
        };
        requests.patch(&object, None).await
    })
    .await
}

fn shown(fields: &str) -> Say {
    json(
        "200 OK",
        &format!(r#"{{"generation":"3","metageneration":"7","size":"5",{fields}}}"#),
    )
}

#[tokio::test]
async fn a_patch_is_found_or_made_again_for_what_was_seen() {
    let lost = (PATCH, Say::Nothing);
    // The object is as it was to be.
    let (patched, _) = patch(&[lost.clone(), (OLD, shown(r#""contentType":"a/b""#))]).await;
    assert_eq!(patched, Ok(3));
    // It is not: once more, on the version of the metadata that was seen.
    for before in [
        r#""contentType":"x/y""#,
        r#""contentType":"a/b","cacheControl":"no-cache""#,
    ] {
        let script = [
            lost.clone(),
            (OLD, shown(before)),
            (PATCH, shown(r#""contentType":"a/b""#)),
        ];
        let (patched, lines) = patch(&script).await;
        assert_eq!(patched, Ok(3));
        assert!(!lines[0].contains("ifMetagenerationMatch"), "{lines:?}");
        assert!(lines[2].contains("ifMetagenerationMatch=7"), "{lines:?}");
    }
    // That is not what was asked for, and its failure says nothing.
    let script = [
        lost.clone(),
        (OLD, shown(r#""contentType":"x/y""#)),
        (PATCH, precondition_failed()),
        (OLD, shown(r#""contentType":"x/y""#)),
    ];
    assert!(patch(&script).await.0.expect_err("nothing tells").is_unknown());
    // There is nothing to change any more.
    let (patched, _) = patch(&[lost, (OLD, not_found())]).await;
    assert!(patched.expect_err("gone").is_unknown());
}
