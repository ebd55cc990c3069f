//! Tests of `gcsd decode`.

use super::*;
use gcsd_wire::{Kind, Retry, Status, ping, start_upload};

fn decode(input: &[u8], options: DecodeArgs) -> (Result<u64, String>, Exit, String, Vec<u8>) {
    let mut decoder = Decoder {
        input,
        at: 0,
        out: Vec::new(),
        bodies: Some(Vec::new()),
        options,
        exit: Exit::Ok,
    };
    let result = decoder.run().map_err(|failure| failure.to_string());
    let out = String::from_utf8(decoder.out).expect("text");
    (result, decoder.exit, out, decoder.bodies.unwrap_or_default())
}

fn options() -> DecodeArgs {
    DecodeArgs {
        requests: false,
        json: false,
        show_token: false,
        body: None,
    }
}

fn frame(status: Status, reply: &[u8], opcode: Opcode, body: &[u8]) -> Vec<u8> {
    let head = ReplyHead {
        opcode: opcode as u8,
        flags: 0,
        sequence: 9,
        status,
        http_status: 0,
        args_len: u32::try_from(reply.len()).expect("short"),
        body_len: body.len() as u64,
    };
    [&head.encode(), reply, body].concat()
}

#[test]
fn a_line_for_each_frame() {
    let pong = Reply::Ping(ping::Args {
        echo: "a\u{1b}b".into(),
    })
    .to_bytes();
    let error = ErrorReply {
        committed: Some(5),
        message: "no such bucket".into(),
        ..ErrorReply::default()
    };
    let missing = Status::new(Kind::NotFound, Retry::Never);
    let input = [
        frame(Status::OK, &pong, Opcode::Ping, b""),
        frame(missing, &error.to_bytes(), Opcode::StatObject, b""),
        frame(Status::OK, b"", Opcode::ReadAt, b"bytes"),
    ]
    .concat();
    let (result, exit, out, bodies) = decode(&input, options());
    assert_eq!(result, Ok(3));
    assert_eq!(exit, Exit::NotFound);
    assert_eq!(bodies, b"bytes");
    assert_eq!(
        out,
        "reply 9 Ping ok echo=\"a\\u001bb\"\n\
         reply 9 StatObject not_found code=0x4083 layer=gcs retry=never committed=5 message=\"no such bucket\"\n\
         reply 9 ReadAt ok part=piece body_len=5 body_crc32c=0G6ckg==\n"
    );
}

#[test]
fn a_token_is_shown_only_when_asked_for() {
    let reply = Reply::StartUpload(start_upload::Reply {
        token: "sesame".into(),
        expires: 1_795_950_000,
    });
    let input = frame(Status::OK, &reply.to_bytes(), Opcode::StartUpload, b"");
    let (_, _, out, _) = decode(&input, options());
    assert_eq!(
        out,
        "reply 9 StartUpload ok expires=2026-11-29T11:00:00Z token=[hidden]\n"
    );
    let shown = DecodeArgs {
        show_token: true,
        json: true,
        ..options()
    };
    let (_, _, out, _) = decode(&input, shown);
    assert!(out.contains("\"token\":\"sesame\""), "{out}");
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
}

#[test]
fn any_input_ends_in_frames_or_a_clear_error() {
    let whole = frame(Status::OK, b"x", Opcode::Ping, b"body");
    for len in 1..whole.len() {
        let (result, ..) = decode(&whole[..len], options());
        assert!(result.expect_err("cut").starts_with("truncated: "), "{len}");
    }
    let requests = DecodeArgs {
        requests: true,
        ..options()
    };
    let (result, ..) = decode(&whole, requests);
    assert!(result.expect_err("a reply").contains("leave out --requests"));
    let (result, ..) = decode(&[0; 40], options());
    assert!(result.expect_err("zeros").starts_with("bad_head: "));
    // Unknown numbers, args of the wrong layout, args too long to be any.
    let mut odd = frame(Status(0x7fff), b"xx", Opcode::Hello, b"");
    odd[5] = 0xee;
    odd.extend(frame(Status::OK, b"xx", Opcode::Hello, b""));
    odd.extend(frame(Status::OK, &vec![7; 2 << 20], Opcode::Ping, b"{"));
    let (result, exit, out, _) = decode(&odd, options());
    assert_eq!((result, exit), (Ok(3), Exit::Failed));
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("reply 9 0xee unknown code=0x7fff ") && lines[0].contains(" bad_args="),
        "{out}"
    );
    assert!(
        lines[1].contains("bad_args=") && lines[1].ends_with("args=7878"),
        "{out}"
    );
    assert!(lines[2].contains("args_len=2097152"), "{out}");
}
