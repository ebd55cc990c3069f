//! Removes temporary objects and open uploads, those of other processes included.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Aborted, Error, GivenUp, NewObject, ReliableUpload};
use super::checkpoint::{PartState, StripedCheckpoint};
use super::clearing::{Clearing, Temporary};
use super::concurrent::concurrently_while;
use super::names::Names;
use super::options::Via;
use super::outcome::{Leftovers, StripedAborted};
use super::requests::Requests;
use super::route::Route;
use super::temporary::{multipart_ref, part_object, place};
use gcsd_types::digits;
use gcsd_types::{Destination, NameError, ObjectName, ObjectQuery, ObjectRef};
use gcsd_wire::Kind;
use serde::Deserialize;

/// The most pages that are listed: more than one upload has temporary objects.
const MAX_PAGES: usize = 100;

/// The cleanup of one upload.
pub(super) struct Cleanup<R> {
    requests: Requests<R>,
    names: Names,
    destination: Destination,
    checkpoint: StripedCheckpoint,
    pub(super) intermediates: Vec<Temporary>,
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
        let clearing = Arc::new(Clearing::new(self.requests.grace()));
        self.delete_in(&clearing, search).await
    }

    async fn delete_in(&self, clearing: &Arc<Clearing>, search: bool) -> Leftovers {
        let mut leftovers = Leftovers::default();
        if self.checkpoint.via == Via::Compose {
            self.names.prefix().clone_into(&mut leftovers.prefix);
        }
        let mut known = self.intermediates.clone();
        let parts = self.checkpoint.parts.iter().enumerate();
        known.extend(parts.filter_map(|(number, part)| match part {
            PartState::Done { run, generation, .. } => {
                Some((self.names.part(*run, number).ok()?, *generation))
            }
            _ => None,
        }));
        let deleted = clearing.in_time(self.delete_all(clearing, &mut known, search));
        match deleted.await {
            Some(Ok(())) => {}
            Some(Err(given_up)) => leftovers.unsure = Some(given_up.error().clone()),
            None => {
                let text = "the temporary objects could not be deleted in time";
                leftovers.unsure = Some(Error::Unanswered(text));
            }
        }
        let left = clearing.remaining(known);
        leftovers.objects = left.into_iter().map(|(name, _)| name).collect();
        leftovers
    }

    /// Deletes what is `known`, which becomes what is listed, where anything is.
    async fn delete_all(
        &self,
        clearing: &Arc<Clearing>,
        known: &mut Vec<Temporary>,
        search: bool,
    ) -> Result<(), GivenUp> {
        self.delete_these(clearing, known.clone()).await;
        if self.checkpoint.via == Via::Multipart {
            return Ok(());
        }
        // An answer that was lost does not say that anything is left. The list does.
        let all_gone = |known: &Vec<Temporary>| clearing.remaining(known.clone()).is_empty();
        if !search && all_gone(known) {
            return Ok(());
        }
        for last in [false, false, true] {
            *known = self.find(clearing.left()).await?;
            if last || known.is_empty() {
                break;
            }
            self.delete_these(clearing, known.clone()).await;
            if all_gone(known) {
                break;
            }
        }
        Ok(())
    }

    /// Deletes generations of objects. Nothing more is begun where one cannot be deleted.
    async fn delete_these(&self, clearing: &Arc<Clearing>, objects: Vec<Temporary>) {
        // So that there is time to look.
        let patience = clearing.left() / 2;
        let work = clearing.remaining(objects).into_iter().map(|(name, generation)| {
            let object = ObjectRef {
                object: name.clone(),
                generation: Some(generation),
                ..place(&self.destination)
            };
            let (requests, clearing) = (self.requests.clone(), clearing.clone());
            async move {
                requests.delete(&object, patience).await?;
                clearing.is_gone((name, generation));
                Ok::<_, GivenUp>(())
            }
        });
        let _remaining = concurrently_while(work, Result::is_ok).await;
    }

    /// All generations of temporary objects of this upload.
    async fn find(&self, budget: Duration) -> Result<Vec<Temporary>, GivenUp> {
        let requests = &self.requests;
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
        let clearing = Arc::new(Clearing::new(self.requests.grace()));
        // First, so that none of them makes another object to delete.
        let cancelled = self.cancel_uploads(object, clearing.left() / 2);
        let uncancelled = clearing.in_time(cancelled).await.unwrap_or(Some(Error::LATE));
        let mut leftovers = self.delete_in(&clearing, true).await;
        let aborted = self.abort_multipart(object, clearing.left());
        let unaborted = clearing.in_time(aborted).await.unwrap_or(Some(Error::LATE));
        leftovers.unsure = leftovers.unsure.or(uncancelled).or(unaborted);
        // Without its parts the object can no longer be composed, so what is seen now stays so.
        let aborted = match (self.in_doubt, self.checkpoint.replaces) {
            (true, Some(replaces)) => {
                let looked = self.look_for_object(replaces, &leftovers, clearing.left());
                let late = Aborted::Unknown {
                    error: Some(Error::LATE),
                };
                clearing.in_time(looked).await.unwrap_or(late)
            }
            _ => Aborted::Cancelled,
        };
        StripedAborted {
            object: aborted,
            leftovers,
        }
    }

    async fn look_for_object(&self, replaces: u64, leftovers: &Leftovers, patience: Duration) -> Aborted {
        let Some(whole) = self.checkpoint.content() else {
            return Aborted::Cancelled;
        };
        let place = place(&self.destination);
        match self.requests.look_for(&place, patience).await {
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
    async fn abort_multipart(&self, object: &NewObject, patience: Duration) -> Option<Error> {
        let upload = multipart_ref(object, self.checkpoint.multipart.as_deref()?);
        let requests = &self.requests;
        let abort = || requests.route.abort_multipart(&upload);
        let aborted = requests.retrier(patience).run(abort).await;
        let given_up = aborted.err()?;
        Some(given_up.error().clone()).filter(|error| !error.is(Kind::NotFound))
    }

    /// Cancels the uploads of parts. Returns why that failed for one of them, if it did.
    async fn cancel_uploads(&self, object: &NewObject, patience: Duration) -> Option<Error> {
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
            let retries = self.requests.retries.clone().with_abort_budget(patience);
            work.push(ReliableUpload::discard_temporary(uploads, token, retries));
        }
        let told = |aborted: &Aborted| !matches!(aborted, Aborted::Unknown { error: Some(_) });
        let cancelled = concurrently_while(work, told).await;
        cancelled.into_iter().find_map(|aborted| match aborted {
            Aborted::Unknown { error } => error,
            // A finished one is found by its name.
            Aborted::Cancelled | Aborted::AlreadyFinished { .. } => None,
        })
    }
}

/// The objects of a page. Each name is checked, so that nothing else is ever deleted.
fn items(json: &[u8], names: &Names) -> Vec<Temporary> {
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
#[path = "cleanup_tests.rs"]
mod tests;
