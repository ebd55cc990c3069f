//! The accept loop of a listener.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{Shared, connection};

/// How long to wait after the system could not accept a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// One permit for each connection that may be open at once.
pub(super) fn permits(max_connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)))
}

/// Accepts until the server drains. A permit is acquired before a connection is accepted, so that surplus
/// connections wait in the kernel's backlog.
pub(super) async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    connections: TaskTracker,
) {
    let drain = shared.shutdown.drain.clone();
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let permit = permits.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = drain.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                debug!(%peer, "connection accepted");
                let shared = shared.clone();
                connections.spawn(async move {
                    connection::serve(stream, peer, shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}
