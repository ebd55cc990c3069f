//! Composing objects.

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::json::{JsonCall, OBJECT_FIELDS};
use super::metadata;
use super::request::Target;
use super::resource::Object;
use gcsd_types::{ComposeSource, Destination};

/// A source, in GCS's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceObject<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_preconditions: Option<ObjectPreconditions>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectPreconditions {
    if_generation_match: String,
}

impl Gcs {
    /// Composes an object of 1 to 32 others in the same bucket
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/compose>).
    ///
    /// With a key, all of them must be encrypted with it, and the new object is too.
    pub async fn compose_objects(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<Answered<Object>, Error> {
        let body = body(destination, sources).map_err(|error| error.during(Call::Compose))?;
        let mut target = Target::object(&destination.bucket, &destination.object);
        target.literal("/compose");
        target.preconditions(&destination.preconditions);
        target.query("kmsKeyName", destination.kms_key_name.as_deref());
        target.query("destinationPredefinedAcl", destination.predefined_acl.as_deref());
        target.query("userProject", self.paying(destination.user_project.as_deref()));
        target.fields(destination.fields.as_deref(), OBJECT_FIELDS);
        let call = JsonCall::new(Call::Compose, Method::POST, target)
            .body(body)
            .key(destination.key.as_ref())
            .repeatable(destination.preconditions.pins_generation());
        self.json(call, Answer::object).await
    }
}

/// The JSON that the call sends. The metadata is inserted verbatim: it is one JSON object.
fn body(destination: &Destination, sources: &[ComposeSource]) -> Result<Bytes, Error> {
    let sources: Vec<SourceObject<'_>> = sources
        .iter()
        .map(|source| SourceObject {
            name: source.object.as_str(),
            generation: source.generation.map(|generation| generation.to_string()),
            object_preconditions: source.if_generation_match.map(|generation| ObjectPreconditions {
                if_generation_match: generation.to_string(),
            }),
        })
        .collect();
    let sources = serde_json::to_string(&sources).map_err(|error| {
        Error::new(
            ErrorKind::Invalid,
            format!("the sources cannot be written: {error}"),
        )
    })?;
    let metadata = match metadata::checked(destination)? {
        Some(metadata) => &metadata[..],
        None => b"{}",
    };
    let parts: [&[u8]; 5] = [
        br#"{"destination":"#,
        metadata,
        br#","sourceObjects":"#,
        sources.as_bytes(),
        b"}",
    ];
    Ok(parts.concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_in_order_and_metadata_goes_in_as_it_came() {
        let name = |text: &str| text.parse().expect("a name");
        let mut destination = Destination::new("bucket".parse().expect("a name"), name("o"));
        let mut sources = vec![ComposeSource::new(name("a\"b")), ComposeSource::new(name("c"))];
        sources[1].generation = Some(7);
        sources[1].if_generation_match = Some(u64::MAX);
        let bytes = body(&destination, &sources).expect("good");
        assert_eq!(
            bytes,
            r#"{"destination":{},"sourceObjects":[{"name":"a\"b"},{"name":"c","generation":"7","objectPreconditions":{"ifGenerationMatch":"18446744073709551615"}}]}"#
        );
        destination.metadata = Bytes::from_static(br#" {"contentType":"a/b"}"#);
        let bytes = body(&destination, &sources).expect("good");
        assert!(bytes.starts_with(br#"{"destination": {"contentType":"a/b"},"sourceObjects":["#));
        for bad in ["[]", "{", "{},", r#"{"name":"p"}"#, "null"] {
            destination.metadata = Bytes::from_static(bad.as_bytes());
            assert!(body(&destination, &sources).is_err(), "{bad}");
        }
    }
}
