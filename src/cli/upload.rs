//! One upload on the command line: what it says meanwhile, and what it leaves behind.

use std::future::{Future, pending};

use indicatif::ProgressBar;
use tokio::sync::watch;

use super::exit::Failure;
use super::gs_url::GsUrl;
use super::pipe::Pipe;
use super::recovered::tell;
use super::resume::Resume;
use super::retries::Patience;
use crate::client::{
    Aborted, BodySource, NextPiece, ReliableUpload, ReliableWriter, Report, Rereadable, SourceChanged,
    UploadError,
};
use crate::types::ObjectInfo;
use crate::wire::Kind;

/// An object that is finished, and has the size and the checksum of what was sent.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub(super) object: ObjectInfo,
    /// What it went through.
    pub(super) report: Report,
}

/// An upload under way.
pub(super) enum Upload {
    /// Of what can be read again.
    Whole(ReliableUpload),
    /// Of a pipe.
    Piped(ReliableWriter, Pipe),
}

/// Who is told what, while an upload is under way.
pub(super) struct Telling<'a> {
    pub(super) url: &'a GsUrl,
    pub(super) bar: &'a ProgressBar,
    pub(super) patience: &'a Patience,
    pub(super) quiet: bool,
}

impl Upload {
    /// Brings the upload to its end. When that fails or `stop` resolves first, the upload is left to a later run that
    /// can `resume` it, or thrown away.
    pub(super) async fn run(
        mut self,
        telling: &Telling<'_>,
        mut resume: Option<Resume>,
        stop: impl Future<Output = ()>,
    ) -> Result<Uploaded, Failure> {
        let reports = self.reports();
        let (failure, error) = tokio::select! {
            result = self.finish(telling.bar) => match result {
                Ok(object) => {
                    let report = reports.borrow().clone();
                    resume.map_or(Ok(()), Resume::remove)?;
                    return Ok(Uploaded { object, report });
                }
                Err((failure, error)) => (failure.or_at(telling.url), error),
            },
            () = stop => (Failure::interrupted().at(telling.url), None),
            failure = follow(resume.as_mut(), reports.clone()) => {
                // What cannot be kept is of no use to a later run.
                resume = None;
                (failure, None)
            }
            never = tell(reports.clone(), telling.bar, telling.patience, telling.quiet) => never,
        };
        telling.bar.abandon();
        let started = reports.borrow().checkpoint.is_some();
        if let Some(resume) = &resume
            && started
            && resume.is_of_use(&failure, error.as_ref())
        {
            return Err(resume.explain(failure, error.as_ref()).or_at(telling.url));
        }
        let rest = match started {
            // GCS has said so itself.
            _ if failure.made_nothing() => "no object was made".to_owned(),
            false => "nothing was uploaded".to_owned(),
            true => cleared_up(self.abort().await),
        };
        // Where it cannot be removed, the next run refuses it.
        let _left = resume.map(Resume::remove);
        Err(failure.also(rest))
    }

    fn reports(&self) -> watch::Receiver<Report> {
        match self {
            Self::Whole(upload) => upload.reports(),
            Self::Piped(writer, _) => writer.reports(),
        }
    }

    async fn finish(&mut self, bar: &ProgressBar) -> Result<ObjectInfo, (Failure, Option<UploadError>)> {
        let finished = match self {
            Self::Whole(upload) => upload.wait().await,
            Self::Piped(writer, pipe) => loop {
                let piece = pipe.next().await;
                let piece = piece.map_err(|error| (Failure::io("the input", &error), None))?;
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
        finished.map_err(|error| (Failure::from(&error), Some(error)))
    }

    async fn abort(self) -> Aborted {
        match self {
            Self::Whole(upload) => upload.abort().await,
            Self::Piped(writer, _) => writer.abort().await,
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
fn cleared_up(aborted: Aborted) -> String {
    match aborted {
        Aborted::Cancelled => "the upload was cancelled, no object was made".to_owned(),
        Aborted::AlreadyFinished { generation: 0 } => {
            "the object was made all the same: look at it with 'gcsd stat'".to_owned()
        }
        Aborted::AlreadyFinished { generation } => {
            format!("the object was made all the same, as generation {generation}")
        }
        Aborted::Unknown { failure: None } => {
            "GCS knows nothing of the upload any more: 'gcsd stat' tells whether there is an object".to_owned()
        }
        Aborted::Unknown { failure: Some(failure) } if failure.is(Kind::Fenced) => {
            "whoever has it now may finish it".to_owned()
        }
        Aborted::Unknown { failure: Some(_) } => {
            "the upload could not be cancelled; GCS forgets it within a week, and 'gcsd stat' tells whether there is an object"
                .to_owned()
        }
    }
}

/// A source that shows on a bar how far it was read.
pub(super) struct Metered<R> {
    pub(super) source: R,
    pub(super) bar: ProgressBar,
}

impl<R: Rereadable> Rereadable for Metered<R> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        self.bar.set_position(offset);
        Box::new(MeteredBody {
            source: self.source.read(offset, len),
            bar: self.bar.clone(),
        })
    }

    fn check(&self) -> Result<(), SourceChanged> {
        self.source.check()
    }
}

struct MeteredBody {
    source: Box<dyn BodySource>,
    bar: ProgressBar,
}

impl BodySource for MeteredBody {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let piece = self.source.next().await?;
            self.bar.inc(piece.len() as u64);
            Ok(piece)
        })
    }
}
