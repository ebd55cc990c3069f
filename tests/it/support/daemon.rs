//! A daemon in front of devgcs, both in this process, and a client that speaks raw frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gcsd::ops::{Budget, Context, Fences, Limits, Sealer, Secret};
use gcsd::policy::{Access, Policy};
use gcsd::server::{self, Listener, Server, Stopped};
use gcsd::stats::Stats;
use gcsd_gcs::{self, Gcs};
use gcsd_net::{SharedConnector, TcpConnector};
use gcsd_types::{Destination, ObjectRef};
use gcsd_wire::{
    self, ErrorReply, Kind, Opcode, Reply, ReplyHead, Request, RequestHead, Retry, Status, WireArgs,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::peer::Peer;

/// Longer than anything takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The bucket that every test's devgcs has.
pub(crate) const BUCKET: &str = "bucket";

/// How a test's daemon differs from the usual one.
pub(crate) struct Options {
    pub(crate) limits: Limits,
    pub(crate) grace: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_calls: usize,
    pub(crate) max_memory: u64,
    pub(crate) refusal_delay: Duration,
    pub(crate) drain_delay: Duration,
    pub(crate) secret: Option<&'static str>,
    /// The table `[policy]`, as JSON.
    pub(crate) policy: Option<serde_json::Value>,
    pub(crate) endpoint: Option<String>,
    pub(crate) key: char,
    /// What the daemon dials GCS through.
    pub(crate) connector: SharedConnector,
    pub(crate) devgcs: devgcs::Builder,
    /// What it listens on beside its plain port.
    pub(crate) listeners: Vec<Listener>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits {
                max_args: gcsd_wire::DEFAULT_MAX_ARGS,
                max_in_flight: 64,
                max_uploads: 1024,
                drain_cap: 1 << 20,
                handshake_timeout: PATIENCE,
                idle_timeout: Duration::ZERO,
                client_timeout: PATIENCE,
                gcs_timeout: PATIENCE,
            },
            grace: PATIENCE,
            max_connections: 1000,
            max_calls: 1000,
            max_memory: 1 << 30,
            refusal_delay: Duration::ZERO,
            drain_delay: Duration::ZERO,
            secret: None,
            policy: None,
            endpoint: None,
            key: 'a',
            connector: Arc::new(TcpConnector),
            devgcs: devgcs::Server::builder().bucket(BUCKET),
            listeners: Vec::new(),
        }
    }
}

impl Options {
    /// The usual daemon in front of a GCS that fails by this plan.
    pub(crate) fn failing(faults: &str) -> Self {
        let mut options = Self::default();
        options.devgcs = options.devgcs.faults(faults);
        options
    }
}

/// A running daemon and the server behind it.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) devgcs: devgcs::Server,
    /// Who holds which upload.
    pub(crate) fences: Fences,
    /// Who may do what.
    pub(crate) access: Access,
    /// What requests hold, in bytes.
    pub(crate) memory: Budget,
    /// The calls to GCS.
    pub(crate) calls: Budget,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Stopped>,
}

impl Daemon {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let devgcs = options.devgcs.start().await.expect("devgcs starts");
        let endpoint = options.endpoint.unwrap_or_else(|| devgcs.endpoint());
        let mut config = gcsd_gcs::Config::anonymous(endpoint.parse().expect("an endpoint"));
        config.ca_file = devgcs.ca_file().map(Into::into);
        config.stall_timeout = options.limits.gcs_timeout;
        config.source_timeout = options.limits.client_timeout;
        config.connect_timeout = options.limits.gcs_timeout;
        let stats = Arc::new(Stats::default());
        config.observer = Some(stats.clone());
        let fences = Fences::default();
        let access = Access::new(options.policy.map(policy));
        let context = Context {
            gcs: Gcs::new(config, options.connector).expect("a client"),
            sealer: Sealer::from_text(&String::from_iter([options.key; 64])).expect("a key"),
            fences: fences.clone(),
            limits: options.limits,
            secret: options.secret.map(Secret::new),
            access: access.clone(),
        };
        let config = server::Config {
            max_connections: options.max_connections,
            max_calls: options.max_calls,
            max_memory: options.max_memory,
            read_buffer: 256 * 1024,
            receive_buffer: 128 * 1024,
            grace: options.grace,
            refusal_delay: options.refusal_delay,
            drain_delay: options.drain_delay,
        };
        let listener = TcpListener::bind(any).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut listeners = options.listeners;
        listeners.push(listener.into());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::counting(context, config, listeners, stats);
        let (memory, calls) = server.budgets();
        let task = tokio::spawn(server.run(async move {
            // Dropping the sender stops it, too.
            let _ = stopped.await;
        }));
        Self {
            address,
            devgcs,
            fences,
            access,
            memory,
            calls,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await;
        Client::over(stream.expect("the daemon listens"))
    }

    /// Asks the daemon to stop, without waiting for it.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Stops the daemon, and waits until it has.
    pub(crate) async fn stopped(mut self) -> Stopped {
        self.drain().await
    }

    /// Stops the daemon, which can be done once, and waits until it has; its devgcs lives on.
    pub(crate) async fn drain(&mut self) -> Stopped {
        self.stop();
        timeout(2 * PATIENCE, &mut self.task)
            .await
            .expect("it stops")
            .expect("without a panic")
    }

    /// The bytes of an object, which must be there.
    pub(crate) async fn object(&self, name: &str) -> Vec<u8> {
        self.devgcs
            .object_bytes(BUCKET, name)
            .await
            .expect("the object is there")
    }

    pub(crate) fn has_object(&self, name: &str) -> bool {
        self.devgcs.object(BUCKET, name).is_some()
    }
}

/// The policy that this table is.
pub(crate) fn policy(table: serde_json::Value) -> Policy {
    let config = serde_json::from_value(table).expect("a table");
    Policy::new(config).expect("a policy")
}

/// A daemon whose GCS is this peer.
pub(crate) async fn behind(peer: &Peer) -> Daemon {
    Daemon::with(Options {
        endpoint: Some(format!("http://{}", peer.address())),
        ..Options::default()
    })
    .await
}

/// A frame of a reply, whole.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) head: ReplyHead,
    pub(crate) args: Bytes,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// The args, which must be those of a success.
    pub(crate) fn ok(&self) -> Reply {
        assert!(
            self.head.status.is_ok(),
            "{:?}: {}",
            self.head.status,
            self.error().message
        );
        let opcode = Opcode::from_code(self.head.opcode).expect("a known opcode");
        Reply::decode(opcode, self.verified()).expect("well-formed args")
    }

    /// The progress that a successful reply tells.
    pub(crate) fn progress(&self) -> gcsd_wire::progress::Progress {
        match self.ok() {
            Reply::WriteAt(progress) | Reply::QueryUpload(progress) | Reply::FinishUpload(progress) => {
                progress
            }
            other => panic!("no progress: {other:?}"),
        }
    }

    /// The args of an error.
    pub(crate) fn error(&self) -> ErrorReply {
        ErrorReply::decode(self.verified()).expect("well-formed args")
    }

    /// The args without their checksum, which must be theirs.
    fn verified(&self) -> Bytes {
        match self.head.checked() {
            true => gcsd_wire::check::verify(&self.head.encode(), &self.args).expect("the checksum holds"),
            false => self.args.clone(),
        }
    }

    /// Whether the daemon's clock ran out on GCS, which a busy machine can bring about.
    pub(crate) fn stalled(&self) -> bool {
        matches!(
            self.head.status.kind(),
            Some(Kind::GcsStalled | Kind::ConnectFailed)
        )
    }

    /// Checks that this is the error `kind` with the class `retry`.
    #[track_caller]
    pub(crate) fn fails(&self, kind: Kind, retry: Retry) -> ErrorReply {
        let expected = Status::new(kind, retry);
        let message = if self.head.status.is_ok() {
            String::new()
        } else {
            self.error().message
        };
        assert_eq!(self.head.status, expected, "{message}");
        assert!(
            !message.is_empty() && !message.contains('\n') && !message.contains("upload_id="),
            "{message}"
        );
        self.error()
    }
}

/// A connection whose every byte the test decides.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    sequence: u64,
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, sequence: 0 }
    }

    /// Sends a request's head and args, and announces `body_len` bytes. Returns its sequence.
    pub(crate) async fn begin(&mut self, upload: u32, request: &Request, body_len: u64) -> u64 {
        self.head_and_args(upload, request, 0, body_len).await
    }

    /// Sends the head and args of a request whose body comes in pieces. Returns its sequence.
    pub(crate) async fn begin_streamed(&mut self, upload: u32, request: &Request) -> u64 {
        self.head_and_args(upload, request, gcsd_wire::head::STREAMED, 0)
            .await
    }

    async fn head_and_args(&mut self, upload: u32, request: &Request, flags: u16, body_len: u64) -> u64 {
        self.sequence += 1;
        let args = request.to_bytes();
        let args_len = u32::try_from(args.len()).expect("small args");
        let opcode = request.opcode() as u8;
        let head = RequestHead {
            opcode,
            flags,
            sequence: self.sequence,
            upload,
            args_len,
            body_len,
        };
        // In one write: the daemon's clock for the args does not start before they are there.
        self.raw(&[&head.encode()[..], &args].concat()).await;
        self.sequence
    }

    /// Sends the head and args of a checked request. Returns its sequence.
    pub(crate) async fn begin_checked(&mut self, upload: u32, request: &Request, flags: u16) -> u64 {
        self.sequence += 1;
        let front = checked(self.sequence, upload, request, flags);
        self.raw(&front).await;
        self.sequence
    }

    /// Agrees with the daemon that all frames are checked.
    pub(crate) async fn agree_checked(&mut self) {
        let hello = gcsd_wire::hello::Args {
            min_version: 1,
            max_version: 1,
            features: gcsd_wire::hello::CHECKED,
            ..gcsd_wire::hello::Args::default()
        };
        match self.call(0, Request::Hello(hello)).await.ok() {
            Reply::Hello(hello) => assert_eq!(hello.features, gcsd_wire::hello::CHECKED),
            other => panic!("{other:?}"),
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("in time")
            .expect("the daemon takes it");
    }

    /// Sends a request without a body and waits for a frame.
    pub(crate) async fn call(&mut self, upload: u32, request: Request) -> Frame {
        let sequence = self.begin(upload, &request, 0).await;
        self.reply_to(sequence).await
    }

    /// Starts an upload of unknown size; returns its token.
    pub(crate) async fn start(&mut self, upload: u32, object: &str) -> String {
        match self.call(upload, start_upload(object)).await.ok() {
            Reply::StartUpload(reply) => reply.token,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a request again, until the clock of a daemon in a hurry does not run out on it.
    pub(crate) async fn at_last(&mut self, upload: u32, request: &Request) -> Frame {
        for _ in 0..1000 {
            let sequence = self.begin(upload, request, 0).await;
            let reply = self.reply_to(sequence).await;
            if !reply.stalled() {
                return reply;
            }
        }
        panic!("the clock always runs out");
    }

    /// Starts an upload of unknown size, however often the clock of a daemon in a hurry runs out on it; returns its id.
    pub(crate) async fn start_at_last(&mut self, object: &str) -> u32 {
        for upload in 1..1000 {
            let reply = self.call(upload, start_upload(object)).await;
            if !reply.stalled() {
                reply.ok();
                return upload;
            }
        }
        panic!("the clock always runs out");
    }

    /// Writes a whole range and waits for the reply.
    pub(crate) async fn write(&mut self, upload: u32, offset: u64, total: Option<u64>, body: &[u8]) -> Frame {
        let sequence = self
            .begin(upload, &write_at(offset, total), body.len() as u64)
            .await;
        self.raw(body).await;
        self.reply_to(sequence).await
    }

    /// Puts a whole object.
    pub(crate) async fn put(&mut self, upload: u32, object: &str, body: &[u8]) {
        self.start(upload, object).await;
        let reply = self.write(upload, 0, Some(body.len() as u64), body).await;
        assert!(reply.progress().object.is_some());
    }

    /// The next frame, which must be a reply to `sequence`.
    pub(crate) async fn reply_to(&mut self, sequence: u64) -> Frame {
        let frame = self.frame().await.expect("a reply");
        assert_eq!(frame.head.sequence, sequence);
        frame
    }

    /// The next frame, or `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        timeout(PATIENCE, async {
            let mut head = [0; gcsd_wire::HEAD_LEN];
            if let Err(error) = self.stream.read_exact(&mut head).await {
                eprintln!("no further frame: {error}");
                return None;
            }
            let head = ReplyHead::decode(&head).expect("a good head");
            let mut args = vec![0; usize::try_from(head.args_len).expect("small")];
            self.stream.read_exact(&mut args).await.expect("the args");
            let mut body = vec![0; usize::try_from(head.body_len).expect("small")];
            self.stream.read_exact(&mut body).await.expect("the body");
            Some(Frame {
                head,
                args: args.into(),
                body,
            })
        })
        .await
        .expect("a reply in time")
    }

    /// Checks that the daemon has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let read = timeout(PATIENCE, self.stream.read(&mut [0]))
            .await
            .expect("in time");
        assert!(
            matches!(read, Ok(0) | Err(_)),
            "the connection should be closed: {read:?}"
        );
    }

    /// Says that no request will follow.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("the stream is open");
    }

    /// Checks that the connection is alive and nothing else is under way on it.
    pub(crate) async fn lives(&mut self) {
        let echo = Bytes::from_static(b"alive?");
        let reply = self
            .call(0, Request::Ping(gcsd_wire::ping::Args { echo: echo.clone() }))
            .await;
        assert_eq!(reply.ok(), Reply::Ping(gcsd_wire::ping::Args { echo }));
    }
}

/// The head and args of a checked request.
pub(crate) fn checked(sequence: u64, upload: u32, request: &Request, flags: u16) -> Vec<u8> {
    let head = RequestHead {
        opcode: request.opcode() as u8,
        flags: flags | gcsd_wire::head::CHECKED,
        sequence,
        upload,
        args_len: 0,
        body_len: 0,
    };
    head.front(&request.to_bytes()).to_vec()
}

/// A StartUpload of `object`.
pub(crate) fn start_upload(object: &str) -> Request {
    Request::StartUpload(gcsd_wire::start_upload::Args::new(
        BUCKET.parse().expect("a name"),
        object.parse().expect("a name"),
    ))
}

/// A WriteAt.
pub(crate) fn write_at(offset: u64, total: Option<u64>) -> Request {
    Request::WriteAt(gcsd_wire::write_at::Args {
        offset,
        total,
        ..gcsd_wire::write_at::Args::default()
    })
}

/// A PutObject.
pub(crate) fn put_object(object: &str) -> gcsd_wire::put_object::Args {
    gcsd_wire::put_object::Args {
        destination: gcsd_types::Destination::new(
            BUCKET.parse().expect("a name"),
            object.parse().expect("a name"),
        ),
        body_crc32c: None,
    }
}

/// A FinishUpload.
pub(crate) fn finish_upload(total: u64) -> Request {
    Request::FinishUpload(gcsd_wire::finish_upload::Args {
        total,
        object_crc32c: None,
    })
}

/// An AttachUpload.
pub(crate) fn attach(token: &str) -> Request {
    Request::AttachUpload(gcsd_wire::attach_upload::Args {
        token: token.to_owned(),
        key: None,
    })
}

/// A QueryUpload.
pub(crate) fn query_upload() -> Request {
    Request::QueryUpload(gcsd_wire::args::Empty)
}

/// A CancelUpload.
pub(crate) fn cancel_upload() -> Request {
    Request::CancelUpload(gcsd_wire::args::Empty)
}

/// An object, as StatObject and ReadAt name it.
pub(crate) fn object_ref(object: &str) -> ObjectRef {
    ObjectRef::new(BUCKET.parse().expect("a name"), object.parse().expect("a name"))
}

/// An object to be made.
pub(crate) fn destination(object: &str) -> Destination {
    Destination::new(BUCKET.parse().expect("a name"), object.parse().expect("a name"))
}

/// Bytes that tell each position from its neighbours.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((at.wrapping_mul(2_654_435_761) >> 13) & 0xff).expect("a byte"))
        .collect()
}
