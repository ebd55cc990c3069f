//! Multipart uploads: started, given parts, made into an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;

use super::Service;
use crate::error::Error;
use crate::lock::locked;
use crate::metadata::Expected;
use crate::multipart_upload::{MultipartRecord, MultipartUpload, Part, no_upload};
use crate::random;
use crate::resource::{Draft, Object};
use crate::storage::{Content, Digests};
use gcsd_types::{Crc32c, MAX_OBJECT_SIZE, Preconditions};

/// The smallest part, except for the last.
const MIN_PART: u64 = 5 << 20;

/// The largest part.
const MAX_PART: u64 = 5 << 30;

/// The most multipart uploads at the same time.
const MAX_UPLOADS: usize = 100_000;

impl Service {
    /// Starts a multipart upload. May block.
    pub(crate) fn start_multipart(&self, record: MultipartRecord) -> Result<Arc<MultipartUpload>, Error> {
        self.bucket(&record.bucket)?;
        let upload = Arc::new(MultipartUpload::new(random::hex_id()?, record, BTreeMap::new()));
        if let Some(directory) = self.store.directory() {
            directory.save_multipart(&upload.id, &upload.record)?;
        }
        let mut index = locked(&self.index);
        if index.multiparts.len() >= MAX_UPLOADS {
            return Err(Error::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rateLimitExceeded",
                "There are too many multipart uploads.",
            ));
        }
        index.multiparts.insert(upload.id.clone(), Arc::clone(&upload));
        Ok(upload)
    }

    /// The upload `id` of that object.
    pub(crate) fn multipart(
        &self,
        id: &str,
        bucket: &str,
        name: &str,
    ) -> Result<Arc<MultipartUpload>, Error> {
        let upload = locked(&self.index).multiparts.get(id).cloned();
        upload
            .filter(|upload| upload.record.bucket == bucket && upload.record.name == name)
            .ok_or_else(no_upload)
    }

    /// The uploads to a bucket, by name and then by age.
    pub(crate) fn multiparts(&self, bucket: &str) -> Result<Vec<Arc<MultipartUpload>>, Error> {
        let index = locked(&self.index);
        index.bucket(bucket)?;
        let mut uploads: Vec<_> = index
            .multiparts
            .values()
            .filter(|upload| upload.record.bucket == bucket)
            .cloned()
            .collect();
        uploads.sort_by(|a, b| {
            (&a.record.name, a.record.created, &a.id).cmp(&(&b.record.name, b.record.created, &b.id))
        });
        Ok(uploads)
    }

    /// Stores a part, replacing an earlier one of the same number. May block.
    pub(crate) fn store_part(
        &self,
        upload: &MultipartUpload,
        number: u32,
        content: Content,
        digests: Digests,
    ) -> Result<Part, Error> {
        if digests.size > MAX_PART {
            return Err(Error::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "uploadTooLarge",
                "A part has at most 5 GiB.",
            ));
        }
        let part = Part {
            size: digests.size,
            crc32c: digests.crc32c.0,
            md5: digests.md5,
            updated: self.now(),
            content,
        };
        let mut parts = locked(&upload.parts);
        let parts = parts.as_mut().ok_or_else(no_upload)?;
        if let Some(directory) = self.store.directory() {
            directory.save_part(&upload.id, number, &part)?;
        }
        if let Some(old) = parts.insert(number, part.clone()) {
            self.store.remove(&old.content);
        }
        Ok(part)
    }

    /// Makes an object of the parts that are `listed`, each with its entity tag. May block.
    pub(crate) fn complete_multipart(
        &self,
        upload: &MultipartUpload,
        listed: &[(u32, String)],
        expected: &Expected,
    ) -> Result<Arc<Object>, Error> {
        let mut guard = locked(&upload.parts);
        let parts = guard.as_ref().ok_or_else(no_upload)?;
        if listed.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(refused(
                "partOrder",
                "The parts are not listed in ascending order.",
            ));
        }
        let mut chosen = Vec::new();
        let (mut size, mut crc32c) = (0, Crc32c::default());
        for (position, (number, etag)) in listed.iter().enumerate() {
            let part = parts
                .get(number)
                .filter(|part| part.etag().trim_matches('"') == etag.trim_matches('"'));
            let part = part.ok_or_else(|| refused("invalidPart", format!("Part {number} is not there.")))?;
            if part.size < MIN_PART && position + 1 < listed.len() {
                return Err(refused(
                    "partSize",
                    format!("Part {number} has less than 5 MiB and is not the last."),
                ));
            }
            let combined = crc32c.combine(Crc32c(part.crc32c), part.size);
            size += part.size;
            crc32c = combined
                .filter(|_| size <= MAX_OBJECT_SIZE)
                .ok_or_else(|| Error::invalid("Too large."))?;
            chosen.push(part);
        }
        if chosen.is_empty() {
            return Err(refused("invalidPart", "No part is listed."));
        }
        expected.check(crc32c, None)?;
        let content = self.store.join(chosen.iter().map(|part| &part.content))?;
        let draft = Draft {
            bucket: upload.record.bucket.clone(),
            name: upload.record.name.clone(),
            metadata: upload.record.metadata.clone(),
            digests: Digests {
                size,
                crc32c,
                md5: None,
            },
            component_count: u32::try_from(chosen.len()).ok(),
            key_sha256: upload.record.key_sha256.clone(),
            acl: upload.record.acl.clone(),
            content,
        };
        let published = self.turn().publish(&draft, &Preconditions::default());
        let object = published.inspect_err(|_| self.store.remove(&draft.content))?;
        self.end_multipart(upload, guard.take());
        Ok(object)
    }

    /// Aborts an upload. May block.
    pub(crate) fn abort_multipart(&self, upload: &MultipartUpload) -> Result<(), Error> {
        let parts = locked(&upload.parts).take().ok_or_else(no_upload)?;
        self.end_multipart(upload, Some(parts));
        Ok(())
    }

    fn end_multipart(&self, upload: &MultipartUpload, parts: Option<BTreeMap<u32, Part>>) {
        locked(&self.index).multiparts.remove(&upload.id);
        if let Some(directory) = self.store.directory() {
            directory.remove_multipart(&upload.id);
        }
        for part in parts.unwrap_or_default().values() {
            self.store.remove(&part.content);
        }
    }
}

fn refused(reason: &'static str, message: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_REQUEST, reason, message)
}
