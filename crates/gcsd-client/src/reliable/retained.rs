//! What was written and is not committed yet: kept as it was given, never copied, released from the front.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use tokio::sync::OwnedSemaphorePermit;

use gcsd_types::Crc32c;

/// Bytes of the producer.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// The checksum of everything from the object's start to the end of these bytes.
    pub(super) crc32c: Crc32c,
    /// The room that they take, given back as they are committed.
    pub(super) room: OwnedSemaphorePermit,
}

/// The chunks that may have to be sent again, in order, without gaps.
#[derive(Debug)]
pub(super) struct Retained {
    from: u64,
    end: u64,
    /// The checksum of everything before `from`.
    crc32c: Crc32c,
    chunks: VecDeque<Chunk>,
}

impl Retained {
    /// Nothing yet. The first chunk begins at the object's byte `from`; the bytes before it have the checksum `crc32c`.
    pub(super) fn new(from: u64, crc32c: Crc32c) -> Self {
        Self {
            from,
            end: from,
            crc32c,
            chunks: VecDeque::new(),
        }
    }

    /// The first byte that is held.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// The end of what is held.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The checksum of everything up to [`end`](Self::end).
    pub(super) fn crc32c(&self) -> Crc32c {
        self.chunks.back().map_or(self.crc32c, |chunk| chunk.crc32c)
    }

    /// The checksum of everything before [`from`](Self::from).
    pub(super) fn crc32c_before(&self) -> Crc32c {
        self.crc32c
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.end += chunk.bytes.len() as u64;
        self.chunks.push_back(chunk);
    }

    /// Releases everything before `to` that has been pushed.
    pub(super) fn trim(&mut self, to: u64) {
        while self.from < to {
            let Some(chunk) = self.chunks.front_mut() else {
                return;
            };
            let len = chunk.bytes.len() as u64;
            if self.from + len <= to {
                self.from += len;
                self.crc32c = chunk.crc32c;
                self.chunks.pop_front();
                continue;
            }
            // Shorter than the chunk, which fits in memory.
            let gone = usize::try_from(to - self.from).unwrap_or(chunk.bytes.len());
            self.crc32c = self.crc32c.append(&chunk.bytes[..gone]);
            chunk.bytes.advance(gone);
            drop(chunk.room.split(gone));
            self.from = to;
        }
    }

    /// The `len` bytes from `offset` on, as they lie in memory; both must be held.
    pub(super) fn slices(&self, offset: u64, len: u64) -> Vec<Bytes> {
        let end = offset + len;
        let mut at = self.from;
        let mut slices = Vec::new();
        for chunk in &self.chunks {
            let next = at + chunk.bytes.len() as u64;
            let (first, behind) = (offset.max(at), end.min(next));
            if first < behind {
                let within = |position: u64| usize::try_from(position - at).unwrap_or(usize::MAX);
                slices.push(chunk.bytes.slice(within(first)..within(behind)));
            }
            at = next;
        }
        slices
    }

    /// The checksum of the `len` bytes from `offset` on; both must be held.
    pub(super) fn crc32c_of(&self, offset: u64, len: u64) -> Option<Crc32c> {
        self.crc32c_up_to(offset + len)
            .since(self.crc32c_up_to(offset), len)
    }

    fn crc32c_up_to(&self, end: u64) -> Crc32c {
        let mut at = self.from;
        let mut crc32c = self.crc32c;
        for chunk in &self.chunks {
            let next = at + chunk.bytes.len() as u64;
            if next > end {
                let rest = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
                return crc32c.append(&chunk.bytes[..rest]);
            }
            (at, crc32c) = (next, chunk.crc32c);
        }
        crc32c
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog";

    /// `TEXT` from `from` on in pieces of 1, 2, 3, ... bytes.
    fn filled(from: usize, room: &Arc<Semaphore>) -> Retained {
        let mut retained = Retained::new(from as u64, Crc32c::of(&TEXT[..from]));
        let mut rest = &TEXT[from..];
        let mut end = from;
        for len in 1.. {
            let len = rest.len().min(len);
            if len == 0 {
                break;
            }
            end += len;
            let permits = u32::try_from(len).expect("short");
            retained.push(Chunk {
                bytes: Bytes::copy_from_slice(&rest[..len]),
                crc32c: Crc32c::of(&TEXT[..end]),
                room: room.clone().try_acquire_many_owned(permits).expect("enough room"),
            });
            rest = &rest[len..];
        }
        retained
    }

    #[test]
    fn any_range_is_had_whatever_was_released() {
        let room = Arc::new(Semaphore::new(TEXT.len()));
        for from in [0, 5] {
            for trimmed in 0..=TEXT.len() {
                let mut retained = filled(from, &room);
                retained.trim(trimmed as u64);
                let kept = trimmed.max(from);
                assert_eq!(
                    (retained.from(), retained.end()),
                    (kept as u64, TEXT.len() as u64)
                );
                assert_eq!(retained.crc32c_before(), Crc32c::of(&TEXT[..kept]));
                assert_eq!(retained.crc32c(), Crc32c::of(TEXT));
                assert_eq!(room.available_permits(), kept, "{from} {trimmed}");
                for start in kept..=TEXT.len() {
                    for end in start..=TEXT.len() {
                        let (offset, len) = (start as u64, (end - start) as u64);
                        let slices = retained.slices(offset, len);
                        assert!(slices.iter().all(|slice| !slice.is_empty()));
                        assert_eq!(slices.concat(), &TEXT[start..end], "{start}..{end}");
                        let crc32c = retained.crc32c_of(offset, len);
                        assert_eq!(crc32c, Some(Crc32c::of(&TEXT[start..end])));
                    }
                }
                drop(retained);
                assert_eq!(room.available_permits(), TEXT.len());
            }
        }
    }

    #[test]
    fn releasing_more_than_was_pushed_releases_all_of_it() {
        let room = Arc::new(Semaphore::new(TEXT.len()));
        let mut retained = filled(0, &room);
        retained.trim(u64::MAX);
        assert_eq!(retained.from(), TEXT.len() as u64);
        assert_eq!(room.available_permits(), TEXT.len());
        assert_eq!(retained.crc32c(), Crc32c::of(TEXT));
        assert_eq!(retained.crc32c_before(), Crc32c::of(TEXT));
    }

    #[test]
    fn nothing_is_copied() {
        let room = Arc::new(Semaphore::new(100));
        let bytes = Bytes::from(TEXT.to_vec());
        let mut retained = Retained::new(0, Crc32c::default());
        let address = bytes.as_ptr() as usize;
        retained.push(Chunk {
            crc32c: Crc32c::of(&bytes),
            room: room.try_acquire_many_owned(43).expect("enough room"),
            bytes,
        });
        retained.trim(4);
        let slices = retained.slices(10, 5);
        assert_eq!(slices[0].as_ptr() as usize, address + 10);
    }
}
