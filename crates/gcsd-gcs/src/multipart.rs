//! Multipart uploads of the XML API: start, upload a part, list, complete, abort
//! (<https://cloud.google.com/storage/docs/multipart-uploads>).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};

use super::answer::{Answer, Answered, with_hint};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::headers::{Hashes, X_GOOG_GENERATION, insert_crc32c, insert_key};
use super::json::no_fields;
use super::metadata;
use super::reason::meaning;
use super::request::{RequestBody, Target};
use super::upload_body::UploadBody;
use super::xml::{Element, put_text};
use super::xml_headers::object_headers;
use gcsd_types::digits;
use gcsd_types::{Crc32c, Destination, MultipartRef, Part, PartsPage, StoredPart};

const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=UTF-8");
const X_GOOG_USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// What GCS says of an object that it made of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompletedMultipart {
    /// The version of the object's bytes.
    pub generation: Option<u64>,
    /// The checksum of its bytes.
    pub crc32c: Option<Crc32c>,
    /// Its entity tag.
    pub etag: String,
}

/// What became of a multipart upload that was to be aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortOutcome {
    /// The upload is gone, and its parts with it.
    Aborted,
    /// GCS knows no such upload: aborted before, or completed.
    Unknown,
}

impl Gcs {
    /// Starts a multipart upload: `POST /BUCKET/OBJECT?uploads`. Returns its id.
    pub async fn start_multipart(&self, destination: &Destination) -> Result<Answered<String>, Error> {
        let call = Call::StartMultipart;
        let started = async {
            no_fields(destination)?;
            metadata::checked(destination)?;
            let mut target = Target::xml(&destination.bucket, &destination.object);
            target.query("uploads", Some(""));
            let mut headers = object_headers(destination)?;
            insert_key(&mut headers, destination.key.as_ref());
            let project = destination.user_project.as_deref();
            let body = RequestBody::Full(Bytes::new());
            let answer = self
                .xml(call, Method::POST, target.build()?, headers, project, body)
                .await?;
            let id = read(&answer)?.text_of("UploadId").unwrap_or_default().to_owned();
            if id.is_empty() {
                return Err(answer.unexpected("the answer names no upload"));
            }
            Ok(answer.saying(id))
        };
        started.await.map_err(|error: Error| during(error, call))
    }

    /// Uploads a part: `PUT /BUCKET/OBJECT?partNumber=N&uploadId=ID`. Returns its entity tag. Replaces an earlier part of
    /// the same number. Dropping the future cuts the request.
    pub async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: u32,
        part_crc32c: Option<Crc32c>,
        body: UploadBody,
    ) -> Result<Answered<String>, Error> {
        let call = Call::UploadPart;
        let tally = body.tally();
        let uploaded = async {
            let mut target = Target::xml(&upload.bucket, &upload.object);
            target.number("partNumber", Some(number.into()));
            target.query("uploadId", Some(&upload.multipart_id));
            let mut headers = HeaderMap::new();
            insert_crc32c(&mut headers, part_crc32c);
            insert_key(&mut headers, upload.key.as_ref());
            let body = match body.is_empty() {
                true => RequestBody::Full(Bytes::new()),
                false => RequestBody::Upload(body),
            };
            let project = upload.user_project.as_deref();
            let answer = self
                .xml(call, Method::PUT, target.build()?, headers, project, body)
                .await?;
            if Hashes::of(&answer.headers)
                .crc32c
                .is_some_and(|stored| stored != tally.crc32c())
            {
                return Err(Error::new(
                    ErrorKind::ChecksumMismatch,
                    "GCS holds other bytes than were sent: upload the part again",
                )
                .sent(true)
                .status(answer.status.as_u16()));
            }
            let etag = answer.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
            match etag {
                Some(etag) => Ok(answer.saying(etag.to_owned())),
                None => Err(answer.unexpected("the answer has no ETag")),
            }
        };
        uploaded.await.map_err(|error: Error| during(error, call))
    }

    /// Lists up to `max` of the parts that GCS holds, from the number after `after`: `GET /BUCKET/OBJECT?uploadId=ID`.
    pub async fn list_parts(
        &self,
        upload: &MultipartRef,
        after: u32,
        max: u32,
    ) -> Result<Answered<PartsPage>, Error> {
        let call = Call::ListParts;
        let listed = async {
            let mut target = Target::xml(&upload.bucket, &upload.object);
            target.query("uploadId", Some(&upload.multipart_id));
            target.number("max-parts", Some(max.into()));
            target.number(
                "part-number-marker",
                Some(after.into()).filter(|after| *after > 0),
            );
            let mut headers = HeaderMap::new();
            insert_key(&mut headers, upload.key.as_ref());
            let project = upload.user_project.as_deref();
            let body = RequestBody::Full(Bytes::new());
            let answer = self
                .xml(call, Method::GET, target.build()?, headers, project, body)
                .await?;
            let page = page(&read(&answer)?, max).ok_or_else(|| answer.unexpected("no list of parts"))?;
            Ok(answer.saying(page))
        };
        listed.await.map_err(|error: Error| during(error, call))
    }

    /// Makes the object of `parts`: `POST /BUCKET/OBJECT?uploadId=ID`.
    ///
    /// GCS can take minutes, and can answer 200 before it knows the outcome: an error may still follow.
    pub async fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: &[Part],
    ) -> Result<Answered<CompletedMultipart>, Error> {
        let call = Call::CompleteMultipart;
        let completed = async {
            let mut target = Target::xml(&upload.bucket, &upload.object);
            target.query("uploadId", Some(&upload.multipart_id));
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, XML);
            insert_key(&mut headers, upload.key.as_ref());
            let body = RequestBody::Full(list(parts)?);
            let project = upload.user_project.as_deref();
            let answer = self
                .xml(call, Method::POST, target.build()?, headers, project, body)
                .await?;
            let root = read(&answer)?;
            if root.name == "Error" {
                return Err(late_error(&answer, &root));
            }
            let etag = root
                .text_of("ETag")
                .filter(|_| root.name == "CompleteMultipartUploadResult");
            let Some(etag) = etag else {
                return Err(answer.unexpected("the answer does not say that there is an object"));
            };
            let generation = answer.headers.get(X_GOOG_GENERATION);
            let generation = generation.and_then(|value| digits(value.to_str().ok()?));
            Ok(answer.saying(CompletedMultipart {
                generation,
                crc32c: Hashes::of(&answer.headers).crc32c,
                etag: etag.to_owned(),
            }))
        };
        completed.await.map_err(|error: Error| during(error, call))
    }

    /// Discards the upload and its parts: `DELETE /BUCKET/OBJECT?uploadId=ID`.
    pub async fn abort_multipart(&self, upload: &MultipartRef) -> Result<Answered<AbortOutcome>, Error> {
        let call = Call::AbortMultipart;
        let aborted = async {
            let mut target = Target::xml(&upload.bucket, &upload.object);
            target.query("uploadId", Some(&upload.multipart_id));
            let project = upload.user_project.as_deref();
            let body = RequestBody::Full(Bytes::new());
            let (target, headers) = (target.build()?, HeaderMap::new());
            let answer = self
                .exchange_xml(call, Method::DELETE, target, headers, project, body)
                .await?;
            match answer.status.as_u16() {
                404 => Ok(answer.saying(AbortOutcome::Unknown)),
                200 | 204 => Ok(answer.saying(AbortOutcome::Aborted)),
                _ => Err(answer.error(call)),
            }
        };
        aborted.await.map_err(|error: Error| during(error, call))
    }

    /// Makes a call that must succeed.
    async fn xml(
        &self,
        call: Call,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        user_project: Option<&str>,
        body: RequestBody,
    ) -> Result<Answer, Error> {
        let answer = self
            .exchange_xml(call, method, target, headers, user_project, body)
            .await?;
        match answer.status == StatusCode::OK {
            true => Ok(answer),
            false => Err(answer.error(call)),
        }
    }

    async fn exchange_xml(
        &self,
        call: Call,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        user_project: Option<&str>,
        body: RequestBody,
    ) -> Result<Answer, Error> {
        let mut all = self.authorized().await?;
        all.extend(headers);
        if let Some(project) = self.paying(user_project) {
            let project = HeaderValue::try_from(project)
                .map_err(|_| Error::new(ErrorKind::Invalid, "the project's name is no header value"))?;
            all.insert(X_GOOG_USER_PROJECT, project);
        }
        let request: Request<RequestBody> = self.request(method, target, all, body);
        self.call(call, request).await
    }
}

/// An error of `call`. All calls may be repeated except the one that completes the upload.
fn during(error: Error, call: Call) -> Error {
    error.during(call).repeatable(call != Call::CompleteMultipart)
}

/// Reads an answer's XML.
fn read(answer: &Answer) -> Result<Element, Error> {
    std::str::from_utf8(&answer.body)
        .ok()
        .and_then(Element::parse)
        .ok_or_else(|| answer.unexpected("the answer is no XML that can be read"))
}

/// The error that follows a 200. Complaints about the request are final; after any other the outcome is unknown.
fn late_error(answer: &Answer, root: &Element) -> Error {
    let code = root.text_of("Code").unwrap_or_default();
    let refused = [
        "InvalidPart",
        "InvalidPartOrder",
        "EntityTooSmall",
        "EntityTooLarge",
        "InvalidArgument",
        "MalformedXML",
        "AccessDenied",
    ];
    let message = root.text_of("Message").unwrap_or(code);
    // A permanent refusal would have been a 403, had GCS known it before it began to answer.
    let (meaning, named) = meaning(403, &[code.to_owned()], message);
    let kind = match refused.contains(&code) || (named.is_some() && meaning.status == 403) {
        true => ErrorKind::Http,
        false => ErrorKind::LateError,
    };
    let hint = meaning.hint.filter(|_| named.is_some());
    let message = format!("GCS answered 200, and then an error: {message}");
    let error = Error::new(kind, with_hint(&message, hint));
    let error = match named {
        Some(_) if kind == ErrorKind::Http => error.meaning(meaning.status),
        _ => error,
    };
    error
        .sent(true)
        .status(answer.status.as_u16())
        .with_reason(Some(code.to_owned()).filter(|code| !code.is_empty()))
        .with_request_id(answer.request_id())
}

/// The list that completes an upload.
fn list(parts: &[Part]) -> Result<Bytes, Error> {
    let mut out = "<CompleteMultipartUpload>".to_owned();
    for part in parts {
        out.push_str("<Part>");
        let put = put_text(&mut out, "PartNumber", &part.number.to_string())
            .and_then(|()| put_text(&mut out, "ETag", &part.etag));
        if put.is_none() {
            let number = part.number;
            let problem = format!("the entity tag of part {number} holds a control character");
            return Err(Error::new(ErrorKind::Invalid, problem));
        }
        out.push_str("</Part>");
    }
    out.push_str("</CompleteMultipartUpload>");
    Ok(out.into())
}

/// Reads a page of parts. `None` if it is none, or has more parts than were asked for.
fn page(root: &Element, max: u32) -> Option<PartsPage> {
    if root.name != "ListPartsResult" {
        return None;
    }
    let parts = root.all("Part").map(|part| {
        Some(StoredPart {
            part: Part {
                number: digits(part.text_of("PartNumber")?)?,
                etag: part.text_of("ETag")?.to_owned(),
            },
            size: digits(part.text_of("Size")?)?,
        })
    });
    let parts = parts.collect::<Option<Vec<_>>>()?;
    let next_after = match root.text_of("IsTruncated") {
        Some("true") => Some(digits(root.text_of("NextPartNumberMarker")?)?),
        _ => None,
    };
    let fits = u64::try_from(parts.len()).is_ok_and(|count| count <= u64::from(max));
    fits.then_some(PartsPage { parts, next_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_and_read() {
        let part = |number, etag: &str| Part {
            number,
            etag: etag.to_owned(),
        };
        let list = list(&[part(1, "\"a&b\""), part(2, "c")]).expect("written");
        assert_eq!(
            list,
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&amp;b&quot;</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>c</ETag></Part></CompleteMultipartUpload>"
        );
        assert!(super::list(&[part(1, "\n")]).is_err());

        let read = |text: &str| page(&Element::parse(text).expect("well-formed"), 2);
        let document = "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>\
                        <Part><ETag>\"a\"</ETag><PartNumber>7</PartNumber><Size>5</Size></Part></ListPartsResult>";
        let listed = read(document).expect("a page");
        assert_eq!(listed.next_after, Some(7));
        assert_eq!(
            listed.parts,
            [StoredPart {
                part: part(7, "\"a\""),
                size: 5
            }]
        );
        assert_eq!(read("<ListPartsResult/>"), Some(PartsPage::default()));
        let one = "<Part><ETag>a</ETag><PartNumber>7</PartNumber><Size>5</Size></Part>";
        for bad in [
            "<Other/>",
            "<ListPartsResult><Part><ETag>a</ETag><Size>5</Size></Part></ListPartsResult>",
            "<ListPartsResult><Part><ETag>a</ETag><PartNumber>-7</PartNumber><Size>5</Size></Part></ListPartsResult>",
            "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
            &format!("<ListPartsResult>{}</ListPartsResult>", one.repeat(3)),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
