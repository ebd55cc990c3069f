//! The checksum of a frame's head and args (proto-spec.md, "Framing").
//!
//! Bodies have checksums of their own. Without this one, a byte of a head or of args that arrives as another
//! one can be a request that nobody made: an object under another name, say.

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{HEAD_LEN, ReplyHead, RequestHead};
use gcsd_types::Crc32c;

/// Bytes of the checksum, which `args_len` counts.
pub const CHECK_LEN: usize = 4;

impl RequestHead {
    /// The head and `args` as they go out: sets `args_len`, and adds the checksum where the head is
    /// [checked](Self::checked).
    pub fn front(mut self, args: &[u8]) -> Bytes {
        self.args_len = len_of(args, self.checked());
        join(&self.encode(), args, self.checked())
    }
}

impl ReplyHead {
    /// The head and `args` as they go out: sets `args_len`, and adds the checksum where the head is
    /// [checked](Self::checked).
    pub fn front(mut self, args: &[u8]) -> Bytes {
        self.args_len = len_of(args, self.checked());
        join(&self.encode(), args, self.checked())
    }
}

fn len_of(args: &[u8], checked: bool) -> u32 {
    let len = args.len() + if checked { CHECK_LEN } else { 0 };
    // What is longer is refused for its length, wherever it is read.
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn join(head: &[u8; HEAD_LEN], args: &[u8], checked: bool) -> Bytes {
    let mut front = BytesMut::with_capacity(HEAD_LEN + args.len() + CHECK_LEN);
    front.put_slice(head);
    front.put_slice(args);
    if checked {
        let Crc32c(sum) = Crc32c::of(&front);
        front.put_u32_le(sum);
    }
    front.freeze()
}

/// The args without their checksum; `None` where it is not that of `head` and the args.
pub fn verify(head: &[u8; HEAD_LEN], args: &Bytes) -> Option<Bytes> {
    let (rest, sum) = args.split_last_chunk::<CHECK_LEN>()?;
    let found = Crc32c::of(head).append(rest);
    (found == Crc32c(u32::from_le_bytes(*sum))).then(|| args.slice(..rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::CHECKED;

    #[test]
    fn every_flipped_bit_is_seen() {
        let head = RequestHead {
            opcode: 2,
            flags: CHECKED,
            sequence: 7,
            upload: 0,
            args_len: 0,
            body_len: 3,
        };
        let front = head.front(b"echo");
        assert_eq!(front.len(), HEAD_LEN + 8);
        for bit in 0..front.len() * 8 {
            let mut bytes = front.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (head, args) = bytes.split_first_chunk().expect("a head");
            assert_eq!(verify(head, &Bytes::copy_from_slice(args)), None, "bit {bit}");
        }
        let (head, args) = front.split_first_chunk().expect("a head");
        assert_eq!(
            verify(head, &Bytes::copy_from_slice(args)),
            Some(Bytes::from_static(b"echo"))
        );
        assert_eq!(verify(head, &Bytes::from_static(b"abc")), None);
    }
}
