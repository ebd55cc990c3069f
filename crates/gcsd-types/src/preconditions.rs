//! Preconditions on requests.

/// What must hold of an object for GCS to carry out a request on it
/// (<https://cloud.google.com/storage/docs/request-preconditions>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preconditions {
    /// The live generation is this one; 0 means that no live object exists.
    pub if_generation_match: Option<u64>,
    /// The live generation is not this one.
    pub if_generation_not_match: Option<u64>,
    /// The metageneration is this one.
    pub if_metageneration_match: Option<u64>,
    /// The metageneration is not this one.
    pub if_metageneration_not_match: Option<u64>,
}

impl Preconditions {
    /// Whether they name the only generation that may be live. A request that replaces it can then succeed only
    /// once: the new object has another generation.
    pub fn pins_generation(&self) -> bool {
        self.if_generation_match.is_some()
    }

    /// The same for the metageneration and requests that change metadata.
    pub fn pins_metageneration(&self) -> bool {
        self.if_metageneration_match.is_some()
    }
}
