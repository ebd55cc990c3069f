//! A directory that outlives the process.
//!
//! ```text
//! DIR/lock                              held while a server uses the directory
//! DIR/blobs/ID                          the bytes of an object, or of an unfinished upload
//! DIR/buckets/BUCKET/bucket.json        a bucket
//! DIR/buckets/BUCKET/objects/HASH.json  all generations of one object; HASH is SHA-256 of its name
//! DIR/sessions/KEY.json                 a resumable session; KEY is derived from its id one way
//! DIR/multiparts/ID/upload.json         a multipart upload, and
//! DIR/multiparts/ID/N.json              its part N
//! ```
//!
//! A record is written beside its place, synced, and renamed into it. An object exists from the moment
//! its record names the blob: that rename is what makes it appear whole or not at all. A blob that no
//! record names is removed at the next start.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::random;

/// The largest record that is read at the start.
const MAX_RECORD: u64 = 64 * 1024 * 1024;

/// The name of a file of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BlobId(String);

impl BlobId {
    pub(super) fn new() -> io::Result<Self> {
        random::hex_id().map(Self)
    }
}

/// A multipart upload: its id, its record, the records of its parts.
pub(crate) type LoadedMultipart<R, P> = (String, R, BTreeMap<u32, P>);

/// The directory of a running server.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Locked for as long as it is open, so that two servers cannot share the directory.
    _lock: File,
}

impl Directory {
    /// Makes or opens the directory at `root`.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["blobs", "buckets", "sessions", "multiparts"] {
            make_private(&root.join(folder))?;
        }
        let lock = private_file()
            .create(true)
            .truncate(false)
            .open(root.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("{} is in use by another server", root.display()),
            ),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn blob_path(&self, blob: &BlobId) -> PathBuf {
        self.root.join("blobs").join(&blob.0)
    }

    fn bucket_path(&self, bucket: &str) -> PathBuf {
        self.root.join("buckets").join(bucket)
    }

    fn object_path(&self, bucket: &str, name: &str) -> PathBuf {
        let file = format!("{}.json", random::hash_hex(name.as_bytes()));
        self.bucket_path(bucket).join("objects").join(file)
    }

    fn session_path(&self, key: &str) -> PathBuf {
        self.root.join("sessions").join(format!("{key}.json"))
    }

    /// Opens a blob, which can then be read to its end even if it is removed meanwhile.
    pub(crate) fn open_blob(&self, blob: &BlobId) -> io::Result<File> {
        File::open(self.blob_path(blob))
    }

    /// Bytes in a blob; 0 if there is none.
    pub(crate) fn blob_len(&self, blob: &BlobId) -> u64 {
        fs::metadata(self.blob_path(blob)).map_or(0, |metadata| metadata.len())
    }

    /// Removes a blob, if it is there.
    pub(crate) fn remove_blob(&self, blob: &BlobId) {
        ignore_missing(fs::remove_file(self.blob_path(blob)));
    }

    /// A second, independent name for a blob's bytes.
    pub(crate) fn link_blob(&self, blob: &BlobId) -> io::Result<BlobId> {
        let copy = BlobId::new()?;
        fs::hard_link(self.blob_path(blob), self.blob_path(&copy))?;
        Ok(copy)
    }

    /// Removes every blob that is not in `named`: what a crash left behind.
    pub(crate) fn sweep_blobs(&self, named: &HashSet<BlobId>) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join("blobs"))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            let blob = BlobId(name);
            if !named.contains(&blob) {
                self.remove_blob(&blob);
            }
        }
        Ok(())
    }

    /// Writes a bucket's record.
    pub(crate) fn save_bucket(&self, bucket: &str, record: &impl Serialize) -> io::Result<()> {
        let folder = self.bucket_path(bucket);
        make_private(&folder.join("objects"))?;
        save(&folder.join("bucket.json"), record)
    }

    /// Removes a bucket with everything in it.
    pub(crate) fn remove_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::remove_dir_all(self.bucket_path(bucket))
    }

    /// Writes the record of one object's generations.
    pub(crate) fn save_object(&self, bucket: &str, name: &str, record: &impl Serialize) -> io::Result<()> {
        save(&self.object_path(bucket, name), record)
    }

    /// Removes the record of an object.
    pub(crate) fn remove_object(&self, bucket: &str, name: &str) -> io::Result<()> {
        let path = self.object_path(bucket, name);
        ignore_missing(fs::remove_file(&path));
        sync_folder(&path)
    }

    /// Writes the record of a session.
    pub(crate) fn save_session(&self, key: &str, record: &impl Serialize) -> io::Result<()> {
        save(&self.session_path(key), record)
    }

    /// Removes the record of a session, if it is there.
    pub(crate) fn remove_session(&self, key: &str) {
        ignore_missing(fs::remove_file(self.session_path(key)));
    }

    fn multipart_path(&self, id: &str) -> PathBuf {
        self.root.join("multiparts").join(id)
    }

    /// Writes the record of a multipart upload.
    pub(crate) fn save_multipart(&self, id: &str, record: &impl Serialize) -> io::Result<()> {
        let folder = self.multipart_path(id);
        make_private(&folder)?;
        save(&folder.join("upload.json"), record)
    }

    /// Writes the record of a part.
    pub(crate) fn save_part(&self, id: &str, number: u32, record: &impl Serialize) -> io::Result<()> {
        save(&self.multipart_path(id).join(format!("{number}.json")), record)
    }

    /// Removes the records of a multipart upload.
    pub(crate) fn remove_multipart(&self, id: &str) {
        // Without this record the rest is ignored, should the process end here.
        ignore_missing(fs::remove_file(self.multipart_path(id).join("upload.json")));
        ignore_missing(fs::remove_dir_all(self.multipart_path(id)));
    }

    /// The multipart uploads: id, record, and the records of the parts.
    pub(crate) fn load_multiparts<R: DeserializeOwned, P: DeserializeOwned>(
        &self,
    ) -> io::Result<Vec<LoadedMultipart<R, P>>> {
        let mut uploads = Vec::new();
        for entry in fs::read_dir(self.root.join("multiparts"))? {
            let folder = entry?.path();
            let record = folder.join("upload.json");
            let Some(id) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !record.exists() {
                // It was being started or removed when the process ended.
                self.remove_multipart(id);
                continue;
            }
            let mut parts = BTreeMap::new();
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
                if let (Some(number), true) = (number, has_extension(&path, "json")) {
                    parts.insert(number, load(&path)?);
                }
            }
            uploads.push((id.to_owned(), load(&record)?, parts));
        }
        Ok(uploads)
    }

    /// The buckets: name and record.
    pub(crate) fn load_buckets<R: DeserializeOwned>(&self) -> io::Result<Vec<(String, R)>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(self.root.join("buckets"))? {
            let entry = entry?;
            let record = entry.path().join("bucket.json");
            if let (Ok(name), true) = (entry.file_name().into_string(), record.exists()) {
                buckets.push((name, load(&record)?));
            }
        }
        Ok(buckets)
    }

    /// The records of a bucket's objects.
    pub(crate) fn load_objects<R: DeserializeOwned>(&self, bucket: &str) -> io::Result<Vec<R>> {
        let records = load_folder(&self.bucket_path(bucket).join("objects"))?;
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    /// The sessions: key and record.
    pub(crate) fn load_sessions<R: DeserializeOwned>(&self) -> io::Result<Vec<(String, R)>> {
        load_folder(&self.root.join("sessions"))
    }
}

/// Options for a file that nobody else may read: bodies and sessions are private.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn save(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private_file().create(true).truncate(true).open(&beside)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Syncs the folder of `path` to the disk, so that a rename or a new name in it lasts.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn load<R: DeserializeOwned>(path: &Path) -> io::Result<R> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_RECORD).read_to_end(&mut text)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

fn load_folder<R: DeserializeOwned>(folder: &Path) -> io::Result<Vec<(String, R)>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if has_extension(&path, "json")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            records.push((stem.to_owned(), load(&path)?));
        }
    }
    Ok(records)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

fn ignore_missing(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "devgcs: a file could not be removed");
    }
}
