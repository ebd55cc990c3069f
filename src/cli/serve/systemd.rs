//! What systemd is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

use crate::server::{Handle, Readiness};

/// How often it is told what the daemon does.
const PERIOD: Duration = Duration::from_secs(5);

/// Tells systemd something, if it listens.
pub(super) fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}

/// Tells systemd what the daemon does, and that it lives, where it wants to hear that. Runs on the runtime that serves: where
/// that stands still, systemd hears nothing, and starts the daemon anew.
pub(super) async fn report(handle: Handle) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let period = watchdog.map_or(PERIOD, |limit| (limit / 2).min(PERIOD));
    let mut ticks = tokio::time::interval(period);
    let mut stopping = false;
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = handle.stopping(), if !stopping => {}
        }
        if !stopping && handle.readiness() == Readiness::Draining {
            stopping = true;
            tell_systemd(&[NotifyState::Stopping]);
        }
        let status = status(&handle);
        if status != told {
            tell_systemd(&[NotifyState::Status(&status)]);
            told = status;
        }
        if watchdog.is_some() {
            tell_systemd(&[NotifyState::Watchdog]);
        }
    }
}

/// What the daemon does, in one line.
fn status(handle: &Handle) -> String {
    let (connections, _) = handle.connections();
    format!(
        "{}: {connections} connections, {} requests in flight, {} uploads open",
        handle.readiness().name(),
        handle.requests_in_flight(),
        handle.uploads_open()
    )
}
