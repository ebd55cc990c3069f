//! One connection to a daemon.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::address::Address;
use super::body::Body;
use super::error::{Error, RequestError};
use super::in_flight::{Attention, InFlight, Waiter, Whole};
use super::lost::Reason;
use super::options::Options;
use super::watched::Watched;
use super::{receiving, sending};
use gcsd_net::{BoxStream, Connector};
use gcsd_wire::check::CHECK_LEN;
use gcsd_wire::head::{CHECKED, STREAMED};
use gcsd_wire::{MAX_BODY_LEN, Opcode, RequestHead, VERSION, WireArgs, hello};

/// A successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// Its args.
    pub args: T,
    /// Its body: GCS's JSON, where the reply has any.
    pub json: Bytes,
}

/// A connection to a daemon, on which any number of requests can be in flight. Clones share it.
///
/// Requests are sent in the order in which their futures are first polled; replies come in any order. A
/// request waits for its turn while [`Options::max_in_flight`] others are in flight, and behind the body
/// that is being sent.
///
/// When the connection is over, every request on it fails with [`Error::Connection`], which says why and
/// whether the request had left. It does not come back: open another one. Dropping the last clone ends
/// it at once.
///
/// # Cancellation safety
///
/// Dropping the future of a request before its turn means that it is not sent. What becomes of it later depends on what it
/// asks for:
///
/// * What only looks (reads, lists, stats, the parts of a multipart upload) is cancelled (section 3.3 of the specification):
///   the daemon ends its call to GCS, and the connection lives.
/// * What changes something is carried out; only its reply is given up. To cut it in the middle would leave unknown whether it
///   happened, with nobody there to look.
/// * In the middle of a body the connection ends, since a frame that was begun cannot be taken back (the daemon cuts the PUT,
///   and the upload can be taken up on another connection by its token). A body [without a length](Body::streamed) can be
///   taken back, and is: the connection lives.
///
/// # Early replies
///
/// The daemon can refuse a WriteAt before it has all of the body. The error is returned at once. If the
/// reply says that the daemon reads no further (`closing`), sending stops there and the connection takes
/// no more requests. If not, the rest is at most the daemon's drain cap: it is sent, because that is
/// cheaper than another connection, and the daemon throws it away. A body without a length is taken back
/// instead.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// use gcsd_client::{Connection, Daemons};
///
/// let mut daemons: Daemons = address.parse()?;
/// let connection: Connection = daemons.connect().await?;
/// let reply = connection.ping("hello?".into()).await?;
/// assert_eq!(reply.args.echo, "hello?");
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    in_flight: Arc<InFlight>,
    permits: Arc<Semaphore>,
    max_args: u32,
    upload: AtomicU32,
    tasks: [AbortHandle; 2],
}

impl Drop for Handle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("over", &self.handle.in_flight.reason())
            .finish_non_exhaustive()
    }
}

/// Gives a request up when dropped, unless it is answered.
#[derive(Debug)]
pub(super) struct Interest {
    in_flight: Arc<InFlight>,
    attention: Arc<Attention>,
    sequence: u64,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.attention.abandon() {
            self.in_flight.give_up(self.sequence);
        }
    }
}

/// Opens a stream to the daemon at `address`.
async fn dial(connector: &dyn Connector, address: &Address, options: &Options) -> io::Result<BoxStream> {
    let limit = options.connect_timeout;
    match address {
        Address::Tcp { host, port } => connector.connect_within(host, *port, limit).await,
        Address::Tls { host, port } => dial_tls(connector, host, *port, options).await,
        // That a Unix socket's queue is full is an error at once.
        Address::Unix(path) => connector.connect_unix(path).await,
    }
}

#[cfg(feature = "tls")]
async fn dial_tls(
    connector: &dyn Connector,
    host: &str,
    port: u16,
    options: &Options,
) -> io::Result<BoxStream> {
    let Some(tls) = &options.tls else {
        return Err(no_tls("Options::tls says not whom to trust"));
    };
    let limit = options.connect_timeout;
    let end = tokio::time::Instant::now() + limit;
    let stream = connector.connect_within(host, port, limit).await?;
    // In a box, for callers that hold many futures.
    let shaken = tokio::time::timeout_at(end, Box::pin(tls.handshake(host, stream))).await;
    shaken.unwrap_or_else(|_| {
        let problem = format!("no TLS handshake within {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    })
}

#[cfg(not(feature = "tls"))]
async fn dial_tls(
    _connector: &dyn Connector,
    _host: &str,
    _port: u16,
    _options: &Options,
) -> io::Result<BoxStream> {
    Err(no_tls("gcsd-client was built without its feature 'tls'"))
}

fn no_tls(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

impl Connection {
    /// Connects to the daemon at `address`, and says Hello if there is a secret to prove, or checked frames to agree on.
    pub async fn open(
        connector: &dyn Connector,
        address: &Address,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut stream = dial(connector, address, options).await.map_err(|error| {
            let (address, error) = (address.clone(), error.into());
            Reason::Connect { address, error }.lost(false)
        })?;
        stream.set_user_timeout(gcsd_net::backstop(options.stall));
        let connection = Self::over(stream, options);
        if options.secret.is_some() || options.checked {
            let hello = hello::HelloArgs {
                features: hello::CHECKED,
                ..Self::greeting(options.secret.clone().unwrap_or_default())
            };
            connection.hello(&hello).await?;
        }
        Ok(connection)
    }

    /// Whether it takes no more requests.
    pub fn is_over(&self) -> bool {
        self.handle.in_flight.reason().is_some()
    }

    /// A connection over a stream that is connected already. Nothing is sent until the first request.
    pub fn over(stream: BoxStream, options: &Options) -> Self {
        let (requests, outgoing) = mpsc::unbounded_channel();
        let in_flight = Arc::new(InFlight::new(requests));
        let stream = Watched::new(stream, in_flight.clone());
        let (read_half, write_half) = tokio::io::split(stream);
        let sending = tokio::spawn(sending::run(write_half, outgoing, in_flight.clone()));
        let receiving = tokio::spawn(receiving::run(read_half, in_flight.clone(), options.stall));
        Self {
            handle: Arc::new(Handle {
                in_flight,
                permits: Arc::new(Semaphore::new(options.max_in_flight.max(1))),
                max_args: options.max_args,
                upload: AtomicU32::new(0),
                tasks: [sending.abort_handle(), receiving.abort_handle()],
            }),
        }
    }

    /// The Hello of this crate.
    pub fn greeting(secret: Bytes) -> hello::HelloArgs {
        hello::HelloArgs {
            min_version: VERSION,
            max_version: VERSION,
            secret,
            ..hello::HelloArgs::default()
        }
    }

    /// Whether `other` is a clone of it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    /// An upload id that this connection has not given out before.
    pub fn new_upload(&self) -> u32 {
        let last = self.handle.upload.fetch_add(1, Ordering::Relaxed);
        // They repeat after 2^32 - 1; 0 is not an id.
        last.wrapping_add(1).max(1)
    }

    /// Why the connection takes no further request; `None` while it does.
    pub fn reason(&self) -> Option<Reason> {
        self.handle.in_flight.reason()
    }

    /// Sends what is waiting, half-closes, and waits for the replies that are due.
    ///
    /// Other clones can make no further request, even if the future is dropped.
    pub async fn close(&self) {
        self.handle.in_flight.finish();
        self.handle.in_flight.ended.cancelled().await;
    }

    /// Returns when the connection is over and nothing is in flight any more.
    pub async fn ended(&self) {
        self.handle.in_flight.ended.cancelled().await;
    }

    /// The error of a request that was in flight when the connection ended.
    pub(super) fn lost(&self) -> Error {
        self.reason().unwrap_or(Reason::Closed).lost(true)
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn call(
        &self,
        opcode: Opcode,
        upload: u32,
        args: &impl WireArgs,
        body: Body,
    ) -> Result<Whole, Error> {
        let (waiter, answer) = oneshot::channel();
        let _interest = self
            .enqueue(opcode, upload, args, body, Waiter::Whole(waiter))
            .await?;
        let answer = answer.await.unwrap_or_else(|_| Err(self.lost()));
        answer.map_err(|error| match self.is_over() {
            true => error.with_connection_over(),
            false => error,
        })
    }

    /// Queues a request as soon as it may be in flight.
    pub(super) async fn enqueue(
        &self,
        opcode: Opcode,
        upload: u32,
        args: &impl WireArgs,
        body: Body,
        waiter: Waiter,
    ) -> Result<Interest, Error> {
        let args = args.to_bytes();
        let args_len = args.len() + CHECK_LEN;
        let max = self.handle.max_args;
        if !u32::try_from(args_len).is_ok_and(|len| len <= max) {
            return Err(Error::Request(RequestError::ArgsTooLarge { len: args_len, max }));
        }
        let (flags, len) = body.len.map_or((STREAMED, 0), |len| (0, len));
        let body_len = u64::try_from(len)
            .ok()
            .filter(|len| *len <= MAX_BODY_LEN)
            .ok_or(Error::Request(RequestError::BodyTooLarge(len)))?;
        let permits = self.handle.permits.clone();
        let permit = tokio::select! {
            biased;
            permit = permits.acquire_owned() => permit.ok(),
            () = self.handle.in_flight.over.cancelled() => None,
        };
        let Some(permit) = permit else {
            return Err(self.reason().unwrap_or(Reason::Closed).lost(false));
        };
        let front = |sequence| {
            let head = RequestHead {
                opcode: opcode as u8,
                flags: flags | CHECKED,
                sequence,
                upload,
                args_len: 0,
                body_len,
            };
            head.front(&args)
        };
        let in_flight = self.handle.in_flight.clone();
        let (sequence, attention) = in_flight.enqueue(opcode, front, body, waiter, permit)?;
        Ok(Interest {
            in_flight,
            attention,
            sequence,
        })
    }
}
