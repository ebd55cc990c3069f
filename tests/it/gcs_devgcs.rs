//! The GCS client against the embedded GCS: two programs written from the same documentation, and not from
//! each other.

use std::collections::VecDeque;

use bytes::Bytes;
use devgcs::Server;
use gcsd_gcs::{
    ByteRange, CancelOutcome, Config, Endpoint, Error, ErrorKind, Gcs, Object, ObjectRef, Recovery,
    SessionStatus, SessionUri, WriteRange, lend,
};
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c, Destination};

use crate::support::daemon::PATIENCE;
use crate::support::feed::Endless;
use crate::support::peer::{client, patiently};

/// Odd names that must come through as they are.
const NAMES: [&str; 5] = [
    "plain",
    "a/b#c?d e%2F&f=g+h",
    "../x/./y//",
    "ünï/☃/\u{1f980}",
    " ",
];

async fn start() -> (Server, Gcs) {
    let server = Server::builder().bucket("bucket").start().await.expect("started");
    let endpoint = Endpoint::parse(&server.endpoint()).expect("an endpoint");
    let gcs = client(Config::anonymous(endpoint));
    (server, gcs)
}

fn object(name: &str) -> ObjectRef {
    ObjectRef::new("bucket".parse().expect("a name"), name.parse().expect("a name"))
}

async fn session(gcs: &Gcs, name: &str) -> SessionUri {
    let object = object(name);
    let start = Destination::new(object.bucket, object.object);
    patiently(gcs.start_upload(&start, None))
        .await
        .expect("started")
        .answer
}

async fn write(
    gcs: &Gcs,
    session: &SessionUri,
    offset: u64,
    bytes: &[u8],
    last: bool,
) -> Result<SessionStatus, Error> {
    let len = bytes.len() as u64;
    let body = VecDeque::from([Bytes::copy_from_slice(bytes)]);
    let range = WriteRange {
        offset,
        len: Some(len),
        total: last.then_some(offset + len),
        object_crc32c: None,
    };
    let (_lease, body) = lend(body, len);
    patiently(gcs.write(session, range, body))
        .await
        .map(|answered| answered.answer)
}

fn active(committed: u64) -> SessionStatus {
    SessionStatus::Active {
        committed: Some(committed).filter(|committed| *committed > 0),
    }
}

fn finished(progress: SessionStatus) -> Object {
    match progress {
        SessionStatus::Finished(object) => object,
        SessionStatus::Active { .. } => panic!("the upload goes on: {progress:?}"),
    }
}

async fn read(gcs: &Gcs, object: &ObjectRef, range: ByteRange) -> Result<Vec<u8>, Error> {
    let mut stream = patiently(gcs.read_object(object, range, false)).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = patiently(stream.next()).await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from(at % 251).expect("small"))
        .collect()
}

#[tokio::test]
async fn what_is_written_in_ranges_is_read_back() {
    let (_server, gcs) = start().await;
    let bytes = pattern(700_000);
    let unit = usize::try_from(CHUNK_ALIGNMENT).expect("small");
    for name in NAMES {
        let session = session(&gcs, name).await;
        assert_eq!(
            patiently(gcs.query(&session)).await.expect("a status").answer,
            active(0)
        );
        let progress = write(&gcs, &session, 0, &bytes[..unit], false).await;
        assert_eq!(progress.expect("written"), active(CHUNK_ALIGNMENT));
        assert_eq!(
            patiently(gcs.query(&session)).await.expect("a status").answer,
            active(CHUNK_ALIGNMENT)
        );
        let written = write(&gcs, &session, CHUNK_ALIGNMENT, &bytes[unit..], true).await;
        let written = finished(written.expect("written"));
        assert_eq!(
            (written.info.size, written.info.crc32c),
            (700_000, Some(Crc32c::of(&bytes)))
        );
        // Asked again, a finished session gives the same object.
        let again = patiently(gcs.query(&session)).await.expect("a status").answer;
        assert_eq!(finished(again).info, written.info);

        let mut object = object(name);
        let stat = patiently(gcs.stat_object(&object)).await.expect("there").answer;
        assert_eq!(stat.info, written.info);
        object.generation = Some(stat.info.generation);
        let mut whole = patiently(gcs.read_object(&object, ByteRange::default(), false))
            .await
            .expect("there");
        assert_eq!(whole.info(), &stat.info);
        assert!(whole.next().await.expect("a chunk").is_some());
        drop(whole);
        for (range, expected) in [
            (ByteRange::default(), &bytes[..]),
            (ByteRange::From(0), &bytes[..]),
            (ByteRange::From(699_999), &bytes[699_999..]),
            (ByteRange::Of { offset: 0, len: 1 }, &bytes[..1]),
            (
                ByteRange::Of {
                    offset: 250_000,
                    len: 99,
                },
                &bytes[250_000..250_099],
            ),
            (
                ByteRange::Of {
                    offset: 699_990,
                    len: 99,
                },
                &bytes[699_990..],
            ),
            (ByteRange::Suffix(5), &bytes[699_995..]),
            (ByteRange::Suffix(1 << 40), &bytes[..]),
        ] {
            let got = read(&gcs, &object, range).await.expect("read");
            assert!(got == expected, "{name:?} {range:?}: {} bytes", got.len());
        }
        let error = read(&gcs, &object, ByteRange::From(700_000))
            .await
            .expect_err("beyond the end");
        assert_eq!(error.http_status(), Some(416));
    }
}

#[tokio::test]
async fn an_upload_ends_without_bytes_and_an_empty_object_can_be_read() {
    let (_server, gcs) = start().await;
    let upload = session(&gcs, "empty").await;
    let object = finished(
        patiently(gcs.finish(&upload, 0, Some(Crc32c::of(b""))))
            .await
            .expect("finished")
            .answer,
    );
    assert_eq!(
        (object.info.size, object.info.crc32c),
        (0, Some(Crc32c::default()))
    );
    for range in [ByteRange::default(), ByteRange::From(0)] {
        assert_eq!(
            read(&gcs, &self::object("empty"), range).await.expect("read"),
            b""
        );
    }

    let upload = session(&gcs, "two steps").await;
    let bytes = pattern(2 * 262_144);
    assert_eq!(
        write(&gcs, &upload, 0, &bytes, false).await.expect("written"),
        active(524_288)
    );
    // The wrong size does not finish it.
    let progress = patiently(gcs.finish(&upload, 524_289, None))
        .await
        .expect("an answer")
        .answer;
    assert_eq!(progress, active(524_288));
    let progress = patiently(gcs.finish(&upload, 524_288, None))
        .await
        .expect("an answer")
        .answer;
    assert_eq!(finished(progress).info.crc32c, Some(Crc32c::of(&bytes)));
}

#[tokio::test]
async fn a_known_size_finishes_by_itself() {
    let (_server, gcs) = start().await;
    let name = object("sized");
    let start = Destination {
        metadata: Bytes::from_static(br#"{"contentType":"text/plain","metadata":{"k":"v"}}"#),
        ..Destination::new(name.bucket.clone(), name.object.clone())
    };
    let session = patiently(gcs.start_upload(&start, Some(11)))
        .await
        .expect("started")
        .answer;
    let written = finished(
        write(&gcs, &session, 0, b"hello world", false)
            .await
            .expect("written"),
    );
    assert_eq!(written.info.crc32c, Some(Crc32c::of(b"hello world")));
    let json: serde_json::Value = serde_json::from_slice(&written.json).expect("JSON");
    assert_eq!(
        (&json["contentType"], &json["metadata"]["k"]),
        (&"text/plain".into(), &"v".into())
    );
}

#[tokio::test]
async fn refusals_have_their_own_kinds() {
    let (server, gcs) = start().await;
    // A gap.
    let upload = session(&gcs, "gap").await;
    let error = write(&gcs, &upload, CHUNK_ALIGNMENT, b"x", true)
        .await
        .expect_err("a gap");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Gap, Recovery::Query),
        "{error}"
    );

    // A wrong checksum: nothing appears.
    let upload = session(&gcs, "wrong").await;
    assert_eq!(
        write(&gcs, &upload, 0, &pattern(262_144), false)
            .await
            .expect("written"),
        active(262_144)
    );
    let error = patiently(gcs.finish(&upload, 262_144, Some(Crc32c(1))))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    assert!(server.object("bucket", "wrong").is_none());

    // A precondition.
    let upload = session(&gcs, "there").await;
    finished(write(&gcs, &upload, 0, b"x", true).await.expect("written"));
    let there = object("there");
    let mut start = Destination::new(there.bucket.clone(), there.object.clone());
    start.preconditions.if_generation_match = Some(0);
    let error = patiently(gcs.start_upload(&start, None))
        .await
        .expect_err("refused");
    assert_eq!(
        (error.http_status(), error.reason()),
        (Some(412), Some("conditionNotMet")),
        "{error}"
    );

    // What is not there.
    start.bucket = "missing".parse().expect("a name");
    let error = patiently(gcs.start_upload(&start, None))
        .await
        .expect_err("refused");
    assert_eq!(
        (error.http_status(), error.recovery()),
        (Some(404), Recovery::Never),
        "{error}"
    );
    let error = patiently(gcs.stat_object(&object("nowhere")))
        .await
        .expect_err("refused");
    assert_eq!(
        (error.http_status(), error.kind()),
        (Some(404), ErrorKind::Http),
        "{error}"
    );
    let error = read(&gcs, &object("nowhere"), ByteRange::default())
        .await
        .expect_err("refused");
    assert_eq!(error.http_status(), Some(404), "{error}");
    let unknown = format!(
        "{}/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=x",
        server.endpoint()
    );
    let unknown = SessionUri::parse(&unknown).expect("a session URI");
    let error = patiently(gcs.query(&unknown)).await.expect_err("unknown");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::SessionLost, Recovery::Restart),
        "{error}"
    );
    assert_eq!(
        patiently(gcs.cancel(&unknown)).await.expect("an answer").answer,
        CancelOutcome::Unknown
    );
}

#[tokio::test]
async fn a_cancelled_session_takes_nothing_more() {
    let (server, gcs) = start().await;
    let upload = session(&gcs, "gone").await;
    assert_eq!(
        patiently(gcs.cancel(&upload)).await.expect("cancelled").answer,
        CancelOutcome::Cancelled
    );
    let error = write(&gcs, &upload, 0, b"x", true).await.expect_err("over");
    assert!(
        matches!(error.kind(), ErrorKind::SessionCancelled | ErrorKind::SessionLost),
        "{error:?}"
    );
    assert!(server.object("bucket", "gone").is_none());
}

#[tokio::test]
async fn a_cut_put_commits_only_what_arrived_and_goes_on_from_there() {
    let (server, gcs) = start().await;
    let upload = session(&gcs, "cut").await;
    server.pause_bodies(true);
    let (mut lease, body) = lend(Endless::new(), 1 << 30);
    let range = WriteRange {
        offset: 0,
        len: Some(1 << 30),
        total: None,
        object_crc32c: None,
    };
    let write = {
        let (gcs, upload) = (gcs.clone(), upload.clone());
        tokio::spawn(async move { gcs.write(&upload, range, body).await.map(drop) })
    };
    patiently(async {
        while lease.received() < 64 << 10 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(
        server
            .wait_for(PATIENCE, |seen| seen.sessions[0].writing == 1)
            .await
    );
    lease.take().expect("the source");
    let error = patiently(write).await.expect("no panic").expect_err("cut");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::SourceTaken, Recovery::Query)
    );
    server.pause_bodies(false);
    let sent = lease.received();
    // What was cut is still on its way: wait for the server to settle.
    assert!(server.object("bucket", "cut").is_none());
    assert!(
        server
            .wait_for(PATIENCE, |seen| seen.sessions[0].writing == 0)
            .await
    );
    let committed = match patiently(gcs.query(&upload)).await.expect("a status").answer {
        SessionStatus::Active { committed } => committed.unwrap_or_default(),
        SessionStatus::Finished(_) => panic!("a cut upload finished"),
    };
    assert!(
        committed <= sent && committed.is_multiple_of(CHUNK_ALIGNMENT),
        "{committed} of {sent}"
    );
    let rest = self::write(&gcs, &upload, committed, b"end", true).await;
    assert_eq!(finished(rest.expect("written")).info.size, committed + 3);
}
