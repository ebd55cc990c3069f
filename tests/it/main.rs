//! Behaviour over real sockets, and the wire against its specification, in one binary.

#![expect(
    clippy::disallowed_macros,
    reason = "the test harness shows what a test prints to standard error, if that fails"
)]

mod buckets;
mod cli_ends;
mod cli_environment;
mod cli_get;
mod cli_list;
mod cli_many;
mod cli_names;
mod cli_objects;
mod cli_put;
mod cli_resume;
mod cli_signals;
mod cli_stripes;
mod cli_targets;
mod cli_tools;
mod client_ends;
mod client_read;
mod client_requests;
mod client_streamed;
mod conversation;
mod devgcs_directory;
mod devgcs_docs;
mod devgcs_faults;
mod devgcs_media;
mod devgcs_objects;
mod devgcs_resumable;
mod devgcs_tls;
mod devgcs_xml;
mod encryption;
mod fencing;
mod fleet;
mod framing;
mod gcs_auth;
mod gcs_broken;
mod gcs_connect;
mod gcs_copies;
mod gcs_devgcs;
mod gcs_objects;
mod gcs_oracle;
mod gcs_read;
mod gcs_session;
mod gcs_write;
mod golden;
mod list_objects;
mod matrix;
mod mini_client;
mod multipart;
mod object_changes;
mod object_copies;
mod put_object;
mod read_at;
mod reliable;
mod reliable_read;
mod sdk;
mod soak;
mod spec;
mod streamed;
mod striped;
mod striped_ends;
mod striped_multipart;
mod support;
mod takeover;
mod uploads;
mod wire_robust;
mod write_at;
mod writers;
