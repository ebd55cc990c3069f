//! Connections that fail because of this machine, and not because of the network.

use std::io;

use tokio::net::TcpSocket;

use super::failures::ConnectError;

/// Whether a connection could not be opened because this process or this machine has no more open files, or no memory for a
/// socket. Neither the network nor the other side has anything to do with it then.
pub fn is_exhausted(error: &io::Error) -> bool {
    if let Some(code) = error.raw_os_error() {
        return is_shortage(code);
    }
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ConnectError>());
    inner.is_some_and(ConnectError::is_exhausted)
}

#[cfg(unix)]
fn is_shortage(code: i32) -> bool {
    matches!(code, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

#[cfg(not(unix))]
fn is_shortage(_code: i32) -> bool {
    false
}

/// The shortage behind a name that could not be resolved, if there is one: the resolver needs a socket, too, and does not
/// say why it has none.
pub(crate) fn shortage_behind(error: io::Error) -> Result<io::Error, io::Error> {
    if is_exhausted(&error) {
        return Ok(error);
    }
    match TcpSocket::new_v4() {
        Err(shortage) if is_exhausted(&shortage) => Ok(shortage),
        _ => Err(error),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_shortage_is_recognized_alone_and_among_addresses() {
        let files = || io::Error::from_raw_os_error(libc::EMFILE);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(is_exhausted(&files()) && !is_exhausted(&refused()));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let both = vec![(address, Some(files())), (address, Some(refused()))];
        assert!(is_exhausted(&ConnectError::io(both)));
        let others = vec![(address, Some(refused())), (address, None)];
        assert!(!is_exhausted(&ConnectError::io(others)));
        assert!(shortage_behind(files()).is_ok());
        assert!(shortage_behind(refused()).is_err());
    }
}
