//! The task: the one owner of the upload and its checkpoint.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::{Failure, NewObject, ReplaySource, UploadError};
use super::assemble::{Assembly, Composed, Content, Piece, place};
use super::checkpoint::{CheckpointStore, Part, StripedCheckpoint};
use super::clear::Clearing;
use super::error::StripedError;
use super::layout::groups;
use super::names::Names;
use super::options::{StripedOptions, Via};
use super::part::{self, Job};
use super::requests::several;
use super::route::{Route, StoredObject};
use super::section::Section;
use super::temporary::{multipart_ref, part_object};
use super::upload::Striped;
use gcsd_types::{Crc32c, Destination, ObjectName, ObjectRef, Preconditions};
use gcsd_wire::{Kind, Retry};

/// How often the object is composed anew because another one has taken its place, before that is given up.
const MAX_OVERTAKEN: usize = 8;

/// Drives a striped upload to its end.
pub(super) struct Engine<R, S, K> {
    pub(super) source: Arc<S>,
    /// What the object shall be.
    pub(super) destination: Destination,
    pub(super) names: Names,
    pub(super) connections: usize,
    pub(super) store: K,
    pub(super) assembly: Assembly<R>,
    pub(super) checkpoint: StripedCheckpoint,
    /// Of what was composed on the way, the generations.
    pub(super) joints: Vec<(ObjectName, u64)>,
    /// The object may have been composed, or may be yet, without our having seen it.
    pub(super) in_doubt: bool,
}

impl<R: Route, S: ReplaySource + Sync, K: CheckpointStore> Engine<R, S, K> {
    /// Runs until the object is there and verified, nothing helps any more, or it is stopped.
    pub(super) async fn drive(&mut self) -> Result<Striped, StripedError> {
        let resumed = self.checkpoint.run > 0;
        let found = match resumed {
            true => self.composed_before().await?,
            false => None,
        };
        let object = match found {
            Some(object) => object,
            None => {
                self.check_conditions().await?;
                if resumed {
                    self.look_at_parts().await?;
                }
                self.save().await?;
                self.start_multipart().await?;
                self.upload_parts().await?;
                self.source.check().map_err(StripedError::Changed)?;
                self.assemble().await?
            }
        };
        self.in_doubt = false;
        self.assembly.board.finished(object.json.clone());
        let unsure = resumed || self.assembly.board.recovered() > 0;
        let leftovers = self.clearing().delete(unsure).await;
        Ok(Striped {
            object: object.info,
            leftovers,
        })
    }

    /// What is there of it, for who clears up.
    pub(super) fn clearing(&self) -> Clearing<R> {
        let mut clearing = Clearing::new(
            self.assembly.clone(),
            self.names.clone(),
            self.destination.clone(),
            self.checkpoint.clone(),
        );
        clearing.joints.clone_from(&self.joints);
        clearing.in_doubt = self.in_doubt;
        clearing
    }

    /// The object that an earlier process composed before it ended.
    async fn composed_before(&self) -> Result<Option<StoredObject>, StripedError> {
        let Some(replaced) = self.checkpoint.replaces else {
            return Ok(None);
        };
        let Some(whole) = self.checkpoint.content() else {
            return Ok(None);
        };
        let found = self.look(&place(&self.destination)).await?;
        Ok(found.filter(|found| found.info.generation != replaced && whole.is(found)))
    }

    async fn look(&self, object: &ObjectRef) -> Result<Option<StoredObject>, StripedError> {
        let looked = self.assembly.look(object);
        let looked = self.assembly.stop.run_until_cancelled(looked).await;
        looked
            .ok_or(StripedError::Stopped)?
            .map_err(|error| StripedError::Request {
                what: "an object could not be looked at",
                error: Box::new(error),
            })
    }

    /// Preconditions that cannot hold are told before anything is uploaded. GCS itself decides at the end.
    async fn check_conditions(&self) -> Result<(), StripedError> {
        let asked = self.destination.preconditions;
        if asked == Preconditions::default() {
            return Ok(());
        }
        let found = self.look(&place(&self.destination)).await?;
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
            error: Box::new(UploadError::Refused(Failure::of(
                Kind::PreconditionFailed,
                Retry::Never,
                text,
            ))),
        })
    }

    /// Parts that an earlier process finished are used if they are still there; an object's lifecycle may have ended.
    async fn look_at_parts(&mut self) -> Result<(), StripedError> {
        let mut work = Vec::new();
        for (number, part) in self.checkpoint.parts.iter().enumerate() {
            if let Part::Done {
                run,
                generation,
                crc32c,
            } = *part
            {
                let (_, size) = self.checkpoint.layout().range(number);
                let object = ObjectRef {
                    generation: Some(generation),
                    user_project: self.destination.user_project.clone(),
                    key: self.destination.key.clone(),
                    ..ObjectRef::new(self.destination.bucket.clone(), self.names.part(run, number)?)
                };
                let assembly = self.assembly.clone();
                work.push(async move {
                    let found = assembly.look(&object).await?;
                    let info = found.map(|found| found.info);
                    let good =
                        info.is_some_and(|info| info.size == size && info.crc32c == Some(Crc32c(crc32c)));
                    Ok((number, good))
                });
            }
        }
        let looked = several(work);
        let looked = self.assembly.stop.run_until_cancelled(looked).await;
        for looked in looked.ok_or(StripedError::Stopped)? {
            let (number, good) = looked.map_err(|error| StripedError::Request {
                what: "a part could not be looked at",
                error: Box::new(error),
            })?;
            let (_, size) = self.checkpoint.layout().range(number);
            match good {
                true => self.assembly.board.found(number, size),
                false => self.checkpoint.parts[number] = Part::Waiting,
            }
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), StripedError> {
        let saved = self.store.save(&self.checkpoint).await;
        saved.map_err(|error| StripedError::checkpoint(&error))
    }

    /// Uploads what is not there, so many parts at once as there are connections.
    async fn upload_parts(&mut self) -> Result<(), StripedError> {
        let stop = self.assembly.stop.clone();
        let halt = stop.child_token();
        let (tokens, mut told) = mpsc::channel(StripedOptions::MAX_CONNECTIONS);
        let undone = |number: &usize| !self.checkpoint.parts[*number].is_done();
        let mut waiting: VecDeque<usize> = (0..self.checkpoint.parts.len()).filter(undone).collect();
        let mut lanes: VecDeque<usize> = (0..self.connections).collect();
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            while !halt.is_cancelled()
                && !waiting.is_empty()
                && let Some(lane) = lanes.pop_front()
                && let Some(number) = waiting.pop_front()
            {
                let (run, token) = match &self.checkpoint.parts[number] {
                    Part::Open { run, token } => (*run, Some(token.clone())),
                    _ => (self.checkpoint.run, None),
                };
                let (offset, len) = self.checkpoint.layout().range(number);
                let job = Job {
                    number,
                    lane,
                    open: (),
                    source: Section {
                        source: self.source.clone(),
                        offset,
                        len,
                    },
                    token,
                    retries: self.assembly.retries.clone(),
                    halt: halt.clone(),
                    tokens: tokens.clone(),
                    board: self.assembly.board.clone(),
                };
                let route = &self.assembly.route;
                match &self.checkpoint.multipart {
                    Some(id) => {
                        let part = u32::try_from(number + 1).unwrap_or(u32::MAX);
                        let open = route.part(lane, multipart_ref(&self.destination, id), part);
                        running.spawn(job.through(open).run());
                    }
                    None => {
                        let object = NewObject {
                            destination: part_object(&self.destination, self.names.part(run, number)?),
                            size: Some(len),
                        };
                        running.spawn(job.through(route.uploads(lane, object)).run());
                    }
                }
            }
            let ended = tokio::select! {
                joined = running.join_next() => match joined {
                    None => break,
                    Some(Ok(ended)) => Some(ended),
                    // A task is lost only with its runtime: nothing in it panics.
                    Some(Err(_)) => {
                        halt.cancel();
                        continue;
                    }
                },
                Some((number, token)) = told.recv() => {
                    self.opened(number, token);
                    None
                }
            };
            if let Some(ended) = ended {
                lanes.push_back(ended.lane);
                if let Err(error) = self.ended(ended) {
                    halt.cancel();
                    failed.get_or_insert(error);
                }
            }
            if let Err(error) = self.save().await {
                halt.cancel();
                failed.get_or_insert(error);
            }
        }
        match failed {
            _ if stop.is_cancelled() => Err(StripedError::Stopped),
            Some(error) => Err(error),
            None if halt.is_cancelled() => Err(StripedError::Stopped),
            None => Ok(()),
        }
    }

    /// Part `number` has an upload that `token` brings back.
    fn opened(&mut self, number: usize, token: super::super::Token) {
        let run = match self.checkpoint.parts[number] {
            // It was told late.
            Part::Done { .. } | Part::Sent { .. } => return,
            // A part that is gone on with keeps its name, whatever became of its first upload.
            Part::Open { run, .. } => run,
            Part::Waiting => self.checkpoint.run,
        };
        self.checkpoint.parts[number] = Part::Open { run, token };
    }

    fn ended(&mut self, ended: part::Ended) -> Result<(), StripedError> {
        let part::Ended {
            number,
            result,
            token,
            resource,
            ..
        } = ended;
        if let Some(token) = token {
            self.opened(number, token);
        }
        let run = match self.checkpoint.parts[number] {
            Part::Open { run, .. } => run,
            _ => self.checkpoint.run,
        };
        let object = result.map_err(|error| StripedError::Part {
            number: number + 1,
            parts: self.checkpoint.parts.len(),
            error: Box::new(error),
        })?;
        // It was compared with what was sent: it has one.
        let crc32c = object.crc32c.unwrap_or_default();
        self.checkpoint.parts[number] = match self.checkpoint.via {
            Via::Multipart => Part::Sent {
                etag: String::from_utf8_lossy(&resource.unwrap_or_default()).into_owned(),
                crc32c: crc32c.0,
            },
            Via::Compose => Part::done(run, object.generation, crc32c),
        };
        Ok(())
    }

    /// Begins the multipart upload that the parts belong to, where they do.
    async fn start_multipart(&mut self) -> Result<(), StripedError> {
        if self.checkpoint.via == Via::Compose || self.checkpoint.multipart.is_some() {
            return Ok(());
        }
        let destination = self.destination.clone();
        let id = self.assembly.start_multipart(&destination);
        let id = self.assembly.to_the_end(id).await?;
        self.checkpoint.multipart = Some(id);
        self.save().await
    }

    /// Has GCS make the object of the parts of its multipart upload.
    async fn complete(&mut self, id: &str) -> Result<StoredObject, StripedError> {
        let destination = self.destination.clone();
        let doubt = self.checkpoint.replaces.is_some();
        if !doubt {
            let found = self.look(&place(&destination)).await?;
            self.checkpoint.replaces = Some(found.map_or(0, |found| found.info.generation));
            self.save().await?;
        }
        self.in_doubt = true;
        let upload = multipart_ref(&self.destination, id);
        let completing = self
            .assembly
            .complete(&destination, &upload, &self.checkpoint, doubt);
        self.assembly.to_the_end(completing).await
    }

    /// Makes the object of the parts.
    async fn assemble(&mut self) -> Result<StoredObject, StripedError> {
        if let Some(id) = self.checkpoint.multipart.clone() {
            return self.complete(&id).await;
        }
        let mut pieces = self.checkpoint.pieces(&self.names)?;
        let mut level = 0;
        while let Some(groups) = groups(pieces.len()) {
            let mut work = Vec::new();
            for (number, group) in groups.into_iter().enumerate() {
                let name = self.names.joint(self.checkpoint.run, level, number)?;
                let assembly = self.assembly.clone();
                let destination = part_object(&self.destination, name);
                let pieces = pieces[group].to_vec();
                work.push(async move { assembly.to_the_end(join(&assembly, destination, &pieces)).await });
            }
            let joined: Result<Vec<Piece>, _> = several(work).await.into_iter().collect();
            pieces = joined?;
            self.joints
                .extend(pieces.iter().map(|piece| (piece.name.clone(), piece.generation)));
            level += 1;
        }
        self.compose(&pieces).await
    }

    /// The last step, under the preconditions that were asked for. Where none say which generation is to be replaced, it is
    /// the one that is there: so that a lost answer never makes two.
    async fn compose(&mut self, pieces: &[Piece]) -> Result<StoredObject, StripedError> {
        let destination = self.destination.clone();
        let whole = Content::of(pieces.iter().map(|piece| &piece.is));
        let asked = destination.preconditions.if_generation_match;
        // An earlier process may have sent it.
        let mut doubt = self.checkpoint.replaces.is_some();
        for _ in 0..MAX_OVERTAKEN {
            let replaces = match asked.or(self.checkpoint.replaces) {
                Some(replaces) => replaces,
                None => {
                    let found = self.look(&place(&destination)).await?;
                    found.map_or(0, |found| found.info.generation)
                }
            };
            if self.checkpoint.replaces != Some(replaces) {
                self.checkpoint.replaces = Some(replaces);
                self.save().await?;
            }
            self.in_doubt = true;
            let assembly = &self.assembly;
            let composing = async {
                match assembly.compose(&destination, pieces, replaces, doubt).await? {
                    Composed::Made(object) => assembly
                        .verify(&destination, object, whole)
                        .await
                        .map(Composed::Made),
                    overtaken => Ok(overtaken),
                }
            };
            match assembly.to_the_end(composing).await? {
                Composed::Made(object) => return Ok(object),
                Composed::Overtaken(failure) if asked.is_some() => {
                    return Err(StripedError::Request {
                        what: "the object was not made",
                        error: Box::new(UploadError::Refused(failure)),
                    });
                }
                Composed::Overtaken(_) => {
                    self.checkpoint.replaces = None;
                    doubt = false;
                }
            }
        }
        Err(StripedError::Request {
            what: "the object was not made",
            error: Box::new(UploadError::Refused(Failure::of(
                Kind::Conflict,
                Retry::Never,
                format!("others replaced it {MAX_OVERTAKEN} times while it was composed"),
            ))),
        })
    }
}

/// Composes neighbours to a temporary object.
async fn join<R: Route>(
    assembly: &Assembly<R>,
    destination: Destination,
    pieces: &[Piece],
) -> Result<Piece, StripedError> {
    let is = Content::of(pieces.iter().map(|piece| &piece.is));
    let made = match assembly.compose(&destination, pieces, 0, false).await? {
        Composed::Made(object) => assembly.verify(&destination, object, is).await?,
        Composed::Overtaken(failure) => {
            return Err(StripedError::Request {
                what: "the parts could not be composed",
                error: Box::new(UploadError::Refused(failure)),
            });
        }
    };
    Ok(Piece {
        name: destination.object,
        generation: made.info.generation,
        is,
    })
}
