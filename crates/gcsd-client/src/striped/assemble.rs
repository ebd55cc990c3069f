//! The parts become the object.

use super::super::{Error, GivenUp, ReplaySource};
use super::checkpoint::CheckpointStore;
use super::compose::Composed;
use super::concurrent::concurrently_while;
use super::content::{Content, Piece};
use super::engine::Engine;
use super::error::StripedError;
use super::layout::groups;
use super::options::Via;
use super::requests::Requests;
use super::route::{Route, StoredObject};
use super::temporary::{destination, multipart_ref, part_object, place};
use gcsd_types::Destination;
use gcsd_wire::{Kind, Retry};

/// How often the object is composed again because another one has taken its place.
const MAX_OVERTAKEN: usize = 8;

impl<R: Route, S: ReplaySource + Sync, K: CheckpointStore> Engine<R, S, K> {
    /// Starts the multipart upload that the parts belong to, if they belong to one.
    pub(super) async fn start_multipart(&mut self) -> Result<(), StripedError> {
        if self.checkpoint.via == Via::Compose || self.checkpoint.multipart.is_some() {
            return Ok(());
        }
        let destination = self.destination();
        let id = self.requests.start_multipart(&destination);
        let id = self.requests.to_the_end(id).await?;
        self.checkpoint.multipart = Some(id);
        self.save().await
    }

    /// Makes the object of the parts.
    pub(super) async fn assemble(&mut self) -> Result<StoredObject, StripedError> {
        if let Some(id) = self.checkpoint.multipart.clone() {
            return self.complete(&id).await;
        }
        let mut pieces = self.checkpoint.pieces(&self.names)?;
        let mut level = 0;
        while let Some(groups) = groups(pieces.len()) {
            let mut work = Vec::new();
            for (number, group) in groups.into_iter().enumerate() {
                let name = self.names.intermediate(self.checkpoint.run, level, number)?;
                let requests = self.requests.clone();
                let destination = destination(&part_object(&self.object, name, 0));
                let pieces = pieces[group].to_vec();
                work.push(async move { requests.to_the_end(join(&requests, destination, &pieces)).await });
            }
            let joined: Result<Vec<Piece>, _> = concurrently_while(work, Result::is_ok)
                .await
                .into_iter()
                .collect();
            pieces = joined?;
            let intermediates = pieces.iter().map(|piece| (piece.name.clone(), piece.generation));
            self.intermediates.extend(intermediates);
            level += 1;
        }
        self.compose(&pieces).await
    }

    /// Has GCS make the object of the parts of its multipart upload.
    async fn complete(&mut self, id: &str) -> Result<StoredObject, StripedError> {
        let destination = self.destination();
        let unsure = self.checkpoint.replaces.is_some();
        if !unsure {
            let found = self.look(&place(&destination)).await?;
            self.checkpoint.replaces = Some(found.map_or(0, |found| found.info.generation));
            self.save().await?;
        }
        self.in_doubt = true;
        let upload = multipart_ref(&self.object, id);
        let completing = self
            .requests
            .complete(&destination, &upload, &self.checkpoint, unsure);
        self.requests.to_the_end(completing).await
    }

    /// The last step, under the preconditions that were asked for. Where none says which generation to replace, it is the
    /// live one, so that a lost answer never makes two.
    async fn compose(&mut self, pieces: &[Piece]) -> Result<StoredObject, StripedError> {
        let destination = self.destination();
        let whole = Content::of(pieces.iter().map(|piece| &piece.content));
        let asked = destination.preconditions.if_generation_match;
        // An earlier process may have sent the request.
        let mut unsure = self.checkpoint.replaces.is_some();
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
            let requests = &self.requests;
            let composing = async {
                match requests.compose(&destination, pieces, replaces, unsure).await? {
                    Composed::Made(object) => requests
                        .verify(&destination, object, whole)
                        .await
                        .map(Composed::Made),
                    overtaken => Ok(overtaken),
                }
            };
            match requests.to_the_end(composing).await? {
                Composed::Made(object) => return Ok(object),
                Composed::Overtaken(error) if asked.is_some() => {
                    // GCS said so at the first try: nothing was made.
                    self.in_doubt = false;
                    return Err(StripedError::Request {
                        what: "the object was not made",
                        error: GivenUp::Refused(error),
                    });
                }
                Composed::Overtaken(_) => {
                    self.checkpoint.replaces = None;
                    unsure = false;
                }
            }
        }
        let text = format!("other clients replaced it {MAX_OVERTAKEN} times while it was composed");
        Err(StripedError::Request {
            what: "the object was not made",
            error: GivenUp::Refused(Error::of(Kind::Conflict, Retry::Never, text)),
        })
    }
}

/// Composes neighbours to a temporary object.
async fn join<R: Route>(
    requests: &Requests<R>,
    destination: Destination,
    pieces: &[Piece],
) -> Result<Piece, StripedError> {
    let content = Content::of(pieces.iter().map(|piece| &piece.content));
    let made = match requests.compose(&destination, pieces, 0, false).await? {
        Composed::Made(object) => requests.verify(&destination, object, content).await?,
        Composed::Overtaken(error) => {
            return Err(StripedError::Request {
                what: "the parts could not be composed",
                error: GivenUp::Refused(error),
            });
        }
    };
    Ok(Piece {
        name: destination.object,
        generation: made.info.generation,
        content,
    })
}
