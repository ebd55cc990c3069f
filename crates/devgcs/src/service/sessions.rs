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

    /// The session with this id: 404 if there is none, or it is too old.
    pub(crate) fn session(&self, id: &str) -> Result<Arc<Session>, Error> {
        let session = locked(&self.index).session(&session_key(id));
        session
            .filter(|session| !session.is_expired(self.session_lifetime, self.now()))
            .ok_or_else(|| Error::text(StatusCode::NOT_FOUND, "Not Found"))
    }
}

/// The key of a session. The id itself is a credential and is kept nowhere.
fn session_key(id: &str) -> String {
    random::hash_hex(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::index::MAX_ENDED;
    use super::*;
    use crate::config::Config;
    use crate::time::Time;

    fn intent() -> Intent {
        Intent {
            bucket: "bucket".to_owned(),
            name: "object".to_owned(),
            metadata: Default::default(),
            expected: Default::default(),
            declared: None,
            conditions: Preconditions::default(),
            created: Time::now(),
            key_sha256: None,
            acl: None,
            fields: None,
            full: false,
        }
    }

    #[test]
    fn the_oldest_that_ended_is_forgotten_when_there_are_too_many() {
        let config = Config {
            buckets: vec!["bucket".to_owned()],
            ..Config::default()
        };
        let (alive, _ended) = tokio::sync::mpsc::channel(1);
        let service = Service::open(&config, alive).expect("it opens");
        let end = |number: usize| {
            let id = number.to_string();
            service.open_session(&id, intent()).expect("there is room");
            let session = service.session(&id).expect("it is open");
            // However often it is asked to end, it ends once.
            if number.is_multiple_of(2) {
                let finished = service.finish_session(&session, 0, Batch::empty(0));
                assert!(matches!(finished, Ok(Phase::Finished(_))));
            }
            service.cancel_session(&session);
            service.cancel_session(&session);
        };
        (0..MAX_ENDED).for_each(end);
        assert!(service.session("0").is_ok());
        end(MAX_ENDED);
        assert!(service.session("0").is_err());
        assert!(service.session("1").is_ok());
        let open = service.inspect().open_sessions();
        assert_eq!(open, 0);
    }
}
