//! What temporary objects are called.

use aws_lc_rs::rand;

use gcsd_types::{NameError, ObjectName};

/// What every temporary object's name ends with, so that one lifecycle rule (`matchesSuffix`) can find what was left
/// behind.
pub const PART_SUFFIX: &str = ".gcsd-part";

/// The longest name of an object, in bytes.
const LONGEST: usize = 1024;

/// Room for what comes behind the stem: the id, a run, a number, hyphens and the suffix.
const TAIL: usize = 80;

/// Random bytes of an id: nobody draws the same twice.
const ID: usize = 16;

/// The random generator of the system failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandom;

/// A new id.
pub(super) fn id() -> Result<String, NoRandom> {
    let mut bytes = [0; ID];
    rand::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether `text` is an id as [`id`] makes them.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 2 * ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The names of one upload's temporary objects.
///
/// They begin with the object's own name, so that whoever may write the one may write the others, and have no `/` that
/// it does not have, so that no folder is left behind where a bucket has real ones. A name that is too long to be
/// gone on with is cut: the id alone makes it unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// What they all begin with, and nothing else does.
    prefix: String,
}

impl Names {
    /// The names near `object`, or below `prefix`.
    pub(super) fn new(object: &ObjectName, prefix: Option<&str>, id: &str) -> Result<Self, NameError> {
        let stem = match prefix {
            Some(prefix) if prefix.len() > LONGEST - TAIL => return Err(NameError::ObjectLength),
            Some(prefix) => prefix.to_owned(),
            None => {
                let name = object.as_str();
                let end = (0..=name.len().min(LONGEST - TAIL))
                    .rev()
                    .find(|end| name.is_char_boundary(*end));
                format!("{}.", &name[..end.unwrap_or(0)])
            }
        };
        let names = Self {
            prefix: format!("{stem}{id}-"),
        };
        // The others differ in digits only.
        names.part(0, 0)?;
        Ok(names)
    }

    /// What all of them begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A part, as process number `run` of this upload calls it.
    pub(super) fn part(&self, run: u32, number: usize) -> Result<ObjectName, NameError> {
        ObjectName::new(format!("{}{run}-{number}{PART_SUFFIX}", self.prefix))
    }

    /// What some of them were composed to on the way.
    pub(super) fn joint(&self, run: u32, level: u32, number: usize) -> Result<ObjectName, NameError> {
        ObjectName::new(format!("{}{run}-{level}-{number}{PART_SUFFIX}", self.prefix))
    }

    /// Whether `name` is one of them.
    pub(super) fn own(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && name.ends_with(PART_SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_near_the_object_and_are_never_too_long() {
        let id = id().expect("random");
        assert!(is_id(&id) && !is_id("") && !is_id(&id.to_uppercase().replace('0', "G")));
        let names = |object: &str, prefix| Names::new(&object.parse().expect("a name"), prefix, &id);
        let near = names("a/b.tar", None).expect("names");
        let part = near.part(0, 31).expect("a name");
        assert_eq!(part.as_str(), format!("a/b.tar.{id}-0-31.gcsd-part"));
        let joint = near.joint(1, 0, 2).expect("a name");
        assert_eq!(joint.as_str(), format!("a/b.tar.{id}-1-0-2.gcsd-part"));
        assert!(near.own(part.as_str()) && near.own(joint.as_str()) && !near.own("a/b.tar"));
        let below = names("a/b.tar", Some("tmp/")).expect("names");
        assert_eq!(
            below.part(0, 0).expect("a name").as_str(),
            format!("tmp/{id}-0-0.gcsd-part")
        );
        // Three bytes each: the cut must not fall into one.
        for long in [
            "x".repeat(1024),
            "\u{2603}".repeat(341),
            format!("x{}", "\u{2603}".repeat(341)),
        ] {
            let names = names(&long, None).expect("names");
            let part = names.joint(u32::MAX, u32::MAX, 9999).expect("not too long");
            assert!(part.as_str().len() <= 1024 && names.own(part.as_str()));
        }
        let long = "x".repeat(1000);
        assert!(names("o", Some(&long)).is_err());
        assert!(names("o", Some("a\nb")).is_err());
        assert!(names("o", Some(".well-known/acme-challenge/")).is_err());
    }
}
