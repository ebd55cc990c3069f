//! The random part of the waits.

use std::fmt;
use std::sync::Arc;

/// The numbers that spread the waits before retries: by default those of the operating system.
///
/// [`from_fn`](Self::from_fn) takes a generator of your own, such as a seeded one that repeats the waits in a test.
#[derive(Clone, Default)]
pub struct Jitter(Option<Arc<dyn Fn() -> Numbers + Send + Sync>>);

/// Numbers out of all 64-bit ones.
type Numbers = Box<dyn FnMut() -> u64 + Send>;

impl Jitter {
    /// Calls `new` once for each upload, read and request, and the generator that it returns once for each wait. The
    /// numbers should be spread evenly over all of `u64`.
    pub fn from_fn<N>(new: impl Fn() -> N + Send + Sync + 'static) -> Self
    where
        N: FnMut() -> u64 + Send + 'static,
    {
        Self(Some(Arc::new(move || Box::new(new()))))
    }

    pub(super) fn numbers(&self) -> Numbers {
        match &self.0 {
            Some(new) => new(),
            // Without random numbers the waits are as long as they can be.
            None => Box::new(|| getrandom::u64().unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Jitter(own)",
            None => "Jitter(system)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_numbers_differ() {
        let mut one = Jitter::default().numbers();
        let mut other = Jitter::default().numbers();
        assert_ne!([one(), one(), one()], [other(), other(), other()]);
    }
}
