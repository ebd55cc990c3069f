//! Signals: the first one asks a process to stop, the second one ends it at once.
//!
//! SIGINT, SIGTERM and SIGHUP are such signals, unless SIGHUP was ignored from the start, as `nohup` has it. To the daemon, SIGHUP
//! means that it read its settings again, unless it has a terminal, which is closed then. SIGUSR1 and
//! SIGUSR2, which would kill a process that knows nothing of them, do nothing.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure, failed};
use super::stderr;

/// How long a command may clear up after a signal. It is there for what blocks for ever, such as a mount whose server is
/// gone: throwing uploads away has budgets of its own, which are shorter.
const CLEARING: Duration = Duration::from_secs(60);

/// The signals that end a process; the last one may mean something else to a daemon.
const ENDS: [fn() -> SignalKind; 3] = [SignalKind::interrupt, SignalKind::terminate, SignalKind::hangup];

fn cannot(error: std::io::Error) -> Failure {
    failed(format!("the signals cannot be handled: {error}"))
}

/// The signals that stop a server.
pub(super) struct Signals {
    stopped: CancellationToken,
}

impl Signals {
    /// Takes over the signals. Between the first and the second one, a server takes the time it needs.
    pub(super) fn new() -> Result<Self, Failure> {
        Self::take(std::future::pending(), &ENDS)
    }

    /// Takes over the signals for a daemon, with SIGHUP beside them, where that does not end it: without a terminal.
    pub(super) fn of_daemon() -> Result<(Self, Option<Signal>), Failure> {
        let hangup = SignalKind::hangup();
        if std::fs::File::open("/dev/tty").is_ok() || is_ignored(hangup) {
            return Ok((Self::new()?, None));
        }
        let signals = Self::take(std::future::pending(), &ENDS[..2])?;
        Ok((signals, Some(signal(hangup).map_err(cannot)?)))
    }

    /// Resolves at the first signal.
    pub(super) async fn first(self) {
        self.stopped.cancelled_owned().await;
    }

    /// Takes over the signals. After the first one, the process ends at the second, or when `patience` resolves.
    fn take(
        patience: impl Future<Output = ()> + Send + 'static,
        kinds: &[fn() -> SignalKind],
    ) -> Result<Self, Failure> {
        let mut ends = Vec::new();
        for kind in kinds {
            let kind = kind();
            if kind != SignalKind::hangup() || !is_ignored(kind) {
                ends.push(signal(kind).map_err(cannot)?);
            }
        }
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            // Once taken over, a signal stays so, whether anybody listens or not.
            drop(signal(kind).map_err(cannot)?);
        }
        let stopped = CancellationToken::new();
        let first = stopped.clone();
        // A task of its own, which nothing that a command waits for can hold up.
        tokio::spawn(async move {
            next(&mut ends).await;
            stderr::clear();
            first.cancel();
            tokio::select! {
                () = next(&mut ends) => stderr::last_line("gcsd: a second signal: ending at once"),
                () = patience => stderr::last_line("gcsd: clearing up takes too long: ending without"),
            }
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self { stopped })
    }
}

/// Takes over the signals, for a command. The future resolves at the first one; what the command clears up then must not
/// take for ever.
pub(super) fn signals() -> Result<impl Future<Output = ()>, Failure> {
    Ok(Signals::take(async { tokio::time::sleep(CLEARING).await }, &ENDS)?.first())
}

/// Waits for one of these signals.
async fn next(ends: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let came = ends.iter_mut().any(|end| end.poll_recv(context).is_ready());
        if came {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// Whether the process was started with this signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(kind.as_raw_value() - 1).ok();
    bit.and_then(|bit| ignored?.checked_shr(bit))
        .is_some_and(|mask| mask & 1 == 1)
}
