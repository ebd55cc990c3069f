//! Fuzzing on a stable toolchain, without a tool: inputs are mutations of seeds, and what made a target do something new is
//! mutated further (docs/testing.md).
//!
//! `cargo test` runs a fixed number of inputs, the same in every run. `GCSD_FUZZ_SECONDS` gives each target that much time instead, and
//! other inputs in each run; `GCSD_FUZZ_SEED` repeats one, `GCSD_FUZZ_INPUT` (hex) tries one input.

#![expect(
    clippy::disallowed_macros,
    reason = "the test harness shows what a test prints to standard error, if that fails"
)]

mod answers;
mod devgcs;
mod engine;
mod facts;
mod feed;
mod mutate;
mod server;
mod stream;
mod support;
mod wire;

use engine::Fuzz;
