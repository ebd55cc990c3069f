//! Where the bytes of a `get` go: a file that appears whole or not at all, or a stream.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, FILE_EXISTS, Failure, failed};
use super::temporary::{Temporary, USUAL};

/// A place that takes bytes.
#[derive(Debug)]
pub(super) enum Destination {
    Stream(Stream),
    /// A file: written beside its final name, and renamed when all is well.
    File(Temporary),
}

/// A place that takes bytes in order, and keeps them.
#[derive(Debug)]
pub(super) enum Stream {
    /// Standard output.
    Stdout,
    /// Something that is not a regular file: a device, a named pipe.
    Device(File, PathBuf),
}

impl Destination {
    /// Opens `path` (`-` is standard output); in a directory, the file is called `name`.
    ///
    /// With `no_clobber`, a file that is there is not replaced.
    pub(super) fn open(path: &Path, name: &str, no_clobber: bool) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stream(Stream::Stdout));
        }
        let mut path = path.to_owned();
        if path.is_dir() {
            path.push(name);
        }
        Self::at(path, no_clobber)
    }

    /// Opens the file `path`, where nothing else is: a named pipe would be waited for.
    pub(super) fn file(path: PathBuf, no_clobber: bool) -> Result<Self, Failure> {
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
                Err(Failure::usage("it is there, and is not a regular file").at(path.display()))
            }
            _ => Self::at(path, no_clobber),
        }
    }

    fn at(mut path: PathBuf, no_clobber: bool) -> Result<Self, Failure> {
        let at = |path: &Path, error: &io::Error| Failure::io(path.display(), error);
        // What a link points to is replaced, not the link.
        match fs::canonicalize(&path) {
            Ok(real) => path = real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path, &error)),
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(failed("it is a directory").at(path.display())),
            Ok(_) if no_clobber => {
                let what = "the file is there, and --no-clobber leaves it alone";
                Err(Failure::new(Exit::Precondition, FILE_EXISTS, what).at(path.display()))
            }
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(&path);
                let file = file.map_err(|error| at(&path, &error))?;
                Ok(Self::Stream(Stream::Device(file, path)))
            }
            Ok(metadata) => {
                let temporary = temporary(path)?;
                let same = temporary.file.set_permissions(metadata.permissions());
                same.map_err(|error| at(&temporary.path, &error))?;
                Ok(Self::File(temporary))
            }
            Err(_) => {
                let mut temporary = temporary(path)?;
                temporary.yields = no_clobber;
                Ok(Self::File(temporary))
            }
        }
    }
}

impl Stream {
    /// What it is when writing fails.
    pub(super) fn failing(&self) -> impl Fn(&io::Error) -> Failure + use<> {
        let device = match self {
            Self::Stdout => None,
            Self::Device(_, path) => Some(path.clone()),
        };
        move |error| match &device {
            None => Failure::stdout(error),
            Some(path) => Failure::io(path.display(), error),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => gcsd_stdio::stdout()?.write(bytes),
            Self::Device(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => gcsd_stdio::stdout()?.flush(),
            Self::Device(..) => Ok(()),
        }
    }
}

fn temporary(target: PathBuf) -> Result<Temporary, Failure> {
    let place = target.display().to_string();
    Temporary::create(target, USUAL).map_err(|error| Failure::io(place, &error))
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

    fn file(path: &Path) -> Temporary {
        match Destination::open(path, "named", false).expect("a destination") {
            Destination::File(temporary) => temporary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("f");
        fs::write(&target, "old").expect("a file");
        for keep in [false, true] {
            let refused = Destination::open(&target, "x", true);
            assert_eq!(refused.expect_err("it is there").exit(), Exit::Precondition);
            let mut temporary = file(&target);
            temporary.file.write_all(b"new").expect("written");
            assert_eq!(fs::read(&target).expect("the file"), b"old");
            match keep {
                true => temporary.rename().expect("renamed"),
                false => drop(temporary),
            }
            assert_eq!(entries(dir.path()), ["f"]);
        }
        assert_eq!(fs::read(&target).expect("the file"), b"new");
        // What appears meanwhile is left alone, too.
        fs::remove_file(&target).expect("it is there");
        for there in [false, true] {
            let Ok(Destination::File(yielding)) = Destination::file(target.clone(), true) else {
                panic!("no file");
            };
            if there {
                fs::write(&target, "theirs").expect("a file");
            }
            assert_eq!(yielding.rename().is_err(), there);
            assert_eq!(entries(dir.path()), ["f"]);
            assert_eq!(
                fs::read(&target).expect("the file"),
                if there { &b"theirs"[..] } else { b"" }
            );
            fs::remove_file(&target).expect("it is there");
        }
    }

    #[test]
    fn a_directory_takes_the_objects_name_and_a_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("link");
        let real = dir.path().join("real");
        fs::write(&real, "").expect("a file");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let mut temporary = file(&link);
        temporary.file.write_all(b"through").expect("written");
        temporary.rename().expect("renamed");
        assert_eq!(fs::read(&real).expect("the file"), b"through");
        assert!(link.is_symlink());

        file(dir.path()).rename().expect("renamed");
        assert_eq!(entries(dir.path()), ["link", "named", "real"]);
    }

    #[test]
    fn a_device_is_written_and_never_replaced() {
        let destination = Destination::open(Path::new("/dev/null"), "x", false).expect("a destination");
        assert!(matches!(destination, Destination::Stream(Stream::Device(..))));
        assert!(Destination::file("/dev/null".into(), false).is_err());
    }
}
