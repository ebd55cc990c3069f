//! Outgoing connections: the one place where a socket is dialed.
//!
//! The GCS client and the client library take a [`Connector`], so that the program that composes them can put
//! another one underneath: the fault injection does.

mod acknowledgements;
mod connector;
mod exhausted;
mod failures;
mod plain;
mod race;
mod socket;
mod stream;
mod tcp;
mod tcp_info;

pub use acknowledgements::Acknowledgements;
pub use connector::{Connecting, Connector, ResolveError, SharedConnector};
pub use exhausted::is_exhausted;
pub use failures::ConnectError;
pub use plain::Plain;
pub use socket::{backstop, bound_unread, prepare};
pub use stream::{BoxStream, Stream};
pub use tcp::{TcpConnector, connect_any};
