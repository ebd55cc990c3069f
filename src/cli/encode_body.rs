//! `gcsd encode`: the bytes behind the args.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::cli::exit::{Exit, Failure};
use gcsd_client::{FileContent, ReplaySource as _};
use gcsd_types::Crc32c;
use gcsd_wire::head::STREAMED;
use gcsd_wire::{PIECE_HEAD_LEN, PieceHead};

/// The largest body that is read from a pipe without body_len, in bytes: it is held in memory.
const MAX_PIPE: u64 = 256 << 20;

/// Where the bytes of a request come from.
#[derive(Debug, Default)]
pub(super) struct BodyWords {
    /// A file with the bytes, or `-` for standard input.
    pub(super) file: Option<PathBuf>,
    /// The bytes, as text.
    pub(super) text: Option<String>,
    /// How many bytes of the file are sent.
    pub(super) len: Option<u64>,
    /// Send the bytes in pieces, as they come.
    pub(super) streamed: bool,
    /// End the pieces by an abort.
    pub(super) abort: bool,
}

impl BodyWords {
    /// Refuses words that contradict each other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let problem = match (&self.file, &self.text, self.len) {
            (Some(_), Some(_), _) => "body= and text= exclude each other",
            (None, _, Some(_)) => "body_len= goes with body=@FILE",
            (_, _, Some(_)) if self.streamed => "body_len= and streamed exclude each other",
            _ => return Ok(()),
        };
        Err(Failure::usage(problem))
    }

    /// The bytes, ready to be read.
    pub(super) fn open(&self) -> Result<Body, Failure> {
        Ok(match (&self.file, &self.text) {
            (Some(path), _) if self.streamed => Body::Pieces(open_file(path)?.0, path.clone(), self.abort),
            (None, text) if self.streamed => {
                let text = Cursor::new(text.clone().unwrap_or_default());
                Body::Pieces(Box::new(text), PathBuf::from("text"), self.abort)
            }
            (Some(path), _) => open(path.clone(), self.len)?,
            (None, Some(text)) => Body::Memory(text.clone().into()),
            (None, None) => Body::None,
        })
    }
}

/// The bytes behind the args.
pub(super) enum Body {
    None,
    Memory(Bytes),
    Stream(Box<dyn Read>, u64, PathBuf),
    /// Up to its end, wherever that is; with an abort behind it, or an end.
    Pieces(Box<dyn Read>, PathBuf, bool),
}

impl Body {
    /// The length that the head tells.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::None | Self::Pieces(..) => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Stream(_, len, _) => *len,
        }
    }

    /// Writes the bytes; of a checked request, the heads of pieces are checked, too.
    pub(super) fn write(self, out: &mut impl Write, checked: bool) -> Result<(), Failure> {
        match self {
            Self::None => Ok(()),
            Self::Memory(bytes) => out.write_all(&bytes).map_err(|error| Failure::stdout(&error)),
            Self::Stream(mut reader, len, path) => copy(&mut reader, len, &path, out),
            Self::Pieces(mut reader, path, abort) => {
                let encode = match checked {
                    true => PieceHead::encode_checked,
                    false => PieceHead::encode,
                };
                copy_pieces(&mut reader, &path, out, encode, abort)
            }
        }
    }

    /// The flags that the head has.
    pub(super) fn flags(&self) -> u16 {
        match self {
            Self::Pieces(..) => STREAMED,
            _ => 0,
        }
    }
}

/// A file or a pipe, and how many bytes it has, if that can be told.
fn open_file(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        let input = gcsd_stdio::stdin().map_err(|error| Failure::io("standard input", &error))?;
        return Ok((Box::new(input), None));
    }
    let failed = |error: io::Error| Failure::io(path.display(), &error);
    let file = File::open(path).map_err(failed)?;
    let content = file.try_clone().and_then(FileContent::of).map_err(failed)?;
    let len = match content {
        FileContent::Sized(source) => Some(source.size()),
        FileContent::Stream(_) => None,
    };
    Ok((Box::new(file), len))
}

/// A body from a file or a pipe, and how long it is.
fn open(path: PathBuf, len: Option<u64>) -> Result<Body, Failure> {
    let failed = |path: &Path, error: &io::Error| Failure::io(path.display(), error);
    let (mut reader, known) = open_file(&path)?;
    if let Some(len) = len.or(known) {
        return Ok(Body::Stream(reader, len, path));
    }
    let mut bytes = Vec::new();
    let read = (&mut reader).take(MAX_PIPE + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(&path, &error))?;
    if bytes.len() as u64 > MAX_PIPE {
        let what =
            "the length stands before the bytes, and a pipe of more than 256 MiB is not held in memory";
        return Err(Failure::usage(what)
            .at(path.display())
            .advise("say how long it is with body_len=SIZE, or send it in pieces with streamed"));
    }
    Ok(Body::Memory(bytes.into()))
}

/// Copies exactly `len` bytes.
fn copy(reader: &mut dyn Read, len: u64, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let mut buffer = vec![0; 256 * 1024];
    let mut left = len;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = match reader.read(&mut buffer[..most]) {
            Ok(0) => {
                let what = format!("the bytes end {left} before the length that was announced");
                return Err(Failure::new(Exit::Failed, "io", what).at(path.display()));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::io(path.display(), &error)),
        };
        out.write_all(&buffer[..count])
            .map_err(|error| Failure::stdout(&error))?;
        left -= count as u64;
    }
    Ok(())
}

/// Writes all there is in pieces. If it cannot be read to its end, the body is taken back.
fn copy_pieces(
    reader: &mut dyn Read,
    path: &Path,
    out: &mut impl Write,
    encode: fn(PieceHead) -> [u8; PIECE_HEAD_LEN],
    abort: bool,
) -> Result<(), Failure> {
    let stdout = |error: io::Error| Failure::stdout(&error);
    let mut buffer = vec![0; 256 * 1024];
    let mut checksum = Crc32c::default();
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                out.write_all(&encode(PieceHead::Abort)).map_err(stdout)?;
                return Err(Failure::io(path.display(), &error));
            }
        };
        let bytes = &buffer[..count];
        checksum = checksum.append(bytes);
        let head = PieceHead::Data(u32::try_from(count).unwrap_or(u32::MAX));
        out.write_all(&encode(head)).map_err(stdout)?;
        out.write_all(bytes).map_err(stdout)?;
        // What comes slowly should not wait for more.
        out.flush().map_err(stdout)?;
    }
    if abort {
        return out.write_all(&encode(PieceHead::Abort)).map_err(stdout);
    }
    let end = PieceHead::End { checksum: true };
    out.write_all(&encode(end)).map_err(stdout)?;
    out.write_all(&checksum.0.to_le_bytes()).map_err(stdout)
}
