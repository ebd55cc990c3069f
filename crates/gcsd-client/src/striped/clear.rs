//! Temporary objects and open uploads go away, whoever made them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::super::{Aborted, Failure, NewObject, ReliableUpload, UploadError};
use super::assemble::{Assembly, place};
use super::checkpoint::{Part, StripedCheckpoint};
use super::names::Names;
use super::options::Via;
use super::requests::{reliably, several};
use super::route::Route;
use super::temporary::{multipart_ref, part_object};
use gcsd_types::{Destination, NameError, ObjectName, ObjectQuery, ObjectRef};
use gcsd_wire::{Kind, Retry};

/// The most pages of a list that are looked through: more than there are temporary objects of one upload.
const MAX_PAGES: usize = 100;

/// What is left of an upload after it was cleared up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Temporary objects that could not be deleted.
    pub objects: Vec<ObjectName>,
    /// Why there may be more: what there is could not be listed, or not in time. Their names begin with
    /// [`prefix`](Self::prefix).
    pub unsure: Option<Failure>,
    /// What the names of temporary objects begin with; empty where there are none.
    pub prefix: String,
}

impl Leftovers {
    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.unsure.is_none()
    }
}

/// What an abort of a striped upload found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StripedAborted {
    /// What became of the object.
    pub object: Aborted,
    /// What could not be cleared up.
    pub leftovers: Leftovers,
}

/// An upload in one piece, without temporary objects.
impl From<Aborted> for StripedAborted {
    fn from(object: Aborted) -> Self {
        let leftovers = Leftovers::default();
        Self { object, leftovers }
    }
}

/// What is to be cleared up.
pub(super) struct Clearing<R> {
    assembly: Assembly<R>,
    names: Names,
    destination: Destination,
    checkpoint: StripedCheckpoint,
    pub(super) joints: Vec<(ObjectName, u64)>,
    pub(super) in_doubt: bool,
}

impl<R: Route> Clearing<R> {
    pub(super) fn new(
        assembly: Assembly<R>,
        names: Names,
        destination: Destination,
        checkpoint: StripedCheckpoint,
    ) -> Self {
        Self {
            in_doubt: checkpoint.replaces.is_some(),
            assembly,
            names,
            destination,
            checkpoint,
            joints: Vec::new(),
        }
    }

    /// Deletes the temporary objects that are known of, and where `search` says so, those that are found.
    pub(super) async fn delete(&self, search: bool) -> Leftovers {
        let mut leftovers = Leftovers::default();
        if self.checkpoint.via == Via::Compose {
            self.names.prefix().clone_into(&mut leftovers.prefix);
        }
        // A request that fails is made again for as long as an abort may take. There is a bound on all of them, too.
        let objects = u32::try_from(self.checkpoint.parts.len()).unwrap_or(u32::MAX);
        let patience = self.assembly.retries.abort_budget;
        let patience = patience.saturating_add(Duration::from_millis(250).saturating_mul(objects));
        if timeout(patience, self.delete_all(search, &mut leftovers))
            .await
            .is_err()
        {
            let text = "what is left could not be deleted in time";
            leftovers.unsure = Some(Failure::local("unanswered", Retry::Same, text));
        }
        leftovers
    }

    async fn delete_all(&self, search: bool, leftovers: &mut Leftovers) {
        let mut known = self.joints.clone();
        let parts = self.checkpoint.parts.iter().enumerate();
        known.extend(parts.filter_map(|(number, part)| match part {
            Part::Done { run, generation, .. } => Some((self.names.part(*run, number).ok()?, *generation)),
            _ => None,
        }));
        leftovers.objects = self.delete_these(known).await;
        if !search || self.checkpoint.via == Via::Multipart {
            return;
        }
        match self.find().await {
            Ok(found) => leftovers.objects = self.delete_these(found).await,
            Err(error) => {
                let failure = error.failure().cloned();
                let text = error.to_string();
                leftovers.unsure =
                    Some(failure.unwrap_or_else(|| Failure::local("failed", Retry::Never, text)));
            }
        }
    }

    /// Deletes generations of objects; returns what could not be deleted.
    async fn delete_these(&self, objects: Vec<(ObjectName, u64)>) -> Vec<ObjectName> {
        let work = objects.into_iter().map(|(name, generation)| {
            let object = ObjectRef {
                object: name.clone(),
                generation: Some(generation),
                ..place(&self.destination)
            };
            let assembly = self.assembly.clone();
            async move { assembly.delete(&object).await.err().map(|_| name) }
        });
        several(work).await.into_iter().flatten().collect()
    }

    /// All generations of temporary objects of this upload.
    async fn find(&self) -> Result<Vec<(ObjectName, u64)>, UploadError> {
        let assembly = &self.assembly;
        let mut query = ObjectQuery::new(self.destination.bucket.clone());
        query.prefix = Some(self.names.prefix().to_owned());
        query.versions = true;
        query.user_project = self.destination.user_project.clone();
        query.fields = Some("items(name,generation),nextPageToken".to_owned());
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let list = || assembly.route.list(&query);
            let (page, json) = reliably(
                &assembly.retries,
                assembly.retries.abort_budget,
                &assembly.board,
                list,
            )
            .await?;
            found.extend(items(&json, &self.names));
            match page.next_page_token {
                Some(token) => query.page_token = Some(token),
                None => break,
            }
        }
        Ok(found)
    }

    /// Throws everything away.
    pub(super) async fn abort(self) -> StripedAborted {
        // First, so that none of them makes an object any more that would have to be deleted.
        let uncancelled = self.cancel_uploads().await;
        let mut leftovers = self.delete(true).await;
        let unaborted = self.abort_multipart().await;
        leftovers.unsure = leftovers.unsure.or(uncancelled).or(unaborted);
        // Without its parts, the object can be composed no more: what is seen now stays so.
        let aborted = match (self.in_doubt, self.checkpoint.replaces) {
            (true, Some(replaces)) => self.look_for_object(replaces, &leftovers).await,
            _ => Aborted::Cancelled,
        };
        StripedAborted {
            object: aborted,
            leftovers,
        }
    }

    async fn look_for_object(&self, replaces: u64, leftovers: &Leftovers) -> Aborted {
        let Some(whole) = self.checkpoint.content() else {
            return Aborted::Cancelled;
        };
        match self.assembly.look(&place(&self.destination)).await {
            Ok(Some(found)) if found.info.generation != replaces && whole.is(&found) => {
                Aborted::AlreadyFinished {
                    generation: found.info.generation,
                }
            }
            Ok(_) if leftovers.is_empty() => Aborted::Cancelled,
            Ok(_) => Aborted::Unknown {
                failure: leftovers.unsure.clone(),
            },
            Err(error) => Aborted::Unknown {
                failure: error.failure().cloned(),
            },
        }
    }

    /// Throws the parts of a multipart upload away; says why that could not be.
    async fn abort_multipart(&self) -> Option<Failure> {
        let upload = multipart_ref(&self.destination, self.checkpoint.multipart.as_deref()?);
        let assembly = &self.assembly;
        let budget = assembly.retries.abort_budget;
        let abort = || assembly.route.abort_multipart(&upload);
        let aborted = reliably(&assembly.retries, budget, &assembly.board, abort).await;
        let failure = aborted.err()?.failure().cloned();
        failure.filter(|failure| !failure.is(Kind::NotFound))
    }

    /// Cancels the uploads of parts; says why one could not be.
    async fn cancel_uploads(&self) -> Option<Failure> {
        let open = self
            .checkpoint
            .parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| match part {
                // A part of a multipart upload goes with that.
                Part::Open { run, token } if self.checkpoint.via == Via::Compose => {
                    Some((number, *run, token.clone()))
                }
                _ => None,
            });
        let mut work = Vec::new();
        for (number, run, token) in open {
            let Ok(name) = self.names.part(run, number) else {
                continue;
            };
            let (_, len) = self.checkpoint.layout().range(number);
            let object = NewObject {
                destination: part_object(&self.destination, name),
                size: Some(len),
            };
            let uploads = self.assembly.route.uploads(number, object);
            let retries = self.assembly.retries.clone();
            work.push(ReliableUpload::discard(uploads, token, retries));
        }
        let cancelled = several(work).await;
        cancelled.into_iter().find_map(|aborted| match aborted {
            Aborted::Unknown { failure } => failure,
            // What was finished is found by its name.
            Aborted::Cancelled | Aborted::AlreadyFinished { .. } => None,
        })
    }
}

/// What a page lists, of which every name is looked at: nothing else is ever deleted.
fn items(json: &[u8], names: &Names) -> Vec<(ObjectName, u64)> {
    #[derive(Deserialize, Default)]
    struct Listed {
        #[serde(default)]
        items: Vec<BTreeMap<String, serde_json::Value>>,
    }
    let listed: Listed = serde_json::from_slice(json).unwrap_or_default();
    let item = |item: &BTreeMap<String, serde_json::Value>| {
        let name = item.get("name")?.as_str().filter(|name| names.own(name))?;
        let generation = item.get("generation")?.as_str()?.parse().ok()?;
        let name: Result<ObjectName, NameError> = name.parse();
        Some((name.ok()?, generation))
    };
    listed.items.iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_objects_are_listed() {
        let id = "0".repeat(32);
        let names = Names::new(&"o".parse().expect("a name"), None, &id).expect("names");
        let json = format!(
            r#"{{"items":[{{"name":"o.{id}-0-1.gcsd-part","generation":"7"}},{{"name":"o","generation":"8"}},
                {{"name":"o.{id}-0-2.gcsd-part","generation":"x"}},{{"name":"o.{id}-x","generation":"1"}}]}}"#
        );
        let part = names.part(0, 1).expect("a name");
        assert_eq!(items(json.as_bytes(), &names), [(part, 7)]);
        assert_eq!(items(b"", &names), []);
    }
}
