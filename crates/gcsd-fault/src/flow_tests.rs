//! Bytes keep their order and their place in memory, and waiting tasks are woken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex, split};

use super::*;
use gcsd_net::Stream;

fn faulty<S: Stream>(inner: S, plan: &str) -> FaultyStream<S> {
    faulty_number(inner, plan, 0).0
}

fn faulty_number<S: Stream>(inner: S, plan: &str, number: u64) -> (FaultyStream<S>, Arc<Counters>) {
    let plan: Plan = plan.parse().expect("a plan");
    let counters = Arc::new(Counters::default());
    (
        FaultyStream::new(inner, plan.script(number)).with_counters(Arc::clone(&counters)),
        counters,
    )
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next_u64().to_le_bytes()[0]).collect()
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).expect("below a usize")
}

/// Writes all of `bytes`, in vectored and plain writes of random shapes, empty parts included.
async fn write_ragged<W: AsyncWrite + Unpin>(mut to: W, bytes: &[u8], random: &mut Random) {
    let mut at = 0;
    while at < bytes.len() {
        let mut parts = Vec::new();
        let mut end = at;
        for _ in 0..1 + below(random, 90) {
            let len = below(random, 40).min(bytes.len() - end);
            parts.push(IoSlice::new(&bytes[end..end + len]));
            end += len;
        }
        let written = match below(random, 3) {
            0 => to.write(&bytes[at..end.max(at + 1).min(bytes.len())]).await,
            _ if end == at => continue,
            _ => to.write_vectored(&parts).await,
        };
        let written = written.expect("a write");
        assert!(written > 0);
        at += written;
        if below(random, 8) == 0 {
            to.flush().await.expect("a flush");
        }
    }
    to.shutdown().await.expect("a shutdown");
}

/// Reads to the end, into rooms of random sizes.
async fn read_ragged<R: AsyncRead + Unpin>(mut from: R, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let mut room = vec![0; 1 + below(random, 3000)];
        let count = from.read(&mut room).await.expect("a read");
        if count == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&room[..count]);
    }
}

/// Both directions at once, under the plan, for many seeds: what comes out is what went in.
async fn both_ways(plan: &str, seeds: std::ops::Range<u64>) -> Counts {
    let mut total = Counts::default();
    for seed in seeds {
        let mut random = Random::new(seed).split(1);
        let (near, far) = duplex(1 + below(&mut random, 5000));
        let (near, counters) = faulty_number(near, &format!("seed {seed}; {plan}"), 0);
        let (out_len, in_len) = (below(&mut random, 40_000), below(&mut random, 40_000));
        let (out, back) = (bytes(&mut random, out_len), bytes(&mut random, in_len));
        let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
        let [mut a, mut b, mut c, mut d] = [2, 3, 4, 5].map(|index| random.split(index));
        let ((), (), came_out, came_back) = tokio::join!(
            write_ragged(near_write, &out, &mut a),
            write_ragged(far_write, &back, &mut b),
            read_ragged(far_read, &mut c),
            read_ragged(near_read, &mut d),
        );
        assert!(came_out == out, "seed {seed}: what was written came otherwise");
        assert!(came_back == back, "seed {seed}: what was read is otherwise");
        total = total.plus(&counters.snapshot());
    }
    total
}

#[tokio::test(start_paused = true)]
async fn short_reads_and_writes_and_stalls_change_nothing() {
    let counts = both_ways("short write 1; short read 1", 0..2).await;
    assert_eq!(counts.total(), counts.of(FaultKind::Short));
    let counts = both_ways("short write 7; short read 9", 0..8).await;
    assert!(counts.of(FaultKind::Short) > 5_000, "{counts}");
    let plan = "short write 500; short read 700; stall write 0..20KiB for 3s; stall read 0..20KiB for 2s";
    let counts = both_ways(plan, 0..40).await;
    assert!(counts.of(FaultKind::Stall) > 30, "{counts}");
}

#[tokio::test]
async fn two_equal_flips_are_none() {
    let twice = "flip write 77; flip write 77; flip read 5 mask 0x10; flip read 5 mask 0x10; short read 40";
    let counts = both_ways(twice, 0..20).await;
    assert_eq!(counts.of(FaultKind::Flip), 0);
}

/// Takes all that it is given, and notes where in memory each part was.
struct Witness(Arc<Mutex<Vec<(usize, usize)>>>);

impl Witness {
    fn note(&self, part: &[u8]) {
        let mut seen = self.0.lock().expect("a lock");
        seen.push((part.as_ptr().addr(), part.len()));
    }
}

impl AsyncRead for Witness {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        self.note(room);
        let len = room.len();
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Witness {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.note(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        bufs.iter().for_each(|buf| self.note(buf));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Witness {}

#[tokio::test]
async fn bytes_leave_from_where_they_came() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let plan = "flip write 250; stall write 120 for 1ms; reset before write 1MiB; flip read 60";
    let mut stream = faulty(Witness(Arc::clone(&seen)), plan);
    assert!(stream.is_write_vectored());
    let source = vec![1; 1000];
    let mut written = 0;
    let mut calls = Vec::new();
    while written < source.len() {
        let parts: Vec<IoSlice<'_>> = source[written..].chunks(100).map(IoSlice::new).collect();
        let count = stream.write_vectored(&parts).await.expect("a write");
        written += count;
        calls.push(count);
    }
    assert_eq!(calls, [120, 130, 1, 749]);
    let base = source.as_ptr().addr();
    let seen_parts = std::mem::take(&mut *seen.lock().expect("a lock"));
    let places: Vec<_> = seen_parts
        .iter()
        .map(|(at, len)| (at.wrapping_sub(base), *len))
        .collect();
    assert_eq!(places[..4], [(0, 100), (100, 20), (120, 100), (220, 30)]);
    assert!(
        places[4].0 >= source.len() && places[4].1 == 1,
        "the flipped byte is a copy"
    );
    assert_eq!(places[5..7], [(251, 100), (351, 100)]);
    assert_eq!(places.len(), 13);

    // Reads go straight into the caller's room as well, but for the flipped byte.
    let mut room = vec![0; 500];
    let base = room.as_ptr().addr();
    let mut filled = 0;
    while filled < room.len() {
        filled += stream.read(&mut room[filled..]).await.expect("a read");
    }
    let places: Vec<_> = seen.lock().expect("a lock").clone();
    assert_eq!((places[0], places[2]), ((base, 60), (base + 61, 439)));
    assert_eq!((places.len(), places[1].1), (3, 1));
}

#[tokio::test]
async fn a_short_write_of_many_parts_is_a_prefix() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut stream = faulty(Witness(Arc::clone(&seen)), "reset before write 900");
    let source = vec![1; 1000];
    let parts: Vec<IoSlice<'_>> = source.chunks(1).map(IoSlice::new).collect();
    // Made shorter, a write has 64 parts at most.
    assert_eq!(stream.write_vectored(&parts).await.expect("a write"), 64);
    let empty = [IoSlice::new(&[]), IoSlice::new(&[])];
    assert_eq!(stream.write_vectored(&empty).await.expect("a write"), 0);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_for_good_sleeps_until_the_end_wakes_it() {
    let (near, mut far) = duplex(100);
    far.write_all(b"unheard").await.expect("a write");
    let mut stream = faulty(near, "stall read 0; reset before write 4");
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(Arc::clone(&alarm));
    let mut room = [0; 10];
    let mut room = ReadBuf::new(&mut room);
    let mut reader = Context::from_waker(&waker);
    assert!(
        Pin::new(&mut stream)
            .poll_read(&mut reader, &mut room)
            .is_pending()
    );
    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
    far.write_all(b"still unheard").await.expect("a write");
    assert_eq!(alarm.0.load(Ordering::Relaxed), 0);
    assert_eq!(stream.write(b"1234567").await.expect("a write"), 4);
    assert_eq!(alarm.0.load(Ordering::Relaxed), 0);
    stream.write(b"5").await.expect_err("the reset");
    assert_eq!(alarm.0.load(Ordering::Relaxed), 1);
    let Poll::Ready(Err(error)) = Pin::new(&mut stream).poll_read(&mut reader, &mut room) else {
        panic!("the reader still waits");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn each_half_is_woken_by_the_end_that_the_other_meets() {
    for (plan, kind) in [
        ("reset after write 9", Some(io::ErrorKind::ConnectionReset)),
        ("close in write 9", None),
    ] {
        let (near, far) = duplex(100);
        let (mut read, mut write) = split(faulty(near, plan));
        let reader = tokio::spawn(async move { read.read(&mut [0; 10]).await });
        tokio::task::yield_now().await;
        let _ = write.write_all(b"0123456789").await;
        let ended = reader.await.expect("the reader is woken");
        assert_eq!(ended.map_err(|error| error.kind()).err(), kind, "{plan}");
        drop(far);
    }
    let (near, mut far) = duplex(4);
    let (mut read, mut write) = split(faulty(near, "reset in read 2"));
    let writer = tokio::spawn(async move { write.write_all(b"more than four").await });
    tokio::task::yield_now().await;
    far.write_all(b"abc").await.expect("a write");
    read.read_exact(&mut [0; 3]).await.expect_err("the reset");
    let ended = writer.await.expect("the writer is woken").expect_err("the reset");
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn after_the_end_each_call_says_so() {
    let (near, _far) = duplex(100);
    let mut stream = faulty(near, "reset before write 0");
    for _ in 0..3 {
        assert_eq!(
            stream.write(b"x").await.expect_err("reset").kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            stream.flush().await.expect_err("reset").kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            stream.shutdown().await.expect_err("reset").kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            stream.read(&mut [0]).await.expect_err("reset").kind(),
            io::ErrorKind::ConnectionReset
        );
    }
    let (near, mut far) = duplex(100);
    let mut stream = faulty(near, "close before read 0");
    for _ in 0..3 {
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
        assert_eq!(
            stream.write(b"x").await.expect_err("closed").kind(),
            io::ErrorKind::BrokenPipe
        );
        stream.shutdown().await.expect("nothing left to do");
    }
    assert_eq!(far.read(&mut [0]).await.expect("the end"), 0);
}
