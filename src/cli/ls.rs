//! `gcsd ls`: what is in a bucket.

use std::io::{self, Write};
use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use super::conditions::Payer;
use super::connect::Remote;
use super::exit::Failure;
use super::gs_url::{BucketUrl, GsUrlError};
use super::pattern::is_pattern;
use super::stop::signals;
use super::walk::{Found, Walk, Walking, nothing};
use super::{stat, units};
use gcsd_client::{BucketPages, ListedObject, ReliableRequests, one_line};
use gcsd_types::BucketQuery;

/// List objects.
///
/// A URL that ends with '/', or that names what others begin with up to a '/', shows what lies below it. In patterns, '*',
/// '?' and '[a-z]' stay between two '/', '**' does not; quote them, or the shell may take them. An object whose own name
/// has such a character is written with '[*]' for it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd ls gs://my-bucket
  gcsd ls -l gs://my-bucket/logs/
  gcsd ls 'gs://my-bucket/logs/2025-*/*.gz'
  gcsd ls 'gs://my-bucket/**'                     every object, a line each
  gcsd ls gs:// --project my-project
  gcsd ls --json 'gs://my-bucket/**' | jq -r .metadata.size")]
pub(super) struct LsArgs {
    /// The bucket, what names begin with, or a pattern; 'gs://' for the buckets of --project.
    #[arg(value_name = "gs://BUCKET[/PATTERN]", required = true)]
    urls: Vec<Listed>,
    /// With sizes and times, and a sum.
    #[arg(long, short)]
    long: bool,
    /// With all that GCS says of each.
    #[arg(long, short = 'L')]
    full: bool,
    /// What lies below, too, by directory.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    /// Versions that are not live, too, each with '#' and its generation.
    #[arg(long, short)]
    all_versions: bool,
    /// Print a line of JSON for each: "url", "type" ("cloud_object", "prefix" or "bucket") and "metadata", GCS's resource.
    #[arg(long, short)]
    json: bool,
    /// The project whose buckets to list.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
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
    type Err = GsUrlError;

    fn from_str(text: &str) -> Result<Self, GsUrlError> {
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
        versions: args.all_versions,
        full: args.full || args.json,
        ..Walking::new(args.remote.requests().await?, &args.payer)
    };
    let spread = |listed: &Listed| matches!(listed, Listed::Objects(url) if is_pattern(&url.prefix));
    let headed = args.recursive || args.urls.len() > 1 || args.urls.iter().any(spread);
    let mut printer = Printer {
        args,
        headed,
        dir: None,
        objects: 0,
        bytes: 0,
        begun: false,
    };
    for listed in &args.urls {
        let url = match listed {
            Listed::Objects(url) => url,
            Listed::Buckets => {
                buckets(args, how.requests.clone()).await?;
                continue;
            }
        };
        let mut walk = Walk::new(how.clone(), url);
        let mut shown = false;
        while let Some(found) = walk.next().await? {
            match found {
                Found::Object(object) => {
                    let dir = args.recursive.then(|| directory(&object.name).to_owned());
                    printer.object(url, dir.as_deref(), &object)?;
                    shown = true;
                }
                Found::Prefix(prefix) => shown |= level(&how, url, &prefix, &mut printer).await?,
            }
        }
        // An empty bucket is there all the same.
        if !shown && !url.prefix.is_empty() {
            return Err(nothing(url));
        }
    }
    printer.sum()
}

/// Lists the buckets of the project.
async fn buckets(args: &LsArgs, requests: ReliableRequests) -> Result<(), Failure> {
    let project = args
        .project
        .clone()
        .ok_or_else(|| Failure::usage("buckets belong to a project: name it with --project"))?;
    let query = BucketQuery {
        user_project: args.payer.user_project.clone(),
        ..BucketQuery::new(project)
    };
    let mut pages = BucketPages::new(requests, query);
    while let Some(buckets) = pages.next().await? {
        for bucket in buckets {
            let name = bucket.get("name").and_then(Value::as_str).unwrap_or_default();
            let place = format!("gs://{name}/");
            match args.json {
                true => print(&json!({"url": place, "type": "bucket", "metadata": bucket}).to_string())?,
                false => print(&one_line(&place))?,
            }
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
            Found::Object(object) => printer.object(url, Some(prefix), &object)?,
            Found::Prefix(below) => printer.prefix(url, prefix, &below)?,
        }
        shown = true;
    }
    Ok(shown)
}

/// What a name has up to its last slash.
fn directory(name: &str) -> &str {
    &name[..name.rfind('/').map_or(0, |slash| slash + 1)]
}

/// Prints what is found, as it is found.
struct Printer<'a> {
    args: &'a LsArgs,
    /// Directories are named above what they hold.
    headed: bool,
    /// The directory that was named last.
    dir: Option<String>,
    objects: u64,
    bytes: u64,
    begun: bool,
}

impl Printer<'_> {
    fn object(&mut self, url: &BucketUrl, dir: Option<&str>, object: &ListedObject) -> Result<(), Failure> {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(object.info.size);
        let mut place = format!("gs://{}/{}", url.bucket, object.name);
        if self.args.all_versions {
            place = format!("{place}#{}", object.info.generation);
        }
        if self.args.json {
            let metadata = &object.resource;
            return print(&json!({"url": place, "type": "cloud_object", "metadata": metadata}).to_string());
        }
        self.head(url, dir)?;
        if self.args.full {
            return print(stat::show(&place, &object.info, &object.resource).trim_end());
        }
        let place = one_line(&place);
        if !self.args.long {
            return print(&place);
        }
        let time = object.resource.get("timeCreated").and_then(Value::as_str);
        let time = one_line(&seconds(time.unwrap_or_default()));
        print(&format!("{:>10}  {time:<20}  {place}", object.info.size))
    }

    fn prefix(&mut self, url: &BucketUrl, dir: &str, prefix: &str) -> Result<(), Failure> {
        let place = format!("gs://{}/{prefix}", url.bucket);
        if self.args.json {
            return print(&json!({"url": place, "type": "prefix"}).to_string());
        }
        self.head(url, Some(dir))?;
        let indent = if self.args.long { 34 } else { 0 };
        print(&format!("{:indent$}{}", "", one_line(&place)))
    }

    /// Names the directory that the next lines are in, where it is another one.
    fn head(&mut self, url: &BucketUrl, dir: Option<&str>) -> Result<(), Failure> {
        let between = if self.begun { "\n" } else { "" };
        self.begun = true;
        let place = dir.map(|dir| format!("gs://{}/{dir}", url.bucket));
        if !self.headed || place.is_none() || self.dir == place {
            return Ok(());
        }
        self.dir = place;
        let place = one_line(self.dir.as_deref().unwrap_or_default());
        print(&format!("{between}{place}:"))
    }

    fn sum(&self) -> Result<(), Failure> {
        if !self.args.long || self.args.json {
            return Ok(());
        }
        let (objects, bytes) = (self.objects, self.bytes);
        let size = units::show_size(bytes);
        print(&format!("TOTAL: {objects} objects, {bytes} bytes ({size})"))
    }
}

/// A time without the fraction of its second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn print(line: &str) -> Result<(), Failure> {
    let written = writeln!(io::stdout().lock(), "{line}");
    written.map_err(|error| Failure::stdout(&error))
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
