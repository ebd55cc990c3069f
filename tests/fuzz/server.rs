//! The server's loop: whatever a client sends, each whole request has one last frame, and nothing is left behind.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Once;
use std::time::Duration;

use gcsd::ops::Budget;
use gcsd_wire::head::HEAD_LEN;
use gcsd_wire::{ErrorReply, Opcode, Reply, ReplyHead, WireArgs, check};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fuzz;
use super::feed::Feed;
use super::stream::{End, Stream, conversation};
use super::wire::vectors_of;
use crate::support::daemon::{Daemon, Options};

/// Longer than any conversation takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// How many panics there were on this thread, also in tasks, whose panics nobody else may see.
pub(crate) fn panics() -> usize {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.get()
}

/// A runtime whose tasks run on this thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// A frame of a reply, by the specification's offsets.
struct Frame {
    head: ReplyHead,
    args: bytes::Bytes,
}

/// The frames of a daemon's stream, which must be whole ones.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (raw, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a whole head");
        let head = ReplyHead::decode(raw).expect("a good head");
        let (args_len, body_len) = (
            usize::try_from(head.args_len).expect("short"),
            usize::try_from(head.body_len).expect("short"),
        );
        assert!(
            rest.len() >= args_len + body_len,
            "the stream ends inside a frame"
        );
        let mut args = bytes::Bytes::copy_from_slice(&rest[..args_len]);
        if head.checked() {
            args = check::verify(raw, &args).expect("a checksum that holds");
        }
        bytes = &rest[args_len + body_len..];
        frames.push(Frame { head, args });
    }
    frames
}

/// Looks at the replies to a stream, and says in a line what they are.
fn judge(sent: &Stream, replies: &[u8]) -> String {
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    let mut said = format!("{:?}", sent.end);
    let (mut closing, mut unframed) = (false, false);
    for Frame { head, args } in frames(replies) {
        let _ = write!(said, " {}:{:?}", head.opcode, head.status.kind());
        let known: Vec<_> = sent
            .whole
            .get(&head.sequence)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let cut = sent
            .cut
            .filter(|(sequence, _)| *sequence == head.sequence)
            .map(|(_, sent)| sent);
        let known: Vec<_> = known.into_iter().chain(cut).collect();
        // A request of opcode 0 has a sequence, and is answered as any other that nobody knows.
        if head.sequence == 0 {
            assert!(head.opcode == 0 && head.closing() && !unframed, "{head:?}");
            (closing, unframed) = (true, true);
            ErrorReply::decode(args).expect("an error's args");
            continue;
        }
        assert!(
            known
                .iter()
                .any(|one| one.opcode == head.opcode && (one.checked == head.checked() || sent.agreed)),
            "nobody has asked for {head:?}"
        );
        closing |= head.closing();
        if head.status.is_ok() {
            let opcode = Opcode::from_code(head.opcode).expect("what is done is known");
            Reply::decode(opcode, args).expect("a reply's args");
        } else {
            assert!(
                !head.more() && head.body_len == 0,
                "an error is a reply's last frame: {head:?}"
            );
            let error = ErrorReply::decode(args).expect("an error's args");
            assert!(
                !error.message.is_empty() && !error.message.contains('\n'),
                "{error:?}"
            );
            assert!(!error.message.contains("upload_id="), "{error:?}");
        }
        if !head.more() {
            *last.entry(head.sequence).or_default() += 1;
        }
    }
    for (sequence, count) in &last {
        let known = sent.whole.get(sequence).map_or(0, Vec::len);
        let cut = sent.cut.iter().filter(|(of, _)| of == sequence).count();
        assert!(
            *count <= known + cut,
            "{sequence} is answered {count} times: {said}"
        );
    }
    if !closing {
        for (sequence, requests) in &sent.whole {
            let answered = last.get(sequence).copied().unwrap_or(0);
            assert_eq!(
                answered,
                requests.len(),
                "{sequence} is not answered, and nothing says why: {said}"
            );
        }
    }
    let needs_word = matches!(sent.end, End::Unframed | End::InFrame);
    assert!(
        closing || !needs_word,
        "nothing says that the stream cannot be framed: {said}"
    );
    said
}

/// Sends a stream in parts and says its end; returns all that comes back.
async fn converse(daemon: &Daemon, parts: Vec<Vec<u8>>) -> Vec<u8> {
    let stream = TcpStream::connect(daemon.address)
        .await
        .expect("the daemon listens");
    stream.set_nodelay(true).expect("an option");
    let (mut read, mut write) = stream.into_split();
    let send = async {
        for part in parts {
            // A daemon that has closed takes no more.
            if write.write_all(&part).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = write.shutdown().await;
    };
    let mut replies = Vec::new();
    let (read, ()) = tokio::join!(read.read_to_end(&mut replies), send);
    read.expect("the daemon ends the stream, and resets nothing");
    replies
}

/// Waits until nothing is held any more.
async fn returns(budget: &Budget, total: u64) {
    let full = async {
        while budget.free() != total || budget.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let full = timeout(PATIENCE, full).await;
    assert!(full.is_ok(), "{} of {total} came back", budget.free());
}

fn seeds() -> Vec<Vec<u8>> {
    // upload, object, length, offset, total, request, flags; pieces where there are some.
    let start = [1, 0, 0, 0, 0, 0, 0];
    let write = [1, 0, 3, 0, 0, 2, 0];
    let in_pieces = [1, 0, 0, 0, 1, 2, 4, 2, b'y', 2, b'z', 3, 5];
    let finish = [1, 0, 3, 0, 0, 5, 0];
    let query = [1, 0, 0, 0, 0, 6, 1];
    let put = [0, 1, 4, 0, 0, 4, 1];
    let put_pieces = [0, 1, 4, 0, 0, 4, 5, 1, b'q', 3, 5];
    let hello = [0, 0, 0, 0, 0, 10, 1];
    let attach = [2, 0, 0, 0, 0, 7, 0];
    let mut seeds = vec![
        [&start[..], &write, &query].concat(),
        [&start[..], &in_pieces, &finish].concat(),
        [&put[..], &put_pieces, &attach].concat(),
        [&start[..], &start, &write, &write].concat(),
        [&hello[..], &start, &write, &query].concat(),
        [&hello[..], &start, &in_pieces, &finish].concat(),
        // One that is not checked, where all are.
        [&hello[..], &start, &[1, 0, 0, 0, 0, 6, 3]].concat(),
        [&start[..], &write, &hello, &query].concat(),
    ];
    seeds.extend((0..=80).map(|vector| vec![1, 0, 2, 0, 0, 9, vector, 0]));
    seeds.extend((0..=80).map(|vector| [&start[..], &[1, 0, 2, 0, 0, 9, vector, 1]].concat()));
    // In one write, and without damage.
    seeds.iter_mut().for_each(|seed| drop(seed.splice(0..0, [0, 0])));
    seeds
}

#[test]
fn conversations() {
    const CALLS: usize = 3;
    const MEMORY: u64 = 4 << 20;
    let runtime = runtime();
    let vectors = vectors_of("request");
    let mut options = Options::default();
    options.limits.max_in_flight = 4;
    options.limits.max_uploads = 2;
    options.limits.drain_cap = 100_000;
    options.max_calls = CALLS;
    options.max_memory = MEMORY;
    let max_args = options.limits.max_args;
    options.devgcs = options.devgcs.bucket("photos");
    let daemon = runtime.block_on(Daemon::with(options));
    let fuzz = Fuzz {
        name: "server::conversations",
        inputs: 700,
        max_len: 400,
        seeds: seeds(),
        words: &[b"GCS?\x01", b"\x01\0\0\0\0\0\0", b"\x01\0\x03\0\0\x02\0"],
    };
    fuzz.run(|input| {
        let before = panics();
        let mut feed = Feed::new(input);
        let cut = usize::from(feed.byte());
        let bytes = conversation(&mut feed, &vectors);
        let sent = Stream::of(&bytes, max_args);
        let parts = match cut {
            0 => vec![bytes],
            _ => bytes.chunks(7 * cut).take(400).map(<[u8]>::to_vec).collect(),
        };
        let sent = match cut {
            0 => sent,
            _ => Stream::of(&parts.concat(), max_args),
        };
        let said = runtime.block_on(async {
            let replies = timeout(PATIENCE, converse(&daemon, parts)).await;
            let replies = replies.expect("the conversation comes to its end");
            returns(&daemon.memory, MEMORY).await;
            returns(&daemon.calls, CALLS as u64).await;
            replies
        });
        assert_eq!(panics(), before, "a task has panicked");
        judge(&sent, &said)
    });
    runtime.block_on(async {
        let left = async {
            while daemon.fences.uploads() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, left)
            .await
            .expect("no upload is held by a connection that has ended");
        daemon.stopped().await
    });
}
