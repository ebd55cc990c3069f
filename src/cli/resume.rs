//! `--resume-file`: what a later run needs to resume an upload.
//!
//! It holds the upload's token, which is a credential, and what the upload was of: a later run resumes only the same.
//! Of an upload in one piece it does not say how far that has come: GCS is asked for that, and the file is read again for its
//! checksum. Of one in parts it has a token for each that is under way, and what is known of those that are finished.
//!
//! A run that is killed while it replaces the file can leave the next state beside it. Where that is whole, the next run
//! gives it its name; where it is not, the next run removes it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::blocking::{blocking, open_regular};
use super::client_errors::in_one_line;
use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use super::temporary::{PRIVATE, Temporary};
use super::upload_failure::UploadFailure;
use gcsd_client::{
    Checkpoint, CheckpointStore, FileSource, NewObject, ReplaySource as _, Report, StripedCheckpoint, Token,
    UploadError,
};
use gcsd_wire::Kind;

/// The form of the file.
const VERSION: u32 = 1;

/// More than any state has, in bytes: a token for each of 64 parts.
const LONGEST: u64 = 4 << 20;

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    gcsd_upload: u32,
    /// Of an upload in one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Of one in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    striped: Option<StripedCheckpoint>,
    of: Identity,
}

/// An upload that an earlier run began.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Begun {
    /// In one piece.
    Whole(Token),
    /// In parts.
    Striped(StripedCheckpoint),
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
        let object = &object.destination;
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

    /// That the upload does not go to `destination`.
    fn goes_elsewhere(&self, destination: &str) -> Option<String> {
        (self.destination != destination).then(|| format!("it belongs to an upload to {}", self.destination))
    }

    /// What is not as it was `before`.
    fn differs_from(&self, before: &Self) -> Option<String> {
        if let Some(what) = before.goes_elsewhere(&self.destination) {
            return Some(what);
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
    file: StateFile,
    /// What the file said at first.
    begun: Option<Begun>,
    /// What it was last made to say.
    token: Option<Token>,
}

/// Where the state is written.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    path: PathBuf,
    of: Identity,
    /// There is nothing left to resume: a write under way must not bring the file back.
    removed: Arc<Mutex<bool>>,
}

impl StateFile {
    fn write(&self, begun: Begun) -> io::Result<()> {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        if *removed {
            return Ok(());
        }
        let (token, striped) = match begun {
            Begun::Whole(token) => (Some(token.expose().to_owned()), None),
            Begun::Striped(checkpoint) => (None, Some(checkpoint)),
        };
        let state = State {
            gcsd_upload: VERSION,
            token,
            striped,
            of: self.of.clone(),
        };
        let mut file = Temporary::create(self.path.clone(), PRIVATE)?;
        let mut text = serde_json::to_vec_pretty(&state)?;
        text.push(b'\n');
        file.file.write_all(&text)?;
        file.rename()
    }

    fn remove(&self) -> Result<(), Failure> {
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        *removed = true;
        remove(&self.path)
    }
}

/// The state of an upload in parts.
impl CheckpointStore for StateFile {
    async fn save(&mut self, checkpoint: &StripedCheckpoint) -> io::Result<()> {
        let (file, checkpoint) = (self.clone(), checkpoint.clone());
        let written = tokio::task::spawn_blocking(move || file.write(Begun::Striped(checkpoint)));
        written.await.map_err(io::Error::other)?
    }
}

impl Resume {
    /// Reads what an earlier run left, which must be of the same upload, or makes sure that there can be such a file.
    pub(super) fn open(path: &Path, of: Identity) -> Result<Self, Failure> {
        let place = path.display();
        let begun = match read(path) {
            Ok(Some(text)) => {
                let same = |before: &Identity| of.differs_from(before);
                Some(check(&text, same).map_err(|failure| failure.at(place))?)
            }
            Ok(None) => {
                let probe = Temporary::create(path.to_owned(), PRIVATE);
                drop(probe.map_err(|error| Failure::io(place, &error))?);
                None
            }
            Err(error) => return Err(Failure::io(place, &error)),
        };
        let path = path.to_owned();
        Ok(Self {
            file: StateFile {
                path,
                of,
                removed: Arc::default(),
            },
            token: None,
            begun,
        })
    }

    /// What an earlier run began.
    pub(super) fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// Where the state of an upload in parts is kept.
    pub(super) fn store(&self) -> StateFile {
        self.file.clone()
    }

    /// Keeps the file at the token that the upload has. Resolves only if that fails.
    pub(super) async fn follow(&mut self, mut reports: watch::Receiver<Report>) -> Failure {
        loop {
            let checkpoint = reports.borrow_and_update().checkpoint.clone();
            if let Some(Checkpoint { token, .. }) = checkpoint
                && self.token.as_ref() != Some(&token)
            {
                let (file, begun) = (self.file.clone(), Begun::Whole(token.clone()));
                let written = blocking(move || {
                    let written = file.write(begun);
                    written.map_err(|error| Failure::io(file.path.display(), &error))
                });
                if let Err(failure) = written.await {
                    return failure;
                }
                self.token = Some(token);
            }
            if reports.changed().await.is_err() {
                // The upload has ended, and says how.
                return std::future::pending().await;
            }
        }
    }

    /// Removes the file: there is nothing left to resume.
    pub(super) fn remove(self) -> Result<(), Failure> {
        self.file.remove()
    }

    /// Whether a later run can get further than this one, which failed.
    pub(super) fn can_continue(&self, failure: &Failure, why: Option<&UploadFailure>) -> bool {
        match why {
            None => true,
            // The upload of an earlier run is lost: the user decides what to do.
            Some(UploadFailure::Whole(UploadError::TooManyRestarts { .. })) => self.begun.is_some(),
            Some(why) => why.is_resumable() && !failure.made_nothing(),
        }
    }

    /// The failure, and what to do about it with this file.
    pub(super) fn explain(&self, failure: Failure, why: Option<&UploadFailure>) -> Failure {
        let place = self.file.path.display();
        if let Some(UploadFailure::Whole(UploadError::TooManyRestarts { error, .. })) = why {
            let name = error.name();
            let what = format!("the upload to resume is lost: {}", in_one_line(name, error));
            let advice = format!("remove {place} to upload from the start");
            return Failure::new(Exit::Failed, name, what).advise(advice);
        }
        if let Some(UploadError::TakenOver(_)) = why.and_then(UploadFailure::upload) {
            return failure.advise(format!("{place} is left to it"));
        }
        match why.and_then(UploadFailure::request) {
            Some(error) if error.is(Kind::BadToken) => failure.advise(format!(
                "the upload began through a daemon with another token key: name one of those with --connect, or remove \
                 {place} to upload from the start"
            )),
            _ => failure.advise("run the same command again to continue"),
        }
    }
}

/// What an earlier run began and left in `path`, of an object at `url`, whatever has become of its source.
pub(super) fn begun_before(path: &Path, url: &GsUrl) -> Result<Begun, Failure> {
    let place = path.display();
    let text = read(path).map_err(|error| Failure::io(&place, &error))?;
    let Some(text) = text else {
        let failure = Failure::new(Exit::Failed, "resume_refused", "there is no upload to abort");
        return Err(failure.at(place));
    };
    let same = |before: &Identity| before.goes_elsewhere(&url.to_string());
    check(&text, same).map_err(|failure| failure.at(place))
}

/// Removes a state: there is nothing left to resume.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io(path.display(), &error)),
        _ => Ok(()),
    }
}

/// Gives a state its name that a killed run had written and not yet named, and removes what else such runs left.
fn take_up(path: &Path) -> io::Result<()> {
    let mut left = Temporary::abandoned(path).into_iter();
    let whole = left.find(|temporary| {
        let mut text = Vec::new();
        let read = (&temporary.file).take(LONGEST).read_to_end(&mut text);
        read.is_ok() && serde_json::from_slice::<State>(&text).is_ok()
    });
    whole.map_or(Ok(()), Temporary::rename)
}

/// The text of the file; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    take_up(path)?;
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    // As mktemp leaves it.
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// What a state says was begun; `differs` says what speaks against that it is of the same upload.
fn check(text: &[u8], differs: impl Fn(&Identity) -> Option<String>) -> Result<Begun, Failure> {
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
    if let Some(what) = differs(&state.of) {
        return refuse(what, "remove it to upload from the start, or name another file");
    }
    match (state.token, state.striped) {
        (Some(token), None) => Ok(Begun::Whole(Token::new(token))),
        (None, Some(checkpoint)) => Ok(Begun::Striped(checkpoint)),
        _ => {
            let what = "it is no state of an upload, or damaged".to_owned();
            refuse(what, "remove it to upload from the start, or name another file")
        }
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
