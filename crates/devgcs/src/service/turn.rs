//! The turn in which an object appears, changes or goes: one at a time, first on the disk, then in memory.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use http::StatusCode;

use super::Service;
use crate::acl;
use crate::error::Error;
use crate::lock::locked;
use crate::preconditions;
use crate::resource::{BucketRecord, Draft, Object, Versions};
use crate::retention;
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
        let now = self.service.now();
        let bucket = self.service.bucket(&draft.bucket)?;
        let mut metadata = draft.metadata.clone();
        if bucket.holds_new_objects() && metadata.event_based_hold.is_none() {
            metadata.event_based_hold = Some(true);
        }
        retention::admit(&bucket, &metadata, now)?;
        let object = Arc::new(Object {
            bucket: draft.bucket.clone(),
            name: draft.name.clone(),
            generation: locked(&self.service.index).next_generation(now),
            metageneration: 1,
            size: draft.digests.size,
            crc32c: draft.digests.crc32c.0,
            md5: draft.digests.md5,
            component_count: draft.component_count,
            created: now,
            updated: now,
            deleted: None,
            metadata,
            key_sha256: draft.key_sha256.clone(),
            acl: acl::of_new(&bucket, draft.acl.as_ref())?,
            soft_deleted: None,
            content: draft.content.clone(),
        });
        self.retire(&mut versions, &bucket, now)?;
        versions.live = Some(Arc::clone(&object));
        self.save(&object.bucket, &object.name, versions)?;
        Ok(object)
    }

    /// Changes the metadata of one generation, if `conditions` hold of it.
    pub(crate) fn update(
        &self,
        bucket: &str,
        name: &str,
        generation: Option<u64>,
        conditions: &Preconditions,
        change: impl FnOnce(&mut Object) -> Result<(), Error>,
    ) -> Result<Arc<Object>, Error> {
        let old = self.service.find(bucket, name, generation)?;
        preconditions::check(conditions, Some(&old))?;
        let mut changed = Object::clone(&old);
        change(&mut changed)?;
        changed.metageneration += 1;
        changed.updated = self.service.now();
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
        let (record, now) = (self.service.bucket(bucket)?, self.service.now());
        if generation.is_some() {
            self.protect(&record, &found, now)?;
            versions
                .noncurrent
                .retain(|version| version.generation != found.generation);
            versions.live = versions.live.filter(|live| live.generation != found.generation);
            soften(&mut versions, &record, &found, now);
        } else {
            self.retire(&mut versions, &record, now)?;
        }
        self.save(bucket, name, versions)
    }

    /// Makes a soft-deleted generation live again, as a new generation, if `conditions` hold of the live one.
    pub(crate) fn restore(
        &self,
        bucket: &str,
        name: &str,
        generation: u64,
        conditions: &Preconditions,
        keeps_acl: bool,
    ) -> Result<Arc<Object>, Error> {
        let found = self.service.find_soft_deleted(bucket, name, generation)?;
        let draft = Draft {
            acl: found.acl.clone().filter(|_| keeps_acl),
            ..Draft::copy_of(&found, self.service.store.duplicate(&found.content)?)
        };
        self.publish(&draft, conditions)
            .inspect_err(|_| self.service.store.remove(&draft.content))
    }

    /// Refuses to remove or replace what must be kept.
    pub(crate) fn protect(&self, record: &BucketRecord, object: &Object, now: Time) -> Result<(), Error> {
        held(object)?;
        match self.service.like_testbench {
            true => Ok(()),
            false => retention::refuse(record, object, now),
        }
    }

    /// Takes the live generation out of the way.
    fn retire(&self, versions: &mut Versions, record: &BucketRecord, now: Time) -> Result<(), Error> {
        let Some(live) = versions.live.take() else {
            return Ok(());
        };
        if record.versioning {
            held(&live)?;
            versions.noncurrent.push(Arc::new(Object {
                deleted: Some(now),
                ..Object::clone(&live)
            }));
        } else {
            self.protect(record, &live, now)?;
            soften(versions, record, &live, now);
        }
        Ok(())
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

    /// Records the generations that are left, and removes the bytes of those that are gone.
    fn save(&self, bucket: &str, name: &str, mut versions: Versions) -> Result<(), Error> {
        let now = self.service.now();
        versions.soft_deleted.retain(|object| !object.is_gone(now));
        let old = self.versions(bucket, name)?;
        let kept: HashSet<u64> = versions.kept().map(|object| object.generation).collect();
        if let Some(directory) = self.service.store.directory() {
            if versions.is_empty() {
                directory.remove_object(bucket, name)?;
            } else {
                directory.save_object(bucket, name, &versions)?;
            }
        }
        locked(&self.service.index).set_object(bucket, name, versions);
        for object in old.kept().filter(|object| !kept.contains(&object.generation)) {
            self.service.store.remove(&object.content);
        }
        Ok(())
    }
}

/// Keeps a generation that is deleted for a while, if the bucket says so.
fn soften(versions: &mut Versions, record: &BucketRecord, object: &Object, now: Time) {
    if let Some(duration) = record.soft_delete() {
        versions.soft_deleted.push(Arc::new(Object {
            soft_deleted: Some((now, now.plus(duration))),
            ..Object::clone(object)
        }));
    }
}

/// Refuses to change an object that is under a hold.
fn held(object: &Object) -> Result<(), Error> {
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
