//! Temporary objects become one, which is verified.

use std::ops::ControlFlow;

use super::super::reliable::retry::{Failed, Repeatable};
use super::super::{Error, GivenUp, Seen};
use super::content::{Content, Piece};
use super::error::StripedError;
use super::requests::Requests;
use super::route::{Route, StoredObject};
use super::temporary::place;
use gcsd_types::{ComposeSource, Destination, ObjectRef};
use gcsd_wire::Kind;

/// The outcome of a composition.
pub(super) enum Composed {
    /// The object exists. It is yet to be verified.
    Made(StoredObject),
    /// Another object has taken the place of the one to replace.
    Overtaken(Error),
}

/// One composition.
struct Composition<'a, R> {
    requests: &'a Requests<R>,
    destination: Destination,
    sources: Vec<ComposeSource>,
    /// What the object will hold.
    whole: Content,
    /// The generation that it replaces, 0 for none.
    replaces: u64,
}

impl<R: Route> Requests<R> {
    /// Composes `pieces`, to replace generation `replaces` (0 for none) of the destination and nothing else.
    ///
    /// After an attempt whose answer was lost, the destination shows whether it succeeded: only one attempt can, and a
    /// later one then finds another generation. `unsure` says that an earlier process may have made such an attempt.
    pub(super) async fn compose(
        &self,
        destination: &Destination,
        pieces: &[Piece],
        replaces: u64,
        unsure: bool,
    ) -> Result<Composed, StripedError> {
        let mut destination = destination.clone();
        destination.preconditions.if_generation_match = Some(replaces);
        let composition = Composition {
            requests: self,
            destination,
            sources: pieces.iter().map(Piece::source).collect(),
            whole: Content::of(pieces.iter().map(|piece| &piece.content)),
            replaces,
        };
        let retrier = self.retrier(self.retries.budget).unsure(unsure);
        retrier.run(composition).await.map_err(failed)?
    }

    /// Compares an object that was made with `whole`. One that differs is deleted, that generation and no other. GCS is
    /// asked once more before, so that a reply damaged on the way condemns no good object.
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
            error,
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
            deleted: self.delete(&made, self.retries.abort_budget).await.is_ok(),
        })
    }
}

impl<R: Route> Repeatable for Composition<'_, R> {
    type Answer = Result<Composed, StripedError>;

    async fn attempt(&mut self) -> Result<Self::Answer, Error> {
        let route = &self.requests.route;
        let object = route.compose(&self.destination, &self.sources).await?;
        Ok(Ok(Composed::Made(object)))
    }

    /// Whether the destination shows that the object was made, or cannot be.
    async fn examine(&mut self, attempt: Failed) -> ControlFlow<Self::Answer> {
        if attempt.error.is(Kind::PreconditionFailed) || (attempt.last && attempt.unsure) {
            return self.judge(attempt).await;
        }
        ControlFlow::Continue(())
    }
}

impl<R: Route> Composition<'_, R> {
    /// A precondition failed, or there will be no other attempt: the object was made by an earlier one, or has been
    /// replaced, or neither.
    async fn judge(&self, attempt: Failed) -> ControlFlow<Result<Composed, StripedError>> {
        let place = place(&self.destination);
        let looked = self.requests.look_after(&attempt, &place).await;
        let Failed {
            error, unsure, last, ..
        } = attempt;
        let gone = last && !error.is(Kind::PreconditionFailed);
        let found = match looked {
            Err(given_up) if unsure => return ControlFlow::Break(Err(failed(given_up.unseen(error)))),
            Err(given_up) => return ControlFlow::Break(Err(failed(given_up))),
            Ok(found) => found,
        };
        let replaced = found.as_ref().map_or(0, |found| found.info.generation) != self.replaces;
        ControlFlow::Break(match found {
            Some(found) if unsure && self.is_ours(&found) => Ok(Composed::Made(found)),
            // It can have been made, and replaced by somebody else: not to be replaced again.
            Some(found) if unsure && replaced => {
                let seen = Box::new(Seen::Object(found.info));
                Err(failed(GivenUp::Unknown { error, seen }))
            }
            _ if replaced && !gone => Ok(Composed::Overtaken(error)),
            // The destination is as it was, or gone: another precondition failed, a part is gone, or GCS cannot now.
            _ => return ControlFlow::Continue(()),
        })
    }

    fn is_ours(&self, found: &StoredObject) -> bool {
        found.info.generation != self.replaces && self.whole.is(found)
    }
}

fn failed(error: GivenUp) -> StripedError {
    StripedError::Request {
        what: "the parts could not be composed",
        error,
    }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
