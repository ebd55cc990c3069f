//! The vectors of multipart uploads.

use bytes::Bytes;
use gcsd_types::{Crc32c, Destination, MultipartRef, Part, PartsPage, StoredPart};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::{
    Reply, Request, abort_multipart, complete_multipart, list_parts, start_multipart, upload_part,
};

use super::{BODY, Case, GENERATION, bucket, data, end, key, object, one, reply, request, streamed};

const ID: &str = "ABPnzm4";

fn part(number: u32) -> Part {
    Part {
        number,
        etag: "\"a6d83892b55ba2ae83f909f2a5532438\"".into(),
    }
}

/// Every vector of multipart uploads.
pub(super) fn all() -> Vec<Case> {
    let of = || MultipartRef {
        bucket: bucket(),
        object: object("hello.txt"),
        multipart_id: ID.into(),
        user_project: None,
        key: None,
    };
    let start = start_multipart::Args {
        destination: Destination {
            metadata: Bytes::from(r#"{"contentType":"text/plain"}"#),
            ..Destination::new(bucket(), object("hello.txt"))
        },
    };
    let started = start_multipart::Reply {
        multipart_id: ID.into(),
    };
    let upload = upload_part::Args {
        of: of(),
        part_number: 1,
        body_crc32c: Some(Crc32c::of(BODY)),
    };
    let uploaded = upload_part::Reply {
        received: 12,
        received_crc32c: Crc32c::of(BODY),
        etag: part(1).etag,
    };
    let upload_full = upload_part::Args {
        of: MultipartRef {
            user_project: Some("billing-1".into()),
            key: Some(key()),
            ..of()
        },
        part_number: 10_000,
        body_crc32c: None,
    };
    let pieces = [data(BODY), end(Some(Crc32c::of(BODY)))].concat();
    let list = list_parts::Args {
        of: of(),
        after: 0,
        max_parts: 2,
    };
    let stored = |number| StoredPart {
        part: part(number),
        size: 12,
    };
    let listed = PartsPage {
        parts: vec![stored(1), stored(7)],
        next_after: Some(7),
    };
    let complete = complete_multipart::Args { of: of() };
    let parts = encode_parts(&[part(1), part(7)]);
    let completed = complete_multipart::Reply {
        generation: Some(GENERATION),
        crc32c: Some(Crc32c::of(BODY)),
        etag: "\"-CMCcqd7b9oQDEAE=\"".into(),
    };
    let abort = abort_multipart::Args { of: of() };
    let (aborted, unknown) = (abort_multipart::Reply::Aborted, abort_multipart::Reply::Unknown);
    vec![
        one(
            "start_multipart.request",
            request(25, 0, Request::StartMultipart(start), b""),
        ),
        one(
            "start_multipart.reply",
            reply(25, 200, 0, Reply::StartMultipart(started), b""),
        ),
        one(
            "upload_part.request",
            request(26, 0, Request::UploadPart(upload), BODY),
        ),
        one(
            "upload_part.reply",
            reply(26, 200, 0, Reply::UploadPart(uploaded), b""),
        ),
        one(
            "upload_part_full.request",
            streamed(27, 0, Request::UploadPart(upload_full), &pieces),
        ),
        one(
            "list_parts.request",
            request(28, 0, Request::ListParts(list), b""),
        ),
        one(
            "list_parts.reply",
            reply(28, 200, 0, Reply::ListParts(listed), b""),
        ),
        one(
            "complete_multipart.request",
            request(29, 0, Request::CompleteMultipart(complete), &parts),
        ),
        one(
            "complete_multipart.reply",
            reply(29, 200, 0, Reply::CompleteMultipart(completed), b""),
        ),
        one(
            "abort_multipart.request",
            request(30, 0, Request::AbortMultipart(abort), b""),
        ),
        one(
            "abort_multipart.reply",
            reply(30, 204, 0, Reply::AbortMultipart(aborted), b""),
        ),
        one(
            "abort_multipart_unknown.reply",
            reply(31, 404, 0, Reply::AbortMultipart(unknown), b""),
        ),
    ]
}
