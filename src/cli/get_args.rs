//! What `gcsd get` is asked for.

use std::ffi::OsString;

use clap::Args;

use super::batch::Jobs;
use super::conditions::Version;
use super::connect::Remote;
use super::download::Download;
use super::encryption_key::KeyArgs;
use super::exclude::Exclude;
use super::naming::{Listed, Naming};
use super::reporting::{DryRun, Reporting};
use super::walk::Walking;
use gcsd_types::{BucketName, ByteRange, EncryptionKey, ObjectName, ObjectRef};

/// Download objects, or a part of one.
///
/// A file appears under its name only when all bytes are there and have the checksum (CRC32C) that GCS
/// keeps; until then they are in a temporary file beside it, which is removed if anything fails. A read that breaks
/// goes on behind the last byte that came, in the same generation of the object.
///
/// With --recursive, gs://BUCKET/DIR becomes DEST/DIR/..., and gs://BUCKET/DIR/, with a slash at its end, DEST/...: what lies in
/// it, as rsync has it. DEST is made where it is not there, which changes nothing else: the same command again goes to the
/// same files.
///
/// Of several objects each becomes a file below a directory, with what its name has behind the last '/' before the
/// pattern's first special character; '*', '?' and '[a-z]' stay between two '/', '**' does not. An object that is called
/// exactly so wins over a pattern. Failures are reported, and the rest continues: an object that cannot be fetched, or
/// whose name leads out of the directory. Two objects that would become one file are refused, and so is one that would be a
/// file where others need a directory. Whether a file system takes two names for one that differ in case cannot be known.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd get [OPTIONS] <gs://BUCKET/OBJECT>... <DEST>")]
#[command(after_help = "\
Examples:
  gcsd get gs://my-bucket/backup.tar .
  gcsd get gs://my-bucket/backup.tar . --connections 8
  gcsd get gs://my-bucket/backup.tar - | tar t
  gcsd get gs://my-bucket/log.txt - --range 0-999    the first 1,000 bytes
  gcsd get gs://my-bucket/log.txt - --range=-1000    the last 1,000 bytes
  gcsd get 'gs://my-bucket/logs/2025-*.gz' .
  gcsd get -r gs://my-bucket/site .                  becomes ./site/...
  gcsd get -r gs://my-bucket/site/ new               becomes new/...
  gcsd get -r -p gs://my-bucket/site . --exclude '*.tmp'
  gcsd ls 'gs://my-bucket/*.txt' | gcsd get --stdin .")]
pub(super) struct GetArgs {
    /// What to fetch, and where to: objects, or patterns of them, and with --recursive what their names begin with up to a
    /// '/'; the file, a directory for it, or '-' for standard output. Several objects need a directory.
    #[arg(value_names = ["gs://BUCKET/OBJECT", "DEST"], num_args = 1.., required = true)]
    pub(super) operands: Vec<OsString>,
    /// What lies below the sources, too.
    #[arg(long, short, visible_short_alias = 'R')]
    pub(super) recursive: bool,
    /// Skip files that are there already, and say so: that is no failure.
    #[arg(long, short)]
    pub(super) no_clobber: bool,
    /// Only these bytes: FIRST-LAST (both included, counted from 0), FIRST-, or -COUNT for the last ones.
    #[arg(long, value_name = "RANGE", value_parser = range, allow_hyphen_values = true)]
    pub(super) range: Option<ByteRange>,
    /// Let GCS decompress what is stored with 'Content-Encoding: gzip'. The bytes are then not those that
    /// GCS keeps a checksum of, and a read that breaks cannot go on.
    #[arg(long)]
    pub(super) decompress: bool,
    /// Give files the time when those were last written to that the objects were made of, where the metadata has it: as 'gcsd
    /// put', rclone, gsutil and gcloud keep it.
    #[arg(long, short = 'p')]
    pub(super) preserve_mtime: bool,
    /// Read a file over so many connections at once, at least 1 MiB over each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) connections: u64,
    #[command(flatten)]
    pub(super) reporting: Reporting,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
    #[command(flatten)]
    pub(super) naming: Naming,
    #[command(flatten)]
    pub(super) listed: Listed,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    pub(super) jobs: Jobs,
    #[command(flatten)]
    pub(super) version: Version,
    #[command(flatten)]
    pub(super) key: KeyArgs,
    /// The key, once it was read.
    #[arg(skip)]
    pub(super) known_key: Option<EncryptionKey>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

/// Reads `0-999`, `1000-`, `-1000`.
pub(super) fn range(text: &str) -> Result<ByteRange, String> {
    let form = || format!("'{text}' is not FIRST-LAST, FIRST- or -COUNT");
    let number = |text: &str| gcsd_types::digits::<u64>(text).ok_or_else(form);
    let (first, last) = text.split_once('-').ok_or_else(form)?;
    match (first, last) {
        ("", count) => match number(count)? {
            0 => Err("the last 0 bytes are none".to_owned()),
            count => Ok(ByteRange::Suffix(count)),
        },
        (first, "") => Ok(ByteRange::From(number(first)?)),
        (first, last) => {
            let (offset, last) = (number(first)?, number(last)?);
            match last.checked_sub(offset).and_then(|len| len.checked_add(1)) {
                Some(len) => Ok(ByteRange::Of { offset, len }),
                None => Err(format!("'{text}' ends before it begins, or never")),
            }
        }
    }
}

impl GetArgs {
    /// How the sources are walked to.
    pub(super) fn walking(&self, download: &Download) -> Walking {
        Walking {
            recursive: self.recursive,
            excluded: self.exclude.read(),
            ..Walking::new(download.requests.clone(), &self.version.payer)
        }
    }

    /// Nothing is said but failures.
    pub(super) fn is_quiet(&self) -> bool {
        self.reporting.quiet
    }

    /// An object as the wire names it.
    pub(super) fn object_ref(&self, bucket: BucketName, object: ObjectName) -> ObjectRef {
        ObjectRef {
            key: self.known_key.clone(),
            ..self.version.of(bucket, object)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range("0-0"), Ok(ByteRange::Of { offset: 0, len: 1 }));
        assert_eq!(range("5-9"), Ok(ByteRange::Of { offset: 5, len: 5 }));
        assert_eq!(range("5-"), Ok(ByteRange::From(5)));
        assert_eq!(range("-5"), Ok(ByteRange::Suffix(5)));
        for bad in [
            "",
            "-",
            "5",
            "9-5",
            "-0",
            "a-b",
            "1-2-3",
            "0-18446744073709551615",
            "-1-2",
        ] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
