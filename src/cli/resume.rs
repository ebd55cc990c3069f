//! `--resume-file`: what lets a later run go on with an upload.
//!
//! It holds the upload's token, which is a credential, and what the upload was of: a later run goes on only with the same.
//! Nothing in it says how far the upload has come: GCS is asked for that, and the file is read again for its checksum.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use super::temporary::{PRIVATE, Temporary};
use crate::client::{Checkpoint, FileSource, NewObject, Report, Rereadable as _, Token, UploadError};
use crate::types::Crc32c;
use crate::wire::Kind;

/// The form of the file.
const VERSION: u32 = 1;

/// More than any state has, in bytes.
const LONGEST: u64 = 256 * 1024;

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    gcsd_upload: u32,
    token: String,
    of: Identity,
}

/// What an upload is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    destination: String,
    size: u64,
    /// When the file was last written to: seconds since 1970, and nanoseconds.
    modified: (i64, i64),
    /// How the object shall be.
    object: Value,
}

impl Identity {
    /// Of `source`, which becomes `object` at `url`.
    pub(super) fn new(source: &FileSource, url: &GsUrl, object: &NewObject) -> Self {
        let conditions = &object.preconditions;
        Self {
            destination: url.to_string(),
            size: source.size(),
            modified: source.modified(),
            object: serde_json::json!({
                "metadata": String::from_utf8_lossy(&object.metadata),
                "predefined_acl": object.predefined_acl,
                "kms_key_name": object.kms_key_name,
                "user_project": object.user_project,
                "if_generation_match": conditions.if_generation_match,
                "if_generation_not_match": conditions.if_generation_not_match,
                "if_metageneration_match": conditions.if_metageneration_match,
                "if_metageneration_not_match": conditions.if_metageneration_not_match,
            }),
        }
    }

    /// What is not as it was `before`.
    fn differs_from(&self, before: &Self) -> Option<String> {
        if self.destination != before.destination {
            return Some(format!("it belongs to an upload to {}", before.destination));
        }
        if self.size != before.size {
            let (then, now) = (before.size, self.size);
            return Some(format!(
                "the file had {then} bytes when the upload began, and has {now}"
            ));
        }
        if self.modified != before.modified {
            return Some("the file was written to since the upload began".to_owned());
        }
        (self.object != before.object)
            .then(|| "the upload began with other flags for the object or its preconditions".to_owned())
    }
}

/// The state of one upload.
pub(super) struct Resume {
    path: PathBuf,
    of: Identity,
    /// What the file says.
    token: Option<Token>,
    /// An earlier run began the upload.
    resumed: bool,
}

impl Resume {
    /// Reads what an earlier run left, which must be of the same upload, or makes sure that there can be such a file.
    pub(super) fn open(path: &Path, of: Identity) -> Result<Self, Failure> {
        let place = path.display();
        let token = match read(path) {
            Ok(Some(text)) => Some(check(&text, &of).map_err(|failure| failure.at(place))?),
            Ok(None) => {
                let probe = Temporary::create(path.to_owned(), PRIVATE);
                drop(probe.map_err(|error| Failure::io(place, &error))?);
                None
            }
            Err(error) => return Err(Failure::io(place, &error)),
        };
        Ok(Self {
            path: path.to_owned(),
            of,
            resumed: token.is_some(),
            token,
        })
    }

    /// What an earlier run left. The file is read again from its start, for the checksum.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        let token = self.token.clone().filter(|_| self.resumed)?;
        Some(Checkpoint {
            token,
            offset: 0,
            crc32c: Crc32c::default(),
        })
    }

    /// Keeps the file at the token that the upload has. Resolves only if that fails.
    pub(super) async fn follow(&mut self, mut reports: watch::Receiver<Report>) -> Failure {
        loop {
            let checkpoint = reports.borrow_and_update().checkpoint.clone();
            // Not beside the runtime: the file must not come into being after it was removed.
            if let Some(Checkpoint { token, .. }) = checkpoint
                && self.token.as_ref() != Some(&token)
            {
                if let Err(error) = self.write(&token) {
                    return Failure::io(self.path.display(), &error);
                }
                self.token = Some(token);
            }
            if reports.changed().await.is_err() {
                // The upload has ended, and says how.
                return std::future::pending().await;
            }
        }
    }

    fn write(&self, token: &Token) -> io::Result<()> {
        let state = State {
            gcsd_upload: VERSION,
            token: token.expose().to_owned(),
            of: self.of.clone(),
        };
        let mut file = Temporary::create(self.path.clone(), PRIVATE)?;
        serde_json::to_writer_pretty(&file.file, &state)?;
        file.file.write_all(b"\n")?;
        file.rename()
    }

    /// Removes the file: there is nothing left to go on with.
    pub(super) fn remove(self) -> Result<(), Failure> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::io(self.path.display(), &error))
            }
            _ => Ok(()),
        }
    }

    /// Whether a later run can do more than this one, which failed.
    pub(super) fn is_of_use(&self, failure: &Failure, error: Option<&UploadError>) -> bool {
        match error {
            None => true,
            // Where an earlier run's upload is lost, whoever started this one decides.
            Some(UploadError::TooManyRestarts { .. }) => self.resumed,
            Some(error) => error.is_resumable() && !failure.made_nothing(),
        }
    }

    /// The failure, and what to do about it with this file.
    pub(super) fn explain(&self, failure: Failure, error: Option<&UploadError>) -> Failure {
        let place = self.path.display();
        match error {
            Some(UploadError::TooManyRestarts { failure, .. }) => {
                let what = format!("the upload to go on with is lost ({failure})");
                Failure::new(Exit::Failed, failure.name, what)
                    .advise(format!("remove {place} to upload from the start"))
            }
            Some(UploadError::TakenOver(_)) => failure.advise(format!("{place} is left to them")),
            Some(UploadError::Refused(refused)) if refused.is(Kind::BadToken) => failure.advise(format!(
                "the upload began through a daemon with another token key: name one of those with --connect, or remove \
                 {place} to upload from the start"
            )),
            _ => failure.advise("run the same command again to go on"),
        }
    }
}

/// The text of the file; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    // As mktemp leaves it.
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The token of a state that is of the same upload.
fn check(text: &[u8], of: &Identity) -> Result<Token, Failure> {
    let refuse = |what: String, advice: &str| {
        let failure = Failure::new(Exit::Failed, "resume_refused", what);
        Err(failure.advise(advice))
    };
    // What the parser says could quote the token.
    let state: State = match serde_json::from_slice(text) {
        Ok(state) => state,
        Err(_) => {
            let what = "it is no state of an upload, or damaged".to_owned();
            return refuse(what, "remove it to upload from the start, or name another file");
        }
    };
    if state.gcsd_upload != VERSION {
        let what = "it was written by another version of this program".to_owned();
        return refuse(what, "remove it to upload from the start, or name another file");
    }
    match of.differs_from(&state.of) {
        Some(what) => refuse(what, "remove it to upload from the start, or name another file"),
        None => Ok(Token::new(state.token)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn identity() -> Identity {
        Identity {
            destination: "gs://b/o".into(),
            size: 3,
            modified: (1, 2),
            object: Value::Null,
        }
    }

    fn state(dir: &Path) -> PathBuf {
        let path = dir.join("state");
        let mut resume = Resume::open(&path, identity()).expect("a new state");
        assert_eq!(resume.checkpoint(), None);
        assert!(!path.exists(), "nothing has begun");
        resume.write(&Token::new("secret")).expect("written");
        resume.token = Some(Token::new("secret"));
        assert_eq!(resume.checkpoint(), None, "it was this run that began");
        path
    }

    #[test]
    fn a_state_is_private_and_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = state(dir.path());
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
        let resume = Resume::open(&path, identity()).expect("the same");
        let checkpoint = resume.checkpoint().expect("a token");
        assert_eq!(checkpoint.token, Token::new("secret"));
        assert_eq!(checkpoint.offset, 0);
        resume.remove().expect("removed");
        assert!(!path.exists());
    }

    #[test]
    fn a_state_of_something_else_is_refused_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = state(dir.path());
        let refused = |of: Identity, what: &str| {
            let failure = Resume::open(&path, of).err().expect("refused").to_string();
            assert!(
                failure.starts_with("resume_refused: ") && failure.contains(what),
                "{failure}"
            );
            assert!(!failure.contains("secret"), "{failure}");
            assert!(path.exists());
        };
        let of = identity;
        refused(
            Identity { size: 4, ..of() },
            "had 3 bytes when the upload began, and has 4",
        );
        refused(
            Identity {
                modified: (1, 3),
                ..of()
            },
            "was written to",
        );
        refused(
            Identity {
                destination: "gs://b/p".into(),
                ..of()
            },
            "an upload to gs://b/o",
        );
        refused(
            Identity {
                object: Value::Bool(true),
                ..of()
            },
            "other flags",
        );
        let text = fs::read_to_string(&path).expect("text");
        for damaged in [
            &text[..text.len() / 2],
            "secret",
            "{}",
            &text.replace("_upload\": 1", "_upload\": 2"),
        ] {
            fs::write(&path, damaged).expect("written");
            refused(of(), "");
        }
        fs::write(&path, "").expect("written");
        assert!(Resume::open(&path, of()).is_ok(), "as mktemp makes it");
        assert!(Resume::open(&dir.path().join("no/such"), of()).is_err());
        assert!(Resume::open(dir.path(), of()).is_err());
    }
}
