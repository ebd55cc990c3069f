//! devgcs as tests use it: a server with one bucket, its sessions, its objects.

use std::net::SocketAddr;

use devgcs::{Builder, Server};

use super::http::{Answer, Client, request};

/// The granularity of sessions.
pub(crate) const Q: usize = 256 * 1024;

/// A server with the bucket `bucket`.
pub(crate) async fn server() -> Server {
    server_with(Server::builder()).await
}

pub(crate) async fn server_with(builder: Builder) -> Server {
    builder.bucket("bucket").start().await.expect("started")
}

/// Bytes that repeat at no power of two.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at % 251).to_le_bytes()[0] ^ (at / 65_536).to_le_bytes()[0])
        .collect()
}

/// The bytes of an object in `bucket`.
pub(crate) async fn stored(server: &Server, name: &str) -> Vec<u8> {
    server.object_bytes("bucket", name).await.expect("it exists")
}

/// Uploads an object in one request.
pub(crate) async fn upload(server: &Server, name: &str, bytes: &[u8]) -> Answer {
    let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
    let answer = request(
        server.address(),
        "POST",
        &target,
        &[("Content-Type", "text/plain")],
        bytes,
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// A call of the JSON API with a JSON body.
pub(crate) async fn call(server: &Server, method: &str, target: &str, body: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    let target = format!("/storage/v1{target}");
    request(server.address(), method, &target, &headers, body.as_bytes()).await
}

/// A resumable session in use.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) address: SocketAddr,
    pub(crate) target: String,
}

impl Session {
    pub(crate) async fn start(server: &Server, name: &str) -> Self {
        Self::start_with(server, name, "", &[], "").await
    }

    pub(crate) async fn start_with(
        server: &Server,
        name: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let answer = Self::try_start(server, name, query, headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body.is_empty());
        let location = answer.header("location").expect("a session");
        let target = location.strip_prefix(&server.endpoint()).expect("it is here");
        Self {
            address: server.address(),
            target: target.to_owned(),
        }
    }

    pub(crate) async fn try_start(
        server: &Server,
        name: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=resumable&name={name}{query}");
        request(server.address(), "POST", &target, headers, body.as_bytes()).await
    }

    pub(crate) async fn put(&self, range: Option<&str>, body: &[u8]) -> Answer {
        self.put_with(range, &[], body).await
    }

    pub(crate) async fn put_with(
        &self,
        range: Option<&str>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut all = headers.to_vec();
        all.extend(range.map(|range| ("Content-Range", range)));
        request(self.address, "PUT", &self.target, &all, body).await
    }

    pub(crate) async fn put_chunked(&self, range: Option<&str>, pieces: &[&[u8]]) -> Answer {
        let mut client = Client::connect(self.address).await;
        let mut headers = vec![("Transfer-Encoding", "chunked")];
        headers.extend(range.map(|range| ("Content-Range", range)));
        client.head("PUT", &self.target, &headers).await;
        for piece in pieces {
            client.chunk(piece).await;
        }
        client.chunk(b"").await;
        client.answer().await
    }

    pub(crate) async fn query(&self) -> Answer {
        self.put(Some("bytes */*"), b"").await
    }

    pub(crate) async fn cancel(&self) -> Answer {
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
