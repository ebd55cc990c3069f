//! Which bytes belong to which part, and which parts are composed together. Pure arithmetic.

use std::ops::Range;

use gcsd_types::{CHUNK_ALIGNMENT, ComposeSource};

/// An object of `size` bytes in parts of `part_size`, of which the last may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) size: u64,
    pub(super) part_size: u64,
}

impl Layout {
    /// In parts of `part_size`, or else in as many parts as there are connections.
    pub(super) fn new(size: u64, connections: usize, part_size: Option<u64>) -> Self {
        let even = || {
            let connections = u64::try_from(connections).unwrap_or(u64::MAX).max(1);
            size.div_ceil(connections).next_multiple_of(CHUNK_ALIGNMENT)
        };
        let part_size = part_size.unwrap_or_else(even).max(1);
        Self { size, part_size }
    }

    /// The number of parts, at least one.
    pub(super) fn parts(&self) -> u64 {
        self.size.div_ceil(self.part_size).max(1)
    }

    /// The offset and the length of part `number`.
    pub(super) fn range(&self, number: usize) -> (u64, u64) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let offset = self.part_size.saturating_mul(number).min(self.size);
        (offset, self.part_size.min(self.size - offset))
    }
}

/// Groups of neighbours to compose first, so that fewer objects are left: at most 32 each, as even as possible. `None` if
/// `count` objects can be composed in one step.
pub(super) fn groups(count: usize) -> Option<Vec<Range<usize>>> {
    if count <= ComposeSource::MAX {
        return None;
    }
    let groups = count.div_ceil(ComposeSource::MAX);
    let start = |group: usize| group * count / groups;
    Some((0..groups).map(|group| start(group)..start(group + 1)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_byte_once() {
        for (size, connections, part_size) in [
            (0, 4, None),
            (1, 4, None),
            (10 << 20, 4, None),
            (10 << 20, 3, Some(1 << 20)),
            (999, 1, Some(7)),
            (5 << 40, 64, None),
        ] {
            let layout = Layout::new(size, connections, part_size);
            let parts = usize::try_from(layout.parts()).expect("few");
            let mut next = 0;
            for number in 0..parts {
                let (offset, len) = layout.range(number);
                assert_eq!(offset, next);
                assert!(len > 0 || size == 0);
                next = offset + len;
            }
            assert_eq!(next, size);
            if part_size.is_none() {
                assert!(parts <= connections);
            }
        }
    }

    #[test]
    fn groups_are_even_and_small_enough() {
        assert_eq!(groups(1), None);
        assert_eq!(groups(32), None);
        assert_eq!(groups(33).expect("two"), [0..16, 16..33]);
        for count in [34, 70, 1000, 1024, 10_000] {
            let groups = groups(count).expect("too many for one step");
            assert_eq!((groups[0].start, groups[groups.len() - 1].end), (0, count));
            assert!(groups.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lens = || groups.iter().map(ExactSizeIterator::len);
            assert!(lens().max() <= Some(32) && lens().max() <= lens().min().map(|min| min + 1));
        }
    }
}
