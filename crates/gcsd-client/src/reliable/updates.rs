//! Changes of objects that leave their bytes alone: another name, other metadata. Whether they were made.

use std::time::Duration;

use serde_json::Value;

use super::super::connection::Connection;
use super::super::sight::{Age, age, is};
use super::super::{Error, Seen, StoredObject};
use super::changes::{Change, Done};
use super::given_up::GivenUp;
use super::requests::ReliableRequests;
use gcsd_types::{Crc32c, ObjectRef, Preconditions};
use gcsd_wire::{move_object, patch_object};

/// An object gets another name.
pub(super) struct Renaming<'a> {
    pub(super) requests: &'a ReliableRequests,
    /// The generation of its source is pinned.
    pub(super) args: move_object::Args,
    /// The size and the checksum of the source, where GCS told them.
    pub(super) content: Option<(u64, Crc32c)>,
    pub(super) began: u64,
}

impl Change for Renaming<'_> {
    type Answer = StoredObject;

    async fn attempt(&mut self) -> Result<StoredObject, Error> {
        let args = &self.args;
        let rename = async |connection: Connection| connection.move_object(args).await;
        Ok(self.requests.connection.request(rename).await?.into())
    }

    fn is_repeatable(&self) -> bool {
        let move_object::Args {
            source,
            preconditions,
            ..
        } = &self.args;
        source.preconditions.pins_generation() || preconditions.pins_generation()
    }

    /// It was made if the source is gone and the object under the new name has its bytes, and was not there before.
    async fn look(&mut self, patience: Duration) -> Result<Done<StoredObject>, GivenUp> {
        let move_object::Args {
            source,
            destination,
            preconditions,
            ..
        } = &self.args;
        let at = |object| ObjectRef {
            object,
            preconditions: Preconditions::default(),
            fields: None,
            ..source.clone()
        };
        let pinned = source.preconditions.if_generation_match;
        let left = self.requests.look(&at(source.object.clone()), patience).await?;
        if let Some(left) = left
            && pinned.is_none_or(|pinned| pinned == left.info.generation)
        {
            return Ok(Done::No(Seen::Object(left.info)));
        }
        let Some(found) = self.requests.look(&at(destination.clone()), patience).await? else {
            return Ok(Done::Unknown(Seen::Nothing));
        };
        let generation = found.info.generation;
        let new = preconditions.if_generation_match != Some(generation)
            && age(generation, self.began) == Age::Newer;
        match self.content {
            Some(content) if new && is(&found.info, content) => Ok(Done::Yes(found)),
            _ => Ok(Done::Unknown(Seen::Object(found.info))),
        }
    }
}

/// An object gets other metadata.
pub(super) struct Patch<'a> {
    pub(super) requests: &'a ReliableRequests,
    pub(super) args: patch_object::Args,
    /// A precondition was added to make it repeatable.
    pub(super) pinned: bool,
}

impl Change for Patch<'_> {
    type Answer = StoredObject;

    async fn attempt(&mut self) -> Result<StoredObject, Error> {
        let args = &self.args;
        let patch = async |connection: Connection| connection.patch_object(args).await;
        Ok(self.requests.connection.request(patch).await?.into())
    }

    fn is_repeatable(&self) -> bool {
        self.args.object.preconditions.pins_metageneration()
    }

    /// It was made if the object is as it was to be, whoever made it so.
    async fn look(&mut self, patience: Duration) -> Result<Done<StoredObject>, GivenUp> {
        let patch_object::Args { object, generation } = &self.args;
        let of = ObjectRef {
            generation: generation.or(object.preconditions.if_generation_match),
            user_project: object.user_project.clone(),
            ..ObjectRef::new(object.bucket.clone(), object.object.clone())
        };
        let Some(found) = self.requests.look(&of, patience).await? else {
            return Ok(Done::No(Seen::Nothing));
        };
        let shown: Value = serde_json::from_slice(&found.json).unwrap_or_default();
        let asked: Value = serde_json::from_slice(&object.metadata).unwrap_or_default();
        // What an ACL became of is not shown to everybody.
        match object.predefined_acl.is_none() && is_so(&asked, &shown) {
            true => Ok(Done::Yes(found)),
            false => Ok(Done::No(Seen::Object(found.info))),
        }
    }

    fn pin(&mut self, seen: &Seen) -> bool {
        let Seen::Object(found) = seen else { return false };
        if !self.is_repeatable() {
            self.args.object.preconditions.if_metageneration_match = Some(found.metageneration);
            self.args.generation.get_or_insert(found.generation);
            self.pinned = true;
        }
        true
    }

    fn is_pinned(&self) -> bool {
        self.pinned
    }
}

/// Whether `shown` is what a patch by `asked` leaves behind: null removes, objects are merged (RFC 7396).
fn is_so(asked: &Value, shown: &Value) -> bool {
    match asked {
        Value::Object(asked) => asked
            .iter()
            .all(|(name, value)| is_so(value, &shown[name.as_str()])),
        other => other == shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_seen_in_what_it_leaves_behind() {
        let shown = json!({"contentType": "a/b", "metadata": {"k": "v", "other": "x"}});
        for asked in [
            json!({"contentType": "a/b"}),
            json!({"metadata": {"k": "v", "gone": null}}),
            json!({"cacheControl": null}),
        ] {
            assert!(is_so(&asked, &shown), "{asked}");
        }
        for asked in [
            json!({"contentType": "c/d"}),
            json!({"contentType": null}),
            json!({"metadata": {"k": null}}),
            json!({"metadata": null}),
            json!({"cacheControl": "no-cache"}),
        ] {
            assert!(!is_so(&asked, &shown), "{asked}");
        }
    }
}
