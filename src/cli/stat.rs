//! `gcsd stat`: what GCS says of an object.

use std::io::Write as _;

use clap::Args;
use serde_json::{Map, Value};

use super::conditions::ObjectArgs;
use super::connect::Daemon;
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use gcsd_types::{ObjectInfo, ObjectRef};
use gcsd_wire::stat_object;

/// Show what GCS knows of an object.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd stat gs://my-bucket/backup.tar
  gcsd stat --json gs://my-bucket/backup.tar | jq -r .md5Hash
  gcsd stat gs://my-bucket/backup.tar >/dev/null || echo 'it is not there'")]
pub(super) struct StatArgs {
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// Print GCS's JSON resource as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the command.
pub(super) async fn run(args: StatArgs) -> Result<(), Failure> {
    let connection = args.daemon.open().await?;
    let request = stat_object::Args {
        of: ObjectRef {
            key: args.key.read()?,
            ..args.object.object_ref()
        },
    };
    let reply = connection.stat_object(&request).await;
    let reply = reply.map_err(|error| Failure::from(error).at(&args.object.url))?;
    let text = if args.json {
        String::from_utf8_lossy(&reply.json).into_owned() + "\n"
    } else {
        let resource = serde_json::from_slice(&reply.json).unwrap_or_default();
        show(&args.object.url.to_string(), &reply.args.object, &resource)
    };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::stdout(&error))
}

/// What people look for, a line each.
pub(super) fn show(url: &str, object: &ObjectInfo, resource: &Map<String, Value>) -> String {
    let mut lines = vec![
        ("size", object.size.to_string()),
        ("generation", object.generation.to_string()),
        ("metageneration", object.metageneration.to_string()),
    ];
    if let Some(crc32c) = object.crc32c {
        lines.push(("crc32c", crc32c.to_base64()));
    }
    for (name, field) in [
        ("md5", "md5Hash"),
        ("content type", "contentType"),
        ("content encoding", "contentEncoding"),
        ("cache control", "cacheControl"),
        ("storage class", "storageClass"),
        ("created", "timeCreated"),
        ("updated", "updated"),
    ] {
        if let Some(text) = resource.get(field).and_then(Value::as_str) {
            lines.push((name, gcsd_client::one_line(text)));
        }
    }
    if let Some(Value::Object(own)) = resource.get("metadata") {
        for (key, value) in own {
            let pair = format!("{key}={}", value.as_str().unwrap_or_default());
            lines.push(("metadata", gcsd_client::one_line(&pair)));
        }
    }
    let mut text = format!("{}\n", gcsd_client::one_line(url));
    for (name, value) in lines {
        text += &format!("  {name:<17} {value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcsd_types::Crc32c;

    #[test]
    fn an_object_is_shown_a_field_a_line() {
        let object = ObjectInfo {
            generation: 7,
            metageneration: 1,
            size: 11,
            crc32c: Some(Crc32c::of(b"hello world")),
            md5: None,
        };
        let resource = r#"{"contentType":"text/plain","metadata":{"a":"x\u001b[2J"}}"#;
        let resource = serde_json::from_str(resource).expect("JSON");
        assert_eq!(
            show("gs://b/o", &object, &resource),
            "gs://b/o\n  size              11\n  generation        7\n  metageneration    1\n  \
             crc32c            yZRlqg==\n  content type      text/plain\n  metadata          a=x\u{fffd}[2J\n"
        );
    }
}
