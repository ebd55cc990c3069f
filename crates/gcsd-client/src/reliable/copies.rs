//! Objects that are made of others: copies and compositions, and whether they were made.

use tokio::time::Instant;

use super::super::connection::{Connection, Reply};
use super::super::sight::{Age, age, has, is, place};
use super::super::{Error, Seen, StoredObject};
use super::changes::{Change, Done};
use super::given_up::GivenUp;
use super::requests::ReliableRequests;
use gcsd_types::{ComposeSource, Crc32c, Destination, ObjectRef, Rewrite, Rewritten};
use gcsd_wire::{compose_objects, rewrite_object};

/// The composition of an object.
pub(super) struct Composition<'a> {
    pub(super) requests: &'a ReliableRequests,
    pub(super) args: compose_objects::ComposeObjectsArgs,
    pub(super) began: u64,
    /// A precondition was added to make it repeatable.
    pub(super) pinned: bool,
}

/// One step of a copy.
pub(super) struct Copy<'a> {
    pub(super) requests: &'a ReliableRequests,
    pub(super) rewrite: &'a mut Rewrite,
    pub(super) began: u64,
    /// What is kept from step to step.
    pub(super) history: &'a mut History,
}

/// What has become of a copy's steps before.
#[derive(Debug, Default)]
pub(super) struct History {
    /// One of them may have made the object although it failed.
    pub(super) unsure: bool,
    /// A precondition was added to make it repeatable.
    pub(super) pinned: bool,
}

/// Where a copy is after a step.
pub(super) enum Copied {
    /// It is there.
    Object(StoredObject),
    /// There is more to copy.
    Step(Rewritten),
}

impl Change for Composition<'_> {
    type Answer = StoredObject;

    async fn attempt(&mut self) -> Result<StoredObject, Error> {
        let args = &self.args;
        let compose = async |connection: Connection| connection.compose_objects(args).await;
        Ok(self.requests.connection.request(compose).await?.into())
    }

    fn is_repeatable(&self) -> bool {
        self.args.destination.preconditions.pins_generation()
    }

    async fn look(&mut self, end: Instant) -> Result<Done<StoredObject>, GivenUp> {
        let compose_objects::ComposeObjectsArgs { destination, sources } = &self.args;
        let sources: Vec<ObjectRef> = sources.iter().map(|source| of(source, destination)).collect();
        made(self.requests, destination, &sources, self.began, end).await
    }

    fn pin(&mut self, seen: &Seen) -> bool {
        self.pinned |= pin(&mut self.args.destination, seen);
        self.is_repeatable()
    }

    fn is_pinned(&self) -> bool {
        self.pinned
    }
}

impl Change for Copy<'_> {
    type Answer = Copied;

    async fn attempt(&mut self) -> Result<Copied, Error> {
        let args = &rewrite_object::RewriteObjectArgs {
            rewrite: Box::new(self.rewrite.clone()),
        };
        let rewrite = async |connection: Connection| connection.rewrite_object(args).await;
        let answer = self.requests.connection.request(rewrite).await;
        let Reply { args: reply, json } = answer.inspect_err(|error| {
            self.history.unsure |= error.may_have_happened();
        })?;
        Ok(match reply.rewritten.object {
            Some(info) => Copied::Object(StoredObject { info, json }),
            None => Copied::Step(reply.rewritten),
        })
    }

    fn is_repeatable(&self) -> bool {
        self.rewrite.destination.preconditions.pins_generation()
    }

    async fn look(&mut self, end: Instant) -> Result<Done<Copied>, GivenUp> {
        let Rewrite {
            source, destination, ..
        } = &*self.rewrite;
        let source = ObjectRef {
            generation: source.generation,
            user_project: destination.user_project.clone(),
            key: source.key.clone(),
            ..ObjectRef::new(source.bucket.clone(), source.object.clone())
        };
        let made = made(self.requests, destination, &[source], self.began, end).await?;
        Ok(match made {
            Done::Yes(object) => Done::Yes(Copied::Object(object)),
            Done::No(seen) => Done::No(seen),
            Done::Unknown(seen) => Done::Unknown(seen),
        })
    }

    /// From its first byte on: a token belongs to the request that it came from.
    fn pin(&mut self, seen: &Seen) -> bool {
        self.rewrite.token = None;
        self.history.pinned |= pin(&mut self.rewrite.destination, seen);
        self.is_repeatable()
    }

    fn is_pinned(&self) -> bool {
        self.history.pinned
    }
}

/// A repeat is to replace only what was `seen` at `destination`. Returns whether that was added: the user's own
/// precondition stays.
fn pin(destination: &mut Destination, seen: &Seen) -> bool {
    let generation = match seen {
        Seen::Nothing => 0,
        Seen::Object(found) => found.generation,
        Seen::Unseen(_) => return false,
    };
    let adds = !destination.preconditions.pins_generation();
    if adds {
        destination.preconditions.if_generation_match = Some(generation);
    }
    adds
}

/// A source as an object of its own.
fn of(source: &ComposeSource, destination: &Destination) -> ObjectRef {
    ObjectRef {
        object: source.object.clone(),
        generation: source.generation.or(source.if_generation_match),
        ..place(destination)
    }
}

/// Whether the object at `destination` was made of `sources`, by a request that was first sent at `began`.
///
/// That it holds what they hold proves it where it was not there before: its generation is not the one that was to be
/// replaced, and no time before the request. It has to have the metadata that was asked for. One that is older for sure
/// would have been replaced: then nothing was made.
async fn made(
    requests: &ReliableRequests,
    destination: &Destination,
    sources: &[ObjectRef],
    began: u64,
    end: Instant,
) -> Result<Done<StoredObject>, GivenUp> {
    let replaces = destination.preconditions.if_generation_match;
    let Some(found) = requests.look(&place(destination), end).await? else {
        return Ok(Done::No(Seen::Nothing));
    };
    let generation = found.info.generation;
    let age = age(generation, began);
    if replaces == Some(generation) || age == Age::Older {
        return Ok(Done::No(Seen::Object(found.info)));
    }
    let itself = |source: &ObjectRef| {
        (&source.bucket, &source.object) == (&destination.bucket, &destination.object)
            && source.generation.is_none_or(|source| source == generation)
    };
    let comparable = !sources.iter().any(itself) && age == Age::Newer;
    if comparable
        && let Some(wanted) = content(requests, sources, end).await?
        && is(&found.info, wanted)
        && has(&found, &destination.metadata)
    {
        return Ok(Done::Yes(found));
    }
    Ok(Done::Unknown(Seen::Object(found.info)))
}

/// The size and the checksum of `sources` in a row, where GCS tells those of each.
async fn content(
    requests: &ReliableRequests,
    sources: &[ObjectRef],
    end: Instant,
) -> Result<Option<(u64, Crc32c)>, GivenUp> {
    let mut whole = (0, Crc32c::default());
    for source in sources {
        let Some(found) = requests.look(source, end).await? else {
            return Ok(None);
        };
        let size = found.info.size;
        let Some(sum) = found.info.crc32c.and_then(|next| whole.1.combine(next, size)) else {
            return Ok(None);
        };
        whole = (whole.0 + size, sum);
    }
    Ok(Some(whole))
}
