//! Where operators get at the daemon.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::reload::Operator;
use crate::admin::{self, Address, Listener};
use crate::cli::environment;
use crate::cli::exit::{Failure, failed};
use crate::server::Handle;

/// The admin listener.
#[derive(Debug, clap::Args)]
pub(super) struct AdminArgs {
    /// Where operators see metrics, health and what is under way, and can stop the daemon and have it read its settings again:
    /// ADDRESS:PORT or unix:PATH. Whoever reaches it may do all that
    #[arg(long, env = "GCSD_ADMIN", value_name = "ADDRESS", help_heading = "Operation")]
    admin: Option<Address>,
    /// Host names by which the admin listener may be asked, beside IP addresses and localhost
    #[arg(
        long,
        env = "GCSD_ADMIN_HOST",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Operation"
    )]
    admin_host: Vec<String>,
    /// Let the admin listener be on an address that other machines reach
    #[arg(
        long,
        env = "GCSD_ADMIN_ALLOW_REMOTE",
        value_parser = environment::truth,
        help_heading = "Operation"
    )]
    admin_allow_remote: bool,
}

impl AdminArgs {
    /// Refuses an address that others reach, unless that is wanted.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.admin {
            Some(address) if !address.is_local() && !self.admin_allow_remote => Err(failed(format!(
                "--admin {address}: other machines reach this address, and could stop the daemon: listen on loopback or a Unix \
                 socket, or say --admin-allow-remote"
            ))),
            _ => Ok(()),
        }
    }

    /// Serves operators until `end` is cancelled, if that is wanted.
    pub(super) async fn start(
        &self,
        handle: Handle,
        operator: Arc<Operator>,
        end: &CancellationToken,
    ) -> Result<Option<JoinHandle<()>>, Failure> {
        let Some(address) = &self.admin else {
            return Ok(None);
        };
        let listener = Listener::bind(address).await.map_err(|error| {
            failed(format!(
                "cannot listen on {address}: {error}: name another address with --admin"
            ))
        })?;
        info!(admin = %listener.address(), "operators are served");
        let serving = admin::run(listener, self.admin_host.clone(), handle, operator, end.clone());
        Ok(Some(tokio::spawn(serving)))
    }
}
