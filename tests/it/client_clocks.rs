//! The clock of a client's connection: what the daemon acknowledges is progress, and what was given up is not sent.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Body, Connection, Options, Reason};
use gcsd_net::{BoxStream, Stream};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::daemon::PATIENCE;
use crate::support::delegating::delegate_io;
use crate::support::scripted::{at, bytes, lost};

/// A stream in memory whose peer acknowledges a byte more whenever it is asked, so many times.
struct Acknowledging {
    inner: DuplexStream,
    times: u64,
    asked: AtomicU64,
}

impl Stream for Acknowledging {
    fn acknowledged(&self) -> Option<u64> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        Some(asked.min(self.times))
    }
}

delegate_io!(Acknowledging);

/// The clock is paused, and moves on when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_daemon_that_acknowledges_is_waited_for() {
    let options = Options::default().with_stall(Duration::from_secs(80));
    for (times, waited) in [(0, 80), (1, 90), (30, 380)] {
        let (inner, _daemon) = tokio::io::duplex(64 * 1024);
        let stream = Acknowledging {
            inner,
            times,
            asked: AtomicU64::new(0),
        };
        let connection = Connection::over(Box::new(stream) as BoxStream, &options);
        let begun = Instant::now();
        let (reason, _) = lost(connection.ping(Bytes::new()).await);
        assert!(matches!(reason, Reason::Stalled(_)), "{reason}");
        assert_eq!(begun.elapsed().as_secs(), waited);
    }
}

async fn pair(options: &Options) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let (daemon, _) = listener.accept().await.expect("a connection");
    (Connection::over(Box::new(client) as BoxStream, options), daemon)
}

/// How the client's stream ends: an error, or the plain end.
async fn end(mut daemon: TcpStream) -> Option<ErrorKind> {
    let mut buffer = vec![0; 1 << 20];
    let reading = async {
        loop {
            match daemon.read(&mut buffer).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(error.kind()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it ends")
}

#[tokio::test]
async fn a_request_that_is_given_up_is_not_sent_on() {
    let options = Options::default().with_stall(Duration::from_millis(50));
    // The daemon reads nothing, so that the rest of the body waits in the kernel.
    let (connection, daemon) = pair(&options).await;
    let body = Body::from(vec![bytes(1 << 20); 64]);
    let (reason, sent) = lost(connection.write_at(1, &at(0), body).await);
    assert!(matches!(reason, Reason::Stalled(_)) && sent, "{reason}");
    drop(connection);
    assert_eq!(end(daemon).await, Some(ErrorKind::ConnectionReset));
    // The caller goes away in the middle of a body.
    let (connection, daemon) = pair(&Options::default()).await;
    let body = Body::from(vec![bytes(1 << 20); 64]);
    let args = at(0);
    {
        let writing = connection.write_at(1, &args, body);
        let mut first = [0];
        let begun = daemon.peek(&mut first);
        tokio::select! {
            result = writing => panic!("nobody answers: {result:?}"),
            begun = begun => assert_eq!(begun.expect("bytes"), 1),
        }
    }
    drop(connection);
    assert_eq!(end(daemon).await, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn what_was_sent_whole_arrives_though_nobody_waits() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    {
        let ping = connection.ping(Bytes::from_static(b"still here"));
        let mut first = [0];
        let begun = daemon.peek(&mut first);
        tokio::select! {
            result = ping => panic!("nobody answers: {result:?}"),
            begun = begun => assert_eq!(begun.expect("bytes"), 1),
        }
    }
    drop(connection);
    let mut all = Vec::new();
    daemon.read_to_end(&mut all).await.expect("the plain end");
    assert!(all.windows(10).any(|bytes| bytes == b"still here"));
}
