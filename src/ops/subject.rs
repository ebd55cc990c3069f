//! What a request is about, in the words that every line of the log about it has.

use super::Sealer;
use gcsd_types::{BucketName, Destination, MultipartRef, ObjectName, ObjectRef};
use gcsd_wire::{Reply, Request};

/// What a request is about, as far as its args or its upload tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The bucket.
    pub bucket: Option<BucketName>,
    /// The object; if a request reads one object and makes another, the new one.
    pub object: Option<ObjectName>,
    /// The generation that was asked for.
    pub generation: Option<u64>,
    /// The name of the upload, resumable or of parts: the same on every connection, and on every daemon with the same key.
    pub upload_name: Option<String>,
    /// The number of the part.
    pub part: Option<u32>,
    /// The bucket of the object that is copied.
    pub source_bucket: Option<BucketName>,
    /// The object that is copied or gets another name.
    pub source_object: Option<ObjectName>,
    /// Its generation.
    pub source_generation: Option<u64>,
    /// What the names of a list begin with.
    pub prefix: Option<String>,
    /// The project whose buckets are listed.
    pub project: Option<String>,
}

impl Subject {
    /// What `request` is about. `None` if its args do not tell: a request on an upload tells once it is its turn.
    pub fn of(request: &Request, sealer: &Sealer) -> Option<Self> {
        let object = |of: &ObjectRef| Self {
            generation: of.generation,
            ..Self::object(&of.bucket, &of.object)
        };
        let parts = |of: &MultipartRef| Self {
            upload_name: Some(sealer.name_of_parts(&of.multipart_id)),
            ..Self::object(&of.bucket, &of.object)
        };
        let bucket = |bucket: &BucketName| Self {
            bucket: Some(bucket.clone()),
            ..Self::default()
        };
        Some(match request {
            Request::StartUpload(args) => Self::made(&args.destination),
            Request::PutObject(args) => Self::made(&args.destination),
            Request::ComposeObjects(args) => Self::made(&args.destination),
            Request::StartMultipart(args) => Self::made(&args.destination),
            Request::PatchObject(args) => Self {
                generation: args.generation,
                ..Self::made(&args.object)
            },
            Request::ReadAt(args) => object(&args.of),
            Request::StatObject(args) => object(&args.of),
            Request::DeleteObject(args) => object(&args.of),
            Request::RewriteObject(args) => Self {
                source_bucket: Some(args.rewrite.source.bucket.clone()),
                source_object: Some(args.rewrite.source.object.clone()),
                source_generation: args.rewrite.source.generation,
                ..Self::made(&args.rewrite.destination)
            },
            Request::MoveObject(args) => Self {
                source_object: Some(args.source.object.clone()),
                ..Self::object(&args.source.bucket, &args.destination)
            },
            Request::UploadPart(args) => Self {
                part: Some(args.part_number),
                ..parts(&args.of)
            },
            Request::ListParts(args) => parts(&args.of),
            Request::CompleteMultipart(args) => parts(&args.of),
            Request::AbortMultipart(args) => parts(&args.of),
            Request::ListObjects(args) => Self {
                prefix: args.query.prefix.clone(),
                ..bucket(&args.query.bucket)
            },
            Request::ListBuckets(args) => Self {
                project: Some(args.query.project.clone()),
                prefix: args.query.prefix.clone(),
                ..Self::default()
            },
            Request::StatBucket(args) => Self {
                generation: args.of.generation,
                ..bucket(&args.of.bucket)
            },
            Request::Hello(_)
            | Request::Ping(_)
            | Request::Cancel(_)
            | Request::WriteAt(_)
            | Request::QueryUpload(_)
            | Request::FinishUpload(_)
            | Request::CancelUpload(_)
            | Request::AttachUpload(_)
            | Request::DetachUpload(_) => return None,
        })
    }

    /// An object.
    pub(super) fn object(bucket: &BucketName, object: &ObjectName) -> Self {
        Self {
            bucket: Some(bucket.clone()),
            object: Some(object.clone()),
            ..Self::default()
        }
    }

    /// An object to be made.
    pub(super) fn made(destination: &Destination) -> Self {
        Self::object(&destination.bucket, &destination.object)
    }
}

/// The generation that a reply tells.
pub(super) fn generation(reply: &Reply) -> Option<u64> {
    use gcsd_wire::cancel_upload::Reply as Cancelled;
    let object = match reply {
        Reply::StatObject(described)
        | Reply::ComposeObjects(described)
        | Reply::PatchObject(described)
        | Reply::MoveObject(described) => Some(described.object),
        Reply::PutObject(put) => Some(put.object),
        Reply::WriteAt(progress) | Reply::QueryUpload(progress) | Reply::FinishUpload(progress) => {
            progress.object
        }
        Reply::RewriteObject(reply) => reply.rewritten.object,
        Reply::CancelUpload(Cancelled::Finished { generation }) => {
            return Some(*generation).filter(|it| *it > 0);
        }
        Reply::CompleteMultipart(reply) => return reply.generation,
        _ => None,
    };
    object.map(|object| object.generation)
}

/// Whether a reply tells that the request made an object, or its bytes' last missing part.
pub(super) fn made(reply: &Reply) -> bool {
    match reply {
        Reply::PutObject(_)
        | Reply::ComposeObjects(_)
        | Reply::MoveObject(_)
        | Reply::CompleteMultipart(_) => true,
        Reply::WriteAt(progress) | Reply::FinishUpload(progress) => progress.object.is_some(),
        Reply::RewriteObject(reply) => reply.rewritten.object.is_some(),
        _ => false,
    }
}
