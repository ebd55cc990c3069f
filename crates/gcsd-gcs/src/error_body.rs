//! What the body of an error says.

use http::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::Value;

use super::one_line::one_line;
use super::xml::Element;

/// How many of an error's reasons are looked at.
const MAX_REASONS: usize = 8;

/// What an error's body says: GCS speaks JSON, XML or plain text, depending on the call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    pub(super) message: Option<String>,
    /// GCS's words for it. One that fits better may follow one that says little.
    pub(super) reasons: Vec<String>,
    /// Whether the range starts beyond what is persisted.
    pub(super) is_gap: bool,
}

#[derive(Deserialize)]
struct JsonBody {
    error: JsonError,
}

/// <https://cloud.google.com/storage/docs/json_api/v1/status-codes>
#[derive(Deserialize)]
struct JsonError {
    message: Option<String>,
    #[serde(default)]
    errors: Vec<JsonDetail>,
    #[serde(default)]
    details: Vec<JsonDetail>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct JsonDetail {
    /// A word; but details are of any type, also of those that come to Google's APIs later.
    #[serde(default)]
    reason: Value,
}

impl ErrorBody {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if let Ok(JsonBody { error }) = serde_json::from_str(&text) {
            let details = error.errors.into_iter().chain(error.details);
            return Self {
                message: error.message.filter(|message| !message.trim().is_empty()),
                reasons: details
                    .filter_map(|detail| Some(detail.reason.as_str()?.to_owned()))
                    .chain(error.status)
                    .take(MAX_REASONS)
                    .collect(),
                is_gap: false,
            };
        }
        // <https://cloud.google.com/storage/docs/xml-api/reference-status>
        let document = Element::parse(&text).filter(|root| root.name == "Error");
        if let Some((error, code)) = document
            .as_ref()
            .and_then(|error| Some((error, error.text_of("Code")?)))
        {
            return Self {
                message: Some(error.text_of("Message").unwrap_or(code).to_owned()),
                reasons: vec![code.to_owned()],
                is_gap: false,
            };
        }
        let plain = kind.is_empty() || kind.starts_with("text/plain");
        let text = one_line(&text, 400);
        Self {
            is_gap: plain && is_gap(&text),
            message: Some(text).filter(|text| !text.is_empty() && !text.starts_with('<')),
            reasons: Vec::new(),
        }
    }

    pub(super) fn is_checksum_mismatch(&self) -> bool {
        if self
            .reasons
            .iter()
            .any(|reason| matches!(reason.as_str(), "BadDigest" | "CrcMismatch"))
        {
            return true;
        }
        let text = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let named = text.contains("crc32c") || text.contains("md5") || text.contains("checksum");
        named && (text.contains("match") || text.contains("mismatch"))
    }
}

/// Recognizes "... upload offset is X ..., which exceeds already uploaded size of Y ..." (java-storage,
/// ITJsonResumableSessionPutTaskTest).
fn is_gap(text: &str) -> bool {
    let size = text.split_once("exceeds already uploaded size of ");
    size.is_some_and(|(_, size)| size.starts_with(|c: char| c.is_ascii_digit()))
}
