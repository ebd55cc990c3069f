//! Objects: their metadata, and the path of calls on them.

use http::Method;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error};
use super::json::{JsonCall, OBJECT_FIELDS};
use super::request::Target;
use super::resource::Object;
use gcsd_types::ObjectRef;

impl Gcs {
    /// An object's metadata (<https://cloud.google.com/storage/docs/json_api/v1/objects/get>).
    pub async fn stat_object(&self, object: &ObjectRef) -> Result<Answered<Object>, Error> {
        let mut target = self.object_target(object, None);
        target.fields(object.fields.as_deref(), OBJECT_FIELDS);
        let call = JsonCall::new(Call::Stat, Method::GET, target).key(object.key.as_ref());
        self.json(call, Answer::object).await
    }

    /// The path and query of an object.
    pub(super) fn object_target(&self, object: &ObjectRef, alt: Option<&'static str>) -> Target {
        let mut target = Target::object(&object.bucket, &object.object);
        target.query("alt", alt);
        target.number("generation", object.generation);
        target.preconditions(&object.preconditions);
        target.query("userProject", self.paying(object.user_project.as_deref()));
        target
    }
}
