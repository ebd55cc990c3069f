//! A tunnel through an HTTP proxy: `CONNECT` (RFC 9110, section 9.3.6).

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind};
use super::proxies::Proxy;
use super::request::RequestBody;
use gcsd_net::{BoxStream, Stream};

/// The largest head of a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;

/// Asks the proxy at the other end of `stream` for a connection to `server`: the stream is then the server's.
pub(super) async fn open(stream: BoxStream, proxy: &Proxy, server: &Endpoint) -> Result<BoxStream, Error> {
    let server = match server.host().contains(':') {
        true => format!("[{}]:{}", server.host(), server.port()),
        false => format!("{}:{}", server.host(), server.port()),
    };
    let mut request = Request::connect(&server).header(HOST, &server);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request
        .body(RequestBody::Full(Bytes::new()))
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("{server}: {error}")))?;
    let broken = |error: &hyper::Error| broken(proxy, error);
    let (mut sender, mut driver) = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut answer = pin!(sender.send_request(request));
    let mut driven = None;
    let answer = poll_fn(|cx| {
        if driven.is_none()
            && let Poll::Ready(ended) = driver.poll_without_shutdown(cx)
        {
            driven = Some(ended);
        }
        answer.as_mut().poll(cx)
    });
    let answer = answer.await.map_err(|error| broken(&error))?;
    if !answer.status().is_success() {
        return Err(refused(proxy, &server, &answer));
    }
    // The connection ends as HTTP where the tunnel begins.
    let ended = match driven {
        Some(ended) => ended,
        None => poll_fn(|cx| driver.poll_without_shutdown(cx)).await,
    };
    ended.map_err(|error| broken(&error))?;
    let parts = driver.into_parts();
    if !parts.read_buf.is_empty() {
        return Err(Error::new(
            ErrorKind::Connect,
            format!("the proxy {proxy} sent bytes that nobody asked for, before those of {server}"),
        ));
    }
    Ok(parts.io.into_inner())
}

/// The error for an exchange without an answer.
fn broken(proxy: &Proxy, error: &hyper::Error) -> Error {
    let what = if error.is_parse() {
        format!("what answers at {proxy} is no HTTP proxy: {error}")
    } else if error.is_incomplete_message() {
        format!("the proxy {proxy} closed the connection without an answer")
    } else {
        format!("the connection to the proxy {proxy} broke: {error}")
    };
    Error::new(ErrorKind::Connect, what)
}

/// The error for an answer that opens no tunnel. A fault of the proxy or of its network can pass; what it forbids does
/// not.
fn refused(proxy: &Proxy, server: &str, answer: &Response<Incoming>) -> Error {
    let status = answer.status();
    let what = match status {
        // tinyproxy answers a wrong password as if it were the server.
        StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED => {
            format!("the proxy {proxy} {}", unauthorized(proxy, answer))
        }
        status if passing(status) => format!("the proxy {proxy} cannot connect to {server} now ({status})"),
        status => format!("the proxy {proxy} does not permit a connection to {server} ({status})"),
    };
    let kind = match passing(status) {
        true => ErrorKind::Connect,
        false => ErrorKind::ProxyRefused,
    };
    Error::new(kind, what)
}

fn passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// What is wrong with the credentials for a proxy.
fn unauthorized(proxy: &Proxy, answer: &Response<Incoming>) -> String {
    let status = answer.status().as_u16();
    let wanted = answer.headers().get_all(PROXY_AUTHENTICATE);
    let schemes: Vec<&str> = wanted
        .iter()
        .filter_map(|value| value.to_str().ok()?.split([' ', ',']).next())
        .collect();
    let basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    if !schemes.is_empty() && !basic {
        let schemes = schemes.join(" or ");
        return format!("wants to be told who asks by {schemes}, and gcsd knows only Basic ({status})");
    }
    match proxy.authorization() {
        Some(_) => format!("does not accept the user and password in its URL ({status})"),
        None => format!("wants a user and a password ({status}): write http://USER:PASSWORD@HOST:PORT"),
    }
}

/// A stream to a proxy that is spoken to over TLS.
pub(super) struct Secured(TlsStream<BoxStream>);

impl Secured {
    pub(super) fn new(stream: TlsStream<BoxStream>) -> Self {
        Self(stream)
    }
}

impl Stream for Secured {
    fn reset_on_drop(&mut self) {
        self.0.get_mut().0.reset_on_drop();
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        self.0.get_mut().0.set_user_timeout(limit);
    }

    fn acknowledged(&self) -> Option<u64> {
        self.0.get_ref().0.acknowledged()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
