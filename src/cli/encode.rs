//! `gcsd encode`: the bytes of a request.

#[path = "encode_objects.rs"]
mod objects;

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};

use objects::ObjectRequest;

use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use super::new_object::NewObject;
use super::secret::read_secret;
use super::units;
use crate::types::Crc32c;
use crate::wire::args::Empty;
use crate::wire::head::STREAMED;
use crate::wire::{
    HEAD_LEN, PieceHead, Request, RequestHead, VERSION, attach_upload, finish_upload, hello, ping, write_at,
};

/// The largest body that is read from a pipe without --len, in bytes: it is held in memory.
const MAX_PIPE: u64 = 256 << 20;

/// Write the bytes of a request to standard output.
///
/// A whole conversation can be made this way, and sent with netcat: the daemon answers each request,
/// finishes what it was sent, and closes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  { gcsd encode start-upload gs://my-bucket/hello
    gcsd encode write-at --text 'Hello, GCS!' --last
  } | nc -N 127.0.0.1 4743 | gcsd decode

  { gcsd encode start-upload gs://my-bucket/backup.tar
    tar c /etc | gcsd encode write-at --streamed --body -
  } | nc -N 127.0.0.1 4743 | gcsd decode

  gcsd encode ping --echo hi | nc -N 127.0.0.1 4743 | gcsd decode
  gcsd encode stat-object gs://my-bucket/hello | xxd

Each request of a conversation needs its own --sequence; left out, it is the opcode's number, so that one
of each needs none.")]
pub(super) struct EncodeArgs {
    #[command(subcommand)]
    request: RequestArgs,
}

/// What every request has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The head")]
struct HeadArgs {
    /// The request's number, which its reply carries [default: the opcode's number].
    #[arg(long, value_name = "N", env = "GCSD_SEQUENCE")]
    sequence: Option<u64>,
}

/// What every request about an upload has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The head")]
struct UploadArgs {
    /// The connection's id for the upload, chosen by you; not 0.
    #[arg(long, value_name = "ID", default_value_t = 1, env = "GCSD_UPLOAD")]
    upload: u32,
    #[command(flatten)]
    head: HeadArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum RequestArgs {
    /// Versions, limits, authentication.
    Hello {
        /// A file with the daemon's secret, where it wants one.
        #[arg(long, value_name = "FILE", env = "GCSD_AUTH_FILE")]
        auth_file: Option<PathBuf>,
        /// The lowest version that the client speaks.
        #[arg(long, value_name = "N", default_value_t = VERSION, env = "GCSD_MIN_VERSION")]
        min_version: u8,
        /// The highest version that the client speaks.
        #[arg(long, value_name = "N", default_value_t = VERSION, env = "GCSD_MAX_VERSION")]
        max_version: u8,
        /// Features that the client would use, as a number.
        #[arg(long, value_name = "BITS", default_value_t = 0, env = "GCSD_FEATURES")]
        features: u32,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Is anybody there?
    Ping {
        /// Text that comes back.
        #[arg(long, value_name = "TEXT", default_value = "", env = "GCSD_ECHO")]
        echo: String,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Begin an unfinished object.
    StartUpload {
        /// The object.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        /// Its size, where known: GCS finishes the upload as soon as it has that many bytes.
        #[arg(long, value_name = "SIZE", value_parser = units::size, env = "GCSD_SIZE")]
        size: Option<u64>,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// A range of an upload's bytes.
    WriteAt {
        /// The object's byte that the first one is.
        #[arg(long, value_name = "OFFSET", default_value = "0", value_parser = units::size, env = "GCSD_OFFSET")]
        offset: u64,
        /// This range is the object's last: its total is offset plus length.
        #[arg(long, conflicts_with = "total", env = "GCSD_LAST", value_parser = clap::builder::FalseyValueParser::new())]
        last: bool,
        /// This range is the object's last, and the object has so many bytes.
        #[arg(long, value_name = "SIZE", value_parser = units::size, env = "GCSD_TOTAL")]
        total: Option<u64>,
        /// The whole object's CRC32C, in base64 or eight hexadecimal digits; with --last or --total.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c, env = "GCSD_OBJECT_CRC32C")]
        object_crc32c: Option<Crc32c>,
        /// A file with the bytes, or '-' for standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "text", env = "GCSD_BODY")]
        body: Option<PathBuf>,
        /// The bytes, as text.
        #[arg(long, value_name = "TEXT", env = "GCSD_TEXT")]
        text: Option<String>,
        /// How many bytes of --body are sent [default: all].
        #[arg(long, value_name = "SIZE", value_parser = units::size, requires = "body", env = "GCSD_LEN")]
        len: Option<u64>,
        /// Send the bytes in pieces, as they come: their end is the object's, and need not be known before.
        #[arg(long, conflicts_with_all = ["len", "last"], env = "GCSD_STREAMED", value_parser = clap::builder::FalseyValueParser::new())]
        streamed: bool,
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// Ask GCS what it holds of an upload.
    QueryUpload {
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// Make the object of what is committed.
    FinishUpload {
        /// The object's size.
        #[arg(long, value_name = "SIZE", value_parser = units::size, env = "GCSD_TOTAL")]
        total: u64,
        /// The whole object's CRC32C, in base64 or eight hexadecimal digits.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c, env = "GCSD_OBJECT_CRC32C")]
        object_crc32c: Option<Crc32c>,
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// Throw away what is committed.
    CancelUpload {
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// Come back to an upload by its token.
    AttachUpload {
        /// The token that the reply to start-upload gave ('gcsd decode --show-token').
        #[arg(long, value_name = "TOKEN", env = "GCSD_TOKEN", hide_env_values = true)]
        token: String,
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// Forget an upload on this connection; GCS keeps it.
    DetachUpload {
        #[command(flatten)]
        upload: UploadArgs,
    },
    #[command(flatten)]
    Object(ObjectRequest),
}

/// Reads a CRC32C in GCS's base64 or in hexadecimal.
fn crc32c(text: &str) -> Result<Crc32c, String> {
    Crc32c::from_base64(text)
        .or_else(|| {
            let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u32::from_str_radix(text, 16).ok().map(Crc32c))?
        })
        .ok_or_else(|| format!("'{text}' is neither base64 of four bytes nor eight hexadecimal digits"))
}

/// The bytes behind the args.
enum Body {
    None,
    Memory(Bytes),
    Stream(Box<dyn Read>, u64, PathBuf),
    /// Up to its end, wherever that is.
    Pieces(Box<dyn Read>, PathBuf),
}

impl Body {
    /// The length that the head tells.
    fn len(&self) -> u64 {
        match self {
            Self::None | Self::Pieces(..) => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Stream(_, len, _) => *len,
        }
    }

    /// The flags that the head has.
    fn flags(&self) -> u16 {
        match self {
            Self::Pieces(..) => STREAMED,
            _ => 0,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: EncodeArgs) -> Result<(), Failure> {
    let (head, upload, request, body) = parts(args.request)?;
    write(&mut io::stdout().lock(), &head, upload, &request, body)
}

/// What the command line asks for.
fn parts(args: RequestArgs) -> Result<(HeadArgs, u32, Request, Body), Failure> {
    let alone = |head, request| (head, 0, request, Body::None);
    let about = |upload: UploadArgs, request| (upload.head, upload.upload, request, Body::None);
    Ok(match args {
        RequestArgs::Hello {
            auth_file,
            min_version,
            max_version,
            features,
            head,
        } => {
            let secret = auth_file.map(|path| read_secret(&path)).transpose()?;
            let args = hello::Args {
                min_version,
                max_version,
                features,
                secret: secret.unwrap_or_default(),
            };
            alone(head, Request::Hello(args))
        }
        RequestArgs::Ping { echo, head } => alone(head, Request::Ping(ping::Args { echo: echo.into() })),
        RequestArgs::StartUpload {
            url,
            size,
            new,
            upload,
        } => about(upload, Request::StartUpload(new.start_args(&url, size)?)),
        RequestArgs::WriteAt {
            offset,
            last,
            total,
            object_crc32c,
            body,
            text,
            len,
            streamed,
            upload,
        } => {
            let body = match (body, text) {
                (Some(path), _) if streamed => Body::Pieces(open_file(&path)?.0, path),
                (None, text) if streamed => Body::Pieces(
                    Box::new(Cursor::new(text.unwrap_or_default())),
                    PathBuf::from("--text"),
                ),
                (Some(path), _) => open(path, len)?,
                (None, Some(text)) => Body::Memory(text.into()),
                (None, None) => Body::None,
            };
            let end = offset.checked_add(body.len());
            let total = match (last, end) {
                (true, Some(end)) => Some(end),
                (true, None) => return Err(Failure::usage("--offset plus the length is beyond 2^64")),
                (false, _) => total,
            };
            if object_crc32c.is_some() && total.is_none() {
                return Err(Failure::usage("--object-crc32c goes with --last or --total"));
            }
            let args = write_at::Args {
                offset,
                total,
                object_crc32c,
            };
            (upload.head, upload.upload, Request::WriteAt(args), body)
        }
        RequestArgs::QueryUpload { upload } => about(upload, Request::QueryUpload(Empty)),
        RequestArgs::FinishUpload {
            total,
            object_crc32c,
            upload,
        } => {
            let args = finish_upload::Args { total, object_crc32c };
            about(upload, Request::FinishUpload(args))
        }
        RequestArgs::CancelUpload { upload } => about(upload, Request::CancelUpload(Empty)),
        RequestArgs::AttachUpload { token, upload } => {
            about(upload, Request::AttachUpload(attach_upload::Args { token }))
        }
        RequestArgs::DetachUpload { upload } => about(upload, Request::DetachUpload(Empty)),
        RequestArgs::Object(request) => {
            let (head, request) = request.parts()?;
            alone(head, request)
        }
    })
}

/// A file or a pipe, and how many bytes it has, if that can be told.
fn open_file(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| Failure::io(path.display(), &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
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
            .advise("say how long it is with --len SIZE, or send it with --streamed"));
    }
    Ok(Body::Memory(bytes.into()))
}

/// Writes head, args and body.
fn write(
    out: &mut impl Write,
    head: &HeadArgs,
    upload: u32,
    request: &Request,
    body: Body,
) -> Result<(), Failure> {
    let opcode = request.opcode();
    let args = request.to_bytes();
    let args_len =
        u32::try_from(args.len()).map_err(|_| Failure::usage("the args are longer than a frame can say"))?;
    let head = RequestHead {
        opcode: opcode as u8,
        flags: body.flags(),
        sequence: head.sequence.unwrap_or(u64::from(opcode as u8)),
        upload,
        args_len,
        body_len: body.len(),
    };
    let stdout = |error: io::Error| Failure::io("standard output", &error);
    let mut front = Vec::with_capacity(HEAD_LEN + args.len());
    front.extend_from_slice(&head.encode());
    front.extend_from_slice(&args);
    out.write_all(&front).map_err(stdout)?;
    match body {
        Body::None => {}
        Body::Memory(bytes) => out.write_all(&bytes).map_err(stdout)?,
        Body::Stream(mut reader, len, path) => copy(&mut reader, len, &path, out)?,
        Body::Pieces(mut reader, path) => copy_pieces(&mut reader, &path, out)?,
    }
    out.flush().map_err(stdout)
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
            .map_err(|error| Failure::io("standard output", &error))?;
        left -= count as u64;
    }
    Ok(())
}

/// Writes all there is in pieces. If it cannot be read to its end, the body is taken back.
fn copy_pieces(reader: &mut dyn Read, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let stdout = |error: io::Error| Failure::io("standard output", &error);
    let mut buffer = vec![0; 256 * 1024];
    let mut checksum = Crc32c::default();
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                out.write_all(&PieceHead::Abort.encode()).map_err(stdout)?;
                return Err(Failure::io(path.display(), &error));
            }
        };
        let bytes = &buffer[..count];
        checksum = checksum.append(bytes);
        let head = PieceHead::Data(u32::try_from(count).unwrap_or(u32::MAX));
        out.write_all(&head.encode()).map_err(stdout)?;
        out.write_all(bytes).map_err(stdout)?;
        // What comes slowly should not wait for more.
        out.flush().map_err(stdout)?;
    }
    let end = PieceHead::End { checksum: true };
    out.write_all(&end.encode()).map_err(stdout)?;
    out.write_all(&checksum.0.to_le_bytes()).map_err(stdout)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
