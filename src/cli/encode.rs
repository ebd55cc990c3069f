//! `gcsd encode`: the bytes of a request.

#[path = "encode_body.rs"]
mod body;
#[path = "encode_buckets.rs"]
mod buckets;
#[path = "encode_multipart.rs"]
mod multipart;
#[path = "encode_objects.rs"]
mod objects;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use body::{Body, BodyArgs};
use buckets::BucketRequest;
use multipart::MultipartRequest;
use objects::ObjectRequest;

use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::gs_url::GsUrl;
use super::new_object::NewObject;
use super::secret::read_secret;
use super::units;
use gcsd_types::Crc32c;
use gcsd_wire::args::Empty;
use gcsd_wire::{
    HEAD_LEN, Request, RequestHead, VERSION, attach_upload, finish_upload, hello, ping, write_at,
};

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
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
}

/// What every request about an upload has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The head")]
struct UploadArgs {
    /// The connection's id for the upload, chosen by you; not 0.
    #[arg(long, value_name = "ID", default_value_t = 1)]
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
        #[arg(long, value_name = "N", default_value_t = VERSION)]
        min_version: u8,
        /// The highest version that the client speaks.
        #[arg(long, value_name = "N", default_value_t = VERSION)]
        max_version: u8,
        /// Features that the client would use, as a number.
        #[arg(long, value_name = "BITS", default_value_t = 0)]
        features: u32,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Is anybody there?
    Ping {
        /// Text that comes back.
        #[arg(long, value_name = "TEXT", default_value = "")]
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
        #[arg(long, value_name = "SIZE", value_parser = units::size)]
        size: Option<u64>,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        upload: UploadArgs,
    },
    /// A range of an upload's bytes.
    WriteAt {
        /// The object's byte that the first one is.
        #[arg(long, value_name = "OFFSET", default_value = "0", value_parser = units::size)]
        offset: u64,
        /// This range is the object's last: its total is offset plus length.
        #[arg(long, conflicts_with = "total")]
        last: bool,
        /// This range is the object's last, and the object has so many bytes.
        #[arg(long, value_name = "SIZE", value_parser = units::size)]
        total: Option<u64>,
        /// The whole object's CRC32C, in base64 or eight hexadecimal digits; with --last or --total.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c)]
        object_crc32c: Option<Crc32c>,
        #[command(flatten)]
        body: BodyArgs,
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
        #[arg(long, value_name = "SIZE", value_parser = units::size)]
        total: u64,
        /// The whole object's CRC32C, in base64 or eight hexadecimal digits.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c)]
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
        key: KeyArgs,
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
    #[command(flatten)]
    Bucket(BucketRequest),
    #[command(flatten)]
    Multipart(MultipartRequest),
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

/// Runs the command.
pub(super) fn run(args: EncodeArgs) -> Result<(), Failure> {
    let (head, upload, request, body) = parts(args.request)?;
    let mut out = gcsd_stdio::stdout().map_err(|error| Failure::stdout(&error))?;
    write(&mut out, &head, upload, &request, body)
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
        } => about(upload, Request::StartUpload(new.to_upload(&url, size)?.into())),
        RequestArgs::WriteAt {
            offset,
            last,
            total,
            object_crc32c,
            body,
            upload,
        } => {
            let streamed = body.streamed;
            let body = body.open()?;
            let end = offset.checked_add(body.len());
            if last && streamed {
                return Err(Failure::usage(
                    "--last: a body in pieces is the last range anyway",
                ));
            }
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
        RequestArgs::AttachUpload { token, key, upload } => {
            let key = key.read()?;
            about(upload, Request::AttachUpload(attach_upload::Args { token, key }))
        }
        RequestArgs::DetachUpload { upload } => about(upload, Request::DetachUpload(Empty)),
        RequestArgs::Object(request) => {
            let (head, request, body) = request.parts()?;
            (head, 0, request, body)
        }
        RequestArgs::Bucket(request) => {
            let (head, request) = request.parts();
            alone(head, request)
        }
        RequestArgs::Multipart(request) => {
            let (head, request, body) = request.parts()?;
            (head, 0, request, body)
        }
    })
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
    let stdout = |error: io::Error| Failure::stdout(&error);
    let mut front = Vec::with_capacity(HEAD_LEN + args.len());
    front.extend_from_slice(&head.encode());
    front.extend_from_slice(&args);
    out.write_all(&front).map_err(stdout)?;
    body.write(out)?;
    out.flush().map_err(stdout)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
