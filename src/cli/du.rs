//! `gcsd du`: how much objects take.

use clap::Args;
use serde_json::json;

use super::batch::Tally;
use super::conditions::Payer;
use super::connect::Remote;
use super::exclude::Exclude;
use super::exit::Failure;
use super::gs_url::BucketUrl;
use super::naming::{Meaning, Name, Naming};
use super::quoting::shown;
use super::stdout::Output;
use super::stop::signals;
use super::units;
use super::walk::{Walk, Walking};

/// Show how many bytes objects have, by directory.
///
/// Each directory below a URL gets a line, and then the URL itself, with all that its objects have as they are stored. What
/// GCS bills is more: versions that are not live (--all-versions counts them), uploads under way, least sizes of colder storage
/// classes. A URL that cannot be listed is reported; the others are summed up.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd du gs://my-bucket
  gcsd du -s gs://my-bucket/logs gs://my-bucket/site -c
  gcsd du -s --readable-sizes 'gs://my-bucket/logs/2025-*'
  gcsd du gs://my-bucket --exclude '*.tmp'")]
pub(super) struct DuArgs {
    /// The bucket, what names begin with up to a '/', or a pattern.
    #[arg(value_name = "gs://BUCKET[/PATTERN]", required = true)]
    urls: Vec<BucketUrl>,
    /// Only the URLs themselves, and no directories below them.
    #[arg(long, short)]
    summarize: bool,
    /// Versions that are not live, too.
    #[arg(long, short)]
    all_versions: bool,
    /// A last line with the sum of all URLs.
    #[arg(long, short = 'c')]
    total: bool,
    /// Sizes such as '1.5 MiB' rather than bytes.
    #[arg(long)]
    readable_sizes: bool,
    /// Print a line of JSON for each: "url", "size" in bytes and "objects"; "total" instead of "url" in the last one of --total;
    /// "error" where it cannot be listed.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: DuArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::select! {
        shown = sum(&args) => shown,
        () = stop => Err(Failure::interrupted()),
    }
}

/// Bytes and objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    bytes: u64,
    objects: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.objects += other.objects;
    }
}

/// The directories that the last object lies in, from the outermost on, and what they have so far. Names come in order, so
/// that a directory is left for good.
#[derive(Debug, Default)]
struct Directories(Vec<(String, Sum)>);

impl Directories {
    /// Adds an object whose directories begin at `base` in its name. Returns those that end before it.
    fn add(&mut self, name: &str, base: usize, object: Sum) -> Vec<(String, Sum)> {
        let mut ended = Vec::new();
        while self
            .0
            .last()
            .is_some_and(|(open, _)| !name.starts_with(open.as_str()))
        {
            ended.extend(self.leave());
        }
        for (slash, _) in name.match_indices('/').filter(|(slash, _)| *slash >= base) {
            let directory = &name[..=slash];
            if self.0.last().is_none_or(|(open, _)| open.len() < directory.len()) {
                self.0.push((directory.to_owned(), Sum::default()));
            }
        }
        if let Some((_, sum)) = self.0.last_mut() {
            sum.add(object);
        }
        ended
    }

    /// Leaves the innermost one, whose sum is part of the one that it lies in.
    fn leave(&mut self) -> Option<(String, Sum)> {
        let (directory, sum) = self.0.pop()?;
        if let Some((_, outer)) = self.0.last_mut() {
            outer.add(sum);
        }
        Some((directory, sum))
    }
}

async fn sum(args: &DuArgs) -> Result<(), Failure> {
    let how = Walking {
        recursive: true,
        versions: args.all_versions,
        excluded: args.exclude.read(),
        ..Walking::new(args.remote.requests().await?, &args.payer)
    };
    let mut printer = Printer {
        args,
        out: Output::default(),
    };
    let (mut tally, mut total) = (Tally::default(), Sum::default());
    for url in &args.urls {
        tally.total += 1;
        match one(args, &how, url, &mut printer).await {
            Ok(Ok(sum)) => total.add(sum),
            Ok(Err(failure)) => {
                let failure = failure.or_at(url);
                tally.failed(&failure);
                failure.report();
                if args.json {
                    let line = json!({ "url": url.to_string(), "error": failure.json() });
                    printer.out.line(&line.to_string()).await?;
                }
            }
            Err(closed) => return Err(closed),
        }
    }
    if args.total {
        printer.print(None, total).await?;
    }
    printer.out.finish().await?;
    tally.sum()
}

/// Sums up what a URL stands for. The outer failure is that of standard output.
async fn one(
    args: &DuArgs,
    how: &Walking,
    url: &BucketUrl,
    printer: &mut Printer<'_>,
) -> Result<Result<Sum, Failure>, Failure> {
    let name = Name::from(args.naming.taken(url.clone()));
    let of: BucketUrl = match name.meaning(how, false).await {
        Ok(Meaning::Walk(url)) => url,
        Ok(Meaning::Object { url, .. }) => url.into(),
        Err(failure) => return Ok(Err(failure)),
    };
    let mut walk = Walk::new(how.clone(), &of);
    let base = walk.base(true);
    let (mut directories, mut total) = (Directories::default(), Sum::default());
    let place = |directory: &str| format!("gs://{}/{directory}", of.bucket);
    loop {
        let object = match walk.next_object().await {
            Ok(Some(object)) => object,
            Ok(None) => break,
            // An empty bucket is there all the same.
            Err(_) if walk.is_of_empty_bucket() => break,
            Err(failure) => return Ok(Err(failure)),
        };
        let sum = Sum {
            bytes: object.info.size,
            objects: 1,
        };
        total.add(sum);
        if !args.summarize {
            for (directory, sum) in directories.add(&object.name, base, sum) {
                printer.print(Some(&place(&directory)), sum).await?;
            }
        }
    }
    while let Some((directory, sum)) = directories.leave() {
        printer.print(Some(&place(&directory)), sum).await?;
    }
    printer.print(Some(&url.to_string()), total).await?;
    Ok(Ok(total))
}

/// Prints sums, as they are known.
struct Printer<'a> {
    args: &'a DuArgs,
    out: Output,
}

impl Printer<'_> {
    async fn print(&mut self, url: Option<&str>, sum: Sum) -> Result<(), Failure> {
        let Sum { bytes, objects } = sum;
        if self.args.json {
            let line = match url {
                Some(url) => json!({ "url": url, "size": bytes.to_string(), "objects": objects }),
                None => json!({ "total": true, "size": bytes.to_string(), "objects": objects }),
            };
            return self.out.line(&line.to_string()).await;
        }
        let size = match self.args.readable_sizes {
            true => units::show_size(bytes),
            false => bytes.to_string(),
        };
        let place = url.map_or("total".into(), shown);
        self.out.line(&format!("{size:>12}  {place}")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_end_in_order_and_hold_what_lies_in_them() {
        let mut directories = Directories::default();
        let mut ended = Vec::new();
        let one = Sum { bytes: 1, objects: 1 };
        for name in ["r/a", "r/b/c/x", "r/b/c/y", "r/b/z", "r/b0/x", "r/d"] {
            ended.extend(directories.add(name, 2, one));
        }
        ended.extend(std::iter::from_fn(|| directories.leave()));
        let ended: Vec<_> = ended
            .iter()
            .map(|(name, sum)| (name.as_str(), sum.objects))
            .collect();
        assert_eq!(ended, [("r/b/c/", 2), ("r/b/", 3), ("r/b0/", 1)]);
    }
}
