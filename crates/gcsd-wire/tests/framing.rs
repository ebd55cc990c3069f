//! Frames are the same however their bytes are cut into segments.

use bytes::{Buf as _, Bytes, BytesMut};
use gcsd_wire::head::{CHECKED, CLOSING, MORE};
use gcsd_wire::{ReplyCodec, ReplyFrame, ReplyHead, RequestCodec, RequestFrame, RequestHead, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio_util::codec::{Decoder, Encoder};

/// The largest args of these tests.
const MAX_ARGS: u32 = 64;

/// A frame as its owner sees it: `args` are what the codec told, `body` is what was left to be read behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen<F> {
    frame: F,
    body: Vec<u8>,
}

/// What a codec makes of a stream, and what becomes of the bytes that it leaves: those of the bodies, and args that are
/// too long.
fn frames<C, F>(mut codec: C, segments: &[&[u8]], left: impl Fn(&F) -> u64) -> (Vec<Seen<F>>, Option<String>)
where
    C: Decoder<Item = F>,
    C::Error: std::fmt::Display,
{
    let mut seen: Vec<Seen<F>> = Vec::new();
    let mut buffer = BytesMut::new();
    let mut owed = 0_u64;
    for segment in segments {
        buffer.extend_from_slice(segment);
        loop {
            let taken = usize::try_from(owed).map_or(buffer.len(), |owed| owed.min(buffer.len()));
            if let Some(last) = seen.last_mut() {
                last.body.extend_from_slice(&buffer[..taken]);
            }
            buffer.advance(taken);
            owed -= taken as u64;
            if owed > 0 {
                break;
            }
            match codec.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    owed = left(&frame);
                    seen.push(Seen {
                        frame,
                        body: Vec::new(),
                    });
                }
                Err(error) => return (seen, Some(error.to_string())),
            }
        }
    }
    (seen, None)
}

fn requests(segments: &[&[u8]]) -> (Vec<Seen<RequestFrame>>, Option<String>) {
    let codec = RequestCodec {
        max_args: MAX_ARGS,
        checked: false,
    };
    frames(codec, segments, |frame: &RequestFrame| {
        let skipped = if frame.args.is_none() {
            frame.head.args_len
        } else {
            0
        };
        frame.head.body_len + u64::from(skipped)
    })
}

fn replies(segments: &[&[u8]]) -> (Vec<Seen<ReplyFrame>>, Option<String>) {
    let codec = ReplyCodec { max_args: MAX_ARGS };
    frames(codec, segments, |frame: &ReplyFrame| frame.head.body_len)
}

/// `bytes`, cut at these places.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let starts = std::iter::once(0).chain(places.iter().copied());
    let ends = places.iter().copied().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// Every byte alone.
fn crumbs(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.chunks(1).collect()
}

/// Args up to the limit, and the checksum in it.
fn args(checked: bool) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=60 + if checked { 0 } else { 4 })
}

prop_compose! {
    fn request()(checked in any::<bool>())(
        opcode in any::<u8>(),
        sequence in any::<u64>(),
        upload in any::<u32>(),
        checked in Just(checked),
        args in args(checked),
        body in vec(any::<u8>(), 0..40),
    ) -> Seen<RequestFrame> {
        let mut head = RequestHead {
            opcode,
            flags: if checked { CHECKED } else { 0 },
            sequence,
            upload,
            args_len: 0,
            body_len: body.len() as u64,
        };
        head.args_len = u32::try_from(args.len() + if checked { 4 } else { 0 }).expect("short args");
        Seen { frame: RequestFrame { head, args: Some(args.into()) }, body }
    }
}

prop_compose! {
    fn reply()(checked in any::<bool>())(
        opcode in any::<u8>(),
        sequence in any::<u64>(),
        status in any::<u16>(),
        http_status in any::<u16>(),
        place in 0..4_u16,
        checked in Just(checked),
        args in args(checked),
        body in vec(any::<u8>(), 0..40),
    ) -> Seen<ReplyFrame> {
        let mut head = ReplyHead {
            opcode,
            flags: (place & (MORE | CLOSING)) | if checked { CHECKED } else { 0 },
            sequence,
            status: Status(status),
            http_status,
            args_len: 0,
            body_len: body.len() as u64,
        };
        head.args_len = u32::try_from(args.len() + if checked { 4 } else { 0 }).expect("short args");
        Seen { frame: ReplyFrame { head, args: args.into() }, body }
    }
}

/// The bytes of frames, as a codec writes them.
fn wire<F, C>(mut codec: C, all: &[Seen<F>]) -> Vec<u8>
where
    C: for<'a> Encoder<&'a F>,
    for<'a> <C as Encoder<&'a F>>::Error: std::fmt::Debug,
{
    let mut out = BytesMut::new();
    for Seen { frame, body } in all {
        codec.encode(frame, &mut out).expect("it can be written");
        out.extend_from_slice(body);
    }
    out.to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_framed_alike_in_any_segments(
        all in vec(request(), 0..6),
        places in vec(any::<Index>(), 0..12),
    ) {
        let wire = wire(RequestCodec { max_args: MAX_ARGS, checked: false }, &all);
        prop_assert_eq!(requests(&[&wire]), (all.clone(), None));
        prop_assert_eq!(requests(&cut(&wire, &places)), (all.clone(), None));
        prop_assert_eq!(requests(&crumbs(&wire)), (all, None));
    }

    #[test]
    fn replies_are_framed_alike_in_any_segments(
        all in vec(reply(), 0..6),
        places in vec(any::<Index>(), 0..12),
    ) {
        let wire = wire(ReplyCodec { max_args: MAX_ARGS }, &all);
        prop_assert_eq!(replies(&[&wire]), (all.clone(), None));
        prop_assert_eq!(replies(&cut(&wire, &places)), (all.clone(), None));
        prop_assert_eq!(replies(&crumbs(&wire)), (all, None));
    }

    /// Frames, errors and what is missing: none of them depends on when the bytes come.
    #[test]
    fn any_bytes_are_framed_alike_in_any_segments(
        good in vec(request(), 0..3),
        tail in vec(any::<u8>(), 0..80),
        (at, byte) in any::<(Index, u8)>(),
        is_request in any::<bool>(),
        places in vec(any::<Index>(), 0..12),
    ) {
        let mut bytes = wire(RequestCodec { max_args: MAX_ARGS, checked: false }, &good);
        bytes.extend_from_slice(&tail);
        if !is_request {
            for head in (0..bytes.len().saturating_sub(3)).rev() {
                if bytes[head..].starts_with(b"GCS?") {
                    bytes[head + 3] = b'!';
                }
            }
        }
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(requests(&cut(&bytes, &places)), requests(&[&bytes]));
        prop_assert_eq!(requests(&crumbs(&bytes)), requests(&[&bytes]));
        prop_assert_eq!(replies(&cut(&bytes, &places)), replies(&[&bytes]));
        prop_assert_eq!(replies(&crumbs(&bytes)), replies(&[&bytes]));
    }

    /// Args at the limit are taken; longer ones are left to be skipped, and what follows is still framed.
    #[test]
    fn args_that_are_too_long_are_left(len in MAX_ARGS - 2..MAX_ARGS + 40, next in request()) {
        let mut first = next.clone();
        first.frame.head.flags = 0;
        first.frame.head.args_len = len;
        let args = vec![b'a'; usize::try_from(len).expect("short args")];
        let mut bytes = first.frame.head.encode().to_vec();
        bytes.extend_from_slice(&args);
        bytes.extend_from_slice(&first.body);
        bytes.extend_from_slice(&wire(RequestCodec { max_args: MAX_ARGS, checked: false }, std::slice::from_ref(&next)));
        if len > MAX_ARGS {
            first.frame.args = None;
            first.body = [args, first.body].concat();
        } else {
            first.frame.args = Some(Bytes::from(args));
        }
        prop_assert_eq!(requests(&[&bytes]), (vec![first.clone(), next.clone()], None));
        prop_assert_eq!(requests(&crumbs(&bytes)), (vec![first, next], None));
    }

    /// A reply has no args that are too long: its daemon was told the limit.
    #[test]
    fn a_reply_with_args_that_are_too_long_is_an_error(len in MAX_ARGS - 2..MAX_ARGS + 40, like in reply()) {
        let mut head = like.frame.head;
        (head.flags, head.args_len, head.body_len) = (0, len, 0);
        let mut bytes = head.encode().to_vec();
        bytes.extend(vec![b'a'; usize::try_from(len).expect("short args")]);
        let (seen, error) = replies(&[&bytes]);
        prop_assert_eq!((seen.len(), error.is_some()), if len > MAX_ARGS { (0, true) } else { (1, false) });
    }

    /// No flipped bit of a checked frame is taken for what was sent.
    #[test]
    fn a_damaged_frame_is_never_another_one(sent in request(), bit in any::<Index>()) {
        let mut sent = sent;
        sent.frame.head.flags = CHECKED;
        sent.body = Vec::new();
        sent.frame.head.body_len = 0;
        let mut bytes = wire(RequestCodec { max_args: MAX_ARGS, checked: false }, std::slice::from_ref(&sent));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (seen, _) = requests(&[&bytes]);
        // Without the flag, nothing is checked: that flip only the other side can see, by the missing checksum.
        let intact = |seen: &Seen<RequestFrame>| seen.frame.head.checked() && seen.frame.args.is_some();
        prop_assert!(!seen.iter().any(intact), "{:?}", seen);
    }
}
