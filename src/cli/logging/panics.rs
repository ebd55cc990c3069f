//! A panic is a line of the log like others: in its form, and without waiting for standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;

use tracing::Level;

/// Logs panics. Where errors are not logged, Rust prints them as usual.
pub(super) fn log() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !tracing::enabled!(target: "gcsd::panic", Level::ERROR) {
            return told(info);
        }
        let why = info.payload_as_str().unwrap_or("of no text");
        let place = info.location().map(ToString::to_string);
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
        let thread = std::thread::current();
        tracing::error!(
            target: "gcsd::panic",
            error = why,
            place,
            thread = thread.name(),
            backtrace = trace,
            "a defect of gcsd: it panicked"
        );
    }));
}
