//! `gcsd hash`: checksums of files and objects.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use super::batch::Tally;
use super::blocking::blocking;
use super::conditions::Payer;
use super::connect::Remote;
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::fields::hex;
use super::gs_url::{BucketUrl, GsUrl};
use super::naming::{Meaning, Name, Naming};
use super::operands;
use super::quoting::shown;
use super::stdout::Output;
use super::stop::signals;
use super::sums::Sums;
use super::walk::{Walk, Walking};
use gcsd_client::ReliableRequests;
use gcsd_types::{EncryptionKey, ObjectName, ObjectRef};

/// Show the checksums of files and objects.
///
/// Files are read here; of objects, GCS tells what it keeps: objects that were composed or uploaded in parts have no MD5. The
/// form is that of 'gcloud storage hash'. What is transferred is compared by CRC32C in any case: this is for checks of your
/// own. Failures are reported, and the rest continues.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd hash backup.tar gs://my-bucket/backup.tar
  gcsd hash --hex --skip-crc32c backup.tar
  gcsd hash --json 'gs://my-bucket/**' | jq -r '[.crc32c, .url] | @tsv'
  cat backup.tar | gcsd hash -")]
pub(super) struct HashArgs {
    /// Files, '-' for standard input, and objects or patterns of them.
    #[arg(value_name = "FILE|gs://BUCKET/OBJECT", required = true)]
    names: Vec<OsString>,
    /// In hexadecimal rather than base64.
    #[arg(long)]
    hex: bool,
    /// Without CRC32C.
    #[arg(long, conflicts_with = "skip_md5")]
    skip_crc32c: bool,
    /// Without MD5.
    #[arg(long)]
    skip_md5: bool,
    /// Print a line of JSON for each: "url" or "file", "size", "crc32c" and "md5", or "error".
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    remote: Remote,
}

/// What the bytes are those of.
enum Of {
    File(String),
    Object(String),
}

/// Runs the command.
pub(super) async fn run(args: HashArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::select! {
        shown = hash(&args) => shown,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn hash(args: &HashArgs) -> Result<(), Failure> {
    let is_object = |name: &OsString| name.to_string_lossy().starts_with("gs://");
    let (key, objects) = match args.names.iter().any(is_object) {
        true => {
            let key = args.key.clone();
            let key = blocking(move || key.read()).await?;
            (key, Some(args.remote.requests().await?))
        }
        false => (None, None),
    };
    let mut printer = Printer {
        args,
        out: Output::default(),
        tally: Tally::default(),
    };
    for name in &args.names {
        match (&objects, is_object(name)) {
            (Some(requests), true) => printer.objects(name, requests, &key).await?,
            _ => {
                let (path, md5) = (PathBuf::from(name), !args.skip_md5);
                let sums = blocking(move || of_file(&path, md5)).await;
                printer
                    .print(Of::File(name.to_string_lossy().into_owned()), sums)
                    .await?;
            }
        }
    }
    printer.out.finish().await?;
    printer.tally.sum()
}

/// Reads a file, or standard input, to its end.
fn of_file(path: &Path, with_md5: bool) -> Result<Sums, Failure> {
    let sums = match path.as_os_str() == "-" {
        true => gcsd_stdio::stdin().and_then(|input| Sums::of(input, with_md5)),
        false => File::open(path).and_then(|input| Sums::of(input, with_md5)),
    };
    sums.map_err(|error| Failure::io(path.display(), &error))
}

/// Prints checksums, as they are known.
struct Printer<'a> {
    args: &'a HashArgs,
    out: Output,
    tally: Tally,
}

impl Printer<'_> {
    /// Prints those of the objects that a name stands for. Only what standard output fails with comes back.
    async fn objects(
        &mut self,
        name: &OsString,
        requests: &ReliableRequests,
        key: &Option<EncryptionKey>,
    ) -> Result<(), Failure> {
        let how = Walking::new(requests.clone(), &self.args.payer);
        let meaning = match operands::parse::<BucketUrl>(name) {
            Ok(url) => Name::from(self.args.naming.taken(url)).meaning(&how, false).await,
            Err(failure) => Err(failure),
        };
        let whole = || Of::Object(name.to_string_lossy().into_owned());
        let mut walk = match meaning {
            Ok(Meaning::Object { url, generation }) => {
                return self.object(url, generation, requests, key).await;
            }
            Ok(Meaning::Walk(url)) => (Walk::new(how, &url), url),
            Err(failure) => return self.print(whole(), Err(failure)).await,
        };
        loop {
            let bucket = walk.1.bucket.clone();
            match walk.0.next_object().await {
                Ok(None) => return Ok(()),
                Ok(Some(listed)) => match ObjectName::new(listed.name) {
                    Ok(object) => {
                        let url = GsUrl { bucket, object };
                        self.object(url, Some(listed.info.generation), requests, key)
                            .await?;
                    }
                    Err(error) => self.print(whole(), Err(Failure::usage(error))).await?,
                },
                Err(failure) => return self.print(whole(), Err(failure)).await,
            }
        }
    }

    async fn object(
        &mut self,
        url: GsUrl,
        generation: Option<u64>,
        requests: &ReliableRequests,
        key: &Option<EncryptionKey>,
    ) -> Result<(), Failure> {
        let place = url.to_string();
        let of = ObjectRef {
            generation,
            user_project: self.args.payer.user_project.clone(),
            key: key.clone(),
            ..ObjectRef::new(url.bucket, url.object)
        };
        let sums = requests.stat(&of).await.map(|found| Sums {
            size: found.info.size,
            crc32c: found.info.crc32c,
            md5: found.info.md5,
        });
        self.print(Of::Object(place), sums.map_err(Failure::from)).await
    }

    async fn print(&mut self, of: Of, sums: Result<Sums, Failure>) -> Result<(), Failure> {
        let (key, place) = match of {
            Of::File(file) => ("file", file),
            Of::Object(url) => ("url", url),
        };
        self.tally.total += 1;
        let sums = match sums {
            Ok(sums) => sums,
            Err(failure) => {
                let failure = failure.or_at(&place);
                self.tally.failed(&failure);
                failure.report();
                if !self.args.json {
                    return Ok(());
                }
                let line = json!({ key: place, "error": failure.json() });
                return self.out.line(&line.to_string()).await;
            }
        };
        let digest = |bytes: &[u8]| match self.args.hex {
            true => hex(bytes),
            false => STANDARD.encode(bytes),
        };
        let crc32c = sums.crc32c.filter(|_| !self.args.skip_crc32c);
        let crc32c = crc32c.map(|crc32c| digest(&crc32c.0.to_be_bytes()));
        let md5 = sums.md5.filter(|_| !self.args.skip_md5).map(|md5| digest(&md5));
        if self.args.json {
            let mut line = json!({ key: place, "size": sums.size.to_string() });
            for (name, sum) in [("crc32c", crc32c), ("md5", md5)] {
                if let Some(sum) = sum {
                    line[name] = sum.into();
                }
            }
            return self.out.line(&line.to_string()).await;
        }
        let mut text = "---\n".to_owned();
        if let Some(crc32c) = crc32c {
            text += &format!("crc32c_hash: {crc32c}\n");
        }
        text += &format!(
            "digest_format: {}\n",
            if self.args.hex { "hex" } else { "base64" }
        );
        if let Some(md5) = md5 {
            text += &format!("md5_hash: {md5}\n");
        }
        text += &format!("url: {}\n", shown(&place));
        self.out.text(text).await
    }
}
