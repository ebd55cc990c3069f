//! What can be read once: a pipe, a device, or what a command prints.
//!
//! The end of a pipe does not tell whether its producer has done what it should. Of a command that is started here it is
//! known: its output ends well only once it has exited with 0.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::exit::{Exit, Failure};
use super::pipe::Pipe;
use super::stderr;

/// How long a command may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// How long a command's output may stay open after its end before that is reported.
const LINGERING: Duration = Duration::from_secs(5);

/// Gives bytes once, piece by piece.
pub(super) struct Producer {
    pipe: Pipe,
    command: Option<Box<Running>>,
}

impl Producer {
    /// All that `input` gives.
    pub(super) fn read(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (pipe, command) = (Pipe::read(input)?, None);
        Ok(Self { pipe, command })
    }

    /// Starts a program, without a shell, and takes its standard output. Its standard input and error are those of this
    /// process. Needs a runtime.
    pub(super) fn start(program: &OsStr, args: &[OsString], quiet: bool) -> Result<Self, Failure> {
        let name = program.to_string_lossy().into_owned();
        let failed = |error: io::Error| {
            let what = format!("{name} could not be started: {error}");
            Failure::new(Exit::Producer, "command_failed", what).also("nothing was uploaded")
        };
        let (output, input) = io::pipe().map_err(failed)?;
        let grouped = !has_terminal();
        let mut command = Command::new(program);
        command.args(args).stdout(input).kill_on_drop(true);
        if grouped {
            command.process_group(0);
        }
        let child = command.spawn().map_err(failed)?;
        // Or this end of the pipe would keep it open.
        drop(command);
        let running = Running {
            child,
            grouped,
            name: name.clone(),
            quiet,
        };
        Ok(Self {
            pipe: Pipe::read(output).map_err(failed)?,
            command: Some(Box::new(running)),
        })
    }

    /// The next bytes; `None` at the end, and of a command only if it has exited with 0. A command that fails is an error at
    /// once, whoever still has its output open. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let Self { pipe, command } = self;
        let input = |error| Failure::io("the input", &error);
        let Some(command) = command else {
            return pipe.next().await.map_err(input);
        };
        let piece = tokio::select! {
            biased;
            exited = command.succeeded() => {
                exited?;
                command.lingers(pipe.next()).await
            }
            piece = pipe.next() => piece,
        };
        let piece = piece.map_err(input)?;
        if piece.is_none() {
            // It may run without its output for as long as it likes.
            command.succeeded().await?;
        }
        Ok(piece)
    }

    /// Takes nothing more, and ends the command, if it has not ended: SIGTERM, and after a while SIGKILL.
    pub(super) async fn stop(&mut self) {
        // Whatever still writes gets a SIGPIPE.
        self.pipe.close();
        let Some(command) = &mut self.command else {
            return;
        };
        for signal in [Signal::TERM, Signal::KILL] {
            command.signal(signal);
            if timeout(GRACE, command.child.wait()).await.is_ok() {
                return;
            }
        }
    }
}

/// A command that was started.
struct Running {
    child: Child,
    /// It has a process group of its own.
    grouped: bool,
    /// The program. Its arguments are not shown: they may hold secrets.
    name: String,
    quiet: bool,
}

impl Running {
    /// Waits until the command has ended, which must be with 0. Cancel safe, and can be asked again.
    async fn succeeded(&mut self) -> Result<(), Failure> {
        let waited = self.child.wait().await;
        let status = waited.map_err(|error| Failure::io(&self.name, &error))?;
        match status.success() {
            true => Ok(()),
            false => Err(self.failed(status)),
        }
    }

    fn failed(&self, status: ExitStatus) -> Failure {
        // "exit status: 3", "signal: 9 (SIGKILL)".
        let how = status.to_string().replacen(": ", " ", 1);
        let what = format!("{} ended with {how}", self.name);
        Failure::new(Exit::Producer, "command_failed", what)
    }

    /// Says so if what is waited for behind the command's end does not come.
    async fn lingers<T>(&mut self, next: impl Future<Output = T>) -> T {
        tokio::pin!(next);
        tokio::select! {
            biased;
            next = &mut next => return next,
            () = sleep(LINGERING) => {}
        }
        if !std::mem::replace(&mut self.quiet, true) {
            stderr::line(format_args!(
                "gcsd: {} has ended, and something that it started has its output open: waiting for the end of that",
                self.name
            ));
        }
        next.await
    }

    /// Sends a signal, unless the command has ended: its number may then be that of another process.
    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // It can have ended just now.
            let _gone = match self.grouped {
                true => kill_process_group(pid, signal),
                false => kill_process(pid, signal),
            };
        }
    }
}

/// Whether a person can be asked for something. The command then stays in this process's group: in one of its own, it would be
/// stopped when it reads a password from the terminal.
fn has_terminal() -> bool {
    File::open(Path::new("/dev/tty")).is_ok()
}
