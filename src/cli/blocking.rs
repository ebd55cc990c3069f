//! Calls that can block for as long as a mount's server is gone, or a named pipe has nobody at its other end. They have
//! threads of their own, so that a signal ends the command meanwhile.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::exit::{Failure, failed};

/// Does `work` where it may block. Dropping the future leaves it to itself.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(failed).flatten()
}

/// Opens a regular file to read it, and nothing else: to open a named pipe would wait for somebody who writes to it, and
/// to open a device can do something. Where it is no such file, the error is [`io::ErrorKind::InvalidInput`].
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    // Opened so, a pipe does not wait; what it became since somebody looked is seen once it is open.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR)),
    }
}

/// What stands where a regular file should.
pub(super) const NOT_REGULAR: &str = "it is not a regular file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "x").expect("a file");
        std::os::unix::fs::symlink("file", path("link")).expect("a link");
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status();
        assert!(made.expect("mkfifo runs").success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
        for good in ["file", "link"] {
            assert!(open_regular(&path(good)).is_ok(), "{good}");
        }
        for bad in ["pipe", "socket", "none", "."] {
            assert!(open_regular(&path(bad)).is_err(), "{bad}");
        }
        assert!(open_regular(Path::new("/dev/null")).is_err());
    }
}
