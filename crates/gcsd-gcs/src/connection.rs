//! One HTTP connection, and whether it can carry another request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::link::{Guard, Link};
use super::request::RequestBody;

/// A connection and the future that moves its bytes. Dropping it closes the socket.
pub(super) struct Connection {
    pub(super) endpoint: Endpoint,
    pub(super) sender: http1::SendRequest<RequestBody>,
    /// `None` once it has ended: a future must not be polled again.
    driver: Option<http1::Connection<TokioIo<Guard>, RequestBody>>,
    pub(super) link: Arc<Link>,
    /// When it was made.
    pub(super) since: Instant,
    /// How many requests it has carried to the end of their answers.
    pub(super) answered: u64,
}

impl Connection {
    pub(super) fn new(
        endpoint: Endpoint,
        sender: http1::SendRequest<RequestBody>,
        driver: http1::Connection<TokioIo<Guard>, RequestBody>,
        link: Arc<Link>,
    ) -> Self {
        Self {
            endpoint,
            sender,
            driver: Some(driver),
            link,
            since: Instant::now(),
            answered: 0,
        }
    }

    /// Moves bytes as far as possible without waiting.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver {
            // The request or the response body reports how it ended.
            if Pin::new(driver).poll(cx).is_ready() {
                self.driver = None;
            }
        }
    }

    /// Whether another request can go out.
    ///
    /// hyper knows: it is ready again only when the last request was written whole and its response read to the end. A
    /// connection that still owes a body, because GCS answered early, never is.
    pub(super) fn is_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && self.sender.is_ready() && self.link.broken().is_none()
    }
}
