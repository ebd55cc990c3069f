//! A file that takes the bytes of an upload.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::directory::{BlobId, Directory, private_file, sync_folder};

/// The file of an upload in progress. Dropping it removes the file, unless it was kept.
#[derive(Debug)]
pub(crate) struct FileWriter {
    directory: Arc<Directory>,
    id: BlobId,
    file: File,
    kept: bool,
}

impl FileWriter {
    /// A new, empty blob.
    pub(crate) fn create(directory: &Arc<Directory>) -> io::Result<Self> {
        let id = BlobId::new()?;
        let file = private_file().create_new(true).open(directory.blob_path(&id))?;
        Ok(Self {
            directory: Arc::clone(directory),
            id,
            file,
            kept: false,
        })
    }

    /// A new blob with the bytes of `blobs`, one after the other, synced to the disk.
    pub(crate) fn join<'a>(
        directory: &Arc<Directory>,
        blobs: impl Iterator<Item = &'a BlobId>,
    ) -> io::Result<BlobId> {
        let mut writer = Self::create(directory)?;
        let mut len = 0;
        for blob in blobs {
            len += io::copy(&mut directory.open_blob(blob)?, &mut &writer.file)?;
        }
        writer.seal(len)?;
        writer.set_kept(true);
        Ok(writer.id.clone())
    }

    /// Continues after the first `len` bytes of a blob, which are passed to `seen` in order.
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
            kept: true,
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

    /// Truncates the blob to `len` and syncs it to the disk.
    pub(crate) fn seal(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()?;
        sync_folder(&self.directory.blob_path(&self.id))
    }

    /// Whether the blob stays when this is dropped.
    pub(crate) fn set_kept(&mut self, kept: bool) {
        self.kept = kept;
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.kept {
            self.directory.remove_blob(&self.id);
        }
    }
}
