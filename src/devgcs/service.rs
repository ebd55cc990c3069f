//! The state that all requests share, and the turn in which an object appears.
//!
//! Locks: `publishing` (one change of the index at a time, held while a record goes to the disk) before
//! `index` (a few instructions). Readers take `index` alone, so that they never wait for a disk.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, watch};

use super::error::Error;
use super::inspect::{Calls, Inspect, session_record};
use super::lock::locked;
use super::metadata::Metadata;
use super::preconditions::{self, Access};
use super::resource::{BucketRecord, Object, Versions};
use super::resumable::{Intent, Session, SessionRecord};
use super::storage::{Content, Digests, Directory, Keep};
use super::time::Time;
use super::{Config, Storage, names, random};
use crate::types::Preconditions;

/// Sessions that are remembered at once, ended ones included: the oldest are forgotten first.
const MAX_SESSIONS: usize = 100_000;

/// A running server's state.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) keep: Keep,
    pub(crate) md5: bool,
    pub(crate) session_lifetime: Duration,
    pub(crate) auto_create_buckets: bool,
    pub(crate) calls: Calls,
    /// True while request bodies are left unread.
    pub(crate) gate: watch::Sender<bool>,
    publishing: Mutex<()>,
    index: Mutex<Index>,
    /// The last field to go: when it is gone, so is all that the server held.
    _alive: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
struct Index {
    buckets: BTreeMap<String, Bucket>,
    sessions: HashMap<String, Arc<Session>>,
    /// The keys of `sessions`, oldest first.
    order: VecDeque<String>,
    last_generation: u64,
}

#[derive(Debug)]
struct Bucket {
    record: BucketRecord,
    objects: BTreeMap<String, Versions>,
}

/// An object that is about to appear.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) digests: Digests,
    pub(crate) component_count: Option<u32>,
    pub(crate) content: Content,
}

impl Service {
    /// Makes the state, or reads it from its directory.
    pub(crate) fn open(config: &Config, alive: mpsc::Sender<()>) -> io::Result<Self> {
        let keep = match &config.storage {
            Storage::Memory => Keep::Memory,
            Storage::Discard => Keep::Discard,
            Storage::Directory(root) => Keep::Directory(Arc::new(Directory::open(root)?)),
        };
        let index = match &keep {
            Keep::Directory(directory) => Index::load(directory)?,
            Keep::Memory | Keep::Discard => Index::default(),
        };
        let service = Self {
            keep,
            md5: config.md5,
            session_lifetime: config.session_lifetime,
            auto_create_buckets: config.auto_create_buckets,
            calls: Calls::default(),
            gate: watch::Sender::new(false),
            publishing: Mutex::new(()),
            index: Mutex::new(index),
            _alive: alive,
        };
        for name in &config.buckets {
            match service.insert_bucket(BucketRecord::new(name.clone())) {
                Err(error) if error.status() != StatusCode::CONFLICT => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("the bucket {name:?} cannot be created"),
                    ));
                }
                _ => {}
            }
        }
        Ok(service)
    }

    /// Creates a bucket. May block.
    pub(crate) fn insert_bucket(&self, record: BucketRecord) -> Result<BucketRecord, Error> {
        names::bucket(&record.name)?;
        let _turn = locked(&self.publishing);
        if locked(&self.index).buckets.contains_key(&record.name) {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ));
        }
        if let Some(directory) = self.keep.directory() {
            directory.save_bucket(&record.name, &record)?;
        }
        let bucket = Bucket {
            record: record.clone(),
            objects: BTreeMap::new(),
        };
        locked(&self.index).buckets.insert(record.name.clone(), bucket);
        Ok(record)
    }

    /// What a bucket says of itself.
    pub(crate) fn bucket(&self, name: &str) -> Result<BucketRecord, Error> {
        let index = locked(&self.index);
        index
            .buckets
            .get(name)
            .map(|bucket| bucket.record.clone())
            .ok_or_else(Error::no_bucket)
    }

    /// The buckets in the order of their names.
    pub(crate) fn buckets(&self) -> Vec<BucketRecord> {
        let index = locked(&self.index);
        index
            .buckets
            .values()
            .map(|bucket| bucket.record.clone())
            .collect()
    }

    /// Removes an empty bucket. May block.
    pub(crate) fn delete_bucket(&self, name: &str) -> Result<(), Error> {
        let _turn = locked(&self.publishing);
        match locked(&self.index).buckets.get(name) {
            None => return Err(Error::no_bucket()),
            Some(bucket) if !bucket.objects.is_empty() => {
                return Err(Error::new(
                    StatusCode::CONFLICT,
                    "conflict",
                    "The bucket you tried to delete is not empty.",
                ));
            }
            Some(_) => {}
        }
        if let Some(directory) = self.keep.directory() {
            directory.remove_bucket(name)?;
        }
        locked(&self.index).buckets.remove(name);
        Ok(())
    }

    /// Makes sure that a bucket is there that a request wants to write to, where the configuration says
    /// that this is enough to create it.
    pub(crate) async fn want_bucket(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        if self.auto_create_buckets && self.bucket(name).is_err() {
            let (keeper, record) = (Arc::clone(self), BucketRecord::new(name.to_owned()));
            match self.keep.run(move || keeper.insert_bucket(record)).await {
                Err(error) if error.status() != StatusCode::CONFLICT => return Err(error),
                _ => {}
            }
        }
        self.bucket(name).map(drop)
    }

    /// The live generation of an object, if there is one.
    pub(crate) fn live(&self, bucket: &str, name: &str) -> Result<Option<Arc<Object>>, Error> {
        self.generation(bucket, name, None)
    }

    /// The generation asked for, or the live one, if there is one.
    pub(crate) fn generation(
        &self,
        bucket: &str,
        name: &str,
        generation: Option<u64>,
    ) -> Result<Option<Arc<Object>>, Error> {
        let index = locked(&self.index);
        let bucket = index.buckets.get(bucket).ok_or_else(Error::no_bucket)?;
        let versions = bucket.objects.get(name);
        Ok(versions.and_then(|versions| versions.get(generation)).cloned())
    }

    /// Makes an object visible, all at once, if `conditions` hold at that moment. May block.
    pub(crate) fn publish(&self, draft: Draft, conditions: &Preconditions) -> Result<Arc<Object>, Error> {
        let _turn = locked(&self.publishing);
        let (mut versions, generation, versioning) = {
            let mut index = locked(&self.index);
            let bucket = index.buckets.get(&draft.bucket).ok_or_else(Error::no_bucket)?;
            let versions = bucket.objects.get(&draft.name).cloned().unwrap_or_default();
            let versioning = bucket.record.versioning;
            preconditions::check(conditions, versions.live.as_deref(), Access::Write)?;
            (versions, index.next_generation(), versioning)
        };
        let now = Time::now();
        let object = Arc::new(Object {
            bucket: draft.bucket,
            name: draft.name,
            generation,
            metageneration: 1,
            size: draft.digests.size,
            crc32c: draft.digests.crc32c.0,
            md5: draft.digests.md5,
            component_count: draft.component_count,
            created: now,
            updated: now,
            deleted: None,
            metadata: draft.metadata,
            content: draft.content,
        });
        let displaced = versions.live.replace(Arc::clone(&object));
        let removed = match displaced {
            Some(old) if versioning => {
                versions.noncurrent.push(Arc::new(Object {
                    deleted: Some(now),
                    ..Object::clone(&old)
                }));
                None
            }
            displaced => displaced,
        };
        self.replace(&object.bucket, &object.name, versions)?;
        if let Some(old) = removed {
            self.remove_content(&old.content);
        }
        Ok(object)
    }

    /// Writes all generations of an object, to the disk first. The caller holds `publishing`.
    fn replace(&self, bucket: &str, name: &str, versions: Versions) -> Result<(), Error> {
        if let Some(directory) = self.keep.directory() {
            directory.save_object(bucket, name, &versions)?;
        }
        if let Some(bucket) = locked(&self.index).buckets.get_mut(bucket) {
            bucket.objects.insert(name.to_owned(), versions);
        }
        Ok(())
    }

    fn remove_content(&self, content: &Content) {
        if let (Content::File(blob), Some(directory)) = (content, self.keep.directory()) {
            directory.remove_blob(blob);
        }
    }

    /// Starts a session that can be reached by `id`. May block.
    pub(crate) fn open_session(&self, id: &str, intent: Intent) -> Result<(), Error> {
        let session = Arc::new(Session::start(self, session_key(id), intent)?);
        let forgotten = {
            let mut index = locked(&self.index);
            let full = index.order.len() >= MAX_SESSIONS;
            let forgotten =
                if full { index.order.pop_front() } else { None }.and_then(|key| index.sessions.remove(&key));
            index.order.push_back(session.key.clone());
            index.sessions.insert(session.key.clone(), session);
            forgotten
        };
        if let Some(session) = forgotten {
            session.end(self, Error::empty(StatusCode::GONE));
        }
        Ok(())
    }

    /// The session that `id` gives access to: 404 where there is none, 410 where it is too old.
    pub(crate) fn session(&self, id: &str) -> Result<Arc<Session>, Error> {
        let session = locked(&self.index).sessions.get(&session_key(id)).cloned();
        match session {
            None => Err(Error::text(StatusCode::NOT_FOUND, "Not Found")),
            Some(session) if session.is_expired(self.session_lifetime) => {
                Err(Error::text(StatusCode::GONE, "Gone"))
            }
            Some(session) => Ok(session),
        }
    }

    /// What a test may see.
    pub(crate) fn inspect(&self) -> Inspect {
        let sessions: Vec<Arc<Session>> = {
            let index = locked(&self.index);
            let known = index.order.iter().filter_map(|key| index.sessions.get(key));
            known.cloned().collect()
        };
        let (calls, counts) = self.calls.snapshot();
        Inspect {
            sessions: sessions.iter().map(session_record).collect(),
            calls,
            counts,
        }
    }
}

impl Index {
    /// Generations grow, and are about the time in microseconds, as GCS's are.
    fn next_generation(&mut self) -> u64 {
        self.last_generation = Time::now().micros().max(self.last_generation + 1);
        self.last_generation
    }

    fn load(directory: &Directory) -> io::Result<Self> {
        let mut index = Self::default();
        let mut blobs = HashSet::new();
        let mut by_blob = HashMap::new();
        for (name, record) in directory.load_buckets::<BucketRecord>()? {
            let mut objects = BTreeMap::new();
            for versions in directory.load_objects::<Versions>(&name)? {
                let Some(first) = versions.all().next() else {
                    continue;
                };
                let name = first.name.clone();
                for object in versions.all() {
                    index.last_generation = index.last_generation.max(object.generation);
                    if let Content::File(blob) = &object.content {
                        blobs.insert(blob.clone());
                        by_blob.insert(blob.clone(), Arc::clone(object));
                    }
                }
                objects.insert(name, versions);
            }
            index.buckets.insert(name, Bucket { record, objects });
        }
        let mut sessions = directory.load_sessions::<SessionRecord>()?;
        sessions.sort_by_key(|(_, record)| record.intent.created);
        for (key, mut record) in sessions {
            if record.finished.is_none() {
                // The process ended between the object's record and the session's.
                record.finished = by_blob.get(&record.blob).map(|object| Object::clone(object));
            }
            if record.finished.is_none() {
                blobs.insert(record.blob.clone());
            }
            let len = directory.blob_len(&record.blob);
            let session = Session::restore(key.clone(), record, len);
            index.order.push_back(key.clone());
            index.sessions.insert(key, Arc::new(session));
        }
        directory.sweep_blobs(&blobs)?;
        Ok(index)
    }
}

/// What a session is filed under: the id itself is a credential, and is kept nowhere.
fn session_key(id: &str) -> String {
    random::hash_hex(id.as_bytes())
}
