//! The decoders of the wire under hostile bytes: no panic, no allocation beyond what came, exact lengths.
//!
//! The bytes are random, but the same in every run: a failure names what led to it.

use bytes::{Bytes, BytesMut};
use gcsd_fault::Random;
use gcsd_wire::codec::{FrameError, ReplyCodec, RequestCodec};
use gcsd_wire::head::{REPLY_MAGIC, REQUEST_MAGIC};
use gcsd_wire::{
    ArgsError, ErrorReply, HEAD_LEN, HeadError, Opcode, PieceHead, Reply, Request, VERSION, WireArgs,
};
use tokio_util::codec::Decoder;

use crate::support::cases::{self, Args};
use crate::support::vectors;

const ROUNDS: usize = 20_000;
const MAX_ARGS: u32 = 512;

/// Random bytes and what they do to others.
struct Numbers(Random);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end as u64)).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// Changes some of `bytes`: values, values at the edge, and the length.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            let value = [0x00, 0x01, 0x7f, 0x80, 0xff, self.byte()][self.below(6)];
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, value),
                _ => bytes[at..].iter_mut().take(1).for_each(|byte| *byte = value),
            }
        }
    }
}

/// What both codecs' frames have in common.
struct Decoded {
    opcode: u8,
    ok: bool,
    args: Option<Bytes>,
}

/// Decodes frames one by one as both directions; no body is expected. Returns what could be framed.
fn frame_all(bytes: &[u8], requests: bool) -> Vec<Decoded> {
    let mut source = BytesMut::from(bytes);
    let capacity = source.capacity();
    let mut frames = Vec::new();
    // Each frame takes a head at least, so that this ends.
    for _ in 0..=bytes.len() / HEAD_LEN {
        let before = source.len();
        let decoded = if requests {
            RequestCodec {
                max_args: MAX_ARGS,
                checked: false,
            }
            .decode(&mut source)
            .map(|frame| {
                frame.map(|frame| Decoded {
                    opcode: frame.head.opcode,
                    ok: true,
                    args: frame.args,
                })
            })
        } else {
            ReplyCodec { max_args: MAX_ARGS }
                .decode(&mut source)
                .map(|frame| {
                    frame.map(|frame| Decoded {
                        opcode: frame.head.opcode,
                        ok: frame.head.status.is_ok(),
                        args: Some(frame.args),
                    })
                })
        };
        assert!(
            source.capacity() <= capacity,
            "the decoder made room because a peer said so"
        );
        match decoded {
            Ok(Some(frame)) => {
                assert!(source.len() + HEAD_LEN <= before);
                assert!(
                    frame
                        .args
                        .as_ref()
                        .is_none_or(|args| args.len() <= MAX_ARGS as usize)
                );
                frames.push(frame);
            }
            Ok(None) => {
                assert_eq!(
                    source.len(),
                    before,
                    "nothing is taken of a frame that is not whole"
                );
                return frames;
            }
            Err(_) => return frames,
        }
    }
    panic!("more frames than heads in {bytes:02x?}");
}

/// Decodes args as `like` is, and checks what must hold of everything that decodes: it is as long as its bytes, so
/// that nothing was made up, and it comes back from its own bytes.
fn decode_like(like: &Args, bytes: Bytes) -> Result<Args, ArgsError> {
    let decode = |bytes| match like {
        Args::Request(args) => Request::decode(args.opcode(), bytes).map(Args::Request),
        Args::Reply(args) => Reply::decode(args.opcode(), bytes).map(Args::Reply),
        Args::Error(_) => ErrorReply::decode(bytes).map(Args::Error),
    };
    let args = decode(bytes.clone())?;
    let again = args.to_bytes();
    assert_eq!(again.len(), bytes.len(), "{bytes:02x?}");
    assert_eq!(decode(again).as_ref(), Ok(&args), "{bytes:02x?}");
    Ok(args)
}

/// One value of each kind of args.
fn samples() -> Vec<(&'static str, Args)> {
    let frames = cases::all().into_iter().flat_map(|case| {
        let name = case.name;
        case.frames.into_iter().map(move |frame| (name, frame.args))
    });
    frames.collect()
}

/// Whether the args of `like` are told apart by their length, or may have any.
fn any_length(like: &Args) -> bool {
    matches!(
        like,
        Args::Request(Request::Ping(_))
            | Args::Reply(Reply::Ping(_) | Reply::ReadAt(_) | Reply::ListObjects(_) | Reply::ListBuckets(_))
    )
}

#[test]
fn args_cut_short_are_too_short_and_args_with_more_are_too_long() {
    for (name, args) in samples().into_iter().filter(|(_, args)| !any_length(args)) {
        let whole = args.to_bytes();
        for len in 0..whole.len() {
            match decode_like(&args, whole.slice(..len)) {
                Err(ArgsError::TooShort { need, have }) => assert!(have == len && need > len, "{name}"),
                other => panic!("{name} cut to {len} of {} bytes: {other:?}", whole.len()),
            }
        }
        for extra in [0, b'a', 0xff] {
            let longer = Bytes::from([&whole[..], &[extra]].concat());
            let expected = ArgsError::TooLong {
                need: whole.len(),
                have: whole.len() + 1,
            };
            assert_eq!(decode_like(&args, longer), Err(expected), "{name}");
        }
    }
}

#[test]
fn the_length_tells_the_frames_of_a_read_apart() {
    let like = samples()
        .into_iter()
        .find(|(name, _)| *name == "read_at.reply")
        .expect("a read")
        .1;
    for len in 0..200 {
        let decoded = decode_like(&like, Bytes::from(vec![0; len]));
        assert_eq!(decoded.is_ok(), [0, 24, 80].contains(&len), "{len}: {decoded:?}");
    }
}

#[test]
fn random_args_decode_or_fail() {
    let mut numbers = Numbers::new(1);
    let samples = samples();
    for round in 0..ROUNDS {
        let (_, like) = &samples[round % samples.len()];
        let len = numbers.below(160);
        let bytes = numbers.bytes(len);
        // Sparse bytes come further: most fields of random ones are too large.
        let sparse: Vec<u8> = bytes
            .iter()
            .map(|byte| if byte % 4 == 0 { byte / 4 } else { 0 })
            .collect();
        let _ = decode_like(like, bytes.into());
        let _ = decode_like(like, sparse.into());
    }
}

#[test]
fn mutated_args_decode_or_fail() {
    let mut numbers = Numbers::new(2);
    let samples = samples();
    let mut decoded = 0;
    for round in 0..ROUNDS {
        let (_, like) = &samples[round % samples.len()];
        let mut bytes = like.to_bytes().to_vec();
        numbers.mutate(&mut bytes);
        decoded += usize::from(decode_like(like, bytes.into()).is_ok());
    }
    assert!(
        decoded > ROUNDS / 20,
        "only {decoded} of {ROUNDS} decoded: the mutations reach nothing"
    );
}

#[test]
fn random_bytes_are_framed_or_refused() {
    let mut numbers = Numbers::new(3);
    for round in 0..ROUNDS {
        let len = numbers.below(3 * HEAD_LEN);
        let mut bytes = numbers.bytes(len);
        for requests in [true, false] {
            // Without a good start, everything fails at the first byte.
            let magic = if requests { REQUEST_MAGIC } else { REPLY_MAGIC };
            let start = [&magic[..], &[VERSION]].concat();
            if round % 8 > 0 {
                bytes
                    .iter_mut()
                    .zip(start)
                    .for_each(|(byte, start)| *byte = start);
            }
            if round % 2 > 0 {
                bytes.iter_mut().skip(6).take(1).for_each(|byte| *byte = 0);
                bytes.iter_mut().skip(20).take(12).for_each(|byte| *byte &= 1);
            }
            frame_all(&bytes, requests);
        }
    }
}

#[test]
fn mutated_frames_are_framed_or_refused() {
    let mut numbers = Numbers::new(4);
    let all: Vec<_> = vectors::names()
        .into_iter()
        .map(|name| (vectors::read(&name), name))
        .collect();
    let mut understood = 0;
    for round in 0..ROUNDS {
        let (vector, name) = &all[round % all.len()];
        let mut bytes = vector.clone();
        numbers.mutate(&mut bytes);
        let requests = name.ends_with("request");
        for frame in frame_all(&bytes, requests) {
            let (Some(opcode), Some(args)) = (Opcode::from_code(frame.opcode), frame.args) else {
                continue;
            };
            let good = match (requests, frame.ok) {
                (true, _) => Request::decode(opcode, args).is_ok(),
                (false, true) => Reply::decode(opcode, args).is_ok(),
                (false, false) => ErrorReply::decode(args).is_ok(),
            };
            understood += usize::from(good);
        }
    }
    assert!(
        understood > ROUNDS / 20,
        "only {understood} frames understood: the mutations reach nothing"
    );
}

#[test]
fn a_frame_that_is_not_whole_waits() {
    for name in vectors::names() {
        let whole = vectors::read(&name);
        let args_len = u32::from_le_bytes(whole[20..24].try_into().expect("four bytes"));
        let first = HEAD_LEN + usize::try_from(args_len).expect("short args");
        for len in 0..first {
            assert!(
                frame_all(&whole[..len], name.ends_with("request")).is_empty(),
                "{name} cut to {len}"
            );
        }
        assert_eq!(
            frame_all(&whole[..first], name.ends_with("request")).len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn random_heads_of_pieces_decode_or_fail() {
    let mut numbers = Numbers::new(5);
    let mut decoded = 0;
    for round in 0..ROUNDS {
        let mut bytes = numbers.0.next_u64().to_le_bytes();
        if round % 2 > 0 {
            bytes[4] %= 5;
            bytes[5..].fill(0);
        }
        if round % 4 > 1 {
            bytes[0] %= 6;
            bytes[1..4].fill(0);
        }
        if let Ok(head) = PieceHead::decode(&bytes) {
            assert_eq!(head.encode(), bytes);
            decoded += 1;
        }
    }
    assert!(decoded > ROUNDS / 20, "only {decoded} of {ROUNDS} decoded");
}

#[test]
fn a_claimed_length_allocates_nothing() {
    for claim in [MAX_ARGS + 1, 1 << 31, u32::MAX] {
        for (magic, requests) in [(REQUEST_MAGIC, true), (REPLY_MAGIC, false)] {
            let mut head = [0; HEAD_LEN];
            head[..4].copy_from_slice(&magic);
            head[4] = VERSION;
            head[8] = 1;
            head[20..24].copy_from_slice(&claim.to_le_bytes());
            // Beyond the limit a request is refused and a reply is an error; within it, the bytes are waited for.
            assert_eq!(frame_all(&head, requests).len(), usize::from(requests));
            let mut source = BytesMut::from(&head[..]);
            let capacity = source.capacity();
            let waits = match requests {
                true => RequestCodec {
                    max_args: u32::MAX,
                    checked: false,
                }
                .decode(&mut source)
                .expect("a head")
                .is_none(),
                false => ReplyCodec { max_args: u32::MAX }
                    .decode(&mut source)
                    .expect("a head")
                    .is_none(),
            };
            assert!(waits);
            assert_eq!((source.len(), source.capacity()), (HEAD_LEN, capacity));
        }
    }
}

#[test]
fn a_body_length_beyond_a_signed_integer_is_no_head() {
    let mut bytes = vectors::read("write_at.request");
    bytes[24..32].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    let refused = RequestCodec {
        max_args: MAX_ARGS,
        checked: false,
    }
    .decode(&mut BytesMut::from(&bytes[..]));
    assert!(
        matches!(refused, Err(FrameError::Head(HeadError::BodyLen(_)))),
        "{refused:?}"
    );
    bytes[24..32].copy_from_slice(&u64::MAX.wrapping_shr(1).to_le_bytes());
    let accepted = RequestCodec {
        max_args: MAX_ARGS,
        checked: false,
    }
    .decode(&mut BytesMut::from(&bytes[..]));
    assert!(matches!(accepted, Ok(Some(_))), "{accepted:?}");
}

#[test]
fn reserved_bytes_and_undefined_flags_of_a_reply_are_ignored() {
    use gcsd_wire::{Opcode, Reply, ReplyHead};
    for (name, opcode, reserved) in [
        ("write_at.reply", Opcode::WriteAt, 24..40),
        ("cancel.reply", Opcode::Cancel, 4..16),
        ("hello.reply", Opcode::Hello, 1..4),
    ] {
        let bytes = vectors::read(name);
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a head");
        let sent = ReplyHead::decode(head).expect("a head");
        let args = &rest[..usize::try_from(sent.args_len).expect("small")];
        let mut later = args.to_vec();
        later[reserved].fill(0xff);
        let decode = |args: &[u8]| Reply::decode(opcode, args.to_vec().into()).expect("good args");
        assert_eq!(decode(&later), decode(args), "{name}");
        let mut flagged = *head;
        flagged[6] |= 0xfc;
        flagged[7] |= 0xfe;
        let flagged = ReplyHead::decode(&flagged).expect("a head");
        assert_eq!(
            (flagged.more(), flagged.closing(), flagged.args_len),
            (sent.more(), sent.closing(), sent.args_len)
        );
    }
}

#[test]
fn a_number_whose_bit_is_0_is_refused_in_a_request_and_ignored_in_a_reply() {
    let (mut requests, mut replies) = (0, 0);
    for name in vectors::names() {
        let (mut at, mut absent) = (0, Vec::new());
        for line in vectors::text(&name).lines() {
            let len = vectors::bytes_of(line).len();
            // The variable fields have no bytes, and where their length is 0, that is what says so.
            if len > 0 && line.ends_with(": absent") {
                absent.push(at);
            }
            at += len;
        }
        let bytes = vectors::read(&name);
        let opcode = Opcode::from_code(bytes[5]);
        for at in absent.into_iter().filter(|at| *at >= HEAD_LEN) {
            let opcode = opcode.expect("a known opcode");
            let len = u32::from_le_bytes(bytes[20..24].try_into().expect("four bytes"));
            let end = HEAD_LEN + usize::try_from(len).expect("small");
            let mut changed = bytes.clone();
            changed[at] = 1;
            let args = |bytes: &[u8]| Bytes::copy_from_slice(&bytes[HEAD_LEN..end]);
            if name.ends_with(".request") {
                requests += 1;
                let refused = Request::decode(opcode, args(&changed));
                assert!(
                    matches!(refused, Err(ArgsError::Absent(_))),
                    "{name}: {at}: {refused:?}"
                );
            } else {
                replies += 1;
                let [sent, changed] =
                    [&bytes, &changed].map(|bytes| Reply::decode(opcode, args(bytes)).expect("good args"));
                assert_eq!(sent, changed, "{name}: {at}");
            }
        }
    }
    assert!(requests > 60 && replies > 0, "{requests} {replies}");
}
