//! A connector whose connections fail by a plan.

use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counts::{Counters, Counts, FaultKind};
use crate::plan::Plan;
use crate::stream::FaultyStream;
use gcsd_net::{BoxStream, Connecting, Connector};

/// A connector that dials through another one, and whose connections fail as a [`Plan`] says.
///
/// Connections are numbered from 0 in the order in which [`connect`](Connector::connect) is called; those that are
/// refused or hang count.
///
/// ```
/// use gcsd_fault::net::{Connector as _, TcpConnector};
/// use gcsd_fault::{FaultyConnector, Plan};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let port = listener.local_addr()?.port();
/// let plan: Plan = "refuse on 0".parse()?;
/// let connector = FaultyConnector::new(TcpConnector, plan);
///
/// assert!(connector.connect("127.0.0.1", port).await.is_err());
/// assert!(connector.connect("127.0.0.1", port).await.is_ok());
/// assert_eq!(connector.counts().to_string(), "1 refuse");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultyConnector {
    inner: Box<dyn Connector>,
    plan: Plan,
    next: AtomicU64,
    counters: Arc<Counters>,
}

impl FaultyConnector {
    /// A connector that dials through `inner`.
    pub fn new(inner: impl Connector, plan: Plan) -> Self {
        Self {
            inner: Box::new(inner),
            plan,
            next: AtomicU64::new(0),
            counters: Arc::default(),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How often each fault has happened so far.
    pub fn counts(&self) -> Counts {
        self.counters.snapshot()
    }

    /// How many times [`connect`](Connector::connect) has been called so far.
    pub fn connections(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

impl FaultyConnector {
    /// The next connection, which `connecting` makes unless the plan says otherwise.
    fn next<'a>(&'a self, connecting: Connecting<'a>) -> Connecting<'a> {
        let script = self.plan.script(self.next.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            if let Some(duration) = script.hang {
                self.counters.add(FaultKind::Hang);
                match duration {
                    Some(duration) => tokio::time::sleep(duration).await,
                    None => pending().await,
                }
            }
            if script.refuse {
                self.counters.add(FaultKind::Refuse);
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "injected: the connect was refused",
                ));
            }
            let stream = connecting.await?;
            if script.is_harmless() {
                return Ok(stream);
            }
            let counters = Arc::clone(&self.counters);
            let stream = FaultyStream::new(stream, script).with_counters(counters);
            Ok(Box::new(stream) as BoxStream)
        })
    }
}

impl Connector for FaultyConnector {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        self.next(self.inner.connect(host, port))
    }

    fn connect_unix<'a>(&'a self, path: &'a Path) -> Connecting<'a> {
        self.next(self.inner.connect_unix(path))
    }
}
