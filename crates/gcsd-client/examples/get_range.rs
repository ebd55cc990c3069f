//! Prints a part of an object.
//!
//! ```sh
//! cargo run -p gcsd-client --example get_range -- 127.0.0.1:4743 gs://backups/log.txt 1000 50
//! ```
//!
//! A read that breaks goes on behind the last byte that came, in the same version of the object.

use std::env;
use std::error::Error;

use gcsd_client::Client;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, stdout};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemon, url, offset, len] = args.as_slice() else {
        return Err("usage: get_range HOST:PORT gs://BUCKET/OBJECT OFFSET LENGTH".into());
    };
    run(daemon, url, offset.parse()?, len.parse()?, stdout()).await
}

pub(crate) async fn run(
    daemon: &str,
    url: &str,
    offset: u64,
    len: u64,
    mut out: impl AsyncWrite + Unpin,
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(daemon).await?;
    let mut reader = client.object(url)?.read().range(offset..offset + len).reader();
    tokio::io::copy(&mut reader, &mut out).await?;
    out.flush().await?;
    Ok(())
}
