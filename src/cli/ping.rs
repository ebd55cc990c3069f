//! `gcsd ping`: whether a daemon is there and gets through to Cloud Storage.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use serde_json::{Map, Value, json};

use super::batch::Tally;
use super::conditions::Payer;
use super::connect::{Daemon, One};
use super::exit::Failure;
use super::gs_url::BucketUrl;
use super::stdout::Output;
use super::stop::signals;
use gcsd_client::{Connection, Error};
use gcsd_types::{BucketName, BucketRef};
use gcsd_wire::{Kind, stat_bucket};

/// The bucket that is asked for where none is named. It need not be there: any answer of GCS's will do.
const ANY: &str = "gcsd-ping";

/// Look whether a daemon is there, and whether it gets through to Cloud Storage.
///
/// Three steps, each with its time: the connection to the daemon; a first call to GCS, which includes whatever the daemon's
/// credentials need; the same call again, as calls are from then on. Nothing is tried twice. With a bucket, that one must be
/// there and may be looked at (storage.buckets.get); without one, any answer that accepts the credentials will do. Each address of
/// --connect is asked.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd ping
  gcsd ping gs://my-bucket
  gcsd ping --json | jq .gcs_ms")]
pub(super) struct PingArgs {
    /// The bucket to ask GCS for.
    #[arg(value_name = "gs://BUCKET")]
    bucket: Option<BucketUrl>,
    /// Print a line of JSON for each daemon: "daemon", "server", "connection_ms", "credentials_ms" and "gcs_ms", as far as it got,
    /// and "error".
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    payer: Payer,
    #[command(flatten)]
    daemon: Daemon,
}

/// Runs the command.
pub(super) async fn run(args: PingArgs) -> Result<(), Failure> {
    let stop = signals()?;
    tokio::select! {
        pinged = ping(&args) => pinged,
        () = stop => Err(Failure::interrupted()),
    }
}

async fn ping(args: &PingArgs) -> Result<(), Failure> {
    let (mut out, mut tally) = (Output::default(), Tally::default());
    for mut one in args.daemon.each().await? {
        let mut told = Told::new(args, &one);
        let done = steps(args, &mut one, &mut told, &mut out).await;
        tally.total += 1;
        if let Err(failure) = &done {
            if failure.is_silent() {
                return done;
            }
            tally.failed(failure);
            failure.report();
            told.json.insert("error".to_owned(), failure.json());
        }
        if args.json {
            out.line(&Value::Object(told.json).to_string()).await?;
        }
    }
    out.finish().await?;
    tally.sum()
}

/// What was found out about a daemon.
struct Told<'a> {
    args: &'a PingArgs,
    json: Map<String, Value>,
}

impl<'a> Told<'a> {
    fn new(args: &'a PingArgs, one: &One) -> Self {
        let address = ("daemon".to_owned(), one.address.as_str().into());
        Self {
            args,
            json: Map::from_iter([address]),
        }
    }

    async fn step(
        &mut self,
        out: &mut Output,
        (key, name): (&str, &str),
        took: Duration,
        how: &str,
    ) -> Result<(), Failure> {
        let ms = took.as_secs_f64() * 1000.0;
        // To the microsecond, which is more than there is to know.
        self.json
            .insert(key.to_owned(), json!((ms * 1000.0).round() / 1000.0));
        match self.args.json {
            true => Ok(()),
            false => out.line(&format!("  {name:<11} {ms:>9.1} ms  {how}")).await,
        }
    }
}

async fn steps(args: &PingArgs, one: &mut One, told: &mut Told<'_>, out: &mut Output) -> Result<(), Failure> {
    let address = one.address.clone();
    let at = |error: Error| Failure::from(&error).or_at(&address);
    let begun = Instant::now();
    let connection = one.daemons.connect().await.map_err(at)?;
    let hello = connection
        .hello(&Connection::greeting(one.secret.clone()))
        .await
        .map_err(at)?;
    connection.ping(Bytes::from_static(b"gcsd")).await.map_err(at)?;
    let took = begun.elapsed();
    let server = gcsd_client::one_line(&hello.args.server);
    told.json.insert("server".to_owned(), server.as_str().into());
    if !args.json {
        out.line(&format!("{address}  {server}")).await?;
    }
    told.step(
        out,
        ("connection_ms", "connection"),
        took,
        "to the daemon, and back",
    )
    .await?;
    let took = call(args, &connection)
        .await
        .map_err(|failure| failure.or_at(&address))?;
    told.step(
        out,
        ("credentials_ms", "credentials"),
        took,
        "accepted, with the first call to GCS",
    )
    .await?;
    let took = call(args, &connection)
        .await
        .map_err(|failure| failure.or_at(&address))?;
    told.step(out, ("gcs_ms", "GCS"), took, "the same call again")
        .await?;
    connection.close().await;
    Ok(())
}

/// Asks GCS for the bucket, and says how long that took.
async fn call(args: &PingArgs, connection: &Connection) -> Result<Duration, Failure> {
    let named = args.bucket.as_ref().map(|url| url.bucket.clone());
    let bucket = match &named {
        Some(bucket) => bucket.clone(),
        None => BucketName::new(ANY).map_err(Failure::usage)?,
    };
    let place = format!("gs://{bucket}");
    let of = BucketRef {
        user_project: args.payer.user_project.clone(),
        ..BucketRef::new(bucket)
    };
    let begun = Instant::now();
    let answered = connection.stat_bucket(&stat_bucket::Args { of }).await;
    let took = begun.elapsed();
    match answered {
        Ok(_) => Ok(took),
        // It is not about the bucket.
        Err(error) if named.is_none() && (error.is(Kind::NotFound) || error.is(Kind::Forbidden)) => Ok(took),
        Err(error) => Err(match named {
            Some(_) => Failure::from(&error).or_at(place),
            None => Failure::from(&error),
        }),
    }
}
