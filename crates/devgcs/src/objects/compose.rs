//! Composing an object of up to 32 others.

use std::sync::Arc;

use http::Response;
use serde_json::{Map, Value};

use super::get::shown;
use super::insert::Upload;
use crate::acl;
use crate::call::Call;
use crate::digits::digits;
use crate::encryption;
use crate::error::Error;
use crate::json;
use crate::metadata::{Expected, Metadata};
use crate::names;
use crate::preconditions;
use crate::resource::{Draft, Object};
use crate::response_body::ResponseBody;
use crate::service::Service;
use crate::storage::Digests;
use gcsd_types::{Crc32c, MAX_OBJECT_SIZE, Preconditions};

/// The most objects that one call composes.
const MAX_SOURCES: usize = 32;

/// An object to compose from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) generation: Option<u64>,
    pub(crate) if_generation_match: Option<u64>,
}

/// `POST /storage/v1/b/BUCKET/o/OBJECT/compose`.
pub(crate) async fn compose(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let request = json::object(&mut call.body).await?;
    let sources = sources(&request)?;
    let empty = Map::new();
    let destination = request
        .get("destination")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut metadata = Metadata::default();
    metadata.merge(destination)?;
    let upload = Upload {
        bucket,
        name: names::object(&name)?,
        metadata,
        // Checksums in the destination are those of an earlier version: clients send what they have read.
        expected: Expected::default(),
        conditions: preconditions::from_query(&call.query)?,
        key_sha256: encryption::key(&call.headers)?,
        acl: acl::asked(call.query.get("destinationPredefinedAcl"), destination)?,
    };
    let object = join(service, upload, sources).await?;
    shown(service, call, &object)
}

/// Makes an object of others.
pub(crate) async fn join(
    service: &Arc<Service>,
    upload: Upload,
    sources: Vec<Source>,
) -> Result<Arc<Object>, Error> {
    check_count(sources.len())?;
    let Upload {
        bucket,
        name,
        metadata,
        expected,
        conditions,
        key_sha256,
        acl,
    } = upload;
    let shared = Arc::clone(service);
    // The bytes are joined before the turn starts, which would block every other change.
    let compose = move || {
        let found: Vec<Arc<Object>> = sources
            .iter()
            .map(|source| find(&shared, &bucket, source))
            .collect::<Result<_, _>>()?;
        for object in &found {
            encryption::unlock(object, key_sha256.as_deref())?;
        }
        preconditions::check(&conditions, shared.live(&bucket, &name)?.as_deref())?;
        let digests = digests(&found)?;
        expected.check(digests.crc32c, None)?;
        let content = shared.store.join(found.iter().map(|object| &object.content))?;
        let draft = Draft {
            bucket,
            name,
            metadata,
            digests,
            component_count: Some(
                found
                    .iter()
                    .map(|object| object.component_count.unwrap_or(1))
                    .sum(),
            ),
            key_sha256,
            acl,
            content,
        };
        let published = shared.turn().publish(&draft, &conditions);
        published.inspect_err(|_| shared.store.remove(&draft.content))
    };
    service.store.run(compose).await
}

fn check_count(sources: usize) -> Result<(), Error> {
    if (1..=MAX_SOURCES).contains(&sources) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The number of source components provided must be between 1 and {MAX_SOURCES}."
    )))
}

fn sources(request: &Map<String, Value>) -> Result<Vec<Source>, Error> {
    let listed = request.get("sourceObjects").and_then(Value::as_array);
    let listed = listed.map_or(&[][..], Vec::as_slice);
    check_count(listed.len())?;
    listed.iter().map(source).collect()
}

fn source(value: &Value) -> Result<Source, Error> {
    let name = value.get("name").and_then(Value::as_str);
    let conditions = value.get("objectPreconditions");
    Ok(Source {
        name: name
            .ok_or_else(|| Error::required("sourceObjects.name"))?
            .to_owned(),
        generation: number(value.get("generation"))?,
        if_generation_match: number(conditions.and_then(|conditions| conditions.get("ifGenerationMatch")))?,
    })
}

/// A 64-bit number is text; some clients send a number.
fn number(value: Option<&Value>) -> Result<Option<u64>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => digits(text)
            .map(Some)
            .ok_or_else(|| Error::invalid("Invalid generation.")),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| Error::invalid("Invalid generation.")),
    }
}

fn find(service: &Service, bucket: &str, source: &Source) -> Result<Arc<Object>, Error> {
    let object = service.find(bucket, &source.name, source.generation)?;
    let conditions = Preconditions {
        if_generation_match: source.if_generation_match,
        ..Preconditions::default()
    };
    preconditions::check(&conditions, Some(&object))?;
    Ok(object)
}

/// Size and CRC32C follow from those of the parts; an MD5 does not.
fn digests(parts: &[Arc<Object>]) -> Result<Digests, Error> {
    let (mut size, mut crc32c) = (0_u64, Crc32c::default());
    for part in parts {
        let too_large = || Error::invalid("The composed object would have more than 5 TiB.");
        size = size
            .checked_add(part.size)
            .filter(|size| *size <= MAX_OBJECT_SIZE)
            .ok_or_else(too_large)?;
        crc32c = crc32c.combine(part.crc32c(), part.size).ok_or_else(too_large)?;
    }
    Ok(Digests {
        size,
        crc32c,
        md5: None,
    })
}
