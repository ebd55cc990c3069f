//! `gcsd decode`: the bytes of replies, or of requests, as one line per frame.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use super::exit::{Exit, Failure, of_status};
use super::fields::{Fields, hex, json_or_text};
use gcsd_types::Crc32c;
use gcsd_wire::codec::FrameError;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::piece::CHECKSUM_LEN;
use gcsd_wire::{
    ArgsError, ErrorReply, HEAD_LEN, HeadError, Opcode, PIECE_HEAD_LEN, PieceHead, Reply, ReplyHead, Request,
    RequestHead, WireArgs as _, check, page, read_at,
};

/// The largest args that are decoded, in bytes; longer ones are read past.
const MAX_ARGS: u64 = 1 << 20;

/// How much of a body is kept to be shown, in bytes.
const KEPT: usize = 256 * 1024;

/// How many bytes are shown of what cannot be decoded.
const SHOWN: usize = 32;

/// Show frames: read from standard input, print a line for each.
///
/// Upload tokens are credentials and are shown only when asked for. The exit code is that of the first
/// reply that is not ok, so that a script can tell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd encode ping | nc -N 127.0.0.1 4743 | gcsd decode
  gcsd encode read-at gs://my-bucket/hello | nc -N 127.0.0.1 4743 | gcsd decode --body hello
  gcsd encode start-upload gs://my-bucket/hello | gcsd decode --requests --json")]
pub(super) struct DecodeArgs {
    /// The frames are requests, not replies.
    #[arg(long)]
    requests: bool,
    /// Print a JSON object for each frame.
    #[arg(long)]
    json: bool,
    /// Show upload tokens.
    #[arg(long)]
    show_token: bool,
    /// Write the bodies that are an object's bytes (ReadAt, WriteAt, PutObject ...) or a list's JSON to this
    /// file.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: DecodeArgs) -> Result<(), Failure> {
    let bodies = match &args.body {
        None => None,
        Some(path) => {
            let file = File::create(path).map_err(|error| Failure::io(path.display(), &error))?;
            Some(BufWriter::new(file))
        }
    };
    let input = gcsd_stdio::stdin().map_err(|error| Failure::io("standard input", &error))?;
    let mut decoder = Decoder {
        input: BufReader::with_capacity(KEPT, input),
        at: 0,
        out: gcsd_stdio::stdout().map_err(|error| Failure::stdout(&error))?,
        bodies,
        options: args,
        exit: Exit::Ok,
    };
    let frames = decoder.run()?;
    if let Some(bodies) = &mut decoder.bodies {
        bodies.flush().map_err(|error| Failure::io("--body", &error))?;
    }
    match (frames, decoder.exit) {
        (0, _) => Err(Failure::new(Exit::Failed, "no_frames", "nothing came")
            .advise("is a daemon running where the bytes were sent to?")),
        (_, Exit::Ok) => Ok(()),
        (_, exit) => Err(Failure::said(exit)),
    }
}

/// The head of either direction.
#[derive(Clone, Copy)]
enum Head {
    Request(RequestHead),
    Reply(ReplyHead),
}

impl Head {
    fn decode(bytes: &[u8; HEAD_LEN], requests: bool) -> Result<Self, HeadError> {
        if requests {
            RequestHead::decode(bytes).map(Self::Request)
        } else {
            ReplyHead::decode(bytes).map(Self::Reply)
        }
    }

    fn streamed(self) -> bool {
        matches!(self, Self::Request(head) if head.streamed())
    }

    fn checked(self) -> bool {
        match self {
            Self::Request(head) => head.checked(),
            Self::Reply(head) => head.checked(),
        }
    }

    fn lens(self) -> (u64, u64) {
        match self {
            Self::Request(head) => (head.args_len.into(), head.body_len),
            Self::Reply(head) => (head.args_len.into(), head.body_len),
        }
    }
}

struct Decoder<R, W, B> {
    input: R,
    /// Bytes read.
    at: u64,
    out: W,
    bodies: Option<B>,
    options: DecodeArgs,
    exit: Exit,
}

/// What was seen of a body.
#[derive(Default)]
struct Seen {
    len: u64,
    crc32c: Crc32c,
    /// Its beginning.
    kept: Vec<u8>,
    /// How it ends, if it comes in pieces.
    end: Option<PieceHead>,
    /// What it says of its checksum at its end.
    announced: Option<Crc32c>,
}

impl<R: BufRead, W: Write, B: Write> Decoder<R, W, B> {
    /// Shows every frame; returns how many there were.
    fn run(&mut self) -> Result<u64, Failure> {
        let mut frames = 0;
        loop {
            let start = self.at;
            let mut head = [0; HEAD_LEN];
            match self.fill(&mut head)? {
                0 => return Ok(frames),
                HEAD_LEN => {}
                count => {
                    return Err(truncated(
                        start,
                        &format!("the head ends after {count} of {HEAD_LEN} bytes"),
                    ));
                }
            }
            let decoded = Head::decode(&head, self.options.requests);
            let bytes = head;
            let head = decoded.map_err(|error| malformed(start, &bytes, error, self.options.requests))?;
            let (args_len, body_len) = head.lens();
            let mut args = self.args(start, args_len)?;
            if let Some(whole) = args.as_ref().filter(|_| head.checked()) {
                args = Some(check::verify(&bytes, whole).ok_or_else(|| damaged(start))?);
            }
            let keep = self.is_bulk(head);
            let body = if head.streamed() {
                self.pieces(start, keep, head.checked())?
            } else {
                self.body(start, body_len, keep)?
            };
            let (words, fields) = match head {
                Head::Request(head) => (3, self.request(head, args, &body)),
                Head::Reply(head) => (4, self.reply(head, args, &body)),
            };
            let line = if self.options.json {
                fields.json()
            } else {
                fields.text(words)
            };
            let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
            written.map_err(|error| Failure::stdout(&error))?;
            frames += 1;
        }
    }

    /// Whether the body is an object's bytes, or part of a list.
    fn is_bulk(&self, head: Head) -> bool {
        match head {
            Head::Request(head) => Opcode::from_code(head.opcode).is_some_and(Opcode::may_stream),
            Head::Reply(head) => {
                let opcode = Opcode::from_code(head.opcode);
                matches!(
                    opcode,
                    Some(Opcode::ReadAt | Opcode::ListObjects | Opcode::ListBuckets)
                ) && head.status.is_ok()
            }
        }
    }

    fn request(&self, head: RequestHead, args: Option<Bytes>, body: &Seen) -> Fields {
        let mut fields = Fields::default();
        let opcode = self.begin(&mut fields, "request", head.sequence, head.opcode);
        if head.streamed() {
            fields.add("streamed", true);
        }
        if head.checked() {
            fields.add("checked", true);
        }
        if head.flags & !(STREAMED | CHECKED) != 0 {
            fields.add("flags", head.flags);
        }
        if head.upload != 0 {
            fields.add("upload", head.upload);
        }
        let show = self.options.show_token;
        match (opcode, args) {
            (Some(opcode), Some(args)) => {
                let decoded = Request::decode(opcode, args.clone());
                let decoded = decoded.and_then(|_| fields.args(opcode.args(), args.clone(), show));
                undecoded(&mut fields, &args, decoded);
            }
            (_, args) => unknown(&mut fields, args, head.args_len),
        }
        if body.len > 0 || head.streamed() {
            summary(&mut fields, body);
        }
        if body.end == Some(PieceHead::Abort) {
            fields.add("aborted", true);
        }
        if body.announced.is_some_and(|announced| announced != body.crc32c) {
            fields.add("damaged", true);
        }
        fields
    }

    fn reply(&mut self, head: ReplyHead, args: Option<Bytes>, body: &Seen) -> Fields {
        let mut fields = Fields::default();
        let opcode = self.begin(&mut fields, "reply", head.sequence, head.opcode);
        fields.add("status", head.status.name());
        if head.http_status != 0 {
            fields.add("http", head.http_status);
        }
        if head.more() {
            fields.add("more", true);
        }
        if head.closing() {
            fields.add("closing", true);
        }
        if self.exit == Exit::Ok {
            self.exit = of_status(head.status);
        }
        let show = self.options.show_token;
        match (opcode, args) {
            (_, Some(args)) if !head.status.is_ok() => {
                fields.status(head.status);
                let decoded = ErrorReply::decode(args.clone());
                let decoded = decoded.and_then(|_| fields.args(ErrorReply::LAYOUTS[0], args.clone(), show));
                undecoded(&mut fields, &args, decoded);
            }
            (Some(opcode), Some(args)) => {
                let decoded = Reply::decode(opcode, args.clone()).and_then(|reply| {
                    if let Some(part) = part(&reply) {
                        fields.add("part", part);
                    }
                    let layout = opcode.reply(args.len());
                    layout.map_or(Ok(()), |layout| fields.args(layout, args.clone(), show))
                });
                undecoded(&mut fields, &args, decoded);
            }
            (_, args) => unknown(&mut fields, args, head.args_len),
        }
        if body.len > 0 {
            let whole = body.kept.len() as u64 == body.len;
            match opcode {
                Some(Opcode::ReadAt) | None => summary(&mut fields, body),
                Some(_) if !whole => summary(&mut fields, body),
                // A list that came in one piece.
                Some(Opcode::ListObjects | Opcode::ListBuckets) => match serde_json::from_slice(&body.kept) {
                    Ok::<Value, _>(json) => fields.add("json", json),
                    Err(_) => summary(&mut fields, body),
                },
                Some(_) => fields.add("json", json_or_text(&body.kept)),
            }
        }
        fields
    }

    fn begin(&self, fields: &mut Fields, what: &str, sequence: u64, opcode: u8) -> Option<Opcode> {
        let known = Opcode::from_code(opcode);
        fields.add("frame", what);
        fields.add("sequence", sequence);
        match known {
            Some(known) => fields.add("opcode", known.name()),
            None => fields.add("opcode", format!("{opcode:#04x}")),
        }
        known
    }

    /// The args; `None` where they are too long to be any.
    fn args(&mut self, start: u64, len: u64) -> Result<Option<Bytes>, Failure> {
        if len > MAX_ARGS {
            self.body(start, len, false)?;
            return Ok(None);
        }
        let mut args = vec![0; usize::try_from(len).unwrap_or_default()];
        let count = self.fill(&mut args)?;
        if count < args.len() {
            return Err(truncated(
                start,
                &format!("the args end after {count} of {len} bytes"),
            ));
        }
        Ok(Some(args.into()))
    }

    /// Reads a body to its end.
    fn body(&mut self, start: u64, len: u64, bulk: bool) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        self.bytes(&mut seen, start, len, bulk)?;
        Ok(seen)
    }

    /// Reads a body in pieces to its end.
    fn pieces(&mut self, start: u64, bulk: bool, checked: bool) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        loop {
            let at = self.at;
            let mut head = [0; PIECE_HEAD_LEN];
            if self.fill(&mut head)? < head.len() {
                return Err(truncated(start, "the body ends without an end piece"));
            }
            let decode = match checked {
                true => PieceHead::decode_checked,
                false => PieceHead::decode,
            };
            let piece = decode(&head).map_err(|error| {
                let place = format!("in the piece at byte {at}: {}", hex(&head));
                Failure::new(Exit::Failed, "bad_body", error).at(place)
            })?;
            match piece {
                PieceHead::Data(len) => self.bytes(&mut seen, start, len.into(), bulk)?,
                PieceHead::End { checksum } => {
                    if checksum {
                        let mut announced = [0; CHECKSUM_LEN];
                        if self.fill(&mut announced)? < announced.len() {
                            return Err(truncated(start, "the body ends inside its end piece"));
                        }
                        seen.announced = Some(Crc32c(u32::from_le_bytes(announced)));
                    }
                    seen.end = Some(piece);
                    return Ok(seen);
                }
                PieceHead::Abort => {
                    seen.end = Some(piece);
                    return Ok(seen);
                }
            }
        }
    }

    /// Reads the next `len` bytes of a body.
    fn bytes(&mut self, seen: &mut Seen, start: u64, len: u64, bulk: bool) -> Result<(), Failure> {
        let end = seen.len.saturating_add(len);
        while seen.len < end {
            let left = usize::try_from(end - seen.len).unwrap_or(usize::MAX);
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => &chunk[..chunk.len().min(left)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::io("standard input", &error)),
            };
            if chunk.is_empty() {
                let what = format!("the frame ends after {} of {end} bytes of its body", seen.len);
                return Err(truncated(start, &what));
            }
            seen.crc32c = seen.crc32c.append(chunk);
            let room = KEPT - seen.kept.len();
            seen.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if let Some(bodies) = self.bodies.as_mut().filter(|_| bulk) {
                bodies
                    .write_all(chunk)
                    .map_err(|error| Failure::io("--body", &error))?;
            }
            let count = chunk.len();
            self.input.consume(count);
            seen.len += count as u64;
            self.at += count as u64;
        }
        Ok(())
    }

    /// Fills `buffer` as far as there is something to read; returns how far.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut count = 0;
        while count < buffer.len() {
            match self.input.read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io("standard input", &error)),
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

fn summary(fields: &mut Fields, body: &Seen) {
    fields.add("body_len", body.len);
    fields.add("body_crc32c", body.crc32c.to_base64());
}

/// Which frame of its reply it is, where there are several kinds.
fn part(reply: &Reply) -> Option<&'static str> {
    Some(match reply {
        Reply::ReadAt(read_at::Reply::Start(_)) => "start",
        Reply::ReadAt(read_at::Reply::End(_))
        | Reply::ListObjects(page::Reply::End(_))
        | Reply::ListBuckets(page::Reply::End(_)) => "end",
        Reply::ReadAt(_) | Reply::ListObjects(_) | Reply::ListBuckets(_) => "piece",
        _ => return None,
    })
}

/// Shows what could not be decoded.
fn undecoded(fields: &mut Fields, args: &Bytes, decoded: Result<(), ArgsError>) {
    if let Err(error) = decoded {
        fields.add("bad_args", error.to_string());
        fields.add("args", hex(&args[..args.len().min(SHOWN)]));
    }
}

fn unknown(fields: &mut Fields, args: Option<Bytes>, len: u32) {
    fields.add("args_len", len);
    if let Some(args) = args.filter(|args| !args.is_empty()) {
        fields.add("args", hex(&args[..args.len().min(SHOWN)]));
    }
}

fn truncated(start: u64, what: &str) -> Failure {
    let at = format!("in the frame at byte {start}");
    Failure::new(Exit::Failed, "truncated", what).at(at)
}

fn malformed(start: u64, head: &[u8], error: HeadError, requests: bool) -> Failure {
    let failure = Failure::new(Exit::Failed, "bad_head", error).at(format!("at byte {start}: {}", hex(head)));
    match error {
        HeadError::Direction if requests => failure.advise("these are replies: leave out --requests"),
        HeadError::Direction => failure.advise("these are requests: add --requests"),
        _ => failure,
    }
}

fn damaged(start: u64) -> Failure {
    Failure::new(Exit::Failed, "damaged", FrameError::Damaged).at(format!("the frame at byte {start}"))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
