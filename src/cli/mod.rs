//! The command line: one file per subcommand. Nothing imports it but the binary.

mod devgcs;
mod fail;
mod logging;
mod serve;
mod stop;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// gcsd: read and write Google Cloud Storage through a socket.
///
/// The daemon (`gcsd serve`) holds the credentials, the TLS and the HTTP. Anything that can open a socket
/// speaks a small binary protocol to it, and each request becomes one call to Cloud Storage.
#[derive(Debug, Parser)]
#[command(name = "gcsd", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    logging: logging::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Devgcs(devgcs::Args),
}

impl Cli {
    /// Does what the command line asks for.
    pub async fn run(self) -> ExitCode {
        let server = matches!(self.command, Command::Serve(_) | Command::Devgcs(_));
        if let Err(message) = self.logging.init(server) {
            return fail::failed(message).report();
        }
        let done = match self.command {
            Command::Serve(args) => serve::run(*args).await,
            Command::Devgcs(args) => devgcs::run(args).await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(fail) => fail.report(),
        }
    }
}
