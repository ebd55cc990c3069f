//! `gs://` URLs as the command line reads them: objects, and places for objects.

use std::fmt;
use std::str::FromStr;

use super::pattern::is_pattern;
pub(super) use gcsd_types::GsUrl;
use gcsd_types::{BucketName, NameError, ObjectName, UrlError};

/// Where an upload goes: an object, or a place for an object that is named like the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Object(GsUrl),
    /// The bucket, and what the object's name begins with: nothing, or something that ends with `/`.
    Below(BucketName, String),
}

/// A bucket, and the name of an object there, a pattern of names, or what the names of some begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BucketUrl {
    pub(super) bucket: BucketName,
    /// Perhaps nothing.
    pub(super) prefix: String,
    /// It is taken as it is: nothing in it stands for anything else.
    pub(super) literal: bool,
}

/// Text that names no object or no place for several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GsUrlError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("several objects need a place: write gs://BUCKET/PREFIX/, with the '/' at the end")]
    Several,
}

impl FromStr for BucketUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let gcsd_types::BucketUrl { bucket, prefix } = text.parse()?;
        Ok(Self {
            bucket,
            prefix,
            literal: false,
        })
    }
}

/// Taken as it is.
impl From<GsUrl> for BucketUrl {
    fn from(url: GsUrl) -> Self {
        Self {
            bucket: url.bucket,
            prefix: url.object.as_str().to_owned(),
            literal: true,
        }
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.prefix)
    }
}

/// A name that the command line puts together.
impl From<NameError> for GsUrlError {
    fn from(error: NameError) -> Self {
        Self::Url(error.into())
    }
}

impl FromStr for Target {
    type Err = GsUrlError;

    fn from_str(text: &str) -> Result<Self, GsUrlError> {
        let url: BucketUrl = text.parse()?;
        if url.prefix.is_empty() || url.prefix.ends_with('/') {
            return Ok(Self::Below(url.bucket, url.prefix));
        }
        Ok(Self::Object(url.object()?))
    }
}

impl Target {
    /// The object that a file of this name becomes.
    pub(super) fn named(&self, file: Option<&str>) -> Result<GsUrl, GsUrlError> {
        match (self, file) {
            (Self::Object(url), _) => Ok(url.clone()),
            (Self::Below(bucket, prefix), Some(file)) => Ok(GsUrl {
                bucket: bucket.clone(),
                object: ObjectName::new(format!("{prefix}{file}"))?,
            }),
            (Self::Below(..), None) => Err(UrlError::Object.into()),
        }
    }
}

impl BucketUrl {
    /// The same, taken as it is.
    pub(super) fn literally(self) -> Self {
        Self {
            literal: true,
            ..self
        }
    }

    /// Whether it can stand for more than itself.
    pub(super) fn is_pattern(&self) -> bool {
        !self.literal && is_pattern(&self.prefix)
    }

    /// The name and the generation of an object, as `ls --all-versions` shows them: `NAME#GENERATION`.
    pub(super) fn version(&self) -> Option<(&str, u64)> {
        let (name, generation) = self.prefix.rsplit_once('#').filter(|_| !self.literal)?;
        let generation = gcsd_types::digits(generation).filter(|_| !name.is_empty())?;
        Some((name, generation))
    }

    /// The object of this name.
    pub(super) fn object(&self) -> Result<GsUrl, UrlError> {
        if self.prefix.is_empty() {
            return Err(UrlError::Object);
        }
        Ok(GsUrl {
            bucket: self.bucket.clone(),
            object: ObjectName::new(self.prefix.clone())?,
        })
    }
}

/// What a name ends with, behind its last slash.
pub(super) fn last_part(name: &str) -> Option<&str> {
    name.rsplit('/').next().filter(|part| !part.is_empty())
}

/// Where several objects go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    bucket: BucketName,
    /// What their names begin with: nothing, or something that ends with `/`.
    prefix: String,
    /// It takes the place of the directory that is copied, rather than to be what that lies in.
    renames: bool,
}

impl Target {
    /// The place for several objects. A directory can become one of another name (`renames`).
    pub(super) fn below(&self, renames: bool) -> Result<Place, GsUrlError> {
        match self {
            Self::Below(bucket, prefix) => Ok(Place {
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                renames: false,
            }),
            Self::Object(url) if renames => Ok(Place {
                bucket: url.bucket.clone(),
                prefix: format!("{}/", url.object),
                renames,
            }),
            Self::Object(_) => Err(GsUrlError::Several),
        }
    }
}

impl Place {
    /// The object of that name there.
    pub(super) fn join(&self, name: &str) -> Result<GsUrl, GsUrlError> {
        Ok(GsUrl {
            bucket: self.bucket.clone(),
            object: ObjectName::new(self.name(Some(name)))?,
        })
    }

    /// What an object of that name is called there; without a name, what the place itself is called.
    pub(super) fn name(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("{}{name}", self.prefix),
            None => self.prefix.strip_suffix('/').unwrap_or(&self.prefix).to_owned(),
        }
    }

    /// The bucket that it is in.
    pub(super) fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Whether what lies in a directory lies directly here, without the directory's name.
    pub(super) fn renames(&self) -> bool {
        self.renames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_with_its_generation() {
        let version = |text: &str| {
            let url: BucketUrl = text.parse().expect(text);
            url.version()
                .map(|(name, generation)| (name.to_owned(), generation))
        };
        assert_eq!(version("gs://bucket/a#b#12"), Some(("a#b".to_owned(), 12)));
        for none in [
            "gs://bucket/a",
            "gs://bucket/a#",
            "gs://bucket/a#1b",
            "gs://bucket/#1",
            "gs://bucket/a#+1",
        ] {
            assert_eq!(version(none), None, "{none}");
        }
        assert_eq!(version("gs://bucket/a#99999999999999999999"), None, "beyond 2^64");
        let url: BucketUrl = "gs://bucket/*#1".parse().expect("a URL");
        assert!(url.is_pattern() && url.version().is_some());
        let url = url.literally();
        assert!(!url.is_pattern() && url.version().is_none());
    }

    #[test]
    fn a_place_takes_the_files_name() {
        let below = |text: &str, file| {
            let target: Target = text.parse().expect(text);
            target.named(file).map(|url| url.to_string())
        };
        assert_eq!(below("gs://bucket", Some("f")), Ok("gs://bucket/f".into()));
        assert_eq!(below("gs://bucket/d/", Some("f")), Ok("gs://bucket/d/f".into()));
        assert_eq!(below("gs://bucket/o", Some("f")), Ok("gs://bucket/o".into()));
        assert_eq!(below("gs://bucket/", None), Err(UrlError::Object.into()));
    }
}
