//! Uploads in one request: `uploadType=media` and `uploadType=multipart`.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde_json::Map;

use super::get::shown;
use crate::acl::{self, Grants};
use crate::call::Call;
use crate::encryption;
use crate::error::Error;
use crate::ingest::Ingest;
use crate::json;
use crate::metadata::{Expected, Metadata};
use crate::mime::{self, PartHead, Parts};
use crate::names;
use crate::preconditions;
use crate::resource::{Draft, Object};
use crate::response_body::ResponseBody;
use crate::service::Service;
use gcsd_types::Preconditions;

/// The object that an upload in one request makes of its bytes.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) expected: Expected,
    pub(crate) conditions: Preconditions,
    /// The SHA-256 of the key to encrypt it with.
    pub(crate) key_sha256: Option<String>,
    /// Its access control list, if the request says one.
    pub(crate) acl: Option<Grants>,
}

impl Upload {
    /// Refuses an upload before its bytes come if it would be refused at the end.
    pub(crate) fn admit(&self, service: &Service) -> Result<(), Error> {
        let live = service.live(&self.bucket, &self.name)?;
        preconditions::check(&self.conditions, live.as_deref())
    }

    /// Makes the object.
    pub(crate) async fn publish(self, ingest: Ingest) -> Result<Arc<Object>, Error> {
        ingest
            .finish(move |service, content, digests| {
                self.expected.check(digests.crc32c, digests.md5)?;
                let draft = Draft {
                    bucket: self.bucket,
                    name: self.name,
                    metadata: self.metadata,
                    digests,
                    component_count: None,
                    key_sha256: self.key_sha256,
                    acl: self.acl,
                    content,
                };
                service.turn().publish(&draft, &self.conditions)
            })
            .await
    }
}

/// `POST /upload/storage/v1/b/BUCKET/o?uploadType=media` or `multipart`.
pub(crate) async fn insert(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: &str,
) -> Result<Response<ResponseBody>, Error> {
    service.want_bucket(bucket).await?;
    let object = match call.query.get("uploadType") {
        Some("media") => media(service, call, bucket).await?,
        Some("multipart") => in_parts(service, call, bucket).await?,
        _ => return Err(Error::invalid("Invalid value for the parameter uploadType.")),
    };
    shown(service, call, &object)
}

async fn media(service: &Arc<Service>, call: &mut Call, bucket: &str) -> Result<Arc<Object>, Error> {
    let mut upload = begin(call, bucket, &Map::new())?;
    if upload.metadata.content_type.is_none() {
        let kind = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        upload.metadata.content_type = kind.map(str::to_owned);
    }
    upload.admit(service)?;
    let ingest = Ingest::body(service, &mut call.body).await?;
    upload.publish(ingest).await
}

/// The metadata, the bytes, and optionally checksums, which the client may know only after the bytes.
async fn in_parts(service: &Arc<Service>, call: &mut Call, bucket: &str) -> Result<Arc<Object>, Error> {
    let boundary = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| mime::boundary(kind, "multipart/related"))
        .ok_or_else(|| {
            Error::invalid("The Content-Type of a multipart upload is multipart/related with a boundary.")
        })?;
    // The parts borrow the body, while the head is still needed.
    let mut body = std::mem::replace(&mut call.body, crate::request_body::RequestBody::ready([].into()));
    let result = read_parts(service, call, bucket, &mut Parts::new(&mut body, &boundary)).await;
    call.body = body;
    let (upload, ingest) = result?;
    upload.publish(ingest).await
}

async fn read_parts(
    service: &Arc<Service>,
    call: &Call,
    bucket: &str,
    parts: &mut Parts<'_>,
) -> Result<(Upload, Ingest), Error> {
    let missing = || Error::invalid("A multipart upload has two parts: the metadata and the bytes.");
    parts.next().await?.ok_or_else(missing)?;
    let resource = json::parse(&parts.whole(json::MAX_BODY).await?)?;
    let mut upload = begin(call, bucket, &resource)?;
    let head: PartHead = parts.next().await?.ok_or_else(missing)?;
    let mut kinds = head.iter().filter(|(name, _)| name == "content-type");
    let kind = kinds.next().map(|(_, value)| value.as_str());
    upload.metadata.media_type(kind)?;
    upload.admit(service)?;
    let mut ingest = Ingest::start(service).await?;
    while let Some(bytes) = parts.bytes().await? {
        ingest = ingest.push(bytes).await?;
    }
    if parts.next().await?.is_some() {
        let checksums = json::parse(&parts.whole(json::MAX_BODY).await?)?;
        upload.expected.merge_resource(&checksums)?;
        if parts.next().await?.is_some() {
            return Err(Error::new(
                StatusCode::BAD_REQUEST,
                "invalid",
                "A multipart upload has at most three parts.",
            ));
        }
    }
    Ok((upload, ingest))
}

fn begin(call: &Call, bucket: &str, resource: &Map<String, serde_json::Value>) -> Result<Upload, Error> {
    let mut metadata = Metadata::default();
    metadata.merge(resource)?;
    if metadata.content_encoding.is_none() {
        metadata.content_encoding = call.query.get("contentEncoding").map(str::to_owned);
    }
    let mut expected = Expected::default();
    expected.merge_resource(resource)?;
    expected.merge_headers(&call.headers)?;
    Ok(Upload {
        bucket: bucket.to_owned(),
        name: names::object_to_insert(&call.query, resource)?,
        metadata,
        expected,
        conditions: preconditions::from_query(&call.query)?,
        key_sha256: encryption::key(&call.headers)?,
        acl: acl::asked(call.query.get("predefinedAcl"), resource)?,
    })
}
