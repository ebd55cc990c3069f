//! One upload through a daemon, checked from the first byte to the finished object.
//!
//! The object appears only if GCS's checksum of it is ours: the last range goes out when all bytes before
//! it have been read, and carries the checksum of the whole. The daemon's checksum of what it received is
//! compared after each range.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use indicatif::ProgressBar;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::connect::Daemon;
use super::exit::{Exit, Failure};
use super::gs_url::GsUrl;
use crate::client::{Body, BodySource, Connection, FileBody, NextPiece, Reply, Sum};
use crate::types::{CHUNK_ALIGNMENT, Crc32c, ObjectInfo};
use crate::wire::progress::Progress;
use crate::wire::{cancel_upload, finish_upload, start_upload, write_at};

/// A file up to this size is read whole and sent in one range, in bytes.
const SMALL: u64 = 4 << 20;

/// How long clearing up may take.
const CLEARING: Duration = Duration::from_secs(15);

/// Where an upload's bytes come from.
pub(super) enum Input {
    /// Something of known size that can be read at any offset.
    Sized(u64, Box<dyn Ranges>),
    /// A pipe. It is held in memory in ranges of the given size, two at a time.
    Pipe(Box<dyn AsyncRead + Send + Unpin>, u64),
}

/// Bytes that can be read at any offset.
pub(super) trait Ranges: Send + Sync {
    /// `len` bytes from `offset`, and the sum that they will have.
    fn range(&self, offset: u64, len: u64) -> (Box<dyn BodySource>, Sum);
}

impl Ranges for Arc<std::fs::File> {
    fn range(&self, offset: u64, len: u64) -> (Box<dyn BodySource>, Sum) {
        let body = FileBody::new(self.clone(), offset, len);
        let sum = body.sum();
        (Box::new(body), sum)
    }
}

/// An object that is finished, and has the checksum of what was sent.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub(super) object: ObjectInfo,
    pub(super) json: Bytes,
    /// The checksum of what was sent.
    pub(super) crc32c: Crc32c,
    /// Requests that were made.
    pub(super) requests: u64,
}

/// An upload under way.
pub(super) struct Upload<'a> {
    daemon: &'a Daemon,
    url: &'a GsUrl,
    bar: &'a ProgressBar,
    /// What is known if the upload is dropped, which it may be at any point.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<String>,
    requests: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(daemon: &'a Daemon, url: &'a GsUrl, bar: &'a ProgressBar) -> Self {
        Self {
            daemon,
            url,
            bar,
            state: Mutex::default(),
        }
    }

    /// Uploads `input`, and clears up when that fails or `stop` resolves first.
    pub(super) async fn run(
        &self,
        args: &start_upload::Args,
        input: Input,
        stop: impl Future<Output = ()>,
    ) -> Result<Uploaded, Failure> {
        let failure = tokio::select! {
            uploaded = self.send(args, input) => match uploaded {
                Ok(uploaded) => return Ok(uploaded),
                Err(failure) => failure,
            },
            () = stop => Failure::interrupted(),
        };
        self.bar.abandon();
        let token = self.state().token.clone();
        let rest = match token {
            // GCS has said so itself.
            _ if failure.made_nothing() => "no object was made".to_owned(),
            None => "nothing was uploaded".to_owned(),
            Some(token) => self.clear_up(&token).await,
        };
        Err(failure.at(self.url).also(rest))
    }

    async fn send(&self, args: &start_upload::Args, input: Input) -> Result<Uploaded, Failure> {
        let (connection, _) = self.daemon.open().await?;
        let id = connection.new_upload();
        let started = connection.start_upload(id, args).await?;
        {
            let mut state = self.state();
            state.token = Some(started.args.token);
            // Hello and StartUpload.
            state.requests = 2;
        }
        let (total, crc32c, last) = match input {
            Input::Sized(size, ranges) => self.sized(&connection, id, size, ranges.as_ref()).await?,
            Input::Pipe(pipe, len) => self.pipe(&connection, id, pipe, len).await?,
        };
        let Some(object) = last.args.object else {
            let what = format!("GCS holds {} of {total} bytes", last.args.committed);
            return Err(Failure::new(Exit::Temporary, "incomplete", what).advise("try again"));
        };
        if object.size != total || object.crc32c.is_some_and(|stored| stored != crc32c) {
            let stored = object.crc32c.unwrap_or_default();
            let what = format!(
                "generation {} has {} bytes with CRC32C {stored}, and {total} with {crc32c} were sent",
                object.generation, object.size
            );
            return Err(Failure::new(Exit::Differs, "damaged", what).advise("do not use that generation"));
        }
        Ok(Uploaded {
            object,
            json: last.json,
            crc32c,
            requests: self.state().requests,
        })
    }

    /// All but the last bytes in one range, whatever its size, then the last with the checksum of all.
    async fn sized(
        &self,
        connection: &Connection,
        id: u32,
        size: u64,
        ranges: &dyn Ranges,
    ) -> Result<(u64, Crc32c, Reply<Progress>), Failure> {
        let front = match size {
            0..=SMALL => 0,
            _ => (size - 1) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT,
        };
        let mut crc32c = Crc32c::default();
        if front > 0 {
            let (source, sum) = ranges.range(0, front);
            let args = write_at::Args {
                offset: 0,
                ..write_at::Args::default()
            };
            let source = Metered {
                source,
                bar: self.bar.clone(),
            };
            self.write(connection, id, &args, Body::source(front, source), || sum.get())
                .await?;
            crc32c = sum.get().1;
        }
        let back = whole(ranges, front, size - front).await?;
        let reply = self.last(connection, id, front, back, &mut crc32c).await?;
        Ok((size, crc32c, reply))
    }

    /// Range by range, the next being read while one is sent.
    async fn pipe(
        &self,
        connection: &Connection,
        id: u32,
        mut pipe: Box<dyn AsyncRead + Send + Unpin>,
        len: u64,
    ) -> Result<(u64, Crc32c, Reply<Progress>), Failure> {
        let mut crc32c = Crc32c::default();
        let mut offset = 0;
        let mut range = fill(&mut pipe, len).await?;
        while range.len() as u64 == len {
            let args = write_at::Args {
                offset,
                ..write_at::Args::default()
            };
            let sum = (len, Crc32c::of(&range));
            crc32c = crc32c.append(&range);
            let sending = self.write(connection, id, &args, range.into(), || sum);
            let (sent, next) = tokio::join!(sending, fill(&mut pipe, len));
            sent?;
            self.bar.inc(len);
            offset += len;
            range = next?;
        }
        let total = offset + range.len() as u64;
        let reply = self.last(connection, id, offset, range, &mut crc32c).await?;
        Ok((total, crc32c, reply))
    }

    /// The last range, with the checksum of all; or, where nothing is left to send, only that.
    async fn last(
        &self,
        connection: &Connection,
        id: u32,
        offset: u64,
        back: Bytes,
        crc32c: &mut Crc32c,
    ) -> Result<Reply<Progress>, Failure> {
        *crc32c = crc32c.append(&back);
        let total = offset + back.len() as u64;
        let len = back.len() as u64;
        let reply = if back.is_empty() {
            self.state().requests += 1;
            let args = finish_upload::Args {
                total,
                object_crc32c: Some(*crc32c),
            };
            connection.finish_upload(id, &args).await?
        } else {
            let args = write_at::Args {
                offset,
                total: Some(total),
                object_crc32c: Some(*crc32c),
            };
            let sum = (len, Crc32c::of(&back));
            self.write(connection, id, &args, back.into(), || sum).await?
        };
        self.bar.inc(len);
        Ok(reply)
    }

    /// One range, of which the daemon must have received what was sent.
    async fn write(
        &self,
        connection: &Connection,
        id: u32,
        args: &write_at::Args,
        body: Body,
        sum: impl FnOnce() -> (u64, Crc32c),
    ) -> Result<Reply<Progress>, Failure> {
        self.state().requests += 1;
        let reply = connection.write_at(id, args, body).await?;
        let (sent, crc32c) = sum();
        let (received, theirs) = (reply.args.received, reply.args.received_crc32c);
        if (received, theirs) != (sent, crc32c) {
            let what = format!(
                "the daemon received {received} bytes with CRC32C {theirs}, and {sent} with {crc32c} were sent"
            );
            return Err(Failure::new(Exit::Differs, "damaged", what).advise("try again"));
        }
        Ok(reply)
    }

    /// Cancels what is unfinished, and says what is in GCS now.
    async fn clear_up(&self, token: &str) -> String {
        let clearing = async {
            let (connection, _) = self.daemon.open().await?;
            let id = connection.new_upload();
            connection.attach_upload(id, token).await?;
            Ok::<_, Failure>(connection.cancel_upload(id).await?.args)
        };
        match tokio::time::timeout(CLEARING, clearing).await {
            Ok(Ok(cancel_upload::Reply::Cancelled)) => "the upload was cancelled, no object was made".to_owned(),
            Ok(Ok(cancel_upload::Reply::Finished { generation: 0 })) => {
                "the object was made all the same: look at it with 'gcsd stat'".to_owned()
            }
            Ok(Ok(cancel_upload::Reply::Finished { generation })) => {
                format!("the object was made all the same, as generation {generation}")
            }
            Ok(Ok(cancel_upload::Reply::Unknown)) => {
                "GCS knows nothing of the upload any more: 'gcsd stat' tells whether there is an object".to_owned()
            }
            Ok(Err(_)) | Err(_) => {
                "the upload could not be cancelled; GCS forgets it within a week, and 'gcsd stat' tells whether there is an object"
                    .to_owned()
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source that moves the bar.
struct Metered {
    source: Box<dyn BodySource>,
    bar: ProgressBar,
}

impl BodySource for Metered {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let piece = self.source.next().await?;
            self.bar.inc(piece.len() as u64);
            Ok(piece)
        })
    }
}

/// Reads `len` bytes from `offset`; `len` is small.
async fn whole(ranges: &dyn Ranges, offset: u64, len: u64) -> Result<Bytes, Failure> {
    let (mut source, _) = ranges.range(offset, len);
    let mut bytes = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    while (bytes.len() as u64) < len {
        let piece = source.next().await;
        let piece = piece.map_err(|error| Failure::io("the file", &error))?;
        if piece.is_empty() {
            let error = std::io::ErrorKind::UnexpectedEof.into();
            return Err(Failure::io("the file", &error));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// Reads until there are `len` bytes or the pipe ends.
async fn fill(pipe: &mut (impl AsyncRead + Unpin), len: u64) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    let mut read = pipe.take(len);
    while (bytes.len() as u64) < len {
        let count = read.read_buf(&mut bytes).await;
        if count.map_err(|error| Failure::io("the input", &error))? == 0 {
            break;
        }
    }
    Ok(bytes.freeze())
}
