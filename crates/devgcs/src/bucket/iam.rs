//! IAM policies: kept and shown (<https://cloud.google.com/storage/docs/json_api/v1/buckets/getIamPolicy>).

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::acl;
use crate::answer;
use crate::call::Call;
use crate::encoding::base64;
use crate::error::Error;
use crate::json as document;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    bindings: Value,
    version: u64,
    revision: u64,
}

impl Policy {
    /// What a bucket has from the start.
    fn of_new_bucket() -> Self {
        Self {
            bindings: json!([
                {
                    "role": "roles/storage.legacyBucketOwner",
                    "members": ["projectEditor:devgcs", "projectOwner:devgcs"],
                },
                { "role": "roles/storage.legacyBucketReader", "members": ["projectViewer:devgcs"] },
            ]),
            version: 1,
            revision: 1,
        }
    }

    fn etag(&self) -> String {
        base64(&self.revision.to_be_bytes())
    }

    /// Replaces `old`, which the request must have seen if it says what it has seen.
    fn replace(old: &Self, request: &Map<String, Value>) -> Result<Self, Error> {
        let seen = request.get("etag").and_then(Value::as_str).unwrap_or_default();
        if !seen.is_empty() && seen != old.etag() {
            return Err(Error::condition_not_met());
        }
        let bindings = request.get("bindings").cloned().unwrap_or_else(|| json!([]));
        let good = bindings.as_array().is_some_and(|bindings| {
            bindings.iter().all(|binding| {
                binding.get("role").is_some_and(Value::is_string)
                    && binding.get("members").is_none_or(Value::is_array)
            })
        });
        if !good {
            return Err(Error::invalid("Invalid value for bindings."));
        }
        Ok(Self {
            bindings,
            version: request.get("version").and_then(Value::as_u64).unwrap_or(1),
            revision: old.revision + 1,
        })
    }

    fn is_public(&self) -> bool {
        let members = self.bindings.as_array().into_iter().flatten();
        let mut members = members.filter_map(|binding| binding.get("members")?.as_array());
        members.any(|members| {
            members
                .iter()
                .any(|member| matches!(member.as_str(), Some("allUsers" | "allAuthenticatedUsers")))
        })
    }

    fn answer(&self, resource: &str) -> Response<ResponseBody> {
        answer::json(
            StatusCode::OK,
            &json!({
                "kind": "storage#policy",
                "resourceId": resource,
                "version": self.version,
                "etag": self.etag(),
                "bindings": self.bindings,
            }),
        )
    }
}

/// `GET` and `PUT .../iam`, of a bucket or of a managed folder in it.
pub(crate) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    folder: Option<String>,
) -> Result<Response<ResponseBody>, Error> {
    let folder = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    let resource = match &folder {
        None => format!("projects/_/buckets/{bucket}"),
        Some(folder) => format!("projects/_/buckets/{bucket}/managedFolders/{folder}"),
    };
    if call.method == Method::GET {
        let mut record = service.bucket(&bucket)?;
        return Ok(place(&mut record, folder.as_deref())?.answer(&resource));
    }
    let request = document::object(&mut call.body).await?;
    let change = move |record: &mut crate::resource::BucketRecord| {
        let prevented = record.prevents_public_access();
        let slot = place(record, folder.as_deref())?;
        let new = Policy::replace(slot, &request)?;
        if new.is_public() {
            acl::refuse_public(&[acl::Grant::new("allUsers", "READER")], prevented)?;
        }
        *slot = new.clone();
        Ok(new)
    };
    // The policy has an entity tag of its own.
    let (_, policy) = service.change_below_bucket(bucket, change).await?;
    Ok(policy.answer(&resource))
}

fn place<'a>(
    record: &'a mut crate::resource::BucketRecord,
    folder: Option<&str>,
) -> Result<&'a mut Policy, Error> {
    let slot = match folder {
        None => &mut record.iam,
        Some(folder) => {
            let found = record.managed_folders.get_mut(folder);
            &mut found.ok_or_else(|| super::folders::missing(folder))?.iam
        }
    };
    Ok(slot.get_or_insert_with(|| match folder {
        None => Policy::of_new_bucket(),
        Some(_) => Policy {
            bindings: json!([]),
            version: 1,
            revision: 1,
        },
    }))
}

/// `GET .../iam/testPermissions`: everybody has every permission.
pub(crate) fn test(
    service: &Service,
    call: &Call,
    bucket: &str,
    folder: Option<&str>,
) -> Result<Response<ResponseBody>, Error> {
    let folder = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    place(&mut service.bucket(bucket)?, folder.as_deref())?;
    let permissions: Vec<&str> = call.query.all("permissions").collect();
    if permissions.is_empty() {
        return Err(Error::required("permissions"));
    }
    Ok(answer::json(
        StatusCode::OK,
        &json!({ "kind": "storage#testIamPermissionsResponse", "permissions": permissions }),
    ))
}
