//! A scripted GCS in memory, reached by an unreliable writer: it does what GCS does, and fails on demand.

mod writer;

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use gcsd_fault::Random;

use self::writer::SimWriter;
use super::below;
use crate::{Error, OpenUpload, Sight, StoredObject, Token};
use gcsd_types::{CHUNK_ALIGNMENT, ObjectInfo};
use gcsd_wire::{Kind, Retry};

/// What a call does in place of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing reaches GCS.
    Unsent(Retry),
    /// GCS does so much of it, and the answer is lost.
    Lost(Retry, Persisted),
    /// GCS does so much of it now, and the rest after the next query.
    Growing(Persisted),
    /// GCS does so much of it, and says so.
    Incomplete(Persisted),
    /// GCS has the session no more.
    Gone,
    /// A byte is damaged on the way; the checksum of what was received tells.
    Damaged,
    /// A byte is damaged on the way, and the answer is lost as well.
    DamagedUnseen,
    /// The answer never comes.
    Stalled,
    /// The answer claims more than was ever sent.
    Ahead,
    /// The answer takes something back.
    Regress,
    /// The answer describes another object, this one time.
    WrongReply,
    /// The answer comes so late.
    Late(Duration),
}

/// How much of a body GCS persists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persisted {
    Nothing,
    /// Up to a multiple of 256 KiB in the middle.
    Middle,
    /// Any odd number of bytes.
    Odd,
    /// All, and the object is finished if it was the last.
    All,
}

impl Persisted {
    fn of(self, offset: usize, len: usize) -> usize {
        let align = align();
        match self {
            Self::Nothing => 0,
            Self::Middle => (offset + len / 2).next_multiple_of(align).min(offset + len) - offset,
            Self::Odd => len / 3,
            Self::All => len,
        }
    }
}

pub(super) fn align() -> usize {
    usize::try_from(CHUNK_ALIGNMENT).expect("small")
}

/// The kind of a call, to count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Start,
    Attach,
    Write { offset: u64, len: u64, last: bool },
    Query,
    Finish,
    Cancel,
    Look,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) bytes: Vec<u8>,
    /// What is still on its way.
    coming: Vec<u8>,
    pub(super) object: Option<ObjectInfo>,
    pub(super) cancelled: bool,
    gone: bool,
    /// A request may have left it in an unknown state: only a query is answered.
    unsettled: bool,
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        self.object.is_none() && !self.cancelled && !self.gone
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) sessions: Vec<Session>,
    /// Where the bytes of the bodies lay in memory.
    pub(super) addresses: Vec<(usize, usize)>,
    faults: HashMap<usize, Fault>,
    /// From this call on, everything fails like this.
    pub(super) broken: Option<Fault>,
    /// Every look and every cancellation fails like this.
    pub(super) behind: Option<Fault>,
    /// Draws faults for as many calls as are left.
    luck: Option<Luck>,
    size: Option<u64>,
    /// GCS tells no checksum of objects.
    pub(super) no_crc32c: bool,
    /// GCS does not look at the checksum that it is given.
    pub(super) no_check: bool,
    /// The generation that an upload replaces.
    pub(super) replaces: Option<u64>,
    /// What is there in place of what the sessions made.
    pub(super) elsewhere: Option<Option<ObjectInfo>>,
}

/// Which faults strike which calls, at random.
#[derive(Debug)]
struct Luck {
    random: Random,
    /// So many faults are left.
    left: u32,
    /// What may strike a call.
    faults: fn(Call) -> Vec<Fault>,
}

impl Luck {
    /// The fault of one call: every other one has one.
    fn draw(&mut self, call: Call) -> Option<Fault> {
        if self.left == 0 || below(&mut self.random, 2) == 0 {
            return None;
        }
        let faults = (self.faults)(call);
        let at = below(&mut self.random, faults.len() as u64);
        let fault = faults.get(usize::try_from(at).ok()?).copied()?;
        self.left -= 1;
        Some(fault)
    }
}

/// Handles show the same GCS.
#[derive(Debug, Clone, Default)]
pub(super) struct Sim(Arc<Mutex<State>>);

impl Sim {
    /// One that fails at the given calls.
    pub(super) fn with(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        let sim = Self::default();
        sim.lock().faults = faults.into_iter().collect();
        sim
    }

    /// One that fails by luck, `most` times.
    pub(super) fn by_luck(seed: u64, most: u32, faults: fn(Call) -> Vec<Fault>) -> Self {
        let sim = Self::default();
        sim.lock().luck = Some(Luck {
            random: Random::new(seed),
            left: most,
            faults,
        });
        sim
    }

    /// The same, that was told the size.
    pub(super) fn declared(self, size: u64) -> Self {
        self.lock().size = Some(size);
        self
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under the lock")
    }

    /// The bytes of the finished object.
    pub(super) fn object(&self) -> Option<Vec<u8>> {
        let state = self.lock();
        let mut finished = state.sessions.iter().filter(|session| session.object.is_some());
        let object = finished.next().map(|session| session.bytes.clone());
        assert!(finished.next().is_none(), "two objects of one upload");
        object
    }

    pub(super) fn open_sessions(&self) -> usize {
        self.lock()
            .sessions
            .iter()
            .filter(|session| session.is_open())
            .count()
    }

    fn call(&self, call: Call) -> Option<Fault> {
        let mut state = self.lock();
        state.calls.push(call);
        let at = state.calls.len() - 1;
        if let (Some(fault), Call::Look | Call::Cancel) = (state.behind, call) {
            return Some(fault);
        }
        if let Some(luck) = &mut state.luck {
            return luck.draw(call);
        }
        state.faults.get(&at).copied().or(state.broken)
    }
}

fn failure(retry: Retry) -> Error {
    Error::of(Kind::Internal, retry, "scripted")
}

fn gone() -> Error {
    Error::of(Kind::SessionLost, Retry::Restart, "the session is gone")
}

impl OpenUpload for Sim {
    type Writer = SimWriter;

    fn size(&self) -> Option<u64> {
        self.lock().size
    }

    async fn start(&mut self) -> Result<(SimWriter, Token), Error> {
        let fault = self.call(Call::Start);
        before(fault).await?;
        let id = {
            let mut state = self.lock();
            state.sessions.push(Session::default());
            state.sessions.len() - 1
        };
        if let Some(Fault::Lost(retry, _)) = fault {
            return Err(failure(retry));
        }
        let writer = SimWriter {
            sim: self.clone(),
            id,
            broken: false,
        };
        Ok((writer, Token::new(id.to_string())))
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        let fault = self.call(Call::Look);
        before(fault).await?;
        if let Some(Fault::Lost(retry, _)) = fault {
            return Err(failure(retry));
        }
        let state = self.lock();
        let made = state
            .sessions
            .iter()
            .filter_map(|session| session.object)
            .next_back();
        let mut sight = Sight::nothing();
        sight.object = state.elsewhere.unwrap_or(made).map(|info| StoredObject {
            info,
            json: Bytes::new(),
        });
        sight.replaces = state.replaces;
        Ok(sight)
    }

    async fn attach(&mut self, token: &Token) -> Result<SimWriter, Error> {
        let fault = self.call(Call::Attach);
        before(fault).await?;
        if let Some(Fault::Lost(retry, _)) = fault {
            return Err(failure(retry));
        }
        let id: usize = token.expose().parse().expect("a token of ours");
        self.lock().sessions[id].unsettled = true;
        Ok(SimWriter {
            sim: self.clone(),
            id,
            broken: false,
        })
    }
}

/// What happens before GCS hears of a call.
async fn before(fault: Option<Fault>) -> Result<(), Error> {
    match fault {
        Some(Fault::Unsent(retry)) => Err(failure(retry)),
        Some(Fault::Stalled) => pending().await,
        Some(Fault::Late(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Some(Fault::Gone) => Err(gone()),
        _ => Ok(()),
    }
}
