//! Something that all connections share and that must not run out: memory, or calls to GCS.
//!
//! A [`Budget`] is divided by two rules, and no connection can talk others out of them:
//!
//! * Half of it is kept for connections that hold nothing of it. However much the others want, what a connection asks for
//!   first comes out of the whole, and what it asks for beyond that out of the other half.
//! * Where connections have to wait, they take turns: those that hold nothing come first, in the order of their arrival,
//!   then the others, one request each.
//!
//! The holder of a [`Share`] must never wait for another one of the same budget, so that each share comes back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// An amount that all connections share.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    total: u64,
    /// What only those get who hold nothing.
    kept: u64,
    state: Mutex<State>,
}

struct State {
    free: u64,
    /// Counts accounts, places and waiters.
    next: u64,
    /// Those that hold something, or wait.
    holders: HashMap<u64, Holder>,
    /// Those that wait and hold nothing, by their place in the line.
    first: BTreeMap<u64, u64>,
    /// Those that wait and hold something, by their place in the line.
    further: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Holder {
    held: u64,
    /// Its place in one of the two lines, while it waits.
    place: Option<u64>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    id: u64,
    amount: u64,
    grant: oneshot::Sender<Share>,
}

/// A connection's account with a [`Budget`].
#[derive(Clone)]
pub struct Account {
    budget: Arc<Inner>,
    id: u64,
}

/// A part of a [`Budget`], which goes back when it is dropped.
pub struct Share {
    account: Account,
    amount: u64,
}

impl Budget {
    /// A budget of `total`, at least 1.
    pub fn new(total: u64) -> Self {
        let total = total.max(1);
        Self(Arc::new(Inner {
            total,
            kept: total / 2,
            state: Mutex::new(State {
                free: total,
                next: 0,
                holders: HashMap::new(),
                first: BTreeMap::new(),
                further: BTreeMap::new(),
            }),
        }))
    }

    /// Opens an account, which costs nothing while it holds nothing.
    pub fn account(&self) -> Account {
        Account {
            budget: self.0.clone(),
            id: self.0.lock().number(),
        }
    }

    /// What nobody holds.
    pub fn free(&self) -> u64 {
        self.0.lock().free
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        let state = self.0.lock();
        state.holders.values().map(|holder| holder.waiting.len()).sum()
    }
}

impl Account {
    /// Takes a part, or the whole budget if that is less. Waits until it can be had; nothing can be had at once.
    ///
    /// Cancel safe: dropped, it has taken nothing and lost its place.
    pub async fn take(&self, amount: u64) -> Share {
        let amount = amount.min(self.budget.total);
        if amount == 0 {
            return self.share(0);
        }
        let mut waiting = match self.begin(amount) {
            Ok(share) => return share,
            Err(waiting) => waiting,
        };
        match (&mut waiting.granted).await {
            Ok(share) => share,
            // The sender lives as long as its waiter, which is only dropped with its grant.
            Err(_) => std::future::pending().await,
        }
    }

    fn begin(&self, amount: u64) -> Result<Share, Waiting> {
        let mut state = self.budget.lock();
        let holder = state.holders.get(&self.id);
        let (held, queued) = holder.map_or((0, false), |holder| (holder.held, !holder.waiting.is_empty()));
        let overtakes = queued || !state.first.is_empty() || (held > 0 && !state.further.is_empty());
        let kept = if held > 0 { self.budget.kept } else { 0 };
        if !overtakes && amount.saturating_add(kept) <= state.free {
            state.free -= amount;
            state.holders.entry(self.id).or_default().held += amount;
            return Ok(self.share(amount));
        }
        let (grant, granted) = oneshot::channel();
        let id = state.number();
        let waiter = Waiter { id, amount, grant };
        state
            .holders
            .entry(self.id)
            .or_default()
            .waiting
            .push_back(waiter);
        state.line_up(self.id);
        Err(Waiting {
            account: self.clone(),
            id,
            granted,
        })
    }

    fn share(&self, amount: u64) -> Share {
        Share {
            account: self.clone(),
            amount,
        }
    }

    /// Changes the state, then hands out what can be had.
    fn change(&self, change: impl FnOnce(&mut State, u64)) {
        let mut state = self.budget.lock();
        change(&mut state, self.id);
        let grants = state.grants(&self.budget);
        drop(state);
        for (waiter, account) in grants {
            // If its waiter has gone meanwhile, the share goes back here.
            let _ = waiter.grant.send(account.share(waiter.amount));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Gives an account its place: at the end if it has none, in the line that is its own.
    fn line_up(&mut self, id: u64) {
        let Some(holder) = self.holders.get_mut(&id) else {
            return;
        };
        let before = holder.place.take();
        if let Some(place) = before {
            self.first.remove(&place);
            self.further.remove(&place);
        }
        if holder.waiting.is_empty() {
            if holder.held == 0 {
                self.holders.remove(&id);
            }
            return;
        }
        let place = before.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        holder.place = Some(place);
        match holder.held {
            0 => self.first.insert(place, id),
            _ => self.further.insert(place, id),
        };
    }

    /// Serves those in line for whom there is room.
    fn grants(&mut self, budget: &Arc<Inner>) -> Vec<(Waiter, Account)> {
        let mut grants = Vec::new();
        loop {
            let (head, kept) = match self.first.first_key_value() {
                Some(head) => (Some(head), 0),
                None => (self.further.first_key_value(), budget.kept),
            };
            let Some(id) = head.map(|(_, id)| *id) else {
                return grants;
            };
            let free = self.free;
            let Some(holder) = self.holders.get_mut(&id) else {
                return grants;
            };
            let fits = |waiter: &Waiter| waiter.amount.saturating_add(kept) <= free;
            if !holder.waiting.front().is_some_and(fits) {
                return grants;
            }
            let Some(waiter) = holder.waiting.pop_front() else {
                return grants;
            };
            self.free -= waiter.amount;
            holder.held += waiter.amount;
            // The next one of the same account goes to the end.
            if let Some(place) = holder.place.take() {
                self.first.remove(&place);
                self.further.remove(&place);
            }
            self.line_up(id);
            let account = Account {
                budget: budget.clone(),
                id,
            };
            grants.push((waiter, account));
        }
    }
}

/// A place in the line.
struct Waiting {
    account: Account,
    id: u64,
    granted: oneshot::Receiver<Share>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.granted.is_terminated() {
            return;
        }
        self.granted.close();
        if let Ok(granted) = self.granted.try_recv() {
            drop(granted);
            return;
        }
        let waiter = self.id;
        self.account.change(|state, id| {
            if let Some(holder) = state.holders.get_mut(&id) {
                holder.waiting.retain(|waiting| waiting.id != waiter);
                state.line_up(id);
            }
        });
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let amount = self.amount;
        if amount == 0 {
            return;
        }
        self.account.change(|state, id| {
            state.free += amount;
            if let Some(holder) = state.holders.get_mut(&id) {
                holder.held -= amount;
                state.line_up(id);
            }
        });
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("total", &self.0.total)
            .field("free", &self.free())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.amount).finish()
    }
}

#[cfg(test)]
mod tests;
