//! The specification's conversation with a real daemon (proto-spec.md, "A whole conversation").

use bytes::Bytes;
use gcsd_wire::{Opcode, Reply, ReplyHead};

use crate::support::cases::{self, Args, Head};
use crate::support::daemon::{Client, Daemon, Frame, Options};
use crate::support::vectors;

/// The frames of a vector of a reply, as the specification shows them.
fn shown(name: &str) -> Vec<(ReplyHead, Args, Bytes)> {
    let case = cases::all()
        .into_iter()
        .find(|case| case.name == name)
        .expect("a vector");
    let frames = case.frames.into_iter().map(|frame| match frame.head {
        Head::Reply(head) => (head, frame.args, frame.body),
        Head::Request(_) => panic!("{name} is a reply"),
    });
    frames.collect()
}

/// What of a frame is the same in every conversation: generations, tokens and times are not, nor is what GCS says in
/// JSON.
fn lasting(head: ReplyHead, args: Args) -> (ReplyHead, Args) {
    let args = match args {
        Args::Reply(reply) => Args::Reply(match reply {
            Reply::StartUpload(mut reply) => {
                reply.token.clear();
                reply.expires = 0;
                Reply::StartUpload(reply)
            }
            Reply::WriteAt(mut progress) => {
                progress.object.as_mut().expect("finished").generation = 0;
                Reply::WriteAt(progress)
            }
            Reply::StatObject(mut reply) => {
                reply.object.generation = 0;
                Reply::StatObject(reply)
            }
            Reply::ReadAt(gcsd_wire::read_at::Reply::Start(mut start)) => {
                start.object.generation = 0;
                Reply::ReadAt(gcsd_wire::read_at::Reply::Start(start))
            }
            other => other,
        }),
        other => other,
    };
    (
        ReplyHead {
            args_len: 0,
            body_len: 0,
            ..head
        },
        args,
    )
}

/// Compares a reply with the one that the specification shows.
async fn expect(client: &mut Client, name: &str, first: Frame) {
    let mut frame = first;
    let shown = shown(name);
    let last = shown.len() - 1;
    for (at, (head, args, body)) in shown.into_iter().enumerate() {
        let came = match args {
            Args::Error(_) => Args::Error(frame.error()),
            _ => Args::Reply(frame.ok()),
        };
        assert_eq!(
            lasting(frame.head, came),
            lasting(head, args),
            "{name}, frame {at}"
        );
        match Opcode::from_code(head.opcode) {
            Some(Opcode::ReadAt) => assert_eq!(frame.body, body, "{name}, frame {at}"),
            _ => assert_eq!(frame.body.is_empty(), body.is_empty(), "{name}, frame {at}"),
        }
        if at < last {
            frame = client.frame().await.expect("a further frame");
        }
    }
}

#[tokio::test]
async fn the_conversation_of_the_specification_is_what_happens() {
    let daemon = Daemon::with(Options {
        devgcs: devgcs::Server::builder().bucket("photos"),
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    let pipelined = ["ping", "start_upload", "write_at", "finish_upload_ended"];
    let requests = pipelined.map(|name| vectors::read(&format!("{name}.request")));
    client.raw(&requests.concat()).await;
    for _ in pipelined {
        // In whatever order they come.
        let frame = client.frame().await.expect("a reply");
        let name = match frame.head.sequence {
            1 => "ping.reply",
            2 => "start_upload.reply",
            3 => "write_at.reply",
            4 => "finish_upload_ended.reply",
            other => panic!("a reply to {other}"),
        };
        expect(&mut client, name, frame).await;
    }
    for name in ["stat_object", "read_at"] {
        client.raw(&vectors::read(&format!("{name}.request"))).await;
        let first = client.frame().await.expect("a reply");
        expect(&mut client, &format!("{name}.reply"), first).await;
    }
    client.half_close().await;
    client.closed().await;
}
