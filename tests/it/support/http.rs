//! A bare HTTP/1.1 client that sends exactly what a test says, broken requests included.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Far beyond what anything here takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut matches = self.headers.iter().filter(|(key, _)| key == name);
        matches.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The end of a 308's `Range`, as a count of bytes; 0 without the header.
    pub(crate) fn persisted(&self) -> u64 {
        assert_eq!(self.status, 308, "{}", self.text());
        self.header("range").map_or(0, |range| {
            let last = range.strip_prefix("bytes=0-").expect("it starts at 0");
            last.parse::<u64>().expect("a number") + 1
        })
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends a head; `Host` is added, nothing else.
    pub(crate) async fn head(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        let host = self.stream.peer_addr().expect("connected");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.send(head.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Sends, where the peer still listens.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends what the peer takes within `patience`; how much that was.
    pub(crate) async fn send_until_stalled(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match tokio::time::timeout(patience, self.stream.write(&bytes[sent..])).await {
                Ok(wrote) => sent += wrote.expect("sent"),
                Err(_) => break,
            }
        }
        sent
    }

    /// Sends one chunk of a chunked body; an empty one ends it.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        self.send(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
        self.send(bytes).await;
        self.send(b"\r\n").await;
    }

    /// Ends the connection in good order.
    pub(crate) async fn close(mut self) {
        self.stream.shutdown().await.expect("closed");
    }

    /// Ends our half, and stays to read.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("closed");
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an option");
    }

    /// Reads an answer, which must have a length (or be one that has no body).
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer(false))
            .await
            .expect("an answer in time")
            .expect("an answer")
    }

    /// Reads an answer, if one comes before the connection ends.
    pub(crate) async fn try_answer(&mut self) -> std::io::Result<Answer> {
        let answer = tokio::time::timeout(PATIENCE, self.read_answer(false)).await;
        answer.expect("an answer, or the end, in time")
    }

    /// Reads the answer to a HEAD, which has no body whatever it says.
    pub(crate) async fn answer_to_head(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer(true))
            .await
            .expect("an answer in time")
            .expect("an answer")
    }

    async fn read_answer(&mut self, bodiless: bool) -> std::io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end);
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let status: u16 = status.parse().expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let find = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let mut body = Vec::new();
        if bodiless || status < 200 || matches!(status, 204 | 304) {
        } else if let Some(length) = find("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.unread.len() < length {
                self.fill().await?;
            }
            body = self.unread.drain(..length).collect();
        } else if find("transfer-encoding").is_some() {
            body = self.read_chunks().await?;
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    async fn read_chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                    break at;
                }
                self.fill().await?;
            };
            let size = String::from_utf8_lossy(&self.unread[..line]).into_owned();
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            self.unread.drain(..line + 2);
            while self.unread.len() < size + 2 {
                self.fill().await?;
            }
            body.extend(self.unread.drain(..size));
            self.unread.drain(..2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// One request on a connection of its own; `Content-Length` is added for `body`.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut client = Client::connect(address).await;
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    if !body.is_empty() || matches!(method, "PUT" | "POST") {
        all.push(("Content-Length", &length));
    }
    client.head(method, target, &all).await;
    // An early answer may cut the rest off: what counts is the answer.
    let _ = client.stream.write_all(body).await;
    if method == "HEAD" {
        client.answer_to_head().await
    } else {
        client.answer().await
    }
}

/// One request, as [`request`] makes it, that may end without an answer.
pub(crate) async fn try_request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut client = Client::connect(address).await;
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    all.push(("Content-Length", &length));
    client.head(method, target, &all).await;
    let _ = client.stream.write_all(body).await;
    client.try_answer().await
}
