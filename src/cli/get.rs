//! `gcsd get`: an object becomes a file or a stream.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;

use super::conditions::ObjectArgs;
use super::connect::Daemon;
use super::destination::{Destination, Writing};
use super::exit::{Exit, Failure};
use super::progress;
use super::stop::Signals;
use crate::client::ObjectReader;
use crate::wire::read_at::{self, Range};

/// Download an object, or a part of it.
///
/// A file appears under its name only when all bytes are there and have the checksum (CRC32C) that GCS
/// keeps; until then they are in a temporary file beside it, which is removed if anything fails.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd get gs://my-bucket/backup.tar .
  gcsd get gs://my-bucket/backup.tar - | tar t
  gcsd get gs://my-bucket/log.txt - --range 0-999    the first 1,000 bytes
  gcsd get gs://my-bucket/log.txt - --range 1000-    all but those
  gcsd get gs://my-bucket/log.txt - --range=-1000    the last 1,000 bytes")]
pub(super) struct GetArgs {
    #[command(flatten)]
    object: ObjectArgs,
    /// The file, a directory for it, or '-' for standard output.
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Only these bytes: FIRST-LAST (both included, counted from 0), FIRST-, or -COUNT for the last ones.
    #[arg(long, short, value_name = "RANGE", value_parser = range, allow_hyphen_values = true, env = "GCSD_RANGE")]
    range: Option<Range>,
    /// Let GCS decompress what is stored with 'Content-Encoding: gzip'. The bytes are then not those that
    /// GCS keeps a checksum of.
    #[arg(long, env = "GCSD_DECOMPRESS", value_parser = clap::builder::FalseyValueParser::new())]
    decompress: bool,
    /// Show no progress bar.
    #[arg(long, short, env = "GCSD_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    quiet: bool,
    #[command(flatten)]
    daemon: Daemon,
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
    tokio::pin!(stop);
    let (reader, writing) = tokio::select! {
        begun = begin(args) => begun?,
        () = &mut stop => return Err(Failure::interrupted()),
    };
    let bar = progress::bar(
        reader.start().len,
        args.quiet || args.destination.as_os_str() == "-",
    );
    let copied = tokio::select! {
        copied = copy(reader, &writing, &bar) => copied,
        () = &mut stop => {
            writing.give_up().await;
            return Err(Failure::interrupted());
        }
    };
    let whole = args.range.is_none() && !args.decompress;
    let result = match copied {
        Ok(Some(reader)) if whole => check(&reader),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    };
    let ended = writing.end(result.is_ok()).await;
    bar.finish_and_clear();
    result.and(ended)
}

/// Begins to read, then opens the destination: what cannot be read leaves it alone.
async fn begin(args: &GetArgs) -> Result<(ObjectReader, Writing), Failure> {
    let connection = args.daemon.open().await?;
    let request = read_at::Args {
        of: args.object.object_ref(),
        range: args.range.unwrap_or(Range::From(0)),
        decompress: args.decompress,
    };
    let reader = connection.read_at(&request).await?;
    let object = args.object.url.object.as_str();
    let name = object.rsplit('/').find(|part| !part.is_empty()).unwrap_or(object);
    let destination = Destination::open(&args.destination, name)?;
    Ok((reader, Writing::begin(destination)))
}

/// Copies to the end of the object. `None` if the destination failed, which knows why.
async fn copy(
    mut reader: ObjectReader,
    writing: &Writing,
    bar: &ProgressBar,
) -> Result<Option<ObjectReader>, Failure> {
    while let Some(piece) = reader.next().await? {
        let len = piece.len() as u64;
        if !writing.write(piece).await {
            return Ok(None);
        }
        bar.inc(len);
    }
    Ok(Some(reader))
}

/// Compares the bytes of a whole object with what GCS keeps of it.
fn check(reader: &ObjectReader) -> Result<(), Failure> {
    let object = &reader.start().object;
    let came = reader.end().map_or(0, |end| end.sent);
    let crc32c = reader.crc32c();
    match object.crc32c {
        Some(stored) if stored != crc32c => {
            let what = format!("the object has the CRC32C {stored}, and the bytes that came have {crc32c}");
            Err(Failure::new(Exit::Differs, "damaged", what).advise("try again"))
        }
        _ if object.size != came => {
            let what = format!("the object has {} bytes, and {came} came", object.size);
            Err(Failure::new(Exit::Differs, "damaged", what).advise("try again"))
        }
        _ => Ok(()),
    }
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
