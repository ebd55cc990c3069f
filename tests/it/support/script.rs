//! A GCS that answers one request after the other as a test says, or not at all.

use super::peer::{Peer, response};
use gcsd_types::Crc32c;

/// What comes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// The connection ends without an answer.
    Nothing,
    /// This answer.
    This(String),
}

/// A JSON answer.
pub(crate) fn json(status: &str, body: &str) -> Say {
    Say::This(response(status, "Connection: close\r\n", body))
}

/// An object of this generation and these bytes.
pub(crate) fn object(generation: u64, bytes: &[u8]) -> Say {
    json("200 OK", &resource(generation, bytes))
}

pub(crate) fn resource(generation: u64, bytes: &[u8]) -> String {
    let (size, crc32c) = (bytes.len(), Crc32c::of(bytes).to_base64());
    format!(r#"{{"generation":"{generation}","size":"{size}","crc32c":"{crc32c}"}}"#)
}

pub(crate) fn not_found() -> Say {
    json("404 Not Found", r#"{"error":{"message":"No such object"}}"#)
}

pub(crate) fn precondition_failed() -> Say {
    let text = r#"{"error":{"message":"no","errors":[{"reason":"conditionNotMet"}]}}"#;
    json("412 Precondition Failed", text)
}

/// Answers so many requests, whose first lines begin like this, and returns those lines.
pub(crate) async fn play(peer: &Peer, script: &[(&str, Say)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (expected, say) in script {
        let mut conversation = peer.accept().await;
        let head = conversation.head().await;
        let line = head.lines().next().unwrap_or_default().to_owned();
        assert!(
            line.starts_with(expected),
            "{line}: expected {expected} after {lines:?}"
        );
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().expect("a number"))
        });
        conversation.body(length.unwrap_or(0)).await;
        if let Say::This(answer) = say {
            conversation.send(answer).await;
        }
        lines.push(line);
    }
    lines
}
