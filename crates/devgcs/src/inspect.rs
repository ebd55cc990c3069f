//! What a test can see of a running server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use super::lock::locked;
use super::resource::Object;

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
    /// Changes a bucket's metadata in part.
    PatchBucket,
    /// Replaces a bucket's metadata.
    UpdateBucket,
    /// Removes a bucket.
    DeleteBucket,
    /// Makes a soft-deleted object live again.
    RestoreObject,
    /// Reads or changes who may do what: an access control list, or an IAM policy.
    AccessControl,
    /// Reads or changes a part of a bucket's configuration that has a call of its own.
    BucketConfiguration,
    /// Creates, reads or deletes a notification configuration.
    Notification,
    /// Creates, reads or changes a folder or a managed folder.
    Folder,
    /// Reads or changes what belongs to a project: HMAC keys, its service account.
    Project,
    /// Deletes several objects at once, in the XML API.
    DeleteObjects,
    /// Several calls in one request; they are listed, too.
    Batch,
    /// Nothing that this server knows.
    Unknown,
}

/// A call that came in: a request, or one of those in a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallRecord {
    /// What it asks for.
    pub kind: CallKind,
    /// Its HTTP method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its headers; credentials are left out.
    pub headers: HeaderMap,
    /// The status of its answer; `None` while it is in flight, or if it broke off before its answer.
    pub status: Option<u16>,
    /// How many bytes of its body had been read when it was answered.
    pub body_bytes: u64,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionPhase {
    /// It accepts bytes.
    Open,
    /// Its object exists.
    Finished,
    /// It was cancelled, or its finish was refused; every request to it is answered with this status.
    Ended(u16),
}

/// A resumable upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The bucket it writes to.
    pub bucket: String,
    /// The object it will make.
    pub object: String,
    /// Bytes read from the bodies of its requests so far, those in flight included. Bytes sent twice count twice.
    pub received: u64,
    /// Bytes that a query would report.
    pub persisted: u64,
    /// How many requests have their body being read.
    pub writing: usize,
    /// Requests that named it since its start: none if nobody knows of it.
    pub requests: u64,
    /// Its state.
    pub phase: SessionPhase,
}

/// The calls that came in and the upload sessions, at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The sessions that the server remembers, oldest first.
    pub sessions: Vec<SessionRecord>,
    /// The latest 1,000 calls, oldest first.
    pub calls: Vec<CallRecord>,
    /// How many calls of each kind came in, all of them counted.
    pub counts: BTreeMap<CallKind, u64>,
    /// Connections that are being served; without any, nothing happens.
    pub connections: usize,
}

impl Snapshot {
    /// How many sessions still accept bytes.
    pub fn open_sessions(&self) -> usize {
        let open = |session: &&SessionRecord| session.phase == SessionPhase::Open;
        self.sessions.iter().filter(open).count()
    }

    /// The latest session of `object`.
    pub fn session(&self, object: &str) -> Option<&SessionRecord> {
        self.sessions.iter().rfind(|session| session.object == object)
    }

    /// How many calls of `kind` came in.
    pub fn count(&self, kind: CallKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

/// The live generation of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredObject {
    /// The version of its bytes.
    pub generation: u64,
    /// The version of its metadata within the generation.
    pub metageneration: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The CRC32C (Castagnoli) of its bytes.
    pub crc32c: u32,
    /// The MD5 of its bytes. An object that was composed or uploaded in parts has none, as at GCS.
    pub md5: Option<[u8; 16]>,
    /// The [object resource] of the JSON API, as a client without an encryption key gets it.
    ///
    /// [object resource]: https://cloud.google.com/storage/docs/json_api/v1/objects#resource
    pub resource: serde_json::Value,
}

impl StoredObject {
    /// An object as a server at `base` shows it.
    pub(crate) fn new(object: &Object, base: &str) -> Self {
        Self {
            generation: object.generation,
            metageneration: object.metageneration,
            size: object.size,
            crc32c: object.crc32c,
            md5: object.md5,
            resource: object.resource(base),
        }
    }
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
