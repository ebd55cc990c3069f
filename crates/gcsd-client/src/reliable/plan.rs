//! Which bytes the next request takes. Pure arithmetic.

use gcsd_types::CHUNK_ALIGNMENT;

/// What there is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The first byte that can still be sent.
    pub(super) from: u64,
    /// The end of what can be sent.
    pub(super) end: u64,
    /// Nothing follows `end`: it is the object's size.
    pub(super) ended: bool,
    /// The size that GCS was told at the start. It finishes the object when it has that many bytes.
    pub(super) declared: Option<u64>,
}

/// How large requests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// The fewest bytes of a request before the end is known.
    pub(super) min: u64,
    /// The most bytes of a request.
    pub(super) max: u64,
    /// The most bytes of the last request, which carries the checksum of the object.
    pub(super) last: u64,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: there are too few bytes.
    Wait,
    /// This many bytes, and whether they are the last.
    Write { len: u64, last: bool },
    /// Everything is committed.
    Finish,
}

/// What goes to `offset`, which lies in `view`.
pub(super) fn plan(offset: u64, view: &View, sizes: Sizes) -> Plan {
    let left = view.end.saturating_sub(offset);
    if view.ended && left <= sizes.last {
        return match left {
            0 => Plan::Finish,
            len => Plan::Write { len, last: true },
        };
    }
    if !view.ended && left < sizes.min {
        return Plan::Wait;
    }
    // The object's last byte goes with its checksum. If GCS would finish at the declared size, the last byte is held back
    // until the producer has ended.
    let kept = match (view.ended, view.declared) {
        (true, _) => view.end.saturating_sub(1),
        (false, Some(declared)) => view.end.min(declared.saturating_sub(1)),
        (false, None) => view.end,
    };
    // GCS takes no range of fewer than 256 KiB but the last, wherever it begins.
    let end = kept.min(offset.saturating_add(sizes.max.max(2 * CHUNK_ALIGNMENT)));
    let end = end - end % CHUNK_ALIGNMENT;
    match end.checked_sub(offset) {
        // What is left has less than two such ranges, and nothing follows: it is the last.
        None | Some(..CHUNK_ALIGNMENT) if view.ended => Plan::Write {
            len: left,
            last: true,
        },
        None | Some(..CHUNK_ALIGNMENT) => Plan::Wait,
        Some(len) => Plan::Write { len, last: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = CHUNK_ALIGNMENT;
    const CHUNKS: Sizes = Sizes {
        min: 2 * K,
        max: 4 * K,
        last: 4 * K,
    };
    /// The sizes of a source that can be read again.
    const WHOLE: Sizes = Sizes {
        min: K,
        max: u64::MAX,
        last: 4 * K,
    };

    const SMALL: Sizes = Sizes {
        min: K,
        max: K,
        last: K,
    };

    fn view(end: u64, ended: bool, declared: Option<u64>) -> View {
        View {
            from: 0,
            end,
            ended,
            declared,
        }
    }

    fn write(len: u64, last: bool) -> Plan {
        Plan::Write { len, last }
    }

    #[test]
    fn each_request_takes_what_it_may() {
        let table = [
            // offset, end, ended, declared, sizes, plan
            (0, 0, false, None, CHUNKS, Plan::Wait),
            (0, 2 * K - 1, false, None, CHUNKS, Plan::Wait),
            (0, 2 * K, false, None, CHUNKS, write(2 * K, false)),
            (0, 3 * K + 7, false, None, CHUNKS, write(3 * K, false)),
            (0, 9 * K, false, None, CHUNKS, write(4 * K, false)),
            // From the middle, whatever GCS reported.
            (5, 2 * K + 4, false, None, CHUNKS, Plan::Wait),
            (5, 2 * K + 5, false, None, CHUNKS, write(2 * K - 5, false)),
            (5, 9 * K, false, None, CHUNKS, write(4 * K - 5, false)),
            (5, 2 * K - 1, false, None, SMALL, Plan::Wait),
            (5, 2 * K, false, None, SMALL, write(2 * K - 5, false)),
            (5, 9 * K, true, None, SMALL, write(2 * K - 5, false)),
            (5, 2 * K - 1, true, None, SMALL, write(2 * K - 6, true)),
            (5, K + 6, true, None, SMALL, write(K + 1, true)),
            (5, 2 * K, true, None, SMALL, write(2 * K - 5, true)),
            (5, 2 * K + 1, true, None, SMALL, write(2 * K - 5, false)),
            // The end is known.
            (0, 0, true, None, CHUNKS, Plan::Finish),
            (0, 1, true, None, CHUNKS, write(1, true)),
            (0, 4 * K, true, None, CHUNKS, write(4 * K, true)),
            (0, 4 * K + 1, true, None, CHUNKS, write(4 * K, false)),
            (5, 4 * K + 5, true, None, CHUNKS, write(4 * K, true)),
            (5, 4 * K + 6, true, None, CHUNKS, write(4 * K - 5, false)),
            (7, 7, true, None, CHUNKS, Plan::Finish),
            // GCS finishes at the declared size: not before the producer says that it is the end.
            (0, 3 * K, false, Some(3 * K), CHUNKS, write(2 * K, false)),
            (2 * K, 3 * K, false, Some(3 * K), CHUNKS, Plan::Wait),
            (K, 3 * K, false, Some(3 * K), CHUNKS, write(K, false)),
            (0, 3 * K, true, Some(3 * K), CHUNKS, write(3 * K, true)),
            (0, 2 * K, false, Some(0), CHUNKS, Plan::Wait),
            // One request as large as possible, and a small one with the checksum of everything.
            (0, 4 * K, true, None, WHOLE, write(4 * K, true)),
            (0, 4 * K + 1, true, None, WHOLE, write(4 * K, false)),
            (0, 5 * K, true, None, WHOLE, write(4 * K, false)),
            (0, 1000 * K, true, Some(1000 * K), WHOLE, write(999 * K, false)),
            (999 * K, 1000 * K, true, None, WHOLE, write(K, true)),
            (
                0,
                i64::MAX as u64,
                true,
                None,
                WHOLE,
                write(i64::MAX as u64 / K * K, false),
            ),
        ];
        for (offset, end, ended, declared, sizes, expected) in table {
            let found = plan(offset, &view(end, ended, declared), sizes);
            assert_eq!(found, expected, "{offset} of {end} {ended} {declared:?}");
        }
    }

    #[test]
    fn what_is_held_back_can_always_be_sent_when_the_producer_must_wait() {
        // A producer waits when less than 256 KiB fit, at any offset that GCS may have reported.
        for offset in [0, 1, K - 1, K, K + 1] {
            let held = CHUNKS.min + 2 * K - K + 1;
            let found = plan(offset, &view(offset + held, false, None), CHUNKS);
            assert!(matches!(found, Plan::Write { .. }), "{offset}: {found:?}");
        }
    }
}
