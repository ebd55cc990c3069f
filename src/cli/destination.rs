//! Where the bytes of a `get` go: a file that appears whole or not at all, or a stream.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::exit::Failure;
use super::temporary::{Temporary, USUAL};

/// Pieces that wait to be written.
const WAITING: usize = 8;

/// How long a destination may take to let go.
const GIVING_UP: Duration = Duration::from_secs(2);

/// A place that takes bytes.
#[derive(Debug)]
pub(super) enum Destination {
    /// Standard output.
    Stdout,
    /// Something that is not a regular file: a device, a named pipe.
    Device(File, PathBuf),
    /// A file: written beside its final name, and renamed when all is well.
    File(Temporary),
}

impl Destination {
    /// Opens `path` (`-` is standard output); in a directory, the file is called `name`.
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let failed = |path: &Path, error: &io::Error| Failure::io(path.display(), error);
        let mut path = path.to_owned();
        if path.is_dir() {
            path.push(name);
        }
        // What a link points to is replaced, not the link.
        match fs::canonicalize(&path) {
            Ok(real) => path = real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, &error)),
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(Failure::usage("it is a directory").at(path.display())),
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(&path);
                let file = file.map_err(|error| failed(&path, &error))?;
                Ok(Self::Device(file, path))
            }
            Ok(metadata) => {
                let temporary = temporary(path)?;
                let same = temporary.file.set_permissions(metadata.permissions());
                same.map_err(|error| failed(&temporary.path, &error))?;
                Ok(Self::File(temporary))
            }
            Err(_) => Ok(Self::File(temporary(path)?)),
        }
    }

    /// Where the bytes end up, for people.
    fn place(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::Device(_, path) => path.display().to_string(),
            Self::File(temporary) => temporary.target.display().to_string(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(bytes),
            Self::Device(file, _) => file.write_all(bytes),
            Self::File(temporary) => temporary.file.write_all(bytes),
        }
    }

    /// Puts the bytes in their place.
    fn keep(self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().flush(),
            Self::Device(..) => Ok(()),
            Self::File(temporary) => temporary.rename(),
        }
    }
}

fn temporary(target: PathBuf) -> Result<Temporary, Failure> {
    let place = target.display().to_string();
    Temporary::create(target, USUAL).map_err(|error| Failure::io(place, &error))
}

/// A destination being written on a thread of its own, a few pieces behind.
pub(super) struct Writing {
    pieces: mpsc::Sender<Bytes>,
    thread: JoinHandle<Result<Destination, Failure>>,
}

impl Writing {
    /// Begins to write.
    pub(super) fn begin(mut destination: Destination) -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                if let Err(error) = destination.write(&piece) {
                    return Err(Failure::io(destination.place(), &error));
                }
            }
            Ok(destination)
        });
        Self { pieces, thread }
    }

    /// Writes `piece`, waiting while too many are ahead of it. `false` if writing has failed.
    pub(super) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Stops writing, and removes what was written to a file.
    ///
    /// A stream that takes nothing is not waited for long.
    pub(super) async fn give_up(self) {
        drop(self.pieces);
        // What it would say does not matter any more.
        let _ended = tokio::time::timeout(GIVING_UP, self.thread).await;
    }

    /// Waits until all is written, then puts it in its place if `keep` says so.
    pub(super) async fn end(self, keep: bool) -> Result<(), Failure> {
        drop(self.pieces);
        let lost = |error| Failure::new(super::exit::Exit::Failed, "internal", error);
        let destination = self.thread.await.map_err(lost)??;
        if !keep {
            return Ok(());
        }
        let place = destination.place();
        let kept = tokio::task::spawn_blocking(move || destination.keep())
            .await
            .map_err(lost)?;
        kept.map_err(|error| Failure::io(place, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("f");
        fs::write(&target, "old").expect("a file");
        for keep in [false, true] {
            let destination = Destination::open(&target, "x").expect("a destination");
            let writing = Writing::begin(destination);
            assert!(writing.write(Bytes::from_static(b"new")).await);
            assert_eq!(fs::read(&target).expect("the file"), b"old");
            writing.end(keep).await.expect("written");
            assert_eq!(entries(dir.path()), ["f"]);
        }
        assert_eq!(fs::read(&target).expect("the file"), b"new");
    }

    #[tokio::test]
    async fn a_directory_takes_the_objects_name_and_a_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("link");
        let real = dir.path().join("real");
        fs::write(&real, "").expect("a file");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let writing = Writing::begin(Destination::open(&link, "x").expect("a destination"));
        assert!(writing.write(Bytes::from_static(b"through")).await);
        writing.end(true).await.expect("written");
        assert_eq!(fs::read(&real).expect("the file"), b"through");
        assert!(link.is_symlink());

        let writing = Writing::begin(Destination::open(dir.path(), "named").expect("a destination"));
        writing.end(true).await.expect("written");
        assert_eq!(entries(dir.path()), ["link", "named", "real"]);
    }

    #[test]
    fn a_device_is_written_and_never_replaced() {
        let destination = Destination::open(Path::new("/dev/null"), "x").expect("a destination");
        assert!(matches!(destination, Destination::Device(..)));
    }
}
