//! Building a request: its target, its headers, its body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::{Error, ErrorKind};
use super::link::Link;
use super::slot::{BodyError, Lending};
use super::upload_body::UploadBody;
use gcsd_types::{BucketName, ObjectName, Preconditions};

/// What is not encoded in a path segment and in a query value: RFC 3986's unreserved characters. `/` is encoded,
/// so that an object's name is one segment, whatever it holds.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path and its query, being built
/// (<https://cloud.google.com/storage/docs/request-endpoints#encoding>).
pub(super) struct Target {
    text: String,
    separator: char,
}

impl Target {
    pub(super) fn new(path: &str) -> Self {
        Self {
            text: path.to_owned(),
            separator: '?',
        }
    }

    /// The path of a bucket.
    pub(super) fn bucket(bucket: &BucketName) -> Self {
        let mut target = Self::new("/storage/v1/b/");
        target.segment(bucket.as_str());
        target
    }

    /// The path of an object.
    pub(super) fn object(bucket: &BucketName, object: &ObjectName) -> Self {
        let mut target = Self::bucket(bucket);
        target.literal("/o/");
        target.segment(object.as_str());
        target
    }

    /// The path of an object in the XML API.
    pub(super) fn xml(bucket: &BucketName, object: &ObjectName) -> Self {
        let mut target = Self::new("/");
        target.segment(bucket.as_str());
        target.literal("/");
        target.segment(object.as_str());
        target
    }

    pub(super) fn literal(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends `text` as (the rest of) one path segment.
    pub(super) fn segment(&mut self, text: &str) {
        self.text.extend(utf8_percent_encode(text, ENCODED));
    }

    /// Appends a query parameter that has a value.
    pub(super) fn query(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text.push(self.separator);
            self.separator = '&';
            self.text.push_str(name);
            self.text.push('=');
            self.text.extend(utf8_percent_encode(value, ENCODED));
        }
    }

    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        self.query(name, value.map(|value| value.to_string()).as_deref());
    }

    /// Appends `name=true`, if `value` is true.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.query(name, value.then_some("true"));
    }

    /// Appends which fields the answer is to hold; the `needed` ones always.
    pub(super) fn fields(&mut self, asked: Option<&str>, needed: &str) {
        self.query(
            "fields",
            asked.map(|asked| format!("{asked},{needed}")).as_deref(),
        );
    }

    pub(super) fn preconditions(&mut self, conditions: &Preconditions) {
        self.number("ifGenerationMatch", conditions.if_generation_match);
        self.number("ifGenerationNotMatch", conditions.if_generation_not_match);
        self.number("ifMetagenerationMatch", conditions.if_metageneration_match);
        self.number("ifMetagenerationNotMatch", conditions.if_metageneration_not_match);
    }

    /// The preconditions on the object that is copied or moved.
    pub(super) fn source_preconditions(&mut self, conditions: &Preconditions) {
        self.number("ifSourceGenerationMatch", conditions.if_generation_match);
        self.number("ifSourceGenerationNotMatch", conditions.if_generation_not_match);
        self.number("ifSourceMetagenerationMatch", conditions.if_metageneration_match);
        self.number(
            "ifSourceMetagenerationNotMatch",
            conditions.if_metageneration_not_match,
        );
    }

    pub(super) fn build(self) -> Result<PathAndQuery, Error> {
        PathAndQuery::try_from(self.text)
            .map_err(|_| Error::new(ErrorKind::Invalid, "the request's target is too long for a URL"))
    }
}

/// The one body type of every request.
pub(super) enum RequestBody {
    /// A small body in memory, perhaps empty.
    Full(Bytes),
    /// A lent source.
    Upload(UploadBody),
}

impl RequestBody {
    /// Tells the body which connection it goes out on.
    pub(super) fn attach(&mut self, link: &Arc<Link>) {
        if let Self::Upload(body) = self {
            body.attach(link);
        }
    }

    pub(super) fn lending(&self) -> Option<Arc<dyn Lending>> {
        match self {
            Self::Full(_) => None,
            Self::Upload(body) => Some(body.lending()),
        }
    }

    /// How many bytes are still to be sent, where that is known.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Upload(body) => body.unsent(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Upload(body) => body
                .poll_chunk(cx)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Upload(body) => body.is_whole(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_in_a_url() {
        let path = |name: &str| {
            let mut target = Target::new("/o/");
            target.segment(name);
            target.build().expect("a target").as_str().to_owned()
        };
        assert_eq!(path("a/b"), "/o/a%2Fb");
        assert_eq!(path("../x"), "/o/..%2Fx");
        assert_eq!(path("a#b?c d%e+f&g=h"), "/o/a%23b%3Fc%20d%25e%2Bf%26g%3Dh");
        assert_eq!(path("ü☃-._~"), "/o/%C3%BC%E2%98%83-._~");
        assert_eq!(path("//"), "/o/%2F%2F");
        assert_eq!(path(&"☃".repeat(341)).len(), 3 + 341 * 9);
    }

    #[test]
    fn only_given_parameters_are_sent() {
        let mut target = Target::new("/x");
        target.query("a", None);
        target.query("b", Some("1&2"));
        target.preconditions(&Preconditions {
            if_generation_match: Some(0),
            if_metageneration_not_match: Some(u64::MAX),
            ..Preconditions::default()
        });
        assert_eq!(
            target.build().expect("a target").as_str(),
            "/x?b=1%262&ifGenerationMatch=0&ifMetagenerationNotMatch=18446744073709551615"
        );
    }
}
