//! Behaviour over real sockets, and the wire against its specification, in one binary.

mod client_ends;
mod client_read;
mod client_requests;
mod conversation;
mod devgcs_resumable;
mod framing;
mod gcs_auth;
mod gcs_broken;
mod gcs_connect;
mod gcs_devgcs;
mod gcs_oracle;
mod gcs_read;
mod gcs_session;
mod gcs_write;
mod golden;
mod mini_client;
mod read_at;
mod spec;
mod support;
mod uploads;
mod wire_robust;
mod write_at;
