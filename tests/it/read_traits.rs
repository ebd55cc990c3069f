//! Reads by the traits that others know: `AsyncRead`, `AsyncBufRead` and `Stream`, with faults at both hops.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use devgcs::CallKind;
use futures_core::Stream;
use gcsd_client::{
    Connection, Daemons, Error, ObjectReader, Options as ClientOptions, ReadError, ReadRequest,
    ReliableReader,
};
use gcsd_net::{SharedConnector, TcpConnector};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use crate::support::daemon::{Daemon, Options, PATIENCE, object_ref, pattern};
use crate::support::devgcs::upload;
use crate::support::stage::faulty;
use crate::support::uploads::{daemons, retries, tcp};

/// A daemon whose GCS fails by `plan`, and whose object is `bytes`.
async fn holding(bytes: &[u8], plan: &str) -> Daemon {
    let mut options = Options::default();
    options.devgcs = options.devgcs.faults(plan);
    let daemon = Daemon::with(options).await;
    upload(&daemon.devgcs, "object", bytes).await;
    daemon
}

fn through(daemon: &Daemon, connector: SharedConnector) -> Daemons {
    daemons(&[daemon.address], connector)
}

fn reader(daemons: Daemons) -> ReliableReader {
    ReliableReader::new(daemons, ReadRequest::new(object_ref("object")), &retries())
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

/// The next item of a stream.
async fn item<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    soon(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

/// Reads to the end by `AsyncRead`, never more than `most` bytes at a time.
async fn by_read(reader: &mut (impl AsyncRead + Unpin), most: usize) -> (Vec<u8>, io::Result<()>) {
    let (mut whole, mut buffer) = (Vec::new(), vec![0; most]);
    loop {
        match soon(reader.read(&mut buffer)).await {
            Ok(0) => return (whole, Ok(())),
            Ok(len) => whole.extend_from_slice(&buffer[..len]),
            Err(error) => return (whole, Err(error)),
        }
    }
}

async fn by_buffer(reader: &mut (impl AsyncBufRead + Unpin)) -> (Vec<u8>, io::Result<()>) {
    let mut whole = Vec::new();
    loop {
        // The pattern has every byte, so that this takes pieces apart.
        match soon(reader.read_until(7, &mut whole)).await {
            Ok(0) => return (whole, Ok(())),
            Ok(_) => {}
            Err(error) => return (whole, Err(error)),
        }
    }
}

async fn by_stream<E>(
    stream: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> (Vec<u8>, Result<(), E>) {
    let mut whole = Vec::new();
    loop {
        match item(stream).await {
            None => return (whole, Ok(())),
            Some(Ok(bytes)) => whole.extend_from_slice(&bytes),
            Some(Err(error)) => return (whole, Err(error)),
        }
    }
}

/// What becomes of a client's connections, and what GCS does.
const PLANS: [(&str, &str); 6] = [
    ("off", "off"),
    ("refuse on 0..3; reset in read 300KiB on 3", "off"),
    ("close after read 60 on 0; short read 1100", "off"),
    ("off", "return-broken-stream-after-512K on read call 0..3"),
    (
        "reset in read 200KiB on 0..9",
        "return-reset-connection-after-1024K on read call 0",
    ),
    ("off", "return-503 on read call 0..3"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_reading_survives_what_breaks() {
    let bytes = pattern(2_500_007);
    for (hop, gcs) in PLANS {
        let daemon = holding(&bytes, gcs).await;
        for most in [1, 1000, 4 << 20] {
            // A byte at a time takes long, and is the same for every plan.
            if most == 1 && hop != "off" {
                continue;
            }
            let mut reader = reader(through(&daemon, faulty(hop)));
            let (came, result) = by_read(&mut reader, most).await;
            assert!(result.is_ok() && came == bytes, "{hop}, {gcs}: {result:?}");
            assert_eq!(reader.received(), bytes.len() as u64);
        }
        let mut reading = reader(through(&daemon, faulty(hop)));
        let (came, result) = by_buffer(&mut reading).await;
        assert!(result.is_ok() && came == bytes, "{hop}, {gcs}: {result:?}");
        let mut reading = reader(through(&daemon, faulty(hop)));
        let (came, result) = by_stream(&mut reading).await;
        assert!(result.is_ok() && came == bytes, "{hop}, {gcs}: {result:?}");
        assert!(item(&mut reading).await.is_none(), "the end stays");
    }
}

/// The read's error inside of the I/O error.
fn inner(error: io::Error) -> ReadError {
    let inner = error.into_inner().expect("a cause");
    *inner.downcast().expect("a read's error")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_verified_does_not_end_well() {
    let bytes = pattern(1 << 20);
    let flip = "flip read 500000 on 0";
    let daemon = holding(&bytes, "off").await;
    let mut damaged = reader(through(&daemon, faulty(flip)));
    let (came, result) = by_read(&mut damaged, 64 << 10).await;
    assert_eq!(came.len(), bytes.len());
    let error = result.expect_err("a byte is another");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(matches!(inner(error), ReadError::Damaged { .. }));
    // Whoever asks once more does not take it for the end.
    let again = damaged.read(&mut [0; 8]).await;
    assert!(matches!(
        inner(again.expect_err("it stays")),
        ReadError::Damaged { .. }
    ));
    let again = damaged.fill_buf().await.map(<[u8]>::len);
    assert!(matches!(
        inner(again.expect_err("it stays")),
        ReadError::Damaged { .. }
    ));

    let mut damaged = reader(through(&daemon, faulty(flip)));
    let (_, result) = by_stream(&mut damaged).await;
    assert!(matches!(result, Err(ReadError::Damaged { .. })));
    assert!(
        item(&mut damaged).await.is_none(),
        "a stream ends after its error"
    );
    assert!(
        damaged.next().await.is_err(),
        "and nothing else calls that a success"
    );

    let mut missing = ReliableReader::new(
        through(&daemon, tcp()),
        ReadRequest::new(object_ref("missing")),
        &retries(),
    );
    let (_, result) = by_read(&mut missing, 64).await;
    assert_eq!(
        result.expect_err("it is not there").kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_of_reading_can_follow_each_other() {
    let bytes = pattern(1_000_000);
    let daemon = holding(&bytes, "off").await;
    let mut reader = reader(through(&daemon, tcp()));
    let mut whole = vec![0; 10];
    soon(reader.read_exact(&mut whole)).await.expect("ten bytes");
    assert!(reader.received() > 10, "a piece is more than that");
    // The rest of the piece comes first, whoever asks.
    whole.extend_from_slice(&soon(reader.next()).await.expect("bytes").expect("bytes"));
    let mut three = [0; 3];
    soon(reader.read_exact(&mut three)).await.expect("three bytes");
    whole.extend_from_slice(&three);
    whole.extend_from_slice(&item(&mut reader).await.expect("bytes").expect("bytes"));
    let len = soon(reader.fill_buf()).await.expect("bytes").len().min(5);
    whole.extend_from_slice(&soon(reader.fill_buf()).await.expect("bytes")[..len]);
    reader.consume(len);
    soon(reader.read_to_end(&mut whole)).await.expect("the rest");
    assert!(whole == bytes);
    assert_eq!(reader.received(), bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_that_is_dropped_loses_nothing() {
    let bytes = pattern(1_000_000);
    let daemon = holding(&bytes, "return-503 on read call 0").await;
    let mut reader = reader(through(&daemon, tcp()));
    let mut whole = Vec::new();
    let reading = async {
        loop {
            // Each future is polled once.
            let next = std::pin::pin!(reader.next());
            let mut next = Some(next);
            let polled = poll_fn(|cx| match next.as_mut().map(|next| next.as_mut().poll(cx)) {
                Some(Poll::Ready(piece)) => Poll::Ready(Some(piece)),
                _ => Poll::Ready(None),
            });
            match polled.await {
                Some(Ok(Some(piece))) => whole.extend_from_slice(&piece),
                Some(Ok(None)) => return,
                Some(Err(error)) => panic!("{error}"),
                None => tokio::task::yield_now().await,
            }
        }
    };
    soon(reading).await;
    assert!(whole == bytes);
    let reads = daemon.devgcs.inspect().count(CallKind::ReadObject);
    assert_eq!(reads, 2, "what was asked is not asked again");
}

/// A read on a connection that recovers from nothing.
async fn unreliable(daemon: &Daemon, connector: &SharedConnector) -> Result<ObjectReader, Error> {
    let (address, options) = (daemon.address.into(), ClientOptions::default());
    let connection = Connection::open(&**connector, &address, &options).await?;
    let request = ReadRequest::new(object_ref("object"));
    connection.read_at(&request.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_recovers_from_nothing_says_how_it_ended() {
    let bytes = pattern(1 << 20);
    let daemon = holding(&bytes, "return-broken-stream-after-512K on read call 3..").await;
    let plain: SharedConnector = std::sync::Arc::new(TcpConnector);
    let mut reader = unreliable(&daemon, &plain).await.expect("a read");
    let (came, result) = by_read(&mut reader, 1000).await;
    assert!(result.is_ok() && came == bytes, "{result:?}");
    let mut reader = unreliable(&daemon, &plain).await.expect("a read");
    let (came, result) = by_buffer(&mut reader).await;
    assert!(result.is_ok() && came == bytes, "{result:?}");
    let mut reader = unreliable(&daemon, &plain).await.expect("a read");
    let (came, result) = by_stream(&mut reader).await;
    assert!(result.is_ok() && came == bytes, "{result:?}");

    let mut reader = unreliable(&daemon, &plain).await.expect("a read");
    let (came, result) = by_read(&mut reader, 1000).await;
    assert!(came == bytes[..512 << 10]);
    assert!(result.is_err(), "half of it is missing");
    assert!(reader.read(&mut [0; 8]).await.is_err(), "the error stays");
    let mut reader = unreliable(&daemon, &plain).await.expect("a read");
    let (came, result) = by_stream(&mut reader).await;
    assert!(came == bytes[..512 << 10] && result.is_err(), "{result:?}");
    assert!(item(&mut reader).await.is_none(), "a stream ends after its error");

    let flip: SharedConnector = faulty("flip read 600000 on 0");
    let daemon = holding(&bytes, "off").await;
    let mut reader = unreliable(&daemon, &flip).await.expect("a read");
    let (_, result) = by_read(&mut reader, 64 << 10).await;
    assert_eq!(
        result.expect_err("a byte is another").kind(),
        io::ErrorKind::InvalidData
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_a_byte_is_refused_rather_than_read_to_the_end() {
    let daemon = holding(&pattern(1000), "off").await;
    for end in [5, 3, 0] {
        let request = ReadRequest::new(object_ref("object")).with_range(5..end);
        let mut reader = ReliableReader::new(through(&daemon, tcp()), request, &retries());
        let error = soon(reader.next()).await.expect_err("nothing is asked for");
        assert_eq!(error.request().map(Error::name), Some("bad_request"), "{error}");
    }
    assert_eq!(daemon.devgcs.inspect().count(CallKind::ReadObject), 0);
}
