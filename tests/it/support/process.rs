//! The real binary as child processes, which can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::command::signal;

const BINARY: &str = env!("CARGO_BIN_EXE_gcsd");

/// A server in a process of its own. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    /// What it has logged so far.
    log: Arc<Mutex<String>>,
    /// Reads what it logs, to the end.
    reading: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `gcsd devgcs` on a port of the system's choice.
    pub(crate) fn devgcs(arguments: &[&str]) -> Self {
        let arguments = [&["devgcs", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::start(&arguments, &[], "http://")
    }

    /// Starts `gcsd serve` at `listen`.
    pub(crate) fn serve(listen: &str, arguments: &[&str]) -> Self {
        Self::serve_in(listen, arguments, &[])
    }

    /// Starts `gcsd serve` at `listen`, in an environment of these variables.
    pub(crate) fn serve_in(listen: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let arguments = [&["serve", "--listen", listen], arguments].concat();
        Self::start(&arguments, variables, "address=")
    }

    /// The same, with a limit of open files.
    pub(crate) fn serve_limited(files: u32, listen: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("/usr/bin/prlimit");
        command.arg(format!("--nofile={files}:{files}"));
        command
            .args([BINARY, "serve", "--listen", listen])
            .args(arguments);
        let (started, log) = Self::spawn(command, &[], "address=");
        started.keeping(log)
    }

    /// The same, of whose log nobody reads any more once it listens.
    pub(crate) fn serve_unread(listen: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--listen", listen]).args(arguments);
        let (started, log) = Self::spawn(command, &[], "address=");
        drop(log);
        started
    }

    /// The same, of whose log nobody has read anything since it listens.
    pub(crate) fn serve_stalled(listen: &str, arguments: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--listen", listen]).args(arguments);
        Self::spawn(command, &[], "\"address\":\"")
    }

    /// The same, which logs JSON.
    pub(crate) fn serve_json(listen: &str, arguments: &[&str]) -> Self {
        let json = ["serve", "--listen", listen, "--log-format", "json"];
        Self::start(&[&json, arguments].concat(), &[], "\"address\":\"")
    }

    /// The same, without a terminal, and reached by SIGHUP, whatever that does to this process.
    pub(crate) fn serve_reloading(listen: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("/usr/bin/setsid");
        command.args([
            "/usr/bin/env",
            "--default-signal=HUP",
            BINARY,
            "serve",
            "--listen",
            listen,
        ]);
        command.args(arguments);
        let (started, log) = Self::spawn(command, &[], "address=");
        started.keeping(log)
    }

    /// Starts a server, which logs its address behind `mark`.
    fn start(arguments: &[&str], variables: &[(&str, &str)], mark: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments);
        let (started, log) = Self::spawn(command, variables, mark);
        started.keeping(log)
    }

    /// The server, and what it logs from then on.
    fn spawn(mut command: Command, variables: &[(&str, &str)], mark: &str) -> (Self, BufReader<ChildStderr>) {
        let mut child = command
            .env_clear()
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).expect("text") > 0, "it ended: {seen}");
            seen += &line;
            if let Some((_, rest)) = line.split_once(mark) {
                let rest = rest.strip_prefix("tls://").unwrap_or(rest);
                let end = rest
                    .find(|c: char| !matches!(c, '0'..='9' | '.' | ':'))
                    .unwrap_or(rest.len());
                break rest[..end].parse().expect("an address");
            }
        };
        let started = Self {
            child,
            address,
            log: Arc::new(Mutex::new(seen)),
            reading: None,
        };
        (started, log)
    }

    /// Reads what it still logs, which must not fill the pipe.
    fn keeping(mut self, log: BufReader<ChildStderr>) -> Self {
        let keep = self.log.clone();
        self.reading = Some(std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                *keep.lock().expect("no panic under the lock") += &format!("{line}\n");
            }
        }));
        self
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic under the lock").clone()
    }

    /// Asks it to stop, and waits until it has, and all that it logged was read.
    pub(crate) fn whole_log(&mut self) -> String {
        assert!(self.stop().success(), "{}", self.log());
        if let Some(reading) = self.reading.take() {
            reading.join().expect("no panic");
        }
        self.log()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.wait()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until it is gone.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("gone")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Daemons that share a key and nothing else, each in a process of its own.
pub(crate) struct Fleet {
    daemons: Vec<Process>,
    endpoint: String,
    key: TempDir,
}

impl Fleet {
    /// Starts `count` daemons in front of the Cloud Storage at `endpoint`.
    pub(crate) fn start(count: usize, endpoint: String) -> Self {
        let key = tempfile::tempdir().expect("a folder");
        super::secret::write_secret(key.path().join("key"), &"ab".repeat(32));
        let mut fleet = Self {
            daemons: Vec::new(),
            endpoint,
            key,
        };
        for _ in 0..count {
            let daemon = fleet.daemon("127.0.0.1:0");
            fleet.daemons.push(daemon);
        }
        fleet
    }

    fn daemon(&self, listen: &str) -> Process {
        let key = self.key.path().join("key");
        let key = key.to_str().expect("UTF-8");
        let endpoint = ["--anonymous", "--endpoint", &self.endpoint];
        Process::serve(
            listen,
            &[&endpoint[..], &["--token-key", key, "--grace", "2s"]].concat(),
        )
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.daemons.iter().map(Process::address).collect()
    }

    /// As `--connect` takes them.
    pub(crate) fn connect(&self) -> String {
        let addresses: Vec<_> = self.addresses().iter().map(ToString::to_string).collect();
        addresses.join(",")
    }

    /// Ends a daemon as kill -9 does.
    pub(crate) fn kill(&mut self, at: usize) {
        self.daemons[at].kill();
    }

    /// Asks a daemon to stop, and waits until it has.
    pub(crate) fn stop(&mut self, at: usize) -> ExitStatus {
        self.daemons[at].stop()
    }

    /// Starts a daemon again where the one before was, which must have ended.
    pub(crate) fn restart(&mut self, at: usize) {
        self.daemons[at] = self.daemon(&self.daemons[at].address().to_string());
    }
}
