//! Notification configurations: kept and shown, and nobody is notified
//! (<https://cloud.google.com/storage/docs/json_api/v1/notifications>).

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::answer;
use crate::call::Call;
use crate::encoding::percent;
use crate::error::Error;
use crate::json as document;
use crate::resource::BucketRecord;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// The most configurations of a bucket.
const MAX: usize = 100;

/// The fields that a client sets.
const FIELDS: &[&str] = &[
    "topic",
    "payload_format",
    "event_types",
    "custom_attributes",
    "object_name_prefix",
];

/// Any call to `.../notificationConfigs`, or to one of them.
pub(crate) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    id: Option<String>,
) -> Result<Response<ResponseBody>, Error> {
    let base = call.base.clone();
    match (&call.method, id) {
        (&Method::POST, _) => {
            let request = document::object(&mut call.body).await?;
            let made = insert(service, bucket.clone(), request).await?;
            Ok(answer::json(StatusCode::OK, &show(&made, &bucket, &base)))
        }
        (&Method::DELETE, Some(id)) => {
            service
                .change_below_bucket(bucket, move |record| {
                    let before = record.notifications.len();
                    record.notifications.retain(|known| !is(known, &id));
                    if record.notifications.len() == before {
                        return Err(missing(&id));
                    }
                    Ok(())
                })
                .await?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        (_, Some(id)) => {
            let record = service.bucket(&bucket)?;
            let found = record.notifications.iter().find(|known| is(known, &id));
            let found = found.ok_or_else(|| missing(&id))?;
            Ok(answer::json(StatusCode::OK, &show(found, &bucket, &base)))
        }
        (_, None) => {
            let record = service.bucket(&bucket)?;
            let mut list = json!({ "kind": "storage#notifications" });
            if !record.notifications.is_empty() {
                let shown = record
                    .notifications
                    .iter()
                    .map(|known| show(known, &bucket, &base));
                list["items"] = shown.collect();
            }
            Ok(answer::json(StatusCode::OK, &list))
        }
    }
}

async fn insert(service: &Arc<Service>, bucket: String, request: Map<String, Value>) -> Result<Value, Error> {
    if !request.get("topic").is_some_and(Value::is_string) {
        return Err(Error::required("topic"));
    }
    let mut kept: Map<String, Value> = request
        .into_iter()
        .filter(|(key, _)| FIELDS.contains(&key.as_str()))
        .collect();
    let change = move |record: &mut BucketRecord| {
        if record.notifications.len() >= MAX {
            return Err(Error::invalid(format!(
                "A bucket has at most {MAX} notification configurations."
            )));
        }
        let used = record
            .notifications
            .iter()
            .filter_map(|known| known["id"].as_str()?.parse().ok());
        let id = used.max().unwrap_or(0_u64) + 1;
        kept.insert("id".to_owned(), id.to_string().into());
        let made = Value::Object(kept);
        record.notifications.push(made.clone());
        Ok(made)
    };
    let (_, made) = service.change_below_bucket(bucket, change).await?;
    Ok(made)
}

fn is(known: &Value, id: &str) -> bool {
    known["id"].as_str() == Some(id)
}

fn show(known: &Value, bucket: &str, base: &str) -> Value {
    let mut shown = known.clone();
    let id = known["id"].as_str().unwrap_or_default();
    shown["kind"] = "storage#notification".into();
    shown["etag"] = id.into();
    shown["selfLink"] = format!("{base}/storage/v1/b/{}/notificationConfigs/{id}", percent(bucket)).into();
    shown
}

fn missing(id: &str) -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "notFound",
        format!("There is no notification configuration '{id}'."),
    )
}
