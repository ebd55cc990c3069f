//! Numbers in texts of others.

use std::str::FromStr;

/// Reads a whole number as HTTP and Cloud Storage write it: decimal digits and nothing else. `parse` alone takes a `+`, too.
///
/// ```
/// use gcsd_types::digits;
///
/// assert_eq!(digits("007"), Some(7));
/// assert_eq!(digits::<u64>("+7"), None);
/// assert_eq!(digits::<u8>("256"), None);
/// ```
pub fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
