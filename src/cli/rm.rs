//! `gcsd rm`: objects are gone.

use clap::Args;
use serde_json::json;

use super::conditions::Version;
use super::connect::Remote;
use super::crew::{Crew, Jobs, Outcome, Saying};
use super::exit::Failure;
use super::gs_url::BucketUrl;
use super::pattern::is_pattern;
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::ReliableRequests;
use gcsd_types::{ObjectName, ObjectRef};
use gcsd_wire::delete_object;

/// Delete objects.
///
/// In patterns, '*', '?' and '[a-z]' stay between two '/', '**' does not. What cannot be deleted is told, and the others
/// go on. A bucket itself is never deleted.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd rm gs://my-bucket/old.tar
  gcsd rm 'gs://my-bucket/logs/2024-*.gz'
  gcsd rm -r gs://my-bucket/tmp
  gcsd rm gs://my-bucket/state --if-generation-match 1712345678901234")]
pub(super) struct RmArgs {
    /// The objects, or patterns of them; with --recursive, what their names begin with up to a '/'.
    #[arg(value_name = "gs://BUCKET/OBJECT", required = true)]
    urls: Vec<BucketUrl>,
    /// What lies below the URLs, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    /// Versions that are not live, too.
    #[arg(long, short)]
    all_versions: bool,
    /// Print a line of JSON for each object, with its "error" where it failed.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: RmArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let saying = Saying {
        json: args.json,
        quiet: true,
    };
    let mut crew = Crew::new(&args.jobs, saying);
    tokio::select! {
        removed = remove(&args, &mut crew) => removed,
        () = stop => Err(Failure::interrupted()),
    }
}

impl RmArgs {
    /// Whether a URL stands for one object by itself, which need not be looked for.
    fn is_one(&self, url: &BucketUrl) -> bool {
        !self.recursive && !self.all_versions && !is_pattern(&url.prefix)
    }

    fn object(&self, url: &BucketUrl, name: &str) -> Result<ObjectRef, Failure> {
        let name = ObjectName::new(name).map_err(|error| Failure::usage(error).at(url))?;
        Ok(self.version.of(url.bucket.clone(), name))
    }
}

async fn remove(args: &RmArgs, crew: &mut Crew) -> Result<(), Failure> {
    let one = args.urls.len() == 1 && args.is_one(&args.urls[0]);
    if !one && !args.version.is_any() {
        let what = "--generation and preconditions are for one object, and this may be several";
        return Err(Failure::usage(what));
    }
    if let Some(url) = args
        .urls
        .iter()
        .find(|url| url.prefix.is_empty() && !args.recursive)
    {
        let what = "it is a bucket, and buckets are not deleted; --recursive deletes what is in it";
        return Err(Failure::usage(what).at(url));
    }
    let requests = args.remote.requests().await?;
    let how = Walking {
        recursive: args.recursive,
        versions: args.all_versions,
        ..Walking::new(requests.clone(), &args.version.payer)
    };
    for url in &args.urls {
        if args.is_one(url) {
            delete(crew, &requests, args.object(url, &url.prefix)?).await?;
            continue;
        }
        let mut walk = Walk::new(how.clone(), url);
        loop {
            match walk.next_object().await {
                Ok(Some(listed)) => {
                    let mut object = args.object(url, &listed.name)?;
                    if args.all_versions {
                        object.generation = Some(listed.info.generation);
                    }
                    delete(crew, &requests, object).await?;
                }
                Ok(None) => break,
                Err(failure) => {
                    crew.tell(&url.to_string(), Outcome::Failed(failure));
                    break;
                }
            }
        }
    }
    crew.finish().await
}

async fn delete(crew: &mut Crew, requests: &ReliableRequests, of: ObjectRef) -> Result<(), Failure> {
    let version = of.generation.map(|generation| format!("#{generation}"));
    let place = format!("gs://{}/{}{}", of.bucket, of.object, version.unwrap_or_default());
    let requests = requests.clone();
    let work = async move {
        let deleted = requests.delete(&delete_object::Args { of }).await;
        let deleted = deleted.map(|()| json!({ "deleted": true }));
        deleted.map_err(Failure::from).into()
    };
    crew.add(place, work).await
}
