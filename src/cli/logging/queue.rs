//! The log's way to standard error: a bounded queue of lines, and a thread that writes them.
//!
//! Logging never waits. Where standard error takes nothing (a pager that nobody scrolls, a terminal that is held), lines
//! collect up to [`LIMIT`], and further ones are dropped and counted; the count is a line of its own as soon as something was
//! written again. `tracing-appender` has such a writer as well: it bounds lines, not bytes, and leaves telling the count to
//! its user.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes of lines wait to be written.
const LIMIT: usize = 1024 * 1024;
/// What a buffer may keep once it is empty.
const KEPT: usize = 64 * 1024;
/// When to try again where standard error was made non-blocking and takes nothing now.
const PAUSE: Duration = Duration::from_millis(10);

/// Lines on their way to standard error.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines that nobody has begun to write.
    lines: Vec<u8>,
    /// How many bytes are being written.
    writing: usize,
    /// How many lines found no room behind `lines`.
    dropped: u64,
    /// The same since the start, with those that could not be written.
    missing: u64,
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.writing == 0 && self.dropped == 0
    }
}

impl Queue {
    /// Starts the thread that writes to `out`. `notice` is the line that tells how many were dropped.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        notice: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let shared = queue.0.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write(out, notice))?;
        Ok(queue)
    }

    /// Takes a line, which ends with a line feed, or drops and counts it.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        // Once a line was dropped, so are all until the writer has the count: it tells where they are missing.
        if state.dropped > 0 || state.lines.len() + state.writing + line.len() > LIMIT {
            state.dropped += 1;
            state.missing += 1;
        } else {
            state.lines.extend_from_slice(line);
        }
        drop(state);
        self.0.filled.notify_one();
    }

    /// How many lines were dropped, or could not be written, since the start.
    pub(super) fn missing(&self) -> u64 {
        self.0.lock().missing
    }

    /// Waits until everything was written, but no longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let state = self.0.lock();
        let waits = |state: &mut State| !state.is_empty();
        drop(self.0.emptied.wait_timeout_while(state, patience, waits));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts and whole lines: nothing is half done where a thread can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is queued, for as long as the process lives.
    fn write(&self, mut out: impl Write, notice: impl Fn(u64) -> Vec<u8>) {
        let mut lines = Vec::new();
        // What was dropped, or lost because standard error failed, and was not told yet.
        let mut lost = 0;
        loop {
            let waits = |state: &mut State| state.lines.is_empty() && state.dropped == 0;
            let state = self.filled.wait_while(self.lock(), waits);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut lines, &mut state.lines);
            state.writing = lines.len();
            lost += mem::take(&mut state.dropped);
            drop(state);
            let unwritten = match write_all(&mut out, &lines) {
                Ok(()) if lost > 0 && write_all(&mut out, &notice(lost)).is_ok() => {
                    lost = 0;
                    0
                }
                Ok(()) => 0,
                Err(unwritten) => unwritten,
            };
            lost += unwritten;
            lines.clear();
            lines.shrink_to(KEPT);
            let mut state = self.lock();
            state.writing = 0;
            state.missing += unwritten;
            if state.is_empty() {
                self.emptied.notify_all();
            }
        }
    }
}

/// Writes lines. Fails with how many of them were not written whole.
fn write_all(out: &mut impl Write, mut lines: &[u8]) -> Result<(), u64> {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(written @ 1..) => lines = &lines[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
            // Nobody is there to be told.
            Ok(0) | Err(_) => return Err(lines.iter().filter(|byte| **byte == b'\n').count() as u64),
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this thread serves nobody else")]
fn pause() {
    thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Standard error that takes what it is given when the test says so, and says what it was.
    struct Gate {
        open: mpsc::Receiver<io::Result<()>>,
        written: mpsc::Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The test's end opens it for good.
            self.open.recv().unwrap_or(Ok(()))?;
            let text = String::from_utf8_lossy(bytes).into_owned();
            let _ended = self.written.send(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[expect(clippy::disallowed_methods, reason = "no runtime here")]
    fn gate() -> (Queue, mpsc::Sender<io::Result<()>>, mpsc::Receiver<String>) {
        let (opens, open) = mpsc::channel();
        let (written, told) = mpsc::channel();
        let notice = |dropped| format!("{dropped} dropped\n").into_bytes();
        let queue = Queue::start(Gate { open, written }, notice).expect("a thread");
        (queue, opens, told)
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_finds_no_room_is_counted_where_it_is_missing() {
        let (queue, opens, told) = gate();
        let long = format!("{}\n", "x".repeat(LIMIT / 2));
        queue.push(long.as_bytes());
        for line in ["a\n", &long, "b\n", "c\n"] {
            // The second long one has no room, nor has what comes behind it.
            queue.push(line.as_bytes());
        }
        // A reader that takes nothing holds nobody up.
        queue.flush(Duration::ZERO);
        assert_eq!(told.try_recv().ok(), None);
        drop(opens);
        let mut all = String::new();
        while !all.ends_with("dropped\n") {
            all += &told.recv_timeout(PATIENCE).expect("more");
        }
        assert_eq!(all, format!("{long}a\n3 dropped\n"));
        queue.push(b"d\n");
        assert_eq!(told.recv_timeout(PATIENCE).expect("more"), "d\n");
        queue.flush(PATIENCE);
        assert!(queue.0.lock().is_empty());
    }

    #[test]
    fn what_cannot_be_written_is_counted_once_something_can() {
        let (queue, opens, told) = gate();
        let full = || Err(io::ErrorKind::StorageFull.into());
        opens.send(full()).expect("it waits");
        queue.push(b"a\nb\n");
        queue.flush(PATIENCE);
        assert_eq!(told.try_recv().ok(), None);
        // An interruption, and a descriptor that is not ready, are not failures.
        opens
            .send(Err(io::ErrorKind::Interrupted.into()))
            .expect("it waits");
        opens
            .send(Err(io::ErrorKind::WouldBlock.into()))
            .expect("it waits");
        drop(opens);
        queue.push(b"c\n");
        assert_eq!(told.recv_timeout(PATIENCE).expect("more"), "c\n");
        assert_eq!(told.recv_timeout(PATIENCE).expect("more"), "2 dropped\n");
    }
}
