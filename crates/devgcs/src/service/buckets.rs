//! Buckets come and go.

use std::sync::Arc;

use http::StatusCode;

use super::Service;
use crate::error::Error;
use crate::lock::locked;
use crate::names;
use crate::resource::BucketRecord;

impl Service {
    /// Creates a bucket. May block.
    pub(crate) fn insert_bucket(&self, record: BucketRecord) -> Result<BucketRecord, Error> {
        names::bucket(&record.name)?;
        let _turn = self.turn();
        if self.bucket(&record.name).is_ok() {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ));
        }
        if let Some(directory) = self.store.directory() {
            directory.save_bucket(&record.name, &record)?;
        }
        locked(&self.index).insert_bucket(record.clone());
        Ok(record)
    }

    /// A bucket's record.
    pub(crate) fn bucket(&self, name: &str) -> Result<BucketRecord, Error> {
        Ok(locked(&self.index).bucket(name)?.record.clone())
    }

    /// The buckets in the order of their names.
    pub(crate) fn buckets(&self) -> Vec<BucketRecord> {
        let index = locked(&self.index);
        index.buckets().map(|bucket| bucket.record.clone()).collect()
    }

    /// Changes what a bucket has beside its own settings, such as folders: its metageneration stays.
    pub(crate) async fn change_below_bucket<T: Send + 'static>(
        self: &Arc<Self>,
        name: String,
        change: impl FnOnce(&mut BucketRecord) -> Result<T, Error> + Send + 'static,
    ) -> Result<(BucketRecord, T), Error> {
        let shared = Arc::clone(self);
        self.store.run(move || shared.save_changed(&name, change)).await
    }

    /// Changes a bucket's settings.
    pub(crate) async fn change_bucket<T: Send + 'static>(
        self: &Arc<Self>,
        name: String,
        change: impl FnOnce(&mut BucketRecord) -> Result<T, Error> + Send + 'static,
    ) -> Result<(BucketRecord, T), Error> {
        let shared = Arc::clone(self);
        let now = self.now();
        let change = move |record: &mut BucketRecord| {
            let made = change(record)?;
            record.metageneration += 1;
            record.updated = now;
            Ok(made)
        };
        self.store.run(move || shared.save_changed(&name, change)).await
    }

    fn save_changed<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut BucketRecord) -> Result<T, Error>,
    ) -> Result<(BucketRecord, T), Error> {
        let _turn = self.turn();
        let mut record = self.bucket(name)?;
        let made = change(&mut record)?;
        if let Some(directory) = self.store.directory() {
            directory.save_bucket(name, &record)?;
        }
        locked(&self.index).bucket_mut(name)?.record = record.clone();
        Ok((record, made))
    }

    /// Removes an empty bucket, if `allowed` says so. May block.
    pub(crate) fn delete_bucket(
        &self,
        name: &str,
        allowed: impl FnOnce(&BucketRecord) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _turn = self.turn();
        allowed(&self.bucket(name)?)?;
        let mut soft_deleted = Vec::new();
        let is_empty = {
            let index = locked(&self.index);
            let objects = index.bucket(name)?.objects.values();
            soft_deleted.extend(objects.clone().flat_map(|versions| versions.soft_deleted.clone()));
            objects.clone().all(|versions| versions.all().next().is_none())
        };
        if !is_empty {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "notEmpty",
                "The bucket you tried to delete is not empty.",
            ));
        }
        if let Some(directory) = self.store.directory() {
            directory.remove_bucket(name)?;
        }
        locked(&self.index).remove_bucket(name);
        for object in soft_deleted {
            self.store.remove(&object.content);
        }
        Ok(())
    }

    /// Checks that the bucket of a write exists; creates it if the server is set up to
    /// do so.
    pub(crate) async fn want_bucket(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        if self.create_missing_buckets && self.bucket(name).is_err() {
            let (shared, record) = (Arc::clone(self), BucketRecord::new(name.to_owned(), self.now()));
            match self.store.run(move || shared.insert_bucket(record)).await {
                Err(error) if error.status() != StatusCode::CONFLICT => return Err(error),
                _ => {}
            }
        }
        self.bucket(name).map(drop)
    }
}
