//! Where the log goes: standard error, as text or JSON.
//!
//! ```text
//!   event --form--> Lines --> Queue --its thread--> standard error
//! ```

mod journal;
mod json;
mod lines;
mod panics;
mod queue;

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use tracing::Dispatch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use lines::{Lines, Sink};
use queue::Queue;

/// How long the end of a process waits for a reader of its log.
const PATIENCE: Duration = Duration::from_secs(1);

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
pub(super) struct LoggingArgs {
    /// What is logged to standard error: error, warn, info, debug, trace, or a filter such as "info,gcsd::request=debug",
    /// which adds a line for each request. By default the servers log at info, the demo at error, the others at warn. docs/logs.md has more.
    #[arg(
        long,
        global = true,
        env = "GCSD_LOG_LEVEL",
        value_name = "LEVEL",
        value_parser = filter,
        help_heading = "Logging"
    )]
    log_level: Option<String>,
    /// The form of the log: lines for people, or a JSON object per line.
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

/// The log while it is kept. Dropped, it waits a moment for what was not written yet.
pub(super) struct Log {
    queue: Queue,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(PATIENCE);
    }
}

/// What can be changed of the log while it is kept, and seen.
#[derive(Clone)]
pub(super) struct Control {
    queue: Queue,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    pub(super) fn control(&self) -> Control {
        Control {
            queue: self.queue.clone(),
            filter: self.filter.clone(),
        }
    }
}

impl Control {
    /// Logs by another filter from now on.
    pub(super) fn set(&self, filter: EnvFilter) -> Result<(), String> {
        self.filter.reload(filter).map_err(|error| error.to_string())
    }

    /// How many lines were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.missing()
    }
}

impl LoggingArgs {
    /// Starts logging, at `level` unless told otherwise.
    pub(super) fn init(&self, level: LevelFilter) -> Result<Log, String> {
        let (filter, handle) = reload::Layer::new(self.filter(level)?);
        let form = Form {
            format: self.log_format,
            journal: journal::is_stderr(),
            colours: std::io::stderr().is_terminal(),
        };
        let queue = Queue::start(std::io::stderr(), move |dropped| form.notice(dropped))
            .map_err(|error| format!("the log's thread could not be started: {error}"))?;
        let lines = queue.clone();
        let layer = form.layer(Arc::new(move |line| lines.push(line)));
        tracing_subscriber::registry()
            .with(layer.with_filter(filter))
            .init();
        panics::log();
        Ok(Log {
            queue,
            filter: handle,
        })
    }

    /// What is logged: by what was asked for, else at `level`.
    pub(super) fn filter(&self, level: LevelFilter) -> Result<EnvFilter, String> {
        match &self.log_level {
            Some(text) => EnvFilter::try_new(text).map_err(|error| format!("--log-level {text}: {error}")),
            None => Ok(EnvFilter::default().add_directive(level.into())),
        }
    }
}

/// How lines look.
#[derive(Clone, Copy)]
struct Form {
    format: Format,
    journal: bool,
    colours: bool,
}

impl Form {
    fn layer<S>(self, sink: Sink) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let lines = Lines {
            journal: self.journal,
            sink,
        };
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(lines)
            // It would be told by eprintln!, which panics where standard error is gone.
            .log_internal_errors(false)
            .with_ansi(self.colours);
        match self.format {
            Format::Json => layer.event_format(json::Json).boxed(),
            // The journal has the time.
            Format::Text if self.journal => layer.without_time().boxed(),
            Format::Text => layer.boxed(),
        }
    }

    /// The line that tells how many were dropped. No filter holds it back.
    fn notice(self, dropped: u64) -> Vec<u8> {
        let line = Arc::new(Mutex::new(Vec::new()));
        let written = line.clone();
        let sink = move |bytes: &[u8]| held(&written).extend_from_slice(bytes);
        let layer = self
            .layer::<Registry>(Arc::new(sink))
            .with_filter(LevelFilter::WARN);
        let log = Dispatch::new(tracing_subscriber::registry().with(layer));
        tracing::dispatcher::with_default(&log, || {
            tracing::warn!(target: "gcsd::log", dropped, "lines are missing here: they were not taken in time");
        });
        std::mem::take(&mut *held(&line))
    }
}

fn held(line: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the log says while `act` runs.
    fn said(format: Format, journal: bool, act: impl FnOnce()) -> String {
        let form = Form {
            format,
            journal,
            colours: false,
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        let layer = form.layer::<Registry>(Arc::new(move |line: &[u8]| {
            held(&written).extend_from_slice(line)
        }));
        let subscriber = Dispatch::new(tracing_subscriber::registry().with(layer));
        tracing::dispatcher::with_default(&subscriber, act);
        let said = held(&log).clone();
        String::from_utf8(said).expect("text")
    }

    #[test]
    fn a_key_stands_once_in_json() {
        let said = said(Format::Json, false, || {
            let (message, level) = ("theirs", 7_u64);
            tracing::info!(target: "a", message, level, target = true, ratio = 0.5, "ours\n");
        });
        let line: Value = serde_json::from_str(&said).expect("JSON");
        let keys = [
            "\"message\":",
            "\"level\":",
            "\"target\":",
            "\"message_2\":",
            "\"level_2\":",
            "\"target_2\":",
        ];
        for key in keys {
            assert_eq!(said.matches(key).count(), 1, "{key} {said}");
        }
        assert_eq!((&line["level"], &line["level_2"]), (&json!("INFO"), &json!(7)));
        assert_eq!((&line["target"], &line["target_2"]), (&json!("a"), &json!(true)));
        assert_eq!(line["ratio"], json!(0.5));
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    #[test]
    fn a_line_stays_a_line() {
        for format in [Format::Text, Format::Json] {
            let said = said(format, false, || {
                let hostile = "x\r\n2026-01-01T00:00:00Z ERROR injected";
                tracing::info!(text = hostile, display = %hostile, debug = ?hostile, "{hostile}");
            });
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(!said.contains('\r') && said.ends_with('\n'), "{said}");
        }
    }

    #[test]
    fn the_journal_has_the_time_and_takes_the_level() {
        let act = || tracing::warn!(target: "t", number = 5, "words");
        assert_eq!(said(Format::Text, true, act), "<4> WARN t: words number=5\n");
        let json = said(Format::Json, true, act);
        assert!(json.starts_with("<4>{\"timestamp\":"), "{json}");
    }

    #[test]
    fn what_was_dropped_is_told_in_the_form_of_the_log() {
        for (format, mark) in [
            (Format::Text, "dropped=17\n"),
            (Format::Json, "\"dropped\":17}\n"),
        ] {
            let form = Form {
                format,
                journal: false,
                colours: false,
            };
            let notice = String::from_utf8(form.notice(17)).expect("text");
            assert!(notice.contains("WARN") && notice.ends_with(mark), "{notice}");
            assert_eq!(notice.lines().count(), 1, "{notice}");
        }
    }

    #[test]
    fn a_panic_is_a_line() {
        panics::log();
        let said = said(Format::Text, false, || {
            let panicked = std::panic::catch_unwind(|| panic!("two\nlines"));
            assert!(panicked.is_err());
        });
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains("ERROR gcsd::panic") && said.contains("two\\nlines"),
            "{said}"
        );
        assert!(said.contains("src/cli/logging/mod.rs:"), "{said}");
    }
}
