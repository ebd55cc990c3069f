//! The proxies of `gcsd serve`, and how Google's library learns of them.

use std::fmt;
use std::io;

use super::exit::{Failure, failed};
use gcsd_gcs::Proxies;

/// How Cloud Storage and Google's token servers are reached.
#[derive(Debug, clap::Args)]
pub(super) struct ProxyArgs {
    /// An HTTP proxy to Cloud Storage, and to Google's servers of access tokens: http://[USER:PASSWORD@]HOST[:PORT], or https://
    /// for a proxy that speaks TLS. The port is 80 or 443 if none is given. Without it, HTTPS_PROXY, HTTP_PROXY (for http
    /// endpoints) and ALL_PROXY count. Never used for this machine and the metadata server
    #[arg(
        long,
        env = "GCSD_PROXY",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Cloud Storage"
    )]
    proxy: Option<Url>,
    /// Hosts that are reached without the proxy: domains (with all below them), IP addresses, ranges of them (10.0.0.0/8), or *
    /// for every host. Without it, NO_PROXY counts
    #[arg(
        long,
        env = "GCSD_NO_PROXY",
        value_name = "HOST,...",
        help_heading = "Cloud Storage"
    )]
    no_proxy: Option<String>,
}

/// A proxy's URL, with a password perhaps: it is not shown.
#[derive(Clone)]
struct Url(String);

impl From<String> for Url {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(redacted)")
    }
}

impl ProxyArgs {
    /// The proxies that count.
    pub(super) fn chosen(&self) -> Proxies {
        let mut proxies = Proxies::from_env();
        if let Some(Url(url)) = self.proxy.as_ref().filter(|url| !url.0.is_empty()) {
            proxies = proxies.through(url);
        }
        if let Some(list) = &self.no_proxy {
            proxies = proxies.except(list);
        }
        proxies.except_local()
    }

    /// Sees to it that the environment names the proxies that count, which is where Google's library looks for access tokens'
    /// way: if it does not, starts this program anew, as the same process, in an environment that does.
    ///
    /// To be called before anything else has begun. (The variables of a process cannot safely be changed while it runs.)
    pub(super) fn settle(&self) -> Result<(), Failure> {
        let chosen = self.chosen();
        if chosen.is_empty() || chosen == Proxies::from_env() {
            return Ok(());
        }
        let error = start_anew(&chosen);
        Err(failed(format!(
            "the proxies cannot be told to Google's library, which asks for access tokens: {error}: name them in the environment, \
             by HTTPS_PROXY and HTTP_PROXY, and in NO_PROXY what needs none, with {}",
            Proxies::LOCAL.join(",")
        )))
    }
}

/// Becomes this program with the same arguments, with the variables of `proxies`. Returns only if that fails.
fn start_anew(proxies: &Proxies) -> io::Error {
    use std::os::unix::process::CommandExt as _;

    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    for (variable, value) in proxies.variables() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command.exec()
}
