//! Parts of a multipart upload become the object.

use std::ops::ControlFlow;

use super::super::reliable::retry::{Failed, Repeatable};
use super::super::{Error, GivenUp, Seen};
use super::checkpoint::{PartState, StripedCheckpoint};
use super::content::Content;
use super::error::StripedError;
use super::requests::Requests;
use super::route::{Route, StoredObject};
use super::temporary::place;
use gcsd_types::{Destination, MultipartRef, ObjectRef, Part};
use gcsd_wire::{Kind, Retry};

/// The completion of one multipart upload.
struct Completion<'a, R> {
    requests: &'a Requests<R>,
    upload: &'a MultipartRef,
    parts: Vec<Part>,
    /// The live version of the object.
    place: ObjectRef,
    /// What the object will hold.
    whole: Content,
    /// The generation that it replaces, 0 for none.
    replaces: Option<u64>,
}

impl<R: Route> Requests<R> {
    /// Makes the object, and verifies it.
    ///
    /// An upload is completed only once. After an attempt whose answer was lost, a later one finds no such upload, and the
    /// object shows whether that is why. `unsure` says that an earlier process may have made such an attempt.
    pub(super) async fn complete(
        &self,
        destination: &Destination,
        upload: &MultipartRef,
        checkpoint: &StripedCheckpoint,
        unsure: bool,
    ) -> Result<StoredObject, StripedError> {
        let Some(whole) = checkpoint.content() else {
            return Err(StripedError::Stopped);
        };
        let completion = Completion {
            requests: self,
            upload,
            parts: checkpoint.sent(),
            place: place(destination),
            whole,
            replaces: checkpoint.replaces,
        };
        let retrier = self.retrier(self.retries.budget).unsure(unsure);
        let made = retrier.run(completion).await.map_err(failed)??;
        let gone = || {
            let text = "the object was made, but no longer exists";
            failed(GivenUp::Refused(Error::of(Kind::NotFound, Retry::Never, text)))
        };
        self.verify(destination, made.ok_or_else(gone)?, whole).await
    }
}

impl<R: Route> Repeatable for Completion<'_, R> {
    /// The object that was made, if it still exists.
    type Answer = Result<Option<StoredObject>, StripedError>;

    async fn attempt(&mut self) -> Result<Self::Answer, Error> {
        let route = &self.requests.route;
        let generation = route.complete_multipart(self.upload, &self.parts).await?;
        let made = ObjectRef {
            generation,
            ..self.place.clone()
        };
        Ok(self.requests.look(&made).await.map_err(failed))
    }

    /// Whether the object shows that it was made.
    async fn examine(&mut self, attempt: Failed) -> ControlFlow<Self::Answer> {
        if !attempt.unsure || !attempt.last {
            return ControlFlow::Continue(());
        }
        let found = self.requests.look_after(&attempt, &self.place).await;
        let error = attempt.error;
        match found {
            Ok(Some(found)) if self.is_ours(&found) => ControlFlow::Break(Ok(Some(found))),
            // It can have been made, and replaced by somebody else.
            Ok(Some(found)) if self.replaces != Some(found.info.generation) => {
                let seen = Box::new(Seen::Object(found.info));
                ControlFlow::Break(Err(failed(GivenUp::Unknown { error, seen })))
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(given_up) => ControlFlow::Break(Err(failed(given_up.unseen(error)))),
        }
    }
}

impl<R: Route> Completion<'_, R> {
    fn is_ours(&self, found: &StoredObject) -> bool {
        self.replaces != Some(found.info.generation) && self.whole.is(found)
    }
}

fn failed(error: GivenUp) -> StripedError {
    StripedError::Request {
        what: "the parts could not be made an object",
        error,
    }
}

impl StripedCheckpoint {
    /// The finished parts, as the request that completes the upload lists them.
    fn sent(&self) -> Vec<Part> {
        let parts = (1..).zip(&self.parts);
        let sent = parts.filter_map(|(number, part)| match part {
            PartState::Sent { etag, .. } => Some(Part {
                number,
                etag: etag.clone(),
            }),
            _ => None,
        });
        sent.collect()
    }
}
