//! `gcsd update`: the metadata of objects changes.

use clap::Args;
use serde_json::{Map, Value};

use super::batch::{Batch, Jobs, Outcome};
use super::conditions::Version;
use super::connect::Remote;
use super::exclude::Exclude;
use super::exit::{Exit, Failure};
use super::gs_url::{BucketUrl, GsUrl};
use super::metadata::pair;
use super::naming::{Listed, Meaning, Names, Naming};
use super::reporting::{self, DryRun, Reporting};
use super::stop::signals;
use super::walk::{Walk, Walking};
use super::{metadata, progress};
use gcsd_client::ReliableRequests;
use gcsd_types::{Destination, ObjectName};

/// Change the metadata of objects.
///
/// Their bytes and generations stay. Only what is named changes: an empty text removes a field, as in --cache-control=''. A
/// storage class is not metadata: 'gcsd cp' of an object onto itself with --storage-class changes it. An object that is
/// called exactly so wins over a pattern. What is listed is changed as it was listed: an object that was replaced meanwhile
/// stays as it is. Failures are reported, and the rest continues.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd update gs://my-bucket/page.html --content-type 'text/html; charset=utf-8'
  gcsd update -r gs://my-bucket/site --cache-control public,max-age=3600
  gcsd update gs://my-bucket/page.html --cache-control=''
  gcsd update gs://my-bucket/a --custom-metadata owner=me --remove-custom-metadata draft
  gcsd update gs://my-bucket/a --object-json '{\"temporaryHold\": true}'")]
pub(super) struct UpdateArgs {
    /// The objects, or patterns of them; with --recursive, what their names begin with up to a '/'.
    #[arg(
        value_name = "gs://BUCKET/OBJECT",
        required_unless_present = "stdin",
        conflicts_with = "stdin"
    )]
    urls: Vec<BucketUrl>,
    /// What lies below the URLs, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    remote: Remote,
}

/// What changes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What changes")]
struct Changes {
    /// The content type, such as 'text/plain'.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The content encoding, such as 'gzip'.
    #[arg(long, value_name = "ENCODING")]
    content_encoding: Option<String>,
    /// The content disposition, such as 'attachment; filename="a.txt"'.
    #[arg(long, value_name = "TEXT")]
    content_disposition: Option<String>,
    /// The content language, such as 'en'.
    #[arg(long, value_name = "LANGUAGE")]
    content_language: Option<String>,
    /// How it may be cached, such as 'no-cache' or 'public,max-age=3600'.
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<String>,
    /// Metadata of your own, added or replaced; may be repeated.
    #[arg(long, value_name = "KEY=VALUE,...", value_delimiter = ',', value_parser = pair)]
    custom_metadata: Vec<(String, String)>,
    /// Metadata of your own that goes; may be repeated.
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    remove_custom_metadata: Vec<String>,
    /// All metadata of your own goes.
    #[arg(long, conflicts_with_all = ["custom_metadata", "remove_custom_metadata"])]
    clear_custom_metadata: bool,
    /// Anything else of GCS's object resource, as a JSON object; null removes a field.
    #[arg(long, value_name = "JSON")]
    object_json: Option<String>,
    /// One of GCS's predefined ACLs, such as 'publicRead'.
    #[arg(long, value_name = "ACL")]
    predefined_acl: Option<String>,
}

impl Changes {
    /// The patch of GCS's object resource.
    fn patch(&self) -> Result<Map<String, Value>, Failure> {
        let mut patch = metadata::object_json(self.object_json.as_deref())?;
        let texts = [
            ("contentType", &self.content_type),
            ("contentEncoding", &self.content_encoding),
            ("contentDisposition", &self.content_disposition),
            ("contentLanguage", &self.content_language),
            ("cacheControl", &self.cache_control),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                let value = if text.is_empty() {
                    Value::Null
                } else {
                    text.as_str().into()
                };
                patch.insert(field.to_owned(), value);
            }
        }
        let removed = self.remove_custom_metadata.iter();
        let removed = removed.map(|key| (key.clone(), Value::Null));
        let set = self.custom_metadata.iter();
        let set = set.map(|(key, value)| (key.clone(), Value::String(value.clone())));
        let own: Map<String, Value> = removed.chain(set).collect();
        if self.clear_custom_metadata {
            patch.insert("metadata".to_owned(), Value::Null);
        } else if !own.is_empty() {
            patch.insert("metadata".to_owned(), Value::Object(own));
        }
        if patch.is_empty() && self.predefined_acl.is_none() {
            return Err(Failure::usage("nothing is to change")
                .advise("name it, such as --content-type or --custom-metadata"));
        }
        Ok(patch)
    }
}

/// Runs the command.
pub(super) async fn run(args: UpdateArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let bar = progress::count(args.reporting.quiet);
    let batch = Batch::new(&args.jobs, args.reporting).doing("update", "updated", &bar);
    let mut batch = batch.dry(args.dry_run);
    tokio::select! {
        updated = update(&args, &mut batch) => updated,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn update(args: &UpdateArgs, batch: &mut Batch) -> Result<(), Failure> {
    let patch = Value::Object(args.changes.patch()?).to_string();
    if (args.urls.len() != 1 || args.recursive) && !args.version.is_any() {
        return Err(Version::several());
    }
    let mut names = Names::new(&args.urls, &args.naming, &args.listed)?;
    let requests = args.remote.requests().await?;
    let how = Walking {
        recursive: args.recursive,
        excluded: args.exclude.read(),
        ..Walking::new(requests.clone(), &args.version.payer)
    };
    let updating = Updating {
        args,
        patch: &patch,
        requests,
    };
    while let Some(name) = names.next().await {
        let name = match name {
            Ok(name) => name,
            Err(failure) => {
                batch
                    .report("a name on standard input", Outcome::Failed(failure))
                    .await;
                continue;
            }
        };
        let url = match name.meaning(&how, args.reporting.quiet).await {
            Ok(Meaning::Walk(_)) if !args.version.is_any() => return Err(Version::several()),
            Ok(Meaning::Walk(url)) => url,
            Ok(Meaning::Object { url, generation }) => {
                updating.begin(batch, url, generation, None).await?;
                continue;
            }
            Err(failure) => {
                batch
                    .report(&name.url.to_string(), Outcome::Failed(failure))
                    .await;
                continue;
            }
        };
        let mut walk = Walk::new(how.clone(), &url);
        loop {
            match walk.next_object().await {
                Ok(Some(listed)) => {
                    let object = ObjectName::new(listed.name);
                    let object = object.map_err(|error| Failure::usage(error).at(&name.url))?;
                    let bucket = name.url.bucket.clone();
                    let live = Some(listed.info.generation);
                    updating
                        .begin(batch, GsUrl { bucket, object }, None, live)
                        .await?;
                }
                Ok(None) => break,
                Err(failure) => {
                    batch
                        .report(&name.url.to_string(), Outcome::Failed(failure))
                        .await;
                    break;
                }
            }
        }
    }
    batch.finish().await
}

/// What all objects have in common.
struct Updating<'a> {
    args: &'a UpdateArgs,
    patch: &'a str,
    requests: ReliableRequests,
}

impl Updating<'_> {
    /// Begins to change an object: of this generation, or the live one if that is the one that was `listed`.
    async fn begin(
        &self,
        batch: &mut Batch,
        url: GsUrl,
        generation: Option<u64>,
        listed: Option<u64>,
    ) -> Result<(), Failure> {
        let place = url.to_string();
        let of = self.args.version.of(url.bucket, url.object);
        let generation = of.generation.or(generation);
        let mut object = Destination {
            preconditions: of.preconditions,
            user_project: of.user_project,
            predefined_acl: self.args.changes.predefined_acl.clone(),
            metadata: self.patch.to_owned().into(),
            ..Destination::new(of.bucket, of.object)
        };
        object.preconditions.if_generation_match = object.preconditions.if_generation_match.or(listed);
        let requests = self.requests.clone();
        let work = async move {
            match requests.patch(&object, generation).await {
                Ok(updated) => {
                    let resource = reporting::resource(&updated.json);
                    Outcome::Done(reporting::with_resource(&updated.info, &resource))
                }
                Err(given_up) => Outcome::Failed(match Failure::from(given_up) {
                    failure if listed.is_some() && failure.exit() == Exit::Precondition => failure.advise(
                        "it was replaced or deleted after it was listed, and nothing else was changed",
                    ),
                    failure => failure,
                }),
            }
        };
        batch.add(place, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_changed_and_what_is_empty_removed() {
        let changes = Changes {
            content_type: Some("a/b".into()),
            cache_control: Some(String::new()),
            custom_metadata: vec![("k".into(), "v".into())],
            remove_custom_metadata: vec!["gone".into()],
            object_json: Some(r#"{"eventBasedHold":true}"#.into()),
            ..Changes::default()
        };
        assert_eq!(
            Value::Object(changes.patch().expect("good flags")).to_string(),
            r#"{"cacheControl":null,"contentType":"a/b","eventBasedHold":true,"metadata":{"gone":null,"k":"v"}}"#
        );
        let clear = Changes {
            clear_custom_metadata: true,
            ..Changes::default()
        };
        assert_eq!(
            Value::Object(clear.patch().expect("good flags")).to_string(),
            r#"{"metadata":null}"#
        );
        assert!(Changes::default().patch().is_err());
    }
}
