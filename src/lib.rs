//! gcsd: a daemon between a socket and Google Cloud Storage.
//!
//! # Layout
//!
//! Data flows one way: bytes come in through [`wire`], mean something in `ops`, and leave through
//! `gcs`. `ARCHITECTURE.md` says who may import whom, and a test holds it.

pub mod cli;
pub mod client;
pub mod devgcs;
mod failure;
pub mod fault;
pub mod gcs;
pub mod net;
pub mod ops;
pub mod server;
pub mod types;
pub mod upload;
pub mod wire;
