//! What a request can hold of the daemon's memory at most, by its head.
//!
//! It is a bound, and not an estimate: what is held stays below it whatever client and GCS do. docs/scaling.md says what follows
//! for a daemon.

use crate::ops::FrameQueue;
use gcsd_wire::multipart::MAX_PARTS_LEN;
use gcsd_wire::{Opcode, RequestHead};

/// Args that cost nothing in a request which needs no call: a client that sends a Ping or a Hello waits for
/// nobody.
const FREE_ARGS: u32 = 4096;
/// A request's task.
const TASK: u64 = 16 * 1024;
/// A connection to GCS, with TLS, and GCS's answer of metadata, which is well below 64 KiB.
const CALL: u64 = 96 * 1024;
/// What hyper holds of a body, in either direction, while the other side takes nothing: 16 chunks or 408 KiB, and what it
/// reads or takes beside.
const HTTP_BODY: u64 = 512 * 1024;

/// How many bytes the request with this head can hold at most, if the largest read from a client is `read_buffer`.
pub(super) fn of(head: &RequestHead, max_args: u32, read_buffer: usize) -> u64 {
    let opcode = Opcode::from_code(head.opcode);
    let local = matches!(
        opcode,
        None | Some(
            Opcode::Hello | Opcode::Ping | Opcode::Cancel | Opcode::AttachUpload | Opcode::DetachUpload
        )
    );
    if local && (head.args_len <= FREE_ARGS || head.args_len > max_args) {
        return 0;
    }
    let args = match head.args_len {
        // Those are not read.
        len if len > max_args => 0,
        // As they came, and as they go to GCS.
        len => 2 * u64::from(len),
    };
    let beside = match opcode {
        _ if local => 0,
        Some(Opcode::WriteAt | Opcode::PutObject | Opcode::UploadPart) => {
            let body = if head.streamed() { u64::MAX } else { head.body_len };
            CALL + body.min(read_buffer as u64 + HTTP_BODY)
        }
        Some(Opcode::ReadAt | Opcode::ListObjects | Opcode::ListBuckets) => {
            CALL + HTTP_BODY + u64::from(FrameQueue::BYTES)
        }
        // A page of 500, and the parts that are read from it.
        Some(Opcode::ListParts) => 4 * CALL,
        // The list as it came, its parts, and the document that they make.
        Some(Opcode::CompleteMultipart) => CALL + 4 * head.body_len.min(MAX_PARTS_LEN),
        Some(_) | None => CALL,
    };
    TASK + args + beside
}

#[cfg(test)]
mod tests {
    use gcsd_wire::head::STREAMED;

    use super::*;

    fn room(opcode: Opcode, flags: u16, args_len: u32, body_len: u64) -> u64 {
        let head = RequestHead {
            opcode: opcode as u8,
            flags,
            sequence: 1,
            upload: 0,
            args_len,
            body_len,
        };
        of(&head, 65_536, 256 * 1024)
    }

    #[test]
    fn a_small_body_takes_little_and_a_large_one_no_more_than_is_held() {
        let small = room(Opcode::PutObject, 0, 100, 1024);
        let large = room(Opcode::PutObject, 0, 100, 1 << 40);
        assert_eq!(small, TASK + CALL + 200 + 1024);
        assert_eq!(large, TASK + CALL + 200 + HTTP_BODY + 256 * 1024);
        assert_eq!(room(Opcode::PutObject, STREAMED, 100, 0), large);
    }

    #[test]
    fn args_count_twice_unless_they_are_not_read() {
        assert_eq!(room(Opcode::Ping, 0, 65_536, 0), TASK + 2 * 65_536);
        assert_eq!(room(Opcode::Ping, 0, 65_537, 0), 0);
        assert_eq!(room(Opcode::Hello, 0, FREE_ARGS, 0), 0);
    }

    #[test]
    fn every_opcode_that_makes_a_call_counts_it() {
        for code in 0..=u8::MAX {
            let Some(opcode) = Opcode::from_code(code) else {
                continue;
            };
            let local = matches!(
                opcode,
                Opcode::Hello | Opcode::Ping | Opcode::Cancel | Opcode::AttachUpload | Opcode::DetachUpload
            );
            assert_eq!(room(opcode, 0, 0, 0) >= TASK + CALL, !local, "{}", opcode.name());
        }
    }
}
