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
    /// The file is no key file.
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
/// it appears whole or not at all.
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
    let temporary = state_dir.join(format!("token.key.{}", std::process::id()));
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
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(path: &Path, error: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        error,
    }
}
