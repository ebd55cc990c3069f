//! Checked frames: nothing that was damaged on the way is taken for something else (proto-spec.md, "Checked frames").

use gcsd_types::Crc32c;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::{Kind, Opcode, PIECE_HEAD_LEN, PieceHead, Request, RequestHead, Retry, ping};

use crate::support::daemon::{
    Client, Daemon, Frame, checked, object_ref, pattern, put_object, start_upload, write_at,
};
use crate::support::pieces::{data_checked, end, end_checked};

/// The bit of the flag that says that a request is checked.
const FLAG_BIT: usize = 7 * 8;

fn ping() -> Request {
    Request::Ping(ping::Args {
        echo: "hello?".into(),
    })
}

/// Sends all bytes and no more, and takes the one reply, which must end the connection.
async fn refused(client: &mut Client, bytes: &[u8]) -> Frame {
    client.raw(bytes).await;
    client.half_close().await;
    let reply = client.frame().await.expect("a reply");
    assert_eq!((reply.head.sequence, reply.head.opcode), (0, 0));
    assert!(reply.head.closing());
    client.closed().await;
    reply
}

#[tokio::test]
async fn whatever_bit_is_turned_over_the_request_is_not_carried_out_and_may_be_sent_again() {
    let daemon = Daemon::start().await;
    let delete = gcsd_wire::delete_object::Args {
        of: object_ref("others/object"),
    };
    let requests = [
        (write_at(0, None), 1, STREAMED),
        (start_upload("an/object"), 1, 0),
        (Request::DeleteObject(delete), 0, 0),
        (ping(), 0, 0),
    ];
    for (request, upload, flags) in &requests {
        let front = checked(2, *upload, request, *flags);
        for agreed in [false, true] {
            for bit in 0..front.len() * 8 {
                let mut damaged = front.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let mut client = daemon.connect().await;
                if agreed {
                    client.agree_checked().await;
                }
                if bit == FLAG_BIT && !agreed {
                    // Unchecked, it is another request. The reply shows it: it is not checked either.
                    client.raw(&damaged).await;
                    let reply = client.reply_to(2).await;
                    assert!(!reply.head.checked());
                    continue;
                }
                let reply = refused(&mut client, &damaged).await;
                let retry = reply.head.status.retry();
                assert_eq!(retry, Some(Retry::Reconnect), "bit {bit} of {request:?}");
                assert_eq!(reply.head.checked(), agreed);
            }
        }
    }
    assert_eq!(daemon.devgcs.inspect().calls.len(), 0);
}

#[tokio::test]
async fn what_was_sent_as_it_came_is_the_clients_defect() {
    let daemon = Daemon::start().await;
    let damage = |at: usize, byte: u8| {
        let mut head = RequestHead {
            opcode: Opcode::Ping as u8,
            flags: CHECKED,
            sequence: 1,
            upload: 0,
            args_len: 8,
            body_len: 0,
        }
        .encode()
        .to_vec();
        head[at] = byte;
        head.extend_from_slice(b"echo");
        let checksum = Crc32c::of(&head).0.to_le_bytes();
        [&head[..], &checksum].concat()
    };
    for (bytes, kind) in [
        (damage(3, b'!'), Kind::BadHead),
        (damage(0, b'X'), Kind::BadHead),
        (damage(4, 9), Kind::BadVersion),
        (damage(6, 0x40), Kind::BadFlags),
        (damage(8, 0), Kind::BadHead),
        (damage(31, 0x80), Kind::BadBody),
    ] {
        let mut client = daemon.connect().await;
        let reply = refused(&mut client, &bytes).await;
        let error = reply.fails(kind, Retry::Never);
        let versions: &[u8] = if kind == Kind::BadVersion { &[1] } else { &[] };
        assert_eq!(*error.versions, *versions);
    }
}

#[tokio::test]
async fn a_checksum_counts_beside_the_largest_args_and_what_is_longer_cannot_be_verified() {
    let daemon = Daemon::start().await;
    let echo = |len: u32| {
        let echo = vec![7; usize::try_from(len).expect("small")].into();
        Request::Ping(ping::Args { echo })
    };
    let mut client = daemon.connect().await;
    let largest = gcsd_wire::DEFAULT_MAX_ARGS;
    let sequence = client.begin_checked(0, &echo(largest), 0).await;
    client.reply_to(sequence).await.ok();
    // Its sequence may be damaged, too: it answers nothing.
    let head = RequestHead {
        opcode: Opcode::Ping as u8,
        flags: CHECKED,
        sequence: 2,
        upload: 0,
        args_len: largest + 5,
        body_len: 0,
    };
    let reply = refused(&mut client, &head.encode()).await;
    reply.fails(Kind::ArgsTooLarge, Retry::Reconnect);
}

#[tokio::test]
async fn where_it_was_agreed_every_frame_is_checked_and_one_that_is_not_is_noticed() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.agree_checked().await;
    let sequence = client.begin_checked(0, &ping(), 0).await;
    let reply = client.reply_to(sequence).await;
    reply.ok();
    assert!(reply.head.checked());
    // What was agreed is not taken back.
    let hello = gcsd_wire::hello::Args {
        min_version: 1,
        max_version: 1,
        ..gcsd_wire::hello::Args::default()
    };
    let sequence = client.begin_checked(0, &Request::Hello(hello), 0).await;
    match client.reply_to(sequence).await.ok() {
        gcsd_wire::Reply::Hello(hello) => assert_eq!(hello.features, gcsd_wire::hello::CHECKED),
        other => panic!("{other:?}"),
    }
    client.begin(0, &ping(), 0).await;
    let reply = client.reply_to(0).await;
    reply.fails(Kind::Damaged, Retry::Reconnect);
    assert!(reply.head.checked() && reply.head.closing());
    client.closed().await;
}

#[tokio::test]
async fn a_checked_duplicate_is_the_clients_defect_and_the_first_keeps_its_answer() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "checked/duplicate").await;
    daemon.devgcs.pause_bodies(true);
    let write = client.begin_checked(1, &write_at(0, None), STREAMED).await;
    let body = pattern(10);
    client.raw(&data_checked(&body)).await;
    client.raw(&end_checked(Crc32c::of(&body))).await;
    client.raw(&checked(write, 0, &ping(), 0)).await;
    let reply = client.reply_to(0).await;
    reply.fails(Kind::DuplicateSequence, Retry::Never);
    daemon.devgcs.pause_bodies(false);
    assert!(client.reply_to(write).await.progress().object.is_some());
    client.closed().await;
}

#[tokio::test]
async fn every_bit_of_a_pieces_head_is_checked_before_its_length_is_used() {
    let daemon = Daemon::start().await;
    let body = pattern(1000);
    let heads = [
        PieceHead::Data(1000).encode_checked(),
        PieceHead::End { checksum: true }.encode_checked(),
    ];
    let mut made = 0;
    for (at, head) in heads.iter().enumerate() {
        for bit in 0..PIECE_HEAD_LEN * 8 {
            let name = format!("pieces/{at}/{bit}");
            let mut client = daemon.connect().await;
            client.start(1, &name).await;
            let mut damaged = *head;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let sequence = client.begin_checked(1, &write_at(0, None), STREAMED).await;
            let mut bytes = match at {
                0 => damaged.to_vec(),
                _ => heads[0].to_vec(),
            };
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(if at == 0 { &heads[1] } else { &damaged });
            bytes.extend_from_slice(&Crc32c::of(&body).0.to_le_bytes());
            client.raw(&bytes).await;
            let reply = client.reply_to(sequence).await;
            // With the first head, nothing was sent to GCS; with the second, perhaps.
            assert_eq!(reply.head.status.kind(), Some(Kind::BadBody));
            let retry = reply.head.status.retry();
            assert!(retry == Some(Retry::Same) || (at == 1 && retry == Some(Retry::Query)));
            assert!(reply.head.closing());
            client.closed().await;
            made += u32::from(daemon.has_object(&name));
        }
    }
    assert_eq!(made, 0);
}

#[tokio::test]
async fn the_pieces_of_a_checked_request_end_with_a_checksum() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let put = Request::PutObject(put_object("no/checksum"));
    let sequence = client.begin_checked(0, &put, STREAMED).await;
    client.raw(&data_checked(b"some bytes")).await;
    let bare = PieceHead::End { checksum: false }.encode_checked();
    client.raw(&bare).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::BadBody, Retry::Same);
    assert!(!reply.head.closing(), "the next request stands behind the piece");
    client.lives().await;
    assert!(!daemon.has_object("no/checksum"));
    // Pieces without checks are none here, and the other way round.
    let sequence = client.begin_checked(0, &put, STREAMED).await;
    client.raw(&end(None)).await;
    client.reply_to(sequence).await.fails(Kind::BadBody, Retry::Same);
    client.closed().await;
    let mut client = daemon.connect().await;
    let sequence = client.begin_streamed(0, &put).await;
    client.raw(&data_checked(b"some bytes")).await;
    client.reply_to(sequence).await.fails(Kind::BadBody, Retry::Same);
    client.closed().await;
}
