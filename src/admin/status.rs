//! What is under way, for programs and people.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ops::{OpenUpload, Subject};
use crate::server::{Handle, Request};

/// How many requests, and uploads, are shown one by one.
const MAX_ROWS: usize = 1000;

/// What a daemon has under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// `ready`, `starting`, `draining` or `full`.
    pub state: String,
    /// How long it has been there, in seconds.
    pub uptime_s: u64,
    /// Connections of clients.
    pub connections: Share,
    /// What requests may hold of the memory, in bytes.
    pub memory: Share,
    /// Calls to Cloud Storage.
    pub gcs_calls: Share,
    /// When settings and secrets were last read again, in seconds since 1970.
    pub reloaded_at: Option<u64>,
    /// How many uploads are open.
    pub uploads_open: usize,
    /// How many requests are in flight.
    pub requests_in_flight: usize,
    /// The uploads, the oldest first, 1000 at most.
    pub uploads: Vec<UploadRow>,
    /// The requests, the oldest first, 1000 at most.
    pub requests: Vec<RequestRow>,
}

/// How much of something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// How much is.
    pub used: u64,
    /// How much can be.
    pub limit: u64,
}

/// An upload that a connection has open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadRow {
    /// The object that it becomes.
    pub bucket: String,
    /// Its name.
    pub object: String,
    /// The upload's name in the log.
    pub upload_name: Option<String>,
    /// What is committed, in bytes.
    pub committed: u64,
    /// Bytes per second that were committed since the connection opened it.
    pub rate: u64,
    /// How long ago that was, in milliseconds.
    pub age_ms: u64,
}

/// A request that has no answer yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// Its connection's number in the log.
    pub connection: u64,
    /// Where the client is.
    pub peer: String,
    /// What it asks for.
    pub opcode: String,
    /// What it is about, if that is known and there is one.
    pub bucket: Option<String>,
    /// The object.
    pub object: Option<String>,
    /// The number of a part.
    pub part: Option<u32>,
    /// What has come of its body, in bytes.
    pub received: u64,
    /// The length of its body, where it has one and that is known.
    pub body_len: Option<u64>,
    /// Bytes of its body per second.
    pub rate: u64,
    /// How long ago it began, in milliseconds.
    pub age_ms: u64,
}

impl Status {
    /// What this server has under way now.
    pub fn of(handle: &Handle) -> Self {
        let (uploads, requests) = (handle.uploads(), handle.requests());
        let (connections, max_connections) = handle.connections();
        let share = |(used, limit): (u64, u64)| Share { used, limit };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: handle.readiness().name().to_owned(),
            uptime_s: handle.stats().age().as_secs(),
            connections: share((connections as u64, max_connections as u64)),
            memory: share(handle.memory()),
            gcs_calls: share(handle.calls()),
            reloaded_at: handle.stats().last_reload(),
            uploads_open: uploads.len(),
            requests_in_flight: requests.len(),
            uploads: uploads.iter().take(MAX_ROWS).map(UploadRow::of).collect(),
            requests: requests.iter().take(MAX_ROWS).map(RequestRow::of).collect(),
        }
    }
}

impl UploadRow {
    fn of(upload: &OpenUpload) -> Self {
        let Subject {
            bucket,
            object,
            upload_name,
            ..
        } = &*upload.about;
        let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
        Self {
            bucket: text(bucket.as_ref().map(|name| name.as_str())),
            object: text(object.as_ref().map(|name| name.as_str())),
            upload_name: upload_name.clone(),
            committed: upload.committed,
            rate: rate(upload.committed.saturating_sub(upload.from), upload.age),
            age_ms: ms(upload.age),
        }
    }
}

impl RequestRow {
    fn of(request: &Request) -> Self {
        let none = Subject::default();
        let about = request.about.as_deref().unwrap_or(&none);
        Self {
            connection: request.connection,
            peer: request.peer.clone(),
            opcode: request.opcode.to_owned(),
            bucket: about.bucket.as_ref().map(|name| name.as_str().to_owned()),
            object: about.object.as_ref().map(|name| name.as_str().to_owned()),
            part: about.part,
            received: request.received,
            body_len: request.body_len,
            rate: rate(request.received, request.age),
            age_ms: ms(request.age),
        }
    }
}

/// Bytes per second; 0 where there was hardly any time.
fn rate(bytes: u64, age: Duration) -> u64 {
    match ms(age) {
        0 => 0,
        ms => u64::try_from(u128::from(bytes) * 1000 / u128::from(ms)).unwrap_or(u64::MAX),
    }
}

fn ms(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
