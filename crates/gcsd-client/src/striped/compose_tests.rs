use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::super::super::{NewObject, RetryPolicy, ViaDaemon};
use super::super::multipart_part::DaemonPart;
use super::super::reports::PartReports;
use super::super::requests::Used;
use super::*;
use gcsd_types::{Crc32c, MultipartRef, ObjectInfo, ObjectQuery, Page};
use gcsd_wire::Retry;

/// A GCS with one object, which it describes as it is told to.
#[derive(Debug, Clone, Default)]
struct Fake {
    /// What the next looks show, the last of them for good.
    looks: Arc<Mutex<Vec<Option<ObjectInfo>>>>,
    deleted: Arc<Mutex<Vec<Option<u64>>>>,
    /// How the next requests that make the object fail.
    failures: Arc<Mutex<Vec<Error>>>,
}

impl Fake {
    fn fail(&self) -> Error {
        self.failures.lock().expect("not poisoned").remove(0)
    }
}

impl Route for Fake {
    type Uploads = ViaDaemon;

    fn uploads(&self, _lane: usize, _object: NewObject) -> ViaDaemon {
        unreachable!("nothing is uploaded")
    }

    type Parts = DaemonPart;

    fn part(&self, _lane: usize, _upload: MultipartRef, _number: u32) -> DaemonPart {
        unreachable!("nothing is uploaded")
    }

    async fn start_multipart(&self, _destination: &Destination) -> Result<String, Error> {
        unreachable!("nothing is uploaded")
    }

    async fn complete_multipart(
        &self,
        _upload: &MultipartRef,
        _parts: &[gcsd_types::Part],
    ) -> Result<Option<u64>, Error> {
        Err(self.fail())
    }

    async fn abort_multipart(&self, _upload: &MultipartRef) -> Result<(), Error> {
        unreachable!("nothing is uploaded")
    }

    async fn compose(&self, _to: &Destination, _of: &[ComposeSource]) -> Result<StoredObject, Error> {
        Err(self.fail())
    }

    async fn stat(&self, _object: &ObjectRef) -> Result<StoredObject, Error> {
        let mut looks = self.looks.lock().expect("not poisoned");
        let seen = match looks.len() {
            1 => looks[0],
            _ => looks.remove(0),
        };
        let none = || Error::of(Kind::NotFound, Retry::Never, "not there");
        seen.map(described).ok_or_else(none)
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Error> {
        self.deleted.lock().expect("not poisoned").push(object.generation);
        Ok(())
    }

    async fn list(&self, _query: &ObjectQuery) -> Result<(Page, Bytes), Error> {
        unreachable!("nothing is listed")
    }
}

fn described(info: ObjectInfo) -> StoredObject {
    let json = Bytes::new();
    StoredObject { info, json }
}

fn info(generation: u64, size: u64, crc32c: Option<u32>) -> ObjectInfo {
    ObjectInfo {
        generation,
        size,
        crc32c: crc32c.map(Crc32c),
        ..ObjectInfo::default()
    }
}

fn requests(fake: &Fake, budget: Duration) -> Requests<Fake> {
    let retries = RetryPolicy {
        budget,
        ..RetryPolicy::default()
    };
    Requests {
        route: fake.clone(),
        retries,
        reports: Arc::new(PartReports::new(1)),
        stop: CancellationToken::new(),
        used: Used::default(),
    }
}

fn destination() -> Destination {
    Destination::new("bucket".parse().expect("a name"), "o".parse().expect("a name"))
}

/// Verifies what was made, while GCS shows `looks`.
async fn verify(
    made: ObjectInfo,
    looks: &[Option<ObjectInfo>],
) -> (Result<ObjectInfo, StripedError>, Vec<Option<u64>>) {
    let fake = Fake {
        looks: Arc::new(Mutex::new(looks.to_vec())),
        ..Fake::default()
    };
    let requests = requests(&fake, Duration::ZERO);
    let destination = destination();
    let whole = Content {
        size: 10,
        crc32c: Crc32c(7),
        parts: 2,
    };
    let verified = requests.verify(&destination, described(made), whole).await;
    let deleted = fake.deleted.lock().expect("not poisoned").clone();
    (verified.map(|object| object.info), deleted)
}

#[tokio::test]
async fn a_wrong_object_is_deleted_and_a_damaged_reply_condemns_no_good_one() {
    let good = info(3, 10, Some(7));
    assert_eq!(verify(good, &[None]).await, (Ok(good), vec![]));
    for damaged in [info(3, 10, Some(8)), info(3, 11, Some(7)), info(3, 10, None)] {
        assert_eq!(verify(damaged, &[Some(good)]).await, (Ok(good), vec![]));
    }
    // Even the generation was damaged.
    assert_eq!(
        verify(info(4, 10, Some(8)), &[None, Some(good)]).await,
        (Ok(good), vec![])
    );
    for wrong in [info(3, 10, Some(8)), info(3, 11, Some(7))] {
        let (result, deleted) = verify(wrong, &[Some(wrong)]).await;
        assert_eq!(
            result,
            Err(StripedError::Mismatch {
                object: wrong,
                size: 10,
                crc32c: Crc32c(7),
                deleted: true
            })
        );
        assert_eq!(deleted, [Some(3)]);
    }
    let bare = info(3, 10, None);
    let unverified = Err(StripedError::Unverified { object: bare });
    assert_eq!(verify(bare, &[Some(bare)]).await, (unverified, vec![]));
}

/// What comes of a composition of nothing, to replace generation 2, whose requests fail so while GCS shows `look`.
async fn compose(failures: &[Error], look: Option<ObjectInfo>) -> Result<Composed, StripedError> {
    let fake = Fake {
        looks: Arc::new(Mutex::new(vec![look])),
        failures: Arc::new(Mutex::new(failures.to_vec())),
        ..Fake::default()
    };
    let requests = requests(&fake, Duration::from_secs(600));
    let composed = requests.compose(&destination(), &[], 2, false).await;
    assert!(fake.failures.lock().expect("not poisoned").is_empty());
    composed
}

#[tokio::test(start_paused = true)]
async fn a_lost_composition_is_never_taken_for_one_that_was_overtaken() {
    let lost = Error::of(Kind::Unavailable, Retry::Same, "later");
    let refused = Error::of(Kind::PreconditionFailed, Retry::Never, "no");
    let unknown = |composed: Result<Composed, StripedError>| {
        let error = composed.err().expect("nothing tells");
        assert!(!error.is_resumable());
        matches!(error, StripedError::Request { error, .. } if error.is_unknown())
    };
    let nothing = info(3, 0, Some(0));
    let other = info(3, 1, Some(0));
    // It was refused at once: another one was quicker.
    let overtaken = compose(std::slice::from_ref(&refused), Some(other)).await;
    assert!(matches!(overtaken, Ok(Composed::Overtaken(_))));
    // It can have been made, and replaced.
    let twice = [lost, refused.clone()];
    assert!(unknown(compose(&twice, Some(other)).await));
    let made = compose(&twice, Some(nothing)).await;
    assert!(matches!(made, Ok(Composed::Made(object)) if object.info == nothing));
    // What is to be replaced is there: something else was refused.
    let there = Some(info(2, 1, Some(0)));
    let Err(StripedError::Request { error, .. }) = compose(&twice, there).await else {
        panic!("it is not there");
    };
    assert_eq!(error, GivenUp::Refused(refused));
    // Nothing is there, and nothing would be replaced.
    let gone = compose(&twice, None).await;
    assert!(matches!(gone, Ok(Composed::Overtaken(_))));
}
