//! Copying objects, in steps.

use http::Method;
use serde::Deserialize;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error};
use super::json::JsonCall;
use super::metadata;
use super::request::Target;
use super::resource::{Number, Resource};
use gcsd_types::{Rewrite, Rewritten};

/// The fields of the answer that every request selects.
const FIELDS: &str = "totalBytesRewritten,objectSize,done,rewriteToken,resource/generation,resource/metageneration,\
                      resource/size,resource/crc32c,resource/md5Hash";

/// The longest token, in bytes: it goes back to GCS in a URL.
const MAX_TOKEN: usize = 16 * 1024;

/// What GCS says of a step.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RewriteResponse {
    total_bytes_rewritten: Number,
    object_size: Number,
    done: bool,
    rewrite_token: Option<String>,
    resource: Option<Resource>,
}

impl Gcs {
    /// Copies an object, or continues a copy
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>). A copy is there, whole, when a step
    /// says so; the JSON is the answer, unchanged.
    pub async fn rewrite_object(
        &self,
        rewrite: &Rewrite,
    ) -> Result<Answered<(Rewritten, bytes::Bytes)>, Error> {
        let Rewrite {
            source,
            destination,
            max_bytes,
            token,
        } = rewrite;
        let metadata = metadata::checked(destination).map_err(|error| error.during(Call::Rewrite))?;
        let mut target = Target::object(&source.bucket, &source.object);
        target.literal("/rewriteTo/b/");
        target.segment(destination.bucket.as_str());
        target.literal("/o/");
        target.segment(destination.object.as_str());
        target.number("sourceGeneration", source.generation);
        target.source_preconditions(&source.preconditions);
        target.preconditions(&destination.preconditions);
        target.query("destinationKmsKeyName", destination.kms_key_name.as_deref());
        target.query("destinationPredefinedAcl", destination.predefined_acl.as_deref());
        target.number("maxBytesRewrittenPerCall", *max_bytes);
        target.query("rewriteToken", token.as_deref());
        target.query("userProject", self.paying(destination.user_project.as_deref()));
        target.fields(destination.fields.as_deref(), FIELDS);
        let call = JsonCall::new(Call::Rewrite, Method::POST, target)
            .body(metadata.cloned().unwrap_or_default())
            .key(destination.key.as_ref())
            .source_key(source.key.as_ref())
            .repeatable(destination.preconditions.pins_generation());
        self.json(call, |answer| Ok((rewritten(answer)?, answer.body.clone())))
            .await
    }
}

fn rewritten(answer: &Answer) -> Result<Rewritten, Error> {
    let read = || {
        let response: RewriteResponse = serde_json::from_slice(&answer.body).ok()?;
        let object = match (response.done, response.resource) {
            (true, Some(resource)) => Some(resource.info()?),
            (true, None) => return None,
            (false, _) => None,
        };
        let token = response
            .rewrite_token
            .filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN);
        // A step that is not the last must lead to the next one.
        if object.is_none() && token.is_none() {
            return None;
        }
        Some(Rewritten {
            rewritten: response.total_bytes_rewritten.value()?,
            size: response.object_size.value()?,
            token: token.filter(|_| object.is_none()),
            object,
        })
    };
    read().ok_or_else(|| answer.unexpected("the answer does not say how far the copy is"))
}
