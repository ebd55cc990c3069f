//! Temporary objects become the object: composed in one step, or by way of others where they are too many.

use std::future::Future;
use std::sync::Arc;

use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::reliable::backoff::Backoff;
use super::super::{Failure, RetryPolicy, UploadError};
use super::board::Board;
use super::checkpoint::{Part, StripedCheckpoint};
use super::error::StripedError;
use super::names::Names;
use super::requests::{again, reliably};
use super::route::{Route, StoredObject};
use gcsd_types::{ComposeSource, Crc32c, Destination, ObjectInfo, ObjectName, ObjectRef};
use gcsd_wire::Kind;

/// A temporary object that is there, and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) name: ObjectName,
    pub(super) generation: u64,
    pub(super) is: Content,
}

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) crc32c: Crc32c,
    /// Of how many parts it was made.
    pub(super) parts: u64,
}

impl Content {
    /// What comes of pieces in a row.
    pub(super) fn of<'a>(pieces: impl IntoIterator<Item = &'a Self>) -> Self {
        pieces.into_iter().fold(Self::default(), |sum, next| Self {
            size: sum.size + next.size,
            // `None` only beyond the memory units of this machine, where no upload gets to.
            crc32c: sum.crc32c.combine(next.crc32c, next.size).unwrap_or_default(),
            parts: sum.parts + next.parts,
        })
    }

    /// Whether `object` holds it, and was composed of as many parts where GCS says of how many.
    pub(super) fn is(&self, object: &StoredObject) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Composite {
            component_count: Option<u64>,
        }
        let count = serde_json::from_slice::<Composite>(&object.json).ok();
        let count = count.and_then(|composite| composite.component_count);
        self.fits(&object.info) && count.is_none_or(|count| count == self.parts)
    }

    fn fits(&self, object: &ObjectInfo) -> bool {
        object.size == self.size && object.crc32c == Some(self.crc32c)
    }
}

/// What came of a composition.
pub(super) enum Composed {
    /// The object is there. It is yet to be verified.
    Made(StoredObject),
    /// Another one has taken the place of what was to be replaced.
    Overtaken(Failure),
}

/// The requests, and what they need. Clones share the board.
#[derive(Debug, Clone)]
pub(super) struct Assembly<R> {
    pub(super) route: R,
    pub(super) retries: RetryPolicy,
    pub(super) board: Arc<Board>,
    pub(super) stop: CancellationToken,
}

impl<R: Route> Assembly<R> {
    /// Does `work`, unless the upload has been stopped. It is not cut at once: an object that appears unseen would be the
    /// worst end.
    pub(super) async fn to_the_end<T>(
        &self,
        work: impl Future<Output = Result<T, StripedError>>,
    ) -> Result<T, StripedError> {
        if self.stop.is_cancelled() {
            return Err(StripedError::Stopped);
        }
        let patience = async {
            self.stop.cancelled().await;
            sleep(self.retries.abort_budget).await;
        };
        tokio::select! {
            biased;
            done = work => done,
            () = patience => Err(StripedError::Stopped),
        }
    }

    /// The live version of an object, or one generation of it; `None` where there is none.
    pub(super) async fn look(&self, object: &ObjectRef) -> Result<Option<StoredObject>, UploadError> {
        let look = || self.route.stat(object);
        match reliably(&self.retries, self.retries.budget, &self.board, look).await {
            Ok(found) => Ok(Some(found)),
            Err(UploadError::Refused(failure)) if failure.is(Kind::NotFound) => Ok(None),
            // What is there has another key, or none: it is not ours, and without a key GCS tells its generation.
            Err(UploadError::Refused(failure)) if failure.is(Kind::Refused) && object.key.is_some() => {
                Box::pin(self.look(&without_key(object))).await
            }
            Err(error) => Err(error),
        }
    }

    /// Composes `pieces`, to replace generation `replaces` (0 for none) of the destination and nothing else.
    ///
    /// Whether an attempt whose answer was lost did succeed, the destination shows: only one of them can, and a later
    /// one then finds another generation. `doubt` says that there was such an attempt before.
    pub(super) async fn compose(
        &self,
        destination: &Destination,
        pieces: &[Piece],
        replaces: u64,
        mut doubt: bool,
    ) -> Result<Composed, StripedError> {
        let mut destination = destination.clone();
        destination.preconditions.if_generation_match = Some(replaces);
        let sources: Vec<_> = pieces.iter().map(source).collect();
        let whole = Content::of(pieces.iter().map(|piece| &piece.is));
        let there = place(&destination);
        let failed = |error| StripedError::Request {
            what: "the parts could not be composed",
            error: Box::new(error),
        };
        let mut backoff = Backoff::new(&self.retries, self.retries.budget);
        loop {
            let failure = match self.route.compose(&destination, &sources).await {
                Ok(object) => return Ok(Composed::Made(object)),
                Err(failure) => failure,
            };
            if failure.is(Kind::PreconditionFailed) {
                let found = self.look(&there).await.map_err(failed)?;
                let live = found.as_ref().map_or(0, |found| found.info.generation);
                return match found {
                    Some(found) if doubt && live != replaces && whole.is(&found) => Ok(Composed::Made(found)),
                    _ if live != replaces => Ok(Composed::Overtaken(failure)),
                    // The destination is as it was: it is another precondition, or a part that is not there any more.
                    _ => Err(failed(UploadError::Refused(failure))),
                };
            }
            if let Err(error) = again(&mut backoff, &self.board, failure).await {
                let found = match doubt || matches!(error, UploadError::Exhausted { .. }) {
                    true => self.route.stat(&there).await.ok(),
                    false => None,
                };
                let found = found.filter(|found| found.info.generation != replaces && whole.is(found));
                return found.map(Composed::Made).ok_or(failed(error));
            }
            doubt = true;
        }
    }

    /// Compares an object that was made with what went into it. One that differs is deleted, that generation and no
    /// other. A reply that was damaged on the way condemns no good object: GCS is asked once more.
    pub(super) async fn verify(
        &self,
        destination: &Destination,
        object: StoredObject,
        whole: Content,
    ) -> Result<StoredObject, StripedError> {
        if whole.fits(&object.info) {
            return Ok(object);
        }
        let made = ObjectRef {
            generation: Some(object.info.generation),
            ..place(destination)
        };
        let failed = |error| StripedError::Request {
            what: "the composed object could not be verified",
            error: Box::new(error),
        };
        let looked = match self.look(&made).await.map_err(failed)? {
            None => self.look(&place(destination)).await.map_err(failed)?,
            found => found,
        };
        let object = match looked {
            Some(found) if whole.is(&found) || found.info.generation == object.info.generation => found,
            _ => object,
        };
        if whole.fits(&object.info) {
            return Ok(object);
        }
        let object = object.info;
        if object.size == whole.size && object.crc32c.is_none() {
            return Err(StripedError::Unverified { object });
        }
        Err(StripedError::Mismatch {
            object,
            size: whole.size,
            crc32c: whole.crc32c,
            deleted: self.delete(&made).await.is_ok(),
        })
    }

    /// Deletes an object. One that is not there is as good as deleted.
    pub(super) async fn delete(&self, object: &ObjectRef) -> Result<(), UploadError> {
        let object = without_key(object);
        let delete = || self.route.delete(&object);
        match reliably(&self.retries, self.retries.abort_budget, &self.board, delete).await {
            Err(UploadError::Refused(failure)) if failure.is(Kind::NotFound) => Ok(()),
            result => result,
        }
    }
}

impl StripedCheckpoint {
    /// The parts as what the object is made of; those that are not finished are left out.
    pub(super) fn pieces(&self, names: &Names) -> Result<Vec<Piece>, StripedError> {
        let mut pieces = Vec::with_capacity(self.parts.len());
        for (number, part) in self.parts.iter().enumerate() {
            if let Part::Done { run, generation, .. } = *part
                && let Some(is) = self.content_of(number)
            {
                let name = names.part(run, number)?;
                pieces.push(Piece { name, generation, is });
            }
        }
        Ok(pieces)
    }

    /// What the object will hold; `None` before all parts are finished.
    pub(super) fn content(&self) -> Option<Content> {
        let parts: Option<Vec<Content>> = (0..self.parts.len())
            .map(|number| self.content_of(number))
            .collect();
        Some(Content::of(&parts?))
    }

    fn content_of(&self, number: usize) -> Option<Content> {
        match self.parts[number] {
            Part::Done { crc32c, .. } | Part::Sent { crc32c, .. } => Some(Content {
                size: self.layout().range(number).1,
                crc32c: Crc32c(crc32c),
                parts: 1,
            }),
            _ => None,
        }
    }
}

fn source(piece: &Piece) -> ComposeSource {
    ComposeSource {
        generation: Some(piece.generation),
        if_generation_match: Some(piece.generation),
        ..ComposeSource::new(piece.name.clone())
    }
}

/// The same object for a request that needs no key.
fn without_key(object: &ObjectRef) -> ObjectRef {
    ObjectRef {
        key: None,
        ..object.clone()
    }
}

/// The live version of what is at the destination.
pub(super) fn place(destination: &Destination) -> ObjectRef {
    ObjectRef {
        user_project: destination.user_project.clone(),
        key: destination.key.clone(),
        ..ObjectRef::new(destination.bucket.clone(), destination.object.clone())
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
