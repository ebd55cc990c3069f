//! `gcsd cat`: objects to standard output.

use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::blocking::blocking;
use super::conditions::Payer;
use super::connect::Remote;
use super::destination::{Destination, Stream};
use super::download::Download;
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::get_args::range;
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::{Listed, Meaning, Names, Naming};
use super::quoting::shown;
use super::recovered;
use super::stop::signals;
use super::walk::{Walk, Walking};
use gcsd_client::{ReadRequest, Report};
use gcsd_types::{ByteRange, EncryptionKey, ObjectName, ObjectRef};

/// Print objects to standard output, one after the other.
///
/// An object that is called exactly so wins over a pattern. A read that breaks goes on behind the last byte that came. The first object that cannot be read to its end is the
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
    #[arg(
        value_name = "gs://BUCKET/OBJECT",
        required_unless_present = "stdin",
        conflicts_with = "stdin"
    )]
    urls: Vec<BucketUrl>,
    /// Only these bytes of each: FIRST-LAST (both included, counted from 0), FIRST-, or -COUNT for the last ones.
    #[arg(long, short, value_name = "RANGE", value_parser = range, allow_hyphen_values = true)]
    range: Option<ByteRange>,
    /// Print the URL of each object above it.
    #[arg(long, short)]
    display_url: bool,
    /// Say nothing of what is recovered from.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: CatArgs) -> Result<(), Failure> {
    let stop = signals()?;
    let reports = watch::Sender::default();
    tokio::select! {
        printed = print(&args, &reports) => printed,
        () = stop => Err(Failure::interrupted()),
        never = recovered::report_failures(reports.subscribe(), &args.remote.patience, args.quiet) => never,
    }
}

async fn print(args: &CatArgs, reports: &watch::Sender<Report>) -> Result<(), Failure> {
    let key = args.key.clone();
    let key = blocking(move || key.read()).await?;
    let mut names = Names::new(&args.urls, &args.naming, &args.listed)?;
    let download = Download::new(&args.remote, args.quiet, 1, reports).await?;
    let how = Walking::new(download.requests.clone(), &args.payer);
    while let Some(name) = names.next().await {
        match name?.meaning(&how, args.quiet).await? {
            Meaning::Object { url, generation } => one(args, &download, &key, url, generation).await?,
            Meaning::Walk(url) => {
                let mut walk = Walk::new(how.clone(), &url);
                while let Some(listed) = walk.next_object().await? {
                    let object = ObjectName::new(listed.name);
                    let object = object.map_err(|error| Failure::usage(error).at(&url))?;
                    let bucket = url.bucket.clone();
                    let generation = Some(listed.info.generation);
                    one(args, &download, &key, GsUrl { bucket, object }, generation).await?;
                }
            }
        }
    }
    Ok(())
}

async fn one(
    args: &CatArgs,
    download: &Download,
    key: &Option<EncryptionKey>,
    url: GsUrl,
    generation: Option<u64>,
) -> Result<(), Failure> {
    let place = url.to_string();
    let object = ObjectRef {
        generation,
        user_project: args.payer.user_project.clone(),
        key: key.clone(),
        ..ObjectRef::new(url.bucket, url.object)
    };
    let request = ReadRequest::new(object).with_range(args.range.unwrap_or_default());
    let head = args.display_url.then(|| format!("==> {} <==\n", shown(&place)));
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
