//! A resumable upload in progress: its session at GCS, and what is known here of what GCS holds.

use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::answer::Answered;
use super::client::Gcs;
use super::error::Error;
use super::resource::Object;
use super::session_uri::SessionUri;
use super::upload::{Anomaly, CancelOutcome, Refusal, SessionStatus, Upload, WriteRange};
use super::upload_body::UploadBody;
use gcsd_types::{Crc32c, Destination, ObjectInfo};

/// A resumable upload in progress.
///
/// Each request is checked against what is known of the upload, makes one call to GCS, and learns from the answer.
/// Nothing is retried: a [`SessionError`] says what may be done next.
///
/// One request at a time: the answer to one that overlaps another says nothing certain. A request whose future is
/// dropped cuts the call; after a write or a finish it is then unknown what arrived, and only a [`query`](Self::query)
/// makes the next one possible.
///
/// `committed` is only what GCS reported, and never goes down.
pub struct Session {
    gcs: Gcs,
    uri: SessionUri,
    /// Never locked across a call.
    upload: Mutex<Upload>,
}

/// Where an upload stands after a request on its [`Session`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadProgress {
    /// Bytes that GCS reported as persisted, from the object's start; the size once it is finished.
    pub committed: u64,
    /// The object, once it is finished.
    pub object: Option<ObjectInfo>,
    /// GCS's JSON resource of the finished object, where this answer brought it; else empty.
    pub json: Bytes,
}

/// Why a request on a [`Session`] did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// The upload does not permit it now. GCS was not asked.
    #[error("the upload does not permit the request")]
    Refused(#[source] Refusal),
    /// The call failed.
    #[error("a call to Cloud Storage failed")]
    Call {
        /// Why, and what may be done next.
        #[source]
        error: Error,
        /// What is known to be committed.
        committed: u64,
    },
    /// GCS answered, and what it holds is not what the request should have led to.
    #[error("Cloud Storage does not hold what it should")]
    Anomaly(#[source] Anomaly),
}

impl Session {
    /// Starts an upload of `destination`; see [`Gcs::start_upload`].
    pub async fn start(
        gcs: &Gcs,
        destination: &Destination,
        size: Option<u64>,
    ) -> Result<Answered<Self>, Error> {
        let started = gcs.start_upload(destination, size).await?;
        Ok(started.map(|uri| Self::new(gcs, uri, Upload::started())))
    }

    /// Comes back to an upload that was started elsewhere. No call is made: until a [`query`](Self::query) has succeeded
    /// it is unknown what arrived.
    pub fn attach(gcs: &Gcs, uri: SessionUri) -> Self {
        Self::new(gcs, uri, Upload::attached())
    }

    fn new(gcs: &Gcs, uri: SessionUri, upload: Upload) -> Self {
        Self {
            gcs: gcs.clone(),
            uri,
            upload: Mutex::new(upload),
        }
    }

    /// GCS's name for the upload, a credential.
    pub fn uri(&self) -> &SessionUri {
        &self.uri
    }

    /// The last that GCS reported as persisted: a lower bound.
    pub fn committed(&self) -> u64 {
        self.upload().committed()
    }

    /// The object, once it is known to be finished.
    pub fn object(&self) -> Option<ObjectInfo> {
        self.upload().object()
    }

    /// Whether the upload is finished, cancelled or lost.
    pub fn has_ended(&self) -> bool {
        self.upload().has_ended()
    }

    /// Whether `range` may be written now. [`write`](Self::write) checks this too; asking first saves taking the bytes from
    /// wherever they are.
    pub fn check_write(&self, range: &WriteRange) -> Result<(), Refusal> {
        self.upload().check_write(range)
    }

    /// Writes a range of bytes; see [`Gcs::write`].
    ///
    /// Success means that all of it is committed, and after the last range that the object is finished.
    pub async fn write(
        &self,
        range: WriteRange,
        body: UploadBody,
    ) -> Result<Answered<UploadProgress>, SessionError> {
        self.upload().check_write(&range).map_err(SessionError::Refused)?;
        let tally = body.tally();
        let unsettles = Unsettles(self);
        let written = self.gcs.write(&self.uri, range, body).await;
        mem::forget(unsettles);
        self.learn(written, |upload, status| {
            upload.after_write(&range, tally.received(), status)
        })
    }

    /// Asks GCS what it holds; see [`Gcs::query`].
    pub async fn query(&self) -> Result<Answered<UploadProgress>, SessionError> {
        let asked = self.gcs.query(&self.uri).await;
        self.learn(asked, Upload::after_query)
    }

    /// Makes the object of what is committed; see [`Gcs::finish`].
    pub async fn finish(
        &self,
        total: u64,
        object_crc32c: Option<Crc32c>,
    ) -> Result<Answered<UploadProgress>, SessionError> {
        self.upload().check_finish().map_err(SessionError::Refused)?;
        let unsettles = Unsettles(self);
        let finished = self.gcs.finish(&self.uri, total, object_crc32c).await;
        mem::forget(unsettles);
        self.learn(finished, |upload, status| upload.after_finish(total, status))
    }

    /// Throws away what is committed; see [`Gcs::cancel`].
    pub async fn cancel(&self) -> Result<Answered<CancelOutcome>, SessionError> {
        let cancelled = self.gcs.cancel(&self.uri).await;
        let cancelled = cancelled.map_err(|error| self.failed(error))?;
        let mut upload = self.upload();
        upload.after_cancel(&cancelled.answer);
        Ok(match upload.object() {
            // That it was finished is known, whatever became of its session.
            Some(info) => cancelled.map(|outcome| match outcome {
                CancelOutcome::Finished(object) => CancelOutcome::Finished(object),
                _ => CancelOutcome::Finished(Object {
                    info,
                    json: Bytes::new(),
                }),
            }),
            None => cancelled,
        })
    }

    /// Takes the outcome of a call into what is known of the upload.
    fn learn(
        &self,
        outcome: Result<Answered<SessionStatus>, Error>,
        take: impl FnOnce(&mut Upload, &SessionStatus) -> Result<(), Anomaly>,
    ) -> Result<Answered<UploadProgress>, SessionError> {
        let answered = outcome.map_err(|error| self.failed(error))?;
        let mut upload = self.upload();
        take(&mut upload, &answered.answer).map_err(SessionError::Anomaly)?;
        let (committed, object) = (upload.committed(), upload.object());
        Ok(answered.map(|status| UploadProgress {
            committed,
            object,
            json: match status {
                SessionStatus::Active { .. } => Bytes::new(),
                SessionStatus::Finished(object) => object.json,
            },
        }))
    }

    fn failed(&self, error: Error) -> SessionError {
        let mut upload = self.upload();
        upload.after_error(&error);
        let committed = upload.committed();
        SessionError::Call { error, committed }
    }

    fn upload(&self) -> MutexGuard<'_, Upload> {
        // Each change is whole before anything can panic.
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held during a call that changes what GCS holds: dropped with it, nobody knows what arrived, and the upload is unsettled.
struct Unsettles<'a>(&'a Session);

impl Drop for Unsettles<'_> {
    fn drop(&mut self) {
        self.0.upload().unsettle();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("upload", &*self.upload())
            .finish_non_exhaustive()
    }
}
