//! Uploads what comes through a pipe. Nobody knows its size before its end.
//!
//! ```sh
//! tar c /home | cargo run -p gcsd-client --example put_pipe -- 127.0.0.1:4743 gs://backups/home.tar
//! ```
//!
//! What GCS has not confirmed is held, to be sent again after a failure: at most 8 MiB here. Whoever writes to the pipe
//! waits when that is full. The end of a pipe is not the success of its producer: a `tar` that died half way has ended it, too.
//! Whoever starts the producer completes the writer once that has exited with 0, as `gcsd put --from-command` does.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};

use gcsd_client::{Client, WriterOptions};
use tokio::io::{AsyncRead, AsyncWriteExt as _, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [daemon, url] = args.as_slice() else {
        return Err("usage: put_pipe HOST:PORT gs://BUCKET/OBJECT".into());
    };
    run(daemon, url, stdin(), &mut stdout()).await
}

pub(crate) async fn run(
    daemon: &str,
    url: &str,
    mut input: impl AsyncRead + Unpin,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let options = WriterOptions::default()
        .with_chunks(1 << 20, 4 << 20)
        .with_max_held(8 << 20);
    let client = Client::connect(daemon).await?.with_options(options);

    // `client.object(url)?.upload().reader(input).await?` does the same, and aborts the upload by itself where it fails.
    let mut writer = client.object(url)?.upload().writer()?;
    let copying = async {
        tokio::io::copy(&mut input, &mut writer).await?;
        // Says that there is no more, and waits until the object exists and is verified.
        writer.shutdown().await
    };
    if let Err(error) = copying.await {
        writer.abort().await;
        return Err(error.into());
    }
    let made = writer.complete().await?;
    writeln!(out, "{url}#{}: {} bytes", made.generation, made.size)?;
    Ok(())
}
