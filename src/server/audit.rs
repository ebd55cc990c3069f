//! The audit log: one line for each request that a policy has decided on.
//!
//! Its target is `gcsd::audit`. It has who, what, on which object, and how it ended; a session's URI, a token, a secret or a key
//! never.

use tracing::info;

use super::lines::Client;
use crate::ops::{Answer, Decided, Failure, Subject};
use gcsd_wire::Kind;

/// The line of a request that has ended. `received` is what came of its body.
pub(super) fn line(
    client: &Client,
    opcode: &'static str,
    decided: &Decided,
    about: Option<&Subject>,
    outcome: &Result<Answer, Failure>,
    received: Option<u64>,
) {
    if decided.verbs.is_empty() {
        // Ping, Cancel, DetachUpload: nothing was asked of the policy.
        return;
    }
    let verbs: Vec<_> = decided.verbs.iter().map(|verb| verb.name()).collect();
    let none = Subject::default();
    let about = about.unwrap_or(&none);
    let (decision, status, generation, moved, request_id) = match outcome {
        Ok(answer) => (
            "allowed",
            "ok",
            answer.generation,
            Some(answer.moved),
            answer.request_id.as_deref(),
        ),
        Err(failure) => {
            let denied = failure.status.kind() == Some(Kind::Denied);
            let decision = if denied { "denied" } else { "allowed" };
            let request_id = failure.reply.request_id.as_deref();
            (decision, failure.status.name(), None, None, request_id)
        }
    };
    info!(
        target: "gcsd::audit",
        identity = decided.rule.name(), decision, verb = verbs.join(","), opcode,
        bucket = about.bucket.as_ref().map(|name| name.as_str()),
        object = about.object.as_ref().map(|name| name.as_str()),
        generation = generation.or(about.generation),
        source_bucket = about.source_bucket.as_ref().map(|name| name.as_str()),
        source_object = about.source_object.as_ref().map(|name| name.as_str()),
        prefix = about.prefix.as_deref(),
        upload_name = about.upload_name.as_deref(),
        bytes = received.or(moved), status, request_id, connection = client.id(),
        "audit"
    );
}
