//! The state that all requests share.
//!
//! Locks: `turn` (one change at a time, held while a record goes to the disk) before `index` (a few
//! instructions). Readers take `index` alone, so that they never wait for a disk. What takes `turn` may
//! block, and runs through [`Keep::run`].

mod buckets;
mod index;
mod listing;
mod multiparts;
mod sessions;
mod turn;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, watch};

use super::error::Error;
use super::faults::Faults;
use super::inspect::{Calls, Inspect, session_record};
use super::lock::locked;
use super::resource::{BucketRecord, Object};
use super::storage::{Content, Directory, Keep};
use super::{Config, Storage};
use index::Index;
pub(crate) use listing::{Cursor, Listing, Page};
pub(crate) use multiparts::{MAX_PARTS, Multipart, MultipartRecord, Part};
pub(crate) use turn::{Draft, Turn, held};

/// A running server's state.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) keep: Keep,
    pub(crate) md5: bool,
    session_lifetime: Duration,
    auto_create_buckets: bool,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    /// True while request bodies are left unread.
    pub(crate) gate: watch::Sender<bool>,
    /// Connections that are being served.
    pub(crate) connections: AtomicUsize,
    turn: Mutex<()>,
    index: Mutex<Index>,
    /// The last field to go: when it is gone, so is all that the server held.
    _alive: mpsc::Sender<()>,
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
            Keep::Directory(directory) => Index::load(directory, config.session_lifetime)?,
            Keep::Memory | Keep::Discard => Index::default(),
        };
        let service = Self {
            keep,
            md5: config.md5,
            session_lifetime: config.session_lifetime,
            auto_create_buckets: config.auto_create_buckets,
            calls: Calls::default(),
            faults: Faults::new(&config.faults),
            gate: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            turn: Mutex::new(()),
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

    /// The turn to change something. May block.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn::new(self, locked(&self.turn))
    }

    /// Does `work` in a turn, where it may block.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Turn<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let keeper = Arc::clone(self);
        self.keep.run(move || work(&keeper.turn())).await
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
        let versions = index.bucket(bucket)?.objects.get(name);
        Ok(versions.and_then(|versions| versions.get(generation)).cloned())
    }

    /// The generation asked for, or the live one; 404 where there is none.
    pub(crate) fn find(
        &self,
        bucket: &str,
        name: &str,
        generation: Option<u64>,
    ) -> Result<Arc<Object>, Error> {
        self.generation(bucket, name, generation)?
            .ok_or_else(|| Error::no_object(bucket, name))
    }

    /// A page of a bucket's objects.
    pub(crate) fn list(&self, bucket: &str, listing: &Listing) -> Result<Page, Error> {
        Ok(listing.page(&locked(&self.index).bucket(bucket)?.objects))
    }

    /// Throws away bytes that no object has any more. May block.
    pub(crate) fn remove_content(&self, content: &Content) {
        if let (Content::File(blob), Some(directory)) = (content, self.keep.directory()) {
            directory.remove_blob(blob);
        }
    }

    /// What a test may see.
    pub(crate) fn inspect(&self) -> Inspect {
        let sessions = locked(&self.index).sessions();
        let (calls, counts) = self.calls.snapshot();
        Inspect {
            sessions: sessions.iter().map(session_record).collect(),
            calls,
            counts,
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}
