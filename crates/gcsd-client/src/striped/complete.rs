//! Parts of a multipart upload become the object.

use super::super::reliable::backoff::Backoff;
use super::super::{Failure, UploadError};
use super::assemble::{Assembly, place};
use super::checkpoint::{Part, StripedCheckpoint};
use super::error::StripedError;
use super::requests::{again, reliably};
use super::route::{Route, StoredObject};
use gcsd_types::{self, Destination, MultipartRef, ObjectRef};
use gcsd_wire::{Kind, Retry};

impl<R: Route> Assembly<R> {
    /// Starts a multipart upload. Of one whose answer was lost nobody has the name: it has no parts, and never will.
    pub(super) async fn start_multipart(&self, destination: &Destination) -> Result<String, StripedError> {
        let mut destination = destination.clone();
        destination.preconditions = gcsd_types::Preconditions::default();
        let start = || self.route.start_multipart(&destination);
        let started = reliably(&self.retries, self.retries.budget, &self.board, start).await;
        started.map_err(|error| StripedError::Request {
            what: "the multipart upload could not be started",
            error: Box::new(error),
        })
    }

    /// Makes the object, and verifies it.
    ///
    /// An upload is completed once: where an earlier attempt's answer was lost, a later one finds no such upload, and the
    /// object shows whether that is because it was completed. `doubt` says that there was such an attempt before.
    pub(super) async fn complete(
        &self,
        destination: &Destination,
        upload: &MultipartRef,
        checkpoint: &StripedCheckpoint,
        mut doubt: bool,
    ) -> Result<StoredObject, StripedError> {
        let failed = |error| StripedError::Request {
            what: "the parts could not be made an object",
            error: Box::new(error),
        };
        let Some(whole) = checkpoint.content() else {
            return Err(StripedError::Stopped);
        };
        let is_new =
            |found: &StoredObject| checkpoint.replaces != Some(found.info.generation) && whole.is(found);
        let parts = checkpoint.sent();
        let there = place(destination);
        let mut backoff = Backoff::new(&self.retries, self.retries.budget);
        let made = loop {
            let failure = match self.route.complete_multipart(upload, &parts).await {
                Ok(generation) => {
                    let made = ObjectRef { generation, ..there };
                    break self.look(&made).await.map_err(failed)?;
                }
                Err(failure) => failure,
            };
            if failure.is(Kind::NotFound) {
                let found = self.look(&there).await.map_err(failed)?;
                match found.filter(|found| doubt && is_new(found)) {
                    Some(found) => break Some(found),
                    None => return Err(failed(UploadError::Refused(failure))),
                }
            }
            if let Err(error) = again(&mut backoff, &self.board, failure).await {
                let found = self.route.stat(&there).await.ok();
                match found.filter(is_new) {
                    Some(found) => break Some(found),
                    None => return Err(failed(error)),
                }
            }
            doubt = true;
        };
        let gone = || {
            let text = "the object was made, and is not there any more";
            failed(UploadError::Refused(Failure::of(
                Kind::NotFound,
                Retry::Never,
                text,
            )))
        };
        self.verify(destination, made.ok_or_else(gone)?, whole).await
    }
}

impl StripedCheckpoint {
    /// The parts that are there, as the list of what the object is made of names them.
    fn sent(&self) -> Vec<gcsd_types::Part> {
        let parts = (1..).zip(&self.parts);
        let sent = parts.filter_map(|(number, part)| match part {
            Part::Sent { etag, .. } => Some(gcsd_types::Part {
                number,
                etag: etag.clone(),
            }),
            _ => None,
        });
        sent.collect()
    }
}
