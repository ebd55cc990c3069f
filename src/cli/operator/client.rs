//! Asking an admin listener.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::admin::Address;
use crate::cli::exit::{Exit, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

/// Where the admin listener is.
#[derive(Debug, clap::Args)]
pub(super) struct Admin {
    /// The daemon's admin listener: ADDRESS:PORT, or unix:PATH.
    #[arg(long, env = "GCSD_ADMIN", value_name = "ADDRESS")]
    admin: Address,
}

/// The same where there is another way.
#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// The daemon's admin listener, ADDRESS:PORT or unix:PATH; without it, the daemon is asked as a client does.
    #[arg(long, env = "GCSD_ADMIN", value_name = "ADDRESS")]
    admin: Option<Address>,
}

impl Admin {
    pub(super) fn address(&self) -> &Address {
        &self.admin
    }
}

impl Given {
    pub(super) fn address(&self) -> Option<&Address> {
        self.admin.as_ref()
    }
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails unless it did what it was asked for.
    pub(super) fn expect_ok(self) -> Result<Self, Failure> {
        match self.status.is_success() {
            true => Ok(self),
            false => {
                let text = self.text();
                let what = format!("{}: {}", self.status.as_u16(), text.trim());
                Err(Failure::new(Exit::Failed, "admin", what))
            }
        }
    }
}

/// Asks once.
pub(super) async fn ask(address: &Address, method: Method, path: &str) -> Result<Answer, Failure> {
    let wrong = |what: String| Failure::new(Exit::Temporary, "unreachable", what).at(address);
    let asked = async {
        let stream = address
            .connect()
            .await
            .map_err(|error| wrong(error.to_string()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| wrong(error.to_string()))?;
        let host = match address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .body(Empty::<Bytes>::new())
            .map_err(|error| wrong(error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body()))
        };
        // What the connection does is driven beside what is asked of it.
        let driving = tokio::spawn(connection);
        let answered = exchange.await.map_err(|error| wrong(error.to_string()));
        let (status, body) = answered?;
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        driving.abort();
        let body = body.map_err(|error| wrong(error.to_string()))?.to_bytes();
        Ok(Answer { status, body })
    };
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(wrong(format!("no answer within {PATIENCE:?}"))),
    }
}
