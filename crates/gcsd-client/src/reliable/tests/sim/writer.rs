//! The unreliable writer over the scripted GCS.

use bytes::Bytes;

use super::{Call, Fault, Persisted, Sim, before, failure, gone};
use crate::body::{Body, Content};
use crate::{Cancelled, Error, Last, Progress, UnreliableWriter};
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c, ObjectInfo};
use gcsd_wire::{Kind, Retry};

/// A writer that is asked one thing at a time, and not again once its connection is over.
#[derive(Debug)]
pub(in super::super) struct SimWriter {
    pub(super) sim: Sim,
    pub(super) id: usize,
    pub(super) broken: bool,
}

impl SimWriter {
    async fn begin(&mut self, call: Call) -> Result<Option<Fault>, Error> {
        assert!(!self.broken, "{call:?} on a connection that is over");
        let fault = self.sim.call(call);
        if fault == Some(Fault::Gone) {
            self.sim.lock().sessions[self.id].gone = true;
        }
        // Cut in the middle, it must not be used again.
        self.broken = true;
        let outcome = before(fault).await;
        self.broken = matches!(&outcome, Err(failure) if failure.retry() == Retry::Reconnect);
        outcome?;
        let state = self.sim.lock();
        if state.sessions[self.id].gone {
            return Err(gone());
        }
        Ok(fault)
    }

    /// What GCS says after a call, unless the answer is lost.
    fn answer(&mut self, fault: Option<Fault>, received: &[u8]) -> Result<Progress, Error> {
        let mut state = self.sim.lock();
        let no_crc32c = state.no_crc32c;
        let session = &mut state.sessions[self.id];
        let committed = session.bytes.len() as u64;
        if let Some(Fault::Lost(retry, _)) = fault {
            session.unsettled = true;
            self.broken = retry == Retry::Reconnect;
            return Err(failure(retry));
        }
        let mut progress = Progress {
            received: received.len() as u64,
            received_crc32c: Crc32c::of(received),
            object: session.object.map(|object| ObjectInfo {
                crc32c: object.crc32c.filter(|_| !no_crc32c),
                ..object
            }),
            ..Progress::of(committed)
        };
        match (fault, &mut progress.object) {
            (Some(Fault::Ahead), None) => progress.committed += 1 << 40,
            (Some(Fault::Regress), None) => progress.committed = progress.committed.saturating_sub(1),
            (Some(Fault::WrongReply), Some(object)) => object.crc32c = Some(Crc32c(0xbad)),
            _ => {}
        }
        Ok(progress)
    }

    /// Makes the object, if it is what it should be.
    fn make(&self, last: Last) -> Result<(), Error> {
        let mut state = self.sim.lock();
        let no_check = state.no_check;
        let session = &mut state.sessions[self.id];
        let crc32c = Crc32c::of(&session.bytes);
        if session.bytes.len() as u64 != last.total || session.object.is_some() {
            return Ok(());
        }
        if crc32c != last.crc32c && !no_check {
            session.gone = true;
            return Err(Error::of(
                Kind::ChecksumMismatch,
                Retry::Restart,
                "another checksum",
            ));
        }
        session.object = Some(ObjectInfo {
            generation: 100 + self.id as u64,
            metageneration: 1,
            size: last.total,
            crc32c: Some(crc32c),
            md5: None,
        });
        Ok(())
    }
}

impl UnreliableWriter for SimWriter {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Error> {
        let len = u64::try_from(body.len.expect("known")).expect("small");
        let end = offset + len;
        assert!(len > 0, "a range without bytes");
        assert!(
            last.is_some() || end.is_multiple_of(CHUNK_ALIGNMENT),
            "misaligned"
        );
        assert!(
            last.is_none_or(|last| last.total == end),
            "the last ends elsewhere"
        );
        let call = Call::Write {
            offset,
            len,
            last: last.is_some(),
        };
        let fault = self.begin(call).await?;
        let sent = self.take(body).await?;
        let mut received = sent.clone();
        if matches!(fault, Some(Fault::Damaged | Fault::DamagedUnseen)) {
            received[0] ^= 1;
        }
        let part = match fault {
            Some(Fault::Lost(_, part) | Fault::Growing(part) | Fault::Incomplete(part)) => part,
            _ => Persisted::All,
        };
        let offset = usize::try_from(offset).expect("small");
        let taken = part.of(offset, received.len());
        {
            let mut state = self.sim.lock();
            let session = &mut state.sessions[self.id];
            assert!(session.is_open(), "written after the end");
            assert!(!session.unsettled, "written before a query");
            assert!(offset <= session.bytes.len(), "a gap");
            // The first bytes that were persisted stay.
            let held = session.bytes.len();
            let fresh = received.get(held - offset..taken).unwrap_or_default().to_vec();
            session.bytes.extend(fresh);
            if matches!(fault, Some(Fault::Growing(_))) {
                session.unsettled = true;
                let held = session.bytes.len();
                session.coming = received.get(held - offset..).unwrap_or_default().to_vec();
                return Err(failure(Retry::Query));
            }
        }
        let complete = taken == received.len() && !matches!(fault, Some(Fault::Incomplete(_)));
        if let Some(last) = last.filter(|_| complete) {
            self.make(last)?;
        }
        if let Some(Fault::Incomplete(_)) = fault {
            let committed = self.sim.lock().sessions[self.id].bytes.len() as u64;
            let partial = Error::of(Kind::Incomplete, Retry::Query, "a part of it");
            return Err(partial.with_committed(committed));
        }
        let fault = match fault {
            Some(Fault::DamagedUnseen) => Some(Fault::Lost(Retry::Query, Persisted::All)),
            fault => fault,
        };
        self.answer(fault, &received)
    }

    async fn query(&mut self) -> Result<Progress, Error> {
        let fault = self.begin(Call::Query).await?;
        let answer = self.answer(fault, &[]);
        let mut state = self.sim.lock();
        let session = &mut state.sessions[self.id];
        session.unsettled &= answer.is_err();
        let coming = std::mem::take(&mut session.coming);
        session.bytes.extend(coming);
        answer
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
        let fault = self.begin(Call::Finish).await?;
        assert!(
            !self.sim.lock().sessions[self.id].unsettled,
            "finished before a query"
        );
        match fault {
            Some(Fault::Lost(_, Persisted::Nothing)) => {}
            Some(Fault::Incomplete(_)) => {
                let committed = self.sim.lock().sessions[self.id].bytes.len() as u64;
                let partial = Error::of(Kind::Incomplete, Retry::Query, "not yet");
                return Err(partial.with_committed(committed));
            }
            _ => self.make(last)?,
        }
        self.answer(fault, &[])
    }

    async fn cancel(&mut self) -> Result<Cancelled, Error> {
        let fault = self.begin(Call::Cancel).await?;
        let mut state = self.sim.lock();
        let session = &mut state.sessions[self.id];
        let outcome = match session.object {
            Some(ObjectInfo { generation, .. }) => Cancelled::Finished { generation },
            None if session.cancelled => Cancelled::Unknown,
            None => Cancelled::Cancelled,
        };
        session.cancelled = session.object.is_none();
        if let Some(Fault::Lost(retry, _)) = fault {
            self.broken = retry == Retry::Reconnect;
            return Err(failure(retry));
        }
        Ok(outcome)
    }
}

impl SimWriter {
    /// Reads a body as a socket would.
    async fn take(&mut self, body: Body) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(body.len.expect("known")).expect("small");
        let mut taken = Vec::with_capacity(len);
        let mut pieces: Vec<Bytes> = Vec::new();
        match body.content {
            Content::Pieces(all) => pieces = all,
            Content::Source(mut source) => {
                let mut rest = len;
                while rest > 0 {
                    let mut piece = source.next().await.map_err(|error| {
                        self.broken = true;
                        Error::of(Kind::Internal, Retry::Never, error.to_string())
                    })?;
                    assert!(!piece.is_empty(), "the source ended early");
                    piece.truncate(rest);
                    rest -= piece.len();
                    pieces.push(piece);
                }
            }
        }
        for piece in pieces {
            let address = piece.as_ptr() as usize;
            self.sim.lock().addresses.push((address, piece.len()));
            taken.extend_from_slice(&piece);
        }
        assert_eq!(taken.len(), len);
        Ok(taken)
    }
}
