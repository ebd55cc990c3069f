//! The upload of one part.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{
    Checkpoint, OpenUpload, ReliableUpload, ReplaySource, Report, RetryPolicy, Token, UploadError,
};
use super::reports::PartReports;
use super::section::Section;
use gcsd_types::{Crc32c, ObjectInfo};

/// A part to upload.
pub(super) struct PartUpload<S> {
    pub(super) number: usize,
    pub(super) lane: usize,
    pub(super) source: Section<S>,
    /// What brings back an upload that is open already.
    pub(super) token: Option<Token>,
    pub(super) retries: RetryPolicy,
    pub(super) halt: CancellationToken,
    /// Receives the token as soon as there is one, and whenever it changes.
    pub(super) tokens: mpsc::Sender<(usize, Token)>,
    pub(super) reports: Arc<PartReports>,
}

/// What became of a part.
pub(super) struct PartResult {
    pub(super) number: usize,
    pub(super) lane: usize,
    pub(super) result: Result<ObjectInfo, UploadError>,
    /// What brings the upload back.
    pub(super) token: Option<Token>,
    /// How GCS describes the part.
    pub(super) resource: Option<Bytes>,
}

impl<S: ReplaySource + Sync> PartUpload<S> {
    /// Uploads the part through `open`. If it is halted, what is committed stays, and the token resumes it.
    pub(super) async fn run<U: OpenUpload>(self, open: U) -> PartResult {
        let mut upload = match self.token {
            None => ReliableUpload::start(open, self.source, self.retries),
            Some(token) => {
                let checkpoint = Checkpoint {
                    token,
                    offset: 0,
                    crc32c: Crc32c::default(),
                };
                ReliableUpload::resume(open, self.source, checkpoint, self.retries)
            }
        };
        let mut reports = upload.reports();
        let mut known = None;
        let result = loop {
            tokio::select! {
                biased;
                result = upload.wait() => break result,
                () = self.halt.cancelled() => break upload.halt().await,
                Ok(()) = reports.changed() => {}
            }
            let report = reports.borrow_and_update().clone();
            if let Some(token) = token(&report)
                && known.as_ref() != Some(&token)
            {
                known = Some(token.clone());
                // The receiver is gone only once the whole upload has ended.
                let _unheard = self.tokens.send((self.number, token)).await;
            }
            self.reports.part(self.number, report);
        };
        let mut report = reports.borrow().clone();
        let token = token(&report);
        if let Ok(object) = &result {
            report.committed = object.size;
        }
        let resource = report.resource.clone();
        self.reports.part(self.number, report);
        PartResult {
            number: self.number,
            lane: self.lane,
            result,
            token,
            resource,
        }
    }
}

fn token(report: &Report) -> Option<Token> {
    report
        .checkpoint
        .as_ref()
        .map(|checkpoint| checkpoint.token.clone())
}
