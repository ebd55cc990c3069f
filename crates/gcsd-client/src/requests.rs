//! What can be asked of a daemon: a method for each opcode.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::body::Body;
use super::connection::{Connection, Reply};
use super::error::{Error, RequestError};
use super::in_flight::{ReadEvent, Waiter};
use super::lost::Reason;
use super::object_reader::ObjectReader;
use gcsd_types::{Crc32c, Page, Part, PartsPage};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::progress::Progress;
use gcsd_wire::{
    self, Opcode, WireArgs, abort_multipart, attach_upload, cancel_upload, complete_multipart,
    compose_objects, delete_object, finish_upload, hello, list_buckets, list_objects, list_parts,
    move_object, object, page, patch_object, ping, put_object, read_at, rewrite_object, start_multipart,
    start_upload, stat_bucket, stat_object, upload_part, write_at,
};

/// Events of one read that wait to be taken, before the socket is no longer read.
const READ_AHEAD: usize = 4;

/// The most JSON that is held of one page of a list, in bytes.
const MAX_PAGE: usize = 64 << 20;

/// The args of a reply, which the receiving task has matched with the opcode of the request.
macro_rules! reply {
    ($answer:expr, $opcode:ident) => {
        match $answer {
            (gcsd_wire::Reply::$opcode(args), json) => Ok(Reply { args, json }),
            _ => Err(Reason::Protocol("a reply of another opcode".into()).lost(true)),
        }
    };
}

impl Connection {
    /// Agrees on a version and learns the daemon's limits; proves the secret where one is wanted.
    pub async fn hello(&self, args: &hello::HelloArgs) -> Result<Reply<hello::HelloReply>, Error> {
        reply!(self.call(Opcode::Hello, 0, args, Body::empty()).await?, Hello)
    }

    /// Gets `echo` back.
    pub async fn ping(&self, echo: Bytes) -> Result<Reply<ping::PingArgs>, Error> {
        let args = ping::PingArgs { echo };
        reply!(self.call(Opcode::Ping, 0, &args, Body::empty()).await?, Ping)
    }

    /// Begins an upload, which later requests call `upload`.
    pub async fn start_upload(
        &self,
        upload: u32,
        args: &start_upload::StartUploadArgs,
    ) -> Result<Reply<start_upload::StartUploadReply>, Error> {
        let answer = self
            .call(Opcode::StartUpload, upload, args, Body::empty())
            .await?;
        reply!(answer, StartUpload)
    }

    /// Sends a range of an upload's bytes. See [`Connection`] for what an early reply does, and for what
    /// dropping the future does.
    pub async fn write_at(
        &self,
        upload: u32,
        args: &write_at::WriteAtArgs,
        body: Body,
    ) -> Result<Reply<Progress>, Error> {
        reply!(self.call(Opcode::WriteAt, upload, args, body).await?, WriteAt)
    }

    /// Asks what GCS holds of an upload.
    pub async fn query_upload(&self, upload: u32) -> Result<Reply<Progress>, Error> {
        let answer = self
            .call(
                Opcode::QueryUpload,
                upload,
                &gcsd_wire::args::Empty,
                Body::empty(),
            )
            .await?;
        reply!(answer, QueryUpload)
    }

    /// Makes the object of what is committed.
    pub async fn finish_upload(
        &self,
        upload: u32,
        args: &finish_upload::FinishUploadArgs,
    ) -> Result<Reply<Progress>, Error> {
        let answer = self
            .call(Opcode::FinishUpload, upload, args, Body::empty())
            .await?;
        reply!(answer, FinishUpload)
    }

    /// Throws away what is committed of an upload.
    pub async fn cancel_upload(&self, upload: u32) -> Result<Reply<cancel_upload::CancelUploadReply>, Error> {
        let answer = self
            .call(
                Opcode::CancelUpload,
                upload,
                &gcsd_wire::args::Empty,
                Body::empty(),
            )
            .await?;
        reply!(answer, CancelUpload)
    }

    /// Comes back to the upload of a token, which later requests call `upload`.
    pub async fn attach_upload(
        &self,
        upload: u32,
        token: &str,
    ) -> Result<Reply<attach_upload::AttachUploadReply>, Error> {
        let args = attach_upload::AttachUploadArgs {
            token: token.to_owned(),
            key: None,
        };
        self.attach_upload_with(upload, &args).await
    }

    /// The same, of an upload that was started with a key.
    pub async fn attach_upload_with(
        &self,
        upload: u32,
        args: &attach_upload::AttachUploadArgs,
    ) -> Result<Reply<attach_upload::AttachUploadReply>, Error> {
        let answer = self
            .call(Opcode::AttachUpload, upload, args, Body::empty())
            .await?;
        reply!(answer, AttachUpload)
    }

    /// Makes the daemon forget an upload on this connection; GCS keeps it.
    pub async fn detach_upload(&self, upload: u32) -> Result<(), Error> {
        let answer = self
            .call(
                Opcode::DetachUpload,
                upload,
                &gcsd_wire::args::Empty,
                Body::empty(),
            )
            .await?;
        reply!(answer, DetachUpload).map(|_| ())
    }

    /// What GCS says of an object.
    pub async fn stat_object(
        &self,
        args: &stat_object::StatObjectArgs,
    ) -> Result<Reply<object::Described>, Error> {
        let answer = self.call(Opcode::StatObject, 0, args, Body::empty()).await?;
        reply!(answer, StatObject)
    }

    /// Begins to read an object: returns once the daemon has said what is coming.
    pub async fn read_at(&self, args: &read_at::ReadAtArgs) -> Result<ObjectReader, Error> {
        // On the wire a length of 0 means all bytes to the end.
        if args.range.is_empty() {
            return Err(Error::Request(RequestError::EmptyRange));
        }
        let (events, reader) = mpsc::channel(READ_AHEAD);
        let waiter = Waiter::Read(events);
        let interest = self
            .enqueue(Opcode::ReadAt, 0, args, Body::empty(), waiter)
            .await?;
        ObjectReader::begin(self.clone(), reader, interest).await
    }

    /// Makes an object of `body`, in one request. See [`Connection`] for what an early reply does, and for what
    /// dropping the future does: of a body that was not sent to its end, there is no object.
    pub async fn put_object(
        &self,
        args: &put_object::PutObjectArgs,
        body: Body,
    ) -> Result<Reply<put_object::PutObjectReply>, Error> {
        reply!(self.call(Opcode::PutObject, 0, args, body).await?, PutObject)
    }

    /// Begins an object of parts.
    pub async fn start_multipart(
        &self,
        args: &start_multipart::StartMultipartArgs,
    ) -> Result<Reply<start_multipart::StartMultipartReply>, Error> {
        let answer = self.call(Opcode::StartMultipart, 0, args, Body::empty()).await?;
        reply!(answer, StartMultipart)
    }

    /// Uploads a part. A part of the same number that was there before is replaced.
    pub async fn upload_part(
        &self,
        args: &upload_part::UploadPartArgs,
        body: Body,
    ) -> Result<Reply<upload_part::UploadPartReply>, Error> {
        reply!(self.call(Opcode::UploadPart, 0, args, body).await?, UploadPart)
    }

    /// One page of the parts that GCS holds.
    pub async fn list_parts(&self, args: &list_parts::ListPartsArgs) -> Result<Reply<PartsPage>, Error> {
        let answer = self.call(Opcode::ListParts, 0, args, Body::empty()).await?;
        reply!(answer, ListParts)
    }

    /// Makes the object of `parts`, whose numbers rise. GCS can take minutes for it.
    pub async fn complete_multipart(
        &self,
        args: &complete_multipart::CompleteMultipartArgs,
        parts: &[Part],
    ) -> Result<Reply<complete_multipart::CompleteMultipartReply>, Error> {
        let body = Body::from(encode_parts(parts));
        let answer = self.call(Opcode::CompleteMultipart, 0, args, body).await?;
        reply!(answer, CompleteMultipart)
    }

    /// Throws a multipart upload and its parts away.
    pub async fn abort_multipart(
        &self,
        args: &abort_multipart::AbortMultipartArgs,
    ) -> Result<Reply<abort_multipart::AbortMultipartReply>, Error> {
        let answer = self.call(Opcode::AbortMultipart, 0, args, Body::empty()).await?;
        reply!(answer, AbortMultipart)
    }

    /// Deletes an object, or one generation of it.
    pub async fn delete_object(&self, args: &delete_object::DeleteObjectArgs) -> Result<(), Error> {
        let answer = self.call(Opcode::DeleteObject, 0, args, Body::empty()).await?;
        reply!(answer, DeleteObject).map(|_| ())
    }

    /// Makes one object of up to 32.
    pub async fn compose_objects(
        &self,
        args: &compose_objects::ComposeObjectsArgs,
    ) -> Result<Reply<object::Described>, Error> {
        let answer = self.call(Opcode::ComposeObjects, 0, args, Body::empty()).await?;
        reply!(answer, ComposeObjects)
    }

    /// One page of a bucket's objects, and GCS's JSON, which names them.
    ///
    /// Fails with [`RequestError::PageTooLarge`] where the JSON has more than 64 MiB, and the connection ends: ask
    /// for a page with fewer entries, or for fewer `fields`.
    pub async fn list_objects(&self, args: &list_objects::ListObjectsArgs) -> Result<Reply<Page>, Error> {
        self.page(Opcode::ListObjects, args).await
    }

    /// One page of a project's buckets; as [`list_objects`](Self::list_objects).
    pub async fn list_buckets(&self, args: &list_buckets::ListBucketsArgs) -> Result<Reply<Page>, Error> {
        self.page(Opcode::ListBuckets, args).await
    }

    /// Copies an object, or continues a copy: one step.
    pub async fn rewrite_object(
        &self,
        args: &rewrite_object::RewriteObjectArgs,
    ) -> Result<Reply<rewrite_object::RewriteObjectReply>, Error> {
        let answer = self.call(Opcode::RewriteObject, 0, args, Body::empty()).await?;
        reply!(answer, RewriteObject)
    }

    /// Changes an object's metadata.
    pub async fn patch_object(
        &self,
        args: &patch_object::PatchObjectArgs,
    ) -> Result<Reply<object::Described>, Error> {
        let answer = self.call(Opcode::PatchObject, 0, args, Body::empty()).await?;
        reply!(answer, PatchObject)
    }

    /// Gives an object another name in its bucket.
    pub async fn move_object(
        &self,
        args: &move_object::MoveObjectArgs,
    ) -> Result<Reply<object::Described>, Error> {
        let answer = self.call(Opcode::MoveObject, 0, args, Body::empty()).await?;
        reply!(answer, MoveObject)
    }

    /// What GCS says of a bucket.
    pub async fn stat_bucket(
        &self,
        args: &stat_bucket::StatBucketArgs,
    ) -> Result<Reply<stat_bucket::StatBucketReply>, Error> {
        let answer = self.call(Opcode::StatBucket, 0, args, Body::empty()).await?;
        reply!(answer, StatBucket)
    }

    /// Collects a page.
    async fn page(&self, opcode: Opcode, args: &impl WireArgs) -> Result<Reply<Page>, Error> {
        let (events, mut page) = mpsc::channel(READ_AHEAD);
        let waiter = Waiter::Read(events);
        let _interest = self.enqueue(opcode, 0, args, Body::empty(), waiter).await?;
        let mut json = BytesMut::new();
        loop {
            match page.recv().await {
                Some(Ok(ReadEvent::Bytes(bytes))) if json.len() + bytes.len() > MAX_PAGE => {
                    return Err(Error::Request(RequestError::PageTooLarge));
                }
                Some(Ok(ReadEvent::Bytes(bytes))) => json.extend_from_slice(&bytes),
                Some(Ok(ReadEvent::Args(
                    gcsd_wire::Reply::ListObjects(page::PageReply::End(end))
                    | gcsd_wire::Reply::ListBuckets(page::PageReply::End(end)),
                ))) => {
                    let found = Crc32c::of(&json);
                    if end.crc32c != found {
                        let expected = end.crc32c;
                        return Err(Error::Damaged { expected, found });
                    }
                    let (args, json) = (end.page, json.freeze());
                    return Ok(Reply { args, json });
                }
                Some(Ok(ReadEvent::Args(_))) => {
                    return Err(Reason::Protocol("a list that is none".into()).lost(true));
                }
                Some(Err(error)) => return Err(error),
                None => return Err(self.lost()),
            }
        }
    }
}
