//! The `gcsd` binary.
fn main() {}
