//! A connector whose connections fail by plan.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counts::{Counters, Counts, Kind};
use super::plan::Plan;
use super::stream::FaultyStream;
use gcsd_net::{BoxStream, Connecting, Connector, SharedConnector};

/// Dials through another connector, and lets the connections fail as a plan says.
///
/// Connections are numbered from 0 in the order in which [`connect`](Connector::connect) is called, those
/// that are refused or hang included.
#[derive(Debug)]
pub struct FaultyConnector {
    inner: SharedConnector,
    plan: Plan,
    next: AtomicU64,
    counters: Arc<Counters>,
}

impl FaultyConnector {
    /// Dials through `inner`, under `plan`.
    pub fn new(inner: SharedConnector, plan: Plan) -> Self {
        Self {
            inner,
            plan,
            next: AtomicU64::new(0),
            counters: Arc::default(),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What has gone wrong so far.
    pub fn counts(&self) -> Counts {
        self.counters.snapshot()
    }

    /// How many connections have been asked for so far.
    pub fn connections(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

impl Connector for FaultyConnector {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        let script = self.plan.script(self.next.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            if let Some(duration) = script.hang {
                self.counters.add(Kind::Hang);
                match duration {
                    Some(duration) => tokio::time::sleep(duration).await,
                    None => pending().await,
                }
            }
            if script.refuse {
                self.counters.add(Kind::Refuse);
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "injected: the connect was refused",
                ));
            }
            let stream = self.inner.connect(host, port).await?;
            if script.is_harmless() {
                return Ok(stream);
            }
            let counters = Arc::clone(&self.counters);
            Ok(Box::new(FaultyStream::new(stream, script, counters)) as BoxStream)
        })
    }
}
