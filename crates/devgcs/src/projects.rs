//! What belongs to a project: HMAC keys and its service account. The keys open nothing, since nothing is locked
//! (<https://cloud.google.com/storage/docs/json_api/v1/projects/hmacKeys>). They live as long as the server.

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::answer;
use super::call::Call;
use super::encoding::{base64, percent};
use super::error::Error;
use super::json as document;
use super::lock::locked;
use super::random;
use super::response_body::ResponseBody;
use super::service::Service;
use super::time::Time;

/// The most keys that are kept, deleted ones included.
const MAX_KEYS: usize = 10_000;

/// Keys on one page.
const MAX_PAGE: u64 = 250;

/// The HMAC keys of all projects, by access id.
#[derive(Debug, Default)]
pub(crate) struct HmacKeys(Mutex<BTreeMap<String, HmacKey>>);

#[derive(Debug, Clone)]
struct HmacKey {
    project: String,
    email: String,
    state: &'static str,
    created: Time,
    updated: Time,
    revision: u64,
}

impl HmacKey {
    fn etag(&self) -> String {
        base64(&self.revision.to_be_bytes())
    }

    fn show(&self, access: &str, base: &str) -> Value {
        json!({
            "kind": "storage#hmacKeyMetadata",
            "id": format!("{}/{access}", self.project),
            "selfLink": format!("{base}/storage/v1/projects/{}/hmacKeys/{access}", percent(&self.project)),
            "accessId": access,
            "projectId": self.project,
            "serviceAccountEmail": self.email,
            "state": self.state,
            "timeCreated": self.created.rfc3339(),
            "updated": self.updated.rfc3339(),
            "etag": self.etag(),
        })
    }
}

/// Any call to `.../hmacKeys`, or to one of them.
pub(crate) async fn hmac_keys(
    service: &Service,
    call: &mut Call,
    project: &str,
    access: Option<&str>,
) -> Result<Response<ResponseBody>, Error> {
    let now = service.now();
    let request = document::object(&mut call.body).await?;
    let mut keys = locked(&service.hmac_keys.0);
    let Some(access) = access else {
        return match call.method {
            Method::POST => create(&mut keys, call, project, now),
            _ => list(&keys, call, project),
        };
    };
    let key = keys.get_mut(access).filter(|key| key.project == project);
    let key = key.ok_or_else(missing)?;
    match call.method {
        Method::PUT => {
            let seen = request.get("etag").and_then(Value::as_str).unwrap_or_default();
            if !seen.is_empty() && seen != key.etag() {
                return Err(Error::condition_not_met());
            }
            let state = match request.get("state").and_then(Value::as_str) {
                _ if key.state == "DELETED" => return Err(missing()),
                Some("ACTIVE") => "ACTIVE",
                Some("INACTIVE") => "INACTIVE",
                _ => return Err(Error::invalid("The state of a key is ACTIVE or INACTIVE.")),
            };
            (key.state, key.updated, key.revision) = (state, now, key.revision + 1);
        }
        Method::DELETE => {
            match key.state {
                "ACTIVE" => return Err(Error::invalid("Cannot delete keys in 'ACTIVE' state.")),
                "DELETED" => return Err(missing()),
                _ => {}
            }
            (key.state, key.updated, key.revision) = ("DELETED", now, key.revision + 1);
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        _ => {}
    }
    Ok(answer::json(StatusCode::OK, &key.show(access, &call.base)))
}

fn create(
    keys: &mut BTreeMap<String, HmacKey>,
    call: &Call,
    project: &str,
    now: Time,
) -> Result<Response<ResponseBody>, Error> {
    let email = call
        .query
        .get("serviceAccountEmail")
        .filter(|email| !email.is_empty());
    let email = email.ok_or_else(|| Error::required("serviceAccountEmail"))?;
    if keys.len() >= MAX_KEYS {
        return Err(Error::invalid(format!(
            "This server keeps at most {MAX_KEYS} HMAC keys."
        )));
    }
    // As long as those of service accounts are: 61 characters.
    let id = random::hex_id()?.to_uppercase() + &random::hex_id()?.to_uppercase();
    let access = format!("GOOG1E{}", &id[..55]);
    let key = HmacKey {
        project: project.to_owned(),
        email: email.to_owned(),
        state: "ACTIVE",
        created: now,
        updated: now,
        revision: 1,
    };
    let secret = &random::hash_hex(random::secret()?.as_bytes())[..30];
    let shown = json!({
        "kind": "storage#hmacKey",
        "metadata": key.show(&access, &call.base),
        "secret": base64(secret.as_bytes()),
    });
    keys.insert(access, key);
    Ok(answer::json(StatusCode::OK, &shown))
}

fn list(
    keys: &BTreeMap<String, HmacKey>,
    call: &Call,
    project: &str,
) -> Result<Response<ResponseBody>, Error> {
    let query = &call.query;
    let (deleted, email) = (query.flag("showDeletedKeys"), query.get("serviceAccountEmail"));
    let after = query.get("pageToken").unwrap_or_default();
    let limit = query.number("maxResults")?.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<(&String, &HmacKey)> = keys
        .iter()
        .filter(|(access, key)| key.project == project && access.as_str() > after)
        .filter(|(_, key)| deleted || key.state != "DELETED")
        .filter(|(_, key)| email.is_none_or(|email| key.email == email))
        .take(limit + 1)
        .collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let mut page = json!({ "kind": "storage#hmacKeysMetadata" });
    if more && let Some((last, _)) = found.last() {
        page["nextPageToken"] = last.as_str().into();
    }
    if !found.is_empty() {
        page["items"] = found
            .iter()
            .map(|(access, key)| key.show(access, &call.base))
            .collect();
    }
    Ok(answer::json(StatusCode::OK, &page))
}

fn missing() -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "notFound",
        "Access ID not found in project.",
    )
}

/// `GET .../serviceAccount`.
pub(crate) fn service_account() -> Response<ResponseBody> {
    answer::json(
        StatusCode::OK,
        &json!({
            "kind": "storage#serviceAccount",
            "email_address": "service-0@gs-project-accounts.iam.gserviceaccount.com",
        }),
    )
}
