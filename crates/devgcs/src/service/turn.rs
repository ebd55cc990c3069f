//! The turn in which an object appears, changes or goes: one at a time, first on the disk, then in memory.

use std::sync::{Arc, MutexGuard};

use http::StatusCode;

use super::Service;
use crate::error::Error;
use crate::lock::locked;
use crate::metadata::Metadata;
use crate::preconditions;
use crate::resource::{Draft, Object, Versions};
use crate::time::Time;
use gcsd_types::Preconditions;

/// The exclusive right to change objects.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    service: &'a Service,
    _guard: MutexGuard<'a, ()>,
}

impl Service {
    /// The turn to change something. May block.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            service: self,
            _guard: locked(&self.turn),
        }
    }

    /// Does `work` in a turn, where blocking is allowed.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Turn<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(self);
        self.store.run(move || work(&shared.turn())).await
    }
}

impl<'a> Turn<'a> {
    /// The server's state.
    pub(crate) fn service(&self) -> &'a Service {
        self.service
    }

    /// Makes an object visible atomically, if `conditions` hold.
    ///
    /// If it is refused, the caller removes the draft's content.
    pub(crate) fn publish(&self, draft: &Draft, conditions: &Preconditions) -> Result<Arc<Object>, Error> {
        let mut versions = self.versions(&draft.bucket, &draft.name)?;
        preconditions::check(conditions, versions.live.as_deref())?;
        let now = Time::now();
        let object = Arc::new(Object {
            bucket: draft.bucket.clone(),
            name: draft.name.clone(),
            generation: locked(&self.service.index).next_generation(),
            metageneration: 1,
            size: draft.digests.size,
            crc32c: draft.digests.crc32c.0,
            md5: draft.digests.md5,
            component_count: draft.component_count,
            created: now,
            updated: now,
            deleted: None,
            metadata: draft.metadata.clone(),
            key_sha256: draft.key_sha256.clone(),
            content: draft.content.clone(),
        });
        let removed = self.retire(&mut versions, now)?;
        versions.live = Some(Arc::clone(&object));
        self.save(&object.bucket, &object.name, versions)?;
        self.remove(removed);
        Ok(object)
    }

    /// Changes the metadata of one generation, if `conditions` hold of it.
    pub(crate) fn update(
        &self,
        bucket: &str,
        name: &str,
        generation: Option<u64>,
        conditions: &Preconditions,
        change: impl FnOnce(&mut Metadata) -> Result<(), Error>,
    ) -> Result<Arc<Object>, Error> {
        let old = self.service.find(bucket, name, generation)?;
        preconditions::check(conditions, Some(&old))?;
        let mut changed = Object::clone(&old);
        change(&mut changed.metadata)?;
        changed.metageneration += 1;
        changed.updated = Time::now();
        let changed = Arc::new(changed);
        let mut versions = self.versions(bucket, name)?;
        for version in versions.noncurrent.iter_mut().chain(&mut versions.live) {
            if version.generation == changed.generation {
                *version = Arc::clone(&changed);
            }
        }
        self.save(bucket, name, versions)?;
        Ok(changed)
    }

    /// Deletes an object, if `conditions` hold: a named generation for good, otherwise the live one,
    /// which a bucket with versioning keeps as noncurrent.
    pub(crate) fn delete(
        &self,
        bucket: &str,
        name: &str,
        generation: Option<u64>,
        conditions: &Preconditions,
    ) -> Result<(), Error> {
        let found = self.service.find(bucket, name, generation)?;
        preconditions::check(conditions, Some(&found))?;
        let mut versions = self.versions(bucket, name)?;
        let removed = if generation.is_some() {
            held(&found)?;
            versions
                .noncurrent
                .retain(|version| version.generation != found.generation);
            versions.live = versions.live.filter(|live| live.generation != found.generation);
            Some(found)
        } else {
            self.retire(&mut versions, Time::now())?
        };
        self.save(bucket, name, versions)?;
        self.remove(removed);
        Ok(())
    }

    /// Retires the live generation; returns it if its bytes have to be removed.
    fn retire(&self, versions: &mut Versions, now: Time) -> Result<Option<Arc<Object>>, Error> {
        let Some(live) = versions.live.take() else {
            return Ok(None);
        };
        held(&live)?;
        if !self.service.bucket(&live.bucket)?.versioning {
            return Ok(Some(live));
        }
        versions.noncurrent.push(Arc::new(Object {
            deleted: Some(now),
            ..Object::clone(&live)
        }));
        Ok(None)
    }

    fn versions(&self, bucket: &str, name: &str) -> Result<Versions, Error> {
        let index = locked(&self.service.index);
        Ok(index
            .bucket(bucket)?
            .objects
            .get(name)
            .cloned()
            .unwrap_or_default())
    }

    fn save(&self, bucket: &str, name: &str, versions: Versions) -> Result<(), Error> {
        if let Some(directory) = self.service.store.directory() {
            if versions.is_empty() {
                directory.remove_object(bucket, name)?;
            } else {
                directory.save_object(bucket, name, &versions)?;
            }
        }
        locked(&self.service.index).set_object(bucket, name, versions);
        Ok(())
    }

    fn remove(&self, removed: Option<Arc<Object>>) {
        if let Some(object) = removed {
            self.service.store.remove(&object.content);
        }
    }
}

/// Refuses to change an object that is under a hold.
pub(crate) fn held(object: &Object) -> Result<(), Error> {
    let kind = if object.metadata.temporary_hold == Some(true) {
        "Temporary"
    } else if object.metadata.event_based_hold == Some(true) {
        "Event-Based"
    } else {
        return Ok(());
    };
    Err(Error::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!(
            "Object '{}/{}' is under active {kind} hold and cannot be deleted, overwritten or archived until hold is removed.",
            object.bucket, object.name
        ),
    ))
}
