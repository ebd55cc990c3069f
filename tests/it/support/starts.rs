//! Starts of uploads, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gcsd_client::{Error, OpenUpload, Sight, Token};

use super::uploads::{Way, WayWriter};

/// How many starts there were, and how many came back with a session.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    begun: AtomicUsize,
    answered: AtomicUsize,
}

impl Starts {
    /// Starts that failed or were given up: GCS may have made a session for each that nobody knows.
    pub(crate) fn unanswered(&self) -> usize {
        self.begun.load(Ordering::SeqCst) - self.answered.load(Ordering::SeqCst)
    }
}

/// A way whose starts are counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) way: Way,
    pub(crate) starts: Arc<Starts>,
}

impl OpenUpload for Counted {
    type Writer = WayWriter;

    fn size(&self) -> Option<u64> {
        self.way.size()
    }

    async fn start(&mut self) -> Result<(WayWriter, Token), Error> {
        self.starts.begun.fetch_add(1, Ordering::SeqCst);
        let started = self.way.start().await?;
        self.starts.answered.fetch_add(1, Ordering::SeqCst);
        Ok(started)
    }

    async fn attach(&mut self, token: &Token) -> Result<WayWriter, Error> {
        self.way.attach(token).await
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        self.way.look().await
    }
}
