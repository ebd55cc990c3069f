//! `gcsd get`: objects become files, or one a stream.

use std::path::Path;

use indicatif::ProgressBar;
use tokio::sync::watch;

use super::batch::{Batch, Outcome};
use super::blocking::blocking;
use super::destination::Destination;
use super::download::Download;
use super::exit::Failure;
pub(super) use super::get_args::GetArgs;
use super::get_many::{self, Meant, Several};
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::Names;
use super::operands;
use super::stop::signals;
use super::{progress, recovered, stderr};
use gcsd_client::ReadRequest;

/// Runs the command.
pub(super) async fn run(mut args: GetArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::pin!(stop);
    let key = args.key.clone();
    args.known_key = tokio::select! {
        key = blocking(move || key.read()) => key?,
        () = &mut stop => return Err(Failure::interrupted()),
    };
    let (sources, destination) = match args.listed.stdin {
        true => (&[][..], operands::destination(&args.operands)?),
        false => operands::split(&args.operands)?,
    };
    let sources: Vec<BucketUrl> = operands::parse_all(sources)?;
    let names = Names::new(&sources, &args.naming, &args.listed)?;
    let destination = Path::new(destination);
    let to_stdout = destination.as_os_str() == "-";
    if to_stdout && args.reporting.json {
        return Err(Failure::usage(
            "--json and the bytes cannot both go to standard output",
        ));
    }
    let may_be_one = sources.len() == 1 && !args.recursive;
    let reports = watch::Sender::default();
    let sized = may_be_one && !sources[0].is_pattern() && !args.decompress;
    let hidden = args.reporting.quiet || to_stdout;
    let bar = match may_be_one {
        true => progress::bar(sized.then_some(0), hidden),
        false => progress::several(hidden),
    };
    let mut batch = Batch::new(&args.jobs, args.reporting)
        .doing("fetch", "fetched", &bar)
        .dry(args.dry_run);
    let (mut one, mut several_told) = (None, false);
    let work = async {
        let download = Download::new(&args.remote, args.reporting.quiet, args.connections, &reports).await?;
        let download = download.preserving_mtime(args.preserve_mtime);
        let meant = get_many::meanings(&args, names, destination, &download, &mut batch).await?;
        match meant {
            Meant::One(url, _) if args.dry_run.dry_run => {
                one = Some(url.clone());
                Ok(Some(Outcome::Would("fetch")))
            }
            Meant::One(url, generation) => {
                one = Some(url.clone());
                let got = get(&args, &url, generation, destination, &download, &bar).await?;
                Ok(Some(got))
            }
            Meant::Several(meanings) => {
                let several = Several::open(&args, meanings, destination).await?;
                several_told = true;
                several.get(&download, &bar, &mut batch).await.map(|()| None)
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = stop => Err(Failure::interrupted()),
        never = recovered::report_failures(reports.subscribe(), &args.remote.patience, args.reporting.quiet) => never,
    };
    // What was begun is cleared up before this process ends.
    batch.stop().await;
    let place = match (&one, &sources[..]) {
        (Some(url), _) => Some(url.to_string()),
        (None, [url]) if may_be_one && !several_told => Some(url.to_string()),
        _ => None,
    };
    let report = reports.borrow().clone();
    if let (Ok(_), false, Some(line)) = (&done, args.reporting.quiet, recovered::line(&report)) {
        stderr::line(format_args!("gcsd: {line}"));
    }
    let outcome = match done {
        Ok(None) => return Ok(()),
        Ok(Some(Outcome::Done(mut line))) => {
            line["gcsd"] = recovered::json(&report);
            Outcome::Done(line)
        }
        Ok(Some(outcome)) => outcome,
        Err(failure) => Outcome::Failed(failure),
    };
    match (place, outcome) {
        (Some(place), outcome) => {
            batch.report(&place, outcome).await;
            batch.finish().await
        }
        (None, Outcome::Failed(failure)) => Err(failure),
        (None, _) => Ok(()),
    }
}

/// Fetches one object.
async fn get(
    args: &GetArgs,
    url: &GsUrl,
    generation: Option<u64>,
    destination: &Path,
    download: &Download,
    bar: &ProgressBar,
) -> Result<Outcome, Failure> {
    let mut object = args.object_ref(url.bucket.clone(), url.object.clone());
    object.generation = object.generation.or(generation);
    let request = ReadRequest::new(object)
        .with_range(args.range.unwrap_or_default())
        .with_decompress(args.decompress);
    let object = url.object.as_str();
    let name = object.rsplit('/').find(|part| !part.is_empty()).unwrap_or(object);
    let (path, name, no_clobber) = (destination.to_owned(), name.to_owned(), args.no_clobber);
    let open = move || Destination::open(&path, &name, no_clobber);
    match download.run(request, bar, open).await {
        Ok(downloaded) => Ok(Outcome::Done(downloaded.json())),
        Err(failure) if failure.is_file_there() => Ok(Outcome::Skipped(get_many::THERE)),
        Err(failure) => Err(failure),
    }
}
