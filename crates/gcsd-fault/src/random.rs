//! Random numbers that a seed repeats.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A seeded random generator: SplitMix64. It is not for secrets.
///
/// The state is a counter that grows by the odd constant `0x9e3779b97f4a7c15`; each number is the counter after two
/// rounds of shift, exclusive or and multiplication (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014). The numbers of a seed never change between versions of this crate. A clone returns the same
/// numbers.
///
/// ```
/// use gcsd_fault::Random;
///
/// let mut dice = Random::new(7);
/// let throws: Vec<u64> = (0..4).map(|_| 1 + dice.below(6)).collect();
/// assert_eq!(throws, [4, 1, 1, 4]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for `index`, derived from this one's state without changing it.
    ///
    /// So the fifth connection, for instance, meets the same faults no matter which others came first.
    #[must_use]
    pub fn split(&self, index: u64) -> Self {
        Self::new(mix(self.state ^ mix(index.wrapping_add(STEP))))
    }

    /// The next number, of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// The next number below `end`; 0 if `end` is 0.
    ///
    /// Small numbers are more probable, by less than `end / 2^64`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// Skips the next `count` numbers, at once.
    pub fn skip(&mut self, count: u64) {
        self.state = self.state.wrapping_add(STEP.wrapping_mul(count));
    }

    /// The next number in `0.0..1.0`, of 53 bits.
    pub fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * SCALE
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // What the published C code prints for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn recorded_seeds_stay_what_they_are() {
        let mut random = Random::new(42).split(3).split(5);
        let drawn = [random.next_u64(), random.below(1000), random.next_u64()];
        assert_eq!(drawn, [7_941_145_784_079_756_133, 548, 5_027_090_251_747_641_630]);
        assert_eq!(random.unit().to_string(), "0.22880193459887377");
    }

    #[test]
    fn numbers_are_skipped() {
        let mut drawn = Random::new(3);
        let mut skipped = drawn.clone();
        for _ in 0..1000 {
            drawn.next_u64();
        }
        skipped.skip(1000);
        assert_eq!(drawn, skipped);
        skipped.skip(u64::MAX);
        skipped.skip(1);
        assert_eq!(drawn, skipped, "2^64 numbers later it starts over");
    }

    #[test]
    fn splits_differ_and_repeat() {
        let root = Random::new(0);
        let mut firsts: Vec<u64> = (0..1000).map(|index| root.split(index).next_u64()).collect();
        assert_eq!(firsts[7], root.split(7).next_u64());
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 1000);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(1);
        assert_eq!(random.below(0), 0);
        for end in 1..100 {
            assert!(random.below(end) < end);
        }
        let mean = (0..10_000).map(|_| random.unit()).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
