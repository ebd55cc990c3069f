//! The resumable session of devgcs, over sockets.

use std::net::SocketAddr;

use gcsd::devgcs::{Config, DevGcs, Storage};
use gcsd::types::Crc32c;

use crate::support::http::{Answer, Client, PATIENCE, request};

const Q: usize = 256 * 1024;

async fn server() -> DevGcs {
    server_with(Config::default()).await
}

async fn server_with(config: Config) -> DevGcs {
    let config = Config {
        buckets: vec!["bucket".to_owned()],
        ..config
    };
    DevGcs::start(([127, 0, 0, 1], 0).into(), config)
        .await
        .expect("started")
}

/// Bytes that repeat at no power of two.
fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at % 251).to_le_bytes()[0] ^ (at / 65_536).to_le_bytes()[0])
        .collect()
}

/// A session in use.
struct Session {
    address: SocketAddr,
    target: String,
}

impl Session {
    async fn start(server: &DevGcs, name: &str) -> Self {
        Self::start_with(server, name, "", &[], "").await
    }

    async fn start_with(
        server: &DevGcs,
        name: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=resumable&name={name}{query}");
        let answer = request(server.address(), "POST", &target, headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let location = answer.header("location").expect("a session");
        let target = location.strip_prefix(&server.endpoint()).expect("it is here");
        Self {
            address: server.address(),
            target: target.to_owned(),
        }
    }

    async fn put(&self, range: Option<&str>, body: &[u8]) -> Answer {
        self.put_with(range, &[], body).await
    }

    async fn put_with(&self, range: Option<&str>, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = headers.to_vec();
        all.extend(range.map(|range| ("Content-Range", range)));
        request(self.address, "PUT", &self.target, &all, body).await
    }

    async fn query(&self) -> Answer {
        self.put(Some("bytes */*"), b"").await
    }

    async fn cancel(&self) -> Answer {
        request(
            self.address,
            "DELETE",
            &self.target,
            &[("Content-Length", "0")],
            b"",
        )
        .await
    }
}

async fn stored(server: &DevGcs, name: &str) -> Vec<u8> {
    server.object_bytes("bucket", name).await.expect("it exists")
}

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
        server.object("bucket", "a/b#c").expect("there").info.size,
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
async fn a_directory_brings_sessions_and_objects_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = || Config {
        storage: Storage::Directory(folder.path().to_owned()),
        ..Config::default()
    };
    let all = bytes(3 * Q + 7);
    let server = server_with(config()).await;
    let done = Session::start(&server, "done").await;
    let resource = done.put(None, &all).await.json();
    let open = Session::start(&server, "open").await;
    let mut client = Client::connect(server.address()).await;
    let headers = [
        ("Content-Length", "786439"),
        ("Content-Range", "bytes 0-786438/786439"),
    ];
    client.head("PUT", &open.target, &headers).await;
    client.send(&all[..Q + 100]).await;
    let persisted =
        |now: &gcsd::devgcs::Inspect| now.session("open").is_some_and(|s| s.persisted == Q as u64);
    assert!(server.wait_for(PATIENCE, persisted).await);
    server.shutdown().await;

    let server = server_with(config()).await;
    assert_eq!(stored(&server, "done").await, all);
    let again = |session: &Session| Session {
        address: server.address(),
        target: session.target.clone(),
    };
    let (done, open) = (again(&done), again(&open));
    assert_eq!(done.query().await.json()["generation"], resource["generation"]);
    assert_eq!(open.query().await.persisted(), Q as u64);
    let rest = open.put(Some("bytes 262144-786438/786439"), &all[Q..]).await;
    assert_eq!(rest.status, 200, "{}", rest.text());
    assert_eq!(rest.json()["md5Hash"], resource["md5Hash"]);
    assert_eq!(stored(&server, "open").await, all);
    server.shutdown().await;
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
