//! `gcsd put`: a file or a pipe becomes an object.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;

use super::batch::{Batch, Of, Outcome};
use super::blocking::blocking;
use super::connect::Daemon;
use super::exit::{Failure, failed};
use super::gs_url::{GsUrl, Target};
use super::metadata::{Kept, Said};
use super::new_object::{NewObject, THERE};
use super::operands;
use super::pipe::Chunks;
use super::producer::Producer;
use super::put_many::{ManyArgs, Several};
use super::recovered::Told;
use super::reporting::{DryRun, Reporting};
use super::resume::{self, Begun, Identity, Resume};
use super::retries::Retries;
use super::stop::signals;
use super::stripes::{PartMeter, Stripes, describe_leftovers};
use super::unchanged::{self, SAME};
use super::upload::{Console, Metered, Upload, cleared_up};
use super::{progress, recovered, stderr};
use gcsd_client::{
    Aborted, Checkpoint, DaemonRoute, Daemons, FileContent, FileSource, ReliableRequests, ReliableUpload,
    ReliableWriter, ReplaySource as _, StripedUpload, ViaDaemon,
};

/// Upload a file, or what comes through a pipe, as one object.
///
/// The bytes go to the daemon and from there straight into GCS. The object appears only when it is
/// complete and has the checksum (CRC32C) of the bytes that were read here. Whatever fails on the way and
/// can be recovered from is: the connection, the daemon, GCS. A file is read again from where GCS has it, of
/// a pipe what GCS has not confirmed is held. If the upload fails for good it is cancelled, and the message
/// says what is in GCS.
///
/// The end of a pipe is not the success of who wrote to it: 'dump | gcsd put - ...' makes an object of what a dump wrote
/// before it died. 'gcsd put --from-command ... -- dump' makes none.
///
/// A file that changes meanwhile makes no object. What has no size that can be relied on is read once, to its end, as a pipe
/// is: devices, files of /proc and /sys, files of mounts that learn a size late. A log that grows goes so, too:
/// 'gcsd put --from-command ... -- cat log'.
///
/// The object is called exactly as it is written. Of several files, failures are reported, and the rest continues; two that
/// would become one object are refused.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd put [OPTIONS] <SRC>... <gs://BUCKET/OBJECT>\n       \
                      gcsd put [OPTIONS] --from-command <gs://BUCKET/OBJECT> -- <PROGRAM> [ARG]...")]
#[command(after_help = "\
Examples:
  gcsd put backup.tar gs://my-bucket/2025/backup.tar
  gcsd put page gs://my-bucket/pages/ --content-type text/html
  gcsd put disk.img gs://my-bucket/disk.img --resume-file disk.state
  gcsd put disk.img gs://my-bucket/disk.img --connections 8
  gcsd put *.jpg gs://my-bucket/photos/
  gcsd put -r site gs://my-bucket/                    becomes gs://my-bucket/site/...
  gcsd put -r site gs://my-bucket/new                 becomes gs://my-bucket/new/...
  gcsd put -r site gs://my-bucket/new --skip-unchanged --exclude '*.tmp'
  gcsd put --from-command gs://my-bucket/mydb.sql -- pg_dump mydb
  gcsd put --from-command gs://my-bucket/home.tgz -- bash -o pipefail -c 'tar c /home | gzip'
  gcsd put - gs://my-bucket/notes.txt < notes.txt
  gcsd put config.json gs://my-bucket/config.json --if-generation-match 1712345678901234")]
pub(super) struct PutArgs {
    /// What to upload, and what it becomes: the files, or '-' for standard input to its end, and the object. With a '/' at the end of
    /// that, the file's name is added; several files need one.
    #[arg(value_names = ["SRC", "gs://BUCKET/OBJECT"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
    #[arg(skip)]
    source: PathBuf,
    #[arg(skip)]
    command: Vec<OsString>,
    /// Upload what a command prints: the object, '--', the program and its arguments. The object appears only if the command
    /// exits with 0; if it fails, there is none, and the exit code is 8. It is started without a shell, and has the standard
    /// input and standard error of this command.
    #[arg(long, conflicts_with_all = ["recursive", "abort"])]
    from_command: bool,
    /// Keep here what a later run needs to go on, however this one ends: killed, interrupted or failed. The same command
    /// again goes on; the file is gone once the object is there. It holds a token that can write the object: keep it to
    /// yourself.
    #[arg(long, value_name = "STATE")]
    resume_file: Option<PathBuf>,
    /// Upload nothing: throw away what the run before left of this upload, and the file with it.
    #[arg(long, requires = "resume_file")]
    abort: bool,
    /// Skip files whose objects have the same size and CRC32C already, and say so: that is no failure.
    #[arg(long, conflicts_with_all = ["from_command", "resume_file"])]
    skip_unchanged: bool,
    #[command(flatten)]
    many: ManyArgs,
    #[command(flatten)]
    stripes: Stripes,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    retries: Retries,
    #[command(flatten)]
    chunks: Chunks,
    #[command(flatten)]
    new: NewObject,
    #[command(flatten)]
    kept: Kept,
}

impl PutArgs {
    fn several<'a>(&'a self, sources: &'a [OsString], target: &'a Target) -> Several<'a> {
        let alone = [
            ("--resume-file", self.resume_file.is_some()),
            ("--connections", self.stripes.is_asked_for()),
        ];
        Several {
            sources: sources.iter().map(PathBuf::from).collect(),
            target,
            many: &self.many,
            daemon: &self.daemon,
            retries: &self.retries,
            chunks: &self.chunks,
            new: &self.new,
            kept: self.kept,
            skip_unchanged: self.skip_unchanged,
            alone: alone.into_iter().find_map(|(flag, given)| given.then_some(flag)),
            reporting: self.reporting,
            dry_run: self.dry_run,
        }
    }
}

impl PutArgs {
    /// Refuses the flags that need a source which can be read again, for `why`.
    fn reads_once(&self, why: &str) -> Result<(), Failure> {
        let needs = |flag| Failure::usage(format!("{flag} needs a file that can be read again, and {why}"));
        match (&self.resume_file, self.stripes.is_asked_for()) {
            (Some(_), _) => Err(needs("--resume-file")),
            (None, true) => Err(needs("--connections")),
            (None, false) => Ok(()),
        }
    }
}

/// Where the bytes come from.
enum Source {
    File(FileSource),
    Once(Producer),
}

/// Runs the command.
pub(super) async fn run(mut args: PutArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let (sources, target) = match args.from_command {
        true => operands::split_first(&args.operands)?,
        false => operands::split(&args.operands)?,
    };
    let target: Target = operands::parse(target)?;
    match sources {
        command if args.from_command => args.command = command.to_vec(),
        [source] if !args.many.recursive => args.source = source.into(),
        several => return args.several(several, &target).put(stop).await,
    }
    let name = args.source.file_name().and_then(OsStr::to_str);
    let name = name.filter(|_| args.source.as_os_str() != "-" && !args.from_command);
    let url = target.named(name).map_err(Failure::usage)?;
    tokio::pin!(stop);
    if args.abort {
        return tokio::select! {
            aborted = abort(&args, &url) => aborted,
            () = stop => Err(Failure::interrupted().at(&url)),
        };
    }
    let mut batch = Batch::of_one(args.reporting);
    let unchanged = tokio::select! {
        unchanged = is_unchanged(&args, &url) => unchanged,
        () = &mut stop => Err(Failure::interrupted().at(&url)),
    };
    let outcome = match (unchanged, args.dry_run.dry_run) {
        (Ok(true), _) => Outcome::Skipped(SAME),
        (Ok(false), true) => Outcome::Would("upload"),
        (Ok(false), false) => one(&args, &url, stop).await.into(),
        (Err(failure), _) => Outcome::Failed(failure),
    };
    let outcome = match outcome {
        Outcome::Failed(failure) if args.new.is_no_clobber() && failure.is_precondition() => {
            Outcome::Skipped(THERE)
        }
        outcome => outcome,
    };
    let place = url.to_string();
    let of = match name {
        Some(_) => Of::File {
            file: args.source.display().to_string(),
            url: place,
        },
        None => Of::Url(place),
    };
    batch.report_of(&of, outcome).await;
    batch.finish().await
}

/// Whether the object is there already, where that is asked for.
async fn is_unchanged(args: &PutArgs, url: &GsUrl) -> Result<bool, Failure> {
    if !args.skip_unchanged {
        return Ok(false);
    }
    if args.source.as_os_str() == "-" {
        return Err(Failure::usage(
            "--skip-unchanged needs a file, and standard input comes once",
        ));
    }
    let new = args.new.clone();
    let object = blocking(move || new.template()).await?.at(url);
    let patience = &args.retries.patience;
    let daemons = args.daemon.reached(patience, args.reporting.quiet).await?;
    let requests = ReliableRequests::new(daemons, patience.policy());
    unchanged::is_unchanged(&requests, &object, args.source.clone()).await
}

/// Uploads one file or stream.
async fn one(args: &PutArgs, url: &GsUrl, stop: impl Future<Output = ()>) -> Result<Value, Failure> {
    tokio::pin!(stop);
    let prepared = tokio::select! {
        prepared = prepare(args, url) => prepared?,
        () = &mut stop => return Err(Failure::interrupted().at(url)),
    };
    let bar = progress::bar(prepared.size, args.reporting.quiet);
    let (upload, resume) = begin(args, prepared, &bar)?;
    let console = Console {
        url,
        bar: &bar,
        patience: &args.retries.patience,
        said: Told::default(),
        quiet: args.reporting.quiet,
    };
    let uploaded = upload.run(&console, resume, stop).await?;
    progress::last_line(&bar, &format!("{url}: generation {}", uploaded.object.generation));
    if let (false, Some(line)) = (args.reporting.quiet, recovered::line(&uploaded.report)) {
        stderr::line(format_args!("gcsd: {line}"));
    }
    if let Some(line) = describe_leftovers(url, &uploaded.leftovers) {
        stderr::line(format_args!("gcsd: {line}"));
    }
    Ok(uploaded.json())
}

/// Opens the source.
fn open(args: &PutArgs) -> Result<Source, Failure> {
    if let [program, words @ ..] = &args.command[..] {
        args.reads_once("what a command prints comes once")?;
        // What else can be wrong on the command line, before anything is started.
        args.chunks.options(args.retries.policy())?;
        args.new.template()?;
        return Producer::start(program, words, args.reporting.quiet).map(Source::Once);
    }
    let failed = |error: std::io::Error| Failure::io(args.source.display(), &error);
    let named = args.source.as_os_str() == "-";
    if named || gcsd_stdio::is_stdin(&args.source) {
        let input = gcsd_stdio::stdin().map_err(|error| Failure::io("standard input", &error))?;
        if named {
            args.reads_once(THROUGH_A_PIPE)?;
            return Producer::read(input).map(Source::Once).map_err(failed);
        }
    }
    // To open a named pipe waits for somebody who writes to it.
    let file = File::open(&args.source).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Failure::usage("it is a directory")
            .at(args.source.display())
            .advise("-r uploads what lies in it"));
    }
    match FileContent::of(file).map_err(failed)? {
        FileContent::Sized(source) => Ok(Source::File(source)),
        FileContent::Stream(file) => {
            let why = match metadata.is_file() {
                true => "the size of this one is not that of its bytes",
                false => THROUGH_A_PIPE,
            };
            let fits = args.reads_once(why);
            fits.map_err(|failure| failure.at(args.source.display()))?;
            Producer::read(file).map(Source::Once).map_err(failed)
        }
    }
}

/// Why a pipe does not fit.
const THROUGH_A_PIPE: &str = "what comes through a pipe comes once";

/// What an upload begins with.
struct Prepared {
    source: Source,
    size: Option<u64>,
    object: gcsd_client::NewObject,
    daemons: Daemons,
    resume: Option<Resume>,
}

/// Opens and reads what the command line names, and reaches a daemon.
async fn prepare(args: &PutArgs, url: &GsUrl) -> Result<Prepared, Failure> {
    let reached = async {
        let reached = args
            .daemon
            .reached(&args.retries.patience, args.reporting.quiet)
            .await;
        let nothing = match args.resume_file {
            Some(_) => "nothing more was uploaded",
            None => "nothing was uploaded",
        };
        reached.map_err(|failure| failure.or_at(url).also(nothing))
    };
    let opened = async {
        let (args, url) = (args.clone(), url.clone());
        blocking(move || {
            let source = open(&args)?;
            let size = match &source {
                Source::File(file) => Some(file.size()),
                Source::Once(_) => None,
            };
            let file = match &source {
                Source::File(file) => Some(file),
                Source::Once(_) => None,
            };
            let name = args.source.file_name().and_then(OsStr::to_str);
            let object = args.new.to_upload(&url, size, &args.kept.of(name, file))?;
            Ok((source, size, object))
        })
        .await
    };
    // A command is not started for nothing; of a file, what is wrong with it is known at once.
    let ((source, size, object), daemons) = match args.from_command {
        true => {
            let daemons = reached.await?;
            (opened.await?, daemons)
        }
        false => (opened.await?, reached.await?),
    };
    let resume = match (&args.resume_file, &source) {
        (Some(path), Source::File(file)) => {
            let (path, of) = (path.clone(), Identity::new(file, url, &object));
            Some(blocking(move || Resume::open(&path, of)).await?)
        }
        _ => None,
    };
    Ok(Prepared {
        source,
        size,
        object,
        daemons,
        resume,
    })
}

/// Starts the upload, or resumes it.
fn begin(args: &PutArgs, prepared: Prepared, bar: &ProgressBar) -> Result<(Upload, Option<Resume>), Failure> {
    let Prepared {
        source,
        size,
        object,
        daemons,
        resume,
    } = prepared;
    let retries = args.retries.policy();
    let cut = args.stripes.options(size, retries.clone())?;
    let begun = resume.as_ref().and_then(Resume::begun).cloned();
    if begun.is_some() && !args.reporting.quiet {
        stderr::line("gcsd: going on with the upload of an earlier run");
    }
    let bar = bar.clone();
    let upload = match (source, begun, cut) {
        (Source::File(source), Some(Begun::Whole(token)), _) => {
            let open = ViaDaemon::through(daemons, object);
            // It is read again from its start, for the checksum.
            let checkpoint = Checkpoint::from(token);
            let retries = args.retries.resuming();
            Upload::Whole(ReliableUpload::resume(
                open,
                Metered::new(source, bar),
                checkpoint,
                retries,
            ))
        }
        (Source::File(source), Some(Begun::Striped(checkpoint)), _) => {
            let options = args.stripes.resuming(retries);
            let source = PartMeter::new(source, bar, 0, Some(&checkpoint));
            let route = DaemonRoute::new(daemons);
            let keep = resume.as_ref().map(Resume::store);
            let upload = StripedUpload::resume(route, object, source, checkpoint, &options, keep);
            Upload::Striped(upload.map_err(Failure::usage)?)
        }
        (Source::File(source), None, Some(options)) => {
            let source = PartMeter::new(source, bar, options.part_size.unwrap_or(0), None);
            let route = DaemonRoute::new(daemons);
            let keep = resume.as_ref().map(Resume::store);
            let upload = StripedUpload::start(route, object, source, &options, keep);
            Upload::Striped(upload.map_err(Failure::usage)?)
        }
        (Source::File(source), None, None) => {
            let open = ViaDaemon::through(daemons, object);
            Upload::Whole(ReliableUpload::start(open, Metered::new(source, bar), retries))
        }
        (Source::Once(producer), ..) => {
            let open = ViaDaemon::through(daemons, object);
            let options = args.chunks.options(retries)?;
            let writer = ReliableWriter::start(open, &options).map_err(Failure::usage)?;
            Upload::Piped(writer, producer)
        }
    };
    Ok((upload, resume))
}

/// Throws away what an earlier run left.
async fn abort(args: &PutArgs, url: &GsUrl) -> Result<(), Failure> {
    let Some(path) = &args.resume_file else {
        return Err(Failure::usage("--abort needs --resume-file"));
    };
    let daemons = args
        .daemon
        .reached(&args.retries.patience, args.reporting.quiet)
        .await?;
    let retries = args.retries.policy();
    let (new, at, of) = (args.new.clone(), path.clone(), url.clone());
    let (object, begun) = blocking(move || {
        let object = new.to_upload(&of, None, &Said::default())?;
        Ok((object, resume::begun_before(&at, &of)?))
    })
    .await?;
    let aborted = match begun {
        Begun::Whole(token) => {
            let open = ViaDaemon::through(daemons, object);
            ReliableUpload::discard(open, token, retries).await.into()
        }
        Begun::Striped(checkpoint) => {
            let route = DaemonRoute::new(daemons);
            let discarded = StripedUpload::discard(route, &object, checkpoint, &retries).await;
            discarded.map_err(Failure::usage)?
        }
    };
    let left = describe_leftovers(url, &aborted.leftovers);
    let untold = match &aborted.object {
        Aborted::Unknown { error } => error.as_ref().map(Failure::from),
        _ => None,
    };
    let end = cleared_up(aborted.object);
    match (left, untold) {
        (Some(left), _) => Err(failed(left).at(url).also(end)),
        (None, Some(failure)) => Err(failure.at(url).also(end)),
        (None, None) => {
            resume::remove(path)?;
            if !args.reporting.quiet {
                stderr::line(format_args!("gcsd: {end}: {url}"));
            }
            Ok(())
        }
    }
}
