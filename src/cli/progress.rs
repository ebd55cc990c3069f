//! Progress: on a terminal only.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{stderr, units};

/// The narrowest terminal with room for a bar beside its numbers.
const ROOM_FOR_A_BAR: u16 = 64;

/// How often a bar moves while nothing else does, so that its times are true.
const TICK: Duration = Duration::from_millis(200);

/// A bar of `size` bytes, or of bytes without an end; nothing at all where stderr is not a terminal.
pub(super) fn bar(size: Option<u64>, quiet: bool) -> ProgressBar {
    match size {
        Some(size) => show(ProgressBar::new(size), &sized(""), quiet),
        None => show(
            ProgressBar::new_spinner(),
            "{spinner} {bytes}  {bytes_per_sec}  after {elapsed}",
            quiet,
        ),
    }
}

/// A bar of several objects, and their bytes.
pub(super) fn several(quiet: bool) -> ProgressBar {
    let template = "{spinner} {msg}{bytes}  {bytes_per_sec}  after {elapsed}";
    show(ProgressBar::new_spinner(), template, quiet)
}

/// A bar of several objects whose bytes do not come by here.
pub(super) fn count(quiet: bool) -> ProgressBar {
    show(
        ProgressBar::new_spinner(),
        "{spinner} {msg}after {elapsed}",
        quiet,
    )
}

/// Lets a bar of several objects have an end, once it is known where that is.
pub(super) fn ends_at(bar: &ProgressBar, bytes: u64) {
    bar.set_length(bytes);
    if let Ok(style) = ProgressStyle::with_template(&sized("{msg}")) {
        bar.set_style(style);
    }
}

/// What shows how much is left.
fn sized(before: &str) -> String {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col < ROOM_FOR_A_BAR => {
            format!("{before}{{percent}}%  {{bytes_per_sec}}  {{eta}} left")
        }
        _ => format!("{{wide_bar}} {before}{{bytes}} of {{total_bytes}}  {{bytes_per_sec}}  {{eta}} left"),
    }
}

fn show(bar: ProgressBar, template: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    stderr::show(&bar);
    bar
}

/// Takes the bar away and says what there was, where people look at it.
pub(super) fn last_line(bar: &ProgressBar, what: &str) {
    if bar.is_hidden() {
        return;
    }
    let (bytes, elapsed) = (bar.position(), bar.elapsed());
    stderr::clear();
    stderr::line(format_args!("gcsd: {}", sum(what, bytes, elapsed)));
}

/// How much, in what time.
fn sum(what: &str, bytes: u64, elapsed: Duration) -> String {
    let seconds = format!("{:.1} s", elapsed.as_secs_f64());
    if bytes == 0 {
        return format!("{what} in {seconds}");
    }
    let rate = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    let rate = units::show_size(u64::try_from(rate).unwrap_or(u64::MAX));
    format!("{what}, {} in {seconds}, {rate}/s", units::show_size(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_much_and_how_fast() {
        let elapsed = Duration::from_millis(1500);
        assert_eq!(
            sum("3 uploaded", 3 << 20, elapsed),
            "3 uploaded, 3.0 MiB in 1.5 s, 2.0 MiB/s"
        );
        assert_eq!(sum("2 deleted", 0, elapsed), "2 deleted in 1.5 s");
    }

    #[test]
    fn templates_are_good() {
        for template in [sized(""), sized("{msg}")] {
            ProgressStyle::with_template(&template).expect("a template");
        }
    }
}
