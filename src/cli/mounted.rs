//! Buckets that are mounted as directories, by gcsfuse: to copy such a directory into its own bucket can be to copy it into
//! itself, and each copy would be found and copied again.

use std::fs;
use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::gs_url::{BucketUrl, Place};
use super::quoting::shown;
use super::reach::Reach;
use gcsd_types::BucketName;

/// Where the system tells what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// What gcsfuse's mounts are called there.
const GCSFUSE: &str = "fuse.gcsfuse";

/// A directory of a bucket.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    bucket: BucketName,
    /// What the names of its objects begin with: nothing, or something without a '/' at its end.
    name: String,
}

/// Refuses to upload a directory of a mounted bucket to a place in itself.
pub(super) fn refuse_into_itself(sources: &[PathBuf], place: &Place) -> Result<(), Failure> {
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    for source in sources {
        let Some(from) = mounted(&mounts, source) else {
            continue;
        };
        let below = match place.renames() {
            true => "",
            false => source
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default(),
        };
        if from.holds(place.bucket(), &place.name(Some(below))) {
            let copy = format!("gs://{}/{}", place.bucket(), place.name(Some(below)));
            let what = format!(
                "it is a part of the mounted bucket that its copy, {}, lies in",
                shown(&copy)
            );
            return Err(Failure::usage(what).at(source.display()));
        }
    }
    Ok(())
}

/// Refuses to fetch what walks find to a directory of a mounted bucket, `to`, where they would find it again. With each goes
/// what the names of its files begin with.
pub(super) fn refuse_from_itself(
    walks: &[(BucketUrl, String)],
    recursive: bool,
    to: &Path,
) -> Result<(), Failure> {
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    let Some(to) = mounted(&mounts, to) else {
        return Ok(());
    };
    for (url, begin) in walks {
        let begin = begin.trim_end_matches('/');
        let name = match begin {
            "" => format!("{}x", to.below()),
            begin => format!("{}{begin}/x", to.below()),
        };
        if Reach::new(url, recursive).finds(&to.bucket, &name) {
            let what = "the directory is a part of the mounted bucket that these objects are in";
            return Err(Failure::usage(what).at(url));
        }
    }
    Ok(())
}

impl Mounted {
    fn below(&self) -> String {
        match self.name.as_str() {
            "" => String::new(),
            name => format!("{name}/"),
        }
    }

    /// Whether what lies at `name` in `bucket` is a part of it.
    fn holds(&self, bucket: &BucketName, name: &str) -> bool {
        *bucket == self.bucket && format!("{}/", name.trim_end_matches('/')).starts_with(&self.below())
    }
}

/// The part of a bucket that `path` is, which need not be there, if it is one.
fn mounted(mounts: &str, path: &Path) -> Option<Mounted> {
    let real = path.ancestors().find_map(|above| {
        let real = match above.as_os_str().is_empty() {
            true => fs::canonicalize("."),
            false => fs::canonicalize(above),
        };
        Some(real.ok()?.join(path.strip_prefix(above).ok()?))
    })?;
    at(mounts, &real)
}

/// The same for a path without links.
fn at(mounts: &str, real: &Path) -> Option<Mounted> {
    // The innermost mount counts; of those at one place, the last.
    let (_, kind, source, rest) = mounts
        .lines()
        .filter_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            let point = PathBuf::from(unescaped(front.split(' ').nth(4)?));
            let mut back = back.split(' ');
            let rest = real.strip_prefix(&point).ok()?;
            Some((
                point.components().count(),
                back.next()?,
                unescaped(back.next()?),
                rest,
            ))
        })
        .max_by_key(|(depth, ..)| *depth)?;
    Some(Mounted {
        bucket: BucketName::new(source).ok().filter(|_| kind == GCSFUSE)?,
        name: rest.to_str()?.to_owned(),
    })
}

/// A field, in which blanks are written as octal numbers.
fn unescaped(field: &str) -> String {
    let mut text = Vec::new();
    let mut bytes = field.as_bytes();
    while let [first, rest @ ..] = bytes {
        let octal = rest.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(byte);
                bytes = &rest[3..];
            }
            None => {
                text.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = "\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/root rw
91 22 0:50 / /mnt/my\\040bucket rw,nosuid,nodev shared:3 - fuse.gcsfuse my-bucket rw,user_id=0
92 91 0:51 / /mnt/my\\040bucket/tmp rw - tmpfs tmpfs rw
93 22 0:52 / /other rw - fuse.sshfs my-bucket rw
";

    #[test]
    fn a_path_is_a_part_of_the_bucket_that_is_mounted_there() {
        let name = |path: &str| at(MOUNTED, Path::new(path)).map(|mounted| mounted.name);
        assert_eq!(name("/mnt/my bucket/a/b").as_deref(), Some("a/b"));
        assert_eq!(name("/mnt/my bucket").as_deref(), Some(""));
        for other in ["/mnt", "/mnt/my bucket/tmp/a", "/other/a", "/mnt/my bucket2"] {
            assert_eq!(name(other), None, "{other}");
        }
        assert_eq!(at("", Path::new("/a")), None);
    }

    #[test]
    fn a_part_holds_itself_and_what_lies_below() {
        let bucket = BucketName::new("my-bucket").expect("a name");
        let part = at(MOUNTED, Path::new("/mnt/my bucket/src")).expect("a part");
        for (name, holds) in [
            ("src", true),
            ("src/copy/src", true),
            ("src2", false),
            ("", false),
            ("a/src", false),
        ] {
            assert_eq!(part.holds(&bucket, name), holds, "{name}");
        }
        assert!(!part.holds(&BucketName::new("other").expect("a name"), "src"));
        let whole = at(MOUNTED, Path::new("/mnt/my bucket")).expect("a part");
        assert!(whole.holds(&bucket, "copy") && whole.holds(&bucket, ""));
    }

    #[test]
    fn what_is_not_there_yet_lies_where_its_parent_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = fs::canonicalize(dir.path()).expect("it is there");
        std::os::unix::fs::symlink(&real, real.join("link")).expect("a link");
        let mounts = format!("91 22 0:50 / {} rw - fuse.gcsfuse my-bucket rw", real.display());
        let name = |path: PathBuf| mounted(&mounts, &path).map(|mounted| mounted.name);
        assert_eq!(name(real.join("link/new/er")).as_deref(), Some("new/er"));
        assert_eq!(name(real.join("link")).as_deref(), Some(""));
    }
}
