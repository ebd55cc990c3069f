//! Temporary objects and open uploads are removed, whoever made them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::super::{Aborted, Error, GivenUp, NewObject, ReliableUpload};
use super::checkpoint::{PartState, StripedCheckpoint};
use super::concurrent::concurrently;
use super::names::Names;
use super::options::Via;
use super::outcome::{Leftovers, StripedAborted};
use super::requests::Requests;
use super::route::Route;
use super::temporary::{multipart_ref, part_object, place};
use gcsd_types::digits;
use gcsd_types::{Destination, NameError, ObjectName, ObjectQuery, ObjectRef};
use gcsd_wire::Kind;

/// The most pages that are listed: more than one upload has temporary objects.
const MAX_PAGES: usize = 100;

/// The cleanup of one upload.
pub(super) struct Cleanup<R> {
    requests: Requests<R>,
    names: Names,
    destination: Destination,
    checkpoint: StripedCheckpoint,
    pub(super) intermediates: Vec<(ObjectName, u64)>,
    pub(super) in_doubt: bool,
}

impl<R: Route> Cleanup<R> {
    pub(super) fn new(
        requests: Requests<R>,
        names: Names,
        destination: Destination,
        checkpoint: StripedCheckpoint,
    ) -> Self {
        Self {
            in_doubt: checkpoint.replaces.is_some(),
            requests,
            names,
            destination,
            checkpoint,
            intermediates: Vec::new(),
        }
    }

    /// Deletes the temporary objects that are known, and with `search` all others that are listed.
    pub(super) async fn delete(&self, search: bool) -> Leftovers {
        let mut leftovers = Leftovers::default();
        if self.checkpoint.via == Via::Compose {
            self.names.prefix().clone_into(&mut leftovers.prefix);
        }
        // Each request is repeated for as long as an abort may take, and all of them have a bound together.
        let objects = u32::try_from(self.checkpoint.parts.len()).unwrap_or(u32::MAX);
        let patience = self.requests.retries.abort_budget;
        let patience = patience.saturating_add(Duration::from_millis(250).saturating_mul(objects));
        if timeout(patience, self.delete_all(search, &mut leftovers))
            .await
            .is_err()
        {
            let text = "the temporary objects could not be deleted in time";
            leftovers.unsure = Some(Error::Unanswered(text));
        }
        leftovers
    }

    async fn delete_all(&self, search: bool, leftovers: &mut Leftovers) {
        let mut known = self.intermediates.clone();
        let parts = self.checkpoint.parts.iter().enumerate();
        known.extend(parts.filter_map(|(number, part)| match part {
            PartState::Done { run, generation, .. } => {
                Some((self.names.part(*run, number).ok()?, *generation))
            }
            _ => None,
        }));
        leftovers.objects = self.delete_these(known).await;
        if !search || self.checkpoint.via == Via::Multipart {
            return;
        }
        match self.find().await {
            Ok(found) => leftovers.objects = self.delete_these(found).await,
            Err(given_up) => leftovers.unsure = Some(given_up.error().clone()),
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
            let requests = self.requests.clone();
            async move { requests.delete(&object).await.err().map(|_| name) }
        });
        concurrently(work).await.into_iter().flatten().collect()
    }

    /// All generations of temporary objects of this upload.
    async fn find(&self) -> Result<Vec<(ObjectName, u64)>, GivenUp> {
        let requests = &self.requests;
        let budget = requests.retries.abort_budget;
        let mut query = ObjectQuery::new(self.destination.bucket.clone());
        query.prefix = Some(self.names.prefix().to_owned());
        query.versions = true;
        query.user_project = self.destination.user_project.clone();
        query.fields = Some("items(name,generation),nextPageToken".to_owned());
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let list = || requests.route.list(&query);
            let (page, json) = requests.retrier(budget).run(list).await?;
            found.extend(items(&json, &self.names));
            match page.next_page_token {
                Some(token) => query.page_token = Some(token),
                None => break,
            }
        }
        Ok(found)
    }

    /// Throws everything away. `object` is what the parts would have become.
    pub(super) async fn abort(self, object: &NewObject) -> StripedAborted {
        // First, so that none of them makes another object to delete.
        let uncancelled = self.cancel_uploads(object).await;
        let mut leftovers = self.delete(true).await;
        let unaborted = self.abort_multipart(object).await;
        leftovers.unsure = leftovers.unsure.or(uncancelled).or(unaborted);
        // Without its parts the object can no longer be composed, so what is seen now stays so.
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
        match self.requests.look(&place(&self.destination)).await {
            Ok(Some(found)) if found.info.generation != replaces && whole.is(&found) => {
                Aborted::AlreadyFinished {
                    generation: found.info.generation,
                }
            }
            // Ours may have been made, and replaced by this one.
            Ok(Some(found)) if found.info.generation != replaces => Aborted::Unknown { error: None },
            Ok(_) if leftovers.is_empty() => Aborted::Cancelled,
            Ok(_) => Aborted::Unknown {
                error: leftovers.unsure.clone(),
            },
            Err(given_up) => Aborted::Unknown {
                error: Some(given_up.error().clone()),
            },
        }
    }

    /// Aborts the multipart upload and its parts. Returns why that failed, if it did.
    async fn abort_multipart(&self, object: &NewObject) -> Option<Error> {
        let upload = multipart_ref(object, self.checkpoint.multipart.as_deref()?);
        let requests = &self.requests;
        let abort = || requests.route.abort_multipart(&upload);
        let aborted = requests.retrier(requests.retries.abort_budget).run(abort).await;
        let given_up = aborted.err()?;
        Some(given_up.error().clone()).filter(|error| !error.is(Kind::NotFound))
    }

    /// Cancels the uploads of parts. Returns why that failed for one of them, if it did.
    async fn cancel_uploads(&self, object: &NewObject) -> Option<Error> {
        let open = self
            .checkpoint
            .parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| match part {
                // A part of a multipart upload is removed with it.
                PartState::Open { run, token } if self.checkpoint.via == Via::Compose => {
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
            let uploads = self
                .requests
                .route
                .uploads(number, part_object(object, name, len));
            let retries = self.requests.retries.clone();
            work.push(ReliableUpload::discard_temporary(uploads, token, retries));
        }
        let cancelled = concurrently(work).await;
        cancelled.into_iter().find_map(|aborted| match aborted {
            Aborted::Unknown { error } => error,
            // A finished one is found by its name.
            Aborted::Cancelled | Aborted::AlreadyFinished { .. } => None,
        })
    }
}

/// The objects of a page. Each name is checked, so that nothing else is ever deleted.
fn items(json: &[u8], names: &Names) -> Vec<(ObjectName, u64)> {
    #[derive(Deserialize, Default)]
    struct Listed {
        #[serde(default)]
        items: Vec<BTreeMap<String, serde_json::Value>>,
    }
    let listed: Listed = serde_json::from_slice(json).unwrap_or_default();
    let item = |item: &BTreeMap<String, serde_json::Value>| {
        let name = item.get("name")?.as_str().filter(|name| names.own(name))?;
        let generation = digits(item.get("generation")?.as_str()?)?;
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
