//! One session: its progress, its bytes, and the turn in which bytes become an object.
//!
//! Locks: `slot` is held while bytes go to the storage, and always taken before `progress`, which is held
//! for a few instructions only, so that a query never waits for a disk. Neither is held across an await.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::progress::{Batch, Phase, Plan, Progress};
use super::range::ContentRange;
use crate::error::Error;
use crate::lock::locked;
use crate::metadata::{Expected, Metadata};
use crate::resource::Object;
use crate::service::{Draft, Service};
use crate::storage::{BlobId, Writer};
use crate::time::Time;
use gcsd_types::{CHUNK_ALIGNMENT, Preconditions};

/// GCS's "client closed request": the answer to a cancel.
pub(crate) const CANCELLED: u16 = 499;

/// What a session was started with: it does not change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) expected: Expected,
    /// `X-Upload-Content-Length`.
    pub(crate) declared: Option<u64>,
    #[serde(with = "conditions")]
    pub(crate) conditions: Preconditions,
    pub(crate) created: Time,
    /// The SHA-256 of the key to encrypt the object with, which each request must bring.
    #[serde(default)]
    pub(crate) key_sha256: Option<String>,
}

/// A session as a directory keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) intent: Intent,
    pub(crate) blob: BlobId,
    /// The object that it became.
    pub(crate) finished: Option<Object>,
}

/// Where a session's bytes go.
#[derive(Debug)]
enum Slot {
    Ready(Writer),
    /// Left in a file by an earlier process; its checksums are not computed again before they are needed.
    Dormant(BlobId),
    /// They became an object, or were thrown away.
    Gone,
}

/// A resumable session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Derived from the session's id; unlike the id, it gives no access.
    pub(crate) key: String,
    pub(crate) intent: Intent,
    slot: Mutex<Slot>,
    progress: Mutex<Progress>,
    /// Bytes read from the bodies of its requests.
    pub(crate) received: AtomicU64,
    /// Requests whose body is being read.
    pub(crate) writing: AtomicUsize,
    /// Requests that named it since its start.
    pub(crate) requests: AtomicU64,
    /// Bytes that are persisted and not reported yet.
    hidden: AtomicU64,
}

impl Session {
    /// A new session, with nothing persisted.
    pub(crate) fn start(service: &Service, key: String, intent: Intent) -> Result<Self, Error> {
        let mut writer = service.keep.writer(service.md5)?;
        if let (Some(directory), Some(blob)) = (service.keep.directory(), writer.blob()) {
            let record = SessionRecord {
                intent: intent.clone(),
                blob: blob.clone(),
                finished: None,
            };
            directory.save_session(&key, &record)?;
        }
        writer.keep();
        let progress = Progress::new(0, intent.declared, intent.expected);
        Ok(Self::with(key, intent, Slot::Ready(writer), progress))
    }

    /// A session that an earlier process left, with `len` bytes in its file.
    pub(crate) fn restore(key: String, record: SessionRecord, len: u64) -> Self {
        let persisted = len - len % CHUNK_ALIGNMENT;
        let mut progress = Progress::new(persisted, record.intent.declared, record.intent.expected);
        let slot = match record.finished {
            Some(object) => {
                progress.phase = Phase::Finished(Arc::new(object));
                Slot::Gone
            }
            None => Slot::Dormant(record.blob),
        };
        Self::with(key, record.intent, slot, progress)
    }

    fn with(key: String, intent: Intent, slot: Slot, progress: Progress) -> Self {
        Self {
            key,
            intent,
            slot: Mutex::new(slot),
            progress: Mutex::new(progress),
            received: AtomicU64::new(0),
            writing: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
        }
    }

    /// Bytes that are persisted.
    pub(crate) fn persisted(&self) -> u64 {
        locked(&self.progress).persisted
    }

    /// Bytes that a query reports: what is persisted, but for what is hidden.
    pub(crate) fn reported(&self) -> u64 {
        self.persisted()
            .saturating_sub(self.hidden.load(Ordering::Relaxed))
    }

    /// From now on, `bytes` of what is persisted are not reported.
    pub(crate) fn hide(&self, bytes: u64) {
        self.hidden.store(bytes, Ordering::Relaxed);
    }

    /// What has become of it.
    pub(crate) fn phase(&self) -> Phase {
        locked(&self.progress).phase.clone()
    }

    /// Adds the checksums that a request's headers name.
    pub(crate) fn expect(&self, headers: &http::HeaderMap) -> Result<(), Error> {
        let mut progress = locked(&self.progress);
        let mut expected = progress.expected;
        expected.merge_headers(headers)?;
        progress.expected = expected;
        Ok(())
    }

    /// See [`Progress::plan`].
    pub(crate) fn plan(&self, range: ContentRange, length: Option<u64>) -> Result<Plan, Error> {
        locked(&self.progress).plan(range, length)
    }

    /// Persists what of `batch` is new. May block.
    pub(crate) fn append(&self, service: &Service, batch: Batch) -> Result<(), Error> {
        let mut slot = locked(&self.slot);
        let persisted = match locked(&self.progress) {
            progress if matches!(progress.phase, Phase::Open) => progress.persisted,
            progress => return progress.phase.refusal(),
        };
        let pieces = batch.from(persisted).unwrap_or_default();
        if pieces.is_empty() {
            return Ok(());
        }
        let writer = slot.ready(service, persisted)?;
        writer.append(&pieces)?;
        locked(&self.progress).persisted = writer.len();
        Ok(())
    }

    /// Makes the object of what is persisted and `tail`, if that is `total` bytes. May block.
    ///
    /// Returns where the session stands then: a wrong total leaves it open. A wrong checksum or a
    /// precondition that does not hold ends it.
    pub(crate) fn finish(&self, service: &Service, total: u64, tail: Batch) -> Result<Phase, Error> {
        let mut slot = locked(&self.slot);
        let (persisted, expected) = match locked(&self.progress) {
            progress if matches!(progress.phase, Phase::Open) => (progress.persisted, progress.expected),
            progress => return Ok(progress.phase.clone()),
        };
        let Some(tail) = tail.from(persisted) else {
            return Ok(Phase::Open);
        };
        let tail_len: u64 = tail.iter().map(|piece| piece.len() as u64).sum();
        if persisted + tail_len != total {
            return Ok(Phase::Open);
        }
        let writer = slot.ready(service, persisted)?;
        let (content, digests) = writer.complete(&tail)?;
        let draft = Draft {
            bucket: self.intent.bucket.clone(),
            name: self.intent.name.clone(),
            metadata: self.intent.metadata.clone(),
            digests,
            component_count: None,
            key_sha256: self.intent.key_sha256.clone(),
            content,
        };
        let published = expected
            .check(digests.crc32c, digests.md5)
            .and_then(|()| service.turn().publish(&draft, &self.intent.conditions));
        match published {
            Ok(object) => {
                self.record_finish(service, &slot, &object);
                *slot = Slot::Gone;
                let phase = Phase::Finished(Arc::new(object.without_chunks()));
                locked(&self.progress).phase = phase.clone();
                service.session_ended(&self.key);
                Ok(phase)
            }
            // The storage failed, not the request: the client may try again.
            Err(error) if error.is_internal() => Err(error),
            Err(error) => {
                self.clear(service, &mut slot);
                locked(&self.progress).phase = Phase::Ended(Error::text(StatusCode::GONE, "Gone"));
                service.session_ended(&self.key);
                Err(error)
            }
        }
    }

    /// Cancels the session, unless it has come to an end already. May block.
    pub(crate) fn cancel(&self, service: &Service) -> Phase {
        let status = StatusCode::from_u16(CANCELLED).unwrap_or(StatusCode::GONE);
        self.end(service, Error::empty(status))
    }

    /// Ends the session, unless it has come to an end already: every later request gets `answer`. May
    /// block.
    pub(crate) fn end(&self, service: &Service, answer: Error) -> Phase {
        let mut slot = locked(&self.slot);
        let mut progress = locked(&self.progress);
        let was_open = matches!(progress.phase, Phase::Open);
        if was_open {
            progress.phase = Phase::Ended(answer);
        }
        let phase = progress.phase.clone();
        drop(progress);
        if was_open {
            self.clear(service, &mut slot);
            service.session_ended(&self.key);
        }
        phase
    }

    /// Whether it was started longer ago than a session lives.
    pub(crate) fn is_expired(&self, lifetime: std::time::Duration) -> bool {
        let age = Time::now().micros().saturating_sub(self.intent.created.micros());
        u128::from(age) >= lifetime.as_micros()
    }

    fn clear(&self, service: &Service, slot: &mut Slot) {
        match std::mem::replace(slot, Slot::Gone) {
            Slot::Ready(writer) => writer.discard(),
            Slot::Dormant(blob) => {
                if let Some(directory) = service.keep.directory() {
                    directory.remove_blob(&blob);
                }
            }
            Slot::Gone => {}
        }
        if let Some(directory) = service.keep.directory() {
            directory.remove_session(&self.key);
        }
    }

    /// A record that cannot be written costs nothing but the answer to a query after a restart: the
    /// object's own record is there already.
    fn record_finish(&self, service: &Service, slot: &Slot, object: &Object) {
        let (Some(directory), Slot::Ready(writer)) = (service.keep.directory(), slot) else {
            return;
        };
        let Some(blob) = writer.blob() else { return };
        let record = SessionRecord {
            intent: self.intent.clone(),
            blob: blob.clone(),
            finished: Some(object.clone()),
        };
        if let Err(error) = directory.save_session(&self.key, &record) {
            tracing::warn!(%error, "devgcs: a session's end could not be recorded");
        }
    }
}

impl Slot {
    fn ready(&mut self, service: &Service, persisted: u64) -> Result<&mut Writer, Error> {
        if let (Self::Dormant(blob), Some(directory)) = (&*self, service.keep.directory()) {
            let writer = Writer::reopen(directory, blob.clone(), persisted, service.md5)?;
            *self = Self::Ready(writer);
        }
        match self {
            Self::Ready(writer) => Ok(writer),
            Self::Dormant(_) | Self::Gone => Err(std::io::Error::other("a session lost its bytes").into()),
        }
    }
}

impl Phase {
    /// What a request that still brings bytes is told by a session that takes none.
    fn refusal(&self) -> Result<(), Error> {
        match self {
            Self::Ended(error) => Err(error.clone()),
            Self::Open | Self::Finished(_) => Ok(()),
        }
    }
}

/// The crate's own type has no serde: a session's record writes it as an array.
mod conditions {
    use super::Preconditions;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Preconditions, serializer: S) -> Result<S::Ok, S::Error> {
        [
            value.if_generation_match,
            value.if_generation_not_match,
            value.if_metageneration_match,
            value.if_metageneration_not_match,
        ]
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Preconditions, D::Error> {
        let [a, b, c, d] = <[Option<u64>; 4]>::deserialize(deserializer)?;
        Ok(Preconditions {
            if_generation_match: a,
            if_generation_not_match: b,
            if_metageneration_match: c,
            if_metageneration_not_match: d,
        })
    }
}
