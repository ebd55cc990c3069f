//! What `cp` and `mv` make of one object: a copy, or the same object under another name.

use super::batch::{Batch, Outcome};
use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use super::new_object::Template;
use super::reporting;
use gcsd_client::{GivenUp, ReliableRequests, StoredObject};
use gcsd_types::{EncryptionKey, ObjectRef, Rewrite};
use gcsd_wire::Kind;

/// How objects are made of others.
#[derive(Debug, Clone)]
pub(super) struct Making {
    pub(super) new: Template,
    pub(super) requests: ReliableRequests,
    /// The key that the sources are encrypted with.
    pub(super) source_key: Option<EncryptionKey>,
    /// The sources are to be gone.
    pub(super) moves: bool,
}

/// An object that others are made of.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) url: GsUrl,
    pub(super) generation: Option<u64>,
    /// It comes from a list, with the generation that was live there.
    pub(super) listed: bool,
}

/// That an object would be made of itself, and nothing else would come of it.
pub(super) fn onto_itself(moves: bool) -> Failure {
    match moves {
        false => Failure::usage("the object and its copy are the same one")
            .advise("say what is to become of it, such as --storage-class or --content-type"),
        true => Failure::usage("the object is called so already").advise("'gcsd update' changes metadata"),
    }
}

impl Making {
    /// Whether something comes of an object that is made of itself.
    pub(super) fn changes_itself(&self) -> bool {
        !self.moves && self.new.changes_anything()
    }

    /// Begins to make `target` of `source`.
    pub(super) async fn begin(
        &self,
        batch: &mut Batch,
        source: Source,
        target: GsUrl,
    ) -> Result<(), Failure> {
        let place = source.url.to_string();
        let making = self.clone();
        batch
            .add(place, async move { making.make(source, target).await })
            .await
    }

    async fn make(self, source: Source, target: GsUrl) -> Outcome {
        let made = match self.moves {
            false => self
                .copy(&source, source.generation, &target)
                .await
                .map(|copy| (copy, None)),
            true => self
                .r#move(&source, &target)
                .await
                .map(|(made, did)| (made, Some(did))),
        };
        match made {
            Ok((made, did)) => {
                let mut line = reporting::object(&made.info);
                line["destination"] = target.to_string().into();
                match did {
                    Some(did) => Outcome::DoneSo(did, line),
                    None => Outcome::Done(line),
                }
            }
            Err(Ended::Skipped(why)) => Outcome::Skipped(why),
            Err(Ended::Failed(failure)) => Outcome::Failed(failure),
        }
    }

    /// Copies a generation of an object.
    async fn copy(
        &self,
        source: &Source,
        generation: Option<u64>,
        target: &GsUrl,
    ) -> Result<StoredObject, Ended> {
        let rewrite = Rewrite {
            source: ObjectRef {
                generation,
                ..self.of(&source.url)
            },
            destination: self.new.destination(target),
            max_bytes: None,
            token: None,
        };
        let copied = self.requests.copy(rewrite).await;
        copied.map_err(|given_up| self.refused(source, given_up))
    }

    /// Moves an object, and says how: by its name alone where GCS can, and else by a copy of the generation that is there, and
    /// the deletion of that one.
    async fn r#move(&self, source: &Source, target: &GsUrl) -> Result<(StoredObject, &'static str), Ended> {
        let of = self.of(&source.url);
        let version = source.generation.filter(|_| !source.listed);
        let same_bucket = source.url.bucket == target.bucket;
        if same_bucket && version.is_none() && !self.new.changes_anything() {
            let mut of = of.clone();
            of.preconditions.if_generation_match = source.generation;
            let conditions = self.new.destination(target).preconditions;
            match self.requests.rename(&of, &target.object, conditions).await {
                Ok(renamed) => return Ok((renamed, "renamed")),
                Err(given_up) if cannot_rename(&given_up) => {}
                Err(given_up) => return Err(self.refused(source, given_up)),
            }
        }
        let generation = match source.generation {
            Some(generation) => generation,
            None => match self.requests.stat(&of).await {
                Ok(found) => found.info.generation,
                Err(given_up) => return Err(self.refused(source, given_up)),
            },
        };
        let copy = self.copy(source, Some(generation), target).await?;
        let mut of = ObjectRef { key: None, ..of };
        match version {
            Some(version) => of.generation = Some(version),
            // Where the bucket keeps versions, it stays as one.
            None => of.preconditions.if_generation_match = Some(generation),
        }
        match self.requests.delete(&of).await {
            Ok(()) => Ok((copy, "copied and deleted")),
            Err(given_up) => Err(Ended::Failed(
                Failure::from(given_up).also(format!("it was copied to {target}, and not deleted")),
            )),
        }
    }

    /// An object as the wire names it.
    fn of(&self, url: &GsUrl) -> ObjectRef {
        ObjectRef {
            key: self.source_key.clone(),
            user_project: self.new.user_project().map(str::to_owned),
            ..ObjectRef::new(url.bucket.clone(), url.object.clone())
        }
    }

    fn refused(&self, source: &Source, given_up: GivenUp) -> Ended {
        let refused = !given_up.is_unknown() && given_up.error().is(Kind::PreconditionFailed);
        if self.new.is_no_clobber() && refused {
            return Ended::Skipped("its copy would replace an object (--no-clobber)");
        }
        Ended::Failed(match Failure::from(given_up) {
            failure if source.listed && failure.exit() == Exit::NotFound => {
                failure.advise("it was replaced or deleted after it was listed")
            }
            failure => failure,
        })
    }
}

/// What came instead of an object.
enum Ended {
    Skipped(&'static str),
    Failed(Failure),
}

/// Whether it is the call that is refused, rather than this object: servers that know no such call, and credentials with the
/// permission to make and to delete objects, but not to move them. What the object itself lacks is told by the copy, too.
fn cannot_rename(given_up: &GivenUp) -> bool {
    let error = given_up.error();
    let GivenUp::Refused(_) = given_up else {
        return false;
    };
    [Kind::NotFound, Kind::Refused, Kind::Forbidden]
        .iter()
        .any(|kind| error.is(*kind))
}
