//! The task: the one owner of the upload and its checkpoint.

use std::sync::Arc;

use super::super::{Error, GivenUp, NewObject, ReplaySource};
use super::checkpoint::{CheckpointStore, PartState, StripedCheckpoint};
use super::cleanup::Cleanup;
use super::concurrent::concurrently_while;
use super::error::StripedError;
use super::names::Names;
use super::outcome::Striped;
use super::requests::Requests;
use super::route::{Route, StoredObject};
use super::temporary::{destination, place};
use gcsd_types::{Destination, ObjectName, ObjectRef, Preconditions};
use gcsd_wire::{Kind, Retry};

/// Drives a striped upload to its end.
pub(super) struct Engine<R, S, K> {
    pub(super) source: Arc<S>,
    /// What the object will be.
    pub(super) object: NewObject,
    pub(super) names: Names,
    pub(super) connections: usize,
    pub(super) store: K,
    pub(super) requests: Requests<R>,
    pub(super) checkpoint: StripedCheckpoint,
    /// Temporary objects that were composed of others, and their generations.
    pub(super) intermediates: Vec<(ObjectName, u64)>,
    /// The object may have been composed, or may be yet, without our knowing.
    pub(super) in_doubt: bool,
}

impl<R: Route, S: ReplaySource + Sync, K: CheckpointStore> Engine<R, S, K> {
    /// Runs until the object exists and is verified, nothing helps any more, or it is stopped.
    pub(super) async fn drive(&mut self) -> Result<Striped, StripedError> {
        let resumed = self.checkpoint.run > 0;
        let found = match resumed {
            true => self.composed_before().await?,
            false => None,
        };
        let object = match found {
            Some(object) => object,
            None => {
                self.check_preconditions().await?;
                if resumed {
                    self.verify_parts().await?;
                }
                self.save().await?;
                self.start_multipart().await?;
                self.upload_parts().await?;
                self.source.check()?;
                self.assemble().await?
            }
        };
        self.in_doubt = false;
        self.requests.reports.finished(object.json.clone());
        let unsure = resumed || self.requests.reports.recovered() > 0;
        let leftovers = self.cleanup().delete(unsure).await;
        Ok(Striped {
            object: object.info,
            leftovers,
        })
    }

    /// The cleanup of everything that the upload has left so far.
    pub(super) fn cleanup(&self) -> Cleanup<R> {
        let mut cleanup = Cleanup::new(
            self.requests.clone(),
            self.names.clone(),
            self.destination(),
            self.checkpoint.clone(),
        );
        cleanup.intermediates.clone_from(&self.intermediates);
        cleanup.in_doubt = self.in_doubt;
        cleanup
    }

    pub(super) fn destination(&self) -> Destination {
        destination(&self.object)
    }

    /// The object that an earlier process composed before it ended.
    async fn composed_before(&self) -> Result<Option<StoredObject>, StripedError> {
        let Some(replaced) = self.checkpoint.replaces else {
            return Ok(None);
        };
        let Some(whole) = self.checkpoint.content() else {
            return Ok(None);
        };
        let found = self.look(&place(&self.destination())).await?;
        Ok(found.filter(|found| found.info.generation != replaced && whole.is(found)))
    }

    pub(super) async fn look(&self, object: &ObjectRef) -> Result<Option<StoredObject>, StripedError> {
        let looked = self.requests.look(object);
        let looked = self.requests.stop.run_until_cancelled(looked).await;
        looked
            .ok_or(StripedError::Stopped)?
            .map_err(|error| StripedError::Request {
                what: "an object could not be looked up",
                error,
            })
    }

    /// Fails before anything is uploaded where the preconditions cannot hold. GCS itself decides at the end.
    async fn check_preconditions(&self) -> Result<(), StripedError> {
        let asked = self.object.destination.preconditions;
        if asked == Preconditions::default() {
            return Ok(());
        }
        let found = self.look(&place(&self.destination())).await?;
        let found = found.map(|found| found.info).unwrap_or_default();
        let holds = |asked: Option<u64>, found| asked.is_none_or(|asked| asked == found);
        if holds(asked.if_generation_match, found.generation)
            && holds(asked.if_metageneration_match, found.metageneration)
        {
            return Ok(());
        }
        let text = match found.generation {
            0 => "there is no such object".to_owned(),
            generation => format!(
                "the object has generation {generation} and metageneration {}",
                found.metageneration
            ),
        };
        Err(StripedError::Request {
            what: "nothing was uploaded",
            error: GivenUp::Refused(Error::of(Kind::PreconditionFailed, Retry::Never, text)),
        })
    }

    /// Looks up the parts that an earlier process finished. One that is gone, for its lifecycle perhaps, or that holds
    /// something else, is uploaded again.
    async fn verify_parts(&mut self) -> Result<(), StripedError> {
        let mut work = Vec::new();
        for (number, part) in self.checkpoint.parts.iter().enumerate() {
            if let PartState::Done { run, generation, .. } = *part
                && let Some(content) = self.checkpoint.content_of(number)
            {
                let destination = &self.object.destination;
                let object = ObjectRef {
                    generation: Some(generation),
                    user_project: destination.user_project.clone(),
                    key: destination.key.clone(),
                    ..ObjectRef::new(destination.bucket.clone(), self.names.part(run, number)?)
                };
                let requests = self.requests.clone();
                work.push(async move {
                    let found = requests.look(&object).await?;
                    Ok((number, found.is_some_and(|found| content.fits(&found.info))))
                });
            }
        }
        let looked = concurrently_while(work, Result::is_ok);
        let looked = self.requests.stop.run_until_cancelled(looked).await;
        for looked in looked.ok_or(StripedError::Stopped)? {
            let (number, verified) = looked.map_err(|error| StripedError::Request {
                what: "a part could not be looked up",
                error,
            })?;
            match verified {
                true => {
                    let (_, size) = self.checkpoint.layout().range(number);
                    self.requests.reports.found(number, size);
                }
                false => self.checkpoint.parts[number] = PartState::Waiting,
            }
        }
        Ok(())
    }

    pub(super) async fn save(&mut self) -> Result<(), StripedError> {
        let saved = self.store.save(&self.checkpoint).await;
        saved.map_err(|error| StripedError::Checkpoint(error.into()))
    }
}
