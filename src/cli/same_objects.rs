//! Local files that would become one object. They are found before any of them is uploaded, from what the command line names:
//! within one directory no two files have one name, so only sources that meet are compared, and nothing is remembered.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::held::same_target;
use super::local_files::{Looking, is_taken};

/// The sources without those that were named before, and those.
pub(super) struct Distinct {
    pub(super) sources: Vec<PathBuf>,
    pub(super) twice: Vec<PathBuf>,
}

/// What a source becomes.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Root {
    /// An object of this name.
    File(String),
    /// Objects whose names begin so: with nothing, or with a directory's name and a '/'.
    Directory(String),
}

/// Leaves out what is named twice, and fails where two files would become one object.
pub(super) fn distinct(sources: Vec<PathBuf>, how: &Looking) -> Result<Distinct, Failure> {
    let mut distinct = Distinct {
        sources: Vec::new(),
        twice: Vec::new(),
    };
    let mut files: HashMap<String, (PathBuf, Metadata)> = HashMap::new();
    let mut directories: Vec<(String, PathBuf, Metadata)> = Vec::new();
    for source in sources {
        let Some((root, metadata)) = root(&source, how) else {
            // Why it becomes nothing is reported when its turn comes.
            distinct.sources.push(source);
            continue;
        };
        let known = match &root {
            Root::File(name) => files
                .get(name)
                .map(|(path, is)| (path.clone(), same(is, &metadata))),
            Root::Directory(prefix) => directories
                .iter()
                .find(|(other, _, is)| other == prefix && same(is, &metadata))
                .map(|(_, path, _)| (path.clone(), true)),
        };
        match (known, root) {
            (Some((_, true)), _) => {
                distinct.twice.push(source);
                continue;
            }
            (Some((other, false)), _) => return Err(clash(&source, &other)),
            (None, Root::File(name)) => drop(files.insert(name, (source.clone(), metadata))),
            (None, Root::Directory(prefix)) => directories.push((prefix, source.clone(), metadata)),
        }
        distinct.sources.push(source);
    }
    for (at, (prefix, path, _)) in directories.iter().enumerate() {
        for (other_prefix, other, _) in &directories[..at] {
            // What lies in a directory without a name of its own is one of its directories, or none.
            let inner = |path: &Path, prefix: &str| {
                let inner = path.join(prefix.trim_end_matches('/'));
                is_directory(&inner).then_some(inner)
            };
            let pair = match (prefix.as_str(), other_prefix.as_str()) {
                (one, same) if one == same => Some((path.clone(), other.clone())),
                ("", name) => inner(path, name).map(|one| (one, other.clone())),
                (name, "") => inner(other, name).map(|other| (path.clone(), other)),
                _ => None,
            };
            if let Some((one, other)) = pair.and_then(|(one, other)| common(one, other, how)) {
                return Err(clash(&one, &other));
            }
        }
        for (name, (file, _)) in files.iter().filter(|_| prefix.is_empty()) {
            if is_taken(&path.join(name), how) && !how.excluded.has(name) {
                return Err(clash(file, &path.join(name)));
            }
        }
    }
    Ok(distinct)
}

fn clash(one: &Path, other: &Path) -> Failure {
    same_target(&other.display().to_string()).at(one.display())
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// What `source` becomes; `None` where that is nothing.
fn root(source: &Path, how: &Looking) -> Option<(Root, Metadata)> {
    let metadata = fs::metadata(source).ok()?;
    let name = source.file_name().map(|name| name.to_str());
    let root = match (name, metadata.is_dir()) {
        (Some(None), _) => return None,
        (_, true) if !how.recursive => return None,
        (Some(Some(name)), true) if !how.renames => Root::Directory(format!("{name}/")),
        (_, true) => Root::Directory(String::new()),
        (Some(Some(name)), false) if metadata.is_file() => Root::File(name.to_owned()),
        _ => return None,
    };
    Some((root, metadata))
}

/// The first files that two directories have at the same place.
fn common(one: PathBuf, other: PathBuf, how: &Looking) -> Option<(PathBuf, PathBuf)> {
    let root = one.clone();
    let mut pairs = vec![(one, other)];
    while let Some((one, other)) = pairs.pop() {
        // What cannot be read is reported when its turn comes.
        let Ok(entries) = fs::read_dir(&one) else { continue };
        for entry in entries.flatten() {
            let (one, other) = (entry.path(), other.join(entry.file_name()));
            let path = one.strip_prefix(&root).ok().and_then(Path::to_str);
            if path.is_some_and(|path| how.excluded.has(path)) {
                continue;
            }
            if is_directory(&one) && is_directory(&other) {
                pairs.push((one, other));
            } else if is_taken(&one, how) && is_taken(&other, how) {
                return Some((one, other));
            }
        }
    }
    None
}

/// Whether what lies in it is taken, too: a link is not followed.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::cli::exclude::Excluded;

    fn all() -> Looking {
        Looking {
            recursive: true,
            renames: false,
            ignore_symlinks: false,
            excluded: Excluded::default(),
        }
    }

    #[test]
    fn files_that_would_become_one_object_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        for name in [
            "a/x", "b/x", "a/d/f", "b/d/g", "b/e/d/f", "c/d", "c/e/f", "h/a/d/f", "h/s/s",
        ] {
            let path = path(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, name).expect("a file");
        }
        symlink("../a/d/f", path("b/d/link")).expect("a link");
        fs::create_dir(path("l")).expect("a directory");
        symlink("../a/d", path("l/d")).expect("a link");
        fs::hard_link(path("a/x"), path("c/x")).expect("a link");
        let check = |names: &[&str]| {
            let sources = names.iter().map(|name| path(name)).collect();
            distinct(sources, &all()).map(|distinct| (distinct.sources.len(), distinct.twice.len()))
        };
        // Files, and directories that have something in common, or nothing.
        assert_eq!(check(&["a/x", "b/d/g", "c/d"]).expect("none"), (3, 0));
        assert_eq!(check(&["a/d", "b/d"]).expect("none"), (2, 0));
        assert_eq!(check(&["a", "b", "c"]).expect("none"), (3, 0));
        assert_eq!(
            check(&["c/d", "a/d"]).expect("an object 'd', and others below 'd/'"),
            (2, 0)
        );
        assert_eq!(
            check(&["a/d", "none", "a/../a/d", "l/d"]).expect("one directory"),
            (2, 2)
        );
        assert_eq!(check(&["a/x", "a/../a/x", "c/x"]).expect("one file"), (1, 2));
        // What '..' stands for has no name that would tell its files apart.
        let (a, b, h) = ("a/d/..", "b/d/..", "h/s/..");
        for bad in [
            &["a/x", "c/d", "b/x"][..],
            &["a/d", "b/e/d"],
            &[a, b],
            &[a, "b/e/d"],
            &["b/e/d", a],
            &["b/x", a],
            &[a, "b/x"],
            &[h, "a"],
        ] {
            let failure = check(bad).expect_err("a clash").to_string();
            assert!(
                failure.starts_with("same_target: it would become the same as "),
                "{failure}"
            );
        }
        // Below a link nothing is taken.
        fs::create_dir(path("l/s")).expect("a directory");
        assert_eq!(check(&["l/s/..", "a/d"]).expect("none"), (2, 0));
    }
}
