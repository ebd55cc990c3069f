//! What a path names.

use percent_encoding::percent_decode_str;

use super::acl::Guarded;
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
    /// `.../OBJECT/restore`.
    Restore(String, String),
    /// `.../acl` or `.../defaultObjectAcl`, and one entity's entry in it.
    Acl(Guarded, Option<String>),
    /// `/storage/v1/b/BUCKET/iam`.
    Iam(String),
    /// `/storage/v1/b/BUCKET/iam/testPermissions`.
    TestIam(String),
    /// `/storage/v1/b/BUCKET/lockRetentionPolicy`.
    LockRetention(String),
    /// `/storage/v1/b/BUCKET/storageLayout`.
    StorageLayout(String),
    /// `/storage/v1/b/BUCKET/notificationConfigs`, and one of them.
    Notifications(String, Option<String>),
    /// `/storage/v1/b/BUCKET/folders`, and one of them.
    Folders(String, Option<String>),
    /// `/storage/v1/b/BUCKET/folders/FOLDER/renameTo/folders/FOLDER`.
    RenameFolder(Route),
    /// `/storage/v1/b/BUCKET/managedFolders`, and one of them.
    ManagedFolders(String, Option<String>),
    /// `/storage/v1/b/BUCKET/managedFolders/FOLDER/iam`.
    ManagedFolderIam(String, String),
    /// `/storage/v1/b/BUCKET/managedFolders/FOLDER/iam/testPermissions`.
    TestManagedFolderIam(String, String),
    /// `/storage/v1/projects/PROJECT/hmacKeys`, and one of them.
    HmacKeys(String, Option<String>),
    /// `/storage/v1/projects/PROJECT/serviceAccount`.
    ServiceAccount(String),
    /// `/`, in the XML API.
    XmlService,
    /// `/BUCKET`, in the XML API.
    XmlBucket(String),
    /// `/BUCKET/OBJECT`, in the XML API.
    XmlObject(String, String),
    /// A path of the JSON API that this server does not know.
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
            // Google's Node client leaves the rest out under STORAGE_EMULATOR_HOST. No bucket has so short a name.
            ("/b/", |segments| Self::json(&[&["b"], segments].concat())),
            ("/upload/storage/v1/", Self::upload),
            ("/download/storage/v1/", Self::download),
        ] {
            if let Some(rest) = json.strip_prefix(root) {
                // A slash at the end of a name belongs to another name.
                let short = rest.strip_suffix('/').filter(|rest| rest.split('/').count() <= 3);
                let segments: Vec<&str> = short.unwrap_or(rest).split('/').collect();
                return parse(&segments);
            }
        }
        if json == "/b" {
            return Ok(Self::Buckets);
        }
        if json == "/batch" || json == "/batch/storage/v1" {
            return Ok(Self::Batch);
        }
        if let Some(rest) = json.strip_prefix("/projects/") {
            let segments: Vec<&str> = rest.split('/').collect();
            // A bucket can have this name. Only what reads as the other is the other.
            match Self::json(&[&["projects"], &segments[..]].concat())? {
                Self::Unknown => {}
                known => return Ok(known),
            }
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
            ["b", bucket, "o", name, "restore"] => Self::Restore(decode(bucket)?, decode(name)?),
            ["b", bucket, "o", name, "acl", entity @ ..] if entity.len() < 2 => {
                Self::Acl(Guarded::Object(decode(bucket)?, decode(name)?), optional(entity)?)
            }
            ["b", bucket, rest @ ..] => Self::of_bucket(decode(bucket)?, rest)?,
            ["projects", project, "serviceAccount"] => Self::ServiceAccount(decode(project)?),
            ["projects", project, "hmacKeys", key @ ..] if key.len() < 2 => {
                Self::HmacKeys(decode(project)?, optional(key)?)
            }
            _ => Self::Unknown,
        })
    }

    /// What lies below a bucket, other than its objects.
    fn of_bucket(bucket: String, rest: &[&str]) -> Result<Self, Error> {
        Ok(match rest {
            ["acl", entity @ ..] if entity.len() < 2 => Self::Acl(Guarded::Bucket(bucket), optional(entity)?),
            ["defaultObjectAcl", entity @ ..] if entity.len() < 2 => {
                Self::Acl(Guarded::Default(bucket), optional(entity)?)
            }
            ["iam"] => Self::Iam(bucket),
            ["iam", "testPermissions"] => Self::TestIam(bucket),
            ["lockRetentionPolicy"] => Self::LockRetention(bucket),
            ["storageLayout"] => Self::StorageLayout(bucket),
            ["notificationConfigs", id @ ..] if id.len() < 2 => Self::Notifications(bucket, optional(id)?),
            ["folders", name @ ..] if name.len() < 2 => Self::Folders(bucket, optional(name)?),
            ["folders", from, "renameTo", "folders", to] => Self::RenameFolder(Route {
                name: decode(from)?,
                to_bucket: bucket.clone(),
                to_name: decode(to)?,
                bucket,
            }),
            ["managedFolders", name @ ..] if name.len() < 2 => Self::ManagedFolders(bucket, optional(name)?),
            ["managedFolders", name, "iam"] => Self::ManagedFolderIam(bucket, decode(name)?),
            ["managedFolders", name, "iam", "testPermissions"] => {
                Self::TestManagedFolderIam(bucket, decode(name)?)
            }
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

fn optional(segments: &[&str]) -> Result<Option<String>, Error> {
    segments.first().map(|segment| decode(segment)).transpose()
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
            ("/storage/v1/b/bk/o/a/", Target::Unknown),
            ("/storage/v1/b/bk/o/a//", Target::Unknown),
            ("/b/bk/o/a%2Fb", object("bk", "a/b")),
            ("/b", Target::Buckets),
            ("/b?", Target::XmlBucket(text("b?"))),
            (
                "/storage/v1/b/bk/acl",
                Target::Acl(Guarded::Bucket(text("bk")), None),
            ),
            (
                "/storage/v1/b/bk/o/a/acl/allUsers",
                Target::Acl(Guarded::Object(text("bk"), text("a")), Some(text("allUsers"))),
            ),
            ("/storage/v1/b/bk/acl/a/b", Target::Unknown),
            ("/storage/v1/b/bk/anything", Target::Unknown),
            ("/projects/p/hmacKeys", Target::HmacKeys(text("p"), None)),
            ("/projects/p/q", Target::XmlObject(text("projects"), text("p/q"))),
            (
                "/storage/v1/projects/p/hmacKeys",
                Target::HmacKeys(text("p"), None),
            ),
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
