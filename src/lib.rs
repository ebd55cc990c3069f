//! gcsd: a daemon between a socket and Google Cloud Storage.
//!
//! This package is the daemon ([`server`], [`ops`], [`policy`], [`peer`], [`stats`], [`admin`]) and its command line ([`cli`]); what others can use as a
//! library stands in crates of its own. `ARCHITECTURE.md` says which.

pub mod admin;
pub mod cli;
pub mod ops;
pub mod peer;
pub mod policy;
pub mod server;
pub mod stats;
