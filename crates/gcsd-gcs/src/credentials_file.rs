//! The file that credentials are made of: read, and watched for a change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use google_cloud_auth::credentials::{
    Builder, Credentials, external_account, impersonated, service_account, user_account,
};
use serde_json::Value;

use super::credentials::CredentialsSource;
use super::one_line::one_line;

/// What credentials are made of, in memory, so that they can be made again without waiting for a disk.
///
/// It holds keys: it has no `Debug`. Clones share what was read.
#[derive(Clone)]
pub(super) struct Material {
    /// `None` where there is no file, so that the metadata server is asked.
    file: Option<Arc<File>>,
}

struct File {
    path: PathBuf,
    json: Value,
    stamp: Stamp,
}

/// Which file lies at a path, and in which state. Links are followed, so that a swapped link is another file.
#[derive(PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// Device, inode and the time of its last change, where there are such.
    identity: [i128; 4],
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            len: found.len(),
            modified: found.modified().ok(),
            identity: identity(found),
        }
    }
}

#[cfg(unix)]
fn identity(found: &Metadata) -> [i128; 4] {
    use std::os::unix::fs::MetadataExt as _;
    let changed = (found.ctime(), found.ctime_nsec());
    [
        found.dev().into(),
        found.ino().into(),
        changed.0.into(),
        changed.1.into(),
    ]
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> [i128; 4] {
    [0; 4]
}

impl Material {
    /// Reads the file that `source` names, if it names one.
    pub(super) fn read(source: &CredentialsSource) -> Result<Self, String> {
        let file = source.path().map(|path| read(&path)).transpose()?;
        Ok(Self {
            file: file.map(Arc::new),
        })
    }

    /// Whether `source` leads to another file now, or to the same one with another content. A file that is gone is a
    /// change, too: reading it says so.
    pub(super) fn has_changed(&self, source: &CredentialsSource) -> bool {
        let stamp = |path: &Path| std::fs::metadata(path).ok().map(|found| Stamp::of(&found));
        match (&self.file, source.path()) {
            (None, None) => false,
            (Some(file), Some(path)) => file.path != path || stamp(&path).as_ref() != Some(&file.stamp),
            (None, Some(_)) | (Some(_), None) => true,
        }
    }

    /// Reads the file again. Credentials that came from a file do not give way to the metadata server: what is gone is
    /// being replaced.
    pub(super) fn reread(&self, source: &CredentialsSource) -> Result<Self, String> {
        let new = Self::read(source)?;
        match (&self.file, &new.file) {
            (Some(file), None) => Err(format!("{}: it is gone", file.path.display())),
            _ => Ok(new),
        }
    }

    /// Makes credentials, which have no token yet.
    pub(super) fn build(&self) -> Result<Credentials, String> {
        let Some(file) = &self.file else {
            return Builder::default()
                .build()
                .map_err(|error| one_line(&error.to_string(), 400));
        };
        let (name, json) = (file.path.display(), file.json.clone());
        let built = match json.get("type").and_then(Value::as_str) {
            Some("service_account") => service_account::Builder::new(json).build(),
            Some("external_account") => external_account::Builder::new(json).build(),
            Some("impersonated_service_account") => impersonated::Builder::new(json).build(),
            Some("authorized_user") => user_account::Builder::new(json).build(),
            Some(other) => {
                return Err(format!(
                    "{name}: credentials of type {:?} are not supported",
                    one_line(other, 64)
                ));
            }
            None => {
                return Err(format!(
                    "{name}: it has no \"type\", so it is no credentials file"
                ));
            }
        };
        built.map_err(|error| one_line(&format!("{name}: {error}"), 400))
    }
}

fn read(path: &Path) -> Result<File, String> {
    let name = path.display();
    let failed = |error: std::io::Error| format!("{name}: {error}");
    // Looked at before it is read: what is written meanwhile is found at the next look.
    let stamp = Stamp::of(&std::fs::metadata(path).map_err(failed)?);
    let text = std::fs::read(path).map_err(failed)?;
    let json = serde_json::from_slice(&text).map_err(|error| format!("{name}: not JSON: {error}"))?;
    Ok(File {
        path: path.to_owned(),
        json,
        stamp,
    })
}
