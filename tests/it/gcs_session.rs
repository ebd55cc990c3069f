//! Start, query, finish and cancel: what is sent, and how each answer is read.

use bytes::Bytes;
use gcsd_gcs::{
    Answered, CancelOutcome, Error, ErrorKind, Recovery, SessionStatus, SessionUri, WriteRange, lend,
};
use gcsd_types::{Crc32c, Destination, Preconditions};

use crate::support::peer::{Peer, active, client, finished, patiently, response};

/// Lets the peer answer one request, and gives its head and body.
async fn once<T>(
    peer: &Peer,
    answer: &str,
    body: usize,
    call: impl Future<Output = T>,
) -> (T, String, Vec<u8>) {
    let call = Box::pin(call);
    let serve = async {
        let mut server = peer.accept().await;
        let head = server.head().await;
        let body = server.body(body).await;
        server.send(answer).await;
        (head, body, server)
    };
    let (outcome, (head, body, _server)) = patiently(async { tokio::join!(call, serve) }).await;
    (outcome, head, body)
}

fn start() -> Destination {
    Destination::new(
        "bucket".parse().expect("a name"),
        "a/b #?é..".parse().expect("a name"),
    )
}

async fn start_with(answer: &str) -> Result<Answered<SessionUri>, Error> {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    once(&peer, answer, 0, gcs.start_upload(&start(), None)).await.0
}

/// GCS names requests on a session by the session's own id.
#[tokio::test]
async fn the_id_of_a_session_is_no_request_id() {
    let named = |status| {
        response(
            status,
            "Connection: close\r\nX-GUploader-UploadID: s3cr3t\r\n",
            "",
        )
    };
    let error = start_with(&named("200 OK"))
        .await
        .expect_err("there is no Location");
    assert_eq!(error.request_id(), None);
    assert!(!format!("{error:?}").contains("s3cr3t"));
    let refused = start_with(&named("403 Forbidden")).await.expect_err("refused");
    assert_eq!(refused.request_id(), Some("s3cr3t"), "there is no session");

    let peer = Peer::listen().await;
    let session = SessionUri::parse(&format!("http://{}/u?upload_id=s3cr3t", peer.address())).expect("a URI");
    let gcs = peer.gcs();
    let (queried, ..) = once(&peer, &named("308 Resume Incomplete"), 0, gcs.query(&session)).await;
    assert_eq!(queried.expect("an answer").request_id, None);
    let (queried, ..) = once(&peer, &named("503 Busy"), 0, gcs.query(&session)).await;
    assert_eq!(queried.expect_err("an error").request_id(), None);
    let other = response(
        "503 Busy",
        "Connection: close\r\nX-GUploader-UploadID: other\r\n",
        "",
    );
    let (queried, ..) = once(&peer, &other, 0, gcs.query(&session)).await;
    assert_eq!(queried.expect_err("an error").request_id(), Some("other"));
}

#[tokio::test]
async fn a_start_sends_everything_it_was_given() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let start = Destination {
        metadata: Bytes::from_static(br#" {"contentType":"text/plain","name":"a/b #?\u00e9.."}"#),
        preconditions: Preconditions {
            if_generation_match: Some(0),
            ..Preconditions::default()
        },
        user_project: Some("payer".to_owned()),
        kms_key_name: Some("projects/p/k".to_owned()),
        predefined_acl: Some("private".to_owned()),
        ..start()
    };
    let answer = response(
        "200 OK",
        "Location: /upload?upload_id=secret\r\nX-GUploader-UploadID: id-1\r\n",
        "",
    );
    let (started, head, body) = once(&peer, &answer, 53, gcs.start_upload(&start, Some(11))).await;
    let started = started.expect("started");
    assert_eq!(
        started.answer.expose(),
        format!("http://{}/upload?upload_id=secret", peer.address())
    );
    // GCS's name for the request is that of the session, and so a credential.
    assert_eq!(started.request_id, None);
    assert!(!format!("{started:?}").contains("secret"));
    let (line, headers) = head.split_once("\r\n").expect("a head");
    assert_eq!(
        line,
        "POST /upload/storage/v1/b/bucket/o?uploadType=resumable&name=a%2Fb%20%23%3F%C3%A9..&ifGenerationMatch=0\
         &kmsKeyName=projects%2Fp%2Fk&predefinedAcl=private&userProject=payer HTTP/1.1"
    );
    for header in [
        "content-type: application/json; charset=UTF-8",
        "x-upload-content-length: 11",
        "content-length: 53",
    ] {
        assert!(headers.contains(header), "{headers}");
    }
    assert_eq!(Bytes::from(body), start.metadata);
}

#[tokio::test]
async fn a_start_without_metadata_has_an_empty_body() {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.user_project = Some("default payer".to_owned());
    let gcs = client(config);
    let answer = response(
        "201 Created",
        "Location: https://elsewhere.example/u?upload_id=x\r\n",
        "",
    );
    let (started, head, _) = once(&peer, &answer, 0, gcs.start_upload(&start(), None)).await;
    assert!(
        started
            .expect("started")
            .answer
            .expose()
            .starts_with("https://elsewhere.example/")
    );
    assert!(head.contains("content-length: 0"), "{head}");
    assert!(head.contains("userProject=default%20payer"), "{head}");
    assert!(!head.contains("content-type"), "{head}");
}

#[tokio::test]
async fn a_start_has_no_json_to_select_from() {
    let peer = Peer::listen().await;
    let start = Destination {
        fields: Some("name".to_owned()),
        ..start()
    };
    let error = peer.gcs().start_upload(&start, None).await.expect_err("refused");
    assert_eq!((error.kind(), error.request_sent()), (ErrorKind::Invalid, false));
}

#[tokio::test]
async fn metadata_must_be_an_object_that_agrees() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    for metadata in [
        " ",
        "[]",
        r#"["a/b #?é.."]"#,
        "null",
        "{",
        r#"{"a":1} x"#,
        r#"{"name":"other"}"#,
        r#"{"name":1}"#,
        r#"{"name":"a/b #?é..","name":"other"}"#,
        r#"{"bucket":"other"}"#,
    ] {
        let start = Destination {
            metadata: Bytes::from(metadata),
            ..start()
        };
        let error = gcs.start_upload(&start, None).await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::Invalid, false),
            "{metadata}"
        );
    }
}

#[tokio::test]
async fn a_start_that_gives_no_usable_session_is_an_error() {
    for location in [
        "",
        "Location: \r\n",
        "Location: ftp://x/\r\n",
        "Location: http://u:p@h/?upload_id=secret\r\n",
    ] {
        let error = start_with(&response("200 OK", location, ""))
            .await
            .expect_err("refused");
        assert_eq!(
            (error.kind(), error.http_status()),
            (ErrorKind::BadResponse, Some(200)),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("secret"));
    }
    let json = r#"{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}"#;
    let error = start_with(&response(
        "404 Not Found",
        "Content-Type: application/json\r\n",
        json,
    ))
    .await
    .expect_err("refused");
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Http, Some(404)));
    assert_eq!(
        (error.reason(), error.recovery()),
        (Some("notFound"), Recovery::Never)
    );
    let redirected = response("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", "");
    let error = start_with(&redirected).await.expect_err("not followed");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Http, Recovery::Never)
    );
    let huge = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 9999999\r\n\r\n{}",
        "x".repeat(200_000)
    );
    let error = start_with(&huge).await.expect_err("refused");
    assert_eq!(error.http_status(), Some(403));
    assert!(error.message().len() <= 512);
}

async fn query_with(answer: &str) -> Result<SessionStatus, Error> {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let session = peer.session();
    let (progress, head, _) = once(&peer, answer, 0, gcs.query(&session)).await;
    assert!(
        head.starts_with("PUT /session?upload_id=secret HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("content-range: bytes */*"), "{head}");
    assert!(head.contains("content-length: 0"), "{head}");
    progress.map(|answered| answered.answer)
}

#[tokio::test]
async fn a_308_tells_what_is_persisted_or_that_nothing_is_known() {
    assert_eq!(
        query_with(&active(None)).await.expect("active"),
        SessionStatus::Active { committed: None }
    );
    for range in ["bytes=0-262143", "bytes 0-262143"] {
        let progress = query_with(&active(Some(range))).await.expect("active");
        assert_eq!(
            progress,
            SessionStatus::Active {
                committed: Some(262_144)
            }
        );
    }
    let last = format!("bytes=0-{}", u64::MAX);
    for range in [
        "bytes=1-2",
        "bytes=0-",
        "0-5",
        "bytes=0-x",
        "bytes=0--1",
        "bytes=0-+1",
        last.as_str(),
    ] {
        let error = query_with(&active(Some(range))).await.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{range}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_says_how() {
    assert!(matches!(
        query_with(&finished()).await,
        Ok(SessionStatus::Finished(_))
    ));
    for (status, kind, recovery) in [
        ("404 Not Found", ErrorKind::SessionLost, Recovery::Restart),
        ("410 Gone", ErrorKind::SessionLost, Recovery::Restart),
        (
            "499 Client Closed Request",
            ErrorKind::SessionCancelled,
            Recovery::Never,
        ),
        ("403 Forbidden", ErrorKind::Http, Recovery::Never),
        ("500 Internal Server Error", ErrorKind::Http, Recovery::Same),
    ] {
        let error = query_with(&response(status, "", "")).await.expect_err("over");
        assert_eq!((error.kind(), error.recovery()), (kind, recovery), "{status}");
    }
    let error = query_with(&response("200 OK", "", "not JSON"))
        .await
        .expect_err("no object");
    assert_eq!(error.kind(), ErrorKind::BadResponse);
    let endless = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{}",
        " ".repeat(5 << 20)
    );
    let error = query_with(&endless).await.expect_err("too long");
    assert_eq!(
        (error.kind(), error.http_status()),
        (ErrorKind::BadResponse, Some(200)),
        "{error}"
    );
}

#[tokio::test]
async fn a_finish_names_the_total_and_the_checksum() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let session = peer.session();
    let finish = gcs.finish(&session, 11, Some(Crc32c::of(b"hello world")));
    let (progress, head, _) = once(&peer, &finished(), 0, finish).await;
    assert!(matches!(
        progress.expect("finished").answer,
        SessionStatus::Finished(_)
    ));
    assert!(head.contains("content-range: bytes */11"), "{head}");
    assert!(head.contains("x-goog-hash: crc32c=yZRlqg=="), "{head}");

    let mismatch =
        r#"{"error":{"code":400,"message":"Provided CRC32C \"a\" doesn't match calculated CRC32C \"b\"."}}"#;
    let peer = Peer::listen().await;
    let (gcs, session) = (peer.gcs(), peer.session());
    let refused = response("400 Bad Request", "Content-Type: application/json\r\n", mismatch);
    let (error, ..) = once(&peer, &refused, 0, gcs.finish(&session, 11, None)).await;
    let error = error.expect_err("refused");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::ChecksumMismatch, Recovery::Restart)
    );

    let gap = "the upload offset is 9 byte(s), which exceeds already uploaded size of 4 byte(s).";
    let peer = Peer::listen().await;
    let (gcs, session) = (peer.gcs(), peer.session());
    let refused = response("503 Service Unavailable", "Content-Type: text/plain\r\n", gap);
    let (error, ..) = once(&peer, &refused, 0, gcs.finish(&session, 11, None)).await;
    let error = error.expect_err("refused");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Gap, Recovery::Query)
    );
}

#[tokio::test]
async fn an_empty_range_finishes_or_asks() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    for (total, expected) in [(Some(7), "bytes */7"), (None, "bytes */*")] {
        let (_lease, body) = lend(std::collections::VecDeque::new(), 0);
        let range = WriteRange {
            offset: 7,
            len: Some(0),
            total,
            object_crc32c: None,
        };
        let session = peer.session();
        let answer = response("308 Resume Incomplete", "Connection: close\r\n", "");
        let (progress, head, _) = once(&peer, &answer, 0, gcs.write(&session, range, body)).await;
        assert!(head.contains(&format!("content-range: {expected}")), "{head}");
        assert_eq!(
            progress.expect("active").answer,
            SessionStatus::Active { committed: None }
        );
    }
}

#[tokio::test]
async fn a_cancellation_says_what_it_found() {
    let lost = response("404 Not Found", "", "");
    let cancelled = response("499 Client Closed Request", "", "");
    for (answer, expected) in [
        (cancelled.as_str(), Some(CancelOutcome::Cancelled)),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some(CancelOutcome::Cancelled)),
        (lost.as_str(), Some(CancelOutcome::Unknown)),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", None),
    ] {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let session = peer.session();
        let (outcome, head, _) = once(&peer, answer, 0, gcs.cancel(&session)).await;
        assert!(
            head.starts_with("DELETE /session?upload_id=secret HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("content-length: 0"), "{head}");
        match expected {
            Some(expected) => assert_eq!(outcome.expect("an outcome").answer, expected),
            None => assert_eq!(outcome.expect_err("unknown").recovery(), Recovery::Query),
        }
    }
    let peer = Peer::listen().await;
    let session = peer.session();
    let (outcome, ..) = once(&peer, &finished(), 0, peer.gcs().cancel(&session)).await;
    assert!(matches!(
        outcome.expect("an outcome").answer,
        CancelOutcome::Finished(_)
    ));
}
