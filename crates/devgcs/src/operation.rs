//! Which operation of the JSON API a request asks for, and what it takes. What is not here is refused, and never carried
//! out as another operation.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Method};

use super::acl::Guarded;
use super::call::Call;
use super::error::Error;
use super::inspect::CallKind;
use super::resumable;
use super::target::Target;

/// Parameters that change nothing about what is done: system parameters of Google's APIs
/// (<https://cloud.google.com/apis/docs/system-parameters>), the parts of a signature, and what is about money.
const HARMLESS: &[&str] = &[
    "$.xgafv",
    "$alt",
    "$key",
    "$prettyPrint",
    "$userProject",
    "access_token",
    "alt",
    "callback",
    "fields",
    "key",
    "oauth_token",
    // Google's Node client sends an option of its own with the second half of a move.
    "preconditionOpts",
    "prettyPrint",
    "project",
    "projection",
    "provisionalUserProject",
    "quotaUser",
    "trace",
    "userIp",
    "userProject",
];

/// The parts of a signed URL, in the old form, in the new one, and as Amazon writes them.
const SIGNATURE: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "GoogleAccessId",
    "Signature",
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Goog-Algorithm",
    "X-Goog-Content-SHA256",
    "X-Goog-Credential",
    "X-Goog-Date",
    "X-Goog-Expires",
    "X-Goog-Signature",
    "X-Goog-SignedHeaders",
];

const GENERATION: &[&str] = &["generation"];
const ON_OBJECT: &[&str] = &[
    "ifGenerationMatch",
    "ifGenerationNotMatch",
    "ifMetagenerationMatch",
    "ifMetagenerationNotMatch",
];
const ON_SOURCE: &[&str] = &[
    "ifSourceGenerationMatch",
    "ifSourceGenerationNotMatch",
    "ifSourceMetagenerationMatch",
    "ifSourceMetagenerationNotMatch",
    "sourceGeneration",
];
const ON_BUCKET: &[&str] = &["ifMetagenerationMatch", "ifMetagenerationNotMatch"];
const NEW_OBJECT: &[&str] = &[
    "contentEncoding",
    "kmsKeyName",
    "name",
    "predefinedAcl",
    "uploadType",
];
const NEW_COPY: &[&str] = &["destinationKmsKeyName", "destinationPredefinedAcl"];
const BUCKET_ACL: &[&str] = &["predefinedAcl", "predefinedDefaultObjectAcl"];

/// An operation, and what tells it from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) kind: CallKind,
    /// What Google's Retry Test API calls it.
    pub(crate) name: &'static str,
    /// The parameters that it takes besides the harmless ones.
    parameters: &'static [&'static [&'static str]],
}

impl Operation {
    const UNKNOWN: Self = Self::new(CallKind::Unknown, "", &[]);

    const fn new(kind: CallKind, name: &'static str, parameters: &'static [&'static [&'static str]]) -> Self {
        Self {
            kind,
            name,
            parameters,
        }
    }

    /// One of the XML API. The Retry Test API knows two of these, by the names that they have in the JSON API.
    pub(crate) fn of_xml(kind: CallKind) -> Self {
        let name = match kind {
            CallKind::ReadObject => "storage.objects.get",
            CallKind::InsertObject
            | CallKind::StartUpload
            | CallKind::WriteUpload
            | CallKind::QueryUpload
            | CallKind::FinishUpload => "storage.objects.insert",
            _ => "",
        };
        Self::new(kind, name, &[])
    }

    /// The operation that a request of the JSON API asks for.
    pub(crate) fn of(target: &Target, call: &Call) -> Self {
        match (target, call.method.as_str()) {
            (Target::Buckets, "POST") => Self::new(
                CallKind::InsertBucket,
                "storage.buckets.insert",
                &[BUCKET_ACL, &["enableObjectRetention"]],
            ),
            (Target::Buckets, "GET") => Self::new(CallKind::ListBuckets, "storage.buckets.list", &[]),
            (Target::Bucket(_), method) => Self::of_bucket(method),
            (Target::Objects(_), "GET") => Self::new(CallKind::ListObjects, "storage.objects.list", &[]),
            (Target::Object(..), method) => Self::of_object(method, call),
            (Target::Media(..), "GET") => Self::new(CallKind::ReadObject, "storage.objects.get", &[]),
            (Target::Upload(_), _) => Self::of_upload(call),
            (Target::Batch, "POST") => Self::new(CallKind::Batch, "", &[]),
            (
                Target::Compose(..)
                | Target::Rewrite(_)
                | Target::Copy(_)
                | Target::Move(_)
                | Target::Restore(..),
                "POST",
            ) => Self::of_copies(target),
            (Target::Acl(list, entity), method) => Self::of_acl(list, entity.is_some(), method),
            _ => Self::of_the_rest(target, call.method.as_str()),
        }
    }

    fn of_bucket(method: &str) -> Self {
        match method {
            "GET" => Self::new(CallKind::GetBucket, "storage.buckets.get", &[]),
            "PATCH" => Self::new(
                CallKind::PatchBucket,
                "storage.buckets.patch",
                &[BUCKET_ACL, ON_BUCKET],
            ),
            "PUT" => Self::new(
                CallKind::UpdateBucket,
                "storage.buckets.update",
                &[BUCKET_ACL, ON_BUCKET],
            ),
            "DELETE" => Self::new(CallKind::DeleteBucket, "storage.buckets.delete", &[ON_BUCKET]),
            _ => Self::UNKNOWN,
        }
    }

    fn of_object(method: &str, call: &Call) -> Self {
        const CHANGE: &[&[&str]] = &[
            GENERATION,
            ON_OBJECT,
            &["overrideUnlockedRetention", "predefinedAcl"],
        ];
        match method {
            "GET" if call.query.get("alt") == Some("media") => {
                Self::new(CallKind::ReadObject, "storage.objects.get", &[])
            }
            "GET" => Self::new(CallKind::GetObject, "storage.objects.get", &[]),
            "PATCH" => Self::new(CallKind::PatchObject, "storage.objects.patch", CHANGE),
            "PUT" => Self::new(CallKind::UpdateObject, "storage.objects.update", CHANGE),
            "DELETE" => Self::new(
                CallKind::DeleteObject,
                "storage.objects.delete",
                &[GENERATION, ON_OBJECT],
            ),
            _ => Self::UNKNOWN,
        }
    }

    fn of_upload(call: &Call) -> Self {
        const NAME: &str = "storage.objects.insert";
        const INSERT: &[&[&str]] = &[NEW_OBJECT, ON_OBJECT];
        let kind = call.query.get("uploadType");
        match call.method {
            Method::PUT | Method::POST | Method::DELETE if call.query.has("upload_id") => Self::new(
                resumable::classify(&call.method, &call.headers),
                if call.method == Method::DELETE { "" } else { NAME },
                &[NEW_OBJECT, ON_OBJECT, &["upload_id", "upload_protocol"]],
            ),
            Method::POST if kind == Some("resumable") => Self::new(CallKind::StartUpload, NAME, INSERT),
            Method::POST if matches!(kind, Some("media" | "multipart")) => {
                Self::new(CallKind::InsertObject, NAME, INSERT)
            }
            _ => Self::UNKNOWN,
        }
    }

    fn of_copies(target: &Target) -> Self {
        match target {
            Target::Compose(..) => Self::new(
                CallKind::ComposeObject,
                "storage.objects.compose",
                &[ON_OBJECT, NEW_COPY, &["kmsKeyName"]],
            ),
            Target::Rewrite(_) => Self::new(
                CallKind::RewriteObject,
                "storage.objects.rewrite",
                &[
                    ON_OBJECT,
                    ON_SOURCE,
                    NEW_COPY,
                    &["maxBytesRewrittenPerCall", "rewriteToken"],
                ],
            ),
            Target::Copy(_) => Self::new(
                CallKind::CopyObject,
                "storage.objects.copy",
                &[ON_OBJECT, ON_SOURCE, NEW_COPY],
            ),
            Target::Move(_) => Self::new(
                CallKind::MoveObject,
                "storage.objects.move",
                &[ON_OBJECT, ON_SOURCE],
            ),
            Target::Restore(..) => Self::new(
                CallKind::RestoreObject,
                "storage.objects.restore",
                &[GENERATION, ON_OBJECT, &["copySourceAcl"]],
            ),
            _ => Self::UNKNOWN,
        }
    }

    fn of_acl(list: &Guarded, one: bool, method: &str) -> Self {
        const NAMES: [[&str; 6]; 3] = [
            [
                "storage.bucket_acl.list",
                "storage.bucket_acl.insert",
                "storage.bucket_acl.get",
                "storage.bucket_acl.patch",
                "storage.bucket_acl.update",
                "storage.bucket_acl.delete",
            ],
            [
                "storage.default_object_acl.list",
                "storage.default_object_acl.insert",
                "storage.default_object_acl.get",
                "storage.default_object_acl.patch",
                "storage.default_object_acl.update",
                "storage.default_object_acl.delete",
            ],
            [
                "storage.object_acl.list",
                "storage.object_acl.insert",
                "storage.object_acl.get",
                "storage.object_acl.patch",
                "storage.object_acl.update",
                "storage.object_acl.delete",
            ],
        ];
        let verb = match (one, method) {
            (false, "GET") => 0,
            (false, "POST") => 1,
            (true, "GET") => 2,
            (true, "PATCH") => 3,
            (true, "PUT") => 4,
            (true, "DELETE") => 5,
            _ => return Self::UNKNOWN,
        };
        let (row, parameters): (_, &[&[&str]]) = match list {
            Guarded::Bucket(_) => (0, &[]),
            Guarded::Default(_) => (1, &[]),
            Guarded::Object(..) => (2, &[GENERATION]),
        };
        Self::new(CallKind::AccessControl, NAMES[row][verb], parameters)
    }

    fn of_the_rest(target: &Target, method: &str) -> Self {
        let (kind, name, parameters): (_, _, &[&[&str]]) = match (target, method) {
            (Target::Iam(_), "GET") => (CallKind::AccessControl, "storage.buckets.getIamPolicy", &[]),
            (Target::Iam(_), "PUT") => (CallKind::AccessControl, "storage.buckets.setIamPolicy", &[]),
            (Target::TestIam(_), "GET") => {
                (CallKind::AccessControl, "storage.buckets.testIamPermissions", &[])
            }
            (Target::ManagedFolderIam(..), "GET") => (
                CallKind::AccessControl,
                "storage.managedFolders.getIamPolicy",
                &[],
            ),
            (Target::ManagedFolderIam(..), "PUT") => (
                CallKind::AccessControl,
                "storage.managedFolders.setIamPolicy",
                &[],
            ),
            (Target::TestManagedFolderIam(..), "GET") => (
                CallKind::AccessControl,
                "storage.managedFolders.testIamPermissions",
                &[],
            ),
            (Target::LockRetention(_), "POST") => (
                CallKind::BucketConfiguration,
                "storage.buckets.lockRetentionPolicy",
                &[ON_BUCKET],
            ),
            (Target::StorageLayout(_), "GET") => (
                CallKind::BucketConfiguration,
                "storage.buckets.getStorageLayout",
                &[],
            ),
            (Target::Notifications(_, None), "GET") => {
                (CallKind::Notification, "storage.notifications.list", &[])
            }
            (Target::Notifications(_, None), "POST") => {
                (CallKind::Notification, "storage.notifications.insert", &[])
            }
            (Target::Notifications(_, Some(_)), "GET") => {
                (CallKind::Notification, "storage.notifications.get", &[])
            }
            (Target::Notifications(_, Some(_)), "DELETE") => {
                (CallKind::Notification, "storage.notifications.delete", &[])
            }
            (Target::Folders(_, None), "GET") => (CallKind::Folder, "storage.folders.list", &[]),
            (Target::Folders(_, None), "POST") => {
                (CallKind::Folder, "storage.folders.insert", &[&["recursive"]])
            }
            (Target::Folders(_, Some(_)), "GET") => (CallKind::Folder, "storage.folders.get", &[]),
            (Target::Folders(_, Some(_)), "DELETE") => {
                (CallKind::Folder, "storage.folders.delete", &[ON_BUCKET])
            }
            (Target::RenameFolder(_), "POST") => (
                CallKind::Folder,
                "storage.folders.rename",
                &[&["ifSourceMetagenerationMatch", "ifSourceMetagenerationNotMatch"]],
            ),
            (Target::ManagedFolders(_, None), "GET") => {
                (CallKind::Folder, "storage.managedFolders.list", &[])
            }
            (Target::ManagedFolders(_, None), "POST") => {
                (CallKind::Folder, "storage.managedFolders.insert", &[])
            }
            (Target::ManagedFolders(_, Some(_)), "GET") => {
                (CallKind::Folder, "storage.managedFolders.get", &[])
            }
            (Target::ManagedFolders(_, Some(_)), "DELETE") => (
                CallKind::Folder,
                "storage.managedFolders.delete",
                &[ON_BUCKET, &["allowNonEmpty"]],
            ),
            (Target::HmacKeys(_, None), "GET") => (CallKind::Project, "storage.hmacKey.list", &[]),
            (Target::HmacKeys(_, None), "POST") => (
                CallKind::Project,
                "storage.hmacKey.create",
                &[&["serviceAccountEmail"]],
            ),
            (Target::HmacKeys(_, Some(_)), "GET") => (CallKind::Project, "storage.hmacKey.get", &[]),
            (Target::HmacKeys(_, Some(_)), "PUT") => (CallKind::Project, "storage.hmacKey.update", &[]),
            (Target::HmacKeys(_, Some(_)), "DELETE") => (CallKind::Project, "storage.hmacKey.delete", &[]),
            (Target::ServiceAccount(_), "GET") => (CallKind::Project, "storage.serviceaccount.get", &[]),
            _ => return Self::UNKNOWN,
        };
        Self::new(kind, name, parameters)
    }

    /// Refuses what this operation does not take: 501 that names it.
    ///
    /// A parameter that only a read does not know is ignored, as Google does.
    pub(crate) fn admit(&self, call: &Call, path: &str) -> Result<(), Error> {
        if self.kind == CallKind::Unknown {
            let upload = call
                .query
                .get("uploadType")
                .map(|kind| format!(" with uploadType={kind}"));
            let what = format!("{} {path}{}", call.method, upload.unwrap_or_default());
            return Err(Error::not_implemented(&what));
        }
        for name in ["x-goog-upload-protocol", "x-goog-upload-command"] {
            if let Some(value) = call.header(name) {
                return Err(Error::not_implemented(&format!("the header {name}: {value}")));
            }
        }
        match call.query.get("alt") {
            None | Some("" | "json" | "media") => {}
            Some(other) => return Err(Error::not_implemented(&format!("alt={other}"))),
        }
        if call.method == Method::GET {
            return Ok(());
        }
        refuse_conditions(&call.headers)?;
        for key in call.query.keys() {
            let taken = self.parameters.iter().any(|names| names.contains(&key));
            if !taken && !is_harmless(key) {
                return Err(Error::not_implemented(&format!(
                    "the parameter {key} of {} {path}",
                    call.method
                )));
            }
        }
        Ok(())
    }
}

/// Refuses a change on conditions of HTTP itself, which hold for reads only: without them it would be done in any case.
pub(crate) fn refuse_conditions(headers: &HeaderMap) -> Result<(), Error> {
    for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        if headers.contains_key(&name) {
            return Err(Error::not_implemented(&format!(
                "the header {name} on a request that changes something"
            )));
        }
    }
    Ok(())
}

/// Whether a parameter changes nothing about what is done.
pub(crate) fn is_harmless(parameter: &str) -> bool {
    HARMLESS.contains(&parameter) || SIGNATURE.contains(&parameter)
}

/// Every name of an operation that the Retry Test API can inject faults into.
pub(crate) const NAMES: &[&str] = &[
    "storage.bucket_acl.delete",
    "storage.bucket_acl.get",
    "storage.bucket_acl.insert",
    "storage.bucket_acl.list",
    "storage.bucket_acl.patch",
    "storage.bucket_acl.update",
    "storage.buckets.delete",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
    "storage.buckets.getStorageLayout",
    "storage.buckets.insert",
    "storage.buckets.list",
    "storage.buckets.lockRetentionPolicy",
    "storage.buckets.patch",
    "storage.buckets.setIamPolicy",
    "storage.buckets.testIamPermissions",
    "storage.buckets.update",
    "storage.default_object_acl.delete",
    "storage.default_object_acl.get",
    "storage.default_object_acl.insert",
    "storage.default_object_acl.list",
    "storage.default_object_acl.patch",
    "storage.default_object_acl.update",
    "storage.folders.delete",
    "storage.folders.get",
    "storage.folders.insert",
    "storage.folders.list",
    "storage.folders.rename",
    "storage.hmacKey.create",
    "storage.hmacKey.delete",
    "storage.hmacKey.get",
    "storage.hmacKey.list",
    "storage.hmacKey.update",
    "storage.managedFolders.delete",
    "storage.managedFolders.get",
    "storage.managedFolders.getIamPolicy",
    "storage.managedFolders.insert",
    "storage.managedFolders.list",
    "storage.managedFolders.setIamPolicy",
    "storage.managedFolders.testIamPermissions",
    "storage.notifications.delete",
    "storage.notifications.get",
    "storage.notifications.insert",
    "storage.notifications.list",
    "storage.object_acl.delete",
    "storage.object_acl.get",
    "storage.object_acl.insert",
    "storage.object_acl.list",
    "storage.object_acl.patch",
    "storage.object_acl.update",
    "storage.objects.compose",
    "storage.objects.copy",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.insert",
    "storage.objects.list",
    "storage.objects.move",
    "storage.objects.patch",
    "storage.objects.restore",
    "storage.objects.rewrite",
    "storage.objects.update",
    "storage.serviceaccount.get",
];
