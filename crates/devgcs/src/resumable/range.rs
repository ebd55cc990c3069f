//! `Content-Range` of a request to a session.

use crate::digits::digits;

/// What a request says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// No header: the body is the whole object.
    Whole,
    /// `bytes FIRST-LAST/*` or `bytes FIRST-LAST/TOTAL`.
    Part {
        /// Offset of the first byte of the body.
        first: u64,
        /// Offset after the last byte of the body.
        end: u64,
        /// Size of the object, if known.
        total: Option<u64>,
    },
    /// `bytes FIRST-*/*` or `bytes FIRST-*/TOTAL`: from FIRST to wherever the body ends.
    Rest {
        /// Offset of the first byte of the body.
        first: u64,
        /// Size of the object, if known.
        total: Option<u64>,
    },
    /// `bytes */*`: asks how much is persisted.
    Query,
    /// `bytes */TOTAL`: finishes the object if this much is persisted.
    Finish {
        /// Size of the object.
        total: u64,
    },
}

impl ContentRange {
    /// Reads a header's value; `None` if it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.trim_start().split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            total => Some(digits(total)?),
        };
        let range = range.trim();
        if range == "*" {
            return Some(match total {
                None => Self::Query,
                Some(total) => Self::Finish { total },
            });
        }
        let (first, last) = range.split_once('-')?;
        let first = digits(first)?;
        if last == "*" {
            return Some(Self::Rest { first, total });
        }
        let end = digits::<u64>(last)?.checked_add(1)?;
        (first < end).then_some(Self::Part { first, end, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let part = |first, end, total| ContentRange::Part { first, end, total };
        for (text, wanted) in [
            ("bytes 0-0/*", part(0, 1, None)),
            ("bytes 5-9/10", part(5, 10, Some(10))),
            (
                "bytes 5-*/*",
                ContentRange::Rest {
                    first: 5,
                    total: None,
                },
            ),
            (
                "bytes 5-*/9",
                ContentRange::Rest {
                    first: 5,
                    total: Some(9),
                },
            ),
            ("bytes */*", ContentRange::Query),
            ("bytes */0", ContentRange::Finish { total: 0 }),
        ] {
            assert_eq!(ContentRange::parse(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn malformed_ones_are_refused() {
        for text in [
            "",
            "bytes",
            "bytes 0-1",
            "0-1/2",
            "bytes 2-1/*",
            "bytes -1/*",
            "bytes 1-/*",
            "bytes +1-2/*",
            "bytes 0-1/",
            "bytes 0-1/x",
            "bytes 0-1/-2",
            "bytes a-b/*",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/*",
            "items 0-1/*",
            "bytes */",
            "bytes*/3",
            "bytes /*",
            "bytes *-1/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
