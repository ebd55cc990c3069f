//! How an upload is striped.

use serde::{Deserialize, Serialize};

use super::super::{IoError, RetryPolicy};
use gcsd_types::{MAX_PARTS, NameError};

/// How parts become the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// They are temporary objects, and are composed.
    #[default]
    Compose,
    /// They belong to a multipart upload of the XML API, which has no temporary objects and no preconditions.
    Multipart,
}

impl Via {
    /// The most parts of one object.
    pub fn max_parts(self) -> u64 {
        match self {
            // Two steps compose them.
            Self::Compose => 1024,
            Self::Multipart => MAX_PARTS.into(),
        }
    }

    /// The fewest bytes of a part, except the last
    /// (<https://cloud.google.com/storage/quotas#requests>).
    pub fn least_part(self) -> u64 {
        match self {
            Self::Compose => 1,
            Self::Multipart => 5 << 20,
        }
    }
}

/// The settings of a [`StripedUpload`](super::StripedUpload).
///
/// ```
/// use gcsd_client::{StripedOptions, Via};
///
/// let options = StripedOptions::default().with_connections(8).with_part_size(64 << 20);
/// let multipart = options.with_via(Via::Multipart);
/// assert_eq!((multipart.connections, multipart.part_size), (8, Some(64 << 20)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StripedOptions {
    /// How many parts are uploaded at a time, each on a connection of its own: 1 to 64.
    pub connections: usize,
    /// How parts become the object.
    pub via: Via,
    /// Bytes of a part; by default there are as many parts as connections. There may be at most 1,024 parts, or 10,000 of a
    /// multipart upload, whose parts need at least 5 MiB.
    pub part_size: Option<u64>,
    /// What the names of temporary objects begin with, in the object's bucket; by default the object's own name.
    pub part_prefix: Option<String>,
    /// When to try again, and when to give up: for each part, and for each request that belongs to none.
    pub retries: RetryPolicy,
}

impl StripedOptions {
    /// The most connections.
    pub const MAX_CONNECTIONS: usize = 64;

    /// Uploads so many parts at once, each on a connection of its own.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How parts become the object.
    #[must_use]
    pub fn with_via(mut self, via: Via) -> Self {
        self.via = via;
        self
    }

    /// Cuts the source into parts of so many bytes.
    #[must_use]
    pub fn with_part_size(mut self, bytes: u64) -> Self {
        self.part_size = Some(bytes);
        self
    }

    /// Begins the names of temporary objects with `prefix` rather than with the object's name.
    #[must_use]
    pub fn with_part_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.part_prefix = Some(prefix.into());
        self
    }

    /// When to try again, and when to give up.
    #[must_use]
    pub fn with_retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }
}

impl Default for StripedOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            via: Via::Compose,
            part_size: None,
            part_prefix: None,
            retries: RetryPolicy::default(),
        }
    }
}

/// Options that cannot work. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripedOptionsError {
    /// Too few or too many connections.
    #[error("{0} connections: it must be 1 to {max}", max = StripedOptions::MAX_CONNECTIONS)]
    Connections(usize),
    /// The parts are too small for GCS, or there would be too many of them.
    #[error("{part_size} bytes are too few for a part ({parts} parts): at least {least} are needed")]
    Parts {
        /// What was asked for.
        part_size: u64,
        /// How many parts that would be.
        parts: u64,
        /// The least that works.
        least: u64,
    },
    /// GCS composes only under `if_generation_match` and `if_metageneration_match`.
    #[error(
        "an object can be composed only under the preconditions if-generation-match and if-metageneration-match"
    )]
    Precondition,
    /// A multipart upload cannot have preconditions.
    #[error("a multipart upload cannot have preconditions: compose the object")]
    AnyPrecondition,
    /// The temporary objects cannot be named.
    #[error("the temporary objects cannot be named")]
    Name(#[from] NameError),
    /// There are no random numbers to name them by.
    #[error("the system's random generator failed")]
    Random(#[source] IoError),
    /// The checkpoint is damaged, or of another source.
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(&'static str),
}
