//! Folders of a bucket with a hierarchical namespace, and managed folders of any bucket: records of their own, beside the
//! objects (<https://cloud.google.com/storage/docs/json_api/v1/folders>).

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::iam::Policy;
use crate::answer;
use crate::call::Call;
use crate::encoding::percent;
use crate::error::Error;
use crate::json as document;
use crate::names;
use crate::preconditions;
use crate::resource::BucketRecord;
use crate::response_body::ResponseBody;
use crate::service::Service;
use crate::target::Route;
use crate::time::Time;

/// Folders on one page.
const MAX_PAGE: u64 = 1000;

/// A folder, or a managed folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Folder {
    metageneration: u64,
    created: Time,
    updated: Time,
    /// The policy of a managed folder, once it was asked for.
    #[serde(default)]
    pub(super) iam: Option<Policy>,
}

/// By name, each of which ends with a slash.
pub(crate) type Folders = BTreeMap<String, Folder>;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `folders`.
    Plain,
    /// `managedFolders`.
    Managed,
}

impl Kind {
    fn of(self, record: &mut BucketRecord) -> Result<&mut Folders, Error> {
        match self {
            Self::Managed => Ok(&mut record.managed_folders),
            Self::Plain if record.is_hierarchical() => Ok(&mut record.folders),
            Self::Plain => Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "The bucket does not support hierarchical namespace.",
            )),
        }
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Plain => ("storage#folder", "storage#folders", "folders"),
            Self::Managed => (
                "storage#managedFolder",
                "storage#managedFolders",
                "managedFolders",
            ),
        }
    }

    fn show(self, bucket: &str, name: &str, folder: &Folder, base: &str) -> Value {
        let (kind, _, collection) = self.words();
        json!({
            "kind": kind,
            "id": format!("{bucket}/{name}"),
            "selfLink": format!("{base}/storage/v1/b/{}/{collection}/{}", percent(bucket), percent(name)),
            "bucket": bucket,
            "name": name,
            "metageneration": folder.metageneration.to_string(),
            "createTime": folder.created.rfc3339(),
            "updateTime": folder.updated.rfc3339(),
        })
    }
}

/// Any call to `folders` or `managedFolders`, or to one of them.
pub(crate) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    kind: Kind,
    bucket: String,
    name: Option<String>,
) -> Result<Response<ResponseBody>, Error> {
    // A folder's name ends with a slash, whether the client writes it or not.
    let name = name.map(|name| format!("{}/", name.trim_end_matches('/')));
    match (&call.method, name) {
        (&Method::POST, _) => insert(service, call, kind, bucket).await,
        (&Method::DELETE, Some(name)) => delete(service, call, kind, bucket, name).await,
        (_, Some(name)) => {
            let mut record = service.bucket(&bucket)?;
            let folder = kind.of(&mut record)?.get(&name).ok_or_else(|| missing(&name))?;
            let conditions = preconditions::from_query(&call.query)?;
            preconditions::check_metageneration(&conditions, folder.metageneration)?;
            Ok(answer::json(
                StatusCode::OK,
                &kind.show(&bucket, &name, folder, &call.base),
            ))
        }
        (_, None) => list(service, call, kind, &bucket),
    }
}

async fn insert(
    service: &Arc<Service>,
    call: &mut Call,
    kind: Kind,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let request = document::object(&mut call.body).await?;
    let name = request.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Error::required("name"));
    }
    let mut name = names::object(name)?;
    if !name.ends_with('/') {
        name.push('/');
    }
    let recursive = call.query.flag("recursive");
    let (now, key) = (service.now(), name.clone());
    let change = move |record: &mut BucketRecord| {
        let folders = kind.of(record)?;
        let new = Folder {
            metageneration: 1,
            created: now,
            updated: now,
            iam: None,
        };
        if folders.contains_key(&key) {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "The folder you tried to create already exists.",
            ));
        }
        for (at, _) in key.match_indices('/').filter(|(at, _)| at + 1 < key.len()) {
            let parent = &key[..=at];
            if kind == Kind::Plain && !folders.contains_key(parent) {
                if !recursive {
                    return Err(missing(parent));
                }
                folders.insert(parent.to_owned(), new.clone());
            }
        }
        folders.insert(key, new.clone());
        Ok(new)
    };
    let (record, folder) = service.change_below_bucket(bucket, change).await?;
    Ok(answer::json(
        StatusCode::OK,
        &kind.show(&record.name, &name, &folder, &call.base),
    ))
}

async fn delete(
    service: &Arc<Service>,
    call: &Call,
    kind: Kind,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let conditions = preconditions::from_query(&call.query)?;
    let non_empty = kind == Kind::Managed && call.query.flag("allowNonEmpty");
    let holds_objects = !non_empty && service.has_below(&bucket, &name)?;
    let change = move |record: &mut BucketRecord| {
        let folders = kind.of(record)?;
        let folder = folders.get(&name).ok_or_else(|| missing(&name))?;
        preconditions::check_metageneration(&conditions, folder.metageneration)?;
        let holds_folders = folders
            .keys()
            .any(|other| *other != name && other.starts_with(&name));
        if !non_empty && (holds_objects || holds_folders) {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "The folder you tried to delete is not empty.",
            ));
        }
        folders.remove(&name);
        Ok(())
    };
    service.change_below_bucket(bucket, change).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn list(service: &Service, call: &Call, kind: Kind, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let mut record = service.bucket(bucket)?;
    let query = &call.query;
    let prefix = query.get("prefix").unwrap_or_default();
    let after = query.get("pageToken").unwrap_or_default();
    let limit = query.number("pageSize")?.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<(&String, &Folder)> = kind
        .of(&mut record)?
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && name.as_str() > after)
        .take(limit + 1)
        .collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let mut page = Map::new();
    page.insert("kind".to_owned(), kind.words().1.into());
    if more && let Some((last, _)) = found.last() {
        page.insert("nextPageToken".to_owned(), last.as_str().into());
    }
    if !found.is_empty() {
        let shown = found
            .iter()
            .map(|(name, folder)| kind.show(bucket, name, folder, &call.base));
        page.insert("items".to_owned(), shown.collect());
    }
    Ok(answer::json(StatusCode::OK, &page.into()))
}

/// `POST .../folders/FOLDER/renameTo/folders/FOLDER`: an operation that has ended when it is answered.
///
/// A folder with objects below it is not renamed, since their names would have to change with it.
pub(crate) async fn rename(
    service: &Arc<Service>,
    call: &Call,
    route: Route,
) -> Result<Response<ResponseBody>, Error> {
    let conditions = preconditions::of_source(&call.query)?;
    if service.has_below(&route.bucket, &route.name)? {
        return Err(Error::not_implemented("renaming a folder that holds objects"));
    }
    let (now, from, to) = (service.now(), route.name, route.to_name.clone());
    let change = move |record: &mut BucketRecord| {
        let folders = Kind::Plain.of(record)?;
        let folder = folders.get(&from).ok_or_else(|| missing(&from))?;
        preconditions::check_metageneration(&conditions, folder.metageneration)?;
        if folders.contains_key(&to) {
            return Err(Error::new(
                StatusCode::CONFLICT,
                "conflict",
                "The destination folder already exists.",
            ));
        }
        let moved: Vec<String> = folders
            .keys()
            .filter(|name| name.starts_with(&from))
            .cloned()
            .collect();
        for name in moved {
            if let Some(mut folder) = folders.remove(&name) {
                folder.updated = now;
                folders.insert(format!("{to}{}", &name[from.len()..]), folder);
            }
        }
        folders.get(&to).cloned().ok_or_else(|| missing(&to))
    };
    let (record, folder) = service.change_below_bucket(route.bucket, change).await?;
    let shown = Kind::Plain.show(&record.name, &route.to_name, &folder, &call.base);
    Ok(answer::json(
        StatusCode::OK,
        &json!({ "kind": "storage#operation", "done": true, "response": shown }),
    ))
}

/// 404 of a folder.
pub(super) fn missing(name: &str) -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "notFound",
        format!("The folder '{name}' does not exist."),
    )
}
