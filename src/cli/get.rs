//! `gcsd get`: objects become files, or one a stream.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::batch::{Batch, Jobs, Outcome};
use super::blocking::blocking;
use super::conditions::Version;
use super::connect::Remote;
use super::destination::Destination;
use super::download::Download;
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::get_many::{self, Meant, Several};
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::{Listed, Names, Naming};
use super::operands;
use super::reporting::{DryRun, Reporting};
use super::stop::signals;
use super::walk::Walking;
use super::{progress, recovered, stderr};
use gcsd_client::ReadRequest;
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
  gcsd ls gs://my-bucket | gcsd get --stdin .")]
pub(super) struct GetArgs {
    /// What to fetch, and where to: objects, or patterns of them, and with --recursive what their names begin with up to a
    /// '/'; the file, a directory for it, or '-' for standard output. Several objects need a directory.
    #[arg(value_names = ["gs://BUCKET/OBJECT", "DEST"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
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
    /// Read a file over so many connections at once, at least 1 MiB over each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    pub(super) version: Version,
    #[command(flatten)]
    key: KeyArgs,
    /// The key, once it was read.
    #[arg(skip)]
    known_key: Option<EncryptionKey>,
    #[command(flatten)]
    remote: Remote,
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

/// Runs the command.
pub(super) async fn run(mut args: GetArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::pin!(stop);
    let key = args.key.clone();
    args.known_key = tokio::select! {
        key = blocking(move || key.read()) => key?,
        () = &mut stop => return Err(Failure::interrupted()),
    };
    let (sources, destination) = match args.listed.stdin {
        true => (&[][..], operands::destination(&args.operands)?),
        false => operands::split(&args.operands)?,
    };
    let sources: Vec<BucketUrl> = operands::parse_all(sources)?;
    let names = Names::new(&sources, &args.naming, &args.listed)?;
    let destination = Path::new(destination);
    let to_stdout = destination.as_os_str() == "-";
    if to_stdout && args.reporting.json {
        return Err(Failure::usage(
            "--json and the bytes cannot both go to standard output",
        ));
    }
    let may_be_one = sources.len() == 1 && !args.recursive;
    let reports = watch::Sender::default();
    let sized = may_be_one && !sources[0].is_pattern() && !args.decompress;
    let hidden = args.reporting.quiet || to_stdout;
    let bar = match may_be_one {
        true => progress::bar(sized.then_some(0), hidden),
        false => progress::several(hidden),
    };
    let mut batch = Batch::new(&args.jobs, args.reporting)
        .doing("fetch", "fetched", &bar)
        .dry(args.dry_run);
    let (mut one, mut several_told) = (None, false);
    let work = async {
        let download = Download::new(&args.remote, args.reporting.quiet, args.connections, &reports).await?;
        let meant = get_many::meanings(&args, names, destination, &download, &mut batch).await?;
        match meant {
            Meant::One(url, _) if args.dry_run.dry_run => {
                one = Some(url.clone());
                Ok(Some(Outcome::Would("fetch")))
            }
            Meant::One(url, generation) => {
                one = Some(url.clone());
                let got = get(&args, &url, generation, destination, &download, &bar).await?;
                Ok(Some(got))
            }
            Meant::Several(meanings) => {
                let several = Several::open(&args, meanings, destination).await?;
                several_told = true;
                several.get(&download, &bar, &mut batch).await.map(|()| None)
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = stop => Err(Failure::interrupted()),
        never = recovered::report_failures(reports.subscribe(), &args.remote.patience, args.reporting.quiet) => never,
    };
    // What was begun is cleared up before this process ends.
    batch.stop().await;
    let place = match (&one, &sources[..]) {
        (Some(url), _) => Some(url.to_string()),
        (None, [url]) if may_be_one && !several_told => Some(url.to_string()),
        _ => None,
    };
    let report = reports.borrow().clone();
    if let (Ok(_), false, Some(line)) = (&done, args.reporting.quiet, recovered::line(&report)) {
        stderr::line(format_args!("gcsd: {line}"));
    }
    let outcome = match done {
        Ok(None) => return Ok(()),
        Ok(Some(Outcome::Done(mut line))) => {
            line["gcsd"] = recovered::json(&report);
            Outcome::Done(line)
        }
        Ok(Some(outcome)) => outcome,
        Err(failure) => Outcome::Failed(failure),
    };
    match (place, outcome) {
        (Some(place), outcome) => {
            batch.report(&place, outcome).await;
            batch.finish().await
        }
        (None, Outcome::Failed(failure)) => Err(failure),
        (None, _) => Ok(()),
    }
}

impl GetArgs {
    /// How the sources are walked to.
    pub(super) fn walking(&self, download: &Download) -> Walking {
        Walking {
            recursive: self.recursive,
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

/// Fetches one object.
async fn get(
    args: &GetArgs,
    url: &GsUrl,
    generation: Option<u64>,
    destination: &Path,
    download: &Download,
    bar: &ProgressBar,
) -> Result<Outcome, Failure> {
    let mut object = args.object_ref(url.bucket.clone(), url.object.clone());
    object.generation = object.generation.or(generation);
    let request = ReadRequest::new(object)
        .with_range(args.range.unwrap_or_default())
        .with_decompress(args.decompress);
    let object = url.object.as_str();
    let name = object.rsplit('/').find(|part| !part.is_empty()).unwrap_or(object);
    let (path, name, no_clobber) = (destination.to_owned(), name.to_owned(), args.no_clobber);
    let open = move || Destination::open(&path, &name, no_clobber);
    match download.run(request, bar, open).await {
        Ok(downloaded) => Ok(Outcome::Done(downloaded.json())),
        Err(failure) if failure.is_file_there() => Ok(Outcome::Skipped(get_many::THERE)),
        Err(failure) => Err(failure),
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
