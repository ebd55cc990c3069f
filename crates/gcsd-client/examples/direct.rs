//! Uploads a file straight to Cloud Storage, without a daemon, by this process's own credentials.
//!
//! ```sh
//! cargo run -p gcsd-client --features direct --example direct -- november.tar gs://backups/november.tar
//! ```
//!
//! The credentials are Google's application default ones. With the endpoint of an emulator as a third argument, none are
//! sent. It recovers as an upload through a daemon does.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};
use std::sync::Arc;

use gcsd_client::gcs::{Config, CredentialsSource, Gcs};
use gcsd_client::{Direct, FileSource, GsUrl, NewObject, ReliableUpload, RetryPolicy, TcpConnector};

/// Where Cloud Storage answers.
const GOOGLE: &str = "https://storage.googleapis.com";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (file, url, emulator) = match args.as_slice() {
        [file, url] => (file, url, None),
        [file, url, emulator] => (file, url, Some(emulator.as_str())),
        _ => return Err("usage: direct FILE gs://BUCKET/OBJECT [EMULATOR]".into()),
    };
    run(file, url, emulator, &mut stdout()).await
}

pub(crate) async fn run(
    file: &str,
    url: &str,
    emulator: Option<&str>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut config = Config::new(emulator.unwrap_or(GOOGLE).parse()?);
    if emulator.is_some() {
        config.credentials = CredentialsSource::Anonymous;
    }
    let gcs = Gcs::new(config, Arc::new(TcpConnector))?;
    let object = NewObject::from(url.parse::<GsUrl>()?);
    let source = FileSource::new(File::open(file)?)?;
    let upload = ReliableUpload::start(Direct::new(gcs, object), source, RetryPolicy::default());
    let made = upload.complete().await?;
    writeln!(out, "{url}#{}: {} bytes", made.generation, made.size)?;
    Ok(())
}
