//! devgcs with faults: does the code under test recover from an error, and from an answer that is lost?
//!
//! ```sh
//! cargo run -p devgcs --example with_faults
//! ```

use std::error::Error;
use std::io;

use devgcs::Server;
use reqwest::{Client, StatusCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let gcs = Server::builder()
        .bucket("notes")
        // The first call fails. The second is carried out, and its connection is closed instead of an answer.
        .faults("return-503 on any call 0; close-connection-after-all on any call 1")
        .start()
        .await?;

    upload(&gcs.endpoint(), "hello.txt", "Hello!", out).await?;

    let bytes = gcs.object_bytes("notes", "hello.txt").await?;
    writeln!(out, "stored: {:?}", String::from_utf8_lossy(&bytes))?;
    writeln!(out, "injected: {:?}", gcs.fault_counts())?;
    Ok(())
}

/// The code under test: uploads an object that is not there yet, and tries again as often as it takes.
async fn upload(
    endpoint: &str,
    name: &str,
    text: &str,
    out: &mut impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let client = Client::new();
    let url =
        format!("{endpoint}/upload/storage/v1/b/notes/o?uploadType=media&name={name}&ifGenerationMatch=0");
    for attempt in 1..10 {
        match client.post(&url).body(text.to_owned()).send().await {
            Err(_) => writeln!(out, "attempt {attempt}: no answer")?,
            Ok(answer) => {
                let status = answer.status();
                writeln!(out, "attempt {attempt}: {status}")?;
                // That the object is there can be the doing of an attempt whose answer was lost.
                let done_before = status == StatusCode::PRECONDITION_FAILED && attempt > 1;
                if status.is_success() || done_before {
                    return Ok(());
                }
            }
        }
    }
    Err("too many attempts".into())
}
