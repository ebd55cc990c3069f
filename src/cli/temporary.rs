//! A file that appears under its name whole or not at all.
//!
//! Until then its bytes are in a file beside it, `.NAME.gcsd-partial`, which is locked for as long as its process lives. What
//! a killed run left is therefore known by its name and by having no lock, and the next run for the same target removes it.
//! A second run at the same time finds the lock, and takes the next name. No file that is finished ever has such a name.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gcsd_types::Crc32c;

/// What the names of unfinished files end with.
const SUFFIX: &str = ".gcsd-partial";

/// How many runs for one target have fixed names for their files; further ones have names of their own.
const SLOTS: u32 = 4;

/// How many names are tried where none is fixed.
const NAMES: u32 = 1000;

/// How often a name is looked at that others take and leave meanwhile.
const LOOKS: u32 = 100;

/// Who may read a file that others made no rule for: everyone whom the umask lets.
pub(super) const USUAL: u32 = 0o666;

/// A file that only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;

/// Whether a file of this name is an unfinished one.
pub(super) fn is_partial(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(SUFFIX)
}

/// A file beside its target. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    /// What has the target's name already keeps it.
    pub(super) yields: bool,
    kept: bool,
}

/// A name for a temporary file.
enum Slot {
    /// Nothing has it.
    Free,
    /// A killed run left this, and it is locked now.
    Abandoned(File),
    /// Somebody has it: a run that is under way, or who made it knows what it is.
    Taken,
}

impl Temporary {
    /// Creates an empty file with permissions `mode`, which the umask may take from, and removes what killed runs left of
    /// the same target.
    pub(super) fn create(target: PathBuf, mode: u32) -> io::Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        if is_partial(&name) {
            let what = format!("names that end with {SUFFIX} are those of unfinished files");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut made = None;
        for number in 0..SLOTS {
            let path = slot(&target, number);
            let free = match look(&path) {
                Slot::Taken => false,
                Slot::Free => true,
                // Others find it locked until it is gone.
                Slot::Abandoned(_locked) => fs::remove_file(&path).is_ok(),
            };
            if free && made.is_none() {
                made = claim(&path, mode)?;
            }
        }
        let (file, path) = match made {
            Some(made) => made,
            None => unlocked(&target, mode)?,
        };
        Ok(Self::new(file, path, target))
    }

    /// What killed runs left of `target`, the newest first. To look at it takes it over.
    pub(super) fn abandoned(target: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        for path in (0..SLOTS).map(|number| slot(target, number)) {
            if let Slot::Abandoned(file) = look(&path) {
                let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
                found.push((modified, Self::new(file, path, target.to_owned())));
            }
        }
        found.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        found.into_iter().map(|(_, temporary)| temporary).collect()
    }

    fn new(file: File, path: PathBuf, target: PathBuf) -> Self {
        Self {
            file,
            path,
            target,
            yields: false,
            kept: false,
        }
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

/// The fixed names of unfinished files for `target`.
fn slot(target: &Path, number: u32) -> PathBuf {
    match number {
        0 => named(target, SUFFIX),
        more => named(target, &format!(".{more}{SUFFIX}")),
    }
}

/// A hidden name beside `target`.
fn named(target: &Path, end: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    // A name may have 255 bytes, and it needs some more.
    let short: String = name.chars().take(50).collect();
    let stem = match short.len() == name.len() {
        true => short,
        false => format!("{short}-{}", Crc32c::of(name.as_bytes())),
    };
    target.with_file_name(format!(".{stem}{end}"))
}

/// Looks at who has a name.
fn look(path: &Path) -> Slot {
    for _ in 0..LOOKS {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Slot::Free,
            Err(_) => return Slot::Taken,
        };
        match (file.metadata(), file.try_lock()) {
            (Ok(metadata), Ok(())) if metadata.is_file() => {
                if is_at(&metadata, path) {
                    return Slot::Abandoned(file);
                }
                // It was renamed or removed before it was locked.
            }
            _ => return Slot::Taken,
        }
    }
    Slot::Taken
}

/// Creates and locks the file `path`; `None` where somebody else was quicker, or there are no locks.
fn claim(path: &Path, mode: u32) -> io::Result<Option<(File, PathBuf)>> {
    let mut options = OpenOptions::new();
    let file = match options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) if is_at(&file.metadata()?, path) => Ok(Some((file, path.to_owned()))),
        // A process that has locked it since took it for abandoned, and removes it.
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(_)) => {
            fs::remove_file(path)?;
            Ok(None)
        }
    }
}

/// Creates a file under a name of this process alone, which nobody removes if this process is killed: the file system has
/// no locks, or too many run at once.
fn unlocked(target: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let id = std::process::id();
    let mut last = io::ErrorKind::AlreadyExists.into();
    for attempt in 0..NAMES {
        let path = named(target, &format!(".{id}.{attempt}{SUFFIX}"));
        let mut options = OpenOptions::new();
        match options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
        {
            Ok(file) => return Ok((file, path)),
            Err(error) => last = error,
        }
        if last.kind() != io::ErrorKind::AlreadyExists {
            break;
        }
    }
    Err(last)
}

/// Whether this file is what has the name `path`.
fn is_at(metadata: &Metadata, path: &Path) -> bool {
    let there = fs::symlink_metadata(path);
    there.is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn create(dir: &Path, name: &str) -> Temporary {
        Temporary::create(dir.join(name), USUAL).expect("created")
    }

    /// What a process that is killed leaves: the file, and no lock.
    fn kill(mut temporary: Temporary) {
        temporary.kept = true;
    }

    #[test]
    fn what_a_killed_run_left_is_removed_by_the_next_and_by_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let mut left = create(dir, "x");
        left.file.write_all(b"half").expect("written");
        kill(left);
        kill(create(dir, "y"));
        assert_eq!(names(dir), [".x.gcsd-partial", ".y.gcsd-partial"]);
        let next = create(dir, "x");
        assert_eq!(next.file.metadata().expect("a file").len(), 0);
        assert_eq!(names(dir), [".x.gcsd-partial", ".y.gcsd-partial"]);
        next.rename().expect("renamed");
        assert_eq!(names(dir), [".y.gcsd-partial", "x"]);
    }

    #[test]
    fn runs_at_once_leave_each_other_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let mut running: Vec<Temporary> = Vec::new();
        for number in 0..SLOTS + 2 {
            let mut temporary = create(dir, "x");
            write!(temporary.file, "{number}").expect("written");
            running.push(temporary);
        }
        assert_eq!(names(dir).len(), running.len());
        // The first is killed, a later one ends well, and what comes then clears up.
        kill(running.remove(0));
        kill(running.remove(0));
        let ending = running.remove(0);
        ending.rename().expect("renamed");
        let next = create(dir, "x");
        assert_eq!(next.path, dir.join(".x.gcsd-partial"));
        assert_eq!(names(dir).len(), running.len() + 2);
        assert_eq!(fs::read(dir.join("x")).expect("the file"), b"2");
        drop((running, next));
        assert_eq!(names(dir), ["x"]);
    }

    /// Many threads that create, rename and leave files of one target, none of which is lost, or another's.
    #[test]
    fn a_race_mixes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("x");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let target = &target;
                scope.spawn(move || {
                    for turn in 0..200 {
                        let mut temporary = Temporary::create(target.clone(), USUAL).expect("created");
                        let text = format!("{thread} {turn}");
                        temporary.file.write_all(text.as_bytes()).expect("written");
                        assert_eq!(fs::read_to_string(&temporary.path).expect("its file"), text);
                        match turn % 3 {
                            0 => fs::rename(&temporary.path, target)
                                .map(|()| kill(temporary))
                                .expect("renamed"),
                            1 => kill(temporary),
                            _ => drop(temporary),
                        }
                    }
                });
            }
        });
        drop(Temporary::create(target, USUAL).expect("created"));
        // Where more run at once than have fixed names, what is killed stays.
        let id = format!(".{}.", std::process::id());
        let left: Vec<_> = names(dir.path())
            .into_iter()
            .filter(|name| !name.contains(&id))
            .collect();
        assert_eq!(left, ["x"]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        fs::write(dir.join("theirs"), "theirs").expect("a file");
        std::os::unix::fs::symlink("theirs", dir.join(".x.gcsd-partial")).expect("a link");
        fs::create_dir(dir.join(".x.1.gcsd-partial")).expect("a directory");
        let temporary = create(dir, "x");
        assert_eq!(temporary.path, dir.join(".x.2.gcsd-partial"));
        drop(temporary);
        assert_eq!(fs::read(dir.join("theirs")).expect("the file"), b"theirs");
        assert_eq!(names(dir).len(), 3);
        // No finished file has such a name: it would be removed as an unfinished one.
        let refused = Temporary::create(dir.join(".y.gcsd-partial"), USUAL);
        assert_eq!(refused.expect_err("refused").kind(), io::ErrorKind::InvalidInput);
        // A killed run can have left its second name.
        let target = dir.join("linked");
        let mut linked = create(dir, "linked");
        linked.file.write_all(b"whole").expect("written");
        fs::hard_link(&linked.path, &target).expect("a link");
        kill(linked);
        drop(create(dir, "linked"));
        assert_eq!(fs::read(&target).expect("the file"), b"whole");
    }

    #[test]
    fn long_names_have_short_ones_that_differ() {
        let dir = Path::new("dir");
        let long = |end: &str| named(&dir.join("ü".repeat(120) + end), SUFFIX);
        assert_ne!(long("a"), long("b"));
        for path in [long("a"), named(&dir.join("x".repeat(255)), SUFFIX)] {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(name.len() < 255 && is_partial(&name), "{name}");
        }
        assert_eq!(named(&dir.join("x"), SUFFIX), dir.join(".x.gcsd-partial"));
        assert!(!is_partial("x.gcsd-partial") && !is_partial(".x"));
    }
}
