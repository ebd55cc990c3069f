//! Where the daemon listens, and who may be let in there.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream};
use tracing::warn;

use super::place::{Place, UnixPlace};
use crate::cli::environment;
use crate::cli::exit::{Failure, failed};
use crate::server::{Listener, SocketFile, Tls, TlsFiles};

/// Where the daemon listens if nobody says otherwise.
const DEFAULT_LISTEN: Place = Place::Tcp(SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    4743,
));
/// The name of a socket from systemd (`FileDescriptorName=`) that does TLS.
const TLS: &str = "tls";
/// The names of its sockets, with colons between them (sd_listen_fds(3)).
const NAMES: &str = "LISTEN_FDNAMES";

/// Where to listen.
#[derive(Debug, clap::Args)]
pub(super) struct ListenArgs {
    /// Where to listen; may be given several times: IP:PORT, tls://IP:PORT (with --cert and --key), or unix:PATH, which its owner
    /// alone can connect to unless it says more (unix:PATH?mode=660&group=NAME). Sockets that systemd hands over are used beside
    /// these, and instead of the default [default: 127.0.0.1:4743]
    #[arg(long, env = "GCSD_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<Place>,
    /// Listen where others than this machine can connect, without a secret and without mutual TLS: whoever reaches the daemon
    /// acts with its credentials
    #[arg(long, env = "GCSD_ALLOW_UNAUTHENTICATED", value_parser = environment::truth, help_heading = "Security")]
    allow_unauthenticated: bool,
    /// The certificate of tls:// listeners and of a socket from systemd named "tls", in PEM, with those between it and the
    /// authority that clients trust. A changed file is taken up without a restart
    #[arg(
        long,
        env = "GCSD_CERT",
        value_name = "FILE",
        requires = "key",
        help_heading = "Security"
    )]
    cert: Option<PathBuf>,
    /// The certificate's private key, in PEM, which others must not be able to read
    #[arg(
        long,
        env = "GCSD_KEY",
        value_name = "FILE",
        requires = "cert",
        help_heading = "Security"
    )]
    key: Option<PathBuf>,
    /// Let in only TLS clients with a certificate that one of these authorities has signed (PEM)
    #[arg(
        long,
        env = "GCSD_CLIENT_CA_FILE",
        value_name = "FILE",
        requires = "cert",
        help_heading = "Security"
    )]
    client_ca_file: Option<PathBuf>,
}

impl ListenArgs {
    /// Loads the certificates, where there are any.
    pub(super) fn tls(&self) -> Result<Option<Arc<Tls>>, Failure> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Ok(None);
        };
        let files = TlsFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: self.client_ca_file.clone(),
        };
        Tls::load(files).map(|tls| Some(Arc::new(tls))).map_err(failed)
    }

    /// The sockets that systemd hands over, and those of the command line.
    pub(super) async fn listeners(
        &self,
        tls: Option<&Arc<Tls>>,
        backlog: u32,
    ) -> Result<Vec<Listener>, Failure> {
        let mut listeners = handed_over(tls)?;
        let default = [DEFAULT_LISTEN];
        let places = if self.listen.is_empty() && listeners.is_empty() {
            &default[..]
        } else {
            &self.listen
        };
        for place in places {
            listeners.push(match place {
                Place::Tcp(address) => Listener::Tcp(bind_tcp(*address, backlog)?),
                Place::Tls(address) => {
                    let Some(tls) = tls else {
                        return Err(failed(format!(
                            "tls://{address}: name a certificate with --cert and --key"
                        )));
                    };
                    Listener::Tls(bind_tcp(*address, backlog)?, tls.clone())
                }
                Place::Unix(place) => bind_unix(place, backlog).await?,
            });
        }
        if tls.is_some() && !listeners.iter().any(|listener| listener.tls().is_some()) {
            return Err(failed(
                "--cert is for TLS, and no listener does that: add --listen tls://IP:PORT",
            ));
        }
        Ok(listeners)
    }

    /// Refuses to serve whoever comes by, unless that was asked for.
    ///
    /// What only this machine can reach is as safe as the machine.
    pub(super) fn check_exposure(&self, listeners: &[Listener], has_secret: bool) -> Result<(), Failure> {
        for listener in listeners.iter().filter(|listener| !listener.is_local()) {
            let Some(address) = listener.address() else {
                continue;
            };
            let is_mutual = listener.tls().is_some_and(|tls| tls.is_mutual());
            if !has_secret && !is_mutual {
                if !self.allow_unauthenticated {
                    return Err(failed(format!(
                        "{address}: whoever reaches this address would act with the daemon's credentials: set a secret \
                         (--auth-file), ask for certificates (tls:// and --client-ca-file), or listen on 127.0.0.1; \
                         --allow-unauthenticated starts all the same"
                    )));
                }
                warn!(%address, "whoever reaches this address acts with the daemon's credentials");
            }
            if listener.tls().is_none() {
                warn!(%address, "what passes there is not encrypted, secrets included: think of tls://");
            }
        }
        Ok(())
    }
}

/// The sockets from systemd, by their names and families.
fn handed_over(tls: Option<&Arc<Tls>>) -> Result<Vec<Listener>, Failure> {
    let names = std::env::var(NAMES).unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        let failed_here = |problem: String| {
            failed(format!(
                "the socket {index} ({name}) that was handed over: {problem}"
            ))
        };
        let io_failed = |error: io::Error| failed_here(error.to_string());
        let unix = passed.take_unix_listener(index);
        if let Ok(Some(listener)) = unix {
            if name == TLS {
                return Err(failed_here(
                    "Unix sockets do no TLS: give it another name".to_owned(),
                ));
            }
            listener.set_nonblocking(true).map_err(io_failed)?;
            let listener = UnixListener::from_std(listener).map_err(io_failed)?;
            // Its file belongs to systemd.
            listeners.push(Listener::Unix(listener, None));
            continue;
        }
        let listener = passed.take_tcp_listener(index).map_err(io_failed)?;
        let listener = listener.ok_or_else(|| failed_here("it was taken already".to_owned()))?;
        listener.set_nonblocking(true).map_err(io_failed)?;
        let listener = TcpListener::from_std(listener).map_err(io_failed)?;
        listeners.push(match (name == TLS, tls) {
            (false, _) => Listener::Tcp(listener),
            (true, Some(tls)) => Listener::Tls(listener, tls.clone()),
            (true, None) => return Err(failed_here("name a certificate with --cert and --key".to_owned())),
        });
    }
    Ok(listeners)
}

fn bind_tcp(address: SocketAddr, backlog: u32) -> Result<TcpListener, Failure> {
    // As `TcpListener::bind` does, with a backlog of its own.
    let bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A daemon that was stopped leaves connections behind that the kernel still closes.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    };
    bind().map_err(|error: io::Error| cannot(&address, &error))
}

async fn bind_unix(place: &UnixPlace, backlog: u32) -> Result<Listener, Failure> {
    let UnixPlace { path, mode, gid } = place;
    let shown = format!("unix:{}", path.display());
    make_room(path)
        .await
        .map_err(|problem| cannot(&shown, &problem))?;
    let bind = || {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = SocketFile::bound(path)?;
        // Nobody can connect before it listens, so nobody can before its file says who may.
        if gid.is_some() {
            std::os::unix::fs::chown(path, None, *gid)?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))?;
        Ok(Listener::Unix(socket.listen(backlog)?, Some(file)))
    };
    bind().map_err(|error: io::Error| cannot(&shown, &error))
}

/// Removes the socket that a daemon left behind which ended without removing it. One that somebody listens at stays, and so does
/// what is no socket.
async fn make_room(path: &Path) -> Result<(), String> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err("something is there that is no socket".to_owned());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .map_err(|error| format!("the socket that is there cannot be removed: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A listener whose queue is full is one, too.
        Ok(_) => Err("another process listens there".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err("another process listens there".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn cannot(place: &dyn std::fmt::Display, problem: &dyn std::fmt::Display) -> Failure {
    failed(format!(
        "cannot listen on {place}: {problem}: name another address with --listen"
    ))
}
