//! Fencing: of all claims on one upload, only the latest may work on it (proto-spec.md, "Ordering and concurrency").
//!
//! ```text
//!   Fences --- session URI ---> Fence <----- Claim (in the upload of a connection)
//!                   (weak)        |
//!                                 +-- latest: cancelled by a newer claim
//!                                 +-- calls: one at a time; a newer claim waits until the older's call is gone
//! ```
//!
//! A fence is in the table as long as an upload that has not ended claims it: its entry goes with the last claim, so
//! that there are never more entries than uploads that connections have open.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Subject;
use gcsd_gcs::{Session, SessionUri};

/// For fewer uploads than this the table is never made smaller.
const SMALL: usize = 1024;

/// Who has claimed which upload, on all connections of a daemon.
#[derive(Clone, Default)]
pub struct Fences(Arc<Table>);

#[derive(Default)]
struct Table(Mutex<HashMap<SessionUri, Weak<Fence>>>);

struct Fence {
    table: Arc<Table>,
    uri: SessionUri,
    /// The latest claim's; cancelled once there is a later one.
    latest: Mutex<CancellationToken>,
    /// The permit of the one call that may be in flight.
    calls: Semaphore,
    /// What the latest claim is about, for whoever looks.
    upload: Mutex<Option<Claimed>>,
}

struct Claimed {
    session: Weak<Session>,
    about: Arc<Subject>,
    since: Instant,
    /// What was committed then.
    from: u64,
}

/// An upload that a connection has open.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenUpload {
    /// The object that it becomes, and its name in the log.
    pub about: Arc<Subject>,
    /// What is committed.
    pub committed: u64,
    /// What was committed when the connection opened it.
    pub from: u64,
    /// How long ago that was.
    pub age: Duration,
}

/// The right to work on an upload, until there is a later claim.
#[derive(Clone)]
pub(super) struct Claim {
    fence: Arc<Fence>,
    fenced: CancellationToken,
}

/// There is a later claim on the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fenced;

impl Fences {
    /// Claims the upload of this session, and fences every earlier claim.
    pub(super) fn claim(&self, uri: &SessionUri) -> Claim {
        let fence = self.0.fence(uri);
        let fenced = CancellationToken::new();
        let before = mem::replace(&mut *lock(&fence.latest), fenced.clone());
        before.cancel();
        Claim { fence, fenced }
    }

    /// The uploads that are claimed, the oldest claim first.
    pub fn open(&self) -> Vec<OpenUpload> {
        let fences: Vec<_> = lock(&self.0.0).values().filter_map(Weak::upgrade).collect();
        let mut open: Vec<_> = fences.iter().filter_map(|fence| fence.show()).collect();
        open.sort_by_key(|upload| std::cmp::Reverse(upload.age));
        open
    }

    /// How many uploads are claimed: never more than connections have open.
    pub fn uploads(&self) -> usize {
        lock(&self.0.0).len()
    }
}

impl fmt::Debug for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fences")
            .field("uploads", &self.uploads())
            .finish()
    }
}

impl Table {
    fn fence(self: &Arc<Self>, uri: &SessionUri) -> Arc<Fence> {
        let mut fences = lock(&self.0);
        if let Some(fence) = fences.get(uri).and_then(Weak::upgrade) {
            return fence;
        }
        let fence = Arc::new(Fence {
            table: self.clone(),
            uri: uri.clone(),
            latest: Mutex::default(),
            calls: Semaphore::new(1),
            upload: Mutex::default(),
        });
        fences.insert(uri.clone(), Arc::downgrade(&fence));
        fence
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let mut fences = lock(&self.table.0);
        // Another fence may have taken its place.
        if fences
            .get(&self.uri)
            .is_some_and(|entry| entry.strong_count() == 0)
        {
            fences.remove(&self.uri);
        }
        let worth_keeping = fences.len().max(SMALL);
        if fences.capacity() / worth_keeping >= 8 {
            fences.shrink_to(4 * worth_keeping);
        }
    }
}

impl Fence {
    fn show(&self) -> Option<OpenUpload> {
        let upload = lock(&self.upload);
        let Claimed {
            session,
            about,
            since,
            from,
        } = upload.as_ref()?;
        Some(OpenUpload {
            about: about.clone(),
            committed: session.upgrade()?.committed(),
            from: *from,
            age: since.elapsed(),
        })
    }
}

impl Claim {
    /// Says what the claim is about.
    pub(super) fn describe(&self, session: &Arc<Session>, about: &Arc<Subject>) {
        *lock(&self.fence.upload) = Some(Claimed {
            session: Arc::downgrade(session),
            about: about.clone(),
            since: Instant::now(),
            from: session.committed(),
        });
    }

    /// Whether there is a later claim.
    pub(super) fn is_fenced(&self) -> bool {
        self.fenced.is_cancelled()
    }

    /// Waits until there is a later claim.
    pub(super) async fn fenced(&self) {
        self.fenced.cancelled().await;
    }

    /// Makes a call on the upload, once the calls of earlier claims are gone. A later claim drops this call where it
    /// stands, before its own begins.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, Fenced> {
        let alone = async {
            // The semaphore is never closed.
            let permit = self.fence.calls.acquire().await.ok();
            if self.is_fenced() {
                return Err(Fenced);
            }
            let outcome = call.await;
            drop(permit);
            Ok(outcome)
        };
        tokio::select! {
            biased;
            outcome = alone => outcome,
            () = self.fenced.cancelled() => Err(Fenced),
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("fenced", &self.is_fenced())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic leaves neither a map nor a token half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Waits for what must happen. The clock is paused: where nothing can move any more, this fails at once.
    async fn soon<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(1), future)
            .await
            .expect("it never happens")
    }

    fn uri(name: &str) -> SessionUri {
        SessionUri::parse(&format!("https://storage.googleapis.com/upload?upload_id={name}")).expect("a URI")
    }

    /// Counts the calls in flight.
    struct Underway<'a>(&'a AtomicUsize);

    impl<'a> Underway<'a> {
        fn begin(count: &'a AtomicUsize) -> Self {
            assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two calls at once");
            Self(count)
        }
    }

    impl Drop for Underway<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_takes_it_and_the_call_before_is_gone_first() {
        let fences = Fences::default();
        let count = Arc::new(AtomicUsize::new(0));
        let first = fences.claim(&uri("a"));
        let stuck = tokio::spawn({
            let (first, count) = (first.clone(), count.clone());
            async move {
                let call = async {
                    let _underway = Underway::begin(&count);
                    pending::<()>().await;
                };
                first.call(call).await
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let second = fences.claim(&uri("a"));
        let call = async { drop(Underway::begin(&count)) };
        assert_eq!(soon(second.call(call)).await, Ok(()));
        assert_eq!(soon(stuck).await.expect("no panic"), Err(Fenced));
        assert_eq!(soon(first.call(ready(()))).await, Err(Fenced));
        assert!(!second.is_fenced());
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_has_one_winner() {
        let fences = Fences::default();
        let count = Arc::new(AtomicUsize::new(0));
        let claims: Vec<Claim> = (0..100).map(|_| fences.claim(&uri("a"))).collect();
        let calls: Vec<_> = claims
            .iter()
            .map(|claim| {
                let (claim, count) = (claim.clone(), count.clone());
                tokio::spawn(async move {
                    let call = async {
                        let _underway = Underway::begin(&count);
                        tokio::task::yield_now().await;
                    };
                    claim.call(call).await
                })
            })
            .collect();
        let mut won = 0;
        for call in calls {
            won += usize::from(soon(call).await.expect("no panic").is_ok());
        }
        assert_eq!(won, 1);
        assert_eq!(claims.iter().filter(|claim| !claim.is_fenced()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_can_wait_for_the_next_one() {
        let fences = Fences::default();
        let first = fences.claim(&uri("a"));
        let other = fences.claim(&uri("b"));
        timeout(Duration::from_secs(1), first.fenced())
            .await
            .expect_err("there is no later claim on it");
        let second = fences.claim(&uri("a"));
        soon(first.fenced()).await;
        assert!(!second.is_fenced() && !other.is_fenced());
    }

    #[test]
    fn an_entry_goes_with_its_last_claim() {
        let fences = Fences::default();
        let many: Vec<Claim> = (0..1000).map(|n| fences.claim(&uri(&n.to_string()))).collect();
        assert_eq!(fences.uploads(), 1000);
        let again = fences.claim(&uri("7"));
        assert_eq!(fences.uploads(), 1000);
        assert!(many[7].is_fenced() && !many[8].is_fenced());
        drop(many);
        assert_eq!(fences.uploads(), 1);
        drop(again);
        assert_eq!(fences.uploads(), 0);
    }

    #[test]
    fn the_table_shrinks_with_its_uploads() {
        let fences = Fences::default();
        let capacity = || lock(&fences.0.0).capacity();
        let mut claims: Vec<Claim> = (0..20_000).map(|n| fences.claim(&uri(&n.to_string()))).collect();
        while !claims.is_empty() {
            let before = capacity();
            claims.pop();
            let kept = claims.len().max(SMALL);
            let after = capacity();
            // An entry that is removed can take a place with it.
            match after + 1 < before {
                true => assert!(
                    before / kept >= 8 && after >= 4 * kept,
                    "{before} to {after} for {kept}"
                ),
                false => assert!(after / kept < 8, "{after} for {kept}"),
            }
        }
        assert!(capacity() <= 8 * SMALL);
    }

    #[test]
    fn nothing_of_the_session_is_shown() {
        let fences = Fences::default();
        let claim = fences.claim(&uri("secret"));
        assert_eq!(format!("{fences:?}"), "Fences { uploads: 1 }");
        assert_eq!(format!("{claim:?}"), "Claim { fenced: false, .. }");
    }
}
