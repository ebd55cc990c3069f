//! What a command tells of the objects that it works on: the same flags, lines and keys for all of them.

use clap::Args;
use serde_json::{Map, Value, json};

use gcsd_types::ObjectInfo;

/// What is reported, and where.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Reporting {
    /// Print a line of JSON for each object: "url", and "generation", "size" and "crc32c" once it is done, "skipped" with a
    /// reason, or "error" with "name", "message" and "exit". "file" is the local file, "destination" the copy, "metadata"
    /// GCS's resource, "gcsd" what was recovered from, where there is such a thing.
    #[arg(long)]
    pub(super) json: bool,
    /// Say nothing but failures: no progress, nothing of what is skipped or recovered from.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Name each object that is done.
    #[arg(long, short, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

/// For commands that can say what they would do.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct DryRun {
    /// Change nothing; say what would be done.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What programs get of an object: what all commands say alike.
pub(super) fn object(info: &ObjectInfo) -> Value {
    json!({
        "generation": info.generation.to_string(),
        "size": info.size.to_string(),
        "crc32c": info.crc32c.map(|crc32c| crc32c.to_base64()),
    })
}

/// The same, with GCS's resource.
pub(super) fn with_resource(info: &ObjectInfo, resource: &Map<String, Value>) -> Value {
    let mut line = object(info);
    line["metadata"] = Value::Object(resource.clone());
    line
}

/// GCS's resource, unchanged.
pub(super) fn resource(json: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(json).unwrap_or_default()
}
