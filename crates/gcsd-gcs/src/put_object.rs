//! Uploading an object in one request, with its metadata and its bytes as two parts of the body
//! (<https://cloud.google.com/storage/docs/json_api/v1/objects/insert>, `uploadType=multipart`).

use aws_lc_rs::rand;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::answer::Answered;
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::headers::insert_key;
use super::json::OBJECT_FIELDS;
use super::metadata;
use super::request::{RequestBody, Target};
use super::resource::Object;
use super::upload_body::UploadBody;
use gcsd_types::{Crc32c, Destination};

impl Gcs {
    /// Makes an object of `body`: `POST .../o?uploadType=multipart`. Dropping the future cuts the request.
    ///
    /// The closing boundary, without which there is no object, is sent only after a complete body. A checksum that only the
    /// end of the body tells travels in a third part, as google-cloud-rust sends it.
    pub async fn put_object(
        &self,
        destination: &Destination,
        object_crc32c: Option<Crc32c>,
        body: UploadBody,
    ) -> Result<Answered<Object>, Error> {
        let tally = body.tally();
        let made = self.put_whole(destination, object_crc32c, body).await;
        made.map_err(|error| {
            let repeatable = destination.preconditions.pins_generation() || !tally.is_whole();
            error.during(Call::Put).repeatable(repeatable)
        })
    }

    async fn put_whole(
        &self,
        destination: &Destination,
        object_crc32c: Option<Crc32c>,
        body: UploadBody,
    ) -> Result<Answered<Object>, Error> {
        let metadata = metadata::with_crc32c(destination, object_crc32c)?;
        let mut target = Target::new("/upload/storage/v1/b/");
        target.segment(destination.bucket.as_str());
        target.literal("/o");
        target.query("uploadType", Some("multipart"));
        target.query("name", Some(destination.object.as_str()));
        target.preconditions(&destination.preconditions);
        target.query("kmsKeyName", destination.kms_key_name.as_deref());
        target.query("predefinedAcl", destination.predefined_acl.as_deref());
        target.query("userProject", self.paying(destination.user_project.as_deref()));
        target.fields(destination.fields.as_deref(), OBJECT_FIELDS);
        let target = target.build()?;
        let mut headers = self.authorized().await?;
        let boundary = boundary()?;
        let kind = format!("multipart/related; boundary={boundary}");
        let kind = HeaderValue::try_from(kind)
            .map_err(|_| Error::new(ErrorKind::Invalid, "the boundary is no header value"))?;
        headers.insert(CONTENT_TYPE, kind);
        insert_key(&mut headers, destination.key.as_ref());
        let front = [
            format!("--{boundary}\r\n{JSON}\r\n\r\n").as_bytes(),
            &metadata,
            // Without a Content-Type, as google-cloud-rust sends it: GCS refuses one that differs from the metadata's.
            format!("\r\n--{boundary}\r\n\r\n").as_bytes(),
        ]
        .concat();
        let close = format!("\r\n--{boundary}--\r\n");
        let close_len = close.len() as u64;
        // A checksum that was known before is in the metadata.
        let known = object_crc32c.is_some();
        let body = body.between(front.into(), close_len, move |told| match told {
            Some(told) if !known => {
                let told = told.to_base64();
                Bytes::from(format!(
                    "\r\n--{boundary}\r\n{JSON}\r\n\r\n{{\"crc32c\":\"{told}\"}}{close}"
                ))
            }
            _ => close.into(),
        });
        let request = self.request(Method::POST, target, headers, RequestBody::Upload(body));
        let answer = self.call(Call::Put, request).await?;
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return Err(answer.error(Call::Put));
        }
        Ok(answer.saying(answer.object()?))
    }
}

/// The header of a JSON part.
const JSON: &str = "Content-Type: application/json; charset=UTF-8";

/// The boundary between the parts: random, so that no body can contain it on purpose.
fn boundary() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Error::new(ErrorKind::Invalid, "no random numbers can be had"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
