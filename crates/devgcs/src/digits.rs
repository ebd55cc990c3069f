//! Numbers in texts of clients.

use std::str::FromStr;

/// Reads a whole number: digits and nothing else. `parse` alone takes a `+`, too.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    let only = text.bytes().all(|byte| byte.is_ascii_digit());
    only.then(|| text.parse().ok()).flatten()
}
