//! The requests of a connection that are not answered yet: how many, their sequences, and how to end one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// For how many requests room is kept while there is none.
const FEW: usize = 8;

/// Bounds the requests in flight, and knows their sequences.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    shared: Arc<Shared>,
    max: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Permits were returned.
    fewer: Notify,
}

#[derive(Debug, Default)]
struct State {
    permits: usize,
    requests: HashMap<u64, Request>,
    /// Counts reservations.
    next: u64,
}

#[derive(Debug)]
struct Request {
    /// Which reservation it is.
    id: u64,
    /// Its reply is on its way: the client may use the sequence again as soon as it has it.
    answered: bool,
    cancel: CancellationToken,
    ended: CancellationToken,
}

/// Allows one request to be in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Shared>);

/// Reserves a sequence until it is dropped, which must not be before the request's last frame is queued.
#[derive(Debug)]
pub(super) struct Reserved {
    shared: Arc<Shared>,
    sequence: u64,
    id: u64,
    cancel: CancellationToken,
    _ended: DropGuard,
}

impl InFlight {
    pub(super) fn new(max: u32) -> Self {
        Self {
            shared: Arc::default(),
            max: usize::try_from(max).unwrap_or(usize::MAX).max(1),
        }
    }

    /// Waits until another request may be in flight. Cancel safe.
    pub(super) async fn acquire(&self) -> Permit {
        self.shared
            .wait(|state| {
                let free = state.permits < self.max;
                state.permits += usize::from(free);
                free
            })
            .await;
        Permit(self.shared.clone())
    }

    /// Waits until no request is in flight. Cancel safe.
    pub(super) async fn idle(&self) {
        self.shared.wait(|state| state.permits == 0).await;
    }

    /// Reserves a sequence; `None` if a request in flight has it.
    pub(super) fn reserve(&self, sequence: u64) -> Option<Reserved> {
        let mut state = self.shared.lock();
        if state
            .requests
            .get(&sequence)
            .is_some_and(|request| !request.answered)
        {
            return None;
        }
        state.next += 1;
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        let request = Request {
            id: state.next,
            answered: false,
            cancel: cancel.clone(),
            ended: ended.clone(),
        };
        let id = request.id;
        state.requests.insert(sequence, request);
        Some(Reserved {
            shared: self.shared.clone(),
            sequence,
            id,
            cancel,
            _ended: ended.drop_guard(),
        })
    }

    /// Ends the request with this sequence, and waits until its last frame is queued. False if there is none.
    pub(super) async fn cancel(&self, sequence: u64) -> bool {
        let ended = match self.shared.lock().requests.get(&sequence) {
            Some(request) => {
                request.cancel.cancel();
                request.ended.clone()
            }
            None => return false,
        };
        ended.cancelled().await;
        true
    }
}

impl Reserved {
    /// The request's reply is about to be queued.
    pub(super) fn answered(&self) {
        if let Some(request) = self.shared.lock().requests.get_mut(&self.sequence)
            && request.id == self.id
        {
            request.answered = true;
        }
    }

    /// Cancelled when the client wants the request to end.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Entry::Occupied(request) = state.requests.entry(self.sequence)
            && request.get().id == self.id
        {
            request.remove();
            if state.requests.is_empty() && state.requests.capacity() > FEW {
                // An idle connection does not hold room for all that it may ask for.
                state.requests = HashMap::new();
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().permits -= 1;
        self.0.fewer.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No change is ever half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` says so. It is asked again after each permit that comes back.
    async fn wait(&self, mut ready: impl FnMut(&mut State) -> bool) {
        loop {
            let fewer = self.fewer.notified();
            if ready(&mut self.lock()) {
                return;
            }
            fewer.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    fn waits<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    #[tokio::test]
    async fn a_permit_is_there_when_another_comes_back() {
        let in_flight = InFlight::new(2);
        let first = in_flight.acquire().await;
        let second = in_flight.acquire().await;
        let mut third = Box::pin(in_flight.acquire());
        assert!(waits(&mut third));
        let mut idle = Box::pin(in_flight.idle());
        assert!(waits(&mut idle));
        drop(first);
        let third = third.await;
        assert!(waits(&mut idle));
        drop((second, third));
        idle.await;
    }

    #[tokio::test]
    async fn a_sequence_is_free_once_it_is_answered_and_ends_with_its_last_frame() {
        let in_flight = InFlight::new(8);
        let first = in_flight.reserve(7).expect("free");
        assert!(in_flight.reserve(7).is_none());
        let mut cancel = Box::pin(in_flight.cancel(7));
        assert!(waits(&mut cancel));
        assert!(first.cancel().is_cancelled());
        first.answered();
        // The client has its reply, and uses the sequence again, before the first knows that it was queued.
        let second = in_flight.reserve(7).expect("answered");
        assert!(waits(&mut cancel));
        drop(first);
        assert!(cancel.await);
        assert!(in_flight.reserve(7).is_none(), "the second has it");
        assert!(!second.cancel().is_cancelled());
        drop(second);
        assert!(!in_flight.cancel(7).await);
    }
}
