//! Bytes out of nothing, for `gcsd demo`: any range of them can be made again.

use bytes::{BufMut as _, BytesMut};

use gcsd_client::{BodySource, NextPiece, ReplaySource};
use gcsd_fault::Random;

/// How much is made at a time, in bytes: a multiple of 8.
const PIECE: u64 = 256 * 1024;

/// So many bytes, in which no two places are alike.
pub(super) struct Generated(pub(super) u64);

impl ReplaySource for Generated {
    fn size(&self) -> u64 {
        self.0
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        Box::new(Generating {
            offset,
            end: offset.saturating_add(len),
        })
    }
}

struct Generating {
    offset: u64,
    end: u64,
}

impl BodySource for Generating {
    fn next(&mut self) -> NextPiece<'_> {
        let end = (self.offset - self.offset % PIECE)
            .saturating_add(PIECE)
            .min(self.end);
        let piece = bytes(self.offset, end);
        self.offset = end;
        Box::pin(std::future::ready(Ok(piece.freeze())))
    }
}

/// The bytes from `start` to `end`.
fn bytes(start: u64, end: u64) -> BytesMut {
    let first = start / 8;
    let words = end.div_ceil(8).saturating_sub(first);
    let mut made = BytesMut::with_capacity(usize::try_from(words * 8).unwrap_or_default());
    let mut random = Random::new(0);
    random.skip(first);
    for _ in 0..words {
        made.put_u64_le(random.next_u64());
    }
    let skip = usize::try_from(start % 8).unwrap_or_default();
    let mut made = made.split_off(skip.min(made.len()));
    made.truncate(usize::try_from(end - start).unwrap_or_default());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_always_the_same() {
        assert_eq!(bytes(0, 8)[..], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }

    #[tokio::test]
    async fn any_range_is_the_same_bytes_again() {
        let whole = bytes(0, 3 * PIECE + 5);
        assert_eq!(whole[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        for (offset, len) in [
            (0, 1),
            (3, 2),
            (PIECE - 1, 2),
            (7, 2 * PIECE),
            (0, 3 * PIECE + 5),
            (4, 0),
        ] {
            let mut source = Generated(whole.len() as u64).read(offset, len);
            let mut got = BytesMut::new();
            while (got.len() as u64) < len {
                got.extend_from_slice(&source.next().await.expect("bytes"));
            }
            let start = usize::try_from(offset).expect("small");
            assert!(got == whole[start..start + got.len()], "{offset}+{len}");
        }
    }
}
