//! Why none of a name's addresses could be connected to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A name may have dozens of addresses, and an error is one line.
const SHOWN: usize = 8;

/// No address of a host could be connected to: the inner error of what [`Connector::connect`](super::Connector::connect)
/// then returns.
#[derive(Debug)]
pub struct ConnectError {
    /// The limit, where that ended the attempts.
    limit: Option<Duration>,
    /// The addresses that were tried, in the order in which they failed; `None` for one that had not answered.
    failures: Vec<Failure>,
}

/// What became of an address: `None` where it had not answered when the time was up.
pub(crate) type Failure = (SocketAddr, Option<io::Error>);

impl ConnectError {
    /// All addresses failed, the last one as the error's kind says.
    pub(crate) fn io(failures: Vec<Failure>) -> io::Error {
        let last = failures.iter().rev().find_map(|(_, error)| error.as_ref());
        let kind = last.map_or(io::ErrorKind::TimedOut, io::Error::kind);
        let limit = None;
        io::Error::new(kind, Self { limit, failures })
    }

    /// The time was up.
    pub(crate) fn late(limit: Duration, failures: Vec<Failure>) -> io::Error {
        let limit = Some(limit);
        io::Error::new(io::ErrorKind::TimedOut, Self { limit, failures })
    }

    /// Whether one of them failed because of this machine.
    pub(crate) fn is_exhausted(&self) -> bool {
        let errors = self.failures.iter().filter_map(|(_, error)| error.as_ref());
        errors.into_iter().any(super::is_exhausted)
    }

    /// The addresses that were tried and failed.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.failures.iter().map(|(address, _)| *address)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let no_answer = |f: &mut fmt::Formatter<'_>| match self.limit {
            Some(limit) => write!(f, "no answer within {limit:?}"),
            None => f.write_str("no answer"),
        };
        if self.failures.is_empty() {
            return no_answer(f);
        }
        for (at, (address, error)) in self.failures.iter().take(SHOWN).enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: ")?;
            match error {
                Some(error) => write!(f, "{error}")?,
                None => no_answer(f)?,
            }
        }
        match self.failures.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for ConnectError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(last: u8, error: Option<io::ErrorKind>) -> Failure {
        (
            SocketAddr::from(([127, 0, 0, last], 80)),
            error.map(io::Error::from),
        )
    }

    #[test]
    fn every_address_is_named_with_what_it_did() {
        let refused = Some(io::ErrorKind::ConnectionRefused);
        let error = ConnectError::io(vec![
            failure(1, Some(io::ErrorKind::HostUnreachable)),
            failure(2, refused),
        ]);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string(),
            "127.0.0.1:80: host unreachable; 127.0.0.2:80: connection refused"
        );
        let limit = Duration::from_secs(10);
        let error = ConnectError::late(limit, vec![failure(2, refused), failure(1, None)]);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "127.0.0.2:80: connection refused; 127.0.0.1:80: no answer within 10s"
        );
        let nothing = ConnectError::late(limit, Vec::new());
        assert_eq!(nothing.to_string(), "no answer within 10s");
    }

    #[test]
    fn a_long_list_is_cut() {
        let error = ConnectError::io((1..=10).map(|last| failure(last, None)).collect());
        let text = error.to_string();
        assert!(text.ends_with("127.0.0.8:80: no answer; and 2 more"), "{text}");
    }
}
