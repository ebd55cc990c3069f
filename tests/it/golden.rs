//! The wire against the golden vectors, byte for byte and in both directions.

use bytes::BytesMut;
use gcsd_wire::codec::{ReplyCodec, RequestCodec};
use gcsd_wire::piece::CHECKSUM_LEN;
use gcsd_wire::{
    DEFAULT_MAX_ARGS, ErrorReply, Opcode, PIECE_HEAD_LEN, PieceHead, Reply, ReplyFrame, Request,
    RequestFrame, WireArgs,
};
use tokio_util::codec::{Decoder, Encoder};

use crate::support::cases::{self, Args, Case, Frame, Head};
use crate::support::vectors;

const REQUESTS: RequestCodec = RequestCodec {
    max_args: DEFAULT_MAX_ARGS,
    checked: false,
};
const REPLIES: ReplyCodec = ReplyCodec {
    max_args: DEFAULT_MAX_ARGS,
};

/// The bytes of a case by way of the codecs.
fn encode(case: &Case) -> BytesMut {
    let mut out = BytesMut::new();
    for Frame { head, args, body } in &case.frames {
        let args = args.to_bytes();
        match *head {
            Head::Request(head) => {
                let frame = RequestFrame {
                    head,
                    args: Some(args),
                };
                REQUESTS
                    .clone()
                    .encode(&frame, &mut out)
                    .expect("a frame is encoded");
            }
            Head::Reply(head) => {
                let frame = ReplyFrame { head, args };
                REPLIES
                    .clone()
                    .encode(&frame, &mut out)
                    .expect("a frame is encoded");
            }
        }
        out.extend_from_slice(body);
    }
    out
}

/// Takes the next frame from the front of `bytes`.
fn decode(like: &Frame, bytes: &mut BytesMut) -> Frame {
    let (head, args, body_len) = match like.head {
        Head::Request(_) => {
            let frame = REQUESTS
                .clone()
                .decode(bytes)
                .expect("a head")
                .expect("a whole frame");
            let opcode = Opcode::from_code(frame.head.opcode).expect("a known opcode");
            let args = Request::decode(opcode, frame.args.expect("args within the limit"));
            (
                Head::Request(frame.head),
                Args::Request(args.expect("good args")),
                frame.head.body_len,
            )
        }
        Head::Reply(_) => {
            let frame = REPLIES
                .clone()
                .decode(bytes)
                .expect("a head")
                .expect("a whole frame");
            let args = if frame.head.status.is_ok() {
                let opcode = Opcode::from_code(frame.head.opcode).expect("a known opcode");
                Args::Reply(Reply::decode(opcode, frame.args).expect("good args"))
            } else {
                Args::Error(ErrorReply::decode(frame.args).expect("good args"))
            };
            (Head::Reply(frame.head), args, frame.head.body_len)
        }
    };
    let body_len = match head {
        Head::Request(head) if head.streamed() => pieces_len(bytes, head.checked()),
        _ => usize::try_from(body_len).expect("a short body"),
    };
    let body = bytes.split_to(body_len).freeze();
    Frame { head, args, body }
}

/// How many bytes the pieces at the front of `bytes` take, up to the one that ends them.
fn pieces_len(bytes: &[u8], checked: bool) -> usize {
    let decode = match checked {
        true => PieceHead::decode_checked,
        false => PieceHead::decode,
    };
    let mut at = 0;
    loop {
        let head = bytes[at..].first_chunk().expect("a piece");
        at += PIECE_HEAD_LEN;
        match decode(head).expect("a piece") {
            PieceHead::Data(len) => at += usize::try_from(len).expect("a short piece"),
            PieceHead::End { checksum } => return at + if checksum { CHECKSUM_LEN } else { 0 },
            PieceHead::Abort => return at,
        }
    }
}

#[test]
fn each_vector_is_what_the_code_sends() {
    for case in cases::all() {
        assert_eq!(
            encode(&case),
            vectors::read(case.name),
            "{}.hex and the code differ",
            case.name
        );
    }
}

#[test]
fn each_vector_is_what_the_code_understands() {
    for case in cases::all() {
        let mut bytes = BytesMut::from(&vectors::read(case.name)[..]);
        for frame in &case.frames {
            assert_eq!(decode(frame, &mut bytes), *frame, "{}.hex", case.name);
        }
        assert!(
            bytes.is_empty(),
            "{}.hex has {} bytes too many",
            case.name,
            bytes.len()
        );
    }
}

#[test]
fn each_opcode_has_its_vectors_and_each_vector_is_tested() {
    let cases = cases::all();
    for opcode in Opcode::ALL {
        for direction in ["request", "reply"] {
            let name = format!("{}.{direction}", opcode.stem());
            let case = cases.iter().find(|case| case.name == name);
            let case = case.unwrap_or_else(|| panic!("no case for the vector {name}"));
            assert!(
                case.frames
                    .iter()
                    .all(|frame| frame.head.opcode() == *opcode as u8),
                "{name}"
            );
        }
    }
    let mut tested: Vec<_> = cases.iter().map(|case| case.name).collect();
    tested.sort_unstable();
    assert_eq!(tested, vectors::names());
}
