//! One upload on the command line: what it says meanwhile, and what it leaves behind.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use super::producer::Producer;
use super::recovered::{self, Told, report_failures};
use super::reporting;
use super::resume::Resume;
use super::retries::Patience;
use super::stderr;
use super::stripes::describe_leftovers;
use super::upload_failure::UploadFailure;
use gcsd_client::{
    Aborted, BodySource, Leftovers, NextPiece, ReliableUpload, ReliableWriter, ReplaySource, Report,
    SourceChanged, Striped, StripedAborted, StripedUpload,
};
use gcsd_types::ObjectInfo;
use gcsd_wire::Kind;

/// How much later than its command a process may hear of a signal that went to both.
const ECHO: Duration = Duration::from_millis(200);

/// An object that is finished, and has the size and the checksum of what was sent.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub(super) object: ObjectInfo,
    /// What it went through.
    pub(super) report: Report,
    /// What could not be cleared up.
    pub(super) leftovers: Leftovers,
}

impl Uploaded {
    /// For programs: the object, with what was recovered from.
    pub(super) fn json(&self) -> Value {
        let resource = self.report.resource.as_deref().unwrap_or_default();
        let mut line = reporting::with_resource(&self.object, &reporting::resource(resource));
        line["gcsd"] = recovered::json(&self.report);
        line
    }
}

/// An upload under way.
pub(super) enum Upload {
    /// Of what can be read again.
    Whole(ReliableUpload),
    /// Of what can be read once.
    Piped(ReliableWriter, Producer),
    /// In parts, of what can be read again.
    Striped(StripedUpload),
}

/// Who learns what while an upload is under way.
pub(super) struct Console<'a> {
    pub(super) url: &'a GsUrl,
    pub(super) bar: &'a ProgressBar,
    pub(super) patience: &'a Patience,
    pub(super) said: Told,
    pub(super) quiet: bool,
}

impl Upload {
    /// Brings the upload to its end. When that fails or `stop` resolves first, the upload is left to a later run that
    /// can `resume` it, or thrown away.
    pub(super) async fn run(
        mut self,
        console: &Console<'_>,
        mut resume: Option<Resume>,
        stop: impl Future<Output = ()>,
    ) -> Result<Uploaded, Failure> {
        tokio::pin!(stop);
        let reports = self.reports();
        let (failure, why) = tokio::select! {
            result = self.finish(console.bar) => match result {
                Ok(Striped { object, leftovers, .. }) => {
                    let report = reports.borrow().clone();
                    // Where something is left, the same command again clears it up.
                    resume.filter(|_| leftovers.is_empty()).map_or(Ok(()), Resume::remove)?;
                    return Ok(Uploaded { object, report, leftovers });
                }
                Err((failure, why)) => (failure.or_at(console.url), why),
            },
            () = &mut stop => (Failure::interrupted().at(console.url), None),
            failure = follow(resume.as_mut(), reports.clone()) => {
                // What cannot be kept is of no use to a later run.
                resume = None;
                (failure, None)
            }
            never = report_failures(reports.clone(), console.patience, console.said.clone(), console.quiet) => never,
        };
        stderr::clear();
        // The terminal sends Ctrl-C to the command, too, which may have ended before this process heard of it.
        let (failure, why) = match failure.exit() {
            Exit::Producer if timeout(ECHO, stop).await.is_ok() => {
                (Failure::interrupted().at(console.url), None)
            }
            _ => (failure, why),
        };
        if let Self::Piped(_, producer) = &mut self {
            producer.stop().await;
        }
        let striped = matches!(self, Self::Striped(_));
        let started = striped || reports.borrow().checkpoint.is_some();
        if let Some(resume) = &resume
            && started
            && resume.can_continue(&failure, why.as_ref())
        {
            return Err(resume.explain(failure, why.as_ref()).or_at(console.url));
        }
        let (rest, left) = match started {
            // What is known has been said; the rest is only to be tidy.
            _ if failure.exit() == Exit::Unknown && !striped => {
                let _tidied = self.abort().await;
                let _left = resume.map(Resume::remove);
                return Err(failure);
            }
            // GCS has said so itself.
            _ if failure.made_nothing() && !striped => ("no object was made".to_owned(), None),
            false => ("nothing was uploaded".to_owned(), None),
            true => {
                let aborted = self.abort().await;
                let left = describe_leftovers(console.url, &aborted.leftovers);
                (cleared_up(aborted.object), left)
            }
        };
        let Some(left) = left else {
            // Where it cannot be removed, the next run refuses it.
            let _left = resume.map(Resume::remove);
            return Err(failure.also(rest));
        };
        let failure = failure.also(format!("{rest}; {left}"));
        Err(match resume {
            Some(_) => failure.advise_too("the same command with --abort tries again to delete them"),
            None => failure,
        })
    }

    fn reports(&self) -> watch::Receiver<Report> {
        match self {
            Self::Whole(upload) => upload.reports(),
            Self::Piped(writer, _) => writer.reports(),
            Self::Striped(upload) => upload.reports(),
        }
    }

    async fn finish(&mut self, bar: &ProgressBar) -> Result<Striped, (Failure, Option<UploadFailure>)> {
        let finished = match self {
            Self::Whole(upload) => upload.wait().await,
            Self::Striped(upload) => {
                let striped = upload.wait().await.map_err(UploadFailure::Striped);
                return striped.map_err(|why| (Failure::from(&why), Some(why)));
            }
            Self::Piped(writer, producer) => loop {
                let piece = tokio::select! {
                    piece = producer.next() => piece.map_err(|failure| (failure, None))?,
                    error = writer.failed() => break Err(error),
                };
                let Some(piece) = piece else {
                    break writer.wait().await;
                };
                let len = piece.len() as u64;
                if let Err(error) = writer.write_bytes(piece).await {
                    break Err(error);
                }
                bar.inc(len);
            },
        };
        match finished.map_err(UploadFailure::Whole) {
            Ok(object) => Ok(object.into()),
            Err(why) => Err((Failure::from(&why), Some(why))),
        }
    }

    async fn abort(self) -> StripedAborted {
        match self {
            Self::Whole(upload) => upload.abort().await.into(),
            Self::Piped(writer, _) => writer.abort().await.into(),
            Self::Striped(upload) => upload.abort().await,
        }
    }
}

/// Keeps the state of the upload. Resolves only if that fails.
async fn follow(resume: Option<&mut Resume>, reports: watch::Receiver<Report>) -> Failure {
    match resume {
        Some(resume) => resume.follow(reports).await,
        None => pending().await,
    }
}

/// What is in GCS after an upload was thrown away.
pub(super) fn cleared_up(aborted: Aborted) -> String {
    match aborted {
        Aborted::Cancelled => "the upload was cancelled, no object was made".to_owned(),
        Aborted::AlreadyFinished { generation: 0 } => {
            "the object was made all the same: look at it with 'gcsd stat'".to_owned()
        }
        Aborted::AlreadyFinished { generation } => {
            format!("the object was made all the same, as generation {generation}")
        }
        Aborted::Unknown { error: None } => {
            "the upload is gone, and it is unknown whether the object was made: look with 'gcsd stat'".to_owned()
        }
        Aborted::Unknown { error: Some(error) } if error.is(Kind::Fenced) => {
            "whoever has it now may finish it".to_owned()
        }
        Aborted::Unknown { error: Some(_) } => {
            "the upload could not be cancelled; GCS forgets it within a week, and 'gcsd stat' tells whether there is an object"
                .to_owned()
        }
    }
}

/// A source that shows on a bar how far it was read.
pub(super) struct Metered<R> {
    source: R,
    bar: ProgressBar,
    /// How far it was read.
    at: Arc<AtomicU64>,
}

impl<R> Metered<R> {
    /// Over `source`, on a bar that others may move, too.
    pub(super) fn new(source: R, bar: ProgressBar) -> Self {
        let at = Arc::default();
        Self { source, bar, at }
    }
}

impl<R: ReplaySource> ReplaySource for Metered<R> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        // What is read again counts once.
        let before = self.at.swap(offset, Ordering::Relaxed);
        self.bar.inc(offset.saturating_sub(before));
        self.bar.dec(before.saturating_sub(offset));
        Box::new(MeteredBody {
            source: self.source.read(offset, len),
            bar: self.bar.clone(),
            at: self.at.clone(),
        })
    }

    fn check(&self) -> Result<(), SourceChanged> {
        self.source.check()
    }
}

struct MeteredBody {
    source: Box<dyn BodySource>,
    bar: ProgressBar,
    at: Arc<AtomicU64>,
}

impl BodySource for MeteredBody {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let piece = self.source.next().await?;
            self.bar.inc(piece.len() as u64);
            self.at.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(piece)
        })
    }
}
