//! What both sides of a faulty stream see, at each byte of a small conversation.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use gcsd_net::{BoxStream, Stream};

const REQUEST: &[u8] = b"please take it";
const REPLY: &[u8] = b"taken";

/// What became of the conversation "write REQUEST, read REPLY, end".
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// How the client's writes ended.
    sent: Result<(), io::ErrorKind>,
    /// What the client read.
    reply: Vec<u8>,
    /// How the client's reads ended; `Ok` is the end of the stream.
    replied: Result<(), io::ErrorKind>,
    /// What the server received.
    request: Vec<u8>,
    /// How the server's reads ended, or that its reply met a reset. It reads on after its reply.
    requested: Result<(), io::ErrorKind>,
}

/// The server: the whole request, then the reply, then whatever comes.
async fn serve(mut stream: BoxStream) -> (Vec<u8>, Result<(), io::ErrorKind>) {
    let mut request = Vec::new();
    let mut byte = [0; 64];
    loop {
        match stream.read(&mut byte).await {
            Ok(0) => return (request, Ok(())),
            Ok(count) => request.extend_from_slice(&byte[..count]),
            Err(error) => return (request, Err(error.kind())),
        }
        if request.len() == REQUEST.len() {
            // A reset is reported once, by whichever call comes first.
            if let Err(error) = stream.write_all(REPLY).await
                && error.kind() == io::ErrorKind::ConnectionReset
            {
                return (request, Err(error.kind()));
            }
        }
    }
}

async fn read_all<S: Stream>(stream: &mut S) -> (Vec<u8>, Result<(), io::ErrorKind>) {
    let mut bytes = vec![0; REPLY.len()];
    let mut count = 0;
    while count < bytes.len() {
        match stream.read(&mut bytes[count..]).await {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) => {
                bytes.truncate(count);
                return (bytes, Err(error.kind()));
            }
        }
    }
    bytes.truncate(count);
    (bytes, Ok(()))
}

async fn converse(
    client: BoxStream,
    server: JoinHandle<(Vec<u8>, Result<(), io::ErrorKind>)>,
    plan: &Plan,
) -> (Seen, Counts) {
    let counters = Arc::new(Counters::default());
    let mut client = FaultyStream::new(client, plan.script(0)).with_counters(Arc::clone(&counters));
    let sent = client.write_all(REQUEST).await.map_err(|error| error.kind());
    let (reply, replied) = read_all(&mut client).await;
    if replied.is_ok() && reply == REPLY {
        let _ = client.shutdown().await;
    }
    drop(client);
    let (request, requested) = server.await.expect("the server");
    let seen = Seen {
        sent,
        reply,
        replied,
        request,
        requested,
    };
    (seen, counters.snapshot())
}

async fn over_memory(plan: &Plan) -> (Seen, Counts) {
    let (client, server) = duplex(64);
    let server = tokio::spawn(serve(Box::new(server)));
    converse(Box::new(client), server, plan).await
}

async fn over_tcp(plan: &Plan) -> (Seen, Counts) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    client.set_nodelay(true).expect("an option");
    let server = tokio::spawn(serve(Box::new(server)));
    converse(Box::new(client), server, plan).await
}

/// What the plan's one cut must look like. `tcp`: whether the peer sees a reset as such.
fn expected(ending: Ending, phase: Phase, direction: Direction, at: usize, tcp: bool) -> Seen {
    let (write_fails, read_fails) = match ending {
        Ending::Reset => {
            let reset = Err(io::ErrorKind::ConnectionReset);
            (reset, reset)
        }
        Ending::Close => (Err(io::ErrorKind::BrokenPipe), Ok(())),
    };
    let peer = if tcp { read_fails } else { Ok(()) };
    let passed = at + usize::from(phase == Phase::After);
    match direction {
        Direction::Write => {
            let delivered = at + usize::from(phase != Phase::Before);
            let sent = if passed == REQUEST.len() {
                Ok(())
            } else {
                write_fails
            };
            Seen {
                sent,
                reply: Vec::new(),
                replied: read_fails,
                request: REQUEST[..delivered].into(),
                requested: peer,
            }
        }
        Direction::Read => Seen {
            sent: Ok(()),
            reply: REPLY[..passed].into(),
            // A reader that has everything asks for no more.
            replied: if passed == REPLY.len() { Ok(()) } else { read_fails },
            request: REQUEST.into(),
            requested: peer,
        },
    }
}

#[tokio::test]
async fn a_cut_is_seen_by_both_sides_at_each_byte() {
    for ending in [Ending::Reset, Ending::Close] {
        for phase in [Phase::Before, Phase::In, Phase::After] {
            for (direction, len) in [(Direction::Write, REQUEST.len()), (Direction::Read, REPLY.len())] {
                for at in 0..len {
                    let fault = Fault::Cut {
                        ending,
                        phase,
                        direction,
                        place: Place::At(at as u64),
                    };
                    let plan = Plan {
                        seed: 0,
                        rules: vec![fault.into()],
                    };
                    let (seen, counts) = over_memory(&plan).await;
                    assert_eq!(
                        seen,
                        expected(ending, phase, direction, at, false),
                        "{plan}, in memory"
                    );
                    assert_eq!((counts.total(), counts.of(fault.kind())), (1, 1), "{plan}");

                    let (mut seen, counts) = over_tcp(&plan).await;
                    let mut wanted = expected(ending, phase, direction, at, true);
                    if ending == Ending::Close {
                        // The reply meets a socket that is gone: whether the peer learns of that in time
                        // is open.
                        seen.requested = Ok(());
                        wanted.requested = Ok(());
                    }
                    assert_eq!(seen, wanted, "{plan}, over TCP");
                    assert_eq!((counts.total(), counts.of(fault.kind())), (1, 1), "{plan}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_lies_beyond_the_conversation_never_happens() {
    for plan in [
        "reset before write 14; reset in write 14; reset after write 14",
        "close before read 5; close in read 5; close after read 5",
        "flip write 14; flip read 5; stall write 14; stall read 5",
        "short write 1MiB p 0; refuse p 0; reset in read 0 on 1",
    ] {
        let (seen, counts) = over_memory(&plan.parse().expect("a plan")).await;
        assert_eq!(
            (seen.sent, seen.replied, seen.requested),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!((&seen.request[..], &seen.reply[..]), (REQUEST, REPLY), "{plan}");
        assert_eq!(counts.to_string(), "none", "{plan}");
    }
}

#[tokio::test]
async fn a_flip_changes_its_byte_alone() {
    for (direction, len) in [("write", REQUEST.len()), ("read", REPLY.len())] {
        for at in 0..len {
            for mask in [0x01, 0x80, 0xff] {
                let plan = format!("flip {direction} {at} mask {mask:#04x}");
                let (seen, counts) = over_memory(&plan.parse().expect("a plan")).await;
                let (mut request, mut reply) = (REQUEST.to_vec(), REPLY.to_vec());
                if direction == "write" {
                    request[at] ^= mask;
                } else {
                    reply[at] ^= mask;
                }
                assert_eq!((seen.request, seen.reply), (request, reply), "{plan}");
                assert_eq!(counts.to_string(), "1 flip");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_lasts_as_long_as_it_says_at_each_byte() {
    for (direction, len) in [("write", REQUEST.len()), ("read", REPLY.len())] {
        for at in 0..len {
            let plan = format!("stall {direction} {at} for 90s; stall {direction} {at} for 5s; short read 2");
            let start = tokio::time::Instant::now();
            let (seen, counts) = over_memory(&plan.parse().expect("a plan")).await;
            assert_eq!((&seen.request[..], &seen.reply[..]), (REQUEST, REPLY), "{plan}");
            // The timers' grain is a millisecond.
            assert!(
                (95_000..95_005).contains(&start.elapsed().as_millis()),
                "{:?}",
                start.elapsed()
            );
            assert_eq!(counts.of(FaultKind::Stall), 2);
        }
    }
}

#[tokio::test]
async fn a_byte_cut_midway_arrives_flipped() {
    let plan = "flip write 3 mask 0x20; reset in write 3"
        .parse()
        .expect("a plan");
    let (seen, counts) = over_memory(&plan).await;
    assert_eq!(
        (&seen.request[..], seen.sent),
        (&b"pleA"[..], Err(io::ErrorKind::ConnectionReset))
    );
    assert_eq!(counts.to_string(), "1 reset, 1 flip");
}
