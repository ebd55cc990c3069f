//! Striped uploads to a devgcs, and what is left of them there.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use devgcs::Server;
use gcsd_client::striped::Route;
use gcsd_client::{
    CheckpointStore, DaemonRoute, NewObject, Striped, StripedCheckpoint, StripedOptions, StripedUpload,
};
use gcsd_net::SharedConnector;
use gcsd_types::{Crc32c, ObjectQuery};

use super::daemon::{BUCKET, Daemon};
use super::uploads::{daemons, gcs, retries, tcp};

/// Parts of `part_size`, four at once.
pub(crate) fn options(part_size: usize) -> StripedOptions {
    StripedOptions::default()
        .with_connections(4)
        .with_part_size(part_size as u64)
        .with_retries(retries())
}

/// Through `daemon`.
pub(crate) fn through(daemon: &Daemon, connector: SharedConnector) -> DaemonRoute {
    DaemonRoute::new(daemons(&[daemon.address], connector))
}

/// Begins to upload `bytes`.
pub(crate) fn begin(
    route: impl Route,
    object: NewObject,
    bytes: &Bytes,
    options: &StripedOptions,
) -> StripedUpload {
    StripedUpload::start(route, object, bytes.clone(), options, ()).expect("good options")
}

/// The names of all generations of all objects.
pub(crate) async fn names(daemon: &Daemon) -> Vec<String> {
    names_at(&daemon.devgcs).await
}

/// The same, without a daemon.
pub(crate) async fn names_at(devgcs: &Server) -> Vec<String> {
    let gcs = gcs(devgcs, tcp());
    let mut query = ObjectQuery::new(BUCKET.parse().expect("a name"));
    query.versions = true;
    query.fields = Some("items(name),nextPageToken".to_owned());
    let mut names = Vec::new();
    for _ in 0..100 {
        // The faults of a test meet this request, too.
        let Ok((page, json)) = gcs.list(&query).await else {
            continue;
        };
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let items = json["items"].as_array().cloned().unwrap_or_default();
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().expect("a name").to_owned()),
        );
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return names;
        }
    }
    panic!("too many objects");
}

/// The object is `bytes`, of so many parts, and no other object is there.
#[track_caller]
pub(crate) fn check<'a>(
    daemon: &'a Daemon,
    name: &'a str,
    bytes: &'a Bytes,
    parts: usize,
    striped: &'a Striped,
) -> impl Future<Output = ()> + use<'a> {
    assert!(striped.leftovers.is_empty(), "{name}: {:?}", striped.leftovers);
    let stored = daemon.devgcs.object(BUCKET, name).expect("the object is there");
    assert_eq!(stored.generation, striped.object.generation, "{name}");
    assert_eq!(stored.crc32c, Crc32c::of(bytes).0, "{name}");
    assert_eq!(stored.resource["componentCount"], parts, "{name}");
    async move {
        assert!(daemon.object(name).await == bytes[..], "{name}: other bytes");
        assert_eq!(names(daemon).await, [name]);
    }
}

/// Only these objects are there, and no upload is open.
pub(crate) async fn clean(daemon: &Daemon, objects: &[&str]) {
    assert_eq!(names(daemon).await, objects);
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

/// Keeps checkpoints, and after so many of them holds the upload up for good, as if its process had been killed there.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    last: Arc<Mutex<Option<StripedCheckpoint>>>,
    until: usize,
    seen: usize,
    held: Arc<tokio::sync::Notify>,
}

impl MemoryStore {
    /// All of them.
    pub(crate) fn all() -> Self {
        Self::until(usize::MAX)
    }

    /// Only the first `until`.
    pub(crate) fn until(until: usize) -> Self {
        Self {
            last: Arc::default(),
            until,
            seen: 0,
            held: Arc::default(),
        }
    }

    /// The last, as another process reads it.
    pub(crate) fn last(&self) -> Option<StripedCheckpoint> {
        let last = self.last.lock().expect("not poisoned").clone()?;
        let text = serde_json::to_vec(&last).expect("JSON");
        Some(serde_json::from_slice(&text).expect("the same"))
    }

    /// Resolves when the upload is held up.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }
}

impl CheckpointStore for MemoryStore {
    async fn save(&mut self, checkpoint: &StripedCheckpoint) -> io::Result<()> {
        self.seen += 1;
        *self.last.lock().expect("not poisoned") = Some(checkpoint.clone());
        if self.seen >= self.until {
            self.held.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
