//! `gcsd cp`: objects are copied within Cloud Storage.

use std::ffi::OsString;

use clap::Args;

use super::batch::{Batch, Jobs, Outcome};
use super::blocking::blocking;
use super::connect::Remote;
use super::copies::{self, Copies};
use super::exit::{Exit, Failure};
use super::gs_url::{GsUrl, Target};
use super::naming::{Listed, Meaning, Names, Naming};
use super::new_object::{NewObject, Template};
use super::operands;
use super::progress;
use super::reporting::{self, DryRun, Reporting};
use super::stop::signals;
use super::walk::Walking;
use gcsd_client::ReliableRequests;
use gcsd_types::{ObjectRef, Rewrite};
use gcsd_wire::Kind;

/// Copy objects within Cloud Storage.
///
/// GCS does it by itself: the bytes do not come by here. A copy has the metadata of its source, unless any is given. An
/// object that is called exactly so wins over a pattern; a copy is called exactly as it is written. Two sources that would
/// become one copy, and copies that would be sources again, are refused. Other failures are reported, and the rest
/// continues. For files, there are 'gcsd put' and 'gcsd get'.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd cp [OPTIONS] <gs://BUCKET/SRC>... <gs://BUCKET/DEST>")]
#[command(after_help = "\
Examples:
  gcsd cp gs://my-bucket/a gs://my-bucket/b
  gcsd cp 'gs://my-bucket/logs/*.gz' gs://other-bucket/logs/
  gcsd cp -r gs://my-bucket/site gs://other-bucket/        becomes gs://other-bucket/site/...
  gcsd cp -r gs://my-bucket/site/ gs://other-bucket/new    becomes gs://other-bucket/new/...
  gcsd ls gs://my-bucket | gcsd cp --stdin gs://other-bucket/copies/")]
pub(super) struct CpArgs {
    /// What to copy, and the copy: objects, or patterns of them, and with --recursive what their names begin with up to a
    /// '/'. A copy that ends with '/' is what the names of copies begin with; those of several objects need one.
    #[arg(value_names = ["gs://BUCKET/SRC", "gs://BUCKET/DEST"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
    /// What lies below the sources, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    dry_run: DryRun,
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
    let bar = progress::count(args.reporting.quiet);
    let mut batch = Batch::new(&args.jobs, args.reporting)
        .doing("copy", "copied", &bar)
        .dry(args.dry_run);
    tokio::select! {
        copied = copy(&args, &mut batch) => copied,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn copy(args: &CpArgs, batch: &mut Batch) -> Result<(), Failure> {
    let (urls, target) = match args.listed.stdin {
        true => (Vec::new(), operands::destination(&args.operands)?),
        false => {
            let (sources, target) = operands::split(&args.operands)?;
            (operands::parse_all(sources)?, target)
        }
    };
    let target: Target = operands::parse(target)?;
    let names = Names::new(&urls, &args.naming, &args.listed)?;
    let may_be_one = urls.len() == 1 && !args.recursive;
    let renames = args.recursive && urls.len() == 1;
    if !may_be_one {
        target.below(renames).map_err(Failure::usage)?;
    }
    let new = args.new.clone();
    let new = blocking(move || new.template()).await?;
    let requests = args.remote.requests(args.reporting.quiet).await?;
    let how = Walking {
        recursive: args.recursive,
        ..Walking::new(requests.clone(), &args.new.payer)
    };
    let mut sources = Vec::new();
    for name in names.all().await? {
        let meaning = name.meaning(&how, args.reporting.quiet).await;
        match meaning {
            Ok(Meaning::Object { url, generation }) if may_be_one => {
                let target = target.named(last_part(url.object.as_str()));
                let target = target.map_err(Failure::usage)?;
                if url == target && !new.changes_anything() {
                    return Err(copies::onto_itself().at(&url));
                }
                rewrite(&new, batch, &requests, url, generation, target, false).await?;
                return batch.finish().await;
            }
            Ok(meaning) => sources.push(meaning),
            Err(failure) => {
                batch
                    .report(&name.url.to_string(), Outcome::Failed(failure))
                    .await
            }
        }
    }
    let place = target.below(renames).map_err(Failure::usage)?;
    let copies = Copies::new(sources, place, &how, &new, batch).await?;
    copies.make(&new, batch, &requests).await
}

/// What a name ends with, behind its last slash.
pub(super) fn last_part(name: &str) -> Option<&str> {
    name.rsplit('/').next().filter(|part| !part.is_empty())
}

/// Begins to copy an object.
pub(super) async fn rewrite(
    new: &Template,
    batch: &mut Batch,
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
    let skips = new.is_no_clobber();
    let requests = requests.clone();
    let work = async move {
        match requests.copy(rewrite).await {
            Ok(copied) => {
                let mut line = reporting::object(&copied.info);
                line["destination"] = target.to_string().into();
                Outcome::Done(line)
            }
            Err(given_up)
                if skips && !given_up.is_unknown() && given_up.error().is(Kind::PreconditionFailed) =>
            {
                Outcome::Skipped("its copy would replace an object (--no-clobber)")
            }
            Err(given_up) => Outcome::Failed(match Failure::from(given_up) {
                failure if of_many && generation.is_some() && failure.exit() == Exit::NotFound => {
                    failure.advise("it was replaced or deleted after it was listed")
                }
                failure => failure,
            }),
        }
    };
    batch.add(place, work).await
}
