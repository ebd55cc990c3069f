//! `gcsd get`: an object becomes a file or a stream.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::conditions::ObjectArgs;
use super::connect::Daemon;
use super::destination::Destination;
use super::download::{Download, Downloaded};
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::retries::Patience;
use super::stop::Signals;
use super::{progress, recovered};
use crate::client::{ReliableRequests, Report};
use crate::types::ObjectRef;
use crate::wire::read_at::{self, Range};

/// Download an object, or a part of it.
///
/// A file appears under its name only when all bytes are there and have the checksum (CRC32C) that GCS
/// keeps; until then they are in a temporary file beside it, which is removed if anything fails. A read that breaks
/// goes on behind the last byte that came, in the same generation of the object.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd get gs://my-bucket/backup.tar .
  gcsd get gs://my-bucket/backup.tar . --connections 8
  gcsd get gs://my-bucket/backup.tar - | tar t
  gcsd get gs://my-bucket/log.txt - --range 0-999    the first 1,000 bytes
  gcsd get gs://my-bucket/log.txt - --range 1000-    all but those
  gcsd get gs://my-bucket/log.txt - --range=-1000    the last 1,000 bytes")]
pub(super) struct GetArgs {
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// The file, a directory for it, or '-' for standard output.
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Only these bytes: FIRST-LAST (both included, counted from 0), FIRST-, or -COUNT for the last ones.
    #[arg(long, value_name = "RANGE", value_parser = range, allow_hyphen_values = true, env = "GCSD_RANGE")]
    range: Option<Range>,
    /// Let GCS decompress what is stored with 'Content-Encoding: gzip'. The bytes are then not those that
    /// GCS keeps a checksum of, and a read that breaks cannot go on.
    #[arg(long, env = "GCSD_DECOMPRESS", value_parser = FalseyValueParser::new())]
    decompress: bool,
    /// Read a file over so many connections at once, at least 1 MiB over each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64), env = "GCSD_CONNECTIONS")]
    connections: u64,
    /// Print what came as JSON, and in it as "gcsd" what was recovered from.
    #[arg(long, env = "GCSD_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    /// Show no progress, and nothing of what is recovered from.
    #[arg(long, short, env = "GCSD_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    patience: Patience,
}

/// Reads `0-999`, `1000-`, `-1000`.
pub(super) fn range(text: &str) -> Result<Range, String> {
    let form = || format!("'{text}' is not FIRST-LAST, FIRST- or -COUNT");
    let number = |text: &str| text.parse::<u64>().map_err(|_| form());
    let (first, last) = text.split_once('-').ok_or_else(form)?;
    match (first, last) {
        ("", count) => match number(count)? {
            0 => Err("the last 0 bytes are none".to_owned()),
            count => Ok(Range::Suffix(count)),
        },
        (first, "") => Ok(Range::From(number(first)?)),
        (first, last) => {
            let (offset, last) = (number(first)?, number(last)?);
            match last.checked_sub(offset).and_then(|len| len.checked_add(1)) {
                Some(len) => Ok(Range::Of { offset, len }),
                None => Err(format!("'{text}' ends before it begins, or never")),
            }
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: GetArgs) -> Result<(), Failure> {
    let stop = Signals::new()?.first();
    let got = get(&args, stop).await;
    got.map_err(|failure| failure.or_at(&args.object.url))
}

async fn get(args: &GetArgs, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let to_stdout = args.destination.as_os_str() == "-";
    if to_stdout && args.json {
        return Err(Failure::usage(
            "--json and the bytes cannot both go to standard output",
        ));
    }
    let reports = watch::Sender::default();
    let bar = progress::bar((!args.decompress).then_some(0), args.quiet || to_stdout);
    let downloaded = tokio::select! {
        downloaded = download(args, &bar, &reports) => downloaded,
        () = stop => Err(Failure::interrupted()),
        never = recovered::tell(reports.subscribe(), &bar, &args.patience, args.quiet) => never,
    };
    bar.finish_and_clear();
    let report = reports.borrow();
    if let (Ok(_), false, Some(line)) = (&downloaded, args.quiet, recovered::line(&report)) {
        eprintln!("gcsd: {line}");
    }
    let downloaded = downloaded?;
    if args.json {
        let mut line = downloaded.json(&report);
        line["url"] = args.object.url.to_string().into();
        let written = writeln!(std::io::stdout().lock(), "{line}");
        return written.map_err(|error| Failure::io("standard output", &error));
    }
    Ok(())
}

async fn download(
    args: &GetArgs,
    bar: &ProgressBar,
    reports: &watch::Sender<Report>,
) -> Result<Downloaded, Failure> {
    let daemons = args.daemon.reached().await?;
    let retries = args.patience.policy();
    let download = Download {
        requests: ReliableRequests::new(daemons.clone(), retries.clone()).reporting(reports.clone()),
        daemons,
        retries,
        connections: args.connections,
        reports: reports.clone(),
    };
    let request = read_at::Args {
        of: ObjectRef {
            key: args.key.read()?,
            ..args.object.object_ref()
        },
        range: args.range.unwrap_or(Range::From(0)),
        decompress: args.decompress,
    };
    let object = args.object.url.object.as_str();
    let name = object.rsplit('/').find(|part| !part.is_empty()).unwrap_or(object);
    let open = || Destination::open(&args.destination, name);
    download.run(request, bar, open).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range("0-0"), Ok(Range::Of { offset: 0, len: 1 }));
        assert_eq!(range("5-9"), Ok(Range::Of { offset: 5, len: 5 }));
        assert_eq!(range("5-"), Ok(Range::From(5)));
        assert_eq!(range("-5"), Ok(Range::Suffix(5)));
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
