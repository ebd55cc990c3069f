//! The parts of a bucket's configuration: `?cors`, `?lifecycle`, `?tagging`, `?versioning`
//! (<https://cloud.google.com/storage/docs/xml-api/overview>).

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::element::Element;
use super::tree::Node;
use crate::answer::empty;
use crate::bucket::merge;
use crate::call::Call;
use crate::digits::digits;
use crate::error::Error;
use crate::json as document;
use crate::query::Query;
use crate::resource::BucketRecord;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cors,
    Lifecycle,
    Tagging,
    Versioning,
}

impl Part {
    fn of(query: &Query) -> Option<Self> {
        let parts = [
            ("cors", Self::Cors),
            ("lifecycle", Self::Lifecycle),
            ("tagging", Self::Tagging),
            ("versioning", Self::Versioning),
        ];
        let mut parts = parts.into_iter().filter(|(name, _)| query.has(name));
        // Two at once are none.
        parts
            .next()
            .filter(|_| parts.next().is_none())
            .map(|(_, part)| part)
    }
}

/// Whether a request is about a part of a bucket's configuration.
pub(super) fn is_about(method: &Method, query: &Query) -> bool {
    match Part::of(query) {
        None => false,
        Some(Part::Versioning) => matches!(*method, Method::GET | Method::PUT),
        Some(_) => matches!(*method, Method::GET | Method::PUT | Method::DELETE),
    }
}

/// `GET`, `PUT` or `DELETE /BUCKET?PART`.
pub(super) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let part = Part::of(&call.query).ok_or_else(|| Error::not_implemented("such a configuration"))?;
    if call.method == Method::GET {
        return Ok(show(part, &service.bucket(&bucket)?)?.answer(StatusCode::OK));
    }
    let deletes = call.method == Method::DELETE;
    let body = call.body.collect(document::MAX_BODY).await?;
    let (key, value) = match (part, deletes) {
        (Part::Cors, true) => ("cors", Value::Null),
        (Part::Lifecycle, true) => ("lifecycle", Value::Null),
        (Part::Tagging | Part::Versioning, true) => ("labels", Value::Null),
        (Part::Cors, false) => ("cors", cors(&Node::root(&body, "CorsConfig")?)?),
        (Part::Lifecycle, false) => (
            "lifecycle",
            lifecycle(&Node::root(&body, "LifecycleConfiguration")?)?,
        ),
        (Part::Tagging, false) => ("labels", tags(&Node::root(&body, "Tagging")?)?),
        (Part::Versioning, false) => {
            let status = Node::root(&body, "VersioningConfiguration")?;
            let enabled = match status.text_of("Status") {
                Some("Enabled") => true,
                Some("Suspended") => false,
                _ => return Err(Error::invalid("The Status is Enabled or Suspended.")),
            };
            ("versioning", json!({ "enabled": enabled }))
        }
    };
    let now = service.now();
    let change = move |record: &mut BucketRecord| {
        if part == Part::Tagging {
            record.labels.clear();
        }
        merge(record, &Map::from_iter([(key.to_owned(), value)]), now)
    };
    service.change_bucket(bucket, change).await?;
    Ok(empty(match deletes {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::OK,
    }))
}

fn show(part: Part, record: &BucketRecord) -> Result<Element, Error> {
    let setting = |key: &str| record.shown.get(key).unwrap_or(&Value::Null);
    Ok(match part {
        Part::Cors => show_cors(setting("cors")),
        Part::Lifecycle => show_lifecycle(setting("lifecycle")),
        Part::Versioning if record.versioning => {
            Element::new("VersioningConfiguration").text("Status", "Enabled")
        }
        Part::Versioning => Element::new("VersioningConfiguration").text("Status", "Suspended"),
        Part::Tagging if record.labels.is_empty() => return Err(Error::no_tags()),
        Part::Tagging => {
            let tags = record.labels.iter();
            let tags = tags.map(|(key, value)| Element::new("Tag").text("Key", key).text("Value", value));
            Element::in_s3("Tagging").child(Element::new("TagSet").children(tags))
        }
    })
}

fn tags(root: &Node) -> Result<Value, Error> {
    let malformed = || Error::invalid("A Tagging has a TagSet of Tags, each with a Key and a Value.");
    let set = root.child("TagSet").ok_or_else(malformed)?;
    let tags = set.all("Tag").map(|tag| {
        let key = tag
            .text_of("Key")
            .filter(|key| !key.is_empty())
            .ok_or_else(malformed)?;
        Ok((key.to_owned(), tag.text_of("Value").ok_or_else(malformed)?.into()))
    });
    Ok(Value::Object(tags.collect::<Result<_, Error>>()?))
}

const CORS: [(&str, &str, &str); 3] = [
    ("Origins", "Origin", "origin"),
    ("Methods", "Method", "method"),
    ("ResponseHeaders", "ResponseHeader", "responseHeader"),
];

fn cors(root: &Node) -> Result<Value, Error> {
    let rule = |node: &Node| {
        let mut rule = Map::new();
        for (list, entry, key) in CORS {
            if let Some(list) = node.child(list) {
                let texts: Vec<&str> = list.all(entry).map(Node::text).collect();
                rule.insert(key.to_owned(), texts.into());
            }
        }
        if let Some(age) = node.text_of("MaxAgeSec") {
            let age: u64 = digits(age).ok_or_else(|| Error::invalid("MaxAgeSec is a number."))?;
            rule.insert("maxAgeSeconds".to_owned(), age.into());
        }
        Ok(Value::Object(rule))
    };
    root.all("Cors").map(rule).collect()
}

fn show_cors(rules: &Value) -> Element {
    let rules = rules.as_array().into_iter().flatten().map(|rule| {
        let lists = CORS.iter().filter_map(|(list, entry, key)| {
            let texts = rule[*key].as_array()?.iter().filter_map(Value::as_str);
            Some(texts.fold(Element::new(list), |list, text| list.text(entry, text)))
        });
        let age = rule["maxAgeSeconds"].as_u64().map(|age| age.to_string());
        Element::new("Cors").children(lists).optional("MaxAgeSec", age)
    });
    Element::new("CorsConfig").children(rules)
}

/// The conditions of a rule: in the document, in the resource, and whether they are a number, a truth or text. What can be
/// there several times is a list in the resource.
const CONDITIONS: [(&str, &str, Form); 11] = [
    ("Age", "age", Form::Number),
    ("CreatedBefore", "createdBefore", Form::Text),
    ("CustomTimeBefore", "customTimeBefore", Form::Text),
    ("DaysSinceCustomTime", "daysSinceCustomTime", Form::Number),
    ("DaysSinceNoncurrentTime", "daysSinceNoncurrentTime", Form::Number),
    ("IsLive", "isLive", Form::Truth),
    ("MatchesPrefix", "matchesPrefix", Form::List),
    ("MatchesStorageClass", "matchesStorageClass", Form::List),
    ("MatchesSuffix", "matchesSuffix", Form::List),
    ("NoncurrentTimeBefore", "noncurrentTimeBefore", Form::Text),
    ("NumberOfNewerVersions", "numNewerVersions", Form::Number),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Number,
    Truth,
    Text,
    List,
}

fn lifecycle(root: &Node) -> Result<Value, Error> {
    let rules: Vec<Value> = root.all("Rule").map(rule).collect::<Result<_, Error>>()?;
    Ok(json!({ "rule": rules }))
}

fn rule(node: &Node) -> Result<Value, Error> {
    let malformed = || {
        Error::invalid(
            "A lifecycle Rule has an Action and a Condition, as in Google's XML API; Amazon's rules have others.",
        )
    };
    let action = node.child("Action").ok_or_else(malformed)?;
    let action = match action.children.first() {
        Some(kind) if kind.name == "SetStorageClass" => {
            json!({ "type": kind.name, "storageClass": kind.text() })
        }
        Some(kind) if matches!(kind.name.as_str(), "Delete" | "AbortIncompleteMultipartUpload") => {
            json!({ "type": kind.name })
        }
        _ => return Err(malformed()),
    };
    let mut condition = Map::new();
    for child in &node.child("Condition").ok_or_else(malformed)?.children {
        let known = CONDITIONS.iter().find(|(name, ..)| *name == child.name);
        let (_, key, form) = known.ok_or_else(malformed)?;
        let text = child.text();
        let value = match form {
            Form::Number => digits::<u64>(text).ok_or_else(malformed)?.into(),
            Form::Truth => text.parse::<bool>().map_err(|_| malformed())?.into(),
            Form::Text => text.into(),
            Form::List => {
                let list = condition.entry(*key).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(text.into());
                }
                continue;
            }
        };
        condition.insert((*key).to_owned(), value);
    }
    Ok(json!({ "action": action, "condition": condition }))
}

fn show_lifecycle(lifecycle: &Value) -> Element {
    let rules = lifecycle["rule"].as_array().into_iter().flatten().map(|rule| {
        let kind = match rule["action"]["type"].as_str() {
            Some("SetStorageClass") => Element::new("SetStorageClass")
                .content(rule["action"]["storageClass"].as_str().unwrap_or_default()),
            Some("AbortIncompleteMultipartUpload") => Element::new("AbortIncompleteMultipartUpload"),
            _ => Element::new("Delete"),
        };
        let mut condition = Element::new("Condition");
        for (name, key, _) in CONDITIONS {
            condition = match &rule["condition"][key] {
                Value::Null => condition,
                Value::String(text) => condition.text(name, text),
                Value::Array(list) => {
                    let texts = list.iter().filter_map(Value::as_str);
                    texts.fold(condition, |condition, text| condition.text(name, text))
                }
                other => condition.text(name, other.to_string()),
            };
        }
        Element::new("Rule")
            .child(Element::new("Action").child(kind))
            .child(condition)
    });
    Element::new("LifecycleConfiguration").children(rules)
}
