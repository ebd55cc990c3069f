//! `gs://BUCKET/OBJECT`.

use std::fmt;
use std::str::FromStr;

use crate::name::{BucketName, NameError, ObjectName};
use crate::object::{Destination, ObjectRef};

/// An object's URL: `gs://BUCKET/OBJECT`. The object's name stands in it as it is; nothing is escaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GsUrl {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub object: ObjectName,
}

/// A bucket, and what the names of some of its objects begin with: `gs://BUCKET` or `gs://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketUrl {
    /// The bucket.
    pub bucket: BucketName,
    /// Perhaps nothing.
    pub prefix: String,
}

/// Text that is not such a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `gs://`.
    #[error("an object is written gs://BUCKET/OBJECT")]
    Form,
    /// It names a bucket only.
    #[error("the object's name is missing: write gs://BUCKET/OBJECT")]
    Object,
    /// The bucket or the object cannot have that name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl BucketUrl {
    /// The object of that name.
    pub fn object(&self) -> Result<GsUrl, UrlError> {
        if self.prefix.is_empty() {
            return Err(UrlError::Object);
        }
        Ok(GsUrl {
            bucket: self.bucket.clone(),
            object: ObjectName::new(self.prefix.clone())?,
        })
    }
}

impl FromStr for BucketUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("gs://").ok_or(UrlError::Form)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            bucket: BucketName::new(bucket)?,
            prefix: prefix.to_owned(),
        })
    }
}

impl FromStr for GsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        text.parse::<BucketUrl>()?.object()
    }
}

impl fmt::Display for GsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.object)
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.prefix)
    }
}

/// The live version of the object, unconditionally.
impl From<GsUrl> for ObjectRef {
    fn from(url: GsUrl) -> Self {
        Self::new(url.bucket, url.object)
    }
}

/// An object without metadata, unconditionally.
impl From<GsUrl> for Destination {
    fn from(url: GsUrl) -> Self {
        Self::new(url.bucket, url.object)
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
        assert_eq!(of("bucket/a"), UrlError::Form);
        assert_eq!(of("gs://bucket"), UrlError::Object);
        assert_eq!(of("gs://bucket/"), UrlError::Object);
        assert_eq!(of("gs:///a"), UrlError::Name(NameError::BucketLength));
        assert_eq!(of("gs://bucket/.."), UrlError::Name(NameError::ObjectReserved));
    }

    #[test]
    fn a_prefix_may_be_missing() {
        for (text, prefix) in [
            ("gs://bucket", ""),
            ("gs://bucket/", ""),
            ("gs://bucket/d/", "d/"),
        ] {
            let url: BucketUrl = text.parse().expect(text);
            assert_eq!((url.bucket.as_str(), url.prefix.as_str()), ("bucket", prefix));
        }
        let url: BucketUrl = "gs://bucket/d/o".parse().expect("a URL");
        assert_eq!(url.to_string(), "gs://bucket/d/o");
        let object = url.object().expect("a name");
        assert_eq!(object.object.as_str(), "d/o");
    }
}
