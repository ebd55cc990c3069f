//! Standard input and output that are really there.
//!
//! Where one of them is closed, Rust's runtime puts `/dev/null` in its place before `main`, and std takes a descriptor that
//! cannot be read or written for one that is empty or swallows everything. An upload of nothing and a download to nowhere
//! would both look like success, so whether they were closed is looked at before the runtime starts: afterwards, nothing
//! tells it from a `/dev/null` that was given on purpose.

use std::fs::File;
use std::io::{self, StdoutLock, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, fcntl_getfd};

static NO_STDIN: AtomicBool = AtomicBool::new(false);
static NO_STDOUT: AtomicBool = AtomicBool::new(false);

/// Runs before `main`, where there is no runtime: two system calls, and nothing else.
#[ctor::ctor(unsafe)]
fn look() {
    let is_closed = |fd: BorrowedFd<'_>| fcntl_getfd(fd) == Err(Errno::BADF);
    NO_STDIN.store(is_closed(rustix::stdio::stdin()), Ordering::Relaxed);
    NO_STDOUT.store(is_closed(rustix::stdio::stdout()), Ordering::Relaxed);
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "it is closed")
}

/// Standard input, as a descriptor of its own. Closed, or open for writing only, it is an error and no empty one.
pub fn stdin() -> io::Result<File> {
    if NO_STDIN.load(Ordering::Relaxed) {
        return Err(closed());
    }
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    match fcntl_getfl(&file)? & OFlags::ACCMODE {
        OFlags::WRONLY => Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "it is not open for reading",
        )),
        _ => Ok(file),
    }
}

/// Whether `path` is another name of standard input.
#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Standard output. Closed, or open for reading only, it is an error.
pub fn stdout() -> io::Result<StdoutLock<'static>> {
    let stdout = io::stdout();
    if NO_STDOUT.load(Ordering::Relaxed) {
        return Err(closed());
    }
    match fcntl_getfl(&stdout)? & OFlags::ACCMODE {
        OFlags::RDONLY => Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "it is not open for writing",
        )),
        _ => Ok(stdout.lock()),
    }
}

/// Writes `text` to standard output, all at once.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = stdout()?;
    out.write_all(text.as_bytes())?;
    out.flush()
}
