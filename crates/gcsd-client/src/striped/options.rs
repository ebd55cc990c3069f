//! How an upload is striped.

use serde::{Deserialize, Serialize};

use super::super::{IoError, RetryPolicy};
use gcsd_types::{MAX_PARTS, NameError};

/// How parts become the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// They are temporary objects, which are composed.
    #[default]
    Compose,
    /// They are parts of a multipart upload of the XML API: there are no temporary objects, and no preconditions.
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

    /// The fewest bytes of a part that is not the last
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
    /// How many parts are under way at once, each on a connection of its own: 1 to 64.
    pub connections: usize,
    /// How parts become the object.
    pub via: Via,
    /// Bytes of a part. There may be at most 1,024 parts, or 10,000 of a multipart upload, whose parts need 5 MiB at
    /// least. As many parts as connections where absent.
    pub part_size: Option<u64>,
    /// What the names of temporary objects begin with, in the object's bucket. Where absent, the object's own name.
    pub part_prefix: Option<String>,
    /// When to try again, and when to give up: for each part, and for each request beside them.
    pub retries: RetryPolicy,
}

impl StripedOptions {
    /// The most parts at once.
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

/// An upload that cannot be striped as it was asked for. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripedOptionsError {
    /// Too few or too many connections.
    #[error("{0} connections: it must be 1 to {max}", max = StripedOptions::MAX_CONNECTIONS)]
    Connections(usize),
    /// The parts are too small: for GCS, or for so many bytes.
    #[error("parts of {part_size} bytes would be {parts} parts: they need {least} bytes at least")]
    Parts {
        /// What was asked for.
        part_size: u64,
        /// What comes of that.
        parts: u64,
        /// What works.
        least: u64,
    },
    /// GCS composes under `if_generation_match` and `if_metageneration_match` only.
    #[error("a composed object knows the preconditions if-generation-match and if-metageneration-match only")]
    Precondition,
    /// A multipart upload knows no preconditions.
    #[error("a multipart upload knows no preconditions: compose the object")]
    AnyPrecondition,
    /// The parts cannot be named.
    #[error("the temporary objects cannot be named")]
    Name(#[from] NameError),
    /// There are no random numbers to name them by.
    #[error("the system's random generator failed")]
    Random(#[source] IoError),
    /// The checkpoint is not one of this source.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(&'static str),
}
