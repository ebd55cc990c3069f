//! The files that a command line names: found on a thread of their own, a few ahead of who takes them.

use std::fs::{self, Metadata, ReadDir};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::blocking::NOT_REGULAR;
use super::exclude::Excluded;
use super::exit::{Failure, failed};
use super::temporary::is_partial;

/// Files that wait to be taken.
const AHEAD: usize = 64;

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) is: Local,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Local {
    /// A file, and what its object's name ends with.
    File {
        name: String,
    },
    /// Nothing that becomes an object, and why.
    Skipped(&'static str),
    Failed(Failure),
}

/// How to look for files.
#[derive(Debug, Clone)]
pub(super) struct Looking {
    /// Into directories, too.
    pub(super) recursive: bool,
    /// A directory's own name is not a part of the names of what lies in it.
    pub(super) renames: bool,
    /// Links to files are skipped, rather than taken for the files.
    pub(super) ignore_symlinks: bool,
    /// What is passed over.
    pub(super) excluded: Excluded,
}

/// Finds what `sources` stand for, in no particular order within a directory. However large a directory is, a few entries
/// are held.
pub(super) fn find(sources: Vec<PathBuf>, how: Looking) -> mpsc::Receiver<Found> {
    let (found, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut finder = Finder { how, found };
        for source in sources {
            if finder.source(source).is_none() {
                return;
            }
        }
    });
    receiver
}

/// Whether what lies in a directory under this name becomes an object.
pub(super) fn is_taken(path: &Path, how: &Looking) -> bool {
    let partial = path
        .file_name()
        .is_some_and(|name| is_partial(&name.to_string_lossy()));
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            !how.ignore_symlinks && fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        }
        Ok(metadata) => metadata.is_file() && !partial,
        Err(_) => false,
    }
}

struct Finder {
    how: Looking,
    found: mpsc::Sender<Found>,
}

/// A directory being read, and what the names of what lies in it begin with.
struct Level {
    path: PathBuf,
    entries: ReadDir,
    prefix: String,
    /// The device and the number that tell it from every other directory.
    id: (u64, u64),
}

impl Finder {
    /// Sends a find; `None` if nobody receives it any more.
    fn send(&self, path: PathBuf, is: Local) -> Option<()> {
        self.found.blocking_send(Found { path, is }).ok()
    }

    fn failed(&self, path: &Path, error: &io::Error) -> Option<()> {
        let failure = Failure::io(path.display(), error);
        self.send(path.to_owned(), Local::Failed(failure))
    }

    /// What the command line names. A link to a directory is followed here, and nowhere else.
    fn source(&mut self, path: PathBuf) -> Option<()> {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(&path, &error),
        };
        // '.' and '..' have no name of their own: what lies there is taken as it is.
        let name = path.file_name().map(|name| name.to_str().map(str::to_owned));
        match (name, metadata.is_dir()) {
            (Some(None), _) => self.send(path, Local::Failed(failed("its name is not UTF-8"))),
            (_, true) if !self.how.recursive => self.send(
                path,
                Local::Failed(Failure::usage("it is a directory").advise("-r uploads what lies in it")),
            ),
            (Some(Some(name)), true) if !self.how.renames => self.directory(path, format!("{name}/")),
            (_, true) => self.directory(path, String::new()),
            (Some(Some(name)), false) if metadata.is_file() => self.send(path, Local::File { name }),
            // In a directory it is passed over; here somebody wants it.
            (Some(Some(_)), false) => self.send(
                path,
                Local::Failed(Failure::usage(format!("{NOT_REGULAR}, and goes alone"))),
            ),
            (None, false) => self.send(path, Local::Failed(failed("it has no name"))),
        }
    }

    /// All that lies in a directory, however deep.
    fn directory(&mut self, path: PathBuf, prefix: String) -> Option<()> {
        let mut levels = Vec::new();
        let root = path.clone();
        self.enter(&mut levels, path, prefix)?;
        while let Some(level) = levels.last_mut() {
            let entry = match level.entries.next() {
                None => {
                    levels.pop();
                    continue;
                }
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    let path = level.path.clone();
                    levels.pop();
                    self.failed(&path, &error)?;
                    continue;
                }
            };
            let path = entry.path();
            if self.is_excluded(&root, &path) {
                continue;
            }
            let Some(name) = entry
                .file_name()
                .to_str()
                .map(|name| format!("{}{name}", level.prefix))
            else {
                self.send(path, Local::Failed(failed("its name is not UTF-8")))?;
                continue;
            };
            match entry.file_type() {
                Ok(is) if is.is_file() && is_partial(&entry.file_name().to_string_lossy()) => {
                    self.send(path, Local::Skipped("it is an unfinished file of 'gcsd get'"))?;
                }
                Ok(is) if is.is_dir() => self.enter(&mut levels, path, name + "/")?,
                Ok(is) if is.is_symlink() => self.link(path, name)?,
                Ok(_) => match entry.metadata() {
                    Ok(metadata) => self.file(path, name, &metadata)?,
                    Err(error) => self.failed(&path, &error)?,
                },
                Err(error) => self.failed(&path, &error)?,
            }
        }
        Some(())
    }

    /// Whether what lies at `path` below `root` is passed over.
    fn is_excluded(&self, root: &Path, path: &Path) -> bool {
        let below = path.strip_prefix(root).ok().and_then(Path::to_str);
        below.is_some_and(|below| self.how.excluded.has(below))
    }

    fn enter(&self, levels: &mut Vec<Level>, path: PathBuf, prefix: String) -> Option<()> {
        let opened = fs::read_dir(&path).and_then(|entries| {
            let metadata = fs::metadata(&path)?;
            Ok((entries, (metadata.dev(), metadata.ino())))
        });
        match opened {
            Ok((_, id)) if levels.iter().any(|level| level.id == id) => {
                let what = "it is a directory that it lies in, by way of a mount";
                return self.send(path, Local::Failed(failed(what)));
            }
            Ok((entries, id)) => levels.push(Level {
                path,
                entries,
                prefix,
                id,
            }),
            Err(error) => self.failed(&path, &error)?,
        }
        Some(())
    }

    /// A link in a directory. One to a directory could lead in a circle.
    fn link(&self, path: PathBuf, name: String) -> Option<()> {
        if self.how.ignore_symlinks {
            return self.send(path, Local::Skipped("it is a symbolic link"));
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                self.send(path, Local::Skipped("it is a symbolic link to a directory"))
            }
            Ok(metadata) => self.file(path, name, &metadata),
            Err(error) => self.failed(&path, &error),
        }
    }

    fn file(&self, path: PathBuf, name: String, metadata: &Metadata) -> Option<()> {
        match metadata.is_file() {
            true => self.send(path, Local::File { name }),
            // A pipe or a device would be waited for.
            false => self.send(path, Local::Skipped(NOT_REGULAR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    async fn found(sources: &[PathBuf], how: Looking) -> Vec<String> {
        let mut receiver = find(sources.to_vec(), how);
        let mut all = Vec::new();
        while let Some(found) = receiver.recv().await {
            all.push(match found.is {
                Local::File { name } => name,
                Local::Skipped(why) => why.to_owned(),
                Local::Failed(failure) => format!("{failure}")
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
        all.sort();
        all
    }

    fn all() -> Looking {
        Looking {
            recursive: true,
            renames: false,
            ignore_symlinks: false,
            excluded: Excluded::default(),
        }
    }

    #[tokio::test]
    async fn directories_are_walked_and_links_to_them_are_not() {
        let outer = tempfile::tempdir().expect("a directory");
        let dir = outer.path().join("dir");
        fs::create_dir_all(dir.join("sub/empty")).expect("directories");
        for name in ["a", "sub/b", ".a.gcsd-partial"] {
            fs::write(dir.join(name), name).expect("a file");
        }
        symlink("a", dir.join("link")).expect("a link");
        symlink("..", dir.join("sub/up")).expect("a link");
        symlink("nowhere", dir.join("dangling")).expect("a link");
        let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).expect("a socket");
        let sources = [dir.clone()];
        let (to_dir, no_file, link, partial) = (
            "it is a symbolic link to a directory",
            "it is not a regular file",
            "it is a symbolic link",
            "it is an unfinished file of 'gcsd get'",
        );
        assert_eq!(
            found(&sources, all()).await,
            ["dir/a", "dir/link", "dir/sub/b", "io", to_dir, partial, no_file]
        );
        let ignoring = Looking {
            ignore_symlinks: true,
            renames: true,
            ..all()
        };
        assert_eq!(
            found(&sources, ignoring).await,
            ["a", link, link, link, partial, no_file, "sub/b"]
        );
        let flat = Looking {
            recursive: false,
            ..all()
        };
        assert_eq!(
            found(&[dir.join("a"), dir.clone(), dir.join("none")], flat).await,
            ["a", "io", "usage"]
        );
        assert_eq!(found(&[dir.join("sub/..")], all()).await.len(), 7);
    }

    #[tokio::test]
    async fn who_takes_no_more_ends_the_search() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..AHEAD * 4 {
            fs::write(dir.path().join(number.to_string()), "").expect("a file");
        }
        let mut receiver = find(vec![dir.path().to_owned()], all());
        assert!(receiver.recv().await.is_some());
        // The thread ends, or the test's runtime would not.
        drop(receiver);
    }
}
