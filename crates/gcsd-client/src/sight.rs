//! What is where an upload makes its object, and whose it is.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;

use super::{Error, StoredObject};
use gcsd_types::{Crc32c, Destination, ObjectInfo, ObjectRef};
use gcsd_wire::Kind;

/// How much older than the request an object must be to have been there before for sure: clocks differ. What is older by
/// less leaves a doubt.
const SLACK: Duration = Duration::from_secs(60);

/// The least generation that is taken for a time in microseconds, that of September 2001. GCS's are; those of other servers
/// can be any numbers.
const LEAST_TIME: u64 = 1_000_000_000_000_000;

/// Generations that are taken for times in milliseconds, which test servers have: from September 2001 on.
const MILLISECONDS: Range<u64> = 1_000_000_000_000..10_000_000_000_000;

/// How long GCS keeps a session.
const SESSION_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// What is where an upload makes its object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sight {
    /// The live object; `None` where there is none.
    pub object: Option<StoredObject>,
    /// The only generation that the upload replaces, 0 for none, where its preconditions name one.
    pub replaces: Option<u64>,
    /// When the upload began, at the earliest, in microseconds since 1970; `None` where no other clock than this machine's
    /// tells. GCS's generations are such times.
    pub began: Option<u64>,
    /// The object resource that the upload was started with, as JSON; empty for none.
    pub metadata: Bytes,
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The upload made it.
    Ours(StoredObject),
    /// The upload has made none.
    NotMade,
    /// Nothing tells.
    Unknown(Seen),
}

impl Sight {
    /// Nothing is there.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// This is there.
    #[must_use]
    pub fn with_object(mut self, object: StoredObject) -> Self {
        self.object = Some(object);
        self
    }

    /// What `stat` finds at `destination`, where an upload began at `began`.
    ///
    /// An object that is encrypted with another key than the upload's, or with none, is looked at without the key: its
    /// generation is told, and its checksum is not.
    pub(crate) async fn of<F>(
        destination: &Destination,
        began: Option<u64>,
        stat: impl Fn(ObjectRef) -> F,
    ) -> Result<Self, Error>
    where
        F: Future<Output = Result<StoredObject, Error>>,
    {
        let object = look(&place(destination), stat).await?;
        Ok(Self {
            object,
            replaces: destination.preconditions.if_generation_match,
            began,
            metadata: destination.metadata.clone(),
        })
    }

    /// Whose it is, if the upload was to make an object of `wanted` size and checksum.
    pub(crate) fn whose(self, wanted: Option<(u64, Crc32c)>) -> Whose {
        let Some(object) = self.object else {
            return Whose::NotMade;
        };
        let ObjectInfo { generation, .. } = object.info;
        let age = self.began.map_or(Age::Newer, |began| age(generation, began));
        if self.replaces == Some(generation) || age == Age::Older {
            return Whose::NotMade;
        }
        let same = age == Age::Newer && wanted.is_some_and(|wanted| is(&object.info, wanted));
        match same && has(&object, &self.metadata) {
            true => Whose::Ours(object),
            false => Whose::Unknown(Seen::Object(object.info)),
        }
    }
}

/// Whether an object was there when a request was first sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It was, so that the request did not make it.
    Older,
    /// It was by the clocks, which may differ by more than that.
    Doubtful,
    /// It was not, or its generation is not a time.
    Newer,
}

/// How old the object of this generation is, compared with `began`, in microseconds since 1970.
pub(crate) fn age(generation: u64, began: u64) -> Age {
    let made = match generation {
        micros @ LEAST_TIME.. => micros,
        millis if MILLISECONDS.contains(&millis) => millis * 1000 + 999,
        _ => return Age::Newer,
    };
    match made {
        made if made >= began => Age::Newer,
        made if made.saturating_add(micros(SLACK)) < began => Age::Older,
        _ => Age::Doubtful,
    }
}

/// This machine's time, in microseconds since 1970.
pub(crate) fn now() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The live version of the object at `destination`.
pub(crate) fn place(destination: &Destination) -> ObjectRef {
    ObjectRef {
        user_project: destination.user_project.clone(),
        key: destination.key.clone(),
        ..ObjectRef::new(destination.bucket.clone(), destination.object.clone())
    }
}

/// The object; `None` where there is none.
pub(crate) async fn look<F>(
    object: &ObjectRef,
    stat: impl Fn(ObjectRef) -> F,
) -> Result<Option<StoredObject>, Error>
where
    F: Future<Output = Result<StoredObject, Error>>,
{
    let found = match stat(object.clone()).await {
        Err(error) if error.is(Kind::Refused) && object.key.is_some() => {
            let key = None;
            stat(ObjectRef {
                key,
                ..object.clone()
            })
            .await
        }
        found => found,
    };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is(Kind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an object has this size and checksum.
pub(crate) fn is(object: &ObjectInfo, (size, crc32c): (u64, Crc32c)) -> bool {
    object.size == size && object.crc32c == Some(crc32c)
}

/// As [`began_at`], of a session that GCS forgets at `expires`, in seconds since 1970.
pub(crate) fn began(expires: u64, asked: Option<u64>) -> u64 {
    began_at(expires.saturating_sub(SESSION_LIFE.as_secs()), asked)
}

/// Whether an object has the metadata that it was to be made with, as far as GCS shows it as it was sent.
pub(crate) fn has(object: &StoredObject, metadata: &[u8]) -> bool {
    const AS_SENT: [&str; 6] = [
        "contentType",
        "contentEncoding",
        "contentLanguage",
        "contentDisposition",
        "cacheControl",
        "storageClass",
    ];
    let (Ok(sent), Ok(shown)) = (
        serde_json::from_slice::<Value>(metadata),
        serde_json::from_slice::<Value>(&object.json),
    ) else {
        return true;
    };
    let same = |name: &&str| sent[name].is_null() || sent[name] == shown[name];
    let custom = sent["metadata"].as_object();
    let kept = |(name, value): (&String, &Value)| value.is_null() || shown["metadata"][name] == *value;
    AS_SENT.iter().all(same) && custom.is_none_or(|custom| custom.iter().all(kept))
}

/// When a session began that GCS or a daemon opened at `theirs`, in seconds since 1970: by that clock or by this
/// machine's, whichever is earlier.
///
/// `asked` is when it was asked for, by this machine's clock, in microseconds; where that is the same second, it is exact.
pub(crate) fn began_at(theirs: u64, asked: Option<u64>) -> u64 {
    let second = theirs.saturating_mul(1_000_000);
    match asked {
        Some(asked) if (second..second.saturating_add(1_000_000)).contains(&asked) => asked,
        _ => second.min(now()),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What was seen where a request was to change something, and does not tell whether it did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// This object, which can be anybody's.
    Object(ObjectInfo),
    /// No object.
    Nothing,
    /// It could not be looked at.
    Unseen(Error),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(ObjectInfo { generation, size, .. }) => write!(
                f,
                "the object that is there now (generation {generation}, {size} bytes) does not tell"
            ),
            Self::Nothing => f.write_str("there is no object now, which does not tell"),
            Self::Unseen(error) => write!(f, "what is there could not be looked at ({error})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_345_200_000_000;
    const MINE: (u64, Crc32c) = (5, Crc32c(7));

    fn sight(generation: u64, size: u64, crc32c: Option<Crc32c>) -> Sight {
        let info = ObjectInfo {
            generation,
            size,
            crc32c,
            ..ObjectInfo::default()
        };
        let json = bytes::Bytes::new();
        Sight {
            began: Some(NOW),
            ..Sight::nothing().with_object(StoredObject { info, json })
        }
    }

    #[test]
    fn whose_an_object_is() {
        let mine = |generation| sight(generation, 5, Some(Crc32c(7)));
        let other = |generation| sight(generation, 5, Some(Crc32c(8)));
        let minutes = |count: u64| count * 60_000_000;
        let says = |sight: Sight| match sight.whose(Some(MINE)) {
            Whose::Ours(_) => "ours",
            Whose::NotMade => "not made",
            Whose::Unknown(_) => "unknown",
        };
        for (sight, expected) in [
            (Sight::nothing(), "not made"),
            (mine(NOW + 1), "ours"),
            (mine(NOW), "ours"),
            // The clocks may differ by so much.
            (mine(NOW - 1), "unknown"),
            (mine(NOW - minutes(1)), "unknown"),
            (mine(NOW - minutes(2)), "not made"),
            (other(NOW + 1), "unknown"),
            (other(NOW - minutes(1)), "unknown"),
            (other(NOW - minutes(2)), "not made"),
            // Milliseconds.
            (mine(NOW / 1000), "ours"),
            (mine(NOW / 1000 - 1), "unknown"),
            (mine(NOW / 1000 - 120_000), "not made"),
            // A number that is not a time.
            (mine(5), "ours"),
            (other(5), "unknown"),
            // Without its key GCS tells no checksum.
            (sight(NOW + 1, 5, None), "unknown"),
            (sight(NOW + 1, 4, Some(Crc32c(7))), "unknown"),
        ] {
            assert_eq!(says(sight.clone()), expected, "{sight:?}");
            let timeless = Sight {
                began: None,
                ..sight.clone()
            };
            let old = sight.object.is_some() && expected == "not made";
            if old {
                assert_ne!(says(timeless), "not made", "{sight:?}: no clock tells");
            }
            let kept = Sight {
                replaces: sight.object.as_ref().map(|object| object.info.generation),
                ..sight
            };
            assert_eq!(says(kept), "not made", "what is to be replaced is there yet");
        }
        assert!(matches!(mine(NOW + 1).whose(None), Whose::Unknown(_)));
    }

    #[test]
    fn what_an_object_was_to_be_tells_it_from_another_one() {
        let object = |json: &'static str| StoredObject {
            info: ObjectInfo::default(),
            json: json.into(),
        };
        let shown = object(
            r#"{"contentType":"a/b","storageClass":"STANDARD","metadata":{"a":"1","b":"2"},"size":"5"}"#,
        );
        for (sent, same) in [
            ("", true),
            ("{}", true),
            (r#"{"contentType":"a/b"}"#, true),
            (r#"{"contentType":"a/c"}"#, false),
            (r#"{"cacheControl":"no-store"}"#, false),
            (r#"{"metadata":{"b":"2"}}"#, true),
            (r#"{"metadata":{"b":"3"}}"#, false),
            (r#"{"metadata":{"c":"3"}}"#, false),
            // GCS writes times in its own way.
            (r#"{"customTime":"2026-11-27T00:00:00Z"}"#, true),
        ] {
            assert_eq!(has(&shown, sent.as_bytes()), same, "{sent}");
            assert!(has(&object(""), sent.as_bytes()), "{sent}: nothing is shown");
        }
    }

    #[test]
    fn the_earlier_of_two_clocks_counts() {
        let week = SESSION_LIFE.as_secs();
        assert!(began(NOW / 1_000_000 + week, None) <= NOW);
        assert_eq!(began(week + 3, None), 3_000_000);
        assert_eq!(began(week + 3, Some(3_000_007)), 3_000_007);
        assert_eq!(began(week + 3, Some(4_000_000)), 3_000_000);
        assert_eq!(began(week + 3, Some(2_999_999)), 3_000_000);
        assert!(began(u64::MAX, None) < u64::MAX / 2);
    }
}
