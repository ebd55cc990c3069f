//! What the calls of the XML API take. What is not here is refused, and never carried out as another call.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::call::Call;
use crate::digits::digits;
use crate::error::Error;
use crate::inspect::CallKind;
use crate::operation::{is_harmless, refuse_conditions};
use crate::target::Target;

/// Parameters that change nothing about what is done, besides those of both APIs.
const HARMLESS: &[&str] = &["encoding-type", "fetch-owner", "x-id"];

/// Headers of Amazon's API that have an equivalent of the same form under `x-goog-`
/// (<https://cloud.google.com/storage/docs/migrating#custheaders>).
const EQUIVALENT: &[&str] = &[
    "acl",
    "copy-source",
    "copy-source-if-match",
    "copy-source-if-modified-since",
    "copy-source-if-none-match",
    "copy-source-if-unmodified-since",
    "metadata-directive",
    "storage-class",
];

/// Headers of Amazon's API that change nothing about what is done: parts of signatures, and checksums that are not
/// Google's, which are not verified.
const NOT_ACTED_UPON: &[&str] = &[
    "algorithm",
    "checksum-algorithm",
    "checksum-crc32",
    "checksum-crc64nvme",
    "checksum-mode",
    "checksum-sha1",
    "checksum-sha256",
    "checksum-type",
    "content-sha256",
    "date",
    "decoded-content-length",
    "request-payer",
    "sdk-checksum-algorithm",
    "security-token",
    "te",
    "trailer",
    "user-agent",
];

/// The headers of Google's API that a request may have.
const OWN: &[&str] = &[
    "acl",
    "api-client",
    "api-version",
    "content-length-range",
    "content-sha256",
    "copy-source",
    "copy-source-encryption-algorithm",
    "copy-source-encryption-key",
    "copy-source-encryption-key-sha256",
    "copy-source-generation",
    "copy-source-if-generation-match",
    "copy-source-if-match",
    "copy-source-if-metageneration-match",
    "copy-source-if-modified-since",
    "copy-source-if-none-match",
    "copy-source-if-unmodified-since",
    "custom-time",
    "date",
    "emulator-instructions",
    "encryption-algorithm",
    "encryption-key",
    "encryption-key-sha256",
    "encryption-kms-key-name",
    "gcs-idempotency-token",
    "hash",
    "if-generation-match",
    "if-metageneration-match",
    "metadata-directive",
    "project-id",
    "request-params",
    "request-reason",
    "resumable",
    "storage-class",
    "testbench-instructions",
    "user-project",
];

/// Translates the headers of Amazon's API to Google's. Whoever signs, or does not, in whatever way: what is not known is
/// refused, since the request would do something else without it.
pub(crate) fn translate(call: &mut Call) -> Result<(), Error> {
    let streamed = call
        .header("x-amz-content-sha256")
        .is_some_and(|hash| hash.starts_with("STREAMING-"));
    let framed = call
        .header("content-encoding")
        .is_some_and(|coding| coding.starts_with("aws-chunked"));
    if streamed || framed {
        let length = call
            .header("x-amz-decoded-content-length")
            .map(|text| {
                digits(text).ok_or_else(|| Error::invalid("Invalid x-amz-decoded-content-length header."))
            })
            .transpose()?;
        call.body.take_off_framing(length);
    }
    translate_names(&mut call.headers)
}

fn translate_names(headers: &mut HeaderMap) -> Result<(), Error> {
    let theirs: Vec<(HeaderName, HeaderValue)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in theirs {
        let short = name.as_str().trim_start_matches("x-amz-");
        if EQUIVALENT.contains(&short) || short.starts_with("meta-") {
            let own = HeaderName::try_from(format!("x-goog-{short}"));
            headers.append(own.map_err(|_| unknown(&name))?, value);
        } else if short == "checksum-crc32c" {
            let hash = [b"crc32c=", value.as_bytes()].concat();
            let hash = HeaderValue::from_bytes(&hash).map_err(|_| unknown(&name))?;
            headers.append("x-goog-hash", hash);
        } else if !NOT_ACTED_UPON.contains(&short) {
            return Err(unknown(&name));
        }
    }
    Ok(())
}

fn unknown(header: &HeaderName) -> Error {
    Error::not_implemented(&format!("the header {header}"))
}

/// Whether a request is signed as Amazon's are.
pub(super) fn is_signed_by_amazon(call: &Call) -> bool {
    let header = call.header("authorization");
    header.is_some_and(|value| value.starts_with("AWS4-") || value.starts_with("AWS "))
        || call.query.has("X-Amz-Algorithm")
        || call.query.has("AWSAccessKeyId")
}

/// Refuses what a call of `kind` does not take: 501 that names it.
pub(crate) fn admit(target: &Target, call: &Call, kind: CallKind) -> Result<(), Error> {
    let taken = parameters(target, call, kind);
    for key in call.query.keys() {
        if !taken.contains(&key) && !is_harmless(key) && !HARMLESS.contains(&key) {
            let what = format!(
                "the sub-resource or parameter {key} of {} in the XML API",
                call.method
            );
            return Err(Error::not_implemented(&what));
        }
    }
    if kind == CallKind::Unknown {
        let form = call
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("multipart/form-data"));
        return Err(match form {
            true => Error::not_implemented("uploads of forms with a policy document"),
            false => Error::not_implemented(&format!("such a {} request in the XML API", call.method)),
        });
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        refuse_conditions(&call.headers)?;
    }
    refuse_misplaced(call, kind)?;
    for name in call.headers.keys() {
        if let Some(short) = name.as_str().strip_prefix("x-goog-")
            && !OWN.contains(&short)
            && !short.starts_with("meta-")
            && !short.starts_with("custom-audit-")
        {
            return Err(unknown(name));
        }
    }
    Ok(())
}

/// Refuses a header that makes a request another one, where this server does not know that one.
fn refuse_misplaced(call: &Call, kind: CallKind) -> Result<(), Error> {
    let in_parts = matches!(
        kind,
        CallKind::StartMultipart
            | CallKind::UploadPart
            | CallKind::CompleteMultipart
            | CallKind::AbortMultipart
    );
    for (header, fits) in [
        ("x-goog-copy-source", kind == CallKind::CopyObject),
        ("x-goog-resumable", kind == CallKind::StartUpload),
        ("x-goog-content-length-range", kind == CallKind::InsertObject),
        ("x-goog-if-generation-match", !in_parts),
        ("x-goog-if-metageneration-match", !in_parts),
    ] {
        if !fits && call.headers.contains_key(header) {
            let what = format!("the header {header} on such a {} request", call.method);
            return Err(Error::not_implemented(&what));
        }
    }
    Ok(())
}

fn parameters(target: &Target, call: &Call, kind: CallKind) -> &'static [&'static str] {
    match (target, kind) {
        (Target::XmlService, CallKind::ListBuckets) => &["marker", "max-keys", "prefix"],
        (Target::XmlBucket(_), CallKind::ListObjects) => &[
            "continuation-token",
            "delimiter",
            "generation-marker",
            "list-type",
            "marker",
            "max-keys",
            "prefix",
            "start-after",
            "versions",
        ],
        (Target::XmlBucket(_), CallKind::ListMultiparts) => &[
            "delimiter",
            "key-marker",
            "max-uploads",
            "prefix",
            "upload-id-marker",
            "uploads",
        ],
        (Target::XmlBucket(_), CallKind::GetBucket) if call.method == Method::GET => {
            &["location", "storageClass"]
        }
        (Target::XmlBucket(_), CallKind::BucketConfiguration) => {
            &["cors", "lifecycle", "tagging", "versioning"]
        }
        (Target::XmlBucket(_), CallKind::AccessControl) => &["acl"],
        (Target::XmlBucket(_), CallKind::DeleteObjects) => &["delete"],
        (Target::XmlObject(..), CallKind::AccessControl) => &["acl", "generation"],
        (Target::XmlObject(..), CallKind::ComposeObject) => &["compose"],
        (Target::XmlObject(..), CallKind::ReadObject) => &[
            "generation",
            "response-content-disposition",
            "response-content-type",
        ],
        (Target::XmlObject(..), CallKind::GetObject | CallKind::DeleteObject) => &["generation"],
        (
            Target::XmlObject(..),
            CallKind::WriteUpload | CallKind::QueryUpload | CallKind::FinishUpload | CallKind::CancelUpload,
        ) => &["upload_id"],
        (Target::XmlObject(..), CallKind::StartMultipart) => &["uploads"],
        (Target::XmlObject(..), CallKind::UploadPart) => &["partNumber", "uploadId"],
        (Target::XmlObject(..), CallKind::ListParts) => &["max-parts", "part-number-marker", "uploadId"],
        (Target::XmlObject(..), CallKind::CompleteMultipart | CallKind::AbortMultipart) => &["uploadId"],
        _ => &[],
    }
}
