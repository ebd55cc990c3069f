//! What a test may see of a running server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use super::lock::locked;
use gcsd_types::ObjectInfo;

/// How many of the latest calls are remembered one by one; all of them are counted.
const REMEMBERED: usize = 1000;

/// What a request was, in the words of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// Starts a resumable session.
    StartUpload,
    /// Brings bytes to a session.
    WriteUpload,
    /// Asks a session what is persisted.
    QueryUpload,
    /// Finishes a session without bytes (`bytes */TOTAL`).
    FinishUpload,
    /// Cancels a session.
    CancelUpload,
    /// Uploads an object in one request.
    InsertObject,
    /// Reads an object's metadata.
    GetObject,
    /// Reads an object's bytes.
    ReadObject,
    /// Lists objects.
    ListObjects,
    /// Changes an object's metadata in part.
    PatchObject,
    /// Replaces an object's metadata.
    UpdateObject,
    /// Deletes an object.
    DeleteObject,
    /// Composes an object.
    ComposeObject,
    /// Copies an object, one step of it.
    RewriteObject,
    /// Copies an object.
    CopyObject,
    /// Renames an object.
    MoveObject,
    /// Starts a multipart upload of the XML API.
    StartMultipart,
    /// Brings a part to a multipart upload.
    UploadPart,
    /// Lists the parts of a multipart upload.
    ListParts,
    /// Makes an object of a multipart upload.
    CompleteMultipart,
    /// Gives a multipart upload up.
    AbortMultipart,
    /// Lists multipart uploads.
    ListMultiparts,
    /// Creates a bucket.
    InsertBucket,
    /// Reads a bucket's metadata.
    GetBucket,
    /// Lists buckets.
    ListBuckets,
    /// Changes a bucket's metadata.
    PatchBucket,
    /// Removes a bucket.
    DeleteBucket,
    /// Several calls in one request; they are listed, too.
    Batch,
    /// Nothing that this server knows.
    Unknown,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// What it was.
    pub kind: CallKind,
    /// Its HTTP method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its headers; credentials are left out.
    pub headers: HeaderMap,
    /// The status it was answered with; `None` while it is under way, and if it broke before its answer.
    pub status: Option<u16>,
    /// Bytes of its body that were read by the time it was answered.
    pub body_bytes: u64,
}

/// What has become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionPhase {
    /// It takes bytes.
    Open,
    /// Its object exists.
    Finished,
    /// It was cancelled or refused, with this status.
    Ended(u16),
}

/// A resumable session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The bucket it writes to.
    pub bucket: String,
    /// The object it will make.
    pub object: String,
    /// Bytes read so far from the bodies of its requests, those under way included; bytes sent twice
    /// count twice.
    pub received: u64,
    /// Bytes that a query would report.
    pub persisted: u64,
    /// Requests whose body is being read.
    pub writing: usize,
    /// Requests that named it since its start: none where nobody has heard of it.
    pub requests: u64,
    /// What has become of it.
    pub phase: SessionPhase,
}

/// The state of the server at one moment.
#[derive(Debug, Clone, Default)]
pub struct Inspect {
    /// The sessions that the server remembers, in the order in which they were started.
    pub sessions: Vec<SessionRecord>,
    /// The latest 1,000 calls in the order in which they came.
    pub calls: Vec<CallRecord>,
    /// Every call so far.
    pub counts: BTreeMap<CallKind, u64>,
    /// Connections that are being served; without any, nothing goes on.
    pub connections: usize,
}

impl Inspect {
    /// Sessions that take bytes.
    pub fn open_sessions(&self) -> usize {
        let open = |session: &&SessionRecord| session.phase == SessionPhase::Open;
        self.sessions.iter().filter(open).count()
    }

    /// The latest session for `object`.
    pub fn session(&self, object: &str) -> Option<&SessionRecord> {
        self.sessions.iter().rfind(|session| session.object == object)
    }

    /// How many calls of `kind` came in.
    pub fn count(&self, kind: CallKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

/// An object that the server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Generation, size and checksums.
    pub info: ObjectInfo,
    /// The object resource of the JSON API.
    pub resource: serde_json::Value,
}

/// The calls that came in.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    latest: VecDeque<CallRecord>,
    /// How many were forgotten before the first of `latest`.
    forgotten: u64,
    counts: BTreeMap<CallKind, u64>,
}

impl Calls {
    /// Notes a call that begins; the ticket is for [`Self::answered`].
    pub(crate) fn begin(&self, kind: CallKind, method: &Method, path: &str, headers: &HeaderMap) -> u64 {
        let mut headers = headers.clone();
        headers.remove(AUTHORIZATION);
        headers.remove("x-goog-encryption-key");
        headers.remove("x-goog-copy-source-encryption-key");
        let record = CallRecord {
            kind,
            method: method.clone(),
            path: path.to_owned(),
            headers,
            status: None,
            body_bytes: 0,
        };
        let mut log = locked(&self.0);
        *log.counts.entry(kind).or_default() += 1;
        if log.latest.len() == REMEMBERED {
            log.latest.pop_front();
            log.forgotten += 1;
        }
        log.latest.push_back(record);
        log.forgotten + log.latest.len() as u64 - 1
    }

    /// Notes the answer to a call.
    pub(crate) fn answered(&self, ticket: u64, status: u16, body_bytes: u64) {
        let mut log = locked(&self.0);
        let index = ticket.checked_sub(log.forgotten).map(usize::try_from);
        if let Some(Ok(index)) = index
            && let Some(record) = log.latest.get_mut(index)
        {
            record.status = Some(status);
            record.body_bytes = body_bytes;
        }
    }

    /// What was noted so far.
    pub(crate) fn snapshot(&self) -> (Vec<CallRecord>, BTreeMap<CallKind, u64>) {
        let log = locked(&self.0);
        (log.latest.iter().cloned().collect(), log.counts.clone())
    }
}

/// What a session shows of itself.
pub(crate) fn session_record(session: &Arc<super::resumable::Session>) -> SessionRecord {
    use super::resumable::Phase;
    use std::sync::atomic::Ordering::Relaxed;
    SessionRecord {
        bucket: session.intent.bucket.clone(),
        object: session.intent.name.clone(),
        received: session.received.load(Relaxed),
        persisted: session.persisted(),
        writing: session.writing.load(Relaxed),
        requests: session.requests.load(Relaxed),
        phase: match session.phase() {
            Phase::Open => SessionPhase::Open,
            Phase::Finished(_) => SessionPhase::Finished,
            Phase::Ended(error) => SessionPhase::Ended(error.status().as_u16()),
        },
    }
}
