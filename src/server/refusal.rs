//! What is wrong with a request before anybody asks what it means (proto-spec.md, "Framing").

use super::reader::ReadError;
use crate::ops::Failure;
use gcsd_wire::codec::FrameError;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::{HeadError, Kind, Opcode, PieceError, Request, RequestFrame, Retry};

/// Reads a request out of its frame.
pub(super) fn read_request(
    frame: &RequestFrame,
    max_args: u32,
    authenticated: bool,
) -> Result<Request, Failure> {
    let head = &frame.head;
    let undefined = head.flags & !(STREAMED | CHECKED);
    if undefined != 0 {
        return Err(refuse(
            Kind::BadFlags,
            format!("the flags {undefined:#06x} are not defined"),
        ));
    }
    let Some(opcode) = Opcode::from_code(head.opcode) else {
        return Err(refuse(
            Kind::Unsupported,
            format!("the opcode {:#04x} is not known here", head.opcode),
        ));
    };
    if !authenticated && opcode != Opcode::Hello {
        let message = "this daemon asks for a secret: send Hello with it first";
        return Err(refuse(Kind::Unauthenticated, message.to_owned()));
    }
    let Some(args) = frame.args.clone() else {
        let message = format!(
            "{} bytes of args, and at most {max_args} are accepted",
            head.args_len
        );
        return Err(refuse(Kind::ArgsTooLarge, message));
    };
    if head.streamed() && !opcode.may_stream() {
        let message = format!("{} has no body that could come in pieces", opcode.name());
        return Err(refuse(Kind::BadFlags, message));
    }
    if head.body_len > 0 && !opcode.has_body() {
        let message = format!(
            "{} has no body, and one of {} bytes was announced",
            opcode.name(),
            head.body_len
        );
        return Err(refuse(Kind::BadBody, message));
    }
    if head.upload != 0 && !opcode.has_upload() {
        let message = format!(
            "{} is about no upload: the head's 'upload' must be 0",
            opcode.name()
        );
        return Err(refuse(Kind::BadArgs, message));
    }
    Ok(Request::decode(opcode, args)?)
}

/// What to tell the client when no further frame can be had; `None` where there is nobody to tell.
pub(super) fn unreadable(error: &ReadError) -> Option<Failure> {
    match error {
        ReadError::Malformed(FrameError::Head(head)) => {
            let kind = match head {
                HeadError::Magic(_) | HeadError::Direction => Kind::BadHead,
                HeadError::Version(_) => Kind::BadVersion,
                HeadError::FramingFlags(_) => Kind::BadFlags,
                HeadError::BodyLen(_) | HeadError::StreamedLen(_) => Kind::BadBody,
            };
            Some(match kind {
                Kind::BadHead => unframed(kind, head.to_string()),
                _ => refuse(kind, head.to_string()),
            })
        }
        ReadError::Malformed(FrameError::Damaged) => {
            Some(unframed(Kind::Damaged, FrameError::Damaged.to_string()))
        }
        ReadError::Malformed(error) => Some(unframed(Kind::BadHead, error.to_string())),
        ReadError::Truncated(read) => {
            let message =
                format!("the stream ended inside a request's head or args, after {read} bytes of them");
            Some(unframed(Kind::BadHead, message))
        }
        ReadError::Stalled => {
            let message = "nothing came for too long inside a request's head or args";
            Some(Failure::new(Kind::ClientStalled, Retry::Reconnect, message))
        }
        ReadError::Broken(_) => None,
    }
}

/// What to tell a client whose request comes when the daemon is stopping.
pub(super) fn draining() -> Failure {
    let message = "the daemon is stopping: connect again, or to another one, and attach by token";
    Failure::new(Kind::Draining, Retry::Reconnect, message)
}

/// What to tell a client whose change of objects is cut off because the daemon stops.
pub(super) fn interrupted() -> Failure {
    let message = "the daemon stopped before GCS had answered: look whether the objects were changed";
    Failure::new(Kind::Draining, Retry::Query, message)
}

/// What to tell a client that uses a sequence twice.
pub(super) fn duplicate(sequence: u64) -> Failure {
    refuse(
        Kind::DuplicateSequence,
        format!("a request with the sequence {sequence} is in flight"),
    )
}

/// What to tell a client whose body in pieces cannot be read to its end.
pub(super) fn bad_piece(error: PieceError) -> Failure {
    Failure::new(Kind::BadBody, Retry::Reconnect, error.to_string())
}

/// What to tell a client that goes on and on with a body that was refused.
pub(super) fn endless_pieces(cap: u64) -> Failure {
    let message = format!("a body that is not wanted had not ended after {cap} bytes more: connect again");
    Failure::new(Kind::BadBody, Retry::Reconnect, message)
}

/// The bytes make no sense, which can be the way's fault: the connection is over, uploads are not.
fn unframed(kind: Kind, message: String) -> Failure {
    Failure::new(kind, Retry::Reconnect, message)
}

fn refuse(kind: Kind, message: String) -> Failure {
    Failure::new(kind, Retry::Never, message)
}
