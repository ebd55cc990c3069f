//! A directory that outlives the process.
//!
//! ```text
//! DIR/lock                              held while a server uses the directory
//! DIR/blobs/ID                          the bytes of an object, or of an unfinished upload
//! DIR/buckets/BUCKET/bucket.json        a bucket
//! DIR/buckets/BUCKET/objects/HASH.json  all generations of one object; HASH is SHA-256 of its name
//! DIR/sessions/KEY.json                 a resumable session; KEY is derived from its id one way
//! ```
//!
//! A record is written beside its place, synced, and renamed into it. An object exists from the moment
//! its record names the blob: that rename is what makes it appear whole or not at all. A blob that no
//! record names is removed at the next start.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::devgcs::random;

/// The largest record that is read at the start.
const MAX_RECORD: u64 = 64 * 1024 * 1024;

/// The name of a file of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BlobId(String);

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
        for folder in ["blobs", "buckets", "sessions"] {
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

    fn blob_path(&self, blob: &BlobId) -> PathBuf {
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

    /// Opens a blob to read it; it can be read to its end even if it is removed meanwhile.
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

    /// Writes the record of a session.
    pub(crate) fn save_session(&self, key: &str, record: &impl Serialize) -> io::Result<()> {
        save(&self.session_path(key), record)
    }

    /// Removes the record of a session, if it is there.
    pub(crate) fn remove_session(&self, key: &str) {
        ignore_missing(fs::remove_file(self.session_path(key)));
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

/// The file of an upload under way.
#[derive(Debug)]
pub(crate) struct FileWriter {
    directory: Arc<Directory>,
    id: BlobId,
    file: File,
}

impl FileWriter {
    /// A new, empty blob.
    pub(crate) fn create(directory: &Arc<Directory>) -> io::Result<Self> {
        let id = BlobId(random::hex_id()?);
        let file = private_file().create_new(true).open(directory.blob_path(&id))?;
        Ok(Self {
            directory: Arc::clone(directory),
            id,
            file,
        })
    }

    /// Goes on with the first `len` bytes of a blob, which are shown to `seen` in order.
    pub(crate) fn reopen(
        directory: &Arc<Directory>,
        id: BlobId,
        len: u64,
        mut seen: impl FnMut(&[u8]),
    ) -> io::Result<Self> {
        let file = private_file()
            .create(true)
            .truncate(false)
            .open(directory.blob_path(&id))?;
        let mut buffer = vec![0; 256 * 1024];
        let mut rest = (&file).take(len);
        let mut total = 0;
        loop {
            let read = rest.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            total += read as u64;
            seen(&buffer[..read]);
        }
        if total != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self {
            directory: Arc::clone(directory),
            id,
            file,
        })
    }

    /// The blob's name.
    pub(crate) fn id(&self) -> &BlobId {
        &self.id
    }

    /// Writes `pieces` one after the other from `offset` on.
    pub(crate) fn write_at(&self, mut offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all_at(piece, offset)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Cuts the blob to `len` and brings it to the disk.
    pub(crate) fn seal(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()?;
        sync_folder(&self.directory.blob_path(&self.id))
    }

    /// Removes the blob.
    pub(crate) fn remove(self) {
        self.directory.remove_blob(&self.id);
    }
}

/// Options for a file that nobody else may read: bodies and sessions are private.
fn private_file() -> OpenOptions {
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

/// Brings the folder of `path` to the disk, so that a rename or a new name in it lasts.
fn sync_folder(path: &Path) -> io::Result<()> {
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
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            records.push((stem.to_owned(), load(&path)?));
        }
    }
    Ok(records)
}

fn ignore_missing(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "devgcs: a file could not be removed");
    }
}
