//! Tests of `gcsd encode`.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    request: RequestArgs,
}

/// The bytes that a command line makes.
fn encode(line: &[&str]) -> Vec<u8> {
    let line = ["encode"].iter().chain(line);
    let (head, upload, request, body) = parts(Line::parse_from(line).request).expect("good args");
    let mut out = Vec::new();
    write(&mut out, &head, upload, &request, body).expect("a vector takes all");
    out
}

#[test]
fn a_range_is_a_head_args_and_its_bytes() {
    let bytes = encode(&["write-at", "--text", "hello", "--last", "--offset", "256KiB"]);
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a head");
    let head = RequestHead::decode(head).expect("a good head");
    assert_eq!((head.opcode, head.sequence, head.upload), (0x11, 0x11, 1));
    assert_eq!((head.args_len, head.body_len), (24, 5));
    assert_eq!(&rest[24..], b"hello");
    assert_eq!(rest[8..16], (262_144_u64 + 5).to_le_bytes());
}

#[test]
fn a_file_is_a_body() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"0123456789").expect("a full file");
    let path = file.path().to_str().expect("a name");
    assert_eq!(
        &encode(&["write-at", "--body", path])[HEAD_LEN + 24..],
        b"0123456789"
    );
    let part = encode(&["write-at", "--body", path, "--len", "3", "--upload", "9"]);
    assert_eq!(&part[HEAD_LEN + 24..], b"012");
    let line = ["x", "write-at", "--body", path, "--len", "11"];
    let (head, upload, request, body) = parts(Line::parse_from(line).request).expect("good args");
    assert!(write(&mut Vec::new(), &head, upload, &request, body).is_err());
}

#[test]
fn checksums_in_both_notations() {
    let crc = Crc32c::of(b"hello world");
    assert_eq!(crc32c("yZRlqg=="), Ok(crc));
    assert_eq!(crc32c("c99465aa"), Ok(crc));
    assert!(crc32c("c99465a").is_err() && crc32c("").is_err() && crc32c("+9465aaf").is_err());
}

/// The request that a command line makes.
fn request(line: &[&str]) -> Result<Request, Failure> {
    let line = ["encode"].iter().chain(line);
    parts(Line::try_parse_from(line).expect("good flags").request).map(|(_, _, request, _)| request)
}

#[test]
fn a_list_is_asked_for_below_a_prefix() {
    let line = [
        "list-objects",
        "gs://bucket/a/b#",
        "--delimiter",
        "/",
        "--max-results",
        "7",
        "--versions",
    ];
    let Ok(Request::ListObjects(args)) = request(&line) else {
        panic!("no list")
    };
    assert_eq!(
        (args.query.bucket.as_str(), args.query.prefix.as_deref()),
        ("bucket", Some("a/b#"))
    );
    assert_eq!((args.query.max_results, args.query.versions), (Some(7), true));
    let Ok(Request::ListObjects(args)) = request(&["list-objects", "gs://bucket"]) else {
        panic!("no list")
    };
    assert_eq!(args.query.prefix, None);
}

#[test]
fn a_composition_has_its_sources_in_order() {
    let line = [
        "compose-objects",
        "gs://bucket/to",
        "gs://bucket/a",
        "gs://bucket/b",
    ];
    let Ok(Request::ComposeObjects(args)) = request(&line) else {
        panic!("no composition")
    };
    let names: Vec<_> = args.sources.iter().map(|source| source.object.as_str()).collect();
    assert_eq!((args.destination.object.as_str(), names), ("to", vec!["a", "b"]));
    let pinned = [&line[..], &["--source-generations", "7,8", "--no-clobber"]].concat();
    let Ok(Request::ComposeObjects(args)) = request(&pinned) else {
        panic!("no composition")
    };
    assert_eq!(args.sources[1].generation, Some(8));
    assert_eq!(args.destination.preconditions.if_generation_match, Some(0));
    assert!(request(&[&line[..], &["--source-generations", "7"]].concat()).is_err());
    assert!(request(&["compose-objects", "gs://bucket/to", "gs://other/a"]).is_err());
}

#[test]
fn the_parts_of_an_object_stand_in_the_body() {
    let of = ["gs://bucket/o", "--multipart-id", "id"];
    let line = [&["complete-multipart"][..], &of, &["1=\"a\"", "2=b=c"]].concat();
    let bytes = encode(&line);
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a head");
    let head = RequestHead::decode(head).expect("a good head");
    let args = usize::try_from(head.args_len).expect("short");
    let parts = gcsd_wire::multipart::decode_parts(rest[args..].to_vec().into()).expect("a list");
    let parts: Vec<_> = parts
        .iter()
        .map(|part| (part.number, part.etag.as_str()))
        .collect();
    assert_eq!(parts, [(1, "\"a\""), (2, "b=c")]);
    let line = [
        &["upload-part"][..],
        &of,
        &["--part-number", "7", "--streamed", "--text", "x"],
    ]
    .concat();
    let bytes = encode(&line);
    assert_eq!((bytes[5], bytes[6]), (0x31, 1));
    for bad in ["x", "x=a", "-1=a"] {
        let line = [&["encode", "complete-multipart"][..], &of, &[bad]].concat();
        assert!(Line::try_parse_from(line).is_err(), "{bad}");
    }
}
