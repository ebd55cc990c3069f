//! `gcsd ls`: what is in a bucket.

use std::io::IsTerminal as _;
use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use super::batch::Tally;
use super::conditions::Payer;
use super::connect::Remote;
use super::exit::Failure;
use super::gs_url::BucketUrl;
use super::naming::{Meaning, Name, Naming};
use super::quoting::quoted;
use super::stdout::Output;
use super::stop::signals;
use super::walk::{Found, Walk, Walking, nothing};
use super::{reporting, stat, units};
use gcsd_client::{BucketPages, GivenUp, ListedObject, ReliableRequests, one_line};
use gcsd_types::{BucketQuery, UrlError};
use gcsd_wire::Kind;

/// What is no project's name: GCS refuses it, emulators do not look at it.
const NO_PROJECT: &str = "-";

/// List objects.
///
/// A URL that ends with '/', or that names what others begin with up to a '/', shows what lies below it. In patterns, '*',
/// '?' and '[a-z]' stay between two '/', '**' does not; quote them, or the shell may take them. An object or a prefix that
/// is called exactly so wins over a pattern. A URL that cannot be listed is reported; the others are listed.
///
/// Into a pipe, each line is a URL as the other commands take it (--stdin), and nothing else. On a terminal, names are
/// quoted where a shell would need it, and directories have headings.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd ls gs://my-bucket
  gcsd ls -l gs://my-bucket/logs/
  gcsd ls 'gs://my-bucket/logs/2025-*/*.gz'
  gcsd ls 'gs://my-bucket/**'                     every object, a line each
  gcsd ls --project my-project                    the buckets of a project
  gcsd ls --json 'gs://my-bucket/**' | jq -r .metadata.size")]
pub(super) struct LsArgs {
    /// The bucket, what names begin with, or a pattern; 'gs://', or nothing, for the buckets of --project.
    #[arg(
        value_name = "gs://BUCKET[/PATTERN]",
        default_value = "gs://",
        hide_default_value = true
    )]
    urls: Vec<Listed>,
    /// With sizes and times, and a sum.
    #[arg(long, short)]
    long: bool,
    /// With all that GCS says of each.
    #[arg(long, short = 'L')]
    full: bool,
    /// What lies below, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    /// Versions that are not live, too, each with '#' and its generation.
    #[arg(long, short)]
    all_versions: bool,
    /// Print a line of JSON for each: "url", "type" ("cloud_object", "prefix" or "bucket") and "metadata", GCS's resource; of
    /// objects "generation", "size" and "crc32c"; "error" where it cannot be listed.
    #[arg(long)]
    json: bool,
    /// The project whose buckets to list. Emulators list theirs without one.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    remote: Remote,
}

/// What to list.
#[derive(Debug, Clone)]
enum Listed {
    Buckets,
    Objects(BucketUrl),
}

impl FromStr for Listed {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        match text {
            "gs://" => Ok(Self::Buckets),
            _ => text.parse().map(Self::Objects),
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: LsArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::select! {
        listed = list(&args) => listed,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn list(args: &LsArgs) -> Result<(), Failure> {
    let how = Walking {
        recursive: args.recursive,
        levels: true,
        versions: args.all_versions,
        full: args.full || args.json,
        ..Walking::new(args.remote.requests(false).await?, &args.payer)
    };
    let terminal = std::io::stdout().is_terminal();
    let spread = |listed: &Listed| matches!(listed, Listed::Objects(url) if url.is_pattern());
    // Names of different directories come in one row, and each has all of its name.
    let headed = !args.recursive && (args.urls.len() > 1 || args.urls.iter().any(spread));
    let mut printer = Printer {
        args,
        terminal,
        headed: headed && terminal,
        dir: None,
        objects: 0,
        bytes: 0,
        begun: false,
        out: Output::default(),
        closed: false,
    };
    let mut tally = Tally::default();
    for listed in &args.urls {
        tally.total += 1;
        let (place, done) = match listed {
            Listed::Objects(url) => (url.to_string(), objects(args, &how, url, &mut printer).await),
            Listed::Buckets => (
                "gs://".to_owned(),
                buckets(args, how.requests.clone(), &mut printer).await,
            ),
        };
        match done {
            Ok(()) => {}
            Err(failure) if printer.closed => return Err(failure),
            Err(failure) => {
                let failure = failure.or_at(&place);
                tally.failed(&failure);
                failure.report();
                if args.json {
                    let line = json!({"url": place, "error": failure.json()});
                    printer.print(&line.to_string()).await?;
                }
            }
        }
    }
    printer.sum().await?;
    printer.out.finish().await?;
    tally.sum()
}

/// Lists what a URL stands for.
async fn objects(
    args: &LsArgs,
    how: &Walking,
    url: &BucketUrl,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let name = Name::from(args.naming.taken(url.clone()));
    let (url, generation) = match name.meaning(how, false).await? {
        Meaning::Walk(url) => (url, None),
        Meaning::Object { url, generation } => (url.into(), generation),
    };
    let how = Walking {
        versions: how.versions || generation.is_some(),
        ..how.clone()
    };
    let mut walk = Walk::new(how.clone(), &url);
    let mut shown = false;
    while let Some(found) = walk.next().await? {
        match found {
            Found::Object(object) if generation.is_some_and(|wanted| wanted != object.info.generation) => {}
            Found::Object(object) => {
                let dir = args.recursive.then(|| directory(&object.name).to_owned());
                let versioned = args.all_versions || generation.is_some();
                printer.object(&url, dir.as_deref(), &object, versioned).await?;
                shown = true;
            }
            Found::Prefix(_) if generation.is_some() => {}
            Found::Prefix(prefix) => shown |= level(&how, &url, &prefix, printer).await?,
        }
    }
    // An empty bucket is there all the same.
    if !shown && !url.prefix.is_empty() {
        return Err(nothing(&url));
    }
    Ok(())
}

/// Lists the buckets of the project.
async fn buckets(
    args: &LsArgs,
    requests: ReliableRequests,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let project = args.project.clone().unwrap_or_else(|| NO_PROJECT.to_owned());
    let query = BucketQuery {
        user_project: args.payer.user_project.clone(),
        ..BucketQuery::new(project)
    };
    let mut pages = BucketPages::new(requests, query);
    let refused = |given_up: GivenUp| {
        let refused = [Kind::Refused, Kind::NotFound, Kind::Forbidden];
        match args.project.is_none() && refused.iter().any(|kind| given_up.error().is(*kind)) {
            true => Failure::usage("buckets belong to a project").advise("name it with --project"),
            false => given_up.into(),
        }
    };
    while let Some(buckets) = pages.next().await.map_err(refused)? {
        for bucket in buckets {
            let name = bucket.get("name").and_then(Value::as_str).unwrap_or_default();
            let place = format!("gs://{name}/");
            let line = match args.json {
                true => json!({"url": place, "type": "bucket", "metadata": bucket}).to_string(),
                false => printer.name(&place),
            };
            printer.print(&line).await?;
        }
    }
    Ok(())
}

/// Shows what lies directly below `prefix`. Returns whether there is anything.
async fn level(
    how: &Walking,
    url: &BucketUrl,
    prefix: &str,
    printer: &mut Printer<'_>,
) -> Result<bool, Failure> {
    let mut level = Walk::level(how.clone(), url, prefix);
    let mut shown = false;
    while let Some(found) = level.next().await? {
        match found {
            Found::Object(object) => {
                let versioned = printer.args.all_versions;
                printer.object(url, Some(prefix), &object, versioned).await?;
            }
            Found::Prefix(below) => printer.prefix(url, prefix, &below).await?,
        }
        shown = true;
    }
    Ok(shown)
}

/// What a name has up to its last slash.
fn directory(name: &str) -> &str {
    &name[..name.rfind('/').map_or(0, |slash| slash + 1)]
}

/// Prints entries as they are found.
struct Printer<'a> {
    args: &'a LsArgs,
    /// People read it, not programs.
    terminal: bool,
    /// Directories are named above what they hold.
    headed: bool,
    /// The directory that was named last.
    dir: Option<String>,
    objects: u64,
    bytes: u64,
    begun: bool,
    out: Output,
    /// Nobody takes any more.
    closed: bool,
}

impl Printer<'_> {
    async fn object(
        &mut self,
        url: &BucketUrl,
        dir: Option<&str>,
        object: &ListedObject,
        versioned: bool,
    ) -> Result<(), Failure> {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(object.info.size);
        let mut place = format!("gs://{}/{}", url.bucket, object.name);
        if versioned {
            place = format!("{place}#{}", object.info.generation);
        }
        if self.args.json {
            let mut line = reporting::with_resource(&object.info, &object.resource);
            line["url"] = place.into();
            line["type"] = "cloud_object".into();
            return self.print(&line.to_string()).await;
        }
        self.head(url, dir).await?;
        let place = self.name(&place);
        if self.args.full {
            let shown = stat::show(&place, &object.info, &object.resource);
            return self.print(shown.trim_end()).await;
        }
        if !self.args.long {
            return self.print(&place).await;
        }
        let time = object.resource.get("timeCreated").and_then(Value::as_str);
        let time = one_line(&seconds(time.unwrap_or_default()));
        self.print(&format!("{:>10}  {time:<20}  {place}", object.info.size))
            .await
    }

    async fn prefix(&mut self, url: &BucketUrl, dir: &str, prefix: &str) -> Result<(), Failure> {
        let place = format!("gs://{}/{prefix}", url.bucket);
        if self.args.json {
            let line = json!({"url": place, "type": "prefix"});
            return self.print(&line.to_string()).await;
        }
        self.head(url, Some(dir)).await?;
        let indent = if self.args.long { 34 } else { 0 };
        let place = self.name(&place);
        self.print(&format!("{:indent$}{place}", "")).await
    }

    /// Names the directory that the next lines are in, where it is another one.
    async fn head(&mut self, url: &BucketUrl, dir: Option<&str>) -> Result<(), Failure> {
        let between = if self.begun { "\n" } else { "" };
        self.begun = true;
        let place = dir.map(|dir| format!("gs://{}/{dir}", url.bucket));
        if !self.headed || place.is_none() || self.dir == place {
            return Ok(());
        }
        self.dir = place;
        let place = self.name(self.dir.as_deref().unwrap_or_default());
        self.print(&format!("{between}{place}:")).await
    }

    async fn sum(&mut self) -> Result<(), Failure> {
        if !self.args.long || self.args.json {
            return Ok(());
        }
        let (objects, bytes) = (self.objects, self.bytes);
        let size = units::show_size(bytes);
        self.print(&format!("TOTAL: {objects} objects, {bytes} bytes ({size})"))
            .await
    }

    /// A URL for display.
    fn name(&self, url: &str) -> String {
        match self.terminal {
            true => quoted(url).into_owned(),
            false => url.to_owned(),
        }
    }

    async fn print(&mut self, line: &str) -> Result<(), Failure> {
        let printed = self.out.line(line).await;
        self.closed |= printed.is_err();
        printed
    }
}

/// A time without the fraction of its second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_directories() {
        assert_eq!(seconds("2025-11-22T14:32:31.123Z"), "2025-11-22T14:32:31Z");
        assert_eq!(seconds("2025-11-22T14:32:31Z"), "2025-11-22T14:32:31Z");
        assert_eq!((directory("a/b/c"), directory("c")), ("a/b/", ""));
    }
}
