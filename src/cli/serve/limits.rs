//! The daemon's bounds and clocks.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{open_files, units};
use crate::ops::Limits;
use gcsd_wire::DEFAULT_MAX_ARGS;

/// Calls at once where nobody says how many: below the number of ports that a system has for one address of GCS.
const DEFAULT_MAX_CALLS: u32 = 16_384;

/// How much, and how long.
#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// Connections at once; further ones wait
    #[arg(
        long,
        env = "GCSD_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Limits"
    )]
    max_connections: usize,
    /// Connections that the system keeps while they wait to be accepted; net.core.somaxconn bounds it
    #[arg(long, env = "GCSD_BACKLOG", value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = "Limits")]
    pub(super) backlog: u32,
    /// Calls to Cloud Storage at once, on all connections; further ones wait, and connections take turns
    /// [default: 16384, or what the limit of open files leaves]
    #[arg(long, env = "GCSD_MAX_CALLS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = "Limits")]
    max_calls: Option<u32>,
    /// What requests may hold in memory at once, on all connections; then the daemon reads no further ones
    #[arg(long, env = "GCSD_MAX_MEMORY", value_name = "SIZE", default_value = "1GiB", value_parser = memory,
          help_heading = "Limits")]
    pub(super) max_memory: u64,
    /// Requests in flight per connection; then the daemon stops reading from it
    #[arg(long, env = "GCSD_MAX_IN_FLIGHT", value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Limits")]
    max_in_flight: u32,
    /// Open uploads per connection
    #[arg(long, env = "GCSD_MAX_UPLOADS", value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = "Limits")]
    max_uploads: u32,
    /// The largest read from a client, and so the buffer of an active connection
    #[arg(long, env = "GCSD_READ_BUFFER", value_name = "SIZE", default_value = "256KiB", value_parser = read_buffer,
          help_heading = "Limits")]
    pub(super) read_buffer: usize,
    /// How much the kernel keeps of what a client sends while Cloud Storage is slower; 0 leaves it to the system, which
    /// takes megabytes, in the interest of clients that are far away
    #[arg(long, env = "GCSD_RECEIVE_BUFFER", value_name = "SIZE", default_value = "128KiB", value_parser = receive_buffer,
          help_heading = "Limits")]
    pub(super) receive_buffer: usize,
    /// How much of a refused body is read and thrown away before the connection is closed instead
    #[arg(long, env = "GCSD_DRAIN_CAP", value_name = "SIZE", default_value = "1MiB", value_parser = units::size,
          help_heading = "Limits")]
    drain_cap: u64,

    /// How long a new connection may take for its first request, or to prove the secret
    #[arg(long, env = "GCSD_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = positive,
          help_heading = "Time")]
    handshake_timeout: Duration,
    /// How long a client may take for the head and args of a request, send nothing inside a body, or take none of its
    /// replies
    #[arg(long, env = "GCSD_CLIENT_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive,
          help_heading = "Time")]
    client_timeout: Duration,
    /// How long Cloud Storage may take or send nothing
    #[arg(long, env = "GCSD_GCS_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive,
          help_heading = "Time")]
    gcs_timeout: Duration,
    /// How long a connection to Cloud Storage may take to come about
    #[arg(long, env = "GCSD_CONNECT_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = positive,
          help_heading = "Time")]
    connect_timeout: Duration,
    /// How long a client's connection may be idle; 0 for ever
    #[arg(long, env = "GCSD_IDLE_TIMEOUT", value_name = "TIME", default_value = "1h", value_parser = units::duration,
          help_heading = "Time")]
    idle_timeout: Duration,
    /// How long to go on as before after SIGTERM, but not ready: so long as whoever sends clients here may take to notice
    #[arg(long, env = "GCSD_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = units::duration,
          help_heading = "Time")]
    pub(super) drain_delay: Duration,
    /// How long requests in flight may go on after SIGTERM
    #[arg(long, env = "GCSD_GRACE", value_name = "TIME", default_value = "30s", value_parser = units::duration,
          help_heading = "Time")]
    pub(super) grace: Duration,
}

/// What may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) calls: usize,
}

impl LimitArgs {
    /// How many connections and calls there may be at once, so that files can be opened for all of them. Raises the
    /// limit of open files as far as the system permits, and warns where it is too low all the same.
    pub(super) fn bounds(&self, embedded: Option<&Option<PathBuf>>) -> Bounds {
        let wanted = Bounds {
            connections: self.max_connections.max(1),
            calls: widen(self.max_calls.unwrap_or(DEFAULT_MAX_CALLS)),
        };
        // The server in this process has the other end of each call, and perhaps the file of an object.
        let per_call = match embedded {
            None => 1,
            Some(None) => 2,
            Some(Some(_)) => 3,
        };
        let Some(limit) = open_files::raise() else {
            return wanted;
        };
        let bounds = wanted.within(limit.saturating_sub(open_files::OTHERS), per_call);
        // Nobody asked for a number of calls, so fewer of them are not worth a line.
        if bounds.connections < wanted.connections
            || (self.max_calls.is_some() && bounds.calls < wanted.calls)
        {
            tracing::warn!(
                limit,
                needed = open_files::OTHERS + wanted.connections + wanted.calls * per_call,
                connections = bounds.connections,
                calls = bounds.calls,
                "the limit of open files permits fewer connections or calls at once than the settings do: raise it \
                 (ulimit -n, LimitNOFILE=)"
            );
        }
        bounds
    }

    /// The limits of a connection.
    pub(super) fn of_connections(&self) -> Limits {
        Limits {
            max_args: DEFAULT_MAX_ARGS,
            max_in_flight: self.max_in_flight,
            max_uploads: self.max_uploads,
            drain_cap: self.drain_cap,
            handshake_timeout: self.handshake_timeout,
            idle_timeout: self.idle_timeout,
            client_timeout: self.client_timeout,
            gcs_timeout: self.gcs_timeout,
        }
    }

    /// Sets the times of calls to Cloud Storage.
    pub(super) fn set_times(&self, config: &mut gcsd_gcs::Config) {
        config.connect_timeout = self.connect_timeout;
        config.stall_timeout = self.gcs_timeout;
        config.source_timeout = self.client_timeout;
    }
}

impl Bounds {
    /// The same, or less, so that connections with a file each and calls with `per_call` need no more than `files`.
    /// Where there are too few, calls get half of them, if they want so many.
    fn within(self, files: usize, per_call: usize) -> Self {
        let for_calls = (self.calls.saturating_mul(per_call)).min(files / 2);
        let connections = self.connections.min(files - for_calls).max(1);
        let calls = self
            .calls
            .min((files.saturating_sub(connections)) / per_call)
            .max(1);
        Self { connections, calls }
    }
}

fn widen(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads how much memory may be held: enough for the largest request of a connection, twice.
fn memory(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        size if size < 4 << 20 => Err("at least 4MiB are needed".to_owned()),
        size => Ok(size),
    }
}

fn receive_buffer(text: &str) -> Result<usize, String> {
    match units::size(text)? {
        size @ (0 | 4096..=1_073_741_824) => usize::try_from(size).map_err(|error| error.to_string()),
        _ => Err("a receive buffer has between 4KiB and 1GiB, or is 0".to_owned()),
    }
}

fn read_buffer(text: &str) -> Result<usize, String> {
    match units::size(text)? {
        size @ 4096..=16_777_216 => usize::try_from(size).map_err(|error| error.to_string()),
        _ => Err("a read buffer has between 4KiB and 16MiB".to_owned()),
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(connections: usize, calls: usize, files: usize, per_call: usize) -> (usize, usize) {
        let bounds = Bounds { connections, calls }.within(files, per_call);
        (bounds.connections, bounds.calls)
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(within(10_000, 16_384, 65_472, 1), (10_000, 16_384));
        assert_eq!(within(5, 16_384, 960, 1), (5, 955));
        assert_eq!(within(900, 10, 960, 1), (900, 10));
    }

    #[test]
    fn too_few_files_are_shared() {
        assert_eq!(within(10_000, 16_384, 960, 1), (480, 480));
        assert_eq!(within(10_000, 16_384, 961, 3), (481, 160));
        assert_eq!(within(10_000, 100, 960, 1), (860, 100));
        assert_eq!(within(10_000, 100, 0, 2), (1, 1));
        for (connections, calls, files, per_call) in
            [(7, 9, 15, 1), (7, 9, 16, 1), (1000, 1, 10, 3), (1, 999, 10, 3)]
        {
            let (connections, calls) = within(connections, calls, files, per_call);
            assert!(connections + calls * per_call <= files, "{connections} {calls}");
        }
    }
}
