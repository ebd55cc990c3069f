//! `gcsd health`, `status` and `stop`: what an operator asks a running daemon, over its admin listener.

mod client;
mod show;

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use tokio::time::sleep;

use client::{Admin, Given};
use show::show;

use super::connect::Daemon;
use super::exit::{Exit, Failure, failed};
use super::stdout::Output;
use super::stop::signals;
use super::units;
use crate::admin::Status;

/// Between two looks whether the daemon is gone.
const LOOK: Duration = Duration::from_millis(200);

/// Ask a daemon whether it takes clients; exit code 0 if it does, and 5 if not
///
/// With --admin, it is asked for its readiness: it has started, does not stop, and has room for connections. Without, a client's
/// connection is made, as others are, and one answer waited for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd health
  gcsd health --admin unix:/run/gcsd/admin.sock")]
pub(super) struct HealthArgs {
    #[command(flatten)]
    admin: Given,
    #[command(flatten)]
    daemon: Daemon,
}

/// Show what a daemon has under way: uploads and requests in flight
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd status --admin 127.0.0.1:9743
  gcsd status --json | jq '.uploads[] | select(.age_ms > 60000)'")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    admin: Admin,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Stop a daemon in order, as SIGTERM does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd stop --wait --admin 127.0.0.1:9743")]
pub(super) struct StopArgs {
    #[command(flatten)]
    admin: Admin,
    /// Wait until it is gone.
    #[arg(long)]
    wait: bool,
    /// With --wait: how long; it has its own --drain-delay and --grace.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::duration, requires = "wait")]
    timeout: Duration,
}

/// Carries out `gcsd health`.
pub(super) async fn health(args: HealthArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let ask = async {
        let Some(admin) = args.admin.address() else {
            // A daemon that stops refuses it.
            return args.daemon.answers().await.map(|()| "ready\n".to_owned());
        };
        let answer = client::ask(admin, Method::GET, "/readyz").await?;
        match answer.status {
            StatusCode::OK => Ok(answer.text()),
            _ => Err(Failure::new(Exit::Temporary, "not_ready", answer.text().trim()).at(admin)),
        }
    };
    let text = tokio::select! {
        text = ask => text?,
        () = stop => return Err(Failure::interrupted()),
    };
    print(text).await
}

/// Carries out `gcsd status`.
pub(super) async fn status(args: StatusArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let answer = tokio::select! {
        answer = client::ask(args.admin.address(), Method::GET, "/status") => answer?.expect_ok()?,
        () = stop => return Err(Failure::interrupted()),
    };
    if args.json {
        return print(format!("{}\n", answer.text())).await;
    }
    let status: Status = serde_json::from_slice(&answer.body)
        .map_err(|error| failed(format!("the answer is no status of a daemon: {error}")))?;
    print(show(&status)).await
}

/// Carries out `gcsd stop`.
pub(super) async fn stop(args: StopArgs) -> Result<(), Failure> {
    let interrupted = signals()?;
    let address = args.admin.address();
    let stop = async {
        client::ask(address, Method::POST, "/drain").await?.expect_ok()?;
        if !args.wait {
            return Ok(());
        }
        let begun = Instant::now();
        // It is there as long as the daemon is.
        while address.connect().await.is_ok() {
            if begun.elapsed() > args.timeout {
                let what = "it has not stopped in time";
                return Err(Failure::new(Exit::Temporary, "not_stopped", what).at(address));
            }
            sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::select! {
        stopped = stop => stopped,
        () = interrupted => Err(Failure::interrupted()),
    }
}

async fn print(text: String) -> Result<(), Failure> {
    let mut out = Output::default();
    out.text(text).await?;
    out.finish().await
}
