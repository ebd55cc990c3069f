//! The admin listener: what an operator sees of a running daemon, and does with it. HTTP/1.1.
//!
//! | | |
//! | --- | --- |
//! | `GET /` | the status page |
//! | `GET /status` | the same as JSON |
//! | `GET /metrics` | metrics, as OpenMetrics text |
//! | `GET /livez`, `/startupz`, `/readyz` | 200 where it lives, has started, takes clients; else 503 |
//! | `POST /drain` | stop, as SIGTERM does |
//! | `POST /reload` | read settings and secrets again, as SIGHUP does |
//! | `POST /log?filter=FILTER` | log by another filter |
//!
//! Nothing is authenticated here but by the socket: loopback, or the mode of a Unix socket's file. So a browser must not be
//! talked into it: a `Host` that is a name is refused, unless it was permitted, since any name can be made to lead here; and a
//! change is refused where a page of another origin asks for it.

mod guard;
mod listener;
mod page;
mod routes;
mod status;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use guard::Guard;
pub use listener::{Address, AddressError, Listener};
pub use status::{RequestRow, Share, Status, UploadRow};

use crate::server::Handle;

/// Connections at once; further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take in all: a reload reads files, and a slow reader takes its time.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes. Bodies are not read.
const MAX_HEAD: usize = 16 * 1024;
/// How long to wait after the system could not accept a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What an operator can change.
pub trait Controls: Send + Sync + 'static {
    /// Reads settings and secrets again, and takes all of them up or none. May block. Fails with what is wrong, in one line.
    fn reload(&self) -> Result<(), String>;

    /// Logs by another filter from now on. Fails with what is wrong with it.
    fn set_log_filter(&self, filter: &str) -> Result<(), String>;
}

/// What requests can use.
struct State {
    handle: Handle,
    controls: Arc<dyn Controls>,
    guard: Guard,
}

/// Serves `listener` until `stop` is cancelled. Requests by one of `names`, beside IP addresses and `localhost`, are let in.
pub async fn run(
    listener: Listener,
    names: Vec<String>,
    handle: Handle,
    controls: Arc<dyn Controls>,
    stop: CancellationToken,
) {
    let state = Arc::new(State {
        handle,
        controls,
        guard: Guard::new(names, listener.is_unix()),
    });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(stream) => {
                let state = state.clone();
                tokio::spawn(async move {
                    serve(stream, state).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "connections to the admin listener cannot be accepted");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// Answers one request, and closes.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, std::convert::Infallible>(routes::answer(&state, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a request to the admin listener failed"),
        Err(_) => debug!("a connection to the admin listener took too long"),
    }
}
