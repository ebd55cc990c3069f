//! A recorded conversation, taken apart: which byte of which connection belongs to what.

use gcsd_fault::Direction;
use gcsd_wire::check::CHECK_LEN;
use gcsd_wire::head::HEAD_LEN;
use gcsd_wire::{Opcode, ReplyHead, Request, RequestHead};

use crate::support::tap::Recorded;

/// Bytes of one direction of one connection that mean one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) connection: usize,
    pub(super) direction: Direction,
    /// The request that they belong to, or whose answer they are.
    pub(super) request: &'static str,
    /// What part of it they are.
    pub(super) part: Part,
    pub(super) from: usize,
    pub(super) end: usize,
    /// They are HTTP in the clear.
    pub(super) is_http: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    Head,
    Args,
    Body,
}

/// One message: its parts lie one behind the other.
struct Message {
    connection: usize,
    direction: Direction,
    request: &'static str,
    at: usize,
    is_http: bool,
}

impl Message {
    /// The segments of `parts`, given by their lengths; those without bytes are left out.
    fn segments(self, parts: &[(Part, usize)], into: &mut Vec<Segment>) {
        let mut from = self.at;
        for &(part, len) in parts {
            if len > 0 {
                into.push(Segment {
                    connection: self.connection,
                    direction: self.direction,
                    request: self.request,
                    part,
                    from,
                    end: from + len,
                    is_http: self.is_http,
                });
            }
            from += len;
        }
    }
}

fn small(len: impl TryInto<usize>) -> usize {
    len.try_into().ok().expect("a short message")
}

/// The frames of gcsd's wire. The rest of a frame that was cut is not a segment.
pub(super) fn of_frames(recorded: &[Recorded]) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (connection, Recorded { wrote, read }) in recorded.iter().enumerate() {
        let mut names = std::collections::HashMap::new();
        let mut at = 0;
        while let Some(head) = wrote.get(at..).and_then(<[u8]>::first_chunk::<HEAD_LEN>) {
            let head = RequestHead::decode(head).expect("a request's head");
            let (args, body) = (small(head.args_len), small(head.body_len));
            let unchecked = args - if head.checked() { CHECK_LEN } else { 0 };
            let Some(bytes) = wrote.get(at + HEAD_LEN..at + HEAD_LEN + unchecked) else {
                break;
            };
            let opcode = Opcode::from_code(head.opcode).expect("a known opcode");
            let request = Request::decode(opcode, bytes.to_vec().into()).expect("good args");
            let name = match &request {
                Request::StartUpload(_) => "start",
                Request::WriteAt(args) if args.total.is_some() => "last write",
                Request::WriteAt(_) => "write",
                Request::QueryUpload(_) => "query",
                Request::FinishUpload(_) => "finish",
                Request::CancelUpload(_) => "cancel",
                Request::AttachUpload(_) => "attach",
                other => panic!("not of an upload: {other:?}"),
            };
            names.insert(head.sequence, name);
            let message = Message {
                connection,
                direction: Direction::Write,
                request: name,
                at,
                is_http: false,
            };
            let end = at + HEAD_LEN + args + body;
            if end > wrote.len() {
                break;
            }
            let parts = [(Part::Head, HEAD_LEN), (Part::Args, args), (Part::Body, body)];
            message.segments(&parts, &mut segments);
            at = end;
        }
        let mut at = 0;
        while let Some(head) = read.get(at..).and_then(<[u8]>::first_chunk::<HEAD_LEN>) {
            let head = ReplyHead::decode(head).expect("a reply's head");
            let (args, body) = (small(head.args_len), small(head.body_len));
            let message = Message {
                connection,
                direction: Direction::Read,
                request: names.get(&head.sequence).copied().unwrap_or("unreadable"),
                at,
                is_http: false,
            };
            let parts = [(Part::Head, HEAD_LEN), (Part::Args, args), (Part::Body, body)];
            message.segments(&parts, &mut segments);
            at += HEAD_LEN + args + body;
        }
    }
    segments
}

/// The messages of HTTP/1.1. The rest of a message that was cut is not a segment.
pub(super) fn of_http(recorded: &[Recorded]) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (connection, Recorded { wrote, read }) in recorded.iter().enumerate() {
        let mut names = std::collections::VecDeque::new();
        for (direction, bytes) in [(Direction::Write, wrote), (Direction::Read, read)] {
            let mut at = 0;
            while let Some((head, body, text)) = http_message(&bytes[at..]) {
                let request = match direction {
                    Direction::Write => {
                        let name = http_request(&text);
                        names.push_back(name);
                        name
                    }
                    Direction::Read => names.pop_front().expect("an answer to a request"),
                };
                if at + head + body > bytes.len() {
                    break;
                }
                let message = Message {
                    connection,
                    direction,
                    request,
                    at,
                    is_http: true,
                };
                message.segments(&[(Part::Head, head), (Part::Body, body)], &mut segments);
                at += head + body;
            }
        }
    }
    segments
}

/// The records of TLS: what is in them cannot be seen.
pub(super) fn of_records(recorded: &[Recorded]) -> Vec<Segment> {
    const HEAD: usize = 5;
    const ENDS: usize = 12;
    let mut segments = Vec::new();
    for (connection, Recorded { wrote, read }) in recorded.iter().enumerate() {
        for (direction, bytes) in [(Direction::Write, wrote), (Direction::Read, read)] {
            let (mut at, first) = (0, segments.len());
            while let Some(&[kind, _, _, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
                let len = usize::from(u16::from_be_bytes([high, low]));
                let message = Message {
                    connection,
                    direction,
                    request: match kind {
                        22 => "TLS handshake",
                        20 => "TLS change of cipher",
                        _ => "TLS data",
                    },
                    at,
                    is_http: false,
                };
                message.segments(&[(Part::Head, HEAD), (Part::Body, len)], &mut segments);
                at += HEAD + len;
            }
            // Of the many records of a body, the first and the last say as much as all of them.
            if let Some(many) = (segments.len() - first).checked_sub(2 * ENDS) {
                segments.drain(first + ENDS..first + ENDS + many);
            }
        }
    }
    segments
}

/// The lengths of the head and the body at the front of `bytes`, and the head's text in lower case.
fn http_message(bytes: &[u8]) -> Option<(usize, usize, String)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    assert!(!text.contains("transfer-encoding"), "a length is needed: {text}");
    let body = header(&text, "content-length").map_or(0, |len| len.parse().expect("a length"));
    Some((head, body, text))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(found, value)| (found == name).then(|| value.trim()))
}

fn http_request(head: &str) -> &'static str {
    match (head.split(' ').next(), header(head, "content-range")) {
        (Some("post"), _) => "start",
        (Some("delete"), _) => "cancel",
        (Some("put"), Some("bytes */*")) => "query",
        (Some("put"), Some(range)) if range.starts_with("bytes */") => "finish",
        (Some("put"), Some(range)) if range.ends_with("/*") => "write",
        (Some("put"), Some(_)) => "last write",
        other => panic!("not of an upload: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_one_behind_the_other() {
        let put = |range: &str, body: &str| {
            let len = body.len();
            format!("PUT /x HTTP/1.1\r\ncontent-range: bytes {range}\r\nContent-Length: {len}\r\n\r\n{body}")
        };
        let first = put("0-2/*", "abc");
        let recorded = Recorded {
            wrote: [first.as_str(), &put("3-3/4", "d")].concat().into_bytes(),
            read: b"HTTP/1.1 308 Resume\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
        };
        let segments = of_http(&[recorded]);
        let found: Vec<_> = segments
            .iter()
            .map(|segment| (segment.request, segment.part, segment.end - segment.from))
            .collect();
        assert_eq!(
            found,
            [
                ("write", Part::Head, first.len() - 3),
                ("write", Part::Body, 3),
                ("last write", Part::Head, first.len() - 3),
                ("last write", Part::Body, 1),
                ("write", Part::Head, 23),
                ("last write", Part::Head, 38),
                ("last write", Part::Body, 2),
            ]
        );
    }
}
