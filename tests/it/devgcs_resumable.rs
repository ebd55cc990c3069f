//! The resumable session of devgcs, over sockets.

use devgcs::{CallKind, Server, SessionPhase};
use gcsd_types::Crc32c;

use crate::support::devgcs::{Q, Session, bytes, server, server_with, stored, upload};
use crate::support::http::{Client, PATIENCE, request};

#[tokio::test]
async fn an_upload_in_parts_becomes_an_object() {
    let server = server().await;
    let all = bytes(2 * Q + 99);
    let session = Session::start(&server, "a%2Fb%23c").await;
    assert_eq!(session.query().await.persisted(), 0);
    let first = session.put(Some("bytes 0-262143/*"), &all[..Q]).await;
    assert_eq!(first.persisted(), Q as u64);
    assert!(first.header("x-guploader-uploadid").is_some());
    assert_eq!(session.query().await.persisted(), Q as u64);
    assert!(
        server.object("bucket", "a/b#c").is_none(),
        "it is invisible before its finish"
    );
    let last = session.put(Some("bytes 262144-524386/524387"), &all[Q..]).await;
    assert_eq!(last.status, 200, "{}", last.text());
    let resource = last.json();
    assert_eq!(resource["name"], "a/b#c");
    assert_eq!(resource["size"], "524387");
    assert_eq!(resource["crc32c"], Crc32c::of(&all).to_base64());
    assert_eq!(resource["metageneration"], "1");
    assert_eq!(stored(&server, "a/b#c").await, all);
    // A query and a repeat find the object.
    assert_eq!(session.query().await.json(), resource);
    let repeat = session.put(Some("bytes 262144-524386/524387"), &all[Q..]).await;
    assert_eq!(repeat.json(), resource);
    assert_eq!(
        server.object("bucket", "a/b#c").expect("there").size,
        all.len() as u64
    );
}

#[tokio::test]
async fn a_body_without_a_range_is_the_whole_object() {
    let server = server().await;
    for len in [0, 1, Q - 1, Q, Q + 1, 3 * Q + 5] {
        let all = bytes(len);
        let session = Session::start(&server, "whole").await;
        let answer = session.put(None, &all).await;
        assert_eq!(answer.status, 200, "{len}: {}", answer.text());
        assert_eq!(answer.json()["size"], len.to_string());
        assert_eq!(stored(&server, "whole").await, all, "{len}");
    }
}

#[tokio::test]
async fn a_gap_is_503_as_text_and_appends_nothing() {
    let server = server().await;
    let session = Session::start(&server, "gap").await;
    assert_eq!(
        session.put(Some("bytes 0-262143/*"), &bytes(Q)).await.persisted(),
        Q as u64
    );
    let gap = session.put(Some("bytes 524288-786431/*"), &bytes(Q)).await;
    assert_eq!(gap.status, 503);
    assert!(
        gap.header("content-type")
            .expect("a type")
            .starts_with("text/plain")
    );
    assert!(
        gap.text()
            .contains("524288 byte(s), which exceeds already uploaded size of 262144")
    );
    assert_eq!(session.query().await.persisted(), Q as u64);
}

#[tokio::test]
async fn a_broken_put_keeps_whole_multiples() {
    for reset in [false, true] {
        for chunked in [false, true] {
            for range in [Some("bytes 0-1048575/1048576"), Some("bytes 0-*/*"), None] {
                let server = server().await;
                let session = Session::start(&server, "broken").await;
                let mut client = Client::connect(server.address()).await;
                let mut headers: Vec<(&str, &str)> =
                    range.map(|range| ("Content-Range", range)).into_iter().collect();
                headers.push(if chunked {
                    ("Transfer-Encoding", "chunked")
                } else {
                    ("Content-Length", "1048576")
                });
                client.head("PUT", &session.target, &headers).await;
                let all = bytes(4 * Q);
                let part = &all[..2 * Q + 1000];
                if chunked {
                    client.chunk(part).await;
                } else {
                    client.send(part).await;
                }
                let arrived = server
                    .wait_for(PATIENCE, |now| now.sessions[0].received == part.len() as u64)
                    .await;
                assert!(arrived);
                if reset {
                    client.reset()
                } else {
                    client.close().await
                }
                let over = server
                    .wait_for(PATIENCE, |now| now.sessions[0].writing == 0)
                    .await;
                assert!(over, "reset {reset}, chunked {chunked}, {range:?}");
                let case = format!("reset {reset}, chunked {chunked}, {range:?}");
                assert_eq!(session.query().await.persisted(), 2 * Q as u64, "{case}");
                assert!(server.object("bucket", "broken").is_none(), "{case}");
                let rest = session
                    .put(Some("bytes 524288-1048575/1048576"), &all[2 * Q..])
                    .await;
                assert_eq!(rest.status, 200, "{case}: {}", rest.text());
                assert_eq!(stored(&server, "broken").await, all, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_session_is_499_for_good() {
    let server = server().await;
    let session = Session::start(&server, "cancelled").await;
    session.put(Some("bytes 0-262143/*"), &bytes(Q)).await;
    assert_eq!(session.cancel().await.status, 499);
    assert_eq!(session.query().await.status, 499);
    assert_eq!(session.put(None, b"x").await.status, 499);
    assert_eq!(session.cancel().await.status, 499);
    assert!(server.object("bucket", "cancelled").is_none());
}

#[tokio::test]
async fn paused_bodies_stall_their_sender_and_nobody_else() {
    let server = server().await;
    let session = Session::start(&server, "paused").await;
    server.pause_bodies(true);
    let all = bytes(64 * Q);
    let length = all.len().to_string();
    let mut client = Client::connect(server.address()).await;
    client
        .head("PUT", &session.target, &[("Content-Length", &length)])
        .await;
    let sent = client
        .send_until_stalled(&all, std::time::Duration::from_millis(500))
        .await;
    assert!(sent < all.len(), "all of it was taken");
    assert!(server.inspect().sessions[0].received <= Q as u64);
    assert_eq!(session.query().await.status, 308);
    server.pause_bodies(false);
    client.send(&all[sent..]).await;
    client.half_close().await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(stored(&server, "paused").await, all);
}

#[tokio::test]
async fn the_start_takes_its_name_from_the_query_or_the_resource() {
    let server = server().await;
    let start = async |target: &str, body: &str| {
        let target = format!("/upload/storage/v1/b/{target}");
        request(server.address(), "POST", &target, &[], body.as_bytes()).await
    };
    let in_resource = start("bucket/o?uploadType=resumable", r#"{"name": "a b"}"#).await;
    assert_eq!(in_resource.status, 200);
    assert!(
        in_resource
            .header("location")
            .expect("a session")
            .contains("name=a%20b&upload_id=")
    );
    assert_eq!(
        start("bucket/o?uploadType=resumable&name=a", "").await.status,
        200
    );
    assert_eq!(
        start("bucket/o?uploadType=resumable&name=a&userProject=p", "{}")
            .await
            .status,
        200
    );
    let nameless = start("bucket/o?uploadType=resumable", "").await;
    assert_eq!(nameless.json()["error"]["errors"][0]["reason"], "required");
    for (target, body, status) in [
        ("bucket/o?uploadType=resumable", "", 400),
        ("bucket/o?uploadType=resumable", r#"{"name": ""}"#, 400),
        ("bucket/o?uploadType=resumable&name=a", "{not json", 400),
        ("bucket/o?uploadType=resumable&name=a", "[]", 400),
        ("bucket/o?uploadType=resumable&name=a%0Ab", "", 400),
        (
            "bucket/o?uploadType=resumable&name=a",
            r#"{"contentType": 1}"#,
            400,
        ),
        (
            "bucket/o?uploadType=resumable&name=a&ifGenerationMatch=x",
            "",
            400,
        ),
        ("nowhere/o?uploadType=resumable&name=a", "", 404),
        (
            "bucket/o?uploadType=resumable&name=a&ifGenerationMatch=5",
            "",
            412,
        ),
    ] {
        assert_eq!(start(target, body).await.status, status, "{target} {body}");
    }
    let name = "x".repeat(1025);
    let target = format!("bucket/o?uploadType=resumable&name={name}");
    assert_eq!(start(&target, "").await.status, 400);
    let huge = format!(
        r#"{{"name": "a", "metadata": {{"x": "{}"}}}}"#,
        "y".repeat(2 << 20)
    );
    assert_eq!(start("bucket/o?uploadType=resumable", &huge).await.status, 413);
}

#[tokio::test]
async fn the_start_sets_the_metadata() {
    let server = server().await;
    let body = r#"{"metadata": {"k": "v"}, "cacheControl": "no-store", "contentType": "a/b"}"#;
    let differs = [("X-Upload-Content-Type", "other/than-the-resource-says")];
    assert_eq!(
        Session::try_start(&server, "described", "", &differs, body)
            .await
            .status,
        400
    );
    let headers = [("X-Upload-Content-Type", "a/b")];
    let session = Session::start_with(&server, "described", "", &headers, body).await;
    let resource = session.put(None, b"x").await.json();
    assert_eq!(resource["contentType"], "a/b");
    assert_eq!(resource["cacheControl"], "no-store");
    assert_eq!(resource["metadata"]["k"], "v");
    let headers = [("X-Upload-Content-Type", "text/html")];
    let session = Session::start_with(&server, "typed", "", &headers, "").await;
    assert_eq!(session.put(None, b"x").await.json()["contentType"], "text/html");
}

#[tokio::test]
async fn a_declared_length_finishes_the_upload() {
    let server = server().await;
    let all = bytes(Q + 5);
    let headers = [("X-Upload-Content-Length", "262149")];
    let session = Session::start_with(&server, "declared", "", &headers, "").await;
    assert_eq!(
        session.put(Some("bytes 0-262143/*"), &all[..Q]).await.persisted(),
        Q as u64
    );
    let beyond = session.put(Some("bytes 262144-262149/*"), &bytes(6)).await;
    assert_eq!(beyond.status, 400, "past the declared total");
    let changed = session.put(Some("bytes 262144-262149/262150"), &bytes(6)).await;
    assert_eq!(changed.status, 400, "another total");
    assert_eq!(
        session.put(Some("bytes 262144-262148/*"), &all[Q..]).await.status,
        200
    );
    assert_eq!(stored(&server, "declared").await, all);
    let bad = [("X-Upload-Content-Length", "-1")];
    assert_eq!(Session::try_start(&server, "bad", "", &bad, "").await.status, 400);
}

#[tokio::test]
async fn what_is_not_a_multiple_is_truncated() {
    let server = server().await;
    let session = Session::start(&server, "truncated").await;
    let all = bytes(2 * Q);
    assert_eq!(
        session
            .put(Some("bytes 0-262243/*"), &all[..Q + 100])
            .await
            .persisted(),
        Q as u64
    );
    // The rest, of which the server has 100 bytes no more.
    assert_eq!(
        session
            .put(Some("bytes 262144-524287/524288"), &all[Q..])
            .await
            .status,
        200
    );
    assert_eq!(stored(&server, "truncated").await, all);
}

#[tokio::test]
async fn a_part_that_is_too_small_ends_the_session() {
    let server = server().await;
    let session = Session::start(&server, "short").await;
    let all = bytes(2 * Q);
    let first = session.put(Some("bytes 0-262143/*"), &all[..Q]).await;
    assert_eq!(first.persisted(), Q as u64);
    let short = session.put(Some("bytes 262144-262243/*"), &all[Q..Q + 100]).await;
    assert_eq!(short.status, 400, "less than 256 KiB, and not the last");
    let later = session.put(Some("bytes 262144-524287/524288"), &all[Q..]).await;
    for later in [later, session.query().await] {
        assert_eq!((later.status, later.text()), (400, short.text()));
    }
    assert!(server.object("bucket", "short").is_none());
}

#[tokio::test]
async fn what_a_start_selects_is_shown_at_the_end() {
    let server = server().await;
    let started = Session::try_start(&server, "a", "&fields=name,size&projection=full", &[], "{}").await;
    let location = started.header("location").expect("a session");
    let id = location.rsplit("upload_id=").next().expect("an id");
    assert_eq!(
        started.header("x-guploader-uploadid"),
        Some(id),
        "as Google names a start"
    );
    let target = location.strip_prefix(&server.endpoint()).expect("it is here");
    let session = Session {
        address: server.address(),
        target: target.to_owned(),
    };
    let done = session.put(None, b"x").await;
    assert_eq!(done.text(), r#"{"name":"a","size":"1"}"#);
}

#[tokio::test]
async fn no_checksum_outweighs_another() {
    let server = server().await;
    for wrong in [
        r#"{"crc32c": "AAAAAA=="}"#,
        r#"{"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}"#,
    ] {
        let session = Session::start_with(&server, "a", "", &[], wrong).await;
        let right = [("X-Goog-Hash", "crc32c=yZRlqg==,md5=XrY7u+Ae7tCTyyK7j1rNww==")];
        let refused = session.put_with(None, &right, b"hello world").await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    assert!(server.object("bucket", "a").is_none());
}

#[tokio::test]
async fn bytes_sent_again_are_ignored() {
    let server = server().await;
    let session = Session::start(&server, "overlap").await;
    let all = bytes(3 * Q);
    assert_eq!(
        session.put(Some("bytes 0-262143/*"), &all[..Q]).await.persisted(),
        Q as u64
    );
    // Other bytes at persisted offsets: the first win.
    let mut other = vec![0; Q];
    other.extend_from_slice(&all[Q..2 * Q]);
    assert_eq!(
        session.put(Some("bytes 0-524287/*"), &other).await.persisted(),
        2 * Q as u64
    );
    let resent = session.put(Some("bytes 0-262143/*"), &vec![1; Q]).await;
    assert_eq!(resent.persisted(), 2 * Q as u64);
    let last = session
        .put(Some("bytes 524000-786431/786432"), &all[524_000..])
        .await;
    assert_eq!(last.status, 200, "{}", last.text());
    assert_eq!(stored(&server, "overlap").await, all);
}

#[tokio::test]
async fn every_content_range_is_understood() {
    let server = server().await;
    let all = bytes(Q + 9);
    for (case, range) in [
        ("A-B/T", Some("bytes 0-262152/262153")),
        ("A-*/*", Some("bytes 0-*/*")),
        ("A-*/T", Some("bytes 0-*/262153")),
        ("none", None),
    ] {
        let session = Session::start(&server, "range").await;
        let answer = session.put(range, &all).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
        assert_eq!(stored(&server, "range").await, all, "{case}");
        let session = Session::start(&server, "chunked").await;
        let answer = session.put_chunked(range, &[&all[..1000], &all[1000..]]).await;
        assert_eq!(answer.status, 200, "{case}, chunked: {}", answer.text());
        assert_eq!(stored(&server, "chunked").await, all, "{case}, chunked");
    }
    // POST is PUT.
    let session = Session::start(&server, "posted").await;
    let length = all.len().to_string();
    let mut client = Client::connect(server.address()).await;
    client
        .head("POST", &session.target, &[("Content-Length", &length)])
        .await;
    client.send(&all).await;
    assert_eq!(client.answer().await.status, 200);
    // A total that the body does not reach leaves the session open.
    let session = Session::start(&server, "short").await;
    assert_eq!(
        session.put(Some("bytes 0-*/1000000"), &all).await.persisted(),
        Q as u64
    );
    assert_eq!(
        session
            .put_chunked(Some("bytes 262144-*/1000000"), &[&all[Q..]])
            .await
            .persisted(),
        Q as u64
    );
    for bad in [
        "bytes 5-4/*",
        "bytes 0-1",
        "0-1/2",
        "bytes */x",
        "bytes 0-99999999999999999999/*",
        "bytes -",
    ] {
        assert_eq!(session.put(Some(bad), b"xx").await.status, 400, "{bad}");
    }
    assert_eq!(session.query().await.persisted(), Q as u64);
}

#[tokio::test]
async fn a_body_that_is_not_its_range_is_refused() {
    let server = server().await;
    let session = Session::start(&server, "mismatch").await;
    let all = bytes(2 * Q);
    let short = session.put(Some("bytes 0-524287/524288"), &all[..Q]).await;
    assert_eq!(short.status, 400);
    assert!(
        short
            .text()
            .contains("There were 262144 byte(s) in the request body")
    );
    assert_eq!(session.query().await.persisted(), 0, "nothing of it counts");
    let long = session.put_chunked(Some("bytes 0-262143/262144"), &[&all]).await;
    assert_eq!(long.status, 400);
    let short = session
        .put_chunked(Some("bytes 0-524287/524288"), &[&all[..Q + 5]])
        .await;
    assert_eq!(short.status, 400);
    assert!(server.object("bucket", "mismatch").is_none());
    let past = session.put(Some("bytes 0-524287/300000"), &all).await;
    assert_eq!(past.status, 400, "bytes past the total");
    let beyond = session.put(Some("bytes 0-262143/9999999999999"), &all[..Q]).await;
    assert_eq!(beyond.status, 400, "larger than any object");
    let mut client = Client::connect(server.address()).await;
    client
        .head("PUT", &session.target, &[("Content-Range", "bytes */*")])
        .await;
    assert_eq!(client.answer().await.status, 411, "no length");
}

#[tokio::test]
async fn a_finish_with_a_wrong_total_reports() {
    let server = server().await;
    let session = Session::start(&server, "total").await;
    session.put(Some("bytes 0-524287/*"), &bytes(2 * Q)).await;
    for wrong in ["bytes */262144", "bytes */786432", "bytes */0", "bytes */524289"] {
        assert_eq!(
            session.put(Some(wrong), b"").await.persisted(),
            2 * Q as u64,
            "{wrong}"
        );
    }
    let done = session.put(Some("bytes */524288"), b"").await;
    assert_eq!(done.json()["size"], "524288");
    // Once it is finished, a total counts for nothing.
    assert_eq!(session.put(Some("bytes */1"), b"").await.json(), done.json());
    let more = session.put(Some("bytes 524288-786431/*"), &bytes(Q)).await;
    assert_eq!(more.json(), done.json());
    let empty = Session::start(&server, "empty").await;
    let empty = empty.put(Some("bytes */0"), b"").await.json();
    assert_eq!(
        (&empty["size"], &empty["crc32c"]),
        (&"0".into(), &"AAAAAA==".into())
    );
}

#[tokio::test]
async fn preconditions_bite_at_the_start_and_at_the_finish() {
    let server = server().await;
    let session = Session::start_with(&server, "raced", "&ifGenerationMatch=0", &[], "").await;
    session.put(Some("bytes 0-262143/*"), &bytes(Q)).await;
    let winner = upload(&server, "raced", b"first").await.json();
    let late = session.put(Some("bytes */262144"), b"").await;
    assert_eq!(late.status, 412);
    assert_eq!(late.json()["error"]["errors"][0]["reason"], "conditionNotMet");
    assert_eq!(stored(&server, "raced").await, b"first");
    assert_eq!(session.query().await.status, 410, "no query claims success");
    assert_eq!(session.put(Some("bytes */262144"), b"").await.status, 410);
    let refused = Session::try_start(&server, "raced", "&ifGenerationMatch=0", &[], "").await;
    assert_eq!(refused.status, 412);
    let generation = winner["generation"].as_str().expect("text");
    let right = Session::start_with(
        &server,
        "raced",
        &format!("&ifGenerationMatch={generation}"),
        &[],
        "",
    )
    .await;
    let second = right.put(None, b"second").await.json();
    assert_eq!(stored(&server, "raced").await, b"second");
    let number = |resource: &serde_json::Value| {
        resource["generation"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
    };
    assert!(number(&second) > number(&winner), "generations grow");
}

#[tokio::test]
async fn a_wrong_checksum_leaves_no_object() {
    let server = server().await;
    let all = bytes(Q);
    let right = format!("crc32c={}", Crc32c::of(&all).to_base64());
    let wrong = "crc32c=AAAAAA==";
    let in_start = r#"{"crc32c": "AAAAAA=="}"#;
    let md5 = r#"{"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}"#;
    for (case, start, part, last) in [
        ("in the start's resource", in_start, "", ""),
        ("an MD5 there", md5, "", ""),
        ("on a part", "", wrong, ""),
        ("on the finish", "", "", wrong),
        (
            "on the finish, in a list",
            "",
            "",
            "md5=1B2M2Y8AsgTpgAmY7PhCfg==, crc32c=AAAAAA==",
        ),
    ] {
        let session = Session::start_with(&server, "hashed", "", &[], start).await;
        let headers: Vec<(&str, &str)> = [("X-Goog-Hash", part)]
            .into_iter()
            .filter(|(_, hash)| !hash.is_empty())
            .collect();
        session
            .put_with(Some("bytes 0-262143/*"), &headers, &all)
            .await
            .persisted();
        let headers: Vec<(&str, &str)> = [("X-Goog-Hash", last)]
            .into_iter()
            .filter(|(_, hash)| !hash.is_empty())
            .collect();
        let refused = session.put_with(Some("bytes */262144"), &headers, b"").await;
        assert_eq!(refused.status, 400, "{case}: {}", refused.text());
        assert!(refused.text().contains("doesn't match calculated"), "{case}");
        assert_eq!(refused.json()["error"]["errors"][0]["reason"], "invalid");
        assert!(server.object("bucket", "hashed").is_none(), "{case}");
        assert_eq!(
            session.query().await.status,
            410,
            "{case}: no query claims success"
        );
    }
    let session = Session::start(&server, "hashed").await;
    let answer = session
        .put_with(Some("bytes 0-262143/262144"), &[("X-Goog-Hash", &right)], &all)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let malformed = Session::start(&server, "malformed").await;
    assert_eq!(
        malformed
            .put_with(None, &[("X-Goog-Hash", "crc32c=x")], &all)
            .await
            .status,
        400
    );
    assert_eq!(
        malformed.put(None, &all).await.status,
        200,
        "that one counted for nothing"
    );
}

#[tokio::test]
async fn a_session_that_is_unknown_or_too_old_is_404() {
    let server = server_with(Server::builder().session_lifetime(std::time::Duration::ZERO)).await;
    let expired = Session::start(&server, "old").await;
    assert_eq!(expired.query().await.status, 404);
    let unknown = Session {
        target: "/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=guessed".to_owned(),
        ..expired
    };
    assert_eq!(unknown.put(None, b"x").await.status, 404);
    assert_eq!(unknown.cancel().await.status, 404);
}

#[tokio::test]
async fn a_session_whose_bucket_is_gone_makes_no_object() {
    let server = server().await;
    let session = Session::start(&server, "orphan").await;
    let gone = request(server.address(), "DELETE", "/storage/v1/b/bucket", &[], b"").await;
    assert_eq!(gone.status, 204);
    assert_eq!(session.put(None, b"x").await.status, 404);
}

#[tokio::test]
async fn a_308_can_be_had_as_a_200() {
    let server = server().await;
    let session = Session::start(&server, "override").await;
    let headers = [("X-GUploader-No-308", "yes")];
    let answer = session
        .put_with(Some("bytes 0-262143/*"), &headers, &bytes(Q))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-http-status-code-override"), Some("308"));
    assert_eq!(answer.header("range"), Some("bytes=0-262143"));
}

#[tokio::test]
async fn an_answer_comes_while_the_body_is_still_coming() {
    let server = server().await;
    let session = Session::start(&server, "early").await;
    let mut client = Client::connect(server.address()).await;
    let headers = [
        ("Content-Length", "1048576"),
        ("Content-Range", "bytes 1048576-2097151/*"),
    ];
    client.head("PUT", &session.target, &headers).await;
    client.send(&bytes(1000)).await;
    assert_eq!(
        client.answer().await.status,
        503,
        "a gap, told before the body is there"
    );
    // Whoever sends the rest all the same keeps the connection.
    client.send(&bytes(1_048_576 - 1000)).await;
    client
        .head(
            "PUT",
            &session.target,
            &[("Content-Length", "0"), ("Content-Range", "bytes */*")],
        )
        .await;
    assert_eq!(client.answer().await.persisted(), 0);
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let server = server().await;
    let session = Session::start(&server, "expect").await;
    let expect = ("Expect", "100-continue");
    let mut client = Client::connect(server.address()).await;
    client
        .head("PUT", &session.target, &[expect, ("Content-Length", "5")])
        .await;
    assert_eq!(client.answer().await.status, 100);
    client.send(b"12345").await;
    assert_eq!(client.answer().await.status, 200);
    // The session is finished: no body is asked for.
    let mut client = Client::connect(server.address()).await;
    client
        .head("PUT", &session.target, &[expect, ("Content-Length", "5")])
        .await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = server().await;
    let session = Session::start(&server, "kept").await;
    let mut client = Client::connect(server.address()).await;
    let all = bytes(3 * Q);
    for (part, range) in all.chunks(Q).zip([
        "bytes 0-262143/*",
        "bytes 262144-524287/*",
        "bytes 524288-786431/786432",
    ]) {
        client
            .head(
                "PUT",
                &session.target,
                &[("Content-Length", "262144"), ("Content-Range", range)],
            )
            .await;
        client.send(part).await;
        let answer = client.answer().await;
        assert!(matches!(answer.status, 200 | 308), "{}", answer.text());
    }
    assert_eq!(stored(&server, "kept").await, all);
    let seen = server.inspect();
    assert_eq!(seen.count(CallKind::WriteUpload), 3);
    assert_eq!(seen.session("kept").expect("known").phase, SessionPhase::Finished);
}

#[tokio::test]
async fn dozens_of_stalled_puts_block_nobody() {
    let server = server().await;
    let mut stalled = Vec::new();
    for index in 0..50 {
        let session = Session::start(&server, &format!("stalled-{index}")).await;
        let mut client = Client::connect(server.address()).await;
        client
            .head("PUT", &session.target, &[("Content-Length", "1048576")])
            .await;
        client.send(&bytes(Q + 1)).await;
        stalled.push((session, client));
    }
    let all =
        |now: &devgcs::Snapshot| now.sessions.iter().filter(|session| session.writing == 1).count() == 50;
    assert!(server.wait_for(PATIENCE, all).await);
    upload(&server, "free", b"x").await;
    assert_eq!(stored(&server, "free").await, b"x");
    for (session, mut client) in stalled {
        client.send(&bytes(1_048_576)[Q + 1..]).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(session.query().await.status, 200);
    }
}

#[tokio::test]
async fn two_puts_at_once_cannot_disturb_each_other() {
    let server = server().await;
    let session = Session::start(&server, "twice").await;
    let all = bytes(6 * Q + 321);
    let length = all.len().to_string();
    let range = format!("bytes 0-{}/{length}", all.len() - 1);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(server.address()).await;
        client
            .head(
                "PUT",
                &session.target,
                &[("Content-Length", &length), ("Content-Range", &range)],
            )
            .await;
        clients.push(client);
    }
    // Each sends at its own pace, in turns.
    let mut sent = [0; 4];
    for step in 0..600 {
        let which = (step * 7 + step / 5) % 4;
        let end = all.len().min(sent[which] + 10_007 * (which + 1));
        clients[which].send(&all[sent[which]..end]).await;
        sent[which] = end;
    }
    for (client, sent) in clients.iter_mut().zip(sent) {
        client.send(&all[sent..]).await;
        let answer = client.answer().await;
        assert_eq!(answer.json()["crc32c"], Crc32c::of(&all).to_base64());
    }
    assert_eq!(stored(&server, "twice").await, all);
}

#[tokio::test]
async fn a_cut_put_that_drains_later_than_its_successor_changes_nothing() {
    let server = server().await;
    let session = Session::start(&server, "late").await;
    let all = bytes(3 * Q);
    let mut late = Client::connect(server.address()).await;
    let headers = [
        ("Content-Length", "786432"),
        ("Content-Range", "bytes 0-786431/786432"),
    ];
    late.head("PUT", &session.target, &headers).await;
    late.send(&all[..Q + 10]).await;
    assert!(
        server
            .wait_for(PATIENCE, |now| now.sessions[0].persisted == Q as u64)
            .await
    );
    let rest = session.put(Some("bytes 262144-786431/786432"), &all[Q..]).await;
    assert_eq!(rest.status, 200);
    // Other bytes at offsets that are persisted.
    late.send(&vec![0; 2 * Q - 10]).await;
    assert_eq!(late.answer().await.json(), rest.json());
    assert_eq!(stored(&server, "late").await, all);
}

#[tokio::test]
async fn a_cancel_ends_a_put_under_way() {
    let server = server().await;
    let session = Session::start(&server, "under-way").await;
    let mut client = Client::connect(server.address()).await;
    client
        .head("PUT", &session.target, &[("Content-Length", "1048576")])
        .await;
    client.send(&bytes(Q)).await;
    assert!(
        server
            .wait_for(PATIENCE, |now| now.sessions[0].persisted == Q as u64)
            .await
    );
    assert_eq!(session.cancel().await.status, 499);
    client.send(&bytes(Q)).await;
    assert_eq!(client.answer().await.status, 499);
    assert!(server.object("bucket", "under-way").is_none());
}

#[tokio::test]
async fn a_session_is_a_secret() {
    let server = server().await;
    let session = Session::start(&server, "secret").await;
    let id = session.target.rsplit('=').next().expect("an id");
    assert!(id.len() >= 32);
    session.put(None, b"x").await;
    assert!(!format!("{server:?} {:?}", server.inspect()).contains(id));
}

#[tokio::test]
async fn hundreds_of_uploads_go_on_at_once() {
    let server = server().await;
    let all = bytes(3 * Q + 1);
    let mut under_way = Vec::new();
    for index in 0..300 {
        let session = Session::start(&server, &format!("many-{index}")).await;
        let mut client = Client::connect(server.address()).await;
        let length = all.len().to_string();
        client
            .head("PUT", &session.target, &[("Content-Length", &length)])
            .await;
        under_way.push(client);
    }
    for part in all.chunks(300_000) {
        for client in &mut under_way {
            client.send(part).await;
        }
    }
    for client in &mut under_way {
        assert_eq!(
            client.answer().await.json()["crc32c"],
            Crc32c::of(&all).to_base64()
        );
    }
    assert_eq!(server.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn a_body_that_stands_still_is_408() {
    let server = server_with(Server::builder().body_idle_timeout(std::time::Duration::from_millis(50))).await;
    let session = Session::start(&server, "still").await;
    let mut tries = 0..100;
    loop {
        let mut client = Client::connect(server.address()).await;
        client
            .head("PUT", &session.target, &[("Content-Length", "1048576")])
            .await;
        let sent = client.try_send(&bytes(Q + 1)).await;
        if let Ok(answer) = client.try_answer().await {
            assert_eq!(answer.status, 408);
            if session.query().await.persisted() == Q as u64 {
                break;
            }
        }
        // On a busy machine it can stand still before all of this was sent.
        assert!(tries.next().is_some(), "{sent:?}");
    }
}
