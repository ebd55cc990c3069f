//! Uploads a file through whichever of several daemons can be reached, and says what that took.
//!
//! ```sh
//! cargo run -p gcsd-client --example several_daemons -- 10.0.0.1:4743,10.0.0.2:4743 november.tar gs://backups/november.tar
//! ```
//!
//! The daemons share a token key (`gcsd serve --token-key`), so that an upload that one of them began goes on through
//! another where the first stops, from the last byte that GCS confirmed.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};
use std::time::Duration;

use gcsd_client::{Client, FileSource, RetryPolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemons, file, url] = args.as_slice() else {
        return Err("usage: several_daemons HOST:PORT,... FILE gs://BUCKET/OBJECT".into());
    };
    run(daemons, file, url, &mut stdout()).await
}

pub(crate) async fn run(
    daemons: &str,
    file: &str,
    url: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // Gives up once an hour has gone by without one more byte.
    let retries = RetryPolicy::default()
        .with_waits(Duration::from_millis(100), Duration::from_secs(10))
        .with_budget(Duration::from_secs(3600));
    let client = Client::connect(daemons).await?.with_retries(retries);
    let source = FileSource::new(File::open(file)?)?;
    let mut upload = client.object(url)?.upload().start(source);

    let reports = upload.reports();
    let made = match upload.wait().await {
        Ok(made) => made,
        Err(error) => {
            upload.abort().await;
            return Err(error.into());
        }
    };
    let report = reports.borrow().clone();
    for (failure, count) in &report.failures {
        writeln!(out, "recovered from {failure}, {count} times")?;
    }
    writeln!(out, "{} other connections were made", report.reconnects)?;
    writeln!(out, "{url}#{}: {} bytes", made.generation, made.size)?;
    Ok(())
}
