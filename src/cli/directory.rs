//! The directory that several objects are fetched to.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::destination::Destination;
use super::exit::{Exit, Failure};
use super::held::same_target;

/// A directory, and what lies below it.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Where it is without any link.
    real: PathBuf,
    /// Files that links lead to, outside of it, and the objects that they are for.
    elsewhere: Mutex<HashMap<PathBuf, String>>,
}

/// What to do about a directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfNone {
    Make,
    /// Make it, if its name says by a slash at its end that it is one.
    MakeWithSlash,
    /// Nothing is written to it.
    Pretend,
}

impl Directory {
    /// Opens `path`. Where there is none, `if_none` says what to do.
    pub(super) fn open(path: PathBuf, if_none: IfNone) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let what = "several objects cannot be told apart on standard output; 'gcsd cat' prints them";
            return Err(Failure::usage(what));
        }
        let at = |error: &io::Error| Failure::io(path.display(), error);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(Failure::usage("several objects need a directory").at(path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let named = path.as_os_str().as_encoded_bytes().ends_with(b"/");
                match if_none {
                    IfNone::MakeWithSlash if !named => {
                        let what = "several objects need a directory, and there is none; with '/' at its end, it is made";
                        return Err(Failure::usage(what).at(path.display()));
                    }
                    IfNone::Make | IfNone::MakeWithSlash => {
                        fs::create_dir_all(&path).map_err(|error| at(&error))?;
                    }
                    IfNone::Pretend => {
                        return Ok(Self {
                            real: path.clone(),
                            path,
                            elsewhere: Mutex::default(),
                        });
                    }
                }
            }
            Err(error) => return Err(at(&error)),
        }
        let real = fs::canonicalize(&path).map_err(|error| at(&error))?;
        Ok(Self {
            path,
            real,
            elsewhere: Mutex::default(),
        })
    }

    /// Makes room for the file `target` below it, of the object at `from`.
    pub(super) fn file(&self, target: &str, from: &str, no_clobber: bool) -> Result<Destination, Failure> {
        let file = self.path.join(target);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|error| Failure::io(parent.display(), &error))?;
        }
        self.alone(&file, target, from)?;
        Destination::file(file, no_clobber)
    }

    /// Makes sure that no link makes it the same file as that of another object.
    fn alone(&self, file: &Path, target: &str, from: &str) -> Result<(), Failure> {
        let at = |error: &io::Error| Failure::io(file.display(), error);
        let real = match (fs::canonicalize(file), file.parent(), file.file_name()) {
            (Ok(real), ..) => real,
            (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                fs::canonicalize(parent).map_err(|error| at(&error))?.join(name)
            }
            (Err(error), ..) => return Err(at(&error)),
        };
        if real == self.real.join(target) {
            return Ok(());
        }
        if real.starts_with(&self.real) {
            let what = "a link leads to another place in the directory, which another object can have";
            return Err(Failure::new(Exit::Failed, "same_target", what).at(file.display()));
        }
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let other = elsewhere.entry(real).or_insert_with(|| from.to_owned());
        match other == from {
            true => Ok(()),
            false => Err(same_target(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_make_no_two_objects_one_file() {
        let outer = tempfile::tempdir().expect("a directory");
        let path = outer.path().join("in");
        fs::create_dir_all(path.join("real")).expect("a directory");
        fs::create_dir(outer.path().join("out")).expect("a directory");
        for (link, to) in [
            ("inside", "real"),
            ("one", "../out"),
            ("two", "../out"),
            ("f", "real/f"),
        ] {
            symlink(to, path.join(link)).expect("a link");
        }
        fs::write(path.join("real/f"), "").expect("a file");
        let directory = Directory::open(path, IfNone::MakeWithSlash).expect("a directory");
        let file = |target: &str| {
            let from = format!("gs://bucket/{target}");
            directory
                .file(target, &from, false)
                .map(drop)
                .map_err(|failure| failure.to_string())
        };
        for good in ["a", "d/e/f", "real/f", "real/g", "one/f", "one/f", "one/g"] {
            assert_eq!(file(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("inside/g", "a link leads"),
            ("f", "a link leads"),
            ("two/f", "the same as gs://bucket/one/f"),
        ] {
            let failure = file(bad).expect_err(bad);
            assert!(
                failure.starts_with("same_target: ") && failure.contains(why),
                "{failure}"
            );
        }
        assert_eq!(file("two/h"), Ok(()));
    }
}
