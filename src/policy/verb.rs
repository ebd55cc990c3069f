//! What a rule can permit.

use std::fmt;

use serde::Deserialize;

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $verb:ident $name:literal;)+) => {
        /// What a rule can permit on objects whose names begin with a prefix, or on a bucket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub enum Verb {
            $($(#[doc = $doc])+ $verb,)+
        }

        impl Verb {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$verb),+];

            /// The name in the configuration.
            pub fn name(self) -> &'static str {
                match self { $(Self::$verb => $name,)+ }
            }
        }
    };
}

verbs! {
    /// The bytes and the metadata of an object.
    Read "read";
    /// The names and the metadata of the objects below a prefix.
    List "list";
    /// An object where there is none.
    Create "create";
    /// An object in the place of another.
    Replace "replace";
    /// The metadata of an object, its ACL with it.
    Update "update";
    /// An object is gone.
    Delete "delete";
    /// The metadata of a bucket.
    StatBucket "stat-bucket";
    /// The names and the metadata of all buckets of a project.
    ListBuckets "list-buckets";
}

/// A word that is no verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// It will be one.
    #[error("the verb 'sign' is reserved: no request of this version signs anything")]
    Reserved,
    /// It is none.
    #[error("'{0}' is no verb: there are {list}", list = names(Verb::ALL))]
    Unknown(String),
}

impl std::str::FromStr for Verb {
    type Err = VerbError;

    fn from_str(text: &str) -> Result<Self, VerbError> {
        match Self::ALL.iter().find(|verb| verb.name() == text) {
            Some(verb) => Ok(*verb),
            None if text == "sign" => Err(VerbError::Reserved),
            None => Err(VerbError::Unknown(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Verb {
    type Error = VerbError;

    fn try_from(text: String) -> Result<Self, VerbError> {
        text.parse()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Verbs, as a sentence lists them.
pub(super) fn names(verbs: &[Verb]) -> String {
    let names: Vec<_> = verbs.iter().map(|verb| verb.name()).collect();
    names.join(", ")
}
