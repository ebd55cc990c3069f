//! Requests, replies and pieces: what is accepted is what was sent, and the rest is refused.

use bytes::{Bytes, BytesMut};
use gcsd_types::Crc32c;
use gcsd_wire::codec::{FrameError, ReplyCodec, RequestCodec};
use gcsd_wire::{ErrorReply, HEAD_LEN, Opcode, PIECE_HEAD_LEN, PieceHead, Reply, Request, WireArgs, dynamic};
use tokio_util::codec::{Decoder, Encoder as _};

use super::Fuzz;
use crate::support::vectors;

const MAX_ARGS: u32 = 4096;

/// The vectors of one direction.
pub(crate) fn vectors_of(direction: &str) -> Vec<Vec<u8>> {
    let names = vectors::names().into_iter();
    let seeds: Vec<_> = names
        .filter(|name| name.ends_with(direction))
        .map(|name| vectors::read(&name))
        .collect();
    assert!(seeds.len() > 20, "there are vectors");
    seeds
}

/// A number of a head, by the specification's offsets alone.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut number = [0; 8];
    number[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(number)
}

/// Frames `bytes` as they come, and calls `each` with a frame's own bytes and what the codec made of them. What follows a frame is
/// not looked at: it is the body's.
fn first_frame<C>(mut codec: C, bytes: &[u8]) -> Result<(C::Item, usize), String>
where
    C: Decoder<Error = FrameError> + Copy,
    C::Item: PartialEq + std::fmt::Debug,
{
    let mut source = BytesMut::from(bytes);
    let decoded = codec.decode(&mut source);
    let taken = bytes.len() - source.len();
    assert_eq!(&source[..], &bytes[taken..], "what follows is left as it is");
    // Byte for byte it is the same.
    let mut grown = BytesMut::new();
    let mut codec = codec;
    for (at, byte) in bytes.iter().enumerate() {
        grown.extend_from_slice(&[*byte]);
        match (codec.decode(&mut grown), &decoded) {
            (Ok(None), _) => assert!(at + 1 < bytes.len() || matches!(decoded, Ok(None))),
            (Ok(Some(frame)), Ok(Some(whole))) => {
                assert_eq!(frame, *whole);
                assert!(
                    grown.is_empty() && at + 1 == taken,
                    "it waited for bytes that are not its own"
                );
                break;
            }
            (Err(early), Err(late)) => {
                assert_eq!(early.to_string(), late.to_string());
                break;
            }
            (early, _) => panic!("bytes one by one are {early:?}, and together {decoded:?}"),
        }
    }
    match decoded {
        Ok(Some(frame)) => Ok((frame, taken)),
        Ok(None) => {
            assert_eq!(taken, 0, "nothing is taken of a frame that is not whole");
            let announced = match bytes.len() {
                ..HEAD_LEN => HEAD_LEN as u64,
                _ => HEAD_LEN as u64 + number(bytes, 20, 4),
            };
            assert!(
                (bytes.len() as u64) < announced,
                "it waits for more than the head announces"
            );
            Err("not whole".to_owned())
        }
        Err(error) => Err(words(&error)),
    }
}

/// A message without its numbers.
pub(crate) fn words(error: &impl ToString) -> String {
    let text = error.to_string();
    let words = text.split(|letter: char| letter.is_ascii_digit());
    words.collect::<Vec<_>>().join("")
}

/// Whether a frame's checksum is that of its bytes.
fn holds(frame: &[u8]) -> bool {
    frame
        .split_last_chunk::<4>()
        .is_some_and(|(rest, sum)| rest.len() >= HEAD_LEN && Crc32c::of(rest).0 == u32::from_le_bytes(*sum))
}

fn request(bytes: &[u8]) -> String {
    let mut codec = RequestCodec {
        max_args: MAX_ARGS,
        checked: false,
    };
    let (frame, taken) = match first_frame(codec, bytes) {
        Ok(framed) => framed,
        Err(why) => return why,
    };
    let args_len = number(bytes, 20, 4);
    assert_eq!(
        &frame.head.encode()[..],
        &bytes[..HEAD_LEN],
        "each byte of a head is a field's"
    );
    assert!(frame.head.body_len <= i64::MAX as u64);
    let Some(args) = frame.args.clone() else {
        assert!(args_len > u64::from(MAX_ARGS) && taken == HEAD_LEN);
        return "long args".to_owned();
    };
    assert_eq!(
        taken as u64,
        HEAD_LEN as u64 + args_len,
        "the frame is what its head announces"
    );
    let mut again = BytesMut::new();
    codec.encode(&frame, &mut again).expect("it can be written");
    assert_eq!(
        &again[..],
        &bytes[..taken],
        "a frame comes back from its own bytes"
    );
    assert!(
        !frame.head.checked() || holds(&bytes[..taken]),
        "the checksum is another"
    );
    let Some(opcode) = Opcode::from_code(frame.head.opcode) else {
        return "unknown opcode".to_owned();
    };
    let decoded = Request::decode(opcode, args.clone());
    let checked = frame.head.flags & gcsd_wire::head::CHECKED;
    match decoded {
        Ok(request) => {
            assert_eq!(request.opcode(), opcode);
            // A number whose bit is 0 is ignored; all other bytes come back.
            stable(&args, request.clone(), Request::to_bytes, |bytes| {
                Request::decode(opcode, bytes)
            });
            let values = dynamic::decode(opcode.args(), args).expect("the table reads it, too");
            let written = dynamic::encode(opcode.args(), &values).expect("the table writes it, too");
            assert_eq!(
                written,
                request.to_bytes(),
                "the table's names say something else"
            );
            let present: Vec<_> = values.iter().map(|(at, _)| at).collect();
            format!("{opcode:?} {checked} {present:?}")
        }
        Err(error) => format!("{opcode:?} {checked} {}", words(&error)),
    }
}

#[test]
fn requests() {
    let fuzz = Fuzz {
        name: "wire::requests",
        inputs: 60_000,
        max_len: 2048,
        seeds: vectors_of("request"),
        words: &[b"GCS?\x01", b"\0\0\0\0\0\0\0\0", b"{}", b"\xc3\xbc"],
    };
    fuzz.run(|input| damaged_and_mended(input, request));
}

/// What `seen` says of `input`, and of the same with a checksum that holds: half of the damage is behind one.
fn damaged_and_mended(input: &[u8], seen: impl Fn(&[u8]) -> String) -> String {
    let damaged = seen(input);
    let mut mended = input.to_vec();
    match mend(&mut mended) {
        true => format!("{damaged}; {}", seen(&mended)),
        false => damaged,
    }
}

/// Makes one frame of `bytes`, as long as its head says, with a checksum where it has one. False where that changes nothing.
fn mend(bytes: &mut [u8]) -> bool {
    if bytes.len() < HEAD_LEN {
        return false;
    }
    let before = bytes.to_vec();
    let len = u32::try_from(bytes.len() - HEAD_LEN).expect("short");
    bytes[20..24].copy_from_slice(&len.to_le_bytes());
    if bytes[7] & 1 != 0
        && let Some((rest, sum)) = bytes.split_last_chunk_mut::<4>()
        && rest.len() >= HEAD_LEN
    {
        *sum = Crc32c::of(rest).0.to_le_bytes();
    }
    before != bytes
}

fn reply(bytes: &[u8]) -> String {
    let mut codec = ReplyCodec { max_args: MAX_ARGS };
    let (frame, taken) = match first_frame(codec, bytes) {
        Ok(framed) => framed,
        Err(why) => return why,
    };
    assert_eq!(
        &frame.head.encode()[..],
        &bytes[..HEAD_LEN],
        "each byte of a head is a field's"
    );
    assert_eq!(taken as u64, HEAD_LEN as u64 + number(bytes, 20, 4));
    let mut again = BytesMut::new();
    codec.encode(&frame, &mut again).expect("it can be written");
    assert_eq!(
        &again[..],
        &bytes[..taken],
        "a frame comes back from its own bytes"
    );
    assert!(
        !frame.head.checked() || holds(&bytes[..taken]),
        "the checksum is another"
    );
    if !frame.head.status.is_ok() {
        // Words that it does not know, it shows all the same.
        let status = format!("{:?} {}", frame.head.status.kind(), frame.head.status);
        assert!(!status.is_empty());
        return match ErrorReply::decode(frame.args.clone()) {
            Ok(error) => {
                stable(&frame.args, error, WireArgs::to_bytes, ErrorReply::decode);
                "an error".to_owned()
            }
            Err(error) => words(&error),
        };
    }
    let Some(opcode) = Opcode::from_code(frame.head.opcode) else {
        return "unknown opcode".to_owned();
    };
    match Reply::decode(opcode, frame.args.clone()) {
        Ok(reply) => {
            let len = frame.args.len();
            stable(&frame.args, reply, Reply::to_bytes, |bytes| {
                Reply::decode(opcode, bytes)
            });
            format!("{opcode:?} {:?}", opcode.reply(len).map(|layout| layout.name))
        }
        Err(error) => format!("{opcode:?} {}", words(&error)),
    }
}

/// A value comes back from its own bytes, which are as many as those that it came of: nothing was made up, or left.
fn stable<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    bytes: &Bytes,
    value: T,
    write: impl Fn(&T) -> Bytes,
    read: impl Fn(Bytes) -> Result<T, E>,
) {
    let again = write(&value);
    assert_eq!(
        again.len(),
        bytes.len(),
        "{value:?} is made of other bytes than those that came"
    );
    assert_eq!(read(again).expect("its own bytes"), value);
}

#[test]
fn replies() {
    let fuzz = Fuzz {
        name: "wire::replies",
        inputs: 60_000,
        max_len: 2048,
        seeds: vectors_of("reply"),
        words: &[b"GCS!\x01", b"\0\0\0\0\0\0\0\0", b"{}", b"\xc3\xbc"],
    };
    fuzz.run(|input| damaged_and_mended(input, reply));
}

/// What the specification says of a piece's head: section 2.2, without the code that is tested.
fn piece_by_the_book(bytes: &[u8; PIECE_HEAD_LEN], checked: bool) -> Option<PieceHead> {
    let sum = if checked {
        Crc32c::of(&bytes[..5]).0.to_le_bytes()
    } else {
        [0; 4]
    };
    if bytes[5..] != sum[..3] {
        return None;
    }
    let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match (bytes[4], len) {
        (1, 1..) => Some(PieceHead::Data(len)),
        (2, 0 | 4) => Some(PieceHead::End { checksum: len == 4 }),
        (3, 0) => Some(PieceHead::Abort),
        _ => None,
    }
}

#[test]
fn pieces() {
    let heads = [
        PieceHead::Data(1),
        PieceHead::Data(0x0102_0304),
        PieceHead::End { checksum: false },
        PieceHead::End { checksum: true },
        PieceHead::Abort,
    ];
    let plain = heads.iter().map(|head| head.encode().to_vec());
    let checked = heads.iter().map(|head| head.encode_checked().to_vec());
    let fuzz = Fuzz {
        name: "wire::pieces",
        inputs: 60_000,
        max_len: PIECE_HEAD_LEN,
        seeds: plain.chain(checked).collect(),
        words: &[b"\0\0\0", b"\x01", b"\x02", b"\x03"],
    };
    fuzz.run(|input| {
        let mut bytes = [0; PIECE_HEAD_LEN];
        bytes[..input.len()].copy_from_slice(input);
        let mut mended = bytes;
        mended[5..].copy_from_slice(&Crc32c::of(&bytes[..5]).0.to_le_bytes()[..3]);
        let mut seen = String::new();
        for bytes in [bytes, mended] {
            let plain = PieceHead::decode(&bytes);
            assert_eq!(plain.ok(), piece_by_the_book(&bytes, false), "{bytes:02x?}");
            let checked = PieceHead::decode_checked(&bytes);
            assert_eq!(checked.ok(), piece_by_the_book(&bytes, true), "{bytes:02x?}");
            if let Ok(head) = plain {
                assert_eq!(head.encode(), bytes);
            }
            if let Ok(head) = checked {
                assert_eq!(head.encode_checked(), bytes);
            }
            seen += &words(&format!("{plain:?} {checked:?} "));
        }
        seen
    });
}
