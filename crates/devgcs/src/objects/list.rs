//! Listing a bucket.

use http::{Response, StatusCode};
use serde_json::{Value, json as document};

use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::glob::Glob;
use crate::response_body::ResponseBody;
use crate::service::{Cursor, Listing, Service};

/// Objects and prefixes on one page.
const MAX_PAGE: u64 = 1000;

/// `GET /storage/v1/b/BUCKET/o`.
pub(crate) fn list(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let query = &call.query;
    let text = |key: &str| query.get(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let limit = query.number("maxResults")?.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let after = match query.get("pageToken").filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => Some(Cursor::from_token(token).ok_or_else(|| Error::invalid("Invalid pageToken."))?),
    };
    let listing = Listing {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter"),
        include_trailing: query.flag("includeTrailingDelimiter"),
        start: text("startOffset"),
        end: text("endOffset"),
        versions: query.flag("versions"),
        soft_deleted: query.flag("softDeleted"),
        now: Some(service.now()),
        glob: text("matchGlob")
            .map(|pattern| Glob::parse(&pattern))
            .transpose()?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        after,
    };
    if listing.versions && listing.soft_deleted {
        return Err(Error::invalid(
            "A list shows versions or soft-deleted objects, not both.",
        ));
    }
    let full = query.get("projection") == Some("full");
    let mut page = service.list(bucket, &listing)?;
    if query.flag("includeFoldersAsPrefixes") {
        let record = service.bucket(bucket)?;
        listing.add_folders(
            &mut page,
            record.folders.keys().chain(record.managed_folders.keys()),
        );
    }
    let mut list = document!({ "kind": "storage#objects" });
    if !page.objects.is_empty() {
        list["items"] = page
            .objects
            .iter()
            .map(|object| super::resource(service, &call.base, object, false, full))
            .collect();
    }
    if !page.prefixes.is_empty() {
        list["prefixes"] = page.prefixes.into_iter().map(Value::from).collect();
    }
    if let Some(next) = page.next {
        list["nextPageToken"] = next.to_token().into();
    }
    Ok(answer::json(StatusCode::OK, &list))
}
