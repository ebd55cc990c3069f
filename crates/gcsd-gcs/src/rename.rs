//! Renaming objects.

use http::Method;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error};
use super::json::{JsonCall, OBJECT_FIELDS};
use super::request::Target;
use super::resource::Object;
use gcsd_types::{ObjectName, ObjectRef, Preconditions};

impl Gcs {
    /// Renames an object within its bucket, atomically
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/move>).
    ///
    /// The preconditions in `source` are on the object to rename, `preconditions` on the one that has the new name
    /// now.
    pub async fn move_object(
        &self,
        source: &ObjectRef,
        destination: &ObjectName,
        preconditions: &Preconditions,
    ) -> Result<Answered<Object>, Error> {
        let mut target = Target::object(&source.bucket, &source.object);
        target.literal("/moveTo/o/");
        target.segment(destination.as_str());
        target.source_preconditions(&source.preconditions);
        target.preconditions(preconditions);
        target.query("userProject", self.paying(source.user_project.as_deref()));
        target.fields(source.fields.as_deref(), OBJECT_FIELDS);
        let once = source.preconditions.pins_generation() || preconditions.pins_generation();
        let call = JsonCall::new(Call::Move, Method::POST, target)
            .key(source.key.as_ref())
            .repeatable(once);
        self.json(call, Answer::object).await
    }
}
