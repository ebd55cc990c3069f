//! How a server is set up, and why it does not start.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gcsd_fault::PlanError;

use crate::faults::Plan;
use crate::storage::Storage;

/// What a [`Builder`](crate::Builder) has collected.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) storage: Storage,
    pub(crate) buckets: Vec<String>,
    pub(crate) create_missing_buckets: bool,
    pub(crate) like_testbench: bool,
    pub(crate) md5: bool,
    pub(crate) session_lifetime: Duration,
    pub(crate) body_idle_timeout: Duration,
    pub(crate) faults: Plan,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: Storage::default(),
            buckets: Vec::new(),
            create_missing_buckets: false,
            like_testbench: false,
            md5: true,
            session_lifetime: Duration::from_secs(7 * 24 * 3600),
            body_idle_timeout: Duration::from_secs(600),
            faults: Plan::default(),
        }
    }
}

/// Why a server did not start.
///
/// The message says what could not be done; [`source`](std::error::Error::source) says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The storage could not be opened.
    #[error("cannot open the storage")]
    Storage(#[source] io::Error),
    /// A bucket could not be created.
    #[error("cannot create the bucket {name:?}")]
    Bucket {
        /// The bucket's name.
        name: String,
        /// Why: mostly that GCS does not allow the name.
        source: io::Error,
    },
    /// The text of the fault plan could not be read.
    #[error("cannot use the fault plan")]
    Faults(#[source] PlanError),
    /// The certificate could not be read or made.
    #[cfg(feature = "tls")]
    #[error("cannot serve HTTPS")]
    Tls(#[source] io::Error),
}
