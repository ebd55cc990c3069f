//! What happens on a connection before its first frame: the TLS handshake, where its listener wants one.

use std::io;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::foreign::Foreign;
use super::lines::End;
use super::listener::Incoming;
use super::socket::{Below, ReadHalf, Socket, WriteHalf, plain, secure};
use super::tls::Tls;
use crate::peer::{Certificate, Peer};

/// A connection that frames can be read from.
pub(super) struct Opened {
    pub(super) peer: Peer,
    pub(super) read: ReadHalf,
    pub(super) write: WriteHalf,
    /// What the client speaks instead of TLS, so that it gets an answer and nothing else.
    pub(super) foreign: Option<Foreign>,
}

/// Gets ready to read frames, until `deadline` at most. The error has who the peer is, as far as that is known.
pub(super) async fn open(
    incoming: Incoming,
    shared: &Shared,
    deadline: Instant,
) -> Result<Opened, (Peer, End)> {
    let Incoming {
        mut socket,
        peer,
        tls,
    } = incoming;
    let prepared = socket.prepare(shared.config.receive_buffer, shared.context.limits.client_timeout);
    if let Err(error) = prepared {
        return Err((peer, End::Broke(error)));
    }
    let socket = Arc::new(socket);
    let Some(tls) = tls else {
        return Ok(opened(peer, plain(socket), None));
    };
    let within = async {
        tokio::select! {
            biased;
            // In a box: a handshake's state would otherwise be part of every idle connection.
            opened = timeout_at(deadline, Box::pin(handshake(socket, peer.clone(), &tls))) => {
                opened.unwrap_or(Err(End::Silent))
            }
            () = shared.shutdown.drain.cancelled() => Err(End::Draining),
        }
    };
    within.await.map_err(|end| match end {
        End::Handshake { error, .. } => {
            let new = shared.strangers.is_new(peer.origin());
            (peer, End::Handshake { error, new })
        }
        end => (peer, end),
    })
}

async fn handshake(socket: Arc<Socket>, peer: Peer, tls: &Tls) -> Result<Opened, End> {
    let mut first = [0; 4];
    let begun = match socket.peek(&mut first).await {
        Ok(0) => return Err(End::Closed),
        Ok(len) => &first[..len],
        Err(error) => return Err(End::Broke(error)),
    };
    if let Some(foreign) = Foreign::instead_of_tls(begun) {
        return Ok(opened(peer, plain(socket), Some(foreign)));
    }
    let failed = |error| End::Handshake { error, new: true };
    let session = tls.acceptor().accept(Below(socket)).await.map_err(failed)?;
    let shown = session.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|der| Certificate::from_der(der)).transpose();
    let certificate = certificate.map_err(|error| failed(io::Error::other(error)))?;
    let peer = peer.with_certificate(certificate.map(Arc::new));
    Ok(opened(peer, secure(session), None))
}

fn opened(peer: Peer, (read, write): (ReadHalf, WriteHalf), foreign: Option<Foreign>) -> Opened {
    Opened {
        peer,
        read,
        write,
        foreign,
    }
}
