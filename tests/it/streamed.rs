//! Bodies of unknown length: what streams, what ends them, what is cut (proto-spec.md, "Framing").

use std::time::Duration;

use devgcs::CallKind;
use gcsd_types::Crc32c;
use gcsd_wire::head::STREAMED;
use gcsd_wire::{HEAD_LEN, Kind, Opcode, Request, RequestHead, Retry, attach_upload};

use crate::support::daemon::{
    Client, Daemon, Options, PATIENCE, cancel_upload, finish_upload, pattern, query_upload, start_upload,
    write_at,
};
use crate::support::pieces::{abort, data, end, whole};

const MIB: usize = 1 << 20;

/// Waits until GCS has received `len` bytes of `object`.
async fn arrived(daemon: &Daemon, object: &str, len: usize) {
    let arrived = daemon
        .devgcs
        .wait_for(PATIENCE, |state| {
            state.session(object).is_some_and(|s| s.received >= len as u64)
        })
        .await;
    assert!(arrived, "{len} bytes of {object} did not reach GCS");
}

/// Waits until no request writes to `object`.
async fn cut(daemon: &Daemon, object: &str) {
    let cut = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.session(object).is_some_and(|s| s.writing == 0)
    });
    assert!(cut.await, "the PUT of {object} goes on");
}

#[tokio::test]
async fn a_body_in_pieces_of_any_size_becomes_the_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(MIB + 3);
    for (upload, len) in [(1, 7001), (2, 65_536), (3, MIB + 3), (4, 300_000)] {
        let object = format!("pieces of {len}");
        client.start(upload, &object).await;
        let sequence = client.begin_streamed(upload, &write_at(0, None)).await;
        client.raw(&whole(&body, len)).await;
        let progress = client.reply_to(sequence).await.progress();
        assert_eq!(progress.committed, body.len() as u64);
        assert_eq!(
            (progress.received, progress.received_crc32c),
            (body.len() as u64, Crc32c::of(&body))
        );
        assert_eq!(progress.object.expect("finished").crc32c, Some(Crc32c::of(&body)));
        assert_eq!(daemon.object(&object).await, body);
    }
    // Bytes one by one, and behind what is committed already; an end without a checksum.
    client.start(5, "bytes").await;
    client.write(5, 0, None, &body[..262_144]).await.progress();
    let sequence = client.begin_streamed(5, &write_at(262_144, None)).await;
    let tail: Vec<u8> = body[262_144..264_144].chunks(1).flat_map(data).collect();
    client.raw(&tail).await;
    client.raw(&end(None)).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("bytes").await, &body[..264_144]);
    client.lives().await;
}

#[tokio::test]
async fn each_byte_reaches_gcs_while_the_client_withholds_the_rest() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "held").await;
    let body = pattern(3 * MIB);
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    let mut sent = 0;
    // The middle one is a piece that is not whole.
    for upto in [1, 2, 1000, MIB] {
        client.raw(&data(&body[sent..upto])).await;
        sent = upto;
        arrived(&daemon, "held", sent).await;
    }
    let rest = data(&body[MIB..]);
    client.raw(&rest[..MIB]).await;
    arrived(&daemon, "held", 2 * MIB - 8).await;
    client.raw(&rest[MIB..]).await;
    arrived(&daemon, "held", 3 * MIB).await;
    assert!(!daemon.has_object("held"));
    client.raw(&end(None)).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("held").await, body);
}

#[tokio::test]
async fn heads_may_be_split_at_every_byte() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = b"abcdefghij";
    let bytes = [
        data(b"abc"),
        data(b"d"),
        data(b"efghij"),
        end(Some(Crc32c::of(body))),
    ]
    .concat();
    for at in 0..=bytes.len() {
        let object = format!("split at {at}");
        client.start(1, &object).await;
        let sequence = client.begin_streamed(1, &write_at(0, None)).await;
        client.raw(&bytes[..at]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        client.raw(&bytes[at..]).await;
        assert!(
            client.reply_to(sequence).await.progress().object.is_some(),
            "{object}"
        );
        assert_eq!(daemon.object(&object).await, body);
    }
    // And at all of them.
    client.start(1, "trickle").await;
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    for byte in &bytes {
        client.raw(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("trickle").await, body);
}

#[tokio::test]
async fn an_abort_cuts_this_request_and_nothing_else() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "aborted").await;
    let body = pattern(2 * MIB + 5);
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&data(&body[..MIB + 5])).await;
    arrived(&daemon, "aborted", MIB + 5).await;
    client.raw(&abort()).await;
    let reply = client.reply_to(sequence).await;
    let error = reply.fails(Kind::BodyAborted, Retry::Query);
    assert!(error.committed.is_some() && !reply.head.closing());
    cut(&daemon, "aborted").await;
    assert!(!daemon.has_object("aborted"));
    // The upload is unsettled, and goes on after a query: in pieces again.
    let early = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&whole(b"early", 5)).await;
    client.reply_to(early).await.fails(Kind::Unsettled, Retry::Query);
    let committed = client.call(1, query_upload()).await.progress().committed;
    assert_eq!(committed % (256 * 1024), 0);
    let from = usize::try_from(committed).expect("small");
    let sequence = client.begin_streamed(1, &write_at(committed, None)).await;
    client.raw(&whole(&body[from..], 100_000)).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("aborted").await, body);
}

#[tokio::test]
async fn a_body_that_is_taken_back_before_its_first_byte_costs_no_call() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "nothing").await;
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&abort()).await;
    let reply = client.reply_to(sequence).await;
    let error = reply.fails(Kind::BodyAborted, Retry::Same);
    assert_eq!(error.committed, Some(0));
    assert_eq!(daemon.devgcs.inspect().count(CallKind::WriteUpload), 0);
    // It is as settled as before.
    assert!(
        client
            .write(1, 0, Some(4), b"here")
            .await
            .progress()
            .object
            .is_some()
    );
}

#[tokio::test]
async fn a_body_without_bytes_finishes_the_upload() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for (upload, checksum) in [(1, None), (2, Some(Crc32c::default()))] {
        let object = format!("empty {upload}");
        client.start(upload, &object).await;
        let sequence = client.begin_streamed(upload, &write_at(0, None)).await;
        client.raw(&end(checksum)).await;
        let object_info = client.reply_to(sequence).await.progress().object;
        assert_eq!(object_info.expect("finished").size, 0);
    }
    client.start(3, "no more").await;
    let body = pattern(256 * 1024);
    client.write(3, 0, None, &body).await.progress();
    let sequence = client.begin_streamed(3, &write_at(body.len() as u64, None)).await;
    client.raw(&end(None)).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("no more").await, body);

    client.start(4, "wrong").await;
    let sequence = client.begin_streamed(4, &write_at(0, None)).await;
    client.raw(&end(Some(Crc32c(1)))).await;
    client
        .reply_to(sequence)
        .await
        .fails(Kind::BodyDamaged, Retry::Same);
    assert!(!daemon.has_object("wrong"));
    client.lives().await;
}

#[tokio::test]
async fn a_body_with_another_checksum_than_its_own_makes_no_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "damaged").await;
    let body = pattern(MIB);
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&data(&body)).await;
    arrived(&daemon, "damaged", MIB).await;
    client.raw(&end(Some(Crc32c::of(&body[1..])))).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::BodyDamaged, Retry::Restart);
    assert!(!reply.head.closing());
    cut(&daemon, "damaged").await;
    assert!(!daemon.has_object("damaged"));
    // What the class asks for is possible, with the same id.
    client
        .write(1, 0, Some(1), b"x")
        .await
        .fails(Kind::UploadEnded, Retry::Never);
    client.put(1, "damaged", &body).await;
    assert_eq!(daemon.object("damaged").await, body);
}

#[tokio::test]
async fn pieces_must_bring_what_total_says() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(400_000);
    let total = body.len() as u64;
    for (object, sent) in [
        ("short", &body[..399_999]),
        ("long", &[&body[..], b"x"].concat()[..]),
    ] {
        client.start(1, object).await;
        let sequence = client.begin_streamed(1, &write_at(0, Some(total))).await;
        client.raw(&data(&sent[..300_000])).await;
        arrived(&daemon, object, 300_000).await;
        client.raw(&whole(&sent[300_000..], 50_000)).await;
        let reply = client.reply_to(sequence).await;
        reply.fails(Kind::BadBody, Retry::Query);
        assert!(!reply.head.closing());
        cut(&daemon, object).await;
        assert!(!daemon.has_object(object));
        client
            .write(1, 0, Some(1), b"x")
            .await
            .fails(Kind::Unsettled, Retry::Query);
        client.call(1, query_upload()).await.progress();
        let sequence = client.begin_streamed(1, &write_at(0, Some(total))).await;
        client.raw(&whole(&body, 100_000)).await;
        assert!(client.reply_to(sequence).await.progress().object.is_some());
        assert_eq!(daemon.object(object).await, body);
    }
    client.start(1, "before its offset").await;
    client.write(1, 0, None, &body[..262_144]).await.progress();
    let sequence = client.begin_streamed(1, &write_at(262_144, Some(5))).await;
    client.raw(&whole(b"", 1)).await;
    client.reply_to(sequence).await.fails(Kind::BadArgs, Retry::Never);
    client.lives().await;
}

/// Ends a client's stream after `sent` of a body in pieces: what came is not taken for the whole.
async fn truncated(daemon: &Daemon, object: &str, sent: &[u8], reset: bool) {
    let mut client = daemon.connect().await;
    let token = client.start(1, object).await;
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(sent).await;
    if reset {
        tokio::time::sleep(Duration::from_millis(5)).await;
        client.stream.set_zero_linger().expect("a socket option");
        drop(client);
    } else {
        client.half_close().await;
        let reply = client.reply_to(sequence).await;
        assert_eq!(reply.head.status.kind(), Some(Kind::BodyTruncated));
        assert!(matches!(
            reply.head.status.retry(),
            Some(Retry::Same | Retry::Query)
        ));
        assert!(reply.head.closing());
        client.closed().await;
    }
    cut(daemon, object).await;
    assert!(
        !daemon.has_object(object),
        "{object}: a truncated body is an object"
    );
    let mut client = daemon.connect().await;
    client
        .call(1, Request::AttachUpload(attach_upload::Args { token, key: None }))
        .await
        .ok();
    assert!(client.call(1, query_upload()).await.progress().object.is_none());
}

#[tokio::test]
async fn a_stream_that_ends_before_the_end_piece_is_a_truncation() {
    let daemon = Daemon::start().await;
    let body = pattern(300_000);
    let bytes = [data(&body[..10]), data(&body[10..]), end(Some(Crc32c::of(&body)))].concat();
    let len = bytes.len();
    // In and between heads, in data, in the end's head and in its checksum.
    for at in [0, 3, 8, 13, 18, 22, 26, 1000, len - 12, len - 8, len - 4, len - 1] {
        for reset in [false, true] {
            truncated(&daemon, &format!("{at} {reset}"), &bytes[..at], reset).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_stalls_in_its_pieces_is_told() {
    let mut options = Options::default();
    options.limits.client_timeout = Duration::from_millis(300);
    let daemon = Daemon::with(options).await;
    let bytes = data(b"0123456789");
    for at in [0, 4, 8, 12, 18] {
        let mut client = daemon.connect().await;
        client.start(1, "stalled").await;
        let sequence = client.begin_streamed(1, &write_at(0, None)).await;
        client.raw(&bytes[..at]).await;
        let reply = client.reply_to(sequence).await;
        assert_eq!(reply.head.status.kind(), Some(Kind::ClientStalled), "at {at}");
        assert!(reply.head.closing());
        client.closed().await;
    }
    assert!(!daemon.has_object("stalled"));
}

#[tokio::test]
async fn what_is_no_piece_ends_the_connection_and_no_object() {
    let daemon = Daemon::start().await;
    let mut kinds = vec![
        [0; 8],
        // Data without bytes: were it allowed, a body could go on for ever without a byte.
        [0, 0, 0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 4, 0, 0, 0],
        [1, 0, 0, 0, 0xff, 0, 0, 0],
        [1, 0, 0, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 2, 0, 0, 0],
        [8, 0, 0, 0, 2, 0, 0, 0],
        [1, 0, 0, 0, 3, 0, 0, 0],
    ];
    kinds.push(*b"GCS?\x01\x02\0\0");
    for (at, head) in kinds.iter().enumerate() {
        for first in [&b""[..], b"some bytes"] {
            let object = format!("bad {at} {}", first.len());
            let mut client = daemon.connect().await;
            client.start(1, &object).await;
            let sequence = client.begin_streamed(1, &write_at(0, None)).await;
            if !first.is_empty() {
                client.raw(&data(first)).await;
                arrived(&daemon, &object, first.len()).await;
            }
            client.raw(head).await;
            let reply = client.reply_to(sequence).await;
            // It may be damage on the way: whoever recovers goes on from what is committed.
            let retry = if first.is_empty() {
                Retry::Same
            } else {
                Retry::Query
            };
            reply.fails(Kind::BadBody, retry);
            assert!(reply.head.closing(), "{object}");
            client.closed().await;
            cut(&daemon, &object).await;
            assert!(!daemon.has_object(&object));
        }
    }
}

fn head(opcode: u8, args_len: u32) -> [u8; HEAD_LEN] {
    RequestHead {
        opcode,
        flags: STREAMED,
        sequence: 77,
        upload: 0,
        args_len,
        body_len: 0,
    }
    .encode()
}

#[tokio::test]
async fn a_refused_body_is_skipped_piece_by_piece() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for (opcode, args_len, kind) in [
        (0xfe, 0, Kind::Unsupported),
        (Opcode::Ping as u8, 0, Kind::BadFlags),
        (Opcode::FinishUpload as u8, 24, Kind::BadFlags),
        (Opcode::Ping as u8, 65_537, Kind::ArgsTooLarge),
        (Opcode::WriteAt as u8, 40, Kind::UnknownUpload),
        (Opcode::WriteAt as u8, 39, Kind::BadArgs),
    ] {
        for last in [end(None), end(Some(Crc32c(7))), abort()] {
            client.raw(&head(opcode, args_len)).await;
            client
                .raw(&vec![0; usize::try_from(args_len).expect("small")])
                .await;
            client.raw(&data(&pattern(100_000))).await;
            client.raw(&data(b"x")).await;
            let reply = client.reply_to(77).await;
            reply.fails(kind, Retry::Never);
            assert!(!reply.head.closing());
            client.raw(&last).await;
            client.lives().await;
        }
    }
    assert_eq!(daemon.devgcs.inspect().calls.len(), 0);
}

#[tokio::test]
async fn a_body_in_pieces_has_no_length_of_its_own() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut bytes = head(Opcode::WriteAt as u8, 24);
    bytes[24] = 5;
    client.raw(&bytes).await;
    let reply = client.reply_to(0).await;
    reply.fails(Kind::BadBody, Retry::Reconnect);
    assert!(reply.head.closing());
    client.closed().await;
}

/// Sends pieces until the daemon takes no more or answers.
async fn flood(client: &mut Client, piece: &[u8]) {
    use tokio::io::AsyncWriteExt as _;
    for _ in 0..4096 {
        if client.stream.write_all(piece).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_refused_body_that_does_not_end_ends_the_connection() {
    let daemon = Daemon::start().await;
    for piece in [
        data(&pattern(65_536)),
        data(&pattern(MIB + 1)),
        data(b"x").repeat(10_000),
    ] {
        let mut client = daemon.connect().await;
        let sequence = client.begin_streamed(9, &write_at(0, None)).await;
        let reply = client.reply_to(sequence).await;
        reply.fails(Kind::UnknownUpload, Retry::Never);
        assert!(!reply.head.closing(), "it may still end");
        flood(&mut client, &piece).await;
        // The border is lost, and that answers no request.
        let last = client.reply_to(0).await;
        last.fails(Kind::BadBody, Retry::Reconnect);
        assert!(last.head.closing());
    }
    // Anything else in the place of a piece is reported in the same way.
    let mut client = daemon.connect().await;
    let sequence = client.begin_streamed(9, &write_at(0, None)).await;
    client
        .reply_to(sequence)
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
    client.raw(&[0xee; 8]).await;
    client.reply_to(0).await.fails(Kind::BadBody, Retry::Reconnect);
    client.closed().await;
    daemon.connect().await.lives().await;
}

#[tokio::test]
async fn an_early_answer_stops_the_pieces_and_the_connection_lives() {
    let daemon = Daemon::with(Options::failing("return-503-after-512K on write call 0")).await;
    let mut client = daemon.connect().await;
    client.start(1, "early").await;
    let body = pattern(MIB + 1);
    let sequence = client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&data(&body[..MIB])).await;
    let reply = client.reply_to(sequence).await;
    let error = reply.fails(Kind::Unavailable, Retry::Query);
    assert!(error.committed.is_some() && !reply.head.closing());
    // The client sees it, and need not send the rest.
    client.raw(&data(&body[MIB..])).await;
    client.raw(&abort()).await;
    let committed = client.call(1, query_upload()).await.progress().committed;
    assert_eq!(committed, 512 * 1024);
    let sequence = client.begin_streamed(1, &write_at(committed, None)).await;
    client.raw(&whole(&body[512 * 1024..], MIB)).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
    assert_eq!(daemon.object("early").await, body);
}

#[tokio::test]
async fn a_gcs_that_takes_nothing_stalls_the_pieces() {
    let mut options = Options::default();
    options.limits.gcs_timeout = Duration::from_millis(300);
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    let upload = client.start_at_last("deaf").await;
    daemon.devgcs.pause_bodies(true);
    let sequence = client.begin_streamed(upload, &write_at(0, None)).await;
    client.raw(&whole(b"hello", 5)).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::GcsStalled, Retry::Query);
    assert!(!reply.head.closing());
    daemon.devgcs.pause_bodies(false);
    client.at_last(upload, &query_upload()).await.progress();
    client.lives().await;
}

#[tokio::test]
async fn a_whole_conversation_in_pieces_can_be_a_file() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.begin(1, &start_upload("file"), 0).await;
    client.begin_streamed(1, &write_at(0, None)).await;
    client.raw(&whole(b"made by a pipe\n", 4)).await;
    client.begin(1, &finish_upload(15), 0).await;
    client.begin(1, &cancel_upload(), 0).await;
    client.half_close().await;
    assert!(client.frame().await.expect("a reply").head.status.is_ok());
    assert!(client.frame().await.expect("a reply").progress().object.is_some());
    client
        .frame()
        .await
        .expect("a reply")
        .fails(Kind::UploadEnded, Retry::Never);
    assert!(client.frame().await.expect("a reply").head.status.is_ok());
    client.closed().await;
    assert_eq!(daemon.object("file").await, b"made by a pipe\n");
}
