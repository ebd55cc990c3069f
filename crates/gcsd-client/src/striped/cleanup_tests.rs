use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::super::{RetryPolicy, StoredObject, ViaDaemon};
use super::super::layout::Layout;
use super::super::multipart_part::DaemonPart;
use super::super::reports::PartReports;
use super::super::requests::Used;
use super::*;
use gcsd_types::{ComposeSource, Crc32c, MultipartRef, Page, Part};
use gcsd_wire::Retry;

const ID: &str = "00000000000000000000000000000000";

/// How requests end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    /// It is carried out, and the answer is lost.
    Lost,
    /// It fails at once.
    Failing,
    /// It never comes.
    Missing,
}

/// A GCS that has temporary objects.
#[derive(Debug, Clone)]
struct Fake {
    there: Arc<Mutex<Vec<Temporary>>>,
    deletions: Answer,
    lists: Answer,
}

impl Fake {
    async fn answer(answer: Answer) -> Result<(), Error> {
        match answer {
            Answer::Given => Ok(()),
            Answer::Lost | Answer::Failing => Err(Error::of(Kind::Unavailable, Retry::Same, "later")),
            Answer::Missing => std::future::pending().await,
        }
    }
}

impl Route for Fake {
    type Uploads = ViaDaemon;
    type Parts = DaemonPart;

    fn uploads(&self, _lane: usize, _object: NewObject) -> ViaDaemon {
        unreachable!("nothing is uploaded")
    }

    fn part(&self, _lane: usize, _upload: MultipartRef, _number: u32) -> DaemonPart {
        unreachable!("nothing is uploaded")
    }

    async fn start_multipart(&self, _destination: &Destination) -> Result<String, Error> {
        unreachable!("nothing is uploaded")
    }

    async fn complete_multipart(&self, _of: &MultipartRef, _parts: &[Part]) -> Result<Option<u64>, Error> {
        unreachable!("nothing is completed")
    }

    async fn abort_multipart(&self, _upload: &MultipartRef) -> Result<(), Error> {
        unreachable!("nothing is aborted")
    }

    async fn compose(&self, _to: &Destination, _of: &[ComposeSource]) -> Result<StoredObject, Error> {
        unreachable!("nothing is composed")
    }

    async fn stat(&self, _object: &ObjectRef) -> Result<StoredObject, Error> {
        Self::answer(self.lists).await?;
        Err(Error::of(Kind::NotFound, Retry::Never, "not there"))
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Error> {
        if matches!(self.deletions, Answer::Given | Answer::Lost) {
            let deleted = (object.object.clone(), object.generation.unwrap_or_default());
            self.there
                .lock()
                .expect("not poisoned")
                .retain(|there| *there != deleted);
        }
        Self::answer(self.deletions).await
    }

    async fn list(&self, _query: &ObjectQuery) -> Result<(Page, Bytes), Error> {
        Self::answer(self.lists).await?;
        let there = self.there.lock().expect("not poisoned");
        let item = |(name, generation): &Temporary| serde_json::json!({"name": name.as_str(), "generation": generation.to_string()});
        let items: Vec<_> = there.iter().map(item).collect();
        let json = serde_json::json!({ "items": items }).to_string();
        Ok((Page::default(), json.into()))
    }
}

/// The cleanup of an upload with 20 parts, which are all there.
fn cleanup(deletions: Answer, lists: Answer) -> (Cleanup<Fake>, Fake) {
    let layout = Layout::new(20_000, 1, Some(1_000));
    let mut checkpoint = StripedCheckpoint::new(ID.to_owned(), None, Via::Compose, layout);
    let names = Names::new(&"o".parse().expect("a name"), None, ID).expect("names");
    let mut there = Vec::new();
    for (number, part) in checkpoint.parts.iter_mut().enumerate() {
        let generation = 1 + number as u64;
        *part = PartState::done(0, generation, Crc32c(0));
        there.push((names.part(0, number).expect("a name"), generation));
    }
    assert_eq!(there.len(), 20);
    // It can have been composed.
    checkpoint.replaces = Some(0);
    let fake = Fake {
        there: Arc::new(Mutex::new(there)),
        deletions,
        lists,
    };
    let requests = Requests {
        route: fake.clone(),
        retries: RetryPolicy::default(),
        reports: Arc::new(PartReports::new(20)),
        stop: CancellationToken::new(),
        used: Used::default(),
    };
    let destination = Destination::new("bucket".parse().expect("a name"), "o".parse().expect("a name"));
    (Cleanup::new(requests, names, destination, checkpoint), fake)
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_not_left_whatever_was_answered() {
    for search in [false, true] {
        let (cleanup, fake) = cleanup(Answer::Lost, Answer::Given);
        let leftovers = cleanup.delete(search).await;
        assert!(leftovers.is_empty(), "{leftovers:?}");
        assert_eq!(*fake.there.lock().expect("not poisoned"), []);
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_it_has_one_time_and_what_is_left_is_told() {
    let grace = RetryPolicy::default().abort_budget;
    let second = Duration::from_secs(1);
    for deletions in [Answer::Failing, Answer::Missing] {
        for lists in [Answer::Given, Answer::Failing, Answer::Missing] {
            let (cleanup, fake) = cleanup(deletions, lists);
            let began = Instant::now();
            let leftovers = cleanup.delete(false).await;
            let took = began.elapsed();
            assert!(took <= grace + second, "{deletions:?} {lists:?}: {took:?}");
            assert_eq!(leftovers.objects.len(), 20, "{deletions:?} {lists:?}");
            let there = fake.there.lock().expect("not poisoned").len();
            assert_eq!(there, 20);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_has_one_time_for_everything() {
    let object = NewObject::new("bucket".parse().expect("a name"), "o".parse().expect("a name"));
    let policy = RetryPolicy::default();
    for used in [Duration::ZERO, policy.abort_budget / 2] {
        for answer in [Answer::Failing, Answer::Missing] {
            let (cleanup, _) = cleanup(answer, answer);
            cleanup.requests.used.at_least(used);
            let began = Instant::now();
            let aborted = Box::pin(cleanup.abort(&object)).await;
            let took = used + began.elapsed();
            assert!(
                took <= policy.abort_budget + Duration::from_secs(1),
                "{answer:?}: {took:?}"
            );
            assert!(matches!(aborted.object, Aborted::Unknown { error: Some(_) }));
            assert!(!aborted.leftovers.is_empty());
        }
    }
}

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
