//! Where the daemon listens.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

use crate::cli::exit::{Failure, failed};

/// Where the daemon listens if nobody says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4743);

/// The sockets that systemd hands over, and those of the command line.
pub(super) fn listeners(addresses: &[SocketAddr], backlog: u32) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    let mut passed = ListenFd::from_env();
    for index in 0..passed.len() {
        let listener = passed
            .take_tcp_listener(index)
            .and_then(|listener| listener.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .map_err(|error| failed(format!("the socket {index} that was handed over: {error}")))?;
        listeners.push(listener);
    }
    let default = [DEFAULT_LISTEN];
    let addresses = if addresses.is_empty() && listeners.is_empty() {
        &default
    } else {
        addresses
    };
    for address in addresses {
        let listener = bind(*address, backlog).map_err(|error| {
            failed(format!(
                "cannot listen on {address}: {error}: name another address with --listen"
            ))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// As [`TcpListener::bind`] does, with a backlog of its own.
fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A daemon that was stopped leaves connections behind that the kernel still closes.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}
