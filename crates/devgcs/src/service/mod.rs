//! The state that all requests share.
//!
//! Locks: `turn` (one change at a time, held while a record goes to the disk) before `index` (a few
//! instructions). Readers take `index` alone, so that they never wait for a disk. What takes `turn` may
//! block, and runs through [`Store::run`].

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

use super::clock::Clock;
use super::config::{Config, StartError};
use super::error::Error;
use super::faults::Faults;
use super::inspect::{Calls, Snapshot};
use super::lock::locked;
use super::projects::HmacKeys;
use super::resource::{BucketRecord, Object};
use super::storage::Store;
use super::time::Time;
use index::Index;
pub(crate) use listing::{Cursor, Listing, Page};
pub(crate) use sessions::cancelled;
pub(crate) use turn::Turn;

/// A running server's state.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    session_lifetime: Duration,
    create_missing_buckets: bool,
    pub(crate) like_testbench: bool,
    pub(crate) clock: Clock,
    pub(crate) hmac_keys: HmacKeys,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    /// True while request bodies are not read.
    pub(crate) gate: watch::Sender<bool>,
    /// Connections that are being served.
    pub(crate) connections: AtomicUsize,
    turn: Mutex<()>,
    index: Mutex<Index>,
    /// The last field: when it is dropped, everything that the server held is gone.
    _alive: mpsc::Sender<()>,
}

impl Service {
    /// Creates the state, or reads it from its directory.
    pub(crate) fn open(config: &Config, alive: mpsc::Sender<()>) -> Result<Self, StartError> {
        let store = Store::open(&config.storage, config.md5).map_err(StartError::Storage)?;
        let index = match store.directory() {
            Some(directory) => {
                Index::load(directory, config.session_lifetime).map_err(StartError::Storage)?
            }
            None => Index::default(),
        };
        let service = Self {
            store,
            session_lifetime: config.session_lifetime,
            create_missing_buckets: config.create_missing_buckets,
            like_testbench: config.like_testbench,
            clock: Clock::default(),
            hmac_keys: HmacKeys::default(),
            calls: Calls::default(),
            faults: Faults::new(&config.faults),
            gate: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            turn: Mutex::new(()),
            index: Mutex::new(index),
            _alive: alive,
        };
        for name in &config.buckets {
            match service.insert_bucket(BucketRecord::new(name.clone(), Time::now())) {
                Err(error) if error.status() != StatusCode::CONFLICT => {
                    return Err(StartError::Bucket {
                        name: name.clone(),
                        source: io::Error::other(error.message()),
                    });
                }
                _ => {}
            }
        }
        Ok(service)
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// A generation that was deleted and can be restored; 404 if there is none.
    pub(crate) fn find_soft_deleted(
        &self,
        bucket: &str,
        name: &str,
        generation: u64,
    ) -> Result<Arc<Object>, Error> {
        let index = locked(&self.index);
        let versions = index.bucket(bucket)?.objects.get(name);
        let mut kept = versions.into_iter().flat_map(|versions| &versions.soft_deleted);
        let now = self.now();
        kept.find(|object| object.generation == generation && !object.is_gone(now))
            .cloned()
            .ok_or_else(|| Error::no_object(bucket, name))
    }

    /// Whether a bucket has live objects whose names continue after `prefix`.
    pub(crate) fn has_below(&self, bucket: &str, prefix: &str) -> Result<bool, Error> {
        let index = locked(&self.index);
        let from = (std::ops::Bound::Excluded(prefix), std::ops::Bound::Unbounded);
        let below = index.bucket(bucket)?.objects.range::<str, _>(from);
        let mut below = below.take_while(|(name, _)| name.starts_with(prefix));
        Ok(below.any(|(_, versions)| versions.live.is_some()))
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

    /// The generation asked for, or the live one; 404 if there is none.
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

    /// The names of a bucket's live objects, in order.
    pub(crate) fn names(&self, bucket: &str) -> Vec<String> {
        let index = locked(&self.index);
        let objects = index.bucket(bucket).map(|bucket| bucket.objects.iter());
        let live = objects
            .into_iter()
            .flatten()
            .filter(|(_, versions)| versions.live.is_some());
        live.map(|(name, _)| name.clone()).collect()
    }

    /// What [`Server::inspect`](crate::Server::inspect) returns.
    pub(crate) fn inspect(&self) -> Snapshot {
        let sessions = locked(&self.index).sessions();
        let (calls, counts) = self.calls.snapshot();
        Snapshot {
            sessions: sessions.iter().map(|session| session.record()).collect(),
            calls,
            counts,
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}
