//! A client's stream: conversations made of an input, and what the specification says of any stream.
//!
//! What is read here is read by the specification's offsets alone, so that it agrees with the daemon because both are right.

use std::collections::BTreeMap;

use bytes::Bytes;
use gcsd_types::Crc32c;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::{HEAD_LEN, Opcode, PieceHead, Request, RequestHead, hello};

use super::feed::Feed;
use crate::support::daemon::{attach, finish_upload, put_object, query_upload, start_upload, write_at};

/// How a client's stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Between two requests.
    Between,
    /// Inside a head or its args.
    InFrame,
    /// Inside a body.
    InBody,
    /// At bytes that no daemon can frame.
    Unframed,
}

/// A request in a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) opcode: u8,
    pub(crate) checked: bool,
}

/// What a client has sent.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The requests that are there whole, by their sequences.
    pub(crate) whole: BTreeMap<u64, Vec<Sent>>,
    /// A request whose body is not there whole.
    pub(crate) cut: Option<(u64, Sent)>,
    /// How it ends.
    pub(crate) end: End,
    /// Checked frames were agreed on: every later frame is one.
    pub(crate) agreed: bool,
}

impl Stream {
    /// Reads a stream as a daemon must that takes args of up to `max_args` bytes.
    pub(crate) fn of(mut bytes: &[u8], max_args: u32) -> Self {
        let mut stream = Self {
            whole: BTreeMap::new(),
            cut: None,
            end: End::Between,
            agreed: false,
        };
        loop {
            let frame = bytes;
            stream.end = match request(&mut bytes, max_args, stream.agreed) {
                Ok(None) => End::Between,
                Ok(Some((sequence, sent))) => {
                    stream.agreed |= agrees(&frame[..frame.len() - bytes.len()]);
                    stream.whole.entry(sequence).or_default().push(sent);
                    continue;
                }
                Err((end, begun)) => {
                    stream.cut = begun;
                    end
                }
            };
            return stream;
        }
    }
}

type Cut = (End, Option<(u64, Sent)>);

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn skip(bytes: &mut &[u8], len: u64) -> Option<()> {
    let len = usize::try_from(len).ok()?;
    *bytes = bytes.get(len..)?;
    Some(())
}

/// Whether a request is a Hello that agrees on checked frames.
fn agrees(frame: &[u8]) -> bool {
    let (Some(head), flags) = (frame.get(..HEAD_LEN), number(&frame[6..8])) else {
        return false;
    };
    let len = number(&head[20..24]) - if flags & 0x100 != 0 { 4 } else { 0 };
    let plain = head[5] == Opcode::Hello as u8 && flags & !0x100 == 0;
    // No upload and no body.
    let plain = plain && number(&head[16..20]) == 0 && number(&head[24..32]) == 0;
    let end = HEAD_LEN + usize::try_from(len).expect("short");
    let Some(args) = frame.get(HEAD_LEN..end).filter(|args| plain && args.len() >= 32) else {
        return false;
    };
    let (low, high, features) = (args[0], args[1], number(&args[4..8]));
    let told = 32 + number(&args[8..10]) + number(&args[10..12]);
    let reserved = args[2] | args[3] | args[12..32].iter().fold(0, |all, byte| all | byte);
    let name = args.get(32..32 + usize::try_from(number(&args[8..10])).expect("short"));
    let spoken = low <= 1 && 1 <= high && reserved == 0 && features & 1 != 0;
    spoken && told == len && name.is_some_and(|name| std::str::from_utf8(name).is_ok())
}

/// Takes a request from the front: its sequence, and what it is.
fn request(bytes: &mut &[u8], max_args: u32, agreed: bool) -> Result<Option<(u64, Sent)>, Cut> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let unframed = Err((End::Unframed, None));
    let Some(head) = bytes.get(..HEAD_LEN) else {
        return Err((End::InFrame, None));
    };
    let flags = number(&head[6..8]);
    let (args_len, body_len) = (number(&head[20..24]), number(&head[24..32]));
    if &head[..5] != b"GCS?\x01" || flags & 0xfe != 0 || body_len >> 63 != 0 {
        return unframed;
    }
    let streamed = flags & 1 != 0;
    if streamed && body_len != 0 {
        return unframed;
    }
    let sent = Sent {
        opcode: head[5],
        checked: flags & 0x100 != 0,
    };
    if agreed && !sent.checked {
        return unframed;
    }
    let sequence = number(&head[8..16]);
    let begun = Some((sequence, sent));
    let frame = *bytes;
    skip(bytes, HEAD_LEN as u64).expect("a head");
    if args_len > u64::from(max_args) {
        // They are part of what is skipped.
        skip(bytes, args_len).ok_or((End::InBody, begun))?;
    } else {
        skip(bytes, args_len).ok_or((End::InFrame, None))?;
        let len = frame.len() - bytes.len();
        let sum = frame[..len].split_last_chunk::<4>();
        let holds = sum.is_some_and(|(rest, sum)| {
            rest.len() >= HEAD_LEN && Crc32c::of(rest).0 == u32::from_le_bytes(*sum)
        });
        if sent.checked && !holds {
            return unframed;
        }
    }
    if !streamed {
        skip(bytes, body_len).ok_or((End::InBody, begun))?;
        return Ok(Some((sequence, sent)));
    }
    loop {
        let head: &[u8; 8] = bytes.first_chunk().ok_or((End::InBody, begun))?;
        let (len, kind) = (number(&head[..4]), head[4]);
        let sum = Crc32c::of(&head[..5]).0.to_le_bytes();
        let expected = if sent.checked { &sum[..3] } else { &[0; 3] };
        skip(bytes, 8).expect("a piece's head");
        match (kind, len) {
            _ if head[5..] != *expected => return Err((End::Unframed, begun)),
            (1, 1..) => skip(bytes, len).ok_or((End::InBody, begun))?,
            (2, 0 | 4) => {
                skip(bytes, len).ok_or((End::InBody, begun))?;
                return Ok(Some((sequence, sent)));
            }
            (3, 0) => return Ok(Some((sequence, sent))),
            _ => return Err((End::Unframed, begun)),
        }
    }
}

/// The opcode and args of a vector's first frame.
fn first(vector: &[u8]) -> (u8, Bytes) {
    let len = usize::try_from(number(&vector[20..24])).expect("short");
    let checked = number(&vector[6..8]) & 0x100 != 0;
    let args = &vector[HEAD_LEN..HEAD_LEN + len - if checked { 4 } else { 0 }];
    (vector[5], Bytes::copy_from_slice(args))
}

const LENGTHS: &[usize] = &[0, 1, 12, 300, 5000, 70_000, 262_144, 300_000];

/// A conversation of an input: requests that mean something, in an order that need not, and damage here and there.
pub(crate) fn conversation(feed: &mut Feed<'_>, vectors: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    let damage = feed.byte();
    let (mut sequence, mut agreed) = (0, false);
    while !feed.is_empty() && sequence < 24 && stream.len() < 2 << 20 {
        sequence += 1;
        let upload = u32::from(feed.byte() % 3);
        let object = feed.one_of(&["a", "b", "c/d"]);
        let len = feed.one_of(LENGTHS);
        let offset = feed.one_of(&[0, 0, 12, 262_144]);
        let total = feed.byte().is_multiple_of(2).then_some(offset + len as u64);
        let request = match feed.byte() % 12 {
            0 | 1 => start_upload(object),
            2 | 3 => write_at(offset, total),
            4 => Request::PutObject(put_object(object)),
            5 => finish_upload(offset + len as u64),
            6 => query_upload(),
            7 => attach("bm8gdG9rZW4"),
            8 => {
                // What the input says, as it is.
                let len = usize::from(feed.byte());
                stream.extend_from_slice(feed.take(len));
                continue;
            }
            10 => {
                agreed = true;
                Request::Hello(hello::Args {
                    features: hello::CHECKED,
                    min_version: 1,
                    max_version: 1,
                    ..hello::Args::default()
                })
            }
            _ => {
                let vector = &vectors[usize::from(feed.byte()) % vectors.len()];
                let (code, args) = first(vector);
                let opcode = Opcode::from_code(code).expect("a vector's opcode");
                Request::decode(opcode, args).expect("a vector's args")
            }
        };
        let opcode = request.opcode();
        let flags = feed.byte();
        // Where it is agreed on, all but few are.
        let checked = match flags & 3 {
            1 => CHECKED,
            0 | 2 if agreed => CHECKED,
            _ => 0,
        };
        let streamed = flags & 4 != 0 && opcode.may_stream();
        let has_body = opcode.has_body() || flags & 0xf8 == 0xf8;
        let head = RequestHead {
            opcode: opcode as u8,
            flags: checked | if streamed { STREAMED } else { 0 },
            // Now and then twice the same.
            sequence: if flags & 0xf8 == 0x08 { 1 } else { sequence },
            upload: if opcode.has_upload() || flags & 0xf8 == 0x10 {
                upload
            } else {
                0
            },
            args_len: 0,
            body_len: if has_body && !streamed { len as u64 } else { 0 },
        };
        stream.extend_from_slice(&head.front(&request.to_bytes()));
        if streamed {
            pieces(feed, &mut stream, head.checked());
        } else if has_body {
            stream.extend(std::iter::repeat_n(b'x', len));
        }
    }
    match damage {
        0 => {}
        byte if !stream.is_empty() => {
            let at = usize::from(byte) * stream.len() / 256;
            match byte % 3 {
                0 => stream[at] ^= 1 << (byte % 8),
                _ => stream.truncate(at),
            }
        }
        _ => {}
    }
    stream
}

fn pieces(feed: &mut Feed<'_>, stream: &mut Vec<u8>, checked: bool) {
    let put = |stream: &mut Vec<u8>, head: PieceHead| {
        let head = if checked {
            head.encode_checked()
        } else {
            head.encode()
        };
        stream.extend_from_slice(&head);
    };
    let mut sum = Crc32c::of(b"");
    for _ in 0..feed.byte() % 5 {
        let bytes = vec![feed.byte(); feed.one_of(LENGTHS).max(1)];
        put(
            stream,
            PieceHead::Data(u32::try_from(bytes.len()).expect("short")),
        );
        sum = sum.append(&bytes);
        stream.extend_from_slice(&bytes);
    }
    let end = PieceHead::End { checksum: true };
    match feed.byte() % 8 {
        0 => put(stream, PieceHead::Abort),
        1 => stream.extend_from_slice(&[9; 8]),
        2 => {}
        3 => put(stream, PieceHead::End { checksum: false }),
        4 => {
            put(stream, end);
            stream.extend_from_slice(&(!sum.0).to_le_bytes());
        }
        _ => {
            put(stream, end);
            stream.extend_from_slice(&sum.0.to_le_bytes());
        }
    }
}
