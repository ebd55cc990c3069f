//! `gcsd compose`: one object of several, without their bytes coming by here.

use std::ffi::OsString;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;

use super::batch::{Batch, Outcome};
use super::blocking::blocking;
use super::connect::Remote;
use super::exit::Failure;
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::{Meaning, Name, Naming};
use super::new_object::{NewObject, THERE};
use super::operands;
use super::reporting::{self, Reporting};
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_types::{ComposeSource, ObjectName};

/// Make one object of up to 32, in their order.
///
/// GCS does it by itself: the bytes do not come by here. The objects that it is made of stay, and lie in the same
/// bucket. The new object may be one of them, and then replaces it: this is how bytes are appended. Objects of a pattern are
/// taken in the order of their names, in the generations that are listed; an object that is called exactly so wins over a
/// pattern. The new object is called exactly as it is written.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd compose [OPTIONS] <gs://BUCKET/SRC>... <gs://BUCKET/OBJECT>")]
#[command(after_help = "\
Examples:
  gcsd compose gs://my-bucket/part-1 gs://my-bucket/part-2 gs://my-bucket/whole
  gcsd compose 'gs://my-bucket/part-*' gs://my-bucket/whole --no-clobber")]
pub(super) struct ComposeArgs {
    /// What it is made of, objects or patterns of them, and the object that is made.
    #[arg(value_names = ["gs://BUCKET/SRC", "gs://BUCKET/OBJECT"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    new: NewObject,
}

/// Runs the command.
pub(super) async fn run(args: ComposeArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let (sources, target) = operands::split(&args.operands)?;
    let urls: Vec<BucketUrl> = operands::parse_all(sources)?;
    let target: GsUrl = operands::parse(target)?;
    let composed = tokio::select! {
        composed = compose(&args, &urls, &target) => composed,
        () = stop => Err(Failure::interrupted()),
    };
    let outcome = match composed {
        Err(failure) if args.new.is_no_clobber() && failure.is_precondition() => Outcome::Skipped(THERE),
        composed => composed.into(),
    };
    let bar = ProgressBar::hidden();
    let mut batch = Batch::of_one(args.reporting).doing("compose", "composed", &bar);
    batch.report(&target.to_string(), outcome).await;
    batch.finish().await
}

async fn compose(args: &ComposeArgs, urls: &[BucketUrl], target: &GsUrl) -> Result<Value, Failure> {
    let requests = args.remote.requests().await?;
    let new = args.new.clone();
    let destination = blocking(move || new.template()).await?.destination(target);
    let how = Walking::new(requests.clone(), &args.new.payer);
    let mut sources = Vec::new();
    for url in urls {
        if url.bucket != target.bucket {
            return Err(Failure::usage("objects are composed within one bucket").at(url));
        }
        let name = Name::from(args.naming.taken(url.clone()));
        let mut walk = match name.meaning(&how, false).await? {
            Meaning::Object { url, generation } => {
                let source = ComposeSource {
                    generation,
                    ..ComposeSource::new(url.object)
                };
                add(&mut sources, source)?;
                continue;
            }
            Meaning::Walk(url) => Walk::new(how.clone(), &url),
        };
        while let Some(listed) = walk.next_object().await? {
            let object = ObjectName::new(listed.name).map_err(|error| Failure::usage(error).at(url))?;
            let source = ComposeSource {
                generation: Some(listed.info.generation),
                ..ComposeSource::new(object)
            };
            add(&mut sources, source)?;
        }
    }
    let composed = requests.compose(&destination, &sources).await;
    let composed = composed.map_err(|error| Failure::from(error).at(target))?;
    let resource = reporting::resource(&composed.json);
    Ok(reporting::with_resource(&composed.info, &resource))
}

fn add(sources: &mut Vec<ComposeSource>, source: ComposeSource) -> Result<(), Failure> {
    if sources.len() == ComposeSource::MAX {
        let most = ComposeSource::MAX;
        return Err(Failure::usage(format!(
            "these are more than {most} objects, and GCS composes no more at once"
        )));
    }
    sources.push(source);
    Ok(())
}
