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
