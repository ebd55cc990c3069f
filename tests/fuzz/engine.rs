//! Inputs by mutation, and what becomes of them.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gcsd_fault::Random;

use super::mutate::Mutator;

/// What is kept of inputs that made a target do something new.
const MAX_CORPUS: usize = 4096;

/// A target and where its inputs come from.
pub(crate) struct Fuzz {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many inputs `cargo test` tries.
    pub(crate) inputs: u64,
    /// The longest input in bytes.
    pub(crate) max_len: usize,
    /// Inputs that mean something.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Bytes that inputs are likely to need.
    pub(crate) words: &'static [&'static [u8]],
}

/// Shows the input that a target panics on.
struct Trying<'a> {
    name: &'static str,
    count: u64,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex = self.input.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            eprintln!(
                "{}: input {} of GCSD_FUZZ_SEED={} is wrong; once more: GCSD_FUZZ_INPUT={hex}\n{}",
                self.name,
                self.count,
                self.seed,
                self.input.escape_ascii()
            );
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Fuzz {
    /// Tries inputs. `target` panics on one that shows a fault, and says in a word or a line what it did with another.
    pub(crate) fn run(self, mut target: impl FnMut(&[u8]) -> String) {
        let mut attempt = |count: u64, seed: u64, input: &[u8]| {
            let _trying = Trying {
                name: self.name,
                count,
                seed,
                input,
            };
            target(input)
        };
        if let Some(hex) = variable("GCSD_FUZZ_INPUT") {
            let seen = attempt(0, 0, &crate::support::vectors::bytes_of(&hex));
            eprintln!("{}: {seen}", self.name);
            return;
        }
        let seconds: Option<u64> =
            variable("GCSD_FUZZ_SECONDS").map(|text| text.parse().expect("GCSD_FUZZ_SECONDS: seconds"));
        let seed = match variable("GCSD_FUZZ_SEED") {
            Some(text) => text.parse().expect("GCSD_FUZZ_SEED: a number"),
            None if seconds.is_none() => 0,
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        };
        let mut mutator = Mutator::new(Random::new(seed), self.max_len, self.words);
        let mut seen = HashSet::new();
        let mut corpus = self.seeds.clone();
        assert!(!corpus.is_empty(), "there are seeds");
        let started = Instant::now();
        let mut count = 0;
        for input in &self.seeds {
            seen.insert(attempt(count, seed, input));
            count += 1;
        }
        let seeds = seen.len();
        let go_on = |count| match seconds {
            Some(seconds) => started.elapsed() < Duration::from_secs(seconds),
            None => count < self.inputs,
        };
        while go_on(count) {
            let input = mutator.next(&corpus);
            if seen.insert(attempt(count, seed, &input)) && corpus.len() < MAX_CORPUS {
                corpus.push(input);
            }
            count += 1;
        }
        let (name, found) = (self.name, seen.len());
        eprintln!(
            "{name}: {count} inputs in {} s, seed {seed}: {found} outcomes, {seeds} of them by the seeds",
            started.elapsed().as_secs()
        );
        assert!(
            found > seeds,
            "{name}: the mutations reach nothing that the seeds do not"
        );
    }
}
