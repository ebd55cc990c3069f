//! Rewrite, copy, move.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::json as document;

use super::get::shown;
use crate::acl::{self, Grants};
use crate::answer;
use crate::call::Call;
use crate::digits::digits;
use crate::encryption;
use crate::error::Error;
use crate::json;
use crate::metadata::Metadata;
use crate::names;
use crate::preconditions;
use crate::resource::{Draft, Object};
use crate::response_body::ResponseBody;
use crate::service::{Service, Turn};
use crate::target::Route;
use gcsd_types::Preconditions;

/// What `maxBytesRewrittenPerCall` must be a multiple of.
const MEBIBYTE: u64 = 1 << 20;

/// How much one call rewrites into another location or storage class, unless the client asks for less. Within
/// one location and class a rewrite copies no bytes, and takes one call whatever the size.
const PER_CALL: u64 = 1 << 30;

/// What a request to copy asks for.
struct Job {
    route: Route,
    source_generation: Option<u64>,
    source_conditions: Preconditions,
    conditions: Preconditions,
    /// The metadata of the copy; `None` keeps the source's.
    metadata: Option<Metadata>,
    keys: Keys,
    acl: Option<Grants>,
}

/// The SHA-256 of the keys of a request to copy.
enum Keys {
    /// A rewrite has one for the source and one for the copy.
    Each {
        source: Option<String>,
        destination: Option<String>,
    },
    /// A copy has one for both.
    Both(Option<String>),
    /// A move keeps the object's key.
    Kept,
}

impl Job {
    async fn read(call: &mut Call, route: Route, keys: Keys) -> Result<Self, Error> {
        let resource = json::object(&mut call.body).await?;
        let metadata = if resource.is_empty() {
            None
        } else {
            let mut metadata = Metadata::default();
            metadata.merge(&resource)?;
            Some(metadata)
        };
        names::object(&route.to_name)?;
        Ok(Self {
            route,
            source_generation: call.query.number("sourceGeneration")?,
            source_conditions: preconditions::of_source(&call.query)?,
            conditions: preconditions::from_query(&call.query)?,
            metadata,
            keys,
            acl: acl::asked(call.query.get("destinationPredefinedAcl"), &resource)?,
        })
    }

    fn source(&self, turn: &Turn<'_>) -> Result<Arc<Object>, Error> {
        let source = turn
            .service()
            .find(&self.route.bucket, &self.route.name, self.source_generation)?;
        preconditions::check(&self.source_conditions, Some(&source))?;
        let live = turn.service().live(&self.route.to_bucket, &self.route.to_name)?;
        preconditions::check(&self.conditions, live.as_deref())?;
        match &self.keys {
            Keys::Each { source: key, .. } | Keys::Both(key) => encryption::unlock(&source, key.as_deref())?,
            Keys::Kept => {}
        }
        Ok(source)
    }

    fn copy(&self, turn: &Turn<'_>, source: &Object) -> Result<Arc<Object>, Error> {
        let content = turn.service().store.duplicate(&source.content)?;
        let mut draft = Draft {
            bucket: self.route.to_bucket.clone(),
            name: self.route.to_name.clone(),
            key_sha256: match &self.keys {
                Keys::Each { destination: key, .. } | Keys::Both(key) => key.clone(),
                Keys::Kept => source.key_sha256.clone(),
            },
            acl: match self.keys {
                Keys::Kept => source.acl.clone(),
                _ => self.acl.clone(),
            },
            ..Draft::copy_of(source, content)
        };
        if let Some(metadata) = &self.metadata {
            draft.metadata = metadata.clone();
        }
        turn.publish(&draft, &self.conditions)
            .inspect_err(|_| turn.service().store.remove(&draft.content))
    }
}

/// `POST .../o/OBJECT/copyTo/b/BUCKET/o/OBJECT`.
pub(crate) async fn copy(
    service: &Arc<Service>,
    call: &mut Call,
    route: Route,
) -> Result<Response<ResponseBody>, Error> {
    let keys = Keys::Both(encryption::key(&call.headers)?);
    let job = Job::read(call, route, keys).await?;
    let object = service
        .change(move |turn| job.copy(turn, &*job.source(turn)?))
        .await?;
    shown(service, call, &object)
}

/// `POST .../o/OBJECT/moveTo/o/OBJECT`: copies within the bucket and deletes the source.
///
/// In memory both happen at once. A directory keeps each object's record in a file of its own: a crash
/// between the two leaves both objects, each whole.
pub(crate) async fn move_within(
    service: &Arc<Service>,
    call: &mut Call,
    route: Route,
) -> Result<Response<ResponseBody>, Error> {
    let job = Job::read(call, route, Keys::Kept).await?;
    if job.route.name == job.route.to_name {
        return Err(Error::invalid(
            "The source and the destination of a move are the same object.",
        ));
    }
    let object = service
        .change(move |turn| {
            let source = job.source(turn)?;
            turn.protect(
                &turn.service().bucket(&job.route.bucket)?,
                &source,
                turn.service().now(),
            )?;
            let moved = job.copy(turn, &source)?;
            turn.delete(
                &job.route.bucket,
                &job.route.name,
                job.source_generation,
                &Preconditions::default(),
            )?;
            Ok(moved)
        })
        .await?;
    shown(service, call, &object)
}

/// `POST .../o/OBJECT/rewriteTo/b/BUCKET/o/OBJECT`: one step of a copy.
pub(crate) async fn rewrite(
    service: &Arc<Service>,
    call: &mut Call,
    route: Route,
) -> Result<Response<ResponseBody>, Error> {
    let keys = Keys::Each {
        source: encryption::source_key(&call.headers)?,
        destination: encryption::key(&call.headers)?,
    };
    let job = Job::read(call, route, keys).await?;
    let asked = call.query.number("maxBytesRewrittenPerCall")?;
    if asked.is_some_and(|bytes| bytes == 0 || bytes % MEBIBYTE != 0) {
        return Err(Error::invalid(
            "maxBytesRewrittenPerCall must be an integral multiple of 1 MiB (1048576).",
        ));
    }
    let token = match call.query.get("rewriteToken") {
        None => None,
        Some(token) => Some(Token::read(token).ok_or_else(|| Error::invalid("Invalid rewriteToken."))?),
    };
    let step = service.change(move |turn| step(turn, &job, asked, token)).await?;
    let mut rewritten = document!({
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": step.done.to_string(),
        "objectSize": step.size.to_string(),
        "done": step.object.is_some(),
    });
    match step.object {
        Some(object) => {
            let full = call.query.get("projection") == Some("full");
            rewritten["resource"] = super::resource(service, &call.base, &object, true, full);
        }
        None => rewritten["rewriteToken"] = step.token.write().into(),
    }
    Ok(answer::json(StatusCode::OK, &rewritten))
}

struct Step {
    done: u64,
    size: u64,
    token: Token,
    object: Option<Arc<Object>>,
}

/// How far a rewrite has come: of which generation, how many bytes. The client sends it back, and gains
/// nothing by changing it.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    generation: u64,
    done: u64,
}

impl Token {
    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}/{}", self.generation, self.done))
    }

    fn read(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (generation, done) = text.split_once('/')?;
        Some(Self {
            generation: digits(generation)?,
            done: digits(done)?,
        })
    }
}

fn step(turn: &Turn<'_>, job: &Job, asked: Option<u64>, token: Option<Token>) -> Result<Step, Error> {
    let source = job.source(turn)?;
    let before = match token {
        None => 0,
        Some(token) if token.generation == source.generation => token.done,
        Some(_) => {
            return Err(Error::invalid(
                "The rewriteToken belongs to another generation of the source.",
            ));
        }
    };
    let per_call = match asked {
        Some(bytes) => bytes,
        None if stays_in_place(turn, job, &source)? => u64::MAX,
        None => PER_CALL,
    };
    let done = before.saturating_add(per_call).min(source.size);
    let object = if done == source.size {
        Some(job.copy(turn, &source)?)
    } else {
        None
    };
    let token = Token {
        generation: source.generation,
        done,
    };
    Ok(Step {
        done,
        size: source.size,
        token,
        object,
    })
}

fn stays_in_place(turn: &Turn<'_>, job: &Job, source: &Object) -> Result<bool, Error> {
    let from = turn.service().bucket(&job.route.bucket)?;
    let to = turn.service().bucket(&job.route.to_bucket)?;
    let class = job
        .metadata
        .as_ref()
        .map(|metadata| metadata.storage_class.as_deref());
    let class = class.map_or(source.storage_class(), |class| class.unwrap_or(&to.storage_class));
    Ok(from.location == to.location && class == source.storage_class())
}
