//! Behaviour over real sockets, and the wire against its specification, in one binary.

mod devgcs_resumable;
mod golden;
mod support;
mod wire_robust;
