//! Lists, streamed a page at a time.

use bytes::Bytes;
use http::{Method, Response};
use hyper::body::Incoming;

use super::answer::{Answer, request_id};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::exchange::Exchange;
use super::json::JsonCall;
use super::page::PageScanner;
use super::request::Target;
use gcsd_types::{ObjectQuery, Page};

/// The longest page, in bytes: far more than a thousand resources with all the ACLs they can have.
const MAX_PAGE: u64 = 256 << 20;

/// A page of a list as it arrives: GCS's JSON.
///
/// Nothing is read from GCS but in [`next`](Self::next). Dropped before the end, it closes the connection.
pub struct PageStream {
    source: Option<(Incoming, Exchange)>,
    scanner: PageScanner,
    page: Option<Page>,
    http_status: u16,
    request_id: Option<String>,
    len: u64,
}

impl Gcs {
    /// Starts reading a page of a bucket's objects
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/list>).
    pub async fn list_objects(&self, query: &ObjectQuery) -> Result<PageStream, Error> {
        let mut target = Target::bucket(&query.bucket);
        target.literal("/o");
        target.query("prefix", query.prefix.as_deref());
        target.query("delimiter", query.delimiter.as_deref());
        target.query("startOffset", query.start_offset.as_deref());
        target.query("endOffset", query.end_offset.as_deref());
        target.query("matchGlob", query.match_glob.as_deref());
        target.query("pageToken", query.page_token.as_deref());
        target.number("maxResults", query.max_results.map(u64::from));
        target.flag("versions", query.versions);
        target.flag("softDeleted", query.soft_deleted);
        target.flag("includeTrailingDelimiter", query.include_trailing_delimiter);
        target.flag("includeFoldersAsPrefixes", query.include_folders_as_prefixes);
        target.query("projection", query.full.then_some("full"));
        target.query("userProject", self.paying(query.user_project.as_deref()));
        target.fields(query.fields.as_deref(), "nextPageToken");
        self.page(JsonCall::new(Call::List, Method::GET, target)).await
    }

    /// Makes a call whose answer is a list.
    pub(super) async fn page(&self, json: JsonCall) -> Result<PageStream, Error> {
        let opened = async {
            let (response, exchange) = self.open_json(json).await?;
            if response.status() != 200 {
                return Err(Answer::read(response, exchange).await?.error(Call::List));
            }
            Ok(PageStream::new(response, exchange))
        };
        opened.await.map_err(|error: Error| error.during(Call::List))
    }
}

impl PageStream {
    fn new(response: Response<Incoming>, exchange: Exchange) -> Self {
        Self {
            http_status: response.status().as_u16(),
            request_id: request_id(response.headers()),
            source: Some((response.into_body(), exchange)),
            scanner: PageScanner::default(),
            page: None,
            len: 0,
        }
    }

    /// The HTTP status of GCS's answer.
    pub fn http_status(&self) -> u16 {
        self.http_status
    }

    /// The next bytes of the JSON; `None` at its end, once it was a whole list.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.chunk()
            .await
            .map_err(|error| error.during(Call::List).with_request_id(self.request_id.clone()))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((body, exchange)) = &mut self.source else {
            return Ok(None);
        };
        if let Some(chunk) = exchange.chunk(body).await? {
            self.len += chunk.len() as u64;
            if self.len > MAX_PAGE {
                return Err(self.unexpected("the list is too long to be one"));
            }
            self.scanner
                .pass(&chunk)
                .map_err(|problem| self.unexpected(problem))?;
            return Ok(Some(chunk));
        }
        let page = std::mem::take(&mut self.scanner).page();
        self.page = Some(page.map_err(|problem| self.unexpected(problem))?);
        if let Some((_, exchange)) = self.source.take() {
            exchange.finish().await;
        }
        Ok(None)
    }

    /// What the page held, once all of it was read.
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    fn unexpected(&self, problem: &str) -> Error {
        Error::new(ErrorKind::BadResponse, problem)
            .sent(true)
            .status(self.http_status)
    }
}

impl std::fmt::Debug for PageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageStream")
            .field("http_status", &self.http_status)
            .field("len", &self.len)
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}
