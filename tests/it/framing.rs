//! Framing: what is refused, what ends the connection, what does not (proto-spec.md, "Framing").

use gcsd_wire::head::CHECKED;
use gcsd_wire::{self, Kind, Opcode, Request, RequestHead, Retry, args::Empty, ping};

use crate::support::daemon::{Client, Daemon, Options, finish_upload, pattern, start_upload, write_at};

fn head(opcode: u8) -> RequestHead {
    RequestHead {
        opcode,
        flags: 0,
        sequence: 77,
        upload: 0,
        args_len: 0,
        body_len: 0,
    }
}

/// Sends a head that is none, and checks that one error comes back and then the end.
async fn malformed(daemon: &Daemon, bytes: &[u8], kind: Kind) {
    let mut client = daemon.connect().await;
    client.lives().await;
    client.raw(bytes).await;
    let reply = client.reply_to(0).await;
    let retry = match kind {
        Kind::BadHead | Kind::Damaged => Retry::Reconnect,
        _ => Retry::Never,
    };
    reply.fails(kind, retry);
    assert!(reply.head.closing());
    assert_eq!(reply.head.opcode, 0);
    client.closed().await;
}

#[tokio::test]
async fn a_malformed_head_ends_the_connection_after_one_reply() {
    let daemon = Daemon::start().await;
    let good = head(Opcode::Ping as u8).encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = good;
        bytes[at] = byte;
        bytes
    };
    malformed(
        &daemon,
        b"GET / HTTP/1.1\r\nHost: localhost:4743\r\n\r\n",
        Kind::BadHead,
    )
    .await;
    malformed(&daemon, &with(3, b'!'), Kind::BadHead).await;
    malformed(&daemon, &with(4, 0), Kind::BadVersion).await;
    malformed(&daemon, &with(4, 2), Kind::BadVersion).await;
    malformed(&daemon, &with(6, 0x80), Kind::BadFlags).await;
    malformed(&daemon, &with(31, 0x80), Kind::BadBody).await;
    // One byte of a checked request that is not as it was sent.
    let checked = RequestHead {
        flags: CHECKED,
        ..head(Opcode::Ping as u8)
    };
    let front = checked.front(b"echo");
    for at in [8, 16, 33, front.len() - 1] {
        let mut damaged = front.to_vec();
        damaged[at] ^= 0x10;
        malformed(&daemon, &damaged, Kind::Damaged).await;
    }
    daemon.connect().await.lives().await;
}

#[tokio::test]
async fn a_checked_request_is_answered_in_checked_frames() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for opcode in [Opcode::Ping as u8, 0xfe] {
        let checked = RequestHead {
            flags: CHECKED,
            ..head(opcode)
        };
        client.raw(&checked.front(b"echo")).await;
        let reply = client.reply_to(checked.sequence).await;
        assert!(reply.head.checked());
        assert!(gcsd_wire::check::verify(&reply.head.encode(), &reply.args).is_some());
        client.lives().await;
    }
}

async fn refused(client: &mut Client, head: RequestHead, rest: usize, kind: Kind) {
    client.raw(&head.encode()).await;
    client.raw(&vec![0xee; rest]).await;
    let reply = client.reply_to(head.sequence).await;
    reply.fails(kind, Retry::Never);
    assert!(!reply.head.closing());
    assert_eq!(reply.head.opcode, head.opcode);
    client.lives().await;
}

#[tokio::test]
async fn what_can_be_framed_is_refused_and_skipped() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let unknown = RequestHead {
        args_len: 10,
        body_len: 100_000,
        ..head(0xfe)
    };
    refused(&mut client, unknown, 100_010, Kind::Unsupported).await;
    let flags = RequestHead {
        flags: 0x0200,
        ..head(Opcode::Ping as u8)
    };
    refused(&mut client, flags, 0, Kind::BadFlags).await;
    let long = RequestHead {
        args_len: 65_537,
        body_len: 3,
        ..head(Opcode::Ping as u8)
    };
    refused(&mut client, long, 65_540, Kind::ArgsTooLarge).await;
    let body = RequestHead {
        body_len: 5,
        ..head(Opcode::Ping as u8)
    };
    refused(&mut client, body, 5, Kind::BadBody).await;
    let upload = RequestHead {
        upload: 1,
        ..head(Opcode::Ping as u8)
    };
    refused(&mut client, upload, 0, Kind::BadArgs).await;
    let none = RequestHead {
        args_len: 24,
        ..head(Opcode::FinishUpload as u8)
    };
    client.raw(&none.encode()).await;
    client.raw(&[0; 24]).await;
    client.reply_to(77).await.fails(Kind::UnknownUpload, Retry::Never);
    let short = RequestHead {
        args_len: 3,
        upload: 1,
        ..head(Opcode::StartUpload as u8)
    };
    refused(&mut client, short, 3, Kind::BadArgs).await;
}

#[tokio::test]
async fn a_name_that_gcs_cannot_have_is_refused_before_gcs_is_asked() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let Request::StartUpload(args) = start_upload("x") else {
        panic!("it is one")
    };
    let mut bytes = gcsd_wire::WireArgs::to_bytes(&args).to_vec();
    let last = bytes.len() - 1;
    for (byte, kind) in [(b'\n', Kind::BadName), (0xff, Kind::BadArgs)] {
        bytes[last] = byte;
        let args_len = u32::try_from(bytes.len()).expect("small");
        let head = RequestHead {
            args_len,
            upload: 1,
            ..head(Opcode::StartUpload as u8)
        };
        client.raw(&head.encode()).await;
        client.raw(&bytes).await;
        client.reply_to(77).await.fails(kind, Retry::Never);
    }
    assert_eq!(daemon.devgcs.inspect().calls.len(), 0);
}

#[tokio::test]
async fn a_refused_body_beyond_the_drain_cap_ends_the_connection() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let sequence = client.begin(9, &write_at(0, None), 1 << 40).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::UnknownUpload, Retry::Never);
    assert!(reply.head.closing());
    client.closed().await;
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_request_is_told() {
    let daemon = Daemon::start().await;
    for len in [1, 31, 32, 35] {
        let mut client = daemon.connect().await;
        let whole = [
            &RequestHead {
                args_len: 8,
                ..head(Opcode::Ping as u8)
            }
            .encode()[..],
            b"12345678",
        ]
        .concat();
        client.raw(&whole[..len]).await;
        client.half_close().await;
        let reply = client.frame().await.expect("a reply");
        reply.fails(Kind::BadHead, Retry::Reconnect);
        assert!(reply.head.closing());
        client.closed().await;
    }
}

#[tokio::test]
async fn a_half_close_means_finish_what_was_sent() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(300_000);
    client.begin(1, &start_upload("whole/conversation"), 0).await;
    client.begin(1, &write_at(0, Some(300_000)), 300_000).await;
    client.raw(&body).await;
    client.half_close().await;
    assert!(client.frame().await.expect("a reply").head.status.is_ok());
    assert!(client.frame().await.expect("a reply").progress().object.is_some());
    client.closed().await;
    assert_eq!(daemon.object("whole/conversation").await, body);
}

#[tokio::test]
async fn a_sequence_in_flight_cannot_be_used_again() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "duplicate").await;
    daemon.devgcs.pause_bodies(true);
    let body = pattern(10);
    let write = client.begin(1, &write_at(0, Some(10)), 10).await;
    client.raw(&body).await;
    let ping = RequestHead {
        sequence: write,
        ..head(Opcode::Ping as u8)
    };
    client.raw(&ping.encode()).await;
    client
        .reply_to(write)
        .await
        .fails(Kind::DuplicateSequence, Retry::Never);
    daemon.devgcs.pause_bodies(false);
    assert!(client.reply_to(write).await.progress().object.is_some());
    client.raw(&ping.encode()).await;
    client.reply_to(write).await.ok();
}

#[tokio::test]
async fn what_a_secret_protects_needs_hello_first() {
    let daemon = Daemon::with(Options {
        secret: Some("open sesame"),
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    client
        .call(0, Request::Ping(ping::Args::default()))
        .await
        .fails(Kind::Unauthenticated, Retry::Never);
    let hello = |secret: &'static str| {
        Request::Hello(gcsd_wire::hello::Args {
            min_version: 1,
            max_version: 3,
            secret: secret.into(),
            ..gcsd_wire::hello::Args::default()
        })
    };
    let wrong = client.call(0, hello("open sesam")).await;
    wrong.fails(Kind::Unauthenticated, Retry::Never);
    assert!(wrong.head.closing());
    client.closed().await;
    let mut client = daemon.connect().await;
    let Request::Hello(mut named) = hello("open sesame") else {
        panic!("it is one")
    };
    named.name = Some("of whom".to_owned());
    let named = client.call(0, Request::Hello(named)).await;
    assert!(
        named
            .fails(Kind::Unauthenticated, Retry::Never)
            .message
            .contains("no name")
    );
    client.closed().await;
    let mut client = daemon.connect().await;
    client.call(0, hello("open sesame")).await.ok();
    client.lives().await;
    client
        .call(5, Request::DetachUpload(Empty))
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
    client
        .call(5, finish_upload(0))
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
}
