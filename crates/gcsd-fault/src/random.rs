//! Random numbers that a seed repeats: SplitMix64.
//!
//! The state is a counter that grows by the odd constant `0x9e3779b97f4a7c15`, and each number is the
//! counter after two rounds of shift, exclusive or and multiplication (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", OOPSLA 2014, with the constants of `java.util`'s
//! `SplittableRandom`). It has 64 bits of state, passes the usual statistical tests, and two generators
//! split from one seed are independent for any purpose of a test. It is no source of secrets.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A seeded generator. Cloning it repeats what it will say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The generator that belongs to the number `index` below this one, whatever this one has said.
    ///
    /// So that, for one, the fifth connection meets the same faults whichever of the others came first.
    #[must_use]
    pub fn split(&self, index: u64) -> Self {
        Self::new(mix(self.state ^ mix(index.wrapping_add(STEP))))
    }

    /// The next number, out of all of them.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// The number that [`next_u64`](Self::next_u64) gives after `index` others, without asking for those.
    pub fn nth(&self, index: u64) -> u64 {
        mix(self.state.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
    }

    /// The next number below `end`; 0 where `end` is 0.
    ///
    /// The remainder favours small numbers by less than `end / 2^64`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
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
    fn any_number_can_be_had_alone() {
        let random = Random::new(7);
        let mut asked = random.clone();
        for index in 0..5 {
            assert_eq!(random.nth(index), asked.next_u64());
        }
        assert_eq!(random.nth(u64::MAX), mix(7));
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
