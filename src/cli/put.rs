//! `gcsd put`: a file or a pipe becomes an object.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::connect::Daemon;
use super::exit::Failure;
use super::gs_url::{GsUrl, Target};
use super::new_object::NewObject;
use super::stop::Signals;
use super::upload::{Input, Upload, Uploaded};
use super::{progress, units};
use crate::types::CHUNK_ALIGNMENT;

/// Upload a file, or what comes through a pipe, as one object.
///
/// The bytes go to the daemon and from there straight into GCS. The object appears only when it is
/// complete and has the checksum (CRC32C) of the bytes that were read here. If anything fails, the upload
/// is cancelled, and the message says what is in GCS.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd put backup.tar gs://my-bucket/2025/backup.tar
  gcsd put photo.jpg gs://my-bucket/photos/ --content-type image/jpeg
  tar cz /home | gcsd put - gs://my-bucket/home.tgz
  gcsd put config.json gs://my-bucket/config.json --if-generation-match 1712345678901234")]
pub(super) struct PutArgs {
    /// The file, or '-' for standard input.
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The object; with a '/' at the end, the file's name is added.
    #[arg(value_name = "gs://BUCKET/OBJECT")]
    target: Target,
    /// Print the finished object's JSON resource.
    #[arg(long, env = "GCSD_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    json: bool,
    /// Show no progress bar.
    #[arg(long, short, env = "GCSD_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    quiet: bool,
    /// How much of a pipe is sent at a time, and held in memory twice: a multiple of 256 KiB.
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = chunk, env = "GCSD_CHUNK")]
    chunk: u64,
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    new: NewObject,
}

fn chunk(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    if size == 0 || size % CHUNK_ALIGNMENT != 0 || size > 1 << 30 {
        return Err("it must be a multiple of 256 KiB, and at most 1 GiB".to_owned());
    }
    Ok(size)
}

/// Runs the command.
pub(super) async fn run(args: PutArgs) -> Result<(), Failure> {
    let stop = Signals::new()?.first();
    let name = args.source.file_name().and_then(OsStr::to_str);
    let name = name.filter(|_| args.source.as_os_str() != "-");
    let url = args.target.named(name).map_err(Failure::usage)?;
    let (input, size) = open(&args).await?;
    let start = args.new.start_args(&url, size)?;
    let bar = progress::bar(size, args.quiet);
    let uploaded = Upload::new(&args.daemon, &url, &bar)
        .run(&start, input, stop)
        .await?;
    bar.finish_and_clear();
    report(&args, &url, &uploaded)
}

/// The source, and its size where that is known.
async fn open(args: &PutArgs) -> Result<(Input, Option<u64>), Failure> {
    if args.source.as_os_str() == "-" {
        return Ok((Input::Pipe(Box::new(tokio::io::stdin()), args.chunk), None));
    }
    let failed = |error: &std::io::Error| Failure::io(args.source.display(), error);
    let file = tokio::fs::File::open(&args.source).await;
    let file = file.map_err(|error| failed(&error))?;
    let metadata = file.metadata().await.map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(
            Failure::usage("it is a directory, and an object is made of a file").at(args.source.display()),
        );
    }
    if !metadata.is_file() {
        return Ok((Input::Pipe(Box::new(file), args.chunk), None));
    }
    let size = metadata.len();
    let file = Arc::new(file.into_std().await);
    Ok((Input::Sized(size, Box::new(file)), Some(size)))
}

fn report(args: &PutArgs, url: &GsUrl, uploaded: &Uploaded) -> Result<(), Failure> {
    if args.json {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&uploaded.json).and_then(|()| out.write_all(b"\n"));
        return written.map_err(|error| Failure::io("standard output", &error));
    }
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) && !args.quiet {
        let size = units::show_size(uploaded.object.size);
        eprintln!("{url}: {size}, generation {}", uploaded.object.generation);
    }
    Ok(())
}
