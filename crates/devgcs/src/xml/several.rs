//! Calls that name several objects: `POST ?delete` and `PUT ?compose`.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::element::Element;
use super::object::{conditions, expected, grants, metadata, stored};
use super::tree::Node;
use crate::call::Call;
use crate::digits::digits;
use crate::encryption;
use crate::error::Error;
use crate::json as document;
use crate::names;
use crate::objects::{self, Source, Upload};
use crate::preconditions;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// The most objects that one request deletes.
const MAX_OBJECTS: usize = 1000;

/// `POST /BUCKET?delete` (<https://cloud.google.com/storage/docs/xml-api/post-bucket-delete>): each object is deleted or not on
/// its own, and one that is not there counts as deleted.
pub(super) async fn delete(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    service.bucket(&bucket)?;
    let expected = expected(&call.headers)?;
    let body = call.body.collect(document::MAX_BODY).await?;
    expected.check_bytes(&body, service.store.has_md5())?;
    let root = Node::root(&body, "Delete")?;
    let quiet = root.text_of("Quiet") == Some("true");
    let count = root.all("Object").count();
    if !(1..=MAX_OBJECTS).contains(&count) {
        return Err(Error::invalid(format!(
            "A request deletes 1 to {MAX_OBJECTS} objects."
        )));
    }
    let mut listed = Vec::new();
    for object in root.all("Object") {
        let key = object
            .child("Key")
            .map(Node::exact_text)
            .filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Error::invalid("An Object to delete has a Key."))?;
        let version = object
            .text_of("VersionId")
            .or_else(|| object.text_of("Generation"));
        let version = version.map(|text| digits(text).ok_or_else(|| Error::invalid("Invalid VersionId.")));
        listed.push((key.to_owned(), version.transpose()?));
    }
    let mut answer = Element::in_s3("DeleteResult");
    for (key, generation) in listed {
        let (bucket, name) = (bucket.clone(), key.clone());
        let deleted = service
            .change(move |turn| turn.delete(&bucket, &name, generation, &preconditions::none()))
            .await;
        let version = generation.map(|generation: u64| generation.to_string());
        answer = match deleted {
            Err(error) if error.status() != StatusCode::NOT_FOUND => {
                let (code, message) = error.in_xml().unwrap_or(("InternalError", "Internal error."));
                let error = Element::new("Error")
                    .text("Key", &key)
                    .optional("VersionId", version);
                answer.child(error.text("Code", code).text("Message", message))
            }
            _ if quiet => answer,
            _ => {
                let deleted = Element::new("Deleted")
                    .text("Key", &key)
                    .optional("VersionId", version);
                answer.child(deleted)
            }
        };
    }
    Ok(answer.answer(StatusCode::OK))
}

/// `PUT /BUCKET/OBJECT?compose` (<https://cloud.google.com/storage/docs/xml-api/put-object-compose>).
pub(super) async fn compose(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let upload = Upload {
        bucket,
        name: names::object(&name)?,
        metadata: metadata(&call.headers)?,
        expected: expected(&call.headers)?.of_the_object(),
        conditions: conditions(&call.headers)?,
        key_sha256: encryption::key(&call.headers)?,
        acl: grants(&call.headers)?,
    };
    let body = call.body.collect(document::MAX_BODY).await?;
    let root = Node::root(&body, "ComposeRequest")?;
    let number = |node: &Node, key: &str| -> Result<Option<u64>, Error> {
        let text = node.text_of(key).map(str::parse);
        text.transpose()
            .map_err(|_| Error::invalid(format!("Invalid {key}.")))
    };
    let source = |node: &Node| {
        let name = node
            .child("Name")
            .map(Node::exact_text)
            .filter(|name| !name.is_empty());
        Ok(Source {
            name: name
                .ok_or_else(|| Error::invalid("A Component has a Name."))?
                .to_owned(),
            generation: number(node, "Generation")?,
            if_generation_match: number(node, "IfGenerationMatch")?,
        })
    };
    let sources: Vec<Source> = root.all("Component").map(source).collect::<Result<_, Error>>()?;
    let object = objects::join(service, upload, sources).await?;
    Ok(stored(&object))
}
