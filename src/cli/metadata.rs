//! Fields of GCS's object resource: how flags give them, and what files give of their own.

use std::time::SystemTime;

use bytes::Bytes;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::exit::Failure;
use gcsd_client::FileSource;

/// The key of a file's modification time that rclone reads and writes: RFC 3339, to the nanosecond
/// (<https://rclone.org/googlecloudstorage/#modification-times>).
const MTIME: &str = "mtime";

/// That of gsutil, gcloud storage and the Storage Transfer Service: seconds since 1970
/// (<https://cloud.google.com/storage-transfer/docs/metadata-preservation>). rclone writes it beside its own.
const MTIME_SECONDS: &str = "goog-reserved-file-mtime";

/// What a source says of the object that is made of it, where the command line says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The name of the file.
    pub(super) name: Option<String>,
    /// When it was last written to: seconds since 1970, and nanoseconds.
    pub(super) modified: Option<(i64, i64)>,
}

/// What of files is kept in metadata.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "The new object")]
pub(super) struct Kept {
    /// Keep nothing of the file but its bytes. Otherwise, when it was last written to is kept in the metadata, as rclone does
    /// it ("mtime", "goog-reserved-file-mtime"); 'gcsd get -p' gives it back.
    #[arg(long)]
    no_mtime: bool,
}

impl Kept {
    /// What a file of this name says of its object.
    pub(super) fn of(self, name: Option<&str>, source: Option<&FileSource>) -> Said {
        Said {
            name: name.map(str::to_owned),
            modified: source.filter(|_| !self.no_mtime).map(FileSource::modified),
        }
    }
}

impl Said {
    /// Adds to GCS's object resource, of the object that is called `object`, what it does not say. A resource of nothing is
    /// empty.
    pub(super) fn add_to(&self, resource: &Bytes, object: &str) -> Bytes {
        let mut resource: Map<String, Value> = serde_json::from_slice(resource).unwrap_or_default();
        if !resource.contains_key("contentType")
            && let Some(guess) = content_type(object).or_else(|| content_type(self.name.as_deref()?))
        {
            resource.insert("contentType".to_owned(), guess.into());
        }
        if let Some(time) = self.modified.and_then(timestamp) {
            let own = resource
                .entry("metadata")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(own) = own {
                let seconds = time.as_second().to_string();
                own.entry(MTIME).or_insert_with(|| time.to_string().into());
                own.entry(MTIME_SECONDS).or_insert_with(|| seconds.into());
            }
        }
        match resource.is_empty() {
            true => Bytes::new(),
            false => Value::Object(resource).to_string().into(),
        }
    }
}

/// The content type that a name with this end usually has.
fn content_type(name: &str) -> Option<&'static str> {
    let file = name.rsplit('/').next()?;
    mime_guess::from_path(file).first_raw()
}

fn timestamp((seconds, nanoseconds): (i64, i64)) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}

/// When the file was last written to that an object was made of, as its resource says.
pub(super) fn modified(resource: &[u8]) -> Option<SystemTime> {
    let resource: Value = serde_json::from_slice(resource).ok()?;
    let own = |key: &str| resource.get("metadata")?.get(key)?.as_str();
    let exact = own(MTIME).and_then(|text| text.parse::<Timestamp>().ok());
    let seconds = || Timestamp::from_second(own(MTIME_SECONDS)?.parse().ok()?).ok();
    exact.or_else(seconds).map(SystemTime::from)
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not KEY=VALUE")),
    }
}

/// Reads the value of --object-json.
pub(super) fn object_json(text: Option<&str>) -> Result<Map<String, Value>, Failure> {
    match text {
        None => Ok(Map::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("--object-json is not a JSON object: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(resource: &'static str, object: &str, said: &Said) -> String {
        let resource = said.add_to(&Bytes::from(resource), object);
        String::from_utf8(resource.to_vec()).expect("text")
    }

    #[test]
    fn names_say_what_the_command_line_does_not() {
        let nothing = Said::default();
        assert_eq!(add("", "d/a.html", &nothing), r#"{"contentType":"text/html"}"#);
        assert_eq!(add("", "d.html/a", &nothing), "");
        assert_eq!(
            add(r#"{"contentType":"a/b"}"#, "a.html", &nothing),
            r#"{"contentType":"a/b"}"#
        );
        let file = Said {
            name: Some("photo.JPG".into()),
            modified: None,
        };
        assert_eq!(add("", "today", &file), r#"{"contentType":"image/jpeg"}"#);
        assert_eq!(add("", "a.png", &file), r#"{"contentType":"image/png"}"#);
    }

    #[test]
    fn times_are_kept_and_found() {
        let file = Said {
            name: None,
            modified: Some((1_700_000_000, 123_456_789)),
        };
        let kept = add(r#"{"metadata":{"a":"b"}}"#, "x", &file);
        assert_eq!(
            kept,
            r#"{"metadata":{"a":"b","goog-reserved-file-mtime":"1700000000","mtime":"2023-11-14T22:13:20.123456789Z"}}"#
        );
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(modified(kept.as_bytes()), Some(time));
        // As rclone writes it in another zone, and as gsutil does.
        let other = br#"{"metadata":{"mtime":"2023-11-14T23:13:20.123456789+01:00"}}"#;
        assert_eq!(modified(other), Some(time));
        let seconds = br#"{"metadata":{"goog-reserved-file-mtime":"1700000000"}}"#;
        let whole = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert_eq!(modified(seconds), Some(whole));
        for none in ["", "{}", r#"{"metadata":{"mtime":"yesterday"}}"#] {
            assert_eq!(modified(none.as_bytes()), None, "{none}");
        }
        // What somebody says wins.
        let own = add(r#"{"metadata":{"mtime":"x"}}"#, "x", &file);
        assert!(own.contains(r#""mtime":"x""#), "{own}");
    }
}
