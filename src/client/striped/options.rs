//! How an upload is striped.

use super::super::RetryPolicy;
use super::names::NoRandom;
use crate::types::NameError;

/// The settings of a [`StripedUpload`](super::StripedUpload).
#[derive(Debug, Clone)]
pub struct StripedOptions {
    /// How many parts are under way at once, each on a connection of its own: 1 to 64.
    pub connections: usize,
    /// Bytes of a part, of which there may be at most 1,024. As many parts as connections where absent.
    pub part_size: Option<u64>,
    /// What the names of temporary objects begin with, in the object's bucket. Where absent, the object's own name.
    pub part_prefix: Option<String>,
    /// When to try again, and when to give up: for each part, and for each request beside them.
    pub retries: RetryPolicy,
}

impl StripedOptions {
    /// The most parts at once.
    pub const MAX_CONNECTIONS: usize = 64;
    /// The most parts of one object: two steps compose them.
    pub const MAX_PARTS: u64 = 1024;
}

impl Default for StripedOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            part_size: None,
            part_prefix: None,
            retries: RetryPolicy::default(),
        }
    }
}

/// An upload that cannot be striped as it was asked for. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripedOptionsError {
    /// Too few or too many connections.
    #[error("{0} connections: it must be 1 to {max}", max = StripedOptions::MAX_CONNECTIONS)]
    Connections(usize),
    /// The parts are too small for so many bytes.
    #[error("parts of {part_size} bytes would be {parts}, and there may be {max}: parts need {least} bytes at least", max = StripedOptions::MAX_PARTS)]
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
    /// The parts cannot be named.
    #[error("the temporary objects cannot be named: {0}")]
    Name(#[from] NameError),
    /// There is nothing to name them by.
    #[error("{0}")]
    Random(#[from] NoRandom),
    /// The checkpoint is not one of this source.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(&'static str),
}
