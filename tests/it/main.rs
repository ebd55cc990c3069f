//! Behaviour over real sockets, in one binary.

mod devgcs_resumable;
mod support;
