//! Inputs that are like others.

use gcsd_fault::Random;

/// Numbers at an edge.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    7,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x3_ffff,
    0x4_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// How much of an input is its front.
const FRONT: usize = 1024;

/// Makes inputs of a corpus.
pub(crate) struct Mutator {
    random: Random,
    max_len: usize,
    words: &'static [&'static [u8]],
}

impl Mutator {
    pub(crate) fn new(random: Random, max_len: usize, words: &'static [&'static [u8]]) -> Self {
        Self {
            random,
            max_len,
            words,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end.max(1) as u64)).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.random.next_u64().to_le_bytes()[0]
    }

    /// An input like one of the corpus; half of them are like one of the newest.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let newest = corpus.len().saturating_sub(16);
        let at = match self.below(2) {
            0 => newest + self.below(corpus.len() - newest),
            _ => self.below(corpus.len()),
        };
        let mut bytes = corpus[at].clone();
        let few = self.below(3);
        for _ in 0..=self.below(1 << (2 * few)) {
            let other = self.below(corpus.len());
            self.change(&mut bytes, &corpus[other]);
        }
        bytes.truncate(self.max_len);
        bytes
    }

    /// Writes another number, or what is none, in the place of a number of `bytes` that is written in digits.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let front = bytes.len().min(FRONT);
        let starts = (0..front).filter(|at| digit(*at) && !at.checked_sub(1).is_some_and(digit));
        let starts: Vec<usize> = starts.collect();
        if starts.is_empty() {
            return;
        }
        let run = |start: usize| {
            let end = (start..bytes.len()).find(|at| !digit(*at));
            start..end.unwrap_or(bytes.len())
        };
        let place = run(starts[self.below(starts.len())]);
        let old = String::from_utf8_lossy(&bytes[place.clone()]).into_owned();
        let value: u64 = old.parse().unwrap_or(u64::MAX);
        let new = match self.below(10) {
            0 | 1 => EDGES[self.below(EDGES.len())].to_string(),
            2 => value.wrapping_add(1).to_string(),
            3 => value.wrapping_sub(1).to_string(),
            4 => value.wrapping_mul(2).to_string(),
            // That of another place.
            5 | 6 => String::from_utf8_lossy(&bytes[run(starts[self.below(starts.len())])]).into_owned(),
            7 => format!("{}{old}", ["+", "-", "0", " ", "0x"][self.below(5)]),
            8 => ["", "x", "*", "1x", "1.0", "1e3"][self.below(6)].to_owned(),
            _ => format!("{old}{}", self.below(10)),
        };
        bytes.splice(place, new.into_bytes());
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        // What an input begins with decides more than what follows.
        let within = match self.below(2) {
            0 => bytes.len().min(FRONT),
            _ => bytes.len(),
        };
        let at = self.below(within + 1);
        let few = self.below(7);
        let len = self.below(1 << few).min(bytes.len() - at);
        match self.below(15) {
            0 => bytes[at..].iter_mut().take(1).for_each(|byte| *byte ^= 1),
            1 => {
                let bit = 1 << self.below(8);
                bytes[at..].iter_mut().take(1).for_each(|byte| *byte ^= bit);
            }
            2 => {
                let value = self.byte();
                bytes[at..].iter_mut().take(1).for_each(|byte| *byte = value);
            }
            3 => {
                let by = u8::try_from(1 + self.below(35)).unwrap_or(1);
                let less = self.below(2) == 0;
                let moved =
                    |byte: &mut u8| *byte = byte.wrapping_add(if less { by.wrapping_neg() } else { by });
                bytes[at..].iter_mut().take(1).for_each(moved);
            }
            4 | 5 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let size = 1 << self.below(4);
                let place = bytes[at..].iter_mut().zip(edge).take(size);
                place.for_each(|(byte, edge)| *byte = edge);
            }
            6 => drop(bytes.drain(at..at + len)),
            7 => {
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
            8 => bytes.truncate(at),
            9 => {
                let new: Vec<u8> = (0..len.max(1)).map(|_| self.byte()).collect();
                bytes.splice(at..at, new);
            }
            10 => {
                let digits = EDGES[self.below(EDGES.len())].to_string();
                let end = at
                    + bytes[at..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                bytes.splice(at..end, digits.into_bytes());
            }
            11 | 12 => self.number(bytes),
            13 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let end = match self.below(2) {
                    0 => at,
                    _ => bytes.len().min(at + word.len()),
                };
                bytes.splice(at..end, word.iter().copied());
            }
            _ => {
                let from = self.below(other.len() + 1);
                let few = self.below(9);
                let some = 1 + self.below(1 << few);
                let part = &other[from..other.len().min(from + some)];
                bytes.splice(at..at + len, part.iter().copied());
            }
        }
    }
}
