//! Resumable sessions come and go.

use std::sync::Arc;

use http::StatusCode;

use super::Service;
use crate::error::Error;
use crate::lock::locked;
use crate::random;
use crate::resource::Draft;
use crate::resumable::{Batch, Intent, Phase, Session};
use gcsd_types::Preconditions;

/// 499, GCS's "client closed request": the answer to a cancellation.
pub(crate) fn cancelled() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::GONE)
}

impl Service {
    /// Starts a session that can be reached by `id`. May block.
    pub(crate) fn open_session(&self, id: &str, intent: Intent) -> Result<(), Error> {
        if !locked(&self.index).has_room() {
            return Err(Error::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rateLimitExceeded",
                "There are too many unfinished uploads.",
            ));
        }
        let session = Session::start(&self.store, session_key(id), intent)?;
        locked(&self.index).insert_session(session);
        Ok(())
    }

    /// Makes the object of what a session has persisted and `tail`, if that is `total` bytes; see [`Session::finish`].
    /// May block.
    pub(crate) fn finish_session(&self, session: &Session, total: u64, tail: Batch) -> Result<Phase, Error> {
        let publish = |draft: &Draft, conditions: &Preconditions| self.turn().publish(draft, conditions);
        let finished = session.finish(&self.store, total, tail, publish);
        self.note_end(session);
        finished
    }

    /// Cancels a session, unless it has ended already. May block.
    pub(crate) fn cancel_session(&self, session: &Session) -> Phase {
        self.end_session(session, Error::empty(cancelled()))
    }

    /// Ends a session, unless it has ended already: every later request gets `answer`. May block.
    pub(crate) fn end_session(&self, session: &Session, answer: Error) -> Phase {
        let phase = session.end(&self.store, answer);
        self.note_end(session);
        phase
    }

    fn note_end(&self, session: &Session) {
        if !session.has_just_ended() {
            return;
        }
        let forgotten = locked(&self.index).session_ended(&session.key);
        if let (Some(session), Some(directory)) = (forgotten, self.store.directory()) {
            directory.remove_session(&session.key);
        }
    }

    /// The session that `id` gives access to: 404 where there is none, or it is too old.
    pub(crate) fn session(&self, id: &str) -> Result<Arc<Session>, Error> {
        let session = locked(&self.index).session(&session_key(id));
        session
            .filter(|session| !session.is_expired(self.session_lifetime))
            .ok_or_else(|| Error::text(StatusCode::NOT_FOUND, "Not Found"))
    }
}

/// What a session is filed under: the id itself is a credential, and is kept nowhere.
fn session_key(id: &str) -> String {
    random::hash_hex(id.as_bytes())
}
