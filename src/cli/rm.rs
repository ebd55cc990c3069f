//! `gcsd rm`: delete objects.

use clap::Args;
use serde_json::json;

use super::batch::{Batch, Jobs, Outcome};
use super::conditions::Version;
use super::connect::Remote;
use super::exclude::Exclude;
use super::exit::{Exit, Failure};
use super::gs_url::BucketUrl;
use super::naming::{Listed, Meaning, Names, Naming};
use super::progress;
use super::reporting::{DryRun, Reporting};
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::ReliableRequests;
use gcsd_types::{ObjectName, ObjectRef};

/// Delete objects.
///
/// In patterns, '*', '?' and '[a-z]' stay between two '/', '**' does not; an object that is called exactly so wins over a
/// pattern. Each object that is deleted is named on standard error. What is listed is deleted as it was listed: an object that
/// was replaced meanwhile stays. Failures are reported, and the rest continues. A bucket itself is never deleted.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd rm gs://my-bucket/old.tar
  gcsd rm 'gs://my-bucket/logs/2024-*.gz'
  gcsd rm -r gs://my-bucket/tmp
  gcsd ls 'gs://my-bucket/logs/**' | grep '\\.tmp$' | gcsd rm --stdin
  gcsd rm gs://my-bucket/state --if-generation-match 1712345678901234")]
pub(super) struct RmArgs {
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
    /// Versions that are not live, too.
    #[arg(long, short)]
    all_versions: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: RmArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let bar = progress::count(args.reporting.quiet);
    let batch = Batch::new(&args.jobs, args.reporting).doing("delete", "deleted", &bar);
    let mut batch = batch.announcing().dry(args.dry_run);
    tokio::select! {
        removed = remove(&args, &mut batch) => removed,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn remove(args: &RmArgs, batch: &mut Batch) -> Result<(), Failure> {
    let one = args.urls.len() == 1 && !args.recursive && !args.all_versions;
    if !one && !args.version.is_any() {
        return Err(Version::several());
    }
    if let Some(url) = args
        .urls
        .iter()
        .find(|url| url.prefix.is_empty() && !args.recursive)
    {
        let what = "it is a bucket, and buckets are not deleted; --recursive deletes what is in it";
        return Err(Failure::usage(what).at(url));
    }
    let mut names = Names::new(&args.urls, &args.naming, &args.listed)?;
    let requests = args.remote.requests().await?;
    let how = Walking {
        recursive: args.recursive,
        versions: args.all_versions,
        excluded: args.exclude.read(),
        ..Walking::new(requests.clone(), &args.version.payer)
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
        let mut walk = match name.meaning(&how, args.reporting.quiet).await {
            Ok(Meaning::Walk(_)) if !args.version.is_any() => return Err(Version::several()),
            Ok(Meaning::Walk(url)) => Walk::new(how.clone(), &url),
            Ok(Meaning::Object { url, generation }) => {
                let mut object = args.version.of(url.bucket, url.object);
                object.generation = object.generation.or(generation);
                delete(batch, &requests, object, false).await?;
                continue;
            }
            Err(failure) => {
                batch
                    .report(&name.url.to_string(), Outcome::Failed(failure))
                    .await;
                continue;
            }
        };
        loop {
            match walk.next_object().await {
                Ok(Some(listed)) => {
                    let object = ObjectName::new(listed.name);
                    let object = object.map_err(|error| Failure::usage(error).at(&name.url))?;
                    let mut object = args.version.of(name.url.bucket.clone(), object);
                    // What was listed, and nothing that has taken its place since.
                    match args.all_versions {
                        true => object.generation = Some(listed.info.generation),
                        false => object.preconditions.if_generation_match = Some(listed.info.generation),
                    }
                    delete(batch, &requests, object, true).await?;
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

async fn delete(
    batch: &mut Batch,
    requests: &ReliableRequests,
    of: ObjectRef,
    listed: bool,
) -> Result<(), Failure> {
    let version = of.generation.map(|generation| format!("#{generation}"));
    let place = format!("gs://{}/{}{}", of.bucket, of.object, version.unwrap_or_default());
    let requests = requests.clone();
    let work = async move {
        let deleted = requests.delete(&of).await;
        let deleted = deleted.map(|()| json!({ "deleted": true }));
        let failed = |given_up| match Failure::from(given_up) {
            failure if listed && failure.exit() == Exit::Precondition => {
                failure.advise("it was replaced or deleted after it was listed, and nothing else was deleted")
            }
            failure => failure,
        };
        deleted.map_err(failed).into()
    };
    batch.add(place, work).await
}
