//! `gcsd put`: a file or a pipe becomes an object.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Map, Value};

use super::connect::Daemon;
use super::exit::Failure;
use super::gs_url::{GsUrl, Target};
use super::new_object::NewObject;
use super::pipe::{Chunks, Pipe};
use super::resume::{Identity, Resume};
use super::retries::Retries;
use super::stop::Signals;
use super::upload::{Metered, Telling, Upload, Uploaded};
use super::{progress, recovered, units};
use crate::client::{FileSource, ReliableUpload, ReliableWriter, Rereadable as _, ViaDaemon};

/// Upload a file, or what comes through a pipe, as one object.
///
/// The bytes go to the daemon and from there straight into GCS. The object appears only when it is
/// complete and has the checksum (CRC32C) of the bytes that were read here. Whatever fails on the way and
/// can be recovered from is: the connection, the daemon, GCS. A file is read again from where GCS has it, of
/// a pipe what GCS has not confirmed is held. If the upload fails for good it is cancelled, and the message
/// says what is in GCS.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd put backup.tar gs://my-bucket/2025/backup.tar
  gcsd put photo.jpg gs://my-bucket/photos/ --content-type image/jpeg
  gcsd put disk.img gs://my-bucket/disk.img --resume-file disk.state
  tar cz /home | gcsd put - gs://my-bucket/home.tgz
  gcsd put config.json gs://my-bucket/config.json --if-generation-match 1712345678901234")]
pub(super) struct PutArgs {
    /// The file, or '-' for standard input.
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The object; with a '/' at the end, the file's name is added.
    #[arg(value_name = "gs://BUCKET/OBJECT")]
    target: Target,
    /// Print the finished object's JSON resource, and in it as "gcsd" what was recovered from.
    #[arg(long, env = "GCSD_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    json: bool,
    /// Show no progress, and nothing of what is recovered from.
    #[arg(long, short, env = "GCSD_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    quiet: bool,
    /// Keep here what a later run needs to go on, however this one ends: killed, interrupted or failed. The same command
    /// again goes on; the file is gone once the object is there. It holds a token that can write the object: keep it to
    /// yourself.
    #[arg(long, value_name = "STATE", env = "GCSD_RESUME_FILE")]
    resume_file: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    retries: Retries,
    #[command(flatten)]
    chunks: Chunks,
    #[command(flatten)]
    new: NewObject,
}

/// Where the bytes come from.
enum Source {
    File(FileSource),
    Pipe(Pipe),
}

/// Runs the command.
pub(super) async fn run(args: PutArgs) -> Result<(), Failure> {
    let stop = Signals::new()?.first();
    let name = args.source.file_name().and_then(OsStr::to_str);
    let name = name.filter(|_| args.source.as_os_str() != "-");
    let url = args.target.named(name).map_err(Failure::usage)?;
    let source = open(&args).await?;
    let size = match &source {
        Source::File(file) => Some(file.size()),
        Source::Pipe(_) => None,
    };
    let bar = progress::bar(size, args.quiet);
    let (upload, resume) = begin(&args, &url, source, size, &bar)?;
    let telling = Telling {
        url: &url,
        bar: &bar,
        patience: &args.retries.patience,
        quiet: args.quiet,
    };
    let uploaded = upload.run(&telling, resume, stop).await?;
    bar.finish_and_clear();
    report(&args, &url, &uploaded)
}

/// That the source cannot be read again.
fn no_resume() -> Failure {
    Failure::usage("--resume-file needs a file: what has come through a pipe cannot be read again")
}

/// Opens the source.
async fn open(args: &PutArgs) -> Result<Source, Failure> {
    let failed = |error: &std::io::Error| Failure::io(args.source.display(), error);
    let pipe = |pipe: std::io::Result<Pipe>| pipe.map(Source::Pipe).map_err(|error| failed(&error));
    if args.source.as_os_str() == "-" {
        if args.resume_file.is_some() {
            return Err(no_resume());
        }
        return pipe(Pipe::read(std::io::stdin()));
    }
    let path = args.source.clone();
    // To open a named pipe waits for somebody who writes to it.
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    });
    let opened = opened.await.map_err(std::io::Error::other).flatten();
    let (file, metadata) = opened.map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(
            Failure::usage("it is a directory, and an object is made of a file").at(args.source.display()),
        );
    }
    if !metadata.is_file() {
        if args.resume_file.is_some() {
            return Err(no_resume().at(args.source.display()));
        }
        return pipe(Pipe::read(file));
    }
    let file = FileSource::new(file).map_err(|error| failed(&error))?;
    Ok(Source::File(file))
}

/// Starts the upload, or goes on with it.
fn begin(
    args: &PutArgs,
    url: &GsUrl,
    source: Source,
    size: Option<u64>,
    bar: &ProgressBar,
) -> Result<(Upload, Option<Resume>), Failure> {
    let object = args.new.start_args(url, size)?;
    let resume = match (&args.resume_file, &source) {
        (Some(path), Source::File(file)) => {
            let of = Identity::new(file, url, &object);
            Some(Resume::open(path, of)?)
        }
        _ => None,
    };
    let open = ViaDaemon::through(args.daemon.daemons()?, object);
    let retries = args.retries.policy();
    let checkpoint = resume.as_ref().and_then(Resume::checkpoint);
    let upload = match source {
        Source::File(source) => {
            let meter = bar.clone();
            let source = Metered { source, bar: meter };
            Upload::Whole(match checkpoint {
                None => ReliableUpload::start(open, source, retries),
                Some(checkpoint) => {
                    if !args.quiet {
                        bar.suspend(|| eprintln!("gcsd: going on with the upload of an earlier run"));
                    }
                    ReliableUpload::resume(open, source, checkpoint, args.retries.resuming())
                }
            })
        }
        Source::Pipe(pipe) => {
            let options = args.chunks.options(retries)?;
            let writer = ReliableWriter::start(open, &options).map_err(Failure::usage)?;
            Upload::Piped(writer, pipe)
        }
    };
    Ok((upload, resume))
}

fn report(args: &PutArgs, url: &GsUrl, uploaded: &Uploaded) -> Result<(), Failure> {
    if !args.quiet {
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            let size = units::show_size(uploaded.object.size);
            eprintln!("{url}: {size}, generation {}", uploaded.object.generation);
        }
        if let Some(line) = recovered::line(&uploaded.report) {
            eprintln!("gcsd: {line}");
        }
    }
    if args.json {
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{:#}", json(uploaded));
        return written.map_err(|error| Failure::io("standard output", &error));
    }
    Ok(())
}

/// GCS's JSON resource of the object, with what was recovered from.
fn json(uploaded: &Uploaded) -> Value {
    let resource = uploaded.report.resource.as_deref().unwrap_or_default();
    let mut resource: Map<String, Value> = serde_json::from_slice(resource).unwrap_or_default();
    resource.insert("gcsd".to_owned(), recovered::json(&uploaded.report));
    Value::Object(resource)
}
