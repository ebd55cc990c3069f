//! Locking a mutex whose holder cannot leave it half-changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`; a panic of an earlier holder does not spread to this one.
///
/// Every section behind these locks is short and changes its state in one step at its end.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
