//! Reads every object below a prefix, a bounded number at a time, and prints their checksums.
//!
//! ```sh
//! cargo run -p gcsd-client --example many_objects -- 127.0.0.1:4743 gs://backups/2026/
//! ```
//!
//! One page of the list is in memory at a time, and eight objects are being read. What cannot be read is reported, and the
//! rest continues.

use std::env;
use std::error::Error;
use std::io::{self, Write, stdout};

use gcsd_client::{BucketUrl, Client, Crc32c, Object, ReadError};
use tokio::task::JoinSet;

/// How many objects are read at a time.
const CONCURRENCY: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemon, url] = args.as_slice() else {
        return Err("usage: many_objects HOST:PORT gs://BUCKET/PREFIX".into());
    };
    run(daemon, url, &mut stdout()).await
}

pub(crate) async fn run(daemon: &str, url: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(daemon).await?;
    let bucket = url.parse::<BucketUrl>()?.bucket;
    let mut pages = client.list(url)?;
    let mut reading = JoinSet::new();
    let mut failed = 0;
    while let Some(page) = pages.next().await? {
        for listed in page.objects {
            if reading.len() == CONCURRENCY
                && let Some(read) = reading.join_next().await
            {
                failed += report(read?, out)?;
            }
            let object = client.object(&format!("gs://{bucket}/{}", listed.name))?;
            reading.spawn(async move {
                let outcome = read(&object).await;
                (object, outcome)
            });
        }
    }
    while let Some(read) = reading.join_next().await {
        failed += report(read?, out)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} objects could not be read").into()),
    }
}

/// An object's size and checksum.
type Outcome = Result<(u64, Crc32c), ReadError>;

/// Reads an object to its end. A piece at a time is in memory.
async fn read(object: &Object) -> Outcome {
    let mut reader = object.read().reader();
    while let Some(_piece) = reader.next().await? {}
    Ok((reader.received(), reader.crc32c()))
}

/// Prints a line for an object. Returns how many failed: none or one.
fn report((object, outcome): (Object, Outcome), out: &mut impl Write) -> io::Result<u32> {
    match outcome {
        Ok((size, crc32c)) => {
            writeln!(out, "{crc32c} {size:>12} {object}")?;
            Ok(0)
        }
        Err(error) => {
            writeln!(out, "failed: {object}: {error}")?;
            Ok(1)
        }
    }
}
