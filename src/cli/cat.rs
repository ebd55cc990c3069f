//! `gcsd cat`: objects to standard output.

use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::conditions::Payer;
use super::connect::Remote;
use super::destination::{Destination, Stream};
use super::download::Download;
use super::exit::Failure;
use super::get::range;
use super::gs_url::BucketUrl;
use super::pattern::is_pattern;
use super::recovered;
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::Report;
use gcsd_types::{ObjectName, ObjectRef};
use gcsd_wire::read_at::{self, Range};

/// Print objects to standard output, one after the other.
///
/// A read that breaks goes on behind the last byte that came. The first object that cannot be read to its end is the
/// last one: nothing comes behind what is missing.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd cat gs://my-bucket/a.txt gs://my-bucket/b.txt
  gcsd cat 'gs://my-bucket/logs/*.txt' | grep error
  gcsd cat -r 0-99 gs://my-bucket/a.txt           the first 100 bytes
  gcsd cat -r -5 gs://my-bucket/a.txt             the last 5 bytes")]
pub(super) struct CatArgs {
    /// The objects, or patterns of them.
    #[arg(value_name = "gs://BUCKET/OBJECT", required = true)]
    urls: Vec<BucketUrl>,
    /// Only these bytes of each: FIRST-LAST (both included, counted from 0), FIRST-, or -COUNT for the last ones.
    #[arg(long, short, value_name = "RANGE", value_parser = range, allow_hyphen_values = true)]
    range: Option<Range>,
    /// Print the URL of each object above it.
    #[arg(long, short)]
    display_url: bool,
    /// Say nothing of what is recovered from.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: CatArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let reports = watch::Sender::default();
    let bar = ProgressBar::hidden();
    tokio::select! {
        printed = print(&args, &reports) => printed,
        () = stop => Err(Failure::interrupted()),
        never = recovered::tell(reports.subscribe(), &bar, &args.remote.patience, args.quiet) => never,
    }
}

async fn print(args: &CatArgs, reports: &watch::Sender<Report>) -> Result<(), Failure> {
    let download = Download::new(&args.remote, 1, reports).await?;
    for url in &args.urls {
        if !is_pattern(&url.prefix) {
            one(args, &download, url, &url.prefix, None).await?;
            continue;
        }
        let how = Walking::new(download.requests.clone(), &args.payer);
        let mut walk = Walk::new(how, url);
        while let Some(object) = walk.next_object().await? {
            one(args, &download, url, &object.name, Some(object.info.generation)).await?;
        }
    }
    Ok(())
}

async fn one(
    args: &CatArgs,
    download: &Download,
    url: &BucketUrl,
    name: &str,
    generation: Option<u64>,
) -> Result<(), Failure> {
    let place = format!("gs://{}/{name}", url.bucket);
    let object = ObjectName::new(name).map_err(|error| Failure::usage(error).at(&place))?;
    let request = read_at::Args {
        of: ObjectRef {
            generation,
            user_project: args.payer.user_project.clone(),
            ..ObjectRef::new(url.bucket.clone(), object)
        },
        range: args.range.unwrap_or(Range::From(0)),
        decompress: false,
    };
    let head = args
        .display_url
        .then(|| format!("==> {} <==\n", gcsd_client::one_line(&place)));
    let open = move || {
        let written = head.map_or(Ok(()), |head| {
            std::io::Write::write_all(&mut Stream::Stdout, head.as_bytes())
        });
        written.map_err(|error| Failure::stdout(&error))?;
        Ok(Destination::Stream(Stream::Stdout))
    };
    let printed = download.run(request, &ProgressBar::hidden(), open).await;
    printed.map(|_| ()).map_err(|failure| failure.or_at(&place))
}
