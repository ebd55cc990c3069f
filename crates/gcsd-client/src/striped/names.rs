//! The names of temporary objects.

use std::io;

use gcsd_types::{NameError, ObjectName};

/// The end of every temporary object's name, so that one lifecycle rule (`matchesSuffix`) finds what was left behind.
pub const PART_SUFFIX: &str = ".gcsd-part";

/// The longest name of an object, in bytes.
const LONGEST: usize = 1024;

/// Room for what follows the stem: the id, a run, numbers, hyphens and the suffix.
const TAIL: usize = 80;

/// Random bytes of an id, enough never to draw the same twice.
const ID: usize = 16;

/// A new id.
pub(super) fn id() -> io::Result<String> {
    let mut bytes = [0; ID];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether `text` is an id as [`id`] makes them.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 2 * ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The names of one upload's temporary objects.
///
/// They begin with the object's own name, so that permission to write the object covers them. They add no `/`, so
/// that no folder is left behind in a bucket that has real ones. An object's name that is too long is cut: the id alone
/// makes them unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The beginning of all of them, and of no other name.
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
        // All others differ in digits only.
        names.part(0, 0)?;
        Ok(names)
    }

    /// The beginning of all of them.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A part, as process number `run` of this upload names it.
    pub(super) fn part(&self, run: u32, number: usize) -> Result<ObjectName, NameError> {
        ObjectName::new(format!("{}{run}-{number}{PART_SUFFIX}", self.prefix))
    }

    /// A temporary object composed of others.
    pub(super) fn intermediate(&self, run: u32, level: u32, number: usize) -> Result<ObjectName, NameError> {
        ObjectName::new(format!("{}{run}-{level}-{number}{PART_SUFFIX}", self.prefix))
    }

    /// Whether `name` is one of these names.
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
        let intermediate = near.intermediate(1, 0, 2).expect("a name");
        assert_eq!(intermediate.as_str(), format!("a/b.tar.{id}-1-0-2.gcsd-part"));
        assert!(near.own(part.as_str()) && near.own(intermediate.as_str()) && !near.own("a/b.tar"));
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
            let part = names
                .intermediate(u32::MAX, u32::MAX, 9999)
                .expect("not too long");
            assert!(part.as_str().len() <= 1024 && names.own(part.as_str()));
        }
        let long = "x".repeat(1000);
        assert!(names("o", Some(&long)).is_err());
        assert!(names("o", Some("a\nb")).is_err());
        assert!(names("o", Some(".well-known/acme-challenge/")).is_err());
    }
}
