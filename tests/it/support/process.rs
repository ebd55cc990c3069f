//! The real binary as a child process, which can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A server in a process of its own. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts `gcsd devgcs` on a port of the system's choice.
    pub(crate) fn devgcs(arguments: &[&str]) -> Self {
        let arguments = [&["devgcs", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::start(&arguments, "http://")
    }

    /// Starts `gcsd serve` at `listen`.
    pub(crate) fn serve(listen: &str, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", listen], arguments].concat();
        Self::start(&arguments, "address=")
    }

    /// Starts a server, which logs its address behind `mark`.
    fn start(arguments: &[&str], mark: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gcsd"))
            .args(arguments)
            .env("RUST_LOG", "info")
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
            if let Some((_, rest)) = line.split_once(mark) {
                let end = rest
                    .find(|c: char| !matches!(c, '0'..='9' | '.' | ':'))
                    .unwrap_or(rest.len());
                break rest[..end].parse().expect("an address");
            }
            seen += &line;
        };
        // What it still logs must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
