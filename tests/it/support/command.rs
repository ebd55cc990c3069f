//! The `gcsd` binary, run by a test.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("text")
    }

    /// The command succeeded, and said nothing on standard error.
    #[track_caller]
    pub(crate) fn quiet(self) -> Self {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""));
        self
    }

    /// The command line was refused, in clap's words.
    #[track_caller]
    pub(crate) fn refused(&self) {
        assert_eq!(self.code, Some(2), "{}", self.err);
        assert!(
            self.err.contains("Usage: gcsd") || self.err.contains("--help"),
            "{}",
            self.err
        );
    }

    /// The command failed with this code, in one line that begins like this.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, line: &str) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        assert!(self.err.starts_with(&format!("gcsd: {line}")), "{}", self.err);
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// The binary with nothing of this process's settings, talking to a daemon at `daemon`.
pub(crate) fn gcsd(daemon: Option<SocketAddr>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gcsd"));
    command.args(args).env_clear();
    if let Some(daemon) = daemon {
        command.env("GCSD_CONNECT", daemon.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary to its end, with `input` on its standard input.
pub(crate) async fn run(daemon: Option<SocketAddr>, args: &[&str], input: &[u8]) -> Ended {
    let mut command = gcsd(daemon, args);
    let input = input.to_vec();
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let feeding = std::thread::spawn(move || {
            // A command that needs no input may be gone before it has all.
            let _gone = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("it ends");
        feeding.join().expect("no panic");
        output
    });
    running.await.expect("no panic").into()
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

/// Waits for a command that was spawned.
pub(crate) async fn wait(mut child: Child) -> Ended {
    let waiting = tokio::task::spawn_blocking(move || {
        let (mut out, mut err) = (Vec::new(), String::new());
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_end(&mut out).expect("its output");
        }
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut err).expect("its errors");
        }
        let code = child.wait().expect("it ends").code();
        Ended { code, out, err }
    });
    waiting.await.expect("no panic")
}
