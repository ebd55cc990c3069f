//! Where the log goes: standard error, as text or JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// The log's settings.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is logged to standard error: error, warn, info, debug, trace, or a filter such as "gcsd::server=debug".
    /// By default the servers log at info, everything else at warn.
    #[arg(
        long,
        global = true,
        env = "GCSD_LOG_LEVEL",
        value_name = "LEVEL",
        value_parser = filter,
        help_heading = "Logging"
    )]
    log_level: Option<String>,
    /// The form of the log.
    #[arg(
        long,
        global = true,
        env = "GCSD_LOG_FORMAT",
        value_enum,
        default_value = "text",
        help_heading = "Logging"
    )]
    log_format: Format,
}

/// Checks a filter.
fn filter(text: &str) -> Result<String, String> {
    let parsed = EnvFilter::try_new(text);
    parsed.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Args {
    /// Starts logging; `server` commands log their requests unless told otherwise.
    pub(super) fn init(&self, server: bool) -> Result<(), String> {
        let level = if server {
            LevelFilter::INFO
        } else {
            LevelFilter::WARN
        };
        let filter = match &self.log_level {
            Some(text) => EnvFilter::try_new(text).map_err(|error| format!("--log-level {text}: {error}"))?,
            None => EnvFilter::default().add_directive(level.into()),
        };
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            // It would be told by eprintln!, which panics where standard error is gone.
            .log_internal_errors(false)
            .with_ansi(std::io::stderr().is_terminal());
        match self.log_format {
            Format::Text => log.init(),
            Format::Json => log.json().flatten_event(true).init(),
        }
        Ok(())
    }
}
