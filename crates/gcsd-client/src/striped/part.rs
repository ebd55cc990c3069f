//! One part on its way.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{
    Checkpoint, OpenUpload, ReliableUpload, ReplaySource, Report, RetryPolicy, Token, UploadError,
};
use super::board::Board;
use super::section::Section;
use gcsd_types::{Crc32c, ObjectInfo};

/// A part to upload.
pub(super) struct Job<U, S> {
    pub(super) number: usize,
    pub(super) lane: usize,
    /// Where its upload comes from.
    pub(super) open: U,
    pub(super) source: Section<S>,
    /// An upload of it that is open already.
    pub(super) token: Option<Token>,
    pub(super) retries: RetryPolicy,
    pub(super) halt: CancellationToken,
    /// Who wants to know the token as soon as there is one.
    pub(super) tokens: mpsc::Sender<(usize, Token)>,
    pub(super) board: Arc<Board>,
}

impl<S> Job<(), S> {
    /// The same, with a way to go.
    pub(super) fn through<U>(self, open: U) -> Job<U, S> {
        Job {
            number: self.number,
            lane: self.lane,
            open,
            source: self.source,
            token: self.token,
            retries: self.retries,
            halt: self.halt,
            tokens: self.tokens,
            board: self.board,
        }
    }
}

/// What became of it.
pub(super) struct Ended {
    pub(super) number: usize,
    pub(super) lane: usize,
    pub(super) result: Result<ObjectInfo, UploadError>,
    /// What brings the upload back.
    pub(super) token: Option<Token>,
    /// How GCS describes it.
    pub(super) resource: Option<Bytes>,
}

impl<U: OpenUpload, S: ReplaySource + Sync> Job<U, S> {
    /// Uploads it, unless it is halted: then what is committed stays, for who has the token.
    pub(super) async fn run(self) -> Ended {
        let mut upload = match self.token {
            None => ReliableUpload::start(self.open, self.source, self.retries),
            Some(token) => {
                let checkpoint = Checkpoint {
                    token,
                    offset: 0,
                    crc32c: Crc32c::default(),
                };
                ReliableUpload::resume(self.open, self.source, checkpoint, self.retries)
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
                // Where nobody listens any more, nobody wants to know.
                let _unheard = self.tokens.send((self.number, token)).await;
            }
            self.board.part(self.number, report);
        };
        let mut report = reports.borrow().clone();
        let token = token(&report);
        if let Ok(object) = &result {
            report.committed = object.size;
        }
        let resource = report.resource.clone();
        self.board.part(self.number, report);
        Ended {
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
