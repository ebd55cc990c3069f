//! What objects must hold, so that one that was made can be compared with it.

use serde::Deserialize;

use super::checkpoint::{PartState, StripedCheckpoint};
use super::error::StripedError;
use super::names::Names;
use super::route::StoredObject;
use gcsd_types::{ComposeSource, Crc32c, ObjectInfo, ObjectName};

/// A temporary object that exists, and is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) name: ObjectName,
    pub(super) generation: u64,
    pub(super) content: Content,
}

impl Piece {
    /// As a source of a composition.
    pub(super) fn source(&self) -> ComposeSource {
        ComposeSource {
            generation: Some(self.generation),
            if_generation_match: Some(self.generation),
            ..ComposeSource::new(self.name.clone())
        }
    }
}

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) crc32c: Crc32c,
    /// Of how many parts it was made.
    pub(super) parts: u64,
}

impl Content {
    /// The content of `pieces` in a row.
    pub(super) fn of<'a>(pieces: impl IntoIterator<Item = &'a Self>) -> Self {
        pieces.into_iter().fold(Self::default(), |sum, next| Self {
            size: sum.size + next.size,
            // `None` only for more bytes than a machine of this kind can have.
            crc32c: sum.crc32c.combine(next.crc32c, next.size).unwrap_or_default(),
            parts: sum.parts + next.parts,
        })
    }

    /// Whether `object` holds it, and was composed of as many parts if GCS says of how many.
    pub(super) fn is(&self, object: &StoredObject) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Composite {
            component_count: Option<u64>,
        }
        let count = serde_json::from_slice::<Composite>(&object.json).ok();
        let count = count.and_then(|composite| composite.component_count);
        self.fits(&object.info) && count.is_none_or(|count| count == self.parts)
    }

    /// Whether `object` has its size and checksum.
    pub(super) fn fits(&self, object: &ObjectInfo) -> bool {
        object.size == self.size && object.crc32c == Some(self.crc32c)
    }
}

impl StripedCheckpoint {
    /// The temporary objects that the object is composed of; parts that are not finished are left out.
    pub(super) fn pieces(&self, names: &Names) -> Result<Vec<Piece>, StripedError> {
        let mut pieces = Vec::with_capacity(self.parts.len());
        for (number, part) in self.parts.iter().enumerate() {
            if let PartState::Done { run, generation, .. } = *part
                && let Some(content) = self.content_of(number)
            {
                let name = names.part(run, number)?;
                pieces.push(Piece {
                    name,
                    generation,
                    content,
                });
            }
        }
        Ok(pieces)
    }

    /// What the object will hold; `None` before all parts are finished.
    pub(super) fn content(&self) -> Option<Content> {
        let parts: Option<Vec<Content>> = (0..self.parts.len())
            .map(|number| self.content_of(number))
            .collect();
        Some(Content::of(&parts?))
    }

    /// What part `number` holds, if it is finished.
    pub(super) fn content_of(&self, number: usize) -> Option<Content> {
        match self.parts[number] {
            PartState::Done { crc32c, .. } | PartState::Sent { crc32c, .. } => Some(Content {
                size: self.layout().range(number).1,
                crc32c: Crc32c(crc32c),
                parts: 1,
            }),
            PartState::Waiting | PartState::Open { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use gcsd_fault::Random;

    use super::*;

    #[test]
    fn the_checksum_of_pieces_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..=255)
            .cycle()
            .take(100_000)
            .map(|byte: u8| byte.wrapping_mul(167))
            .collect();
        let mut random = Random::new(4743);
        let mut cut = || usize::try_from(random.below(bytes.len() as u64 + 1)).expect("small");
        for pieces in [1, 2, 5, 33, 1024] {
            let mut cuts: Vec<usize> = (1..pieces).map(|_| cut()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let contents: Vec<_> = cuts
                .windows(2)
                .map(|cut| Content {
                    size: (cut[1] - cut[0]) as u64,
                    crc32c: Crc32c::of(&bytes[cut[0]..cut[1]]),
                    parts: 1,
                })
                .collect();
            let whole = Content {
                size: bytes.len() as u64,
                crc32c: Crc32c::of(&bytes),
                parts: pieces,
            };
            assert_eq!(Content::of(&contents), whole, "{cuts:?}");
        }
        assert_eq!(Content::of([]), Content::default());
    }
}
