//! A client of one's own under a seeded plan. It sends messages to an echo server, each over a connection of its own, and
//! tries again until the message comes back.
//!
//! ```sh
//! cargo run -p gcsd-fault --example retrying_client -- 7   # the same seed, the same output
//! ```

use std::error::Error;
use std::io;

use gcsd_fault::net::{Connector as _, TcpConnector};
use gcsd_fault::{FaultyConnector, Plan};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(7), |seed| seed.parse())?;
    run(seed, &mut io::stdout()).await
}

pub(crate) async fn run(seed: u64, out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(echo(listener));

    // Some connects are refused. Some connections break at a random byte of the request, which may arrive all the same,
    // or of the reply. Some replies are damaged.
    let plan =
        "refuse p 0.2; reset in write 0..12 p 0.3; close before read 0..12 p 0.3; flip read 0..12 p 0.3";
    let plan: Plan = format!("seed {seed}; {plan}").parse()?;
    let connector = FaultyConnector::new(TcpConnector, plan);

    for message in ["first message", "second message", "third message"] {
        writeln!(out, "{message}")?;
        while let Err(error) = send(&connector, port, message).await {
            writeln!(out, "  failed: {error}")?;
        }
        writeln!(out, "  came back")?;
    }
    writeln!(
        out,
        "{} connections, {}",
        connector.connections(),
        connector.counts()
    )?;

    server.abort();
    Ok(())
}

/// The client under test: sends a message, and checks that the same bytes come back.
async fn send(connector: &FaultyConnector, port: u16, message: &str) -> io::Result<()> {
    let mut stream = connector.connect("127.0.0.1", port).await?;
    stream.write_all(message.as_bytes()).await?;
    stream.shutdown().await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    if reply == message.as_bytes() {
        Ok(())
    } else {
        Err(io::Error::other("the reply is not the message"))
    }
}

/// Returns what each connection sends, once all of it has come.
async fn echo(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut message = Vec::new();
            stream.read_to_end(&mut message).await?;
            stream.write_all(&message).await
        });
    }
}
