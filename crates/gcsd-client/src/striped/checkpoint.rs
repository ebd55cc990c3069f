//! What lets another process continue a striped upload, or clean up after it.

use std::future::Future;
use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::Token;
use super::layout::Layout;
use super::names::is_id;
use super::options::{StripedOptionsError, Via};
use gcsd_types::Crc32c;

/// How far a striped upload has come. It holds tokens, which are credentials: store it where nobody else can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripedCheckpoint {
    /// A random id, in the name of each temporary object.
    pub(super) id: String,
    /// What their names begin with, if that was asked for.
    pub(super) prefix: Option<String>,
    pub(super) via: Via,
    /// GCS's name for the multipart upload, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) multipart: Option<String>,
    /// How many processes have had this upload before. Each names its parts differently, so that one that is not quite dead
    /// cannot overwrite what another made.
    pub(super) run: u32,
    pub(super) size: u64,
    pub(super) part_size: u64,
    pub(super) parts: Vec<PartState>,
    /// From just before the object is composed: the generation that it replaces, 0 for none.
    pub(super) replaces: Option<u64>,
}

/// What is known of a part, or of its upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartState {
    /// Nothing of it is known to be at GCS.
    Waiting,
    /// It has an open upload.
    Open {
        run: u32,
        #[serde(serialize_with = "expose", deserialize_with = "token")]
        token: Token,
    },
    /// The temporary object exists, and is verified.
    Done { run: u32, generation: u64, crc32c: u32 },
    /// The part of a multipart upload exists, and is verified.
    Sent { etag: String, crc32c: u32 },
}

fn expose<S: Serializer>(token: &Token, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(token.expose())
}

fn token<'de, D: Deserializer<'de>>(from: D) -> Result<Token, D::Error> {
    String::deserialize(from).map(Token::new)
}

impl PartState {
    pub(super) fn done(run: u32, generation: u64, crc32c: Crc32c) -> Self {
        Self::Done {
            run,
            generation,
            crc32c: crc32c.0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Sent { .. })
    }
}

impl StripedCheckpoint {
    pub(super) fn new(id: String, prefix: Option<String>, via: Via, layout: Layout) -> Self {
        let parts = usize::try_from(layout.parts()).unwrap_or(usize::MAX);
        Self {
            id,
            prefix,
            via,
            multipart: None,
            run: 0,
            size: layout.size,
            part_size: layout.part_size,
            parts: vec![PartState::Waiting; parts],
            replaces: None,
        }
    }

    /// The number of parts, and how many of them are finished.
    pub fn parts(&self) -> (usize, usize) {
        let done = self.parts.iter().filter(|part| part.is_done()).count();
        (self.parts.len(), done)
    }

    /// Bytes of a part; the last may have fewer.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    pub(super) fn layout(&self) -> Layout {
        Layout {
            size: self.size,
            part_size: self.part_size,
        }
    }

    /// The same checkpoint for the next process.
    pub(super) fn taken_over(mut self) -> Result<Self, StripedOptionsError> {
        let fits = self.part_size > 0
            && self.layout().parts() <= self.via.max_parts()
            && u64::try_from(self.parts.len()).is_ok_and(|parts| parts == self.layout().parts());
        if !fits || !is_id(&self.id) {
            return Err(StripedOptionsError::Checkpoint("it is damaged"));
        }
        self.run = self
            .run
            .checked_add(1)
            .ok_or(StripedOptionsError::Checkpoint("it is damaged"))?;
        Ok(self)
    }
}

/// Saves the checkpoints of a striped upload.
///
/// One is saved before the first part begins, whenever a part begins or ends, and before the object is composed; the
/// upload waits until that is done.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Replaces the checkpoint saved before. An error ends the upload.
    fn save(&mut self, checkpoint: &StripedCheckpoint) -> impl Future<Output = io::Result<()>> + Send;
}

/// Saves nothing.
impl CheckpointStore for () {
    async fn save(&mut self, _checkpoint: &StripedCheckpoint) -> io::Result<()> {
        Ok(())
    }
}

/// Saves nothing where there is no store.
impl<S: CheckpointStore> CheckpointStore for Option<S> {
    async fn save(&mut self, checkpoint: &StripedCheckpoint) -> io::Result<()> {
        match self {
            Some(store) => store.save(checkpoint).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_and_shows_no_token() {
        let layout = Layout {
            size: 25,
            part_size: 10,
        };
        let mut checkpoint = StripedCheckpoint::new("0".repeat(32), None, Via::Compose, layout);
        checkpoint.parts[0] = PartState::done(0, 7, Crc32c(9));
        checkpoint.parts[1] = PartState::Open {
            run: 0,
            token: Token::new("secret"),
        };
        assert_eq!(checkpoint.parts(), (3, 1));
        assert!(!format!("{checkpoint:?}").contains("secret"));
        let text = serde_json::to_string(&checkpoint).expect("JSON");
        assert!(text.contains("secret"));
        let read: StripedCheckpoint = serde_json::from_str(&text).expect("the same");
        assert_eq!(read, checkpoint);
        let next = read.clone().taken_over().expect("a good one");
        assert_eq!((next.run, next.parts), (1, checkpoint.parts));
        for damaged in [
            StripedCheckpoint {
                part_size: 0,
                ..read.clone()
            },
            StripedCheckpoint {
                part_size: 1,
                ..read.clone()
            },
            StripedCheckpoint {
                id: "../x".into(),
                ..read.clone()
            },
            StripedCheckpoint {
                run: u32::MAX,
                ..read.clone()
            },
        ] {
            assert!(damaged.taken_over().is_err());
        }
    }
}
