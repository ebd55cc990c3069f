//! `gs://` URLs as the command line reads them: objects, and places for objects.

use std::str::FromStr;

use gcsd_types::{BucketName, NameError, ObjectName, UrlError};
pub(super) use gcsd_types::{BucketUrl, GsUrl};

/// Where an upload goes: an object, or a place for an object that is named like the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Object(GsUrl),
    /// The bucket, and what the object's name begins with: nothing, or something that ends with `/`.
    Below(BucketName, String),
}

/// Text that names no object or no place for several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GsUrlError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("several objects need a place: write gs://BUCKET/PREFIX/, with the '/' at the end")]
    Several,
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
            object: ObjectName::new(format!("{}{name}", self.prefix))?,
        })
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
