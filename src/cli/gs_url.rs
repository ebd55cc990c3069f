//! `gs://BUCKET/OBJECT`.

use std::fmt;
use std::str::FromStr;

use super::pattern::is_pattern;
use gcsd_types::{BucketName, NameError, ObjectName};

/// An object, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GsUrl {
    pub(super) bucket: BucketName,
    pub(super) object: ObjectName,
}

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

/// Text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GsUrlError {
    #[error("an object is written gs://BUCKET/OBJECT")]
    Form,
    #[error("the object's name is missing: write gs://BUCKET/OBJECT")]
    Object,
    #[error("several objects need a place: write gs://BUCKET/PREFIX/, with the '/' at the end")]
    Several,
    #[error("{0}")]
    Name(#[from] NameError),
}

/// The bucket, and what stands behind the slash.
fn split(text: &str) -> Result<(BucketName, &str), GsUrlError> {
    let rest = text.strip_prefix("gs://").ok_or(GsUrlError::Form)?;
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((BucketName::new(bucket)?, object))
}

impl FromStr for GsUrl {
    type Err = GsUrlError;

    fn from_str(text: &str) -> Result<Self, GsUrlError> {
        let (bucket, object) = split(text)?;
        if object.is_empty() {
            return Err(GsUrlError::Object);
        }
        let object = ObjectName::new(object)?;
        Ok(Self { bucket, object })
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

impl FromStr for BucketUrl {
    type Err = GsUrlError;

    fn from_str(text: &str) -> Result<Self, GsUrlError> {
        let (bucket, prefix) = split(text)?;
        Ok(Self {
            bucket,
            prefix: prefix.to_owned(),
            literal: false,
        })
    }
}

impl FromStr for Target {
    type Err = GsUrlError;

    fn from_str(text: &str) -> Result<Self, GsUrlError> {
        let (bucket, object) = split(text)?;
        if object.is_empty() || object.ends_with('/') {
            return Ok(Self::Below(bucket, object.to_owned()));
        }
        Ok(Self::Object(text.parse()?))
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
            (Self::Below(..), None) => Err(GsUrlError::Object),
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
        let digits = !generation.is_empty() && generation.bytes().all(|byte| byte.is_ascii_digit());
        let generation = generation.parse().ok().filter(|_| digits && !name.is_empty())?;
        Some((name, generation))
    }

    /// The object of this name.
    pub(super) fn object(&self) -> Result<GsUrl, GsUrlError> {
        if self.prefix.is_empty() {
            return Err(GsUrlError::Object);
        }
        Ok(GsUrl {
            bucket: self.bucket.clone(),
            object: ObjectName::new(self.prefix.clone())?,
        })
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

impl fmt::Display for GsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_a_bucket_and_a_name() {
        let url: GsUrl = "gs://bucket/a/b#c?d e".parse().expect("a URL");
        assert_eq!(
            (url.bucket.as_str(), url.object.as_str()),
            ("bucket", "a/b#c?d e")
        );
        assert_eq!(url.to_string(), "gs://bucket/a/b#c?d e");
        let of = |text: &str| text.parse::<GsUrl>().expect_err(text);
        assert_eq!(of("bucket/a"), GsUrlError::Form);
        assert_eq!(of("gs://bucket"), GsUrlError::Object);
        assert_eq!(of("gs://bucket/"), GsUrlError::Object);
        assert_eq!(of("gs:///a"), GsUrlError::Name(NameError::BucketLength));
        assert_eq!(of("gs://bucket/.."), GsUrlError::Name(NameError::ObjectReserved));
    }

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
        assert_eq!(below("gs://bucket/", None), Err(GsUrlError::Object));
    }
}
