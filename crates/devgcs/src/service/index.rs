//! The index in memory: buckets, objects, sessions, multipart uploads.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::multipart_upload::{MultipartRecord, MultipartUpload, Part};
use crate::resource::{BucketRecord, Object, Versions};
use crate::resumable::{SavedSession, Session};
use crate::storage::{BlobId, Content, Directory};
use crate::time::Time;

/// The most sessions that accept bytes at the same time.
const MAX_OPEN: usize = 100_000;

/// The most ended sessions that are remembered, so that a repeated request gets the same answer.
pub(super) const MAX_ENDED: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Index {
    buckets: BTreeMap<String, Bucket>,
    sessions: HashMap<String, Arc<Session>>,
    /// The keys of those that have ended, in the order in which they did.
    ended: VecDeque<String>,
    pub(super) multiparts: HashMap<String, Arc<MultipartUpload>>,
    last_generation: u64,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) record: BucketRecord,
    pub(super) objects: BTreeMap<String, Versions>,
}

impl Index {
    pub(super) fn bucket(&self, name: &str) -> Result<&Bucket, Error> {
        self.buckets.get(name).ok_or_else(Error::no_bucket)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Error> {
        self.buckets.get_mut(name).ok_or_else(Error::no_bucket)
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.values()
    }

    pub(super) fn insert_bucket(&mut self, record: BucketRecord) {
        let objects = BTreeMap::new();
        self.buckets
            .insert(record.name.clone(), Bucket { record, objects });
    }

    pub(super) fn remove_bucket(&mut self, name: &str) {
        self.buckets.remove(name);
    }

    /// Sets all generations of an object; none at all removes its name.
    pub(super) fn set_object(&mut self, bucket: &str, name: &str, versions: Versions) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            if versions.is_empty() {
                bucket.objects.remove(name);
            } else {
                bucket.objects.insert(name.to_owned(), versions);
            }
        }
    }

    /// Generations grow, and are close to the time in microseconds, as at GCS.
    pub(super) fn next_generation(&mut self, now: Time) -> u64 {
        self.last_generation = now.micros().max(self.last_generation + 1);
        self.last_generation
    }

    pub(super) fn session(&self, key: &str) -> Option<Arc<Session>> {
        self.sessions.get(key).cloned()
    }

    /// All sessions, oldest first.
    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = self.sessions.values().cloned().collect();
        sessions.sort_by_key(|session| session.intent.created);
        sessions
    }

    /// Whether one more session can be opened.
    pub(super) fn has_room(&self) -> bool {
        self.sessions.len() - self.ended.len() < MAX_OPEN
    }

    pub(super) fn insert_session(&mut self, session: Session) {
        self.sessions.insert(session.key.clone(), Arc::new(session));
    }

    /// Notes that a session has ended; returns one to forget if there are too many.
    pub(super) fn session_ended(&mut self, key: &str) -> Option<Arc<Session>> {
        self.ended.push_back(key.to_owned());
        if self.ended.len() <= MAX_ENDED {
            return None;
        }
        let oldest = self.ended.pop_front()?;
        self.sessions.remove(&oldest)
    }

    /// Reads a directory, and removes what a crash left incomplete.
    pub(super) fn load(directory: &Directory, session_lifetime: Duration) -> io::Result<Self> {
        let mut index = Self::default();
        let mut owners: HashMap<BlobId, Arc<Object>> = HashMap::new();
        for (name, record) in directory.load_buckets::<BucketRecord>()? {
            index.insert_bucket(record);
            for versions in directory.load_objects::<Versions>(&name)? {
                let Some(first) = versions.kept().next().cloned() else {
                    continue;
                };
                for object in versions.kept() {
                    index.last_generation = index.last_generation.max(object.generation);
                    if let Content::File(blob) = &object.content {
                        owners.insert(blob.clone(), Arc::clone(object));
                    }
                }
                index.set_object(&name, &first.name, versions);
            }
        }
        let mut named: HashSet<BlobId> = owners.keys().cloned().collect();
        let mut sessions = directory.load_sessions::<SavedSession>()?;
        sessions.sort_by_key(|(_, record)| record.intent.created);
        for (key, mut record) in sessions {
            if record.finished.is_none() {
                // The process ended between the object's record and the session's.
                record.finished = owners.get(&record.blob).map(|object| Object::clone(object));
            }
            let blob = record.blob.clone();
            let (len, is_finished) = (directory.blob_len(&record.blob), record.finished.is_some());
            let session = Session::restore(key.clone(), record, len);
            if session.is_expired(session_lifetime, Time::now()) {
                directory.remove_session(&key);
                continue;
            }
            let has_ended = session.has_just_ended();
            index.insert_session(session);
            if !is_finished {
                named.insert(blob);
            }
            if has_ended && let Some(forgotten) = index.session_ended(&key) {
                directory.remove_session(&forgotten.key);
            }
        }
        for (id, record, parts) in directory.load_multiparts::<MultipartRecord, Part>()? {
            named.extend(parts.values().filter_map(|part| match &part.content {
                Content::File(blob) => Some(blob.clone()),
                Content::Memory(_) | Content::Discarded => None,
            }));
            let upload = MultipartUpload::new(id.clone(), record, parts);
            index.multiparts.insert(id, Arc::new(upload));
        }
        directory.sweep_blobs(&named)?;
        Ok(index)
    }
}
