//! SIGTERM and SIGINT: the first asks a server to stop, the second ends it at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Failure, failed};
use super::stderr;

/// The exit code of a process that is ended by SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// The signals that stop a server.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes over the signals.
    pub(super) fn new() -> Result<Self, Failure> {
        let take =
            |kind| signal(kind).map_err(|error| failed(format!("the signals cannot be handled: {error}")));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    /// Resolves at the first signal.
    pub(super) async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            stderr::line("gcsd: a second signal: ending at once");
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
