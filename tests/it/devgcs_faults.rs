//! What devgcs does wrong when it is asked to (`devgcs::faults`).

use std::io;
use std::time::Duration;

use devgcs::{Server, SessionPhase};
use tokio::time::timeout;

use crate::support::devgcs::{Q, Session, bytes, call, server, server_with, stored, upload};
use crate::support::http::{Answer, Client, PATIENCE, request, try_request};
use crate::support::waiting::becomes;

const KEY: &str = "x-goog-emulator-instructions";

async fn under(plan: &str) -> Server {
    server_with(Server::builder().faults(plan)).await
}

/// A write of the whole of `body` from `first` on, as the last of `total`, under an instruction.
async fn write(session: &Session, word: &str, first: usize, body: &[u8], total: &str) -> io::Result<Answer> {
    let range = match body.len() {
        0 => format!("bytes */{total}"),
        len => format!("bytes {first}-{}/{total}", first + len - 1),
    };
    let mut headers = vec![("Content-Range", range.as_str())];
    if !word.is_empty() {
        headers.push((KEY, word));
    }
    try_request(session.address, "PUT", &session.target, &headers, body).await
}

/// How a request under an instruction ended: its status, or the error's kind; and what is persisted then.
async fn outcome(word: &str, body: &[u8], total: &str) -> (Result<u16, io::ErrorKind>, Option<u64>) {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    let answer = write(&session, word, 0, body, total).await;
    let ended = answer.map(|answer| answer.status).map_err(|error| error.kind());
    let query = session.query().await;
    let persisted = match query.status {
        308 => Some(query.persisted()),
        _ => None,
    };
    (ended, persisted)
}

#[tokio::test]
async fn a_write_is_struck_where_the_word_says() {
    let reset = Err(io::ErrorKind::ConnectionReset);
    let closed = Err(io::ErrorKind::UnexpectedEof);
    let body = bytes(3 * Q);
    let total = (3 * Q).to_string();
    let q = Q as u64;
    for status in [408, 429, 500, 502, 503, 504] {
        for (when, persisted) in [
            ("", Some(0)),
            ("-after-256K", Some(q)),
            ("-after-300K", Some(q)),
            ("-after-body", Some(3 * q)),
            ("-after-all", None),
        ] {
            let word = format!("return-{status}{when}");
            assert_eq!(
                outcome(&word, &body, &total).await,
                (Ok(status), persisted),
                "{word}"
            );
        }
    }
    for (word, ended, persisted) in [
        ("return-reset-connection", reset, Some(0)),
        ("return-reset-connection-after-512K", reset, Some(2 * q)),
        ("return-reset-connection-after-all", reset, None),
        ("close-connection", closed, Some(0)),
        ("close-connection-after-256K", closed, Some(q)),
        ("close-connection-after-body", closed, Some(3 * q)),
        ("close-connection-after-all", closed, None),
        ("persist-0K", Ok(308), Some(0)),
        ("persist-256K", Ok(308), Some(q)),
        ("persist-767K", Ok(308), Some(2 * q)),
        ("persist-768K", Ok(200), None),
        ("persist-1024K", Ok(200), None),
        ("return-503-after-1024K", Ok(200), None),
        ("lose-session-410", Ok(410), None),
        ("lose-session-404", Ok(404), None),
        ("return-broken-stream-final-chunk-after-10B", Ok(200), None),
        ("return-broken-stream", closed, None),
        ("stall-for-1ms-after-256K", Ok(200), None),
        (
            "stall-for-1ms+stall-for-1ms-after-body+stall-for-1ms-after-all",
            Ok(200),
            None,
        ),
        ("persist-256K+return-503-after-all", Ok(503), Some(q)),
        ("persist-256K+close-connection-after-512K", closed, Some(q)),
        ("no-range", Ok(200), None),
        ("return-503-after-some+return-503", Ok(503), Some(0)),
    ] {
        assert_eq!(outcome(word, &body, &total).await, (ended, persisted), "{word}");
    }
}

#[tokio::test]
async fn a_small_or_empty_object_is_struck_too() {
    let closed = Err(io::ErrorKind::UnexpectedEof);
    for len in [0, 1, 1000] {
        let body = bytes(len);
        let total = len.to_string();
        for (word, ended, persisted) in [
            ("return-503", Ok(503), Some(0)),
            ("return-503-after-body", Ok(503), Some(0)),
            ("return-503-after-all", Ok(503), None),
            ("close-connection-after-all", closed, None),
        ] {
            assert_eq!(
                outcome(word, &body, &total).await,
                (ended, persisted),
                "{word}, {len}"
            );
        }
    }
    assert_eq!(outcome("persist-0K", b"x", "1").await, (Ok(308), Some(0)));
    assert_eq!(
        outcome("return-503-after-some", b"x", "1").await,
        (Ok(503), Some(0))
    );
}

#[tokio::test]
async fn what_was_lost_can_be_made_good() {
    for word in [
        "persist-256K",
        "return-503-after-512K",
        "hide-some+return-500-after-body",
        "close-connection-after-256K",
    ] {
        let server = server().await;
        let session = Session::start(&server, "o").await;
        let body = bytes(3 * Q + 7);
        let total = body.len().to_string();
        let _ = write(&session, word, 0, &body, &total).await;
        let from = usize::try_from(session.query().await.persisted()).expect("small");
        let answer = write(&session, "", from, &body[from..], &total)
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200, "{word}");
        assert_eq!(stored(&server, "o").await, body, "{word}");
        assert!(server.fault_counts().values().sum::<u64>() >= 1, "{word}");
    }
}

#[tokio::test]
async fn hidden_bytes_show_after_a_query() {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    let body = bytes(4 * Q);
    let struck = write(&session, "hide-512K+return-503-after-all", 0, &body, "*").await;
    assert_eq!(struck.expect("an answer").status, 503);
    assert_eq!(session.query().await.persisted(), 2 * Q as u64);
    assert_eq!(session.query().await.persisted(), 4 * Q as u64);
    // A write from where the first query said is welcome as well.
    let answer = write(&session, "hide-256K", 2 * Q, &bytes(6 * Q)[2 * Q..], "*").await;
    assert_eq!(answer.expect("an answer").persisted(), 5 * Q as u64);
    let answer = write(&session, "", 5 * Q, &bytes(6 * Q)[5 * Q..], "*").await;
    assert_eq!(answer.expect("an answer").persisted(), 6 * Q as u64);
    assert_eq!(server.fault_counts()["hide"], 2);
}

#[tokio::test]
async fn a_308_can_lie() {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    let body = bytes(2 * Q);
    let answer = write(&session, "no-range", 0, &body, "*")
        .await
        .expect("an answer");
    assert_eq!((answer.status, answer.header("range")), (308, None));
    for (word, reported) in [
        ("report-256K-less", Q),
        ("report-512K-less", 0),
        ("report-256K-more", 3 * Q),
        ("no-range", 0),
    ] {
        let headers = [("Content-Range", "bytes */*"), (KEY, word)];
        let answer = request(session.address, "PUT", &session.target, &headers, b"").await;
        assert_eq!(answer.persisted(), reported as u64, "{word}");
    }
    assert_eq!(session.query().await.persisted(), 2 * Q as u64);
}

#[tokio::test]
async fn a_lost_session_stays_lost() {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    session.put(Some("bytes 0-262143/*"), &bytes(Q)).await;
    let headers = [("Content-Range", "bytes */*"), (KEY, "lose-session-410")];
    for headers in [&headers[..], &headers[..1]] {
        let answer = request(session.address, "PUT", &session.target, headers, b"").await;
        assert_eq!(answer.status, 410);
    }
    assert_eq!(
        session.put(Some("bytes 262144-262144/262145"), b"x").await.status,
        410
    );
    assert_eq!(server.inspect().sessions[0].phase, SessionPhase::Ended(410));
}

#[tokio::test]
async fn a_shortened_answer_still_made_the_object() {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    let answer = write(
        &session,
        "return-broken-stream-final-chunk-after-10B",
        0,
        b"abc",
        "3",
    )
    .await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (200, 10));
    assert_eq!(stored(&server, "o").await, b"abc");
}

#[tokio::test]
async fn reads_break_stall_and_lie() {
    let server = server().await;
    let body = bytes(3 * Q);
    upload(&server, "o", &body).await;
    let media = "/storage/v1/b/bucket/o/o?alt=media";
    let read =
        async |word: &'static str| try_request(server.address(), "GET", media, &[(KEY, word)], b"").await;
    for word in ["return-broken-stream", "return-broken-stream-after-512K"] {
        let error = read(word).await.expect_err("the end");
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ),
            "{error}"
        );
    }
    let corrupt = read("return-corrupted-data").await.expect("an answer").body;
    let wrong = corrupt
        .iter()
        .zip(&body)
        .filter(|(found, wanted)| found != wanted);
    assert_eq!((corrupt.len(), wrong.count()), (body.len(), 1));
    for word in [
        "stall-for-5ms-after-256K",
        "stall-for-5ms",
        "return-broken-stream-after-1024K",
    ] {
        assert!(read(word).await.expect("an answer").body == body, "{word}");
    }
    let mut client = Client::connect(server.address()).await;
    client.head("GET", media, &[(KEY, "stall-at-256KiB")]).await;
    becomes(|| server.fault_counts()["stall"] == 3).await;
    let stalled = timeout(Duration::from_millis(200), client.try_answer()).await;
    assert!(stalled.is_err(), "{stalled:?}");
    let counts = server.fault_counts();
    assert_eq!(
        (counts["break"], counts["corrupt"], counts["stall"]),
        (3, 1, 3),
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_plan_picks_its_calls() {
    let server = under(
        "return-503 on start call 1..3; return-429 on query; close-connection-after-all on last call 0",
    )
    .await;
    let start = async || Session::try_start(&server, "o", "", &[], "").await.status;
    assert_eq!(
        [start().await, start().await, start().await, start().await],
        [200, 503, 503, 200]
    );
    let session = Session::start(&server, "o").await;
    assert_eq!(session.query().await.status, 429);
    assert_eq!(
        write(&session, "", 0, &bytes(Q), "*")
            .await
            .expect("an answer")
            .status,
        308
    );
    write(&session, "", Q, b"x", "262145").await.expect_err("closed");
    assert_eq!(stored(&server, "o").await.len(), Q + 1);
    assert_eq!(
        write(&session, "", Q, b"x", "262145")
            .await
            .expect("an answer")
            .status,
        200
    );
    let counts: Vec<_> = server.fault_counts().into_iter().collect();
    assert_eq!(counts, [("close", 1), ("return", 3)]);
}

#[tokio::test]
async fn a_seed_repeats_itself() {
    let mut histories = Vec::new();
    for seed in [1, 1, 2] {
        let plan = format!("seed {seed}; return-503 p 0.4; persist-some on write p 0.5; hide-some on write");
        let server = under(&plan).await;
        let mut history = Vec::new();
        for at in 0..40 {
            let answer = Session::try_start(&server, &format!("o{at}"), "", &[], "").await;
            history.push(u64::from(answer.status));
            let Some(location) = answer.header("location") else {
                continue;
            };
            let target = location
                .strip_prefix(&server.endpoint())
                .expect("it is here")
                .to_owned();
            let session = Session {
                address: server.address(),
                target,
            };
            let answer = write(&session, "", 0, &bytes(5 * Q), "*")
                .await
                .expect("an answer");
            history.push(u64::from(answer.status));
            if answer.status == 308 {
                history.push(answer.persisted());
            }
        }
        histories.push(history);
    }
    assert_eq!(histories[0], histories[1]);
    assert_ne!(histories[0], histories[2]);
}

#[tokio::test]
async fn a_stall_for_good_outlasts_the_client() {
    let server = server().await;
    let session = Session::start(&server, "o").await;
    let mut client = Client::connect(server.address()).await;
    let headers = [
        ("Content-Range", "bytes 0-524287/524288"),
        ("Content-Length", "524288"),
        (KEY, "stall-always-after-256K"),
    ];
    client.head("PUT", &session.target, &headers).await;
    client.send(&bytes(2 * Q)).await;
    assert!(
        server
            .wait_for(PATIENCE, |seen| seen.sessions[0].persisted > 0)
            .await
    );
    assert!(
        timeout(Duration::from_millis(100), client.try_answer())
            .await
            .is_err()
    );
    client.reset();
    assert!(session.query().await.persisted() >= Q as u64);
    timeout(PATIENCE, server.shutdown())
        .await
        .expect("it holds nobody up");
}

#[tokio::test]
async fn the_retry_test_api_is_googles() {
    let server = server().await;
    let body = r#"{"instructions": {"storage.objects.insert": ["return-503", "return-503-after-256K"], "storage.buckets.list": ["return-reset-connection"]}}"#;
    let create =
        async |body: &str| request(server.address(), "POST", "/retry_test", &[], body.as_bytes()).await;
    let created = create(body).await;
    assert_eq!(created.status, 200, "{}", created.text());
    let created = created.json();
    assert_eq!(
        (&created["completed"], &created["transport"]),
        (&false.into(), &"HTTP".into())
    );
    let id = created["id"].as_str().expect("an id");
    let headers = [("x-retry-test-id", id)];

    assert_eq!(
        Session::try_start(&server, "o", "", &headers, "").await.status,
        503
    );
    let session = Session::start_with(&server, "o", "", &headers, "").await;
    // This one does not come by the place: the instruction waits.
    assert_eq!(
        session.put_with(Some("bytes */*"), &headers, b"").await.status,
        308
    );
    let body = bytes(3 * Q);
    assert_eq!(
        session
            .put_with(Some("bytes 0-786431/786432"), &headers, &body)
            .await
            .status,
        503
    );
    assert_eq!(
        session
            .put_with(Some("bytes */*"), &headers, b"")
            .await
            .persisted(),
        Q as u64
    );
    assert_eq!(
        session
            .put_with(Some("bytes 262144-786431/786432"), &headers, &body[Q..])
            .await
            .status,
        200
    );

    let show = async || request(server.address(), "GET", &format!("/retry_test/{id}"), &[], b"").await;
    assert_eq!(show().await.json()["completed"], false);
    let list = try_request(server.address(), "GET", "/storage/v1/b?project=p", &headers, b"").await;
    assert_eq!(list.expect_err("cut").kind(), io::ErrorKind::ConnectionReset);
    let list = try_request(server.address(), "GET", "/storage/v1/b?project=p", &headers, b"").await;
    assert_eq!(list.expect("an answer").status, 200);
    assert_eq!(show().await.json()["completed"], true);
    let all = request(server.address(), "GET", "/retry_tests", &[], b"")
        .await
        .json();
    assert_eq!(all["retry_test"][0]["id"], id);
    assert_eq!(
        request(server.address(), "DELETE", &format!("/retry_test/{id}"), &[], b"")
            .await
            .status,
        200
    );
    assert_eq!(show().await.status, 404);
    assert_eq!(
        Session::try_start(&server, "o", "", &headers, "").await.status,
        404
    );
    for bad in [
        "{}",
        r#"{"instructions": {"storage.objects.insert": ["return-99"]}}"#,
        r#"{"instructions": {"storage.objects.fold": ["return-503"]}}"#,
        r#"{"instructions": {"storage.objects.insert": "return-503"}}"#,
        r#"{"instructions": {}, "transport": "GRPC"}"#,
    ] {
        assert_eq!(create(bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn what_is_no_instruction_is_a_bad_request() {
    let server = server().await;
    let answer = Session::try_start(&server, "o", "", &[(KEY, "return-everything")], "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("return-everything"), "{}", answer.text());
    // The old name of the header, and a call that its word is not about.
    let answer = Session::try_start(
        &server,
        "o",
        "",
        &[("x-goog-testbench-instructions", "no-range")],
        "",
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(call(&server, "GET", "/b/bucket", "").await.status, 200);
}

#[tokio::test]
async fn every_operation_has_a_name_in_the_retry_test_api() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    for (name, method, target) in [
        ("storage.buckets.patch", "PATCH", "/storage/v1/b/bucket"),
        ("storage.buckets.update", "PUT", "/storage/v1/b/bucket"),
        ("storage.buckets.getIamPolicy", "GET", "/storage/v1/b/bucket/iam"),
        (
            "storage.buckets.lockRetentionPolicy",
            "POST",
            "/storage/v1/b/bucket/lockRetentionPolicy",
        ),
        ("storage.bucket_acl.insert", "POST", "/storage/v1/b/bucket/acl"),
        (
            "storage.default_object_acl.list",
            "GET",
            "/storage/v1/b/bucket/defaultObjectAcl",
        ),
        (
            "storage.object_acl.delete",
            "DELETE",
            "/storage/v1/b/bucket/o/a/acl/allUsers",
        ),
        (
            "storage.notifications.list",
            "GET",
            "/storage/v1/b/bucket/notificationConfigs",
        ),
        ("storage.hmacKey.list", "GET", "/storage/v1/projects/p/hmacKeys"),
        (
            "storage.serviceaccount.get",
            "GET",
            "/storage/v1/projects/p/serviceAccount",
        ),
        ("storage.folders.list", "GET", "/storage/v1/b/bucket/folders"),
        ("storage.objects.get", "GET", "/bucket/a"),
        ("storage.objects.insert", "PUT", "/bucket/b"),
    ] {
        let test = format!(r#"{{"instructions": {{"{name}": ["return-418"]}}}}"#);
        let made = request(server.address(), "POST", "/retry_test", &[], test.as_bytes()).await;
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        let headers = [("x-retry-test-id", id.as_str())];
        // Another operation meets nothing.
        let other = request(
            server.address(),
            "GET",
            "/storage/v1/b/bucket/o/a/acl",
            &headers,
            b"",
        )
        .await;
        assert_eq!(other.status, 200, "{name}");
        let met = request(server.address(), method, target, &headers, b"{}").await;
        assert_eq!(met.status, 418, "{name}: {}", met.text());
        let done = request(server.address(), "GET", &format!("/retry_test/{id}"), &[], b"").await;
        assert_eq!(done.json()["completed"], true, "{name}");
    }
}

#[tokio::test]
async fn words_of_the_testbench_that_are_about_grpc_do_nothing() {
    let server = server().await;
    for word in [
        "redirect-send-token-T",
        "redirect-send-handle-and-token-T",
        "return-503-if-dp-enforced",
        "return-unreachable-buckets-a,b",
        "inject-upload-data-error",
        "return-503-after-256K/retry-3",
    ] {
        let test = format!(r#"{{"instructions": {{"storage.buckets.get": ["{word}"]}}}}"#);
        let made = request(server.address(), "POST", "/retry_test", &[], test.as_bytes()).await;
        assert_eq!(made.status, 200, "{word}: {}", made.text());
        let headers = [("x-goog-emulator-instructions", word)];
        let answer = request(server.address(), "GET", "/storage/v1/b/bucket", &headers, b"").await;
        assert_eq!(answer.status, 200, "{word}");
    }
    for word in ["return-x-if-dp-enforced", "redirect", "return-503/retry-x"] {
        let headers = [("x-goog-emulator-instructions", word)];
        let answer = request(server.address(), "GET", "/storage/v1/b/bucket", &headers, b"").await;
        assert_eq!(answer.status, 400, "{word}");
    }
}
