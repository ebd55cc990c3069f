//! A file that appears under its name whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// How many names are tried for the temporary file.
const NAMES: u32 = 1000;

/// Who may read a file that others made no rule for: whoever the umask lets.
pub(super) const USUAL: u32 = 0o666;

/// A file that only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;

/// A file beside its target, under a name that nobody looks for. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    /// What has the target's name already keeps it.
    pub(super) yields: bool,
    kept: bool,
}

impl Temporary {
    /// Creates an empty file with permissions `mode`, which the umask may take from.
    pub(super) fn create(target: PathBuf, mode: u32) -> io::Result<Self> {
        let name = target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // A name may have 255 bytes, and it needs some more.
        let name: String = name.chars().take(50).collect();
        let mut last = io::ErrorKind::AlreadyExists.into();
        for attempt in 0..NAMES {
            let id = std::process::id();
            let path = target.with_file_name(format!(".{name}.{id}.{attempt}.gcsd"));
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(mode).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        path,
                        target,
                        yields: false,
                        kept: false,
                    });
                }
                Err(error) => last = error,
            }
            if last.kind() != io::ErrorKind::AlreadyExists {
                break;
            }
        }
        Err(last)
    }

    /// Gives it its name, in place of what had it, unless it yields to that.
    pub(super) fn rename(mut self) -> io::Result<()> {
        // Without it, a crash of the machine could leave the final name with other bytes than these.
        self.file.sync_data()?;
        if self.yields {
            // A second name, which fails where there is one; the first goes when this is dropped.
            return fs::hard_link(&self.path, &self.target);
        }
        fs::rename(&self.path, &self.target)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is left; its name says that it is nobody's file.
            let _left = fs::remove_file(&self.path);
        }
    }
}
