//! Every way that GCS and the network can answer, followed to the end: the machine never writes what GCS would
//! refuse, never condemns an honest GCS, comes to the object as soon as nothing more fails, makes it no second time, and
//! never denies it.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use super::*;
use crate::{GivenUp, Seen, StoredObject};
use gcsd_types::CHUNK_ALIGNMENT;

const K: u64 = CHUNK_ALIGNMENT;
const CRC: Crc32c = Crc32c(42);
const SIZES: Sizes = Sizes {
    min: K,
    max: 2 * K,
    last: 2 * K,
};

/// GCS's side of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Session {
    persisted: u64,
    /// Bytes of a cut request that may still turn up.
    coming: u64,
    finished: bool,
}

/// Everything that decides what happens next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    recovery: Recovery,
    stage: Stage,
    session: Option<Session>,
    /// The object exists, whatever became of its session.
    made: bool,
    /// What made it look.
    doubt: Option<Retry>,
    view: View,
    /// Whether committed bytes are released, as a producer's are; a file's are not.
    lets_go: bool,
    /// The size that the producer will stop at.
    size: u64,
}

/// What may come of a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// It does all it should.
    Ok,
    /// It fails with this class, and GCS persists up to here, at once or later.
    Fails(Retry, u64, When),
    /// `incomplete`, with what is persisted.
    Incomplete(u64),
    /// Where the object would be, there is somebody else's.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// What it persists is there at once.
    Now,
    /// It turns up after the next query.
    Later,
    /// The object is finished, and nobody is told.
    Finished,
}

impl World {
    fn step(&self) -> Result<Step, UploadError> {
        self.recovery.next(self.stage, &self.view, SIZES)
    }

    /// What GCS and the network may answer to `step`.
    fn answers(&self, step: Step) -> Vec<Answer> {
        use Answer::{Fails, Incomplete, Ok, Other};
        use When::{Finished, Later, Now};
        let persisted = self.session.map_or(0, |session| session.persisted);
        let mut answers = vec![Ok];
        match step {
            Step::Wait | Step::Verify(_) => {}
            Step::Look => answers.push(Other),
            Step::Start => answers.extend([Fails(Retry::Same, 0, Now), Fails(Retry::Never, 0, Now)]),
            Step::Attach | Step::Query => {
                for retry in [Retry::Same, Retry::Reconnect, Retry::Restart, Retry::Never] {
                    answers.push(Fails(retry, persisted, Now));
                }
            }
            Step::Write { offset, len, last } => {
                let end = offset + len;
                for retry in [Retry::Same, Retry::Restart, Retry::Never] {
                    answers.push(Fails(retry, persisted, Now));
                }
                let mut partial: Vec<u64> = (offset.div_ceil(K)..=end / K).map(|unit| unit * K).collect();
                // GCS promises multiples; nothing here may depend on it.
                partial.extend([offset, offset + len / 2, end]);
                for at in partial {
                    for retry in [Retry::Query, Retry::Reconnect] {
                        answers.extend([Fails(retry, at, Now), Fails(retry, at, Later)]);
                    }
                    if at < end || last {
                        answers.push(Incomplete(at));
                    }
                }
                if last {
                    answers.push(Fails(Retry::Query, end, Finished));
                    answers.push(Fails(Retry::Reconnect, end, Finished));
                }
            }
            Step::Finish => {
                for retry in [Retry::Same, Retry::Restart, Retry::Never] {
                    answers.push(Fails(retry, persisted, Now));
                }
                for retry in [Retry::Query, Retry::Reconnect] {
                    answers.push(Fails(retry, persisted, Now));
                    answers.push(Fails(retry, persisted, Finished));
                }
                answers.push(Incomplete(persisted));
            }
        }
        answers
    }

    /// The object, once the machine has it verified.
    fn apply(&mut self, step: Step, answer: Answer) -> Result<Option<ObjectInfo>, UploadError> {
        if let Step::Write { offset, len, last } = step {
            let session = self.session.expect("written only with an upload");
            assert!(offset <= session.persisted, "a gap: {self:?}");
            assert!(last || (offset + len).is_multiple_of(K), "misaligned: {self:?}");
            assert!(len > 0 && len <= SIZES.max);
            assert!(offset >= self.view.from, "these bytes are gone: {self:?}");
            assert!(offset + len <= self.view.end && (!last || self.view.ended));
            self.recovery.sending(offset + len);
        }
        let ends = matches!(step, Step::Finish | Step::Write { last: true, .. });
        if ends {
            self.recovery.ending();
        }
        match answer {
            Answer::Ok => self.succeed(step),
            Answer::Fails(retry, at, when) => {
                self.persist(at, when);
                let error = failure(retry);
                if ends && error.may_have_happened() {
                    self.recovery.end_unanswered();
                }
                self.fail(error)
            }
            Answer::Other => {
                let seen = Seen::Object(ObjectInfo::default());
                self.look(Whose::Unknown(seen))
            }
            Answer::Incomplete(at) => {
                self.persist(at, When::Now);
                let committed = self.session.map_or(0, |session| session.persisted);
                self.fail(Error::of(Kind::Incomplete, Retry::Query, "x").with_committed(committed))
            }
        }
    }

    fn persist(&mut self, at: u64, when: When) {
        if let Some(session) = &mut self.session {
            match when {
                When::Later => session.coming = session.coming.max(at),
                When::Now | When::Finished => session.persisted = session.persisted.max(at),
            }
            session.finished |= when == When::Finished;
        }
        self.made |= when == When::Finished;
    }

    /// What comes of a look that shows this.
    fn look(&mut self, whose: Whose) -> Result<Option<ObjectInfo>, UploadError> {
        let doubt = failure(self.doubt.expect("something made it look"));
        if let Some(reaction) = self.recovery.looked(whose, &doubt, &self.view)? {
            self.react(reaction);
        }
        Ok(None)
    }

    fn succeed(&mut self, step: Step) -> Result<Option<ObjectInfo>, UploadError> {
        match step {
            Step::Look => {
                let whose = match self.made {
                    true => Whose::Ours(StoredObject {
                        info: self.object(),
                        json: Bytes::new(),
                    }),
                    false => Whose::NotMade,
                };
                return self.look(whose);
            }
            Step::Start => {
                self.session = Some(Session {
                    persisted: 0,
                    coming: 0,
                    finished: false,
                });
                self.stage = Stage::Attached;
                self.recovery.started();
            }
            Step::Attach => {
                self.stage = Stage::Attached;
                self.recovery.attached();
            }
            Step::Wait => {
                assert!(!self.view.ended, "waits for a producer that is done: {self:?}");
                self.view.ended = self.view.end == self.size;
                self.view.end = self.size.min(self.view.end + K);
            }
            Step::Verify(object) => return self.recovery.verify(object, self.size, CRC),
            Step::Query | Step::Finish | Step::Write { .. } => {
                let object = self.object();
                let world = self.clone();
                let ends = matches!(step, Step::Finish | Step::Write { last: true, .. });
                let was_finished = self.session.is_some_and(|session| session.finished);
                let session = self.session.as_mut().expect("there is an upload");
                match step {
                    Step::Write { offset, len, last } => {
                        session.persisted = session.persisted.max(offset + len).max(session.coming);
                        session.finished |= last;
                    }
                    Step::Finish => session.finished = true,
                    _ => {}
                }
                let again = ends && self.made && !was_finished;
                assert!(!again, "a second object: {world:?}");
                self.made |= session.finished;
                let progress = Progress {
                    object: session.finished.then_some(object),
                    ..Progress::of(session.persisted)
                };
                // What was under way turns up after the answer.
                session.persisted = session.persisted.max(session.coming);
                session.coming = 0;
                self.recovery.succeeded(&progress)?;
            }
        }
        self.let_go();
        Ok(None)
    }

    fn fail(&mut self, failure: Error) -> Result<Option<ObjectInfo>, UploadError> {
        let reaction = self.recovery.failed(self.stage, &failure, &self.view)?;
        if matches!(reaction, Reaction::Look | Reaction::Restart) {
            self.doubt = Some(failure.retry());
        }
        self.react(reaction);
        Ok(None)
    }

    fn react(&mut self, reaction: Reaction) {
        match reaction {
            Reaction::Again | Reaction::Look => {}
            Reaction::Reconnect => self.stage = Stage::Detached,
            Reaction::Restart => {
                self.stage = Stage::Nothing;
                self.session = None;
            }
        }
        self.let_go();
    }

    /// The object that the upload makes.
    fn object(&self) -> ObjectInfo {
        ObjectInfo {
            size: self.size,
            crc32c: Some(CRC),
            ..ObjectInfo::default()
        }
    }

    fn let_go(&mut self) {
        if self.lets_go {
            self.view.from = self.view.from.max(self.recovery.released()).min(self.view.end);
        }
    }

    /// Whether an honest GCS can lead to `error`, which says that there is no object.
    fn may_end(&self, error: &UploadError) {
        // A pipe that another process began may have been ended by that: it is known only once this one has ended, too.
        assert!(
            !self.made || !self.view.ended,
            "{error}: the object is there: {self:?}"
        );
        match error {
            UploadError::CannotRestart { released, .. } => assert!(self.lets_go && *released > 0),
            UploadError::TooManyRestarts { restarts, .. } => assert_eq!(*restarts, 1),
            UploadError::GivenUp(GivenUp::Refused(refused)) => assert_eq!(refused.retry(), Retry::Never),
            error => panic!("{error}: {self:?}"),
        }
    }

    /// From here on everything works.
    fn must_end(mut self) {
        for _ in 0..40 {
            let step = self.step().unwrap_or_else(|error| panic!("{error}: {self:?}"));
            match self.apply(step, Answer::Ok) {
                Ok(Some(object)) => {
                    assert_eq!(object.size, self.size);
                    return;
                }
                Ok(None) => {}
                // A failure before led here, which is final now that it is known that there is no object.
                Err(error) if step == Step::Look => return self.may_end(&error),
                Err(error) => panic!("{error}: {self:?}"),
            }
        }
        panic!("no end in sight: {self:?}");
    }
}

/// Follows every answer from `first`, and says how many states there are.
fn explore(first: World) -> usize {
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        world.clone().must_end();
        let step = world.step().unwrap_or_else(|error| panic!("{error}: {world:?}"));
        for answer in world.answers(step) {
            let mut after = world.clone();
            match after.apply(step, answer) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    if seen.insert(after.clone()) {
                        queue.push_back(after);
                    }
                }
                Err(UploadError::Unknown { .. }) => assert!(matches!(answer, Answer::Other)),
                Err(error) => after.may_end(&error),
            }
        }
    }
    seen.len()
}

fn failure(retry: Retry) -> Error {
    let kind = match retry {
        Retry::Never => Kind::PreconditionFailed,
        Retry::Restart => Kind::SessionLost,
        _ => Kind::Unavailable,
    };
    Error::of(kind, retry, "x")
}

fn world(size: u64, lets_go: bool, ended: bool) -> World {
    World {
        recovery: Recovery::new(1),
        stage: Stage::Nothing,
        session: None,
        made: false,
        doubt: None,
        view: View {
            from: 0,
            end: if ended { size } else { 0 },
            ended,
            declared: None,
        },
        lets_go,
        size,
    }
}

#[test]
fn whatever_happens_the_object_is_reached_once_it_stops_happening() {
    for size in [0, 1, K - 1, K, K + 1, 2 * K, 3 * K + 5, 5 * K] {
        for (lets_go, ended) in [(false, true), (true, false), (true, true)] {
            let states = explore(world(size, lets_go, ended));
            assert!(states > 5, "{size}: {states}");
        }
    }
}

#[test]
fn an_upload_that_another_process_left_is_reached_as_well() {
    for persisted in [0, K, 3 * K, 3 * K + 5] {
        for finished in [false, persisted == 3 * K + 5] {
            let mut left = world(3 * K + 5, false, false);
            left.recovery = Recovery::resumed(0, 1);
            left.stage = Stage::Detached;
            left.session = Some(Session {
                persisted,
                coming: persisted.max(K),
                finished,
            });
            left.made = finished;
            assert!(explore(left) > 5);
        }
    }
}
