//! `gcsd cp`: objects are copied within Cloud Storage.

use std::ffi::OsString;

use clap::Args;
use serde_json::json;

use super::blocking::blocking;
use super::connect::Remote;
use super::crew::{Crew, Jobs, Outcome, Saying};
use super::exit::Failure;
use super::gs_url::{BucketUrl, GsUrl, Target};
use super::new_object::{NewObject, Template};
use super::operands;
use super::pattern::is_pattern;
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::ReliableRequests;
use gcsd_types::{ObjectName, ObjectRef, Rewrite};
use gcsd_wire::Kind;

/// Copy objects within Cloud Storage.
///
/// GCS does it by itself: the bytes do not come by here. A copy has the metadata of its source, unless any is given. What
/// cannot be copied is told, and the others go on. For files, there are 'gcsd put' and 'gcsd get'.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd cp [OPTIONS] <gs://BUCKET/SRC>... <gs://BUCKET/DEST>")]
#[command(after_help = "\
Examples:
  gcsd cp gs://my-bucket/a gs://my-bucket/b
  gcsd cp 'gs://my-bucket/logs/*.gz' gs://other-bucket/logs/
  gcsd cp -r gs://my-bucket/site gs://other-bucket/        becomes gs://other-bucket/site/...
  gcsd cp -r gs://my-bucket/site/ gs://other-bucket/new    becomes gs://other-bucket/new/...")]
pub(super) struct CpArgs {
    /// What to copy, and the copy: objects, or patterns of them, and with --recursive what their names begin with up to a
    /// '/'. A copy that ends with '/' is what the names of copies begin with; those of several objects need one.
    #[arg(value_names = ["gs://BUCKET/SRC", "gs://BUCKET/DEST"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
    /// What lies below the sources, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    /// Print a line of JSON for each object, with its "error" where it failed.
    #[arg(long)]
    json: bool,
    /// Do not tell what is skipped.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    new: NewObject,
}

/// Runs the command.
pub(super) async fn run(args: CpArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let saying = Saying {
        json: args.json,
        quiet: args.quiet,
    };
    let mut crew = Crew::new(&args.jobs, saying);
    tokio::select! {
        copied = copy(&args, &mut crew) => copied,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn copy(args: &CpArgs, crew: &mut Crew) -> Result<(), Failure> {
    let (sources, target) = operands::split(&args.operands)?;
    let sources: Vec<BucketUrl> = operands::parse_all(sources)?;
    let target: Target = operands::parse(target)?;
    let new = args.new.clone();
    let new = blocking(move || new.template()).await?;
    let one = match sources.as_slice() {
        [url] if !args.recursive && !is_pattern(&url.prefix) => Some(url),
        _ => None,
    };
    if let Some(url) = one {
        let source = url.object().map_err(|error| Failure::usage(error).at(url))?;
        let target = target.named(last_part(&url.prefix)).map_err(Failure::usage)?;
        let requests = args.remote.requests().await?;
        rewrite(&new, crew, &requests, source, None, target, false).await?;
        return crew.finish().await;
    }
    let place = target
        .below(args.recursive && sources.len() == 1)
        .map_err(Failure::usage)?;
    let requests = args.remote.requests().await?;
    for url in &sources {
        if !args.recursive && !is_pattern(&url.prefix) {
            let source = url.object().map_err(|error| Failure::usage(error).at(url))?;
            let target = place.join(last_part(&url.prefix).unwrap_or_default());
            let target = target.map_err(Failure::usage)?;
            rewrite(&new, crew, &requests, source, None, target, true).await?;
            continue;
        }
        let how = Walking {
            recursive: args.recursive,
            ..Walking::new(requests.clone(), &args.new.payer)
        };
        let mut walk = Walk::new(how, url);
        let base = walk.base(place.renames());
        loop {
            let listed = match walk.next_object().await {
                Ok(Some(listed)) => listed,
                Ok(None) => break,
                Err(failure) => {
                    crew.tell(&url.to_string(), Outcome::Failed(failure));
                    break;
                }
            };
            let from = format!("gs://{}/{}", url.bucket, listed.name);
            let target = place.join(listed.name.get(base..).unwrap_or_default());
            match (ObjectName::new(listed.name), target) {
                (Ok(object), Ok(target)) => {
                    let bucket = url.bucket.clone();
                    let source = GsUrl { bucket, object };
                    let generation = Some(listed.info.generation);
                    rewrite(&new, crew, &requests, source, generation, target, true).await?;
                }
                (_, Err(error)) => crew.tell(&from, Outcome::Failed(Failure::usage(error))),
                (Err(error), _) => crew.tell(&from, Outcome::Failed(Failure::usage(error))),
            }
        }
    }
    crew.finish().await
}

/// What a name ends with, behind its last slash.
fn last_part(name: &str) -> Option<&str> {
    name.rsplit('/').next().filter(|part| !part.is_empty())
}

async fn rewrite(
    new: &Template,
    crew: &mut Crew,
    requests: &ReliableRequests,
    source: GsUrl,
    generation: Option<u64>,
    target: GsUrl,
    of_many: bool,
) -> Result<(), Failure> {
    let place = source.to_string();
    let rewrite = Rewrite {
        source: ObjectRef {
            generation,
            ..ObjectRef::new(source.bucket, source.object)
        },
        destination: new.destination(&target),
        max_bytes: None,
        token: None,
    };
    let skips = of_many && new.is_no_clobber();
    let requests = requests.clone();
    let work = async move {
        match requests.copy(rewrite).await {
            Ok(copied) => {
                let object = copied.args;
                Outcome::Done(json!({
                    "destination": target.to_string(),
                    "generation": object.generation.to_string(),
                    "size": object.size.to_string(),
                    "crc32c": object.crc32c.map(|crc32c| crc32c.to_base64()),
                }))
            }
            Err(given_up) if skips && given_up.failure.is(Kind::PreconditionFailed) => {
                Outcome::Skipped("its copy would replace an object (--no-clobber)")
            }
            Err(given_up) => Outcome::Failed(given_up.into()),
        }
    };
    crew.add(place, work).await
}
