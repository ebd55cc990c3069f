//! hyper under a seeded plan: a GET that is tried again until the whole answer is there.
//!
//! ```sh
//! cargo run -p gcsd-fault --example http_client -- 7
//! ```

use std::error::Error;
use std::io;

use gcsd_fault::net::{Connector as _, TcpConnector};
use gcsd_fault::{FaultyConnector, Plan};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(7), |seed| seed.parse())?;
    run(seed, &mut io::stdout()).await
}

pub(crate) async fn run(seed: u64, out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(serve(listener));

    let plan: Plan = format!("seed {seed}; reset before read 0..60 p 0.8; short read 5").parse()?;
    let connector = FaultyConnector::new(TcpConnector, plan);
    let mut attempts = 1;
    let body = loop {
        match get(&connector, port).await {
            Ok(body) => break body,
            Err(error) => {
                let why = error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                writeln!(out, "attempt {attempts} failed: {why}")?;
            }
        }
        attempts += 1;
    };
    writeln!(out, "attempt {attempts}: {}", String::from_utf8_lossy(&body))?;

    server.abort();
    Ok(())
}

/// The client under test: hyper, over a stream that the plan decides about.
async fn get(connector: &FaultyConnector, port: u16) -> Result<Bytes, Box<dyn Error>> {
    let stream = connector.connect("127.0.0.1", port).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/")
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok(body)
}

/// A server with one answer.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            // The request ends with an empty line.
            while stream.read_line(&mut line).await? > "\r\n".len() {
                line.clear();
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, world!";
            stream.write_all(answer).await
        });
    }
}
