//! Other protocols at the daemon's port (proto-spec.md, "Refused frames").

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::reader::ReadError;
use crate::ops::Failure;
use crate::peer::Origin;
use gcsd_wire::codec::FrameError;
use gcsd_wire::{HeadError, Kind, Retry};

/// How HTTP requests begin. `PRI ` is that of HTTP/2.
const METHODS: [&[u8; 4]; 9] = [
    b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"PRI ",
];
const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 59\r\n\
    Connection: close\r\n\
    \r\n\
    This is gcsd: its binary protocol is spoken here, no HTTP.\n";
/// An alert: fatal, protocol_version.
const TLS: &[u8] = &[21, 3, 3, 0, 2, 2, 70];

/// A protocol that is recognized by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    Http,
    Tls,
    /// What is no TLS, where TLS is expected: this daemon's own protocol, most likely.
    Plain,
}

impl Foreign {
    /// What bytes that are not a head are instead.
    pub(super) fn of(error: &ReadError) -> Option<Self> {
        match error {
            ReadError::Malformed(FrameError::Head(HeadError::Magic(magic))) => match magic {
                [22, 3, ..] => Some(Self::Tls),
                _ => METHODS.contains(&magic).then_some(Self::Http),
            },
            _ => None,
        }
    }

    /// What a client speaks whose first bytes are these, where it should begin with TLS.
    pub(super) fn instead_of_tls(begun: &[u8]) -> Option<Self> {
        match begun {
            // A record of the handshake (RFC 8446, section 5.1).
            [22, ..] => None,
            begun if METHODS.iter().any(|method| begun == &method[..]) => Some(Self::Http),
            _ => Some(Self::Plain),
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Plain => "no TLS",
        }
    }

    /// What its client understands; or, of a client of this protocol, why it is not served.
    pub(super) fn answer(self) -> Result<&'static [u8], Failure> {
        match self {
            Self::Http => Ok(HTTP),
            Self::Tls => Ok(TLS),
            Self::Plain => {
                let message = "TLS is expected here: connect to tls://HOST:PORT";
                Err(Failure::new(Kind::BadHead, Retry::Never, message))
            }
        }
    }
}

/// How often one origin is logged.
const EVERY: Duration = Duration::from_secs(60);
/// How many of them are remembered.
const ORIGINS: usize = 1024;

/// Who spoke another protocol lately: a health check that asks every second is logged once a minute.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<Origin, Instant>>);

impl Strangers {
    /// Whether nobody from there did so in the last minute.
    pub(super) fn is_new(&self, origin: Origin) -> bool {
        self.is_new_at(origin, Instant::now())
    }

    fn is_new_at(&self, origin: Origin, now: Instant) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.len() >= ORIGINS {
            lately.retain(|_, logged| now.duration_since(*logged) < EVERY);
        }
        match lately.get(&origin) {
            Some(logged) if now.duration_since(*logged) < EVERY => false,
            None if lately.len() >= ORIGINS => false,
            _ => {
                lately.insert(origin, now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn an_address_is_new_once_a_minute_and_few_are_remembered() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let address = |at: u16| {
            let [high, low] = at.to_be_bytes();
            Origin::Address(IpAddr::from([10, 0, high, low]))
        };
        assert!(strangers.is_new_at(address(1), now));
        assert!(!strangers.is_new_at(address(1), now + EVERY / 2));
        assert!(strangers.is_new_at(address(1), now + EVERY));
        for at in 0..2000 {
            strangers.is_new_at(address(at), now + EVERY);
        }
        assert_eq!(strangers.0.lock().expect("not poisoned").len(), ORIGINS);
        assert!(strangers.is_new_at(address(1), now + 2 * EVERY));
    }

    #[test]
    fn the_length_of_the_answer_is_right() {
        let answer = std::str::from_utf8(HTTP).expect("ASCII");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}", text.len())));
    }
}
