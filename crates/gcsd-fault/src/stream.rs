//! A byte stream that fails by its script.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::counts::{Counters, Counts, FaultKind};
use crate::plan::Ending;
use crate::script::{Lane, Script, Step};
use gcsd_net::Stream;

/// The most parts of a vectored write that is shortened.
const MAX_PARTS: usize = 64;

/// A byte stream around another one, which fails as its [`Script`] says.
///
/// Bytes pass in the caller's own buffers: vectored writes stay vectored, and a call is shortened only where a fault lies
/// ahead. A flipped byte passes alone, and is the only one that is copied.
///
/// A reset drops the inner stream after [`Stream::reset_on_drop`], so that over TCP the peer sees a reset too, and may
/// lose what it has not received yet. A close shuts it down and drops it. Either way the other half is woken.
///
/// ```
/// use gcsd_fault::{FaultyStream, Plan};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plan: Plan = "flip write 1 mask 0x20; close before read 3".parse()?;
/// let (near, mut far) = tokio::io::duplex(64);
/// let mut near = FaultyStream::new(near, plan.script(0));
///
/// near.write_all(b"hello").await?;
/// let mut received = [0; 5];
/// far.read_exact(&mut received).await?;
/// assert_eq!(&received, b"hEllo");
///
/// far.write_all(b"goodbye").await?;
/// let mut reply = String::new();
/// near.read_to_string(&mut reply).await?;
/// assert_eq!(reply, "goo");
/// assert_eq!(near.counts().to_string(), "1 close, 1 flip");
/// # Ok(())
/// # }
/// ```
///
/// A type that does not implement [`Stream`], such as a TLS stream, goes into a [`Plain`](crate::net::Plain).
#[derive(Debug)]
pub struct FaultyStream<S> {
    /// The inner stream, or how it ended.
    inner: Result<S, Ending>,
    write: Half,
    read: Half,
    counters: Arc<Counters>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    lane: Lane,
    stall: Option<Pause>,
    /// Who waits, to be woken when the other direction ends the connection.
    waiting: Option<Waker>,
}

#[derive(Debug)]
enum Pause {
    Until(Pin<Box<Sleep>>),
    Forever,
}

impl<S: Stream> FaultyStream<S> {
    /// A stream around `inner` that fails as `script` says.
    pub fn new(inner: S, script: Script) -> Self {
        Self {
            inner: Ok(inner),
            write: Half::new(script.write),
            read: Half::new(script.read),
            counters: Arc::default(),
        }
    }

    /// Counts faults in `counters` from now on, for instance in those of several streams.
    #[must_use]
    pub fn with_counters(mut self, counters: Arc<Counters>) -> Self {
        self.counters = counters;
        self
    }

    /// How often each fault has happened so far.
    pub fn counts(&self) -> Counts {
        self.counters.snapshot()
    }

    /// Ends the connection, and wakes both halves except the caller's own.
    fn end(&mut self, cx: &mut Context<'_>, ending: Ending) {
        let Ok(mut inner) = std::mem::replace(&mut self.inner, Err(ending)) else {
            return;
        };
        self.counters.add(ending.kind());
        match ending {
            Ending::Reset => inner.reset_on_drop(),
            // Polled once: a dialed stream has nothing to wait for here.
            Ending::Close => drop(Pin::new(&mut inner).poll_shutdown(cx)),
        }
        drop(inner);
        for half in [&mut self.write, &mut self.read] {
            half.stall = None;
            if let Some(waker) = half.waiting.take()
                && !waker.will_wake(cx.waker())
            {
                waker.wake();
            }
        }
    }

    fn poll_write_parts(&mut self, cx: &mut Context<'_>, parts: Parts<'_, '_>) -> Poll<io::Result<usize>> {
        let len = parts.len();
        loop {
            let inner = match &mut self.inner {
                Ok(inner) => inner,
                Err(ending) => return Poll::Ready(Err(ending.write_error())),
            };
            let mut inner = Pin::new(inner);
            let Some(first) = parts.first() else {
                let written = parts.write(inner, cx, usize::MAX);
                return self.write.wait(cx, written);
            };
            ready!(self.write.poll_stall(cx));
            match self.write.lane.step() {
                Step::Stall(duration) => {
                    self.counters.add(FaultKind::Stall);
                    self.write.stall = Some(Pause::new(duration));
                }
                Step::End(ending) => self.end(cx, ending),
                Step::Byte { mask, ending } => {
                    let byte = [first ^ mask];
                    let written = inner.as_mut().poll_write(cx, &byte);
                    let written = ready!(self.write.wait(cx, written))?;
                    if written > 0 && mask != 0 {
                        self.counters.add(FaultKind::Flip);
                    }
                    match ending {
                        Some(ending) if written > 0 => self.end(cx, ending),
                        _ => return self.written(cx, written),
                    }
                }
                Step::Pass { most, short } => {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    let written = parts.write(inner, cx, most);
                    let written = ready!(self.write.wait(cx, written))?;
                    if short && most < len && written == most {
                        self.counters.add(FaultKind::Short);
                    }
                    return self.written(cx, written);
                }
            }
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<io::Result<usize>> {
        if let Some(ending) = self.write.lane.passed(count as u64) {
            self.end(cx, ending);
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: Stream> AsyncWrite for FaultyStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_parts(cx, Parts::One(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_parts(cx, Parts::Many(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_ok_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match &mut this.inner {
            Ok(inner) => {
                let flushed = Pin::new(inner).poll_flush(cx);
                this.write.wait(cx, flushed)
            }
            Err(ending) => Poll::Ready(Err(ending.write_error())),
        }
    }

    /// Waits until a stall of the direction is over: the end of the stream comes after its bytes.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.write.poll_stall(cx));
        match &mut this.inner {
            Ok(inner) => {
                let shut = Pin::new(inner).poll_shutdown(cx);
                this.write.wait(cx, shut)
            }
            Err(Ending::Close) => Poll::Ready(Ok(())),
            Err(ending) => Poll::Ready(Err(ending.write_error())),
        }
    }
}

impl<S: Stream> AsyncRead for FaultyStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let inner = match &mut this.inner {
                Ok(inner) => inner,
                Err(Ending::Close) => return Poll::Ready(Ok(())),
                Err(Ending::Reset) => return Poll::Ready(Err(reset())),
            };
            let mut inner = Pin::new(inner);
            let room = buf.remaining();
            if room == 0 {
                let read = inner.poll_read(cx, buf);
                return this.read.wait(cx, read);
            }
            ready!(this.read.poll_stall(cx));
            match this.read.lane.step() {
                Step::Stall(duration) => {
                    this.counters.add(FaultKind::Stall);
                    this.read.stall = Some(Pause::new(duration));
                }
                Step::End(ending) => this.end(cx, ending),
                Step::Byte { mask, ending } => {
                    let mut byte = [0];
                    let count = ready!(this.read.read(cx, inner, &mut ReadBuf::new(&mut byte)))?;
                    if count == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    if mask != 0 {
                        this.counters.add(FaultKind::Flip);
                    }
                    match ending {
                        Some(ending) => this.end(cx, ending),
                        None => {
                            buf.put_slice(&[byte[0] ^ mask]);
                            return this.has_read(cx, count);
                        }
                    }
                }
                Step::Pass { most, short } => {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    if most >= room {
                        let count = ready!(this.read.read(cx, inner, buf))?;
                        return this.has_read(cx, count);
                    }
                    let mut front = ReadBuf::new(buf.initialize_unfilled_to(most));
                    let count = ready!(this.read.read(cx, inner.as_mut(), &mut front))?;
                    buf.advance(count);
                    if short && count == most {
                        this.counters.add(FaultKind::Short);
                    }
                    return this.has_read(cx, count);
                }
            }
        }
    }
}

impl<S: Stream> FaultyStream<S> {
    fn has_read(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<io::Result<()>> {
        if let Some(ending) = self.read.lane.passed(count as u64) {
            self.end(cx, ending);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Stream for FaultyStream<S> {
    fn reset_on_drop(&mut self) {
        if let Ok(inner) = &mut self.inner {
            inner.reset_on_drop();
        }
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        if let Ok(inner) = &mut self.inner {
            inner.set_user_timeout(limit);
        }
    }

    fn acknowledged(&self) -> Option<u64> {
        self.inner.as_ref().ok()?.acknowledged()
    }
}

impl Half {
    fn new(lane: Lane) -> Self {
        Self {
            lane,
            stall: None,
            waiting: None,
        }
    }

    /// Keeps the caller's waker if it has to wait.
    fn wait<T>(&mut self, cx: &Context<'_>, poll: Poll<T>) -> Poll<T> {
        match (&poll, &mut self.waiting) {
            (Poll::Pending, Some(waker)) => waker.clone_from(cx.waker()),
            (Poll::Pending, none) => *none = Some(cx.waker().clone()),
            (Poll::Ready(_), waiting) => *waiting = None,
        }
        poll
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = match &mut self.stall {
            None => return Poll::Ready(()),
            Some(Pause::Until(sleep)) => sleep.as_mut().poll(cx),
            Some(Pause::Forever) => Poll::Pending,
        };
        ready!(self.wait(cx, over));
        self.stall = None;
        Poll::Ready(())
    }

    /// Reads into `buf`; returns how many bytes.
    fn read<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        inner: Pin<&mut S>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        let read = inner.poll_read(cx, buf);
        ready!(self.wait(cx, read))?;
        Poll::Ready(Ok(buf.filled().len() - before))
    }
}

impl Pause {
    fn new(duration: Option<Duration>) -> Self {
        duration.map_or(Self::Forever, |duration| Self::Until(Box::pin(sleep(duration))))
    }
}

impl Ending {
    fn write_error(self) -> io::Error {
        match self {
            Self::Reset => reset(),
            Self::Close => io::Error::new(io::ErrorKind::BrokenPipe, "injected: the connection was closed"),
        }
    }
}

fn reset() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        "injected: the connection was reset",
    )
}

/// The buffers of a write: never copied, only cut.
#[derive(Clone, Copy)]
enum Parts<'a, 'b> {
    One(&'a [u8]),
    Many(&'a [IoSlice<'b>]),
}

impl Parts<'_, '_> {
    fn len(self) -> usize {
        match self {
            Self::One(buf) => buf.len(),
            Self::Many(bufs) => bufs.iter().map(|buf| buf.len()).sum(),
        }
    }

    fn first(self) -> Option<u8> {
        match self {
            Self::One(buf) => buf.first(),
            Self::Many(bufs) => bufs.iter().find_map(|buf| buf.first()),
        }
        .copied()
    }

    /// Writes the first `most` bytes.
    fn write<S: AsyncWrite>(
        self,
        inner: Pin<&mut S>,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::One(buf) => inner.poll_write(cx, &buf[..most.min(buf.len())]),
            Self::Many(bufs) if most >= self.len() => inner.poll_write_vectored(cx, bufs),
            Self::Many(bufs) => {
                let mut front = [IoSlice::new(&[]); MAX_PARTS];
                let (mut count, mut left) = (0, most);
                for buf in bufs.iter().filter(|buf| !buf.is_empty()).take(MAX_PARTS) {
                    let part = &buf[..left.min(buf.len())];
                    front[count] = IoSlice::new(part);
                    count += 1;
                    left -= part.len();
                    if left == 0 {
                        break;
                    }
                }
                inner.poll_write_vectored(cx, &front[..count])
            }
        }
    }
}
