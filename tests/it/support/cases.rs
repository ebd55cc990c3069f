//! The values that the golden vectors are made of, as the code has them.

mod multipart;

use super::pieces::{abort, data, data_checked, end, end_checked};
use bytes::Bytes;
use gcsd_types::{
    BucketInfo, BucketName, BucketQuery, BucketRef, ComposeSource, Crc32c, Destination, EncryptionKey,
    ObjectInfo, ObjectName, ObjectQuery, ObjectRef, Page, Preconditions, Rewrite, Rewritten,
};
use gcsd_wire::args::{Done, Empty};
use gcsd_wire::cancel::CancelOutcome;
use gcsd_wire::head::{CHECKED, CLOSING, MORE, STREAMED};
use gcsd_wire::object::Described;
use gcsd_wire::progress::Progress;
use gcsd_wire::{
    ErrorReply, Kind, Opcode, Reply, ReplyHead, Request, RequestHead, Retry, Status, WireArgs, attach_upload,
    cancel, cancel_upload, compose_objects, delete_object, finish_upload, hello, list_buckets, list_objects,
    move_object, page, patch_object, ping, put_object, read_at, rewrite_object, start_upload, stat_bucket,
    stat_object, write_at,
};

/// A head of either direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head {
    /// From the client.
    Request(RequestHead),
    /// From the daemon.
    Reply(ReplyHead),
}

impl Head {
    /// The opcode's number.
    pub(crate) fn opcode(&self) -> u8 {
        match self {
            Self::Request(head) => head.opcode,
            Self::Reply(head) => head.opcode,
        }
    }
}

/// The args of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Args {
    /// Of a request.
    Request(Request),
    /// Of a reply whose status is `ok`.
    Reply(Reply),
    /// Of an error.
    Error(ErrorReply),
}

impl Args {
    /// The bytes of the args.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(args) => args.to_bytes(),
            Self::Reply(args) => args.to_bytes(),
            Self::Error(args) => args.to_bytes(),
        }
    }
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// Its head.
    pub(crate) head: Head,
    /// Its args.
    pub(crate) args: Args,
    /// Its body.
    pub(crate) body: Bytes,
}

/// What a vector holds.
#[derive(Debug)]
pub(crate) struct Case {
    /// The vector's name.
    pub(crate) name: &'static str,
    /// Its frames.
    pub(crate) frames: Vec<Frame>,
}

const BODY: &[u8] = b"Hello, GCS!\n";
const TOKEN: &str = "b3BhcXVlLXVwbG9hZC10b2tlbg";
const EXPIRES: u64 = 1_795_950_000;
const GENERATION: u64 = 1_795_345_200_123_456;
const MD5: [u8; 16] = [
    0xa6, 0xd8, 0x38, 0x92, 0xb5, 0x5b, 0xa2, 0xae, 0x83, 0xf9, 0x09, 0xf2, 0xa5, 0x53, 0x24, 0x38,
];
const MD5_OF_A: [u8; 16] = [
    0xc9, 0x46, 0xb7, 0x1b, 0xb6, 0x9c, 0x07, 0xda, 0xf2, 0x54, 0x70, 0x74, 0x2c, 0x96, 0x7e, 0x7c,
];

fn request(sequence: u64, upload: u32, args: Request, body: &[u8]) -> Frame {
    let head = RequestHead {
        opcode: args.opcode() as u8,
        flags: 0,
        sequence,
        upload,
        args_len: len(&args.to_bytes()),
        body_len: body.len() as u64,
    };
    Frame {
        head: Head::Request(head),
        args: Args::Request(args),
        body: Bytes::copy_from_slice(body),
    }
}

/// A request whose body comes in pieces.
fn streamed(sequence: u64, upload: u32, args: Request, pieces: &[u8]) -> Frame {
    let mut frame = request(sequence, upload, args, pieces);
    if let Head::Request(head) = &mut frame.head {
        (head.flags, head.body_len) = (STREAMED, 0);
    }
    frame
}

fn reply(sequence: u64, http_status: u16, flags: u16, args: Reply, body: &[u8]) -> Frame {
    let head = ReplyHead {
        opcode: args.opcode() as u8,
        flags,
        sequence,
        status: Status::OK,
        http_status,
        args_len: len(&args.to_bytes()),
        body_len: body.len() as u64,
    };
    Frame {
        head: Head::Reply(head),
        args: Args::Reply(args),
        body: Bytes::copy_from_slice(body),
    }
}

fn error(opcode: u8, sequence: u64, status: Status, http_status: u16, args: ErrorReply) -> Frame {
    let flags = if opcode == 0 { CLOSING } else { 0 };
    let args_len = len(&args.to_bytes());
    let head = ReplyHead {
        opcode,
        flags,
        sequence,
        status,
        http_status,
        args_len,
        body_len: 0,
    };
    Frame {
        head: Head::Reply(head),
        args: Args::Error(args),
        body: Bytes::new(),
    }
}

/// The same frame, with a checksum behind its args.
fn checked(mut frame: Frame) -> Frame {
    let (flags, args_len) = match &mut frame.head {
        Head::Request(head) => (&mut head.flags, &mut head.args_len),
        Head::Reply(head) => (&mut head.flags, &mut head.args_len),
    };
    *flags |= CHECKED;
    *args_len += 4;
    frame
}

fn len(args: &Bytes) -> u32 {
    u32::try_from(args.len()).expect("short args")
}

fn one(name: &'static str, frame: Frame) -> Case {
    Case {
        name,
        frames: vec![frame],
    }
}

fn bucket() -> BucketName {
    BucketName::new("photos").expect("a bucket's name")
}

fn object(name: &str) -> ObjectName {
    ObjectName::new(name).expect("an object's name")
}

fn of() -> ObjectRef {
    ObjectRef::new(bucket(), object("hello.txt"))
}

fn key() -> EncryptionKey {
    EncryptionKey::new(std::array::from_fn(|at| u8::try_from(at).expect("small")))
}

fn every_precondition() -> Preconditions {
    Preconditions {
        if_generation_match: Some(1),
        if_generation_not_match: Some(2),
        if_metageneration_match: Some(3),
        if_metageneration_not_match: Some(4),
    }
}

fn other_preconditions() -> Preconditions {
    Preconditions {
        if_generation_match: Some(5),
        if_generation_not_match: Some(6),
        if_metageneration_match: Some(7),
        if_metageneration_not_match: Some(8),
    }
}

fn of_full() -> ObjectRef {
    ObjectRef {
        generation: Some(GENERATION),
        preconditions: every_precondition(),
        user_project: Some("billing-1".into()),
        ..of()
    }
}

fn info() -> ObjectInfo {
    ObjectInfo {
        generation: GENERATION,
        metageneration: 1,
        size: 12,
        crc32c: Some(Crc32c::of(BODY)),
        md5: Some(MD5),
    }
}

fn json(name: &str, info: &ObjectInfo) -> String {
    let crc32c = info.crc32c.expect("a checksum").to_base64();
    let ObjectInfo { generation, size, .. } = info;
    format!(
        r#"{{"bucket":"photos","name":"{name}","generation":"{generation}","size":"{size}","crc32c":"{crc32c}"}}"#
    )
}

fn progress(committed: u64, received: &[u8], object: Option<ObjectInfo>) -> Progress {
    let received_crc32c = Crc32c::of(received);
    Progress {
        committed,
        received: received.len() as u64,
        received_crc32c,
        object,
    }
}

/// Every vector's value.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = connection();
    cases.extend(uploads());
    cases.extend(in_pieces());
    cases.extend(single_shot());
    cases.extend(multipart::all());
    cases.extend(objects());
    cases.extend(lists());
    cases.extend(changes());
    cases.extend(copies());
    cases.extend(patches_and_moves());
    cases.extend(buckets());
    cases.extend(errors());
    cases
}

fn connection() -> Vec<Case> {
    let sequence = 0x8877_6655_4433_2211;
    let hello = hello::Args {
        min_version: 1,
        max_version: 1,
        secret: Bytes::from("open sesame"),
        ..hello::Args::default()
    };
    let welcome = hello::Reply {
        version: 1,
        features: 0,
        max_args: 65_536,
        max_in_flight: 64,
        max_uploads: 1024,
        alignment: 262_144,
        drain_cap: 1_048_576,
        idle_timeout_ms: 300_000,
        client_timeout_ms: 60_000,
        gcs_timeout_ms: 61_000,
        handshake_timeout_ms: 0,
        server: "gcsd/0.1.0".into(),
    };
    let cancelled = |outcome| reply(36, 0, 0, Reply::Cancel(cancel::Reply { outcome }), b"");
    let echo = ping::Args {
        echo: Bytes::from("hello?"),
    };
    vec![
        one("hello.request", request(sequence, 0, Request::Hello(hello), b"")),
        one("hello.reply", reply(sequence, 0, 0, Reply::Hello(welcome), b"")),
        one(
            "cancel.request",
            request(36, 0, Request::Cancel(cancel::Args { target: 28 }), b""),
        ),
        one("cancel.reply", cancelled(CancelOutcome::Ended)),
        one("cancel_late.reply", cancelled(CancelOutcome::NotInFlight)),
        one("ping.request", request(1, 0, Request::Ping(echo.clone()), b"")),
        one("ping.reply", reply(1, 0, 0, Reply::Ping(echo.clone()), b"")),
        one(
            "ping_checked.request",
            checked(request(17, 0, Request::Ping(echo.clone()), b"")),
        ),
        one(
            "ping_checked.reply",
            checked(reply(17, 0, 0, Reply::Ping(echo), b"")),
        ),
    ]
}

fn uploads() -> Vec<Case> {
    let destination = Destination {
        preconditions: Preconditions {
            if_generation_match: Some(0),
            ..Preconditions::default()
        },
        metadata: Bytes::from(r#"{"contentType":"text/plain"}"#),
        ..Destination::new(bucket(), object("hello.txt"))
    };
    let start = start_upload::Args::from(destination);
    let start_full = start_upload::Args {
        destination: Destination {
            preconditions: every_precondition(),
            user_project: Some("billing-1".into()),
            kms_key_name: Some("projects/p/locations/eu/keyRings/r/cryptoKeys/k".into()),
            predefined_acl: Some("bucketOwnerFullControl".into()),
            metadata: Bytes::from(r#"{"storageClass":"NEARLINE"}"#),
            ..Destination::new(bucket(), object("2026/grüß dich#?.txt"))
        },
        size: Some(5 << 40),
    };
    let started = start_upload::Reply {
        token: TOKEN.into(),
        expires: EXPIRES,
    };
    let object_crc32c = Some(Crc32c::of(BODY));
    let write = write_at::Args {
        offset: 0,
        total: Some(12),
        object_crc32c,
        body_crc32c: Some(Crc32c::of(BODY)),
    };
    let destination = Destination {
        key: Some(key()),
        ..Destination::new(bucket(), object("hello.txt"))
    };
    let start_key = start_upload::Args::from(destination);
    let attach_key = attach_upload::Args {
        token: TOKEN.into(),
        key: Some(key()),
    };
    let too_late = finish_upload::Args {
        total: 12,
        object_crc32c,
    };
    let ended = ErrorReply {
        message: "the upload has ended".into(),
        ..ErrorReply::default()
    };
    let letters = vec![b'a'; 262_144];
    let object_crc32c = Some(Crc32c::of(&letters));
    let finish = finish_upload::Args {
        total: 262_144,
        object_crc32c,
    };
    let other = ObjectInfo {
        generation: GENERATION + 1_000_000,
        metageneration: 1,
        size: 262_144,
        crc32c: object_crc32c,
        md5: Some(MD5_OF_A),
    };
    let written = progress(12, BODY, Some(info()));
    let finished = progress(262_144, b"", Some(other));
    let too_late_to_cancel = cancel_upload::Reply::Finished {
        generation: GENERATION,
    };
    let cancelled = |http, outcome| reply(9, http, 0, Reply::CancelUpload(outcome), b"");
    let attach = attach_upload::Args {
        token: TOKEN.into(),
        key: None,
    };
    let attached = attach_upload::Reply {
        expires: EXPIRES,
        bucket: bucket(),
        object: object("hello.txt"),
    };
    let never = Status::new(Kind::UploadEnded, Retry::Never);
    let json_of_a = json("a.bin", &other);
    let queried = Reply::QueryUpload(progress(262_144, b"", None));
    vec![
        one(
            "start_upload.request",
            request(2, 1, Request::StartUpload(start), b""),
        ),
        one(
            "start_upload_key.request",
            request(33, 1, Request::StartUpload(start_key), b""),
        ),
        one(
            "attach_upload_key.request",
            request(34, 4, Request::AttachUpload(attach_key), b""),
        ),
        one(
            "start_upload.reply",
            reply(2, 200, 0, Reply::StartUpload(started), b""),
        ),
        one(
            "start_upload_full.request",
            request(12, 0xffff_fffe, Request::StartUpload(start_full), b""),
        ),
        one("write_at.request", request(3, 1, Request::WriteAt(write), BODY)),
        one(
            "write_at.reply",
            reply(
                3,
                200,
                0,
                Reply::WriteAt(written),
                json("hello.txt", &info()).as_bytes(),
            ),
        ),
        one(
            "finish_upload_ended.request",
            request(4, 1, Request::FinishUpload(too_late), b""),
        ),
        one(
            "finish_upload_ended.reply",
            error(Opcode::FinishUpload as u8, 4, never, 0, ended),
        ),
        one(
            "query_upload.request",
            request(7, 2, Request::QueryUpload(Empty), b""),
        ),
        one("query_upload.reply", reply(7, 308, 0, queried, b"")),
        one(
            "finish_upload.request",
            request(8, 2, Request::FinishUpload(finish), b""),
        ),
        one(
            "finish_upload.reply",
            reply(8, 200, 0, Reply::FinishUpload(finished), json_of_a.as_bytes()),
        ),
        one(
            "cancel_upload.request",
            request(9, 3, Request::CancelUpload(Empty), b""),
        ),
        one(
            "cancel_upload.reply",
            cancelled(499, cancel_upload::Reply::Cancelled),
        ),
        one("cancel_upload_finished.reply", cancelled(200, too_late_to_cancel)),
        one(
            "cancel_upload_unknown.reply",
            cancelled(404, cancel_upload::Reply::Unknown),
        ),
        one(
            "attach_upload.request",
            request(10, 4, Request::AttachUpload(attach), b""),
        ),
        one(
            "attach_upload.reply",
            reply(10, 0, 0, Reply::AttachUpload(attached), b""),
        ),
        one(
            "detach_upload.request",
            request(11, 4, Request::DetachUpload(Empty), b""),
        ),
        one(
            "detach_upload.reply",
            reply(11, 0, 0, Reply::DetachUpload(Done), b""),
        ),
    ]
}

fn in_pieces() -> Vec<Case> {
    let write = |offset| {
        Request::WriteAt(write_at::Args {
            offset,
            ..write_at::Args::default()
        })
    };
    let whole = [data(b"Hello, "), data(b"GCS!\n"), end(Some(Crc32c::of(BODY)))].concat();
    let whole_checked = [data_checked(BODY), end_checked(Crc32c::of(BODY))].concat();
    let taken_back = [data(b"Hello"), abort()].concat();
    let aborted = ErrorReply {
        committed: Some(262_144),
        message: "the client took the body back".into(),
        ..ErrorReply::default()
    };
    let query = Status::new(Kind::BodyAborted, Retry::Query);
    vec![
        one("write_at_streamed.request", streamed(17, 5, write(0), &whole)),
        one(
            "write_at_checked.request",
            checked(streamed(38, 5, write(0), &whole_checked)),
        ),
        one(
            "write_at_aborted.request",
            streamed(18, 6, write(262_144), &taken_back),
        ),
        one(
            "write_at_aborted.reply",
            error(Opcode::WriteAt as u8, 18, query, 0, aborted),
        ),
    ]
}

fn single_shot() -> Vec<Case> {
    let put = put_object::Args {
        destination: Destination {
            preconditions: Preconditions {
                if_generation_match: Some(0),
                ..Preconditions::default()
            },
            metadata: Bytes::from(r#"{"contentType":"text/plain"}"#),
            ..Destination::new(bucket(), object("hello.txt"))
        },
        body_crc32c: Some(Crc32c::of(BODY)),
    };
    let put_full = put_object::Args {
        destination: Destination {
            bucket: bucket(),
            object: object("2026/grüß dich#?.txt"),
            preconditions: every_precondition(),
            user_project: Some("billing-1".into()),
            kms_key_name: Some("projects/p/locations/eu/keyRings/r/cryptoKeys/k".into()),
            predefined_acl: Some("bucketOwnerFullControl".into()),
            fields: Some("name,size".into()),
            metadata: Bytes::from(r#"{"storageClass":"NEARLINE"}"#),
            key: Some(key()),
        },
        body_crc32c: None,
    };
    let made = put_object::Reply {
        received: 12,
        received_crc32c: Crc32c::of(BODY),
        object: info(),
    };
    let whole = [data(BODY), end(Some(Crc32c::of(BODY)))].concat();
    let json = json("hello.txt", &info());
    vec![
        one(
            "put_object.request",
            request(23, 0, Request::PutObject(put), BODY),
        ),
        one(
            "put_object.reply",
            reply(23, 200, 0, Reply::PutObject(made), json.as_bytes()),
        ),
        one(
            "put_object_full.request",
            streamed(24, 0, Request::PutObject(put_full), &whole),
        ),
    ]
}

fn objects() -> Vec<Case> {
    let stat = stat_object::Args { of: of() };
    let stat_full = stat_object::Args { of: of_full() };
    let stated = stat_object::Reply { object: info() };
    let some = read_at::Args {
        of: of(),
        range: read_at::Range::Of { offset: 7, len: 4 },
        decompress: false,
    };
    let full = read_at::Args {
        of: of_full(),
        range: read_at::Range::Suffix(5),
        decompress: true,
    };
    let start = read_at::Start {
        object: info(),
        offset: 7,
        len: Some(4),
    };
    let end = read_at::End {
        sent: 4,
        crc32c: Crc32c::of(b"GCS!"),
    };
    let bare = ObjectInfo {
        crc32c: None,
        md5: None,
        ..info()
    };
    let unknown = read_at::Start {
        object: bare,
        offset: 0,
        len: None,
    };
    let broken = ErrorReply {
        message: "the connection to GCS broke".into(),
        ..ErrorReply::default()
    };
    let reset = Status::new(Kind::Reset, Retry::Same);
    let frame = |sequence, http, flags, args, body| reply(sequence, http, flags, Reply::ReadAt(args), body);
    let read = vec![
        frame(6, 0, MORE, read_at::Reply::Start(start), b""),
        frame(6, 0, MORE, read_at::Reply::Piece, b"GCS!"),
        frame(6, 206, 0, read_at::Reply::End(end), b""),
    ];
    let read_broken = vec![
        frame(14, 0, MORE, read_at::Reply::Start(unknown), b""),
        frame(14, 0, MORE, read_at::Reply::Piece, b"GCS"),
        error(Opcode::ReadAt as u8, 14, reset, 0, broken),
    ];
    let stat_key = stat_object::Args {
        of: ObjectRef {
            fields: Some("name,size".into()),
            key: Some(key()),
            ..of()
        },
    };
    let read_key = read_at::Args {
        of: ObjectRef {
            key: Some(key()),
            ..of()
        },
        range: read_at::Range::From(0),
        decompress: false,
    };
    let json = json("hello.txt", &info());
    vec![
        one(
            "stat_object_key.request",
            request(21, 0, Request::StatObject(stat_key), b""),
        ),
        one(
            "read_at_key.request",
            request(22, 0, Request::ReadAt(read_key), b""),
        ),
        one(
            "stat_object.request",
            request(5, 0, Request::StatObject(stat), b""),
        ),
        one(
            "stat_object.reply",
            reply(5, 200, 0, Reply::StatObject(stated), json.as_bytes()),
        ),
        one(
            "stat_object_full.request",
            request(13, 0, Request::StatObject(stat_full), b""),
        ),
        one("read_at.request", request(6, 0, Request::ReadAt(some), b"")),
        Case {
            name: "read_at.reply",
            frames: read,
        },
        one("read_at_full.request", request(14, 0, Request::ReadAt(full), b"")),
        Case {
            name: "read_at_broken.reply",
            frames: read_broken,
        },
    ]
}

fn lists() -> Vec<Case> {
    let query = ObjectQuery {
        prefix: Some("2026/".into()),
        delimiter: Some("/".into()),
        max_results: Some(2),
        ..ObjectQuery::new(bucket())
    };
    let full = ObjectQuery {
        bucket: bucket(),
        prefix: Some("2026/".into()),
        delimiter: Some("/".into()),
        start_offset: Some("2026/a".into()),
        end_offset: Some("2026/z".into()),
        match_glob: Some("**.txt".into()),
        page_token: Some("Y3Vyc29y".into()),
        max_results: Some(1000),
        versions: true,
        soft_deleted: true,
        include_trailing_delimiter: true,
        include_folders_as_prefixes: true,
        full: true,
        user_project: Some("billing-1".into()),
        fields: Some("items(name)".into()),
    };
    let json = r#"{"kind":"storage#objects","nextPageToken":"Y3Vyc29y","prefixes":["2026/a/"],"items":[{"name":"2026/b.txt"}]}"#;
    let (first, second) = json.as_bytes().split_at(60);
    let end = page::End {
        sent: json.len() as u64,
        crc32c: Crc32c::of(json.as_bytes()),
        page: Page {
            items: 1,
            prefixes: 1,
            next_page_token: Some("Y3Vyc29y".into()),
        },
    };
    let frame = |http, flags, args, body| reply(16, http, flags, Reply::ListObjects(args), body);
    let listed = vec![
        frame(0, MORE, page::Reply::Piece, first),
        frame(0, MORE, page::Reply::Piece, second),
        frame(200, 0, page::Reply::End(end), b""),
    ];
    let list = |query| Request::ListObjects(list_objects::Args { query });
    vec![
        one("list_objects.request", request(16, 0, list(query), b"")),
        one("list_objects_full.request", request(17, 0, list(full), b"")),
        Case {
            name: "list_objects.reply",
            frames: listed,
        },
    ]
}

fn changes() -> Vec<Case> {
    let delete = delete_object::Args {
        of: ObjectRef {
            generation: Some(GENERATION),
            ..of()
        },
    };
    let metadata = Bytes::from(r#"{"contentType":"text/plain"}"#);
    let compose = compose_objects::Args {
        destination: Destination {
            preconditions: Preconditions {
                if_generation_match: Some(0),
                ..Preconditions::default()
            },
            metadata: metadata.clone(),
            ..Destination::new(bucket(), object("both.txt"))
        },
        sources: vec![
            ComposeSource {
                generation: Some(GENERATION),
                ..ComposeSource::new(object("hello.txt"))
            },
            ComposeSource::new(object("world.txt")),
        ],
    };
    let compose_full = compose_objects::Args {
        destination: Destination {
            bucket: bucket(),
            object: object("both.txt"),
            preconditions: Preconditions {
                if_generation_match: Some(1),
                if_metageneration_match: Some(3),
                ..Preconditions::default()
            },
            user_project: Some("billing-1".into()),
            kms_key_name: Some("projects/p/locations/eu/keyRings/r/cryptoKeys/k".into()),
            predefined_acl: Some("publicRead".into()),
            fields: Some("name".into()),
            metadata,
            key: Some(key()),
        },
        sources: vec![ComposeSource {
            object: object("grüße"),
            generation: Some(GENERATION),
            if_generation_match: Some(GENERATION + 1),
        }],
    };
    let both = ObjectInfo {
        generation: GENERATION + 2_000_000,
        metageneration: 1,
        size: 18,
        crc32c: Some(Crc32c::of(b"Hello, GCS!\nworld\n")),
        md5: None,
    };
    let composed = Reply::ComposeObjects(Described { object: both });
    vec![
        one(
            "delete_object.request",
            request(18, 0, Request::DeleteObject(delete), b""),
        ),
        one(
            "delete_object.reply",
            reply(18, 204, 0, Reply::DeleteObject(Done), b""),
        ),
        one(
            "compose_objects.request",
            request(19, 0, Request::ComposeObjects(compose), b""),
        ),
        one(
            "compose_objects_full.request",
            request(20, 0, Request::ComposeObjects(compose_full), b""),
        ),
        one(
            "compose_objects.reply",
            reply(19, 200, 0, composed, json("both.txt", &both).as_bytes()),
        ),
    ]
}

fn copies() -> Vec<Case> {
    let to = Destination::new(
        BucketName::new("photos-eu").expect("a bucket's name"),
        object("copy.txt"),
    );
    let rewrite = Rewrite {
        source: ObjectRef {
            generation: Some(GENERATION),
            ..of()
        },
        destination: Destination {
            preconditions: Preconditions {
                if_generation_match: Some(0),
                ..Preconditions::default()
            },
            ..to.clone()
        },
        max_bytes: None,
        token: None,
    };
    let full = Rewrite {
        source: ObjectRef {
            generation: Some(GENERATION),
            preconditions: other_preconditions(),
            key: Some(EncryptionKey::new(std::array::from_fn(|at| {
                u8::try_from(at + 32).expect("small")
            }))),
            ..of()
        },
        destination: Destination {
            preconditions: every_precondition(),
            user_project: Some("billing-1".into()),
            kms_key_name: Some("k".into()),
            predefined_acl: Some("publicRead".into()),
            fields: Some("done".into()),
            metadata: Bytes::from(r#"{"storageClass":"NEARLINE"}"#),
            key: Some(key()),
            ..to
        },
        max_bytes: Some(1 << 20),
        token: Some("dG9rZW4".into()),
    };
    let done = Rewritten {
        rewritten: 12,
        size: 12,
        token: None,
        object: Some(ObjectInfo {
            generation: GENERATION + 3_000_000,
            ..info()
        }),
    };
    let step = Rewritten {
        rewritten: 1 << 20,
        size: 5 << 30,
        token: Some("dG9rZW4".into()),
        object: None,
    };
    let ask = |rewrite| {
        let rewrite = Box::new(rewrite);
        Request::RewriteObject(rewrite_object::Args { rewrite })
    };
    let tell = |rewritten| Reply::RewriteObject(rewrite_object::Reply { rewritten });
    let json = r#"{"done":true,"objectSize":"12","totalBytesRewritten":"12","resource":{"name":"copy.txt"}}"#;
    let step_json = r#"{"done":false,"objectSize":"5368709120","totalBytesRewritten":"1048576","rewriteToken":"dG9rZW4"}"#;
    vec![
        one("rewrite_object.request", request(23, 0, ask(rewrite), b"")),
        one("rewrite_object_full.request", request(24, 0, ask(full), b"")),
        one(
            "rewrite_object.reply",
            reply(23, 200, 0, tell(done), json.as_bytes()),
        ),
        one(
            "rewrite_object_step.reply",
            reply(24, 200, 0, tell(step), step_json.as_bytes()),
        ),
    ]
}

fn patches_and_moves() -> Vec<Case> {
    let patch = patch_object::Args {
        object: Destination {
            preconditions: Preconditions {
                if_metageneration_match: Some(1),
                ..Preconditions::default()
            },
            metadata: Bytes::from(r#"{"cacheControl":null}"#),
            ..Destination::new(bucket(), object("hello.txt"))
        },
        generation: None,
    };
    let patch_full = patch_object::Args {
        object: Destination {
            preconditions: every_precondition(),
            user_project: Some("billing-1".into()),
            predefined_acl: Some("publicRead".into()),
            fields: Some("name".into()),
            metadata: Bytes::from(r#"{"metadata":{"a":"b"}}"#),
            ..Destination::new(bucket(), object("hello.txt"))
        },
        generation: Some(GENERATION),
    };
    let rename = move_object::Args {
        source: ObjectRef {
            preconditions: Preconditions {
                if_generation_match: Some(GENERATION),
                ..Preconditions::default()
            },
            ..of()
        },
        destination: object("bye.txt"),
        preconditions: Preconditions {
            if_generation_match: Some(0),
            ..Preconditions::default()
        },
    };
    let rename_full = move_object::Args {
        source: ObjectRef {
            preconditions: other_preconditions(),
            user_project: Some("billing-1".into()),
            fields: Some("name".into()),
            ..of()
        },
        destination: object("bye.txt"),
        preconditions: every_precondition(),
    };
    let patched = ObjectInfo {
        metageneration: 2,
        ..info()
    };
    let moved = ObjectInfo {
        generation: GENERATION + 4_000_000,
        ..info()
    };
    let described = |object| Described { object };
    vec![
        one(
            "patch_object.request",
            request(25, 0, Request::PatchObject(patch), b""),
        ),
        one(
            "patch_object_full.request",
            request(26, 0, Request::PatchObject(patch_full), b""),
        ),
        one(
            "patch_object.reply",
            reply(
                25,
                200,
                0,
                Reply::PatchObject(described(patched)),
                json("hello.txt", &patched).as_bytes(),
            ),
        ),
        one(
            "move_object.request",
            request(27, 0, Request::MoveObject(rename), b""),
        ),
        one(
            "move_object_full.request",
            request(28, 0, Request::MoveObject(rename_full), b""),
        ),
        one(
            "move_object.reply",
            reply(
                27,
                200,
                0,
                Reply::MoveObject(described(moved)),
                json("bye.txt", &moved).as_bytes(),
            ),
        ),
    ]
}

fn buckets() -> Vec<Case> {
    let full = BucketQuery {
        project: "my-project".into(),
        prefix: Some("ph".into()),
        page_token: Some("photos".into()),
        max_results: Some(100),
        full: true,
        soft_deleted: true,
        return_partial_success: true,
        user_project: Some("billing-1".into()),
        fields: Some("items(name)".into()),
    };
    let json = r#"{"kind":"storage#buckets","items":[{"name":"photos"},{"name":"photos-eu"}]}"#;
    let end = page::End {
        sent: json.len() as u64,
        crc32c: Crc32c::of(json.as_bytes()),
        page: Page {
            items: 2,
            ..Page::default()
        },
    };
    let listed = vec![
        reply(
            29,
            0,
            MORE,
            Reply::ListBuckets(page::Reply::Piece),
            json.as_bytes(),
        ),
        reply(29, 200, 0, Reply::ListBuckets(page::Reply::End(end)), b""),
    ];
    let of_full = BucketRef {
        bucket: bucket(),
        generation: Some(GENERATION),
        preconditions: Preconditions {
            if_metageneration_match: Some(3),
            if_metageneration_not_match: Some(4),
            ..Preconditions::default()
        },
        soft_deleted: true,
        full: true,
        user_project: Some("billing-1".into()),
        fields: Some("name".into()),
    };
    let stated = stat_bucket::Reply {
        bucket: BucketInfo {
            metageneration: 3,
            versioning: true,
            uniform_access: true,
            location: "EU".into(),
            storage_class: "STANDARD".into(),
            ..BucketInfo::default()
        },
    };
    let stated_json = r#"{"name":"photos","metageneration":"3","location":"EU","storageClass":"STANDARD"}"#;
    let list = |query| Request::ListBuckets(list_buckets::Args { query });
    let stat = |of| Request::StatBucket(stat_bucket::Args { of });
    vec![
        one(
            "list_buckets.request",
            request(29, 0, list(BucketQuery::new("my-project")), b""),
        ),
        one("list_buckets_full.request", request(30, 0, list(full), b"")),
        Case {
            name: "list_buckets.reply",
            frames: listed,
        },
        one(
            "stat_bucket.request",
            request(31, 0, stat(BucketRef::new(bucket())), b""),
        ),
        one("stat_bucket_full.request", request(32, 0, stat(of_full), b"")),
        one(
            "stat_bucket.reply",
            reply(31, 200, 0, Reply::StatBucket(stated), stated_json.as_bytes()),
        ),
    ]
}

fn errors() -> Vec<Case> {
    let limited = ErrorReply {
        committed: Some(262_144),
        retry_after_ms: 2000,
        message: "too many requests".into(),
        reason: Some("rateLimitExceeded".into()),
        request_id: Some("ABPtcPoh0bX7".into()),
        versions: Box::default(),
    };
    let no_head = ErrorReply {
        message: "not a gcsd request".into(),
        ..ErrorReply::default()
    };
    let no_version = ErrorReply {
        message: "protocol version 9 is not spoken here, only version 1 is".into(),
        versions: [1].into(),
        ..ErrorReply::default()
    };
    let fenced = ErrorReply {
        committed: Some(1 << 20),
        message: "another connection attached".into(),
        ..ErrorReply::default()
    };
    let permits_no_delete = ErrorReply {
        message: "the rule \"app\" does not permit delete on gs://photos/hello.txt: here it may read".into(),
        ..ErrorReply::default()
    };
    let denied = Status::new(Kind::Denied, Retry::Never);
    let taken_over = Status::new(Kind::Fenced, Retry::Never);
    let rate_limited = Status::new(Kind::RateLimited, Retry::Query);
    let bad_version = Status::new(Kind::BadVersion, Retry::Reconnect);
    let bad_head = Status::new(Kind::BadHead, Retry::Reconnect);
    vec![
        one(
            "error.reply",
            error(Opcode::WriteAt as u8, 15, rate_limited, 429, limited),
        ),
        one(
            "write_at_fenced.reply",
            error(Opcode::WriteAt as u8, 16, taken_over, 0, fenced),
        ),
        one(
            "delete_object_denied.reply",
            error(Opcode::DeleteObject as u8, 17, denied, 0, permits_no_delete),
        ),
        one("bad_version.reply", error(0, 0, bad_version, 0, no_version)),
        one("bad_head.reply", error(0, 0, bad_head, 0, no_head)),
    ]
}
