//! Resumable sessions come and go.

use std::sync::Arc;

use http::StatusCode;

use super::Service;
use crate::error::Error;
use crate::lock::locked;
use crate::random;
use crate::resumable::{Intent, Session};

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
        let session = Session::start(self, session_key(id), intent)?;
        locked(&self.index).insert_session(session);
        Ok(())
    }

    /// Notes that the session filed under `key` has ended. May block.
    pub(crate) fn session_ended(&self, key: &str) {
        let forgotten = locked(&self.index).session_ended(key);
        if let (Some(session), Some(directory)) = (forgotten, self.keep.directory()) {
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
