//! Uploads a file over several connections at once, in parts, and shows how far it has come.
//!
//! ```sh
//! cargo run -p gcsd-client --example striped -- 127.0.0.1:4743 disk.img gs://backups/disk.img
//! ```
//!
//! Each part recovers by itself. The parts are temporary objects, which GCS composes in the end and which are deleted in
//! every ending.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};

use gcsd_client::{Client, FileSource, StripedOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemon, file, url] = args.as_slice() else {
        return Err("usage: striped HOST:PORT FILE gs://BUCKET/OBJECT".into());
    };
    run(daemon, file, url, &mut stdout()).await
}

pub(crate) async fn run(
    daemon: &str,
    file: &str,
    url: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(daemon).await?;
    let source = FileSource::new(File::open(file)?)?;
    let options = StripedOptions::default().with_connections(4);
    let mut upload = client.object(url)?.upload().striped(source, &options)?;

    let mut reports = upload.reports();
    let result = loop {
        tokio::select! {
            biased;
            result = upload.wait() => break result,
            Ok(()) = reports.changed() => {
                let committed = reports.borrow_and_update().committed;
                writeln!(out, "{committed} bytes are at Cloud Storage")?;
            }
        }
    };
    match result {
        Ok(striped) => {
            let made = striped.object;
            writeln!(out, "{url}#{}: {} bytes", made.generation, made.size)?;
            Ok(())
        }
        Err(error) => {
            // Deletes the parts that are there.
            upload.abort().await;
            Err(error.into())
        }
    }
}
