//! `gcsd put` of several files: each becomes an object below a place.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Jobs, Of, Outcome};
use super::blocking::{blocking, open_regular};
use super::connect::Daemon;
use super::exclude::Exclude;
use super::exit::Failure;
use super::gs_url::{GsUrl, Place, Target};
use super::held::TWICE;
use super::local_files::{Found, Local, Looking, find};
use super::metadata::Kept;
use super::mounted;
use super::new_object::{NewObject, THERE, Template};
use super::pipe::Chunks;
use super::producer::Producer;
use super::reporting::{DryRun, Reporting};
use super::retries::Retries;
use super::same_objects::{Distinct, distinct};
use super::unchanged::{SAME, is_unchanged};
use super::upload::{Console, Metered, Upload, Uploaded};
use super::{progress, recovered, stderr};
use gcsd_client::{
    Daemons, FileContent, ReliableRequests, ReliableUpload, ReliableWriter, ReplaySource as _, Report,
    ViaDaemon, WriterOptions,
};

/// How several files are taken.
#[derive(Debug, Clone, Args)]
pub(super) struct ManyArgs {
    /// What lies in directories, too.
    #[arg(long, short, visible_short_alias = 'R')]
    pub(super) recursive: bool,
    /// Skip symbolic links in directories, rather than take them for the files that they lead to. Those that lead to
    /// directories are always skipped.
    #[arg(long)]
    ignore_symlinks: bool,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    jobs: Jobs,
}

/// What several uploads have in common.
pub(super) struct Several<'a> {
    pub(super) sources: Vec<PathBuf>,
    pub(super) target: &'a Target,
    pub(super) many: &'a ManyArgs,
    pub(super) daemon: &'a Daemon,
    pub(super) retries: &'a Retries,
    pub(super) chunks: &'a Chunks,
    pub(super) new: &'a NewObject,
    pub(super) kept: Kept,
    pub(super) skip_unchanged: bool,
    /// A flag that is for one file, where it was given.
    pub(super) alone: Option<&'static str>,
    pub(super) reporting: Reporting,
    pub(super) dry_run: DryRun,
}

impl Several<'_> {
    /// Uploads what the sources stand for.
    pub(super) async fn put(&self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        if self.sources.iter().any(|source| source.as_os_str() == "-") {
            return Err(Failure::usage("standard input has no name, and goes alone"));
        }
        if let Some(flag) = self.alone {
            return Err(Failure::usage(format!(
                "{flag} is for one file, and this may be several"
            )));
        }
        let renames = self.many.recursive && self.sources.len() == 1;
        let place = self.target.below(renames).map_err(Failure::usage)?;
        let cancelled = CancellationToken::new();
        let reports = watch::Sender::new(Report::default());
        let bar = progress::several(self.reporting.quiet);
        let batch = Batch::new(&self.many.jobs, self.reporting).doing("upload", "uploaded", &bar);
        // What is compared first says itself what it would do.
        let dry = DryRun {
            dry_run: self.dry_run.dry_run && !self.skip_unchanged,
        };
        let mut batch = batch.dry(dry).ending_at(Failure::is_for_all_uploads);
        let work = self.work(&place, &mut batch, &cancelled, &reports, &bar);
        let done = tokio::select! {
            done = work => done,
            () = stop => Err(Failure::interrupted()),
        };
        // Each upload that is under way is thrown away at GCS, too.
        cancelled.cancel();
        batch.stopped().await;
        stderr::clear();
        if let (false, Some(line)) = (self.reporting.quiet, recovered::line(&reports.borrow())) {
            stderr::line(format_args!("gcsd: {line}"));
        }
        done
    }

    async fn work(
        &self,
        place: &Place,
        batch: &mut Batch,
        cancelled: &CancellationToken,
        reports: &watch::Sender<Report>,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let options = self.chunks.options(self.retries.policy())?;
        let new = self.new.clone();
        let new = blocking(move || new.template()).await?;
        let looking = Looking {
            recursive: self.many.recursive,
            renames: place.renames(),
            ignore_symlinks: self.many.ignore_symlinks,
            excluded: self.many.exclude.read(),
        };
        let (sources, into, how) = (self.sources.clone(), place.clone(), looking.clone());
        let sources = blocking(move || {
            let distinct = distinct(sources, &how)?;
            mounted::refuse_into_itself(&distinct.sources, &into)?;
            Ok(distinct)
        });
        let Distinct { sources, twice } = sources.await?;
        for path in twice {
            let skipped = Outcome::Skipped(TWICE);
            batch.report_file(&path.display().to_string(), skipped).await;
        }
        if !bar.is_hidden() {
            show_end(&sources, looking.clone(), bar);
        }
        let daemons = self
            .daemon
            .reached(&self.retries.patience, self.reporting.quiet)
            .await?;
        let requests = ReliableRequests::new(daemons.clone(), self.retries.patience.policy());
        let requests = self.skip_unchanged.then_some(requests);
        let mut found = find(sources, looking);
        let mut number = 0_usize;
        while let Some(Found { path, is }) = found.recv().await {
            let from = path.display().to_string();
            let url = match is {
                Local::File { name } => place
                    .join(&name)
                    .map_err(|error| Outcome::Failed(Failure::usage(error))),
                Local::Skipped(why) => Err(Outcome::Skipped(why)),
                Local::Failed(failure) => Err(Outcome::Failed(failure)),
            };
            let url = match url {
                Ok(url) => url,
                Err(outcome) => {
                    batch.report_file(&from, outcome).await;
                    continue;
                }
            };
            number = number.wrapping_add(1);
            let one = One {
                path,
                daemons: daemons.starting_at(number),
                retries: self.retries.clone(),
                options: options.clone(),
                new: new.clone(),
                kept: self.kept,
                compares: requests.clone(),
                dry: self.dry_run.dry_run,
                cancelled: cancelled.clone(),
                reports: reports.clone(),
                bar: bar.clone(),
            };
            let place = url.to_string();
            let of = Of::File {
                file: from,
                url: place,
            };
            batch.add_of(of, async move { one.put(url).await }).await?;
        }
        batch.finish().await
    }
}

/// Counts the bytes of all files, so that the bar can have an end.
fn show_end(sources: &[PathBuf], looking: Looking, bar: &ProgressBar) {
    let mut found = find(sources.to_vec(), looking);
    let bar = bar.clone();
    tokio::spawn(async move {
        let mut bytes = 0_u64;
        while let Some(Found { path, is }) = found.recv().await {
            if matches!(is, Local::File { .. }) {
                let size = tokio::fs::metadata(path)
                    .await
                    .map_or(0, |metadata| metadata.len());
                bytes = bytes.saturating_add(size);
            }
        }
        progress::ends_at(&bar, bytes);
    });
}

/// One of the files.
struct One {
    path: PathBuf,
    daemons: Daemons,
    retries: Retries,
    /// Of a file whose size is not that of its bytes.
    options: WriterOptions,
    new: Template,
    kept: Kept,
    /// What is asked whether the object is there already.
    compares: Option<ReliableRequests>,
    /// It is compared, and nothing else.
    dry: bool,
    cancelled: CancellationToken,
    reports: watch::Sender<Report>,
    bar: ProgressBar,
}

impl One {
    async fn put(self, url: GsUrl) -> Outcome {
        if let Some(requests) = &self.compares {
            let object = self.new.at(&url);
            let unchanged = tokio::select! {
                unchanged = is_unchanged(requests, &object, self.path.clone()) => unchanged,
                () = self.cancelled.cancelled() => Err(Failure::interrupted()),
            };
            match unchanged {
                Ok(true) => return Outcome::Skipped(SAME),
                Ok(false) if self.dry => return Outcome::Would("upload"),
                Ok(false) => {}
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        match self.upload(&url).await {
            Ok(uploaded) => {
                self.reports.send_modify(|sum| sum.add(&uploaded.report));
                Outcome::Done(uploaded.json())
            }
            Err(failure) if self.new.is_no_clobber() && failure.is_precondition() => Outcome::Skipped(THERE),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn upload(&self, url: &GsUrl) -> Result<Uploaded, Failure> {
        let path = self.path.clone();
        let opened = blocking(move || {
            let content = open_regular(&path).and_then(FileContent::of);
            content.map_err(|error| Failure::io(path.display(), &error))
        });
        let content = tokio::select! {
            content = opened => content?,
            () = self.cancelled.cancelled() => return Err(Failure::interrupted()),
        };
        let file = match &content {
            FileContent::Sized(source) => Some(source),
            FileContent::Stream(_) => None,
        };
        let name = self.path.file_name().and_then(OsStr::to_str);
        let said = self.kept.of(name, file);
        let object = self.new.to_upload(url, file.map(|file| file.size()), &said);
        let open = ViaDaemon::through(self.daemons.clone(), object);
        let upload = match content {
            FileContent::Sized(source) => {
                let source = Metered::new(source, self.bar.clone());
                Upload::Whole(ReliableUpload::start(open, source, self.retries.policy()))
            }
            FileContent::Stream(file) => {
                let writer = ReliableWriter::start(open, &self.options).map_err(Failure::usage)?;
                let producer = Producer::read(file);
                let producer = producer.map_err(|error| Failure::io(self.path.display(), &error))?;
                Upload::Piped(writer, producer)
            }
        };
        let console = Console {
            url,
            bar: &self.bar,
            patience: &self.retries.patience,
            quiet: true,
        };
        upload.run(&console, None, self.cancelled.cancelled()).await
    }
}
