//! Uploads both ways: through a daemon in front of devgcs, and straight to the same devgcs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devgcs::Server;
use gcsd_client::{
    Address, Daemons, Direct, Error, Jitter, Last, NewObject, OpenUpload, Options, Progress, RetryPolicy,
    Sight, Token, UnreliableWriter, ViaDaemon, WriterOptions,
};
use gcsd_fault::Random;
use gcsd_gcs::{self, Gcs};
use gcsd_net::{SharedConnector, TcpConnector};

use super::daemon::{BUCKET, PATIENCE};

/// Plain connections.
pub(crate) fn tcp() -> SharedConnector {
    Arc::new(TcpConnector)
}

/// An object in the tests' bucket.
pub(crate) fn new_object(name: &str) -> NewObject {
    NewObject::new(BUCKET.parse().expect("a name"), name.parse().expect("a name"))
}

/// The daemons at `addresses`, in that order.
pub(crate) fn daemons(addresses: &[SocketAddr], connector: SharedConnector) -> Daemons {
    let addresses = addresses.iter().copied().map(Address::from);
    Daemons::new(connector, addresses.collect(), Options::default())
}

/// Through the daemons at `addresses`, in that order.
pub(crate) fn via_daemon(
    addresses: &[SocketAddr],
    connector: SharedConnector,
    object: NewObject,
) -> ViaDaemon {
    ViaDaemon::through(daemons(addresses, connector), object)
}

/// Straight to `devgcs`.
pub(crate) fn direct(devgcs: &Server, connector: SharedConnector, object: NewObject) -> Direct {
    Direct::new(gcs(devgcs, connector), object)
}

/// GCS's API at `devgcs`.
pub(crate) fn gcs(devgcs: &Server, connector: SharedConnector) -> Gcs {
    let mut config = gcsd_gcs::Config::anonymous(devgcs.endpoint().parse().expect("an endpoint"));
    config.stall_timeout = PATIENCE;
    config.source_timeout = PATIENCE;
    Gcs::new(config, connector).expect("a client")
}

/// Waits that `seed` repeats.
pub(crate) fn seeded(seed: u64) -> Jitter {
    Jitter::from_fn(move || {
        let mut random = Random::new(seed);
        move || random.next_u64()
    })
}

/// Tries again at once: the tests have no time.
pub(crate) fn retries() -> RetryPolicy {
    RetryPolicy::default()
        .with_waits(Duration::from_millis(4), Duration::from_millis(50))
        .with_budget(PATIENCE)
        .with_abort_budget(PATIENCE)
        .with_jitter(seeded(4743))
}

/// Small chunks, so that little makes much happen.
pub(crate) fn small_chunks() -> WriterOptions {
    WriterOptions::default()
        .with_chunks(256 << 10, 512 << 10)
        .with_max_held(1 << 20)
        .with_retries(retries())
}

/// Either way, as one type.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    Daemon(ViaDaemon),
    Direct(Direct),
}

/// A writer of either way.
#[derive(Debug)]
pub(crate) enum WayWriter {
    Daemon(gcsd_client::DaemonWriter),
    Direct(gcsd_client::DirectWriter),
}

impl OpenUpload for Way {
    type Writer = WayWriter;

    fn size(&self) -> Option<u64> {
        match self {
            Self::Daemon(way) => way.size(),
            Self::Direct(way) => way.size(),
        }
    }

    async fn start(&mut self) -> Result<(WayWriter, Token), Error> {
        Ok(match self {
            Self::Daemon(way) => {
                let (writer, token) = way.start().await?;
                (WayWriter::Daemon(writer), token)
            }
            Self::Direct(way) => {
                let (writer, token) = way.start().await?;
                (WayWriter::Direct(writer), token)
            }
        })
    }

    async fn attach(&mut self, token: &Token) -> Result<WayWriter, Error> {
        Ok(match self {
            Self::Daemon(way) => WayWriter::Daemon(way.attach(token).await?),
            Self::Direct(way) => WayWriter::Direct(way.attach(token).await?),
        })
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        match self {
            Self::Daemon(way) => way.look().await,
            Self::Direct(way) => way.look().await,
        }
    }
}

macro_rules! either {
    ($writer:expr, $inner:ident => $call:expr) => {
        match $writer {
            WayWriter::Daemon($inner) => $call.await,
            WayWriter::Direct($inner) => $call.await,
        }
    };
}

impl UnreliableWriter for WayWriter {
    async fn write_at(
        &mut self,
        offset: u64,
        body: gcsd_client::Body,
        last: Option<Last>,
    ) -> Result<Progress, Error> {
        either!(self, writer => writer.write_at(offset, body, last))
    }

    async fn query(&mut self) -> Result<Progress, Error> {
        either!(self, writer => writer.query())
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
        either!(self, writer => writer.finish(last))
    }

    async fn cancel(&mut self) -> Result<gcsd_client::Cancelled, Error> {
        either!(self, writer => writer.cancel())
    }
}
