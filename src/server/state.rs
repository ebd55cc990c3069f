//! What a daemon keeps on disk: the key of its upload tokens.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ops::{Sealer, TokenKeyError};

/// Why the key of the upload tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not a key file.
    #[error("{path}: {error}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TokenKeyError,
    },
}

/// Reads the keys of upload tokens from a file.
pub fn load_token_key(path: &Path) -> Result<Sealer, StateError> {
    let text = fs::read_to_string(path).map_err(|error| io_error(path, error))?;
    Sealer::from_text(&text).map_err(|error| StateError::Key {
        path: path.to_owned(),
        error,
    })
}

/// Reads the key of upload tokens from the state directory, where it is made at the first start.
///
/// The file is readable by its owner alone. Daemons that start at the same moment end up with the same key:
/// it appears whole or not at all, and nothing replaces it.
pub fn load_or_create_token_key(state_dir: &Path) -> Result<Sealer, StateError> {
    let path = state_dir.join("token.key");
    match load_token_key(&path) {
        Err(StateError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    fs::create_dir_all(state_dir).map_err(|error| io_error(state_dir, error))?;
    let text = Sealer::generate_text().map_err(|error| StateError::Key {
        path: path.clone(),
        error,
    })?;
    let temporary = temporary(state_dir).map_err(|error| io_error(state_dir, error))?;
    let written = write_private(&temporary, &text).and_then(|()| match fs::hard_link(&temporary, &path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // Whether or not it was linked, the temporary name has served.
    let _ = fs::remove_file(&temporary);
    written.map_err(|error| io_error(&path, error))?;
    load_token_key(&path)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name that no other daemon has: process ids are all the same where each is the first in its container.
fn temporary(state_dir: &Path) -> io::Result<PathBuf> {
    let mut number = [0; 8];
    aws_lc_rs::rand::fill(&mut number).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(state_dir.join(format!("token.key.{:016x}", u64::from_ne_bytes(number))))
}

fn io_error(path: &Path, error: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn daemons_that_start_at_once_end_up_with_one_key() {
        // In one process, as daemons in containers of their own: their ids are the same.
        for _ in 0..20 {
            let dir = tempfile::tempdir().expect("a directory");
            let state_dir = dir.path().join("state");
            let begin = Barrier::new(8);
            std::thread::scope(|scope| {
                let starts: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            begin.wait();
                            load_or_create_token_key(&state_dir).map(drop)
                        })
                    })
                    .collect();
                for start in starts {
                    start.join().expect("no panic").expect("a key");
                }
            });
            let left: Vec<_> = fs::read_dir(&state_dir).expect("a directory").collect();
            assert_eq!(left.len(), 1, "{left:?}");
            let key = state_dir.join("token.key");
            let mode = fs::metadata(&key).expect("the key").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(load_token_key(&key).is_ok());
        }
    }
}
