# `just` lists what there is to run.

_default:
    @just --list

# Format, lint, document, test: what needs nothing but Rust
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
    cargo test

# A bounded upload through the real wire, daemon and HTTP
demo *args:
    cargo run --release -- demo {{ args }}

# Netcat, third-party servers, real GCS clients: all, or those named
outside *names:
    cargo build
    tests/outside/run {{ names }}

# Everything that CI runs, installing what it needs
ci:
    .ci/run

# Break what must not lose a byte in every way that cargo-mutants knows, and see the tests notice (hours)
mutants:
    .ci/full mutants

# What takes longer than CI should: all, or the steps named
full *steps:
    .ci/full {{ steps }}

# Licences, bans and sources of the dependencies
deny:
    cargo deny check

# The container image
image:
    docker build -t gcsd .
