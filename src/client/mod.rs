//! The client library: a connection to a daemon, and what is built on it.
//!
//! [`Connection`] speaks the wire and recovers from nothing: each request becomes one reply or one
//! [`Error`], and the error says what to do next ([`Error::retry`]).
//!
//! ```text
//!  callers ──requests──▶ sending task ──▶ socket ──▶ daemon
//!     ▲                       ▲ stop                    │
//!     └──replies by sequence── receiving task ◀─────────┘
//! ```
//!
//! Both tasks end when the connection is over or the last [`Connection`] handle is dropped. Whichever
//! sees the end first says why, and every caller learns it.

mod address;
mod body;
mod connection;
mod error;
mod file_body;
mod in_flight;
mod object_reader;
mod options;
mod receiving;
mod sending;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use body::{Body, BodySource, NextPiece, ReaderBody};
pub use connection::{Connection, Reply};
pub(crate) use error::one_line;
pub use error::{DaemonError, Error, Lost, Reason, RequestError};
pub use file_body::{FileBody, Sum};
pub use object_reader::ObjectReader;
pub use options::Options;
