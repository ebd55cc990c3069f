//! Buckets: their metadata, and lists of them.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error};
use super::json::JsonCall;
use super::listing::PageStream;
use super::request::Target;
use super::resource::Number;
use gcsd_types::{BucketInfo, BucketQuery, BucketRef};

/// The fields of a bucket resource that every request selects.
const FIELDS: &str = "metageneration,location,storageClass,versioning/enabled,billing/requesterPays,\
                      iamConfiguration/uniformBucketLevelAccess/enabled,hierarchicalNamespace/enabled";

/// A bucket as GCS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// The fields that programs need.
    pub info: BucketInfo,
    /// GCS's own JSON, unchanged (<https://cloud.google.com/storage/docs/json_api/v1/buckets#resource>).
    pub json: Bytes,
}

/// The fields of a bucket resource that are read. Emulators omit some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    metageneration: Option<Number>,
    #[serde(default)]
    location: String,
    #[serde(default)]
    storage_class: String,
    versioning: Option<Switch>,
    billing: Option<Billing>,
    iam_configuration: Option<IamConfiguration>,
    hierarchical_namespace: Option<Switch>,
}

#[derive(Deserialize)]
struct Switch {
    #[serde(default)]
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Billing {
    #[serde(default)]
    requester_pays: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IamConfiguration {
    uniform_bucket_level_access: Option<Switch>,
}

impl Bucket {
    fn parse(json: &Bytes) -> Option<Self> {
        let resource: Resource = serde_json::from_slice(json).ok()?;
        let on = |switch: Option<Switch>| switch.is_some_and(|switch| switch.enabled);
        let iam = resource.iam_configuration;
        let info = BucketInfo {
            metageneration: match resource.metageneration {
                Some(number) => number.value()?,
                None => 0,
            },
            versioning: on(resource.versioning),
            requester_pays: resource.billing.is_some_and(|billing| billing.requester_pays),
            uniform_access: on(iam.and_then(|iam| iam.uniform_bucket_level_access)),
            hierarchical: on(resource.hierarchical_namespace),
            location: resource.location,
            storage_class: resource.storage_class,
        };
        let json = json.clone();
        Some(Self { info, json })
    }

    fn of(answer: &Answer) -> Result<Self, Error> {
        Self::parse(&answer.body)
            .ok_or_else(|| answer.unexpected("the answer holds no bucket resource that can be read"))
    }
}

impl Gcs {
    /// A bucket's metadata (<https://cloud.google.com/storage/docs/json_api/v1/buckets/get>).
    pub async fn stat_bucket(&self, bucket: &BucketRef) -> Result<Answered<Bucket>, Error> {
        let mut target = Target::bucket(&bucket.bucket);
        target.number("generation", bucket.generation);
        target.preconditions(&bucket.preconditions);
        target.flag("softDeleted", bucket.soft_deleted);
        target.query("projection", bucket.full.then_some("full"));
        target.query("userProject", self.paying(bucket.user_project.as_deref()));
        target.fields(bucket.fields.as_deref(), FIELDS);
        self.json(JsonCall::new(Call::Stat, Method::GET, target), Bucket::of)
            .await
    }

    /// Starts reading a page of a project's buckets
    /// (<https://cloud.google.com/storage/docs/json_api/v1/buckets/list>).
    pub async fn list_buckets(&self, query: &BucketQuery) -> Result<PageStream, Error> {
        let mut target = Target::new("/storage/v1/b");
        target.query("project", Some(&query.project));
        target.query("prefix", query.prefix.as_deref());
        target.query("pageToken", query.page_token.as_deref());
        target.number("maxResults", query.max_results.map(u64::from));
        target.query("projection", query.full.then_some("full"));
        target.flag("softDeleted", query.soft_deleted);
        target.flag("returnPartialSuccess", query.return_partial_success);
        target.query("userProject", self.paying(query.user_project.as_deref()));
        target.fields(query.fields.as_deref(), "nextPageToken");
        self.page(JsonCall::new(Call::List, Method::GET, target)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_resource_is_read() {
        let json = Bytes::from_static(
            br#"{"metageneration":"3","location":"EU","storageClass":"NEARLINE","versioning":{"enabled":true},
                "billing":{"requesterPays":true},"hierarchicalNamespace":{"enabled":true},
                "iamConfiguration":{"uniformBucketLevelAccess":{"enabled":true},"publicAccessPrevention":"x"}}"#,
        );
        let bucket = Bucket::parse(&json).expect("a resource");
        let expected = BucketInfo {
            metageneration: 3,
            versioning: true,
            requester_pays: true,
            uniform_access: true,
            hierarchical: true,
            location: "EU".into(),
            storage_class: "NEARLINE".into(),
        };
        assert_eq!(bucket.info, expected);
        let bare = Bucket::parse(&Bytes::from_static(br#"{"iamConfiguration":{}}"#)).expect("a resource");
        assert_eq!(bare.info, BucketInfo::default());
        for bad in ["", "[]", r#"{"metageneration":"x"}"#, r#"{"versioning":true}"#] {
            assert_eq!(Bucket::parse(&Bytes::from(bad)), None, "{bad}");
        }
    }
}
