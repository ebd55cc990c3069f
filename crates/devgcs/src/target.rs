//! What a path names.

use percent_encoding::percent_decode_str;

use super::error::Error;

/// What a path names, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/storage/v1/b`.
    Buckets,
    /// `/storage/v1/b/BUCKET`.
    Bucket(String),
    /// `/storage/v1/b/BUCKET/o`.
    Objects(String),
    /// `/storage/v1/b/BUCKET/o/OBJECT`.
    Object(String, String),
    /// `/download/storage/v1/b/BUCKET/o/OBJECT`: always the bytes.
    Media(String, String),
    /// `.../OBJECT/compose`.
    Compose(String, String),
    /// `.../OBJECT/rewriteTo/b/BUCKET/o/OBJECT`.
    Rewrite(Route),
    /// `.../OBJECT/copyTo/b/BUCKET/o/OBJECT`.
    Copy(Route),
    /// `.../OBJECT/moveTo/o/OBJECT`.
    Move(Route),
    /// `/upload/storage/v1/b/BUCKET/o`.
    Upload(String),
    /// `/batch/storage/v1`.
    Batch,
    /// `/`, in the XML API.
    XmlService,
    /// `/BUCKET`, in the XML API.
    XmlBucket(String),
    /// `/BUCKET/OBJECT`, in the XML API.
    XmlObject(String, String),
    /// Nothing.
    Unknown,
}

/// Where to copy from and to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) to_bucket: String,
    pub(crate) to_name: String,
}

impl Target {
    /// Parses a path. In the JSON API a name is one encoded segment; in the XML API it keeps its
    /// slashes.
    pub(crate) fn parse(path: &str) -> Result<Self, Error> {
        let json = path.strip_prefix("/resumable").unwrap_or(path);
        for (root, parse) in [
            ("/storage/v1/", Self::json as fn(&[&str]) -> Result<Self, Error>),
            ("/upload/storage/v1/", Self::upload),
            ("/download/storage/v1/", Self::download),
        ] {
            if let Some(rest) = json.strip_prefix(root) {
                let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
                return parse(&segments);
            }
        }
        if json == "/batch" || json == "/batch/storage/v1" {
            return Ok(Self::Batch);
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        Ok(match path.split_once('/') {
            None if path.is_empty() => Self::XmlService,
            None => Self::XmlBucket(decode(path)?),
            Some((bucket, "")) => Self::XmlBucket(decode(bucket)?),
            Some((bucket, name)) => Self::XmlObject(decode(bucket)?, decode(name)?),
        })
    }

    fn json(segments: &[&str]) -> Result<Self, Error> {
        let route = |bucket: &str, name: &str, to_bucket: &str, to_name: &str| {
            Ok::<_, Error>(Route {
                bucket: decode(bucket)?,
                name: decode(name)?,
                to_bucket: decode(to_bucket)?,
                to_name: decode(to_name)?,
            })
        };
        Ok(match segments {
            ["b"] => Self::Buckets,
            ["b", bucket] => Self::Bucket(decode(bucket)?),
            ["b", bucket, "o"] => Self::Objects(decode(bucket)?),
            ["b", bucket, "o", name] => Self::Object(decode(bucket)?, decode(name)?),
            ["b", bucket, "o", name, "compose"] => Self::Compose(decode(bucket)?, decode(name)?),
            ["b", bucket, "o", name, "rewriteTo", "b", to, "o", new] => {
                Self::Rewrite(route(bucket, name, to, new)?)
            }
            ["b", bucket, "o", name, "copyTo", "b", to, "o", new] => {
                Self::Copy(route(bucket, name, to, new)?)
            }
            ["b", bucket, "o", name, "moveTo", "o", new] => Self::Move(route(bucket, name, bucket, new)?),
            _ => Self::Unknown,
        })
    }

    fn upload(segments: &[&str]) -> Result<Self, Error> {
        Ok(match segments {
            ["b", bucket, "o"] => Self::Upload(decode(bucket)?),
            _ => Self::Unknown,
        })
    }

    fn download(segments: &[&str]) -> Result<Self, Error> {
        Ok(match segments {
            ["b", bucket, "o", name] => Self::Media(decode(bucket)?, decode(name)?),
            _ => Self::Unknown,
        })
    }

    /// Whether this is part of the XML API.
    pub(crate) fn is_xml(&self) -> bool {
        matches!(self, Self::XmlService | Self::XmlBucket(_) | Self::XmlObject(..))
    }
}

fn decode(text: &str) -> Result<String, Error> {
    percent_decode_str(text)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Error::invalid("The path is not UTF-8."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_they_name() {
        let text = str::to_owned;
        let object = |bucket: &str, name: &str| Target::Object(text(bucket), text(name));
        for (path, wanted) in [
            ("/storage/v1/b", Target::Buckets),
            ("/storage/v1/b/", Target::Buckets),
            ("/storage/v1/b/bk", Target::Bucket(text("bk"))),
            ("/storage/v1/b/bk/o", Target::Objects(text("bk"))),
            ("/storage/v1/b/bk/o/a%2Fb%23c", object("bk", "a/b#c")),
            ("/storage/v1/b/bk/o/..%2F..", object("bk", "../..")),
            ("/storage/v1/b/bk/o/a/b", Target::Unknown),
            (
                "/storage/v1/b/bk/o/a/compose",
                Target::Compose(text("bk"), text("a")),
            ),
            ("/upload/storage/v1/b/bk/o", Target::Upload(text("bk"))),
            ("/resumable/upload/storage/v1/b/bk/o", Target::Upload(text("bk"))),
            (
                "/download/storage/v1/b/bk/o/a",
                Target::Media(text("bk"), text("a")),
            ),
            ("/batch/storage/v1", Target::Batch),
            ("/", Target::XmlService),
            ("/bk", Target::XmlBucket(text("bk"))),
            ("/bk/", Target::XmlBucket(text("bk"))),
            ("/bk/a/b%20c", Target::XmlObject(text("bk"), text("a/b c"))),
            ("/bk//a", Target::XmlObject(text("bk"), text("/a"))),
        ] {
            assert_eq!(Target::parse(path).expect("UTF-8"), wanted, "{path}");
        }
        assert!(Target::parse("/storage/v1/b/bk/o/%ff").is_err());
    }
}
