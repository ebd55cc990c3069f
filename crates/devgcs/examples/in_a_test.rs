//! devgcs in a test: the code under test gets an endpoint, and the test looks at what it left behind.
//!
//! ```sh
//! cargo run -p devgcs --example in_a_test
//! ```

use std::error::Error;
use std::io;

use devgcs::{CallKind, Server};
use reqwest::{Client, StatusCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let gcs = Server::builder().bucket("notes").start().await?;
    gcs.put_object("notes", "old.txt", "Nobody may overwrite me.")
        .await?;

    for name in ["new.txt", "old.txt"] {
        let status = save(&gcs.endpoint(), name, "Hello!").await?;
        writeln!(out, "saving {name}: {status}")?;
    }

    for name in gcs.object_names("notes") {
        let bytes = gcs.object_bytes("notes", &name).await?;
        let object = gcs.object("notes", &name).ok_or("the object is gone")?;
        writeln!(
            out,
            "{name}: {:?}, {}",
            String::from_utf8_lossy(&bytes),
            object.resource["contentType"]
        )?;
    }
    let uploads = gcs.inspect().count(CallKind::InsertObject);
    writeln!(out, "{uploads} uploads")?;

    gcs.shutdown().await;
    Ok(())
}

/// The code under test: saves a note, unless there is one with this name already.
async fn save(endpoint: &str, name: &str, text: &str) -> reqwest::Result<StatusCode> {
    let url =
        format!("{endpoint}/upload/storage/v1/b/notes/o?uploadType=media&name={name}&ifGenerationMatch=0");
    let request = Client::new().post(url).header("content-type", "text/plain");
    Ok(request.body(text.to_owned()).send().await?.status())
}
