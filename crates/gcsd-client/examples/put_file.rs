//! Uploads a file.
//!
//! ```sh
//! cargo run -p gcsd-client --example put_file -- 127.0.0.1:4743 november.tar gs://backups/november.tar
//! ```
//!
//! Whatever fails on the way is recovered from: the file is read again where it has to be. The object that is printed has
//! the size and the checksum of the file.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};

use gcsd_client::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemon, file, url] = args.as_slice() else {
        return Err("usage: put_file HOST:PORT FILE gs://BUCKET/OBJECT".into());
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
    let object = client.object(url)?;
    let made = object
        .upload()
        .content_type("application/x-tar")
        .file(file)
        .await?;
    writeln!(out, "{url}#{}: {} bytes", made.generation, made.size)?;
    Ok(())
}
