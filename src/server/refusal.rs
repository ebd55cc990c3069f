//! The failures of requests that the server refuses or cuts by itself (proto-spec.md, "Framing").

use std::io;

use super::reader::ReadError;
use crate::ops::{Failure, Turn, bad_version};
use gcsd_gcs::SourceError;
use gcsd_wire::codec::FrameError;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::{HeadError, Kind, Opcode, PieceError, Request, RequestFrame, RequestHead, Retry};

/// Reads the request in a frame. From a client that is `unknown`, only Hello is read.
pub(super) fn read_request(
    frame: &RequestFrame,
    max_args: u32,
    unknown: Option<&Failure>,
) -> Result<Request, Failure> {
    let head = &frame.head;
    let undefined = head.flags & !(STREAMED | CHECKED);
    if undefined != 0 {
        return Err(refuse(
            Kind::BadFlags,
            format!("the flags {undefined:#06x} are undefined"),
        ));
    }
    let Some(opcode) = Opcode::from_code(head.opcode) else {
        return Err(refuse(
            Kind::Unsupported,
            format!("the opcode {:#04x} is unknown", head.opcode),
        ));
    };
    if let Some(unknown) = unknown
        && opcode != Opcode::Hello
    {
        return Err(unknown.clone());
    }
    let Some(args) = frame.args.clone() else {
        let message = format!(
            "the args have {} bytes, and at most {max_args} are accepted",
            head.args_len
        );
        return Err(refuse(Kind::ArgsTooLarge, message));
    };
    if head.streamed() && !opcode.may_stream() {
        let message = format!("{} takes no body in pieces", opcode.name());
        return Err(refuse(Kind::BadFlags, message));
    }
    if head.body_len > 0 && !opcode.has_body() {
        let message = format!(
            "{} takes no body, and the head announces one of {} bytes",
            opcode.name(),
            head.body_len
        );
        return Err(refuse(Kind::BadBody, message));
    }
    if head.upload != 0 && !opcode.has_upload() {
        let message = format!(
            "{} is not about an upload: 'upload' must be 0 in its head",
            opcode.name()
        );
        return Err(refuse(Kind::BadArgs, message));
    }
    Ok(Request::decode(opcode, args)?)
}

/// The next frame cannot be read. `None` if the client is gone.
///
/// Unless a checksum held, the bytes may have been damaged on the way: then another connection helps.
pub(super) fn unreadable(error: &ReadError) -> Option<Failure> {
    Some(match error {
        ReadError::Malformed(FrameError::Head(head)) => bad_head(head, Retry::Reconnect),
        ReadError::Malformed(FrameError::Verified(head)) => bad_head(head, Retry::Never),
        ReadError::Malformed(error) => {
            let kind = match error {
                FrameError::Damaged | FrameError::Unchecked => Kind::Damaged,
                FrameError::Unverifiable(_) => Kind::ArgsTooLarge,
                _ => Kind::BadHead,
            };
            Failure::new(kind, Retry::Reconnect, error.to_string())
        }
        ReadError::Truncated(read) => {
            let message =
                format!("the stream ended inside a request's head or args, after {read} bytes of them");
            Failure::new(Kind::BadHead, Retry::Reconnect, message)
        }
        ReadError::Stalled => {
            let message = "a request's head and args were not there in time";
            Failure::new(Kind::ClientStalled, Retry::Reconnect, message)
        }
        ReadError::Silent | ReadError::Idle | ReadError::Broken(_) => return None,
    })
}

/// The first bytes are not a head of this version.
fn bad_head(error: &HeadError, retry: Retry) -> Failure {
    let kind = match error {
        HeadError::Magic(_) | HeadError::Direction | HeadError::Sequence => Kind::BadHead,
        HeadError::Version(_) => return bad_version(retry, error.to_string()),
        HeadError::FramingFlags(_) => Kind::BadFlags,
        HeadError::BodyLen(_) | HeadError::StreamedLen(_) => Kind::BadBody,
    };
    Failure::new(kind, retry, error.to_string())
}

/// The body of a request failed before any of it was sent to GCS.
pub(super) fn unread_body(error: SourceError) -> Failure {
    let (kind, message) = match error {
        SourceError::Io(error) if error.kind() == io::ErrorKind::TimedOut => (
            Kind::ClientStalled,
            "the client sent nothing for too long inside a body",
        ),
        SourceError::Io(_) => (Kind::BodyTruncated, "the client left inside a body"),
        SourceError::Aborted => (Kind::BodyAborted, "the client aborted the body"),
        SourceError::Damaged => (
            Kind::BodyDamaged,
            "the body is empty, and its checksum is that of other bytes",
        ),
        SourceError::Malformed(why) => (Kind::BadBody, why),
    };
    Failure::new(kind, Retry::Same, message)
}

/// The client left before the request could be of use to anybody.
pub(super) fn abandoned() -> Failure {
    let message = "the client is gone: the request was dropped";
    Failure::new(Kind::BodyTruncated, Retry::Same, message)
}

/// A request was received while the daemon is stopping.
pub(super) fn draining() -> Failure {
    let message = "the daemon is stopping: connect again, or to another daemon, and attach by token";
    Failure::new(Kind::Draining, Retry::Reconnect, message)
}

/// A request on an upload was cut because the daemon stops.
pub(super) fn cut(turn: &Turn) -> Failure {
    on_upload(draining(), turn)
}

/// The client ended the request by Cancel. It is `harmless` if nothing was done, or nothing that matters.
pub(super) fn cancelled(harmless: bool) -> Failure {
    match harmless {
        true => Failure::new(Kind::Cancelled, Retry::Same, "a Cancel ended the request"),
        false => {
            let message = "a Cancel ended the request before GCS had answered: look what became of it";
            Failure::new(Kind::Cancelled, Retry::Query, message)
        }
    }
}

/// A change of objects was cut because the daemon stops.
pub(super) fn interrupted() -> Failure {
    let message = "the daemon stopped before GCS had answered: check whether the objects were changed";
    Failure::new(Kind::Draining, Retry::Query, message)
}

/// The failure of a request on an upload: with what is committed, if the upload is there.
pub(super) fn on_upload(failure: Failure, turn: &Turn) -> Failure {
    match turn.committed() {
        Some(committed) => failure.with_committed(committed),
        None => failure,
    }
}

/// A request in flight has the same sequence.
pub(super) fn duplicate(head: &RequestHead) -> Failure {
    let retry = if head.checked() {
        Retry::Never
    } else {
        Retry::Reconnect
    };
    let message = format!(
        "a request with the sequence {} is in flight, and keeps its answer",
        head.sequence
    );
    Failure::new(Kind::DuplicateSequence, retry, message)
}

/// The rest of a body in pieces cannot be framed.
pub(super) fn bad_piece(error: PieceError) -> Failure {
    Failure::new(Kind::BadBody, Retry::Reconnect, error.to_string())
}

/// The rest of a body in pieces is too long to be skipped.
pub(super) fn endless_pieces(cap: u64) -> Failure {
    let message = format!("the rest of a refused body had not ended after {cap} bytes: connect again");
    Failure::new(Kind::BadBody, Retry::Reconnect, message)
}

fn refuse(kind: Kind, message: String) -> Failure {
    Failure::new(kind, Retry::Never, message)
}
