//! `gcsd encode`: the requests on multipart uploads.

use clap::{Args, Subcommand};

use super::body::{Body, BodyArgs};
use super::{HeadArgs, crc32c};
use crate::cli::exit::Failure;
use crate::cli::gs_url::GsUrl;
use crate::cli::new_object::NewObject;
use gcsd_types::{Crc32c, MAX_PARTS, MultipartRef, Part};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::{Request, abort_multipart, complete_multipart, list_parts, start_multipart, upload_part};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum MultipartRequest {
    /// Begin an object of parts.
    StartMultipart {
        /// The object.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// A part of an object.
    UploadPart {
        #[command(flatten)]
        of: MultipartArgs,
        /// The part's number, from 1 to 10,000.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTS)))]
        part_number: u32,
        /// The part's CRC32C, in base64 or eight hexadecimal digits.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c)]
        part_crc32c: Option<Crc32c>,
        #[command(flatten)]
        body: BodyArgs,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// A page of the parts that GCS holds.
    ListParts {
        #[command(flatten)]
        of: MultipartArgs,
        /// Begin behind the part of this number: the next_after of the page before.
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u32,
        /// Parts on the page, at most [default: 500].
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        max_parts: u32,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// The object of its parts.
    CompleteMultipart {
        #[command(flatten)]
        of: MultipartArgs,
        /// The parts, each by its number and the etag that upload-part's reply gave; in rising order.
        #[arg(value_name = "N=ETAG", required = true, num_args = 1.., value_parser = part)]
        parts: Vec<Part>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Throw parts away.
    AbortMultipart {
        #[command(flatten)]
        of: MultipartArgs,
        #[command(flatten)]
        head: HeadArgs,
    },
}

/// Which multipart upload.
#[derive(Debug, Clone, Args)]
pub(super) struct MultipartArgs {
    /// The object.
    #[arg(value_name = "gs://BUCKET/OBJECT")]
    url: GsUrl,
    /// The multipart_id that the reply to start-multipart gave.
    #[arg(long, value_name = "ID")]
    multipart_id: String,
    /// The project that pays, for buckets where the requester does.
    #[arg(long, value_name = "PROJECT")]
    user_project: Option<String>,
}

impl From<MultipartArgs> for MultipartRef {
    fn from(args: MultipartArgs) -> Self {
        Self {
            bucket: args.url.bucket,
            object: args.url.object,
            multipart_id: args.multipart_id,
            user_project: args.user_project,
            key: None,
        }
    }
}

fn part(text: &str) -> Result<Part, String> {
    let (number, etag) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not N=ETAG"))?;
    let number = number
        .parse()
        .map_err(|_| format!("'{number}' is not a part's number"))?;
    Ok(Part {
        number,
        etag: etag.to_owned(),
    })
}

impl MultipartRequest {
    /// What the command line asks for.
    pub(super) fn parts(self) -> Result<(HeadArgs, Request, Body), Failure> {
        Ok(match self {
            Self::StartMultipart { url, new, head } => {
                let destination = new.destination(&url)?;
                let args = start_multipart::Args { destination };
                (head, Request::StartMultipart(args), Body::None)
            }
            Self::UploadPart {
                of,
                part_number,
                part_crc32c,
                body,
                head,
            } => {
                let args = upload_part::Args {
                    of: of.into(),
                    part_number,
                    part_crc32c,
                };
                (head, Request::UploadPart(args), body.open()?)
            }
            Self::ListParts {
                of,
                after,
                max_parts,
                head,
            } => {
                let args = list_parts::Args {
                    of: of.into(),
                    after,
                    max_parts,
                };
                (head, Request::ListParts(args), Body::None)
            }
            Self::CompleteMultipart { of, parts, head } => {
                let args = complete_multipart::Args { of: of.into() };
                let body = Body::Memory(encode_parts(&parts));
                (head, Request::CompleteMultipart(args), body)
            }
            Self::AbortMultipart { of, head } => {
                let args = abort_multipart::Args { of: of.into() };
                (head, Request::AbortMultipart(args), Body::None)
            }
        })
    }
}
