//! The daemon's end of a connection, played by a test.

use bytes::{Buf as _, Bytes, BytesMut};
use gcsd_client::{Connection, Error, Options, Reason};
use gcsd_net::{BoxStream, Stream};
use gcsd_types::Crc32c;
use gcsd_wire::codec::RequestCodec;
use gcsd_wire::head::{CHECKED, CLOSING, MORE};
use gcsd_wire::progress::Progress;
use gcsd_wire::{
    self, ErrorReply, Opcode, ReplyHead, Request, RequestHead, Status, WireArgs as _, ping, write_at,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder as _;

/// What a test reads and writes as a daemon.
pub(crate) struct Daemon {
    stream: BoxStream,
    buffer: BytesMut,
}

/// A client's connection over TCP, and the daemon's end of it.
pub(crate) async fn pair(options: &Options) -> (Connection, Daemon) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let daemon = Daemon::accept(&listener).await;
    (Connection::over(Box::new(client) as BoxStream, options), daemon)
}

/// A client's connection in memory, and the daemon's end of it: for tests with a paused clock, which moves on exactly
/// when nothing else can happen.
pub(crate) fn pair_in_memory(options: &Options) -> (Connection, Daemon) {
    let (client, daemon) = tokio::io::duplex(64 * 1024);
    (
        Connection::over(Box::new(client) as BoxStream, options),
        Daemon::over(daemon),
    )
}

impl Daemon {
    fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: BytesMut::new(),
        }
    }

    /// The next connection of `listener`.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a live socket");
        Self::over(stream)
    }

    /// The next request, without its body; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(RequestHead, Request)> {
        let mut codec = RequestCodec {
            max_args: 1 << 20,
            checked: false,
        };
        loop {
            if let Some(frame) = codec.decode(&mut self.buffer).expect("a request") {
                let opcode = Opcode::from_code(frame.head.opcode).expect("a known opcode");
                let args = frame.args.expect("args that are not too long");
                return Some((frame.head, Request::decode(opcode, args).expect("good args")));
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "the stream ended inside a request");
                return None;
            }
        }
    }

    /// The next request, without its body.
    pub(crate) async fn request(&mut self) -> (RequestHead, Request) {
        self.next().await.expect("a request")
    }

    /// `len` bytes of a body.
    pub(crate) async fn body(&mut self, len: u64) -> Vec<u8> {
        let len = usize::try_from(len).expect("a short body");
        while self.buffer.len() < len {
            assert!(self.fill().await, "the stream ended inside a body");
        }
        self.buffer.split_to(len).to_vec()
    }

    /// Reads to the end of the stream, and says how many bytes there were.
    pub(crate) async fn rest(&mut self) -> usize {
        let mut count = 0;
        loop {
            count += self.buffer.len();
            self.buffer.clear();
            if !self.fill().await {
                return count;
            }
        }
    }

    /// Whether the client is silent until nothing can happen any more but by a clock, which must be paused.
    pub(crate) async fn hears_nothing(&mut self) -> bool {
        let quiet = tokio::time::Duration::from_millis(1);
        tokio::time::timeout(quiet, self.next()).await.is_err()
    }

    /// Sends a frame of a successful reply.
    pub(crate) async fn reply(&mut self, sequence: u64, flags: u16, reply: gcsd_wire::Reply, body: &[u8]) {
        let head = ReplyHead {
            opcode: reply.opcode() as u8,
            flags: flags | CHECKED,
            sequence,
            status: Status::OK,
            http_status: 0,
            args_len: 0,
            body_len: body.len() as u64,
        };
        self.raw(&[&head.front(&reply.to_bytes()), body].concat()).await;
    }

    /// Sends an error.
    pub(crate) async fn error(
        &mut self,
        of: &RequestHead,
        flags: u16,
        status: Status,
        committed: Option<u64>,
    ) {
        let args = ErrorReply {
            committed,
            message: "as scripted".into(),
            ..ErrorReply::default()
        }
        .to_bytes();
        let head = ReplyHead {
            opcode: of.opcode,
            flags: flags | (of.flags & CHECKED),
            sequence: of.sequence,
            status,
            http_status: 0,
            args_len: 0,
            body_len: 0,
        };
        self.raw(&head.front(&args)).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("a client that reads");
    }

    async fn fill(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        self.stream
            .read_buf(&mut self.buffer)
            .await
            .is_ok_and(|count| count > 0)
    }
}

/// The bytes of a reply's head.
pub(crate) fn head(
    opcode: u8,
    flags: u16,
    sequence: u64,
    status: Status,
    args_len: usize,
    body_len: usize,
) -> [u8; gcsd_wire::HEAD_LEN] {
    assert_eq!(flags & !(MORE | CLOSING), 0);
    ReplyHead {
        opcode,
        flags,
        sequence,
        status,
        http_status: 0,
        args_len: u32::try_from(args_len).expect("short args"),
        body_len: body_len as u64,
    }
    .encode()
}

/// `len` bytes that differ from place to place.
pub(crate) fn bytes(len: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(len + 8);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.rotate_left(29).to_le_bytes());
    }
    let mut bytes = bytes.freeze();
    let extra = bytes.len() - len;
    bytes.advance(extra);
    bytes
}

/// The reply to a ping.
pub(crate) fn pong(echo: &'static [u8]) -> gcsd_wire::Reply {
    gcsd_wire::Reply::Ping(ping::Args {
        echo: Bytes::from_static(echo),
    })
}

/// A range from `offset` that is not the last.
pub(crate) fn at(offset: u64) -> write_at::Args {
    write_at::Args {
        offset,
        ..write_at::Args::default()
    }
}

/// The reply to a WriteAt of an upload's first bytes.
pub(crate) fn written(received: &[u8]) -> gcsd_wire::Reply {
    gcsd_wire::Reply::WriteAt(Progress {
        committed: received.len() as u64,
        received: received.len() as u64,
        received_crc32c: Crc32c::of(received),
        object: None,
    })
}

/// The reason of a lost connection, and whether the request had left.
pub(crate) fn lost<T: std::fmt::Debug>(result: Result<T, Error>) -> (Reason, bool) {
    match result {
        Err(Error::Connection(lost)) => (lost.reason, lost.sent),
        other => panic!("not a lost connection: {other:?}"),
    }
}

/// What a daemon answers to a Hello.
pub(crate) fn welcome() -> gcsd_wire::Reply {
    gcsd_wire::Reply::Hello(gcsd_wire::hello::Reply {
        version: gcsd_wire::VERSION,
        features: 0,
        max_args: gcsd_wire::DEFAULT_MAX_ARGS,
        max_in_flight: 64,
        max_uploads: 64,
        alignment: 262_144,
        drain_cap: 1 << 20,
        idle_timeout_ms: 0,
        client_timeout_ms: 60_000,
        gcs_timeout_ms: 60_000,
        handshake_timeout_ms: 0,
        server: "scripted".into(),
    })
}
