//! How a striped upload ends.

use super::super::{Aborted, Error};
use gcsd_types::{ObjectInfo, ObjectName};

/// An object that exists, and has the size and the checksum of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Striped {
    /// The object.
    pub object: ObjectInfo,
    /// Temporary objects that could not be deleted.
    pub leftovers: Leftovers,
}

/// An object that was uploaded in one piece, without temporary objects.
impl From<ObjectInfo> for Striped {
    fn from(object: ObjectInfo) -> Self {
        let leftovers = Leftovers::default();
        Self { object, leftovers }
    }
}

/// What an abort of a striped upload found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StripedAborted {
    /// What became of the object.
    pub object: Aborted,
    /// What could not be cleaned up.
    pub leftovers: Leftovers,
}

/// An upload in one piece, without temporary objects.
impl From<Aborted> for StripedAborted {
    fn from(object: Aborted) -> Self {
        let leftovers = Leftovers::default();
        Self { object, leftovers }
    }
}

impl StripedAborted {
    /// Nothing is known, because of `error` if there is one.
    pub(super) fn unknown(error: Option<Error>) -> Self {
        Self {
            object: Aborted::Unknown { error: error.clone() },
            leftovers: Leftovers {
                unsure: error,
                ..Leftovers::default()
            },
        }
    }
}

/// What is left of an upload after its cleanup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Temporary objects that could not be deleted.
    pub objects: Vec<ObjectName>,
    /// Why there may be more: they could not be listed, or not in time. Their names begin with
    /// [`prefix`](Self::prefix).
    pub unsure: Option<Error>,
    /// What the names of temporary objects begin with; empty where there are none.
    pub prefix: String,
}

impl Leftovers {
    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.unsure.is_none()
    }
}
