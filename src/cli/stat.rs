//! `gcsd stat`: what GCS says of objects.

use clap::Args;
use serde_json::{Map, Value, json};

use super::batch::Tally;
use super::blocking::blocking;
use super::conditions::Version;
use super::connect::Remote;
use super::encryption_key::KeyArgs;
use super::exit::{Exit, Failure};
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::{Listed, Meaning, Name, Names, Naming};
use super::quoting::shown;
use super::reporting;
use super::stdout::Output;
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::ReliableRequests;
use gcsd_types::{EncryptionKey, ObjectInfo, ObjectName};

/// Show what GCS knows of objects.
///
/// An object that is called exactly so wins over a pattern. Failures are reported, and the rest continues.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd stat gs://my-bucket/backup.tar
  gcsd stat 'gs://my-bucket/2025-*.tar'
  gcsd stat --json gs://my-bucket/backup.tar | jq -r .metadata.md5Hash
  gcsd stat gs://my-bucket/backup.tar >/dev/null || [ $? -ne 3 ] || echo 'it is not there'")]
pub(super) struct StatArgs {
    /// The objects, or patterns of them.
    #[arg(
        value_name = "gs://BUCKET/OBJECT",
        required_unless_present = "stdin",
        conflicts_with = "stdin"
    )]
    urls: Vec<BucketUrl>,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    key: KeyArgs,
    /// Print a line of JSON for each object: "url", "type", "generation", "size", "crc32c" and "metadata", GCS's resource, or
    /// "error".
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: StatArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::select! {
        shown = stat(&args) => shown,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn stat(args: &StatArgs) -> Result<(), Failure> {
    let one = args.urls.len() == 1;
    if !one && !args.version.is_any() {
        return Err(Version::several());
    }
    let key = args.key.clone();
    let key = blocking(move || key.read()).await?;
    let mut names = Names::new(&args.urls, &args.naming, &args.listed)?;
    let requests = args.remote.requests().await?;
    let how = Walking::new(requests.clone(), &args.version.payer);
    let mut showing = Showing {
        args,
        requests,
        key,
        out: Output::default(),
        closed: false,
        tally: Tally::default(),
    };
    while let Some(name) = names.next().await {
        let (place, shown) = match name {
            Ok(name) => (name.url.to_string(), showing.name(&name, &how).await),
            Err(failure) => ("a name on standard input".to_owned(), Err(failure)),
        };
        match shown {
            Ok(()) => {}
            Err(failure) if failure.exit() == Exit::Usage && one => return Err(failure),
            Err(failure) => showing.failed(&place, failure).await?,
        }
    }
    showing.out.finish().await?;
    showing.tally.sum()
}

/// What shows objects.
struct Showing<'a> {
    args: &'a StatArgs,
    requests: ReliableRequests,
    key: Option<EncryptionKey>,
    out: Output,
    /// Nobody takes any more.
    closed: bool,
    tally: Tally,
}

impl Showing<'_> {
    /// Shows what a name stands for.
    async fn name(&mut self, name: &Name, how: &Walking) -> Result<(), Failure> {
        let mut walk = match name.meaning(how, false).await? {
            Meaning::Object { url, generation } => return self.object(url, generation).await,
            Meaning::Walk(_) if !self.args.version.is_any() => return Err(Version::several()),
            Meaning::Walk(url) => Walk::new(how.clone(), &url),
        };
        while let Some(listed) = walk.next_object().await? {
            let object = ObjectName::new(listed.name);
            let object = object.map_err(|error| Failure::usage(error).at(&name.url))?;
            let bucket = name.url.bucket.clone();
            let generation = Some(listed.info.generation);
            let url = GsUrl { bucket, object };
            let place = url.to_string();
            if let Err(failure) = self.object(url, generation).await {
                self.failed(&place, failure).await?;
            }
        }
        Ok(())
    }

    /// Reports a failure, unless nobody takes what follows.
    async fn failed(&mut self, place: &str, failure: Failure) -> Result<(), Failure> {
        if self.closed {
            return Err(failure);
        }
        let failure = failure.or_at(place);
        self.tally.total += 1;
        self.tally.failed(&failure);
        failure.report();
        if !self.args.json {
            return Ok(());
        }
        let line = json!({"url": place, "error": failure.json()});
        let printed = self.out.line(&line.to_string()).await;
        self.closed |= printed.is_err();
        printed
    }

    async fn object(&mut self, url: GsUrl, generation: Option<u64>) -> Result<(), Failure> {
        let place = url.to_string();
        let mut object = self.args.version.of(url.bucket, url.object);
        object.generation = object.generation.or(generation);
        object.key = self.key.clone();
        let stored = self.requests.stat(&object).await;
        let stored = stored.map_err(|error| Failure::from(error).at(&place))?;
        self.tally.total += 1;
        let resource = reporting::resource(&stored.json);
        let text = match self.args.json {
            true => {
                let mut line = reporting::with_resource(&stored.info, &resource);
                line["url"] = place.into();
                line["type"] = "cloud_object".into();
                format!("{line}\n")
            }
            false => show(&shown(&place), &stored.info, &resource),
        };
        let printed = self.out.text(text).await;
        self.closed |= printed.is_err();
        printed
    }
}

/// What people look for, a line each, below `url` as it is to be shown.
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
    let mut text = format!("{url}\n");
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
