//! Other protocols at the daemon's port (proto-spec.md, "Refused frames").

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::reader::ReadError;
use gcsd_wire::HeadError;
use gcsd_wire::codec::FrameError;

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

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
        }
    }

    /// What its client understands.
    pub(super) fn answer(self) -> &'static [u8] {
        match self {
            Self::Http => HTTP,
            Self::Tls => TLS,
        }
    }
}

/// How often one address is logged.
const EVERY: Duration = Duration::from_secs(60);
/// How many addresses are remembered.
const ADDRESSES: usize = 1024;

/// Who spoke another protocol lately: a health check that asks every second is logged once a minute.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<IpAddr, Instant>>);

impl Strangers {
    /// Whether this address did not do so in the last minute.
    pub(super) fn is_new(&self, address: IpAddr) -> bool {
        self.is_new_at(address, Instant::now())
    }

    fn is_new_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.len() >= ADDRESSES {
            lately.retain(|_, logged| now.duration_since(*logged) < EVERY);
        }
        match lately.get(&address) {
            Some(logged) if now.duration_since(*logged) < EVERY => false,
            None if lately.len() >= ADDRESSES => false,
            _ => {
                lately.insert(address, now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_new_once_a_minute_and_few_are_remembered() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let address = |at: u16| IpAddr::from([10, 0, at.to_be_bytes()[0], at.to_be_bytes()[1]]);
        assert!(strangers.is_new_at(address(1), now));
        assert!(!strangers.is_new_at(address(1), now + EVERY / 2));
        assert!(strangers.is_new_at(address(1), now + EVERY));
        for at in 0..2000 {
            strangers.is_new_at(address(at), now + EVERY);
        }
        assert_eq!(strangers.0.lock().expect("not poisoned").len(), ADDRESSES);
        assert!(strangers.is_new_at(address(1), now + 2 * EVERY));
    }

    #[test]
    fn the_length_of_the_answer_is_right() {
        let answer = std::str::from_utf8(HTTP).expect("ASCII");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}", text.len())));
    }
}
