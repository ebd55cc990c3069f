//! StatBucket: what GCS says of a bucket (proto-spec.md, "StatBucket").

use super::table::{wire_args_as, wire_struct};
use gcsd_types::{BucketInfo, BucketName, BucketRef, Preconditions};

/// Which bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatBucketArgs {
    /// The bucket.
    pub of: BucketRef,
}

/// The bucket's fields; the reply's body is its JSON resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatBucketReply {
    /// The fields that a program needs.
    pub bucket: BucketInfo,
}

wire_struct! {
    /// Which bucket.
    #[derive(Clone, PartialEq)]
    pub(crate) struct Fields: "StatBucket.args"[48], request {
        /// As in ObjectRef.
        bucket: BucketName;
        /// The project that pays, for buckets where the requester does.
        user_project: Option<String>;
        /// As in ObjectRef.
        fields: Option<String>;
        pad reserved 2;
        bits present;
        pad reserved2 4;
        /// With `soft_deleted`, which of the buckets that had this name.
        generation: Option<u64>, present[4];
        /// The bucket's metadata has this version.
        if_metageneration_match: Option<u64>, present[2];
        /// The bucket's metadata has not this version.
        if_metageneration_not_match: Option<u64>, present[3];
        /// With ACLs.
        full: bool, present[5];
        /// A bucket that is softly deleted.
        soft_deleted: bool, present[6];
        pad reserved3 8;
    }
}

wire_struct! {
    /// What GCS says of a bucket.
    impl BucketInfo: "StatBucket.reply"[24], part {
        /// The version of the bucket's metadata.
        metageneration: u64;
        bits flags;
        /// Where it lies, such as `EU` or `EUROPE-WEST4`.
        location: String;
        /// That of objects which do not say.
        storage_class: String;
        pad reserved 8;
        /// Replaced and deleted objects are kept as noncurrent versions.
        versioning: bool, flags[0];
        /// Whoever asks pays.
        requester_pays: bool, flags[1];
        /// Objects have no ACLs of their own.
        uniform_access: bool, flags[2];
        /// It has folders.
        hierarchical: bool, flags[3];
    }
}

impl From<&StatBucketArgs> for Fields {
    fn from(StatBucketArgs { of }: &StatBucketArgs) -> Self {
        let of = of.clone();
        Self {
            bucket: of.bucket,
            user_project: of.user_project,
            fields: of.fields,
            generation: of.generation,
            if_metageneration_match: of.preconditions.if_metageneration_match,
            if_metageneration_not_match: of.preconditions.if_metageneration_not_match,
            full: of.full,
            soft_deleted: of.soft_deleted,
        }
    }
}

impl From<Fields> for StatBucketArgs {
    fn from(fields: Fields) -> Self {
        Self {
            of: BucketRef {
                bucket: fields.bucket,
                generation: fields.generation,
                preconditions: Preconditions {
                    if_metageneration_match: fields.if_metageneration_match,
                    if_metageneration_not_match: fields.if_metageneration_not_match,
                    ..Preconditions::default()
                },
                soft_deleted: fields.soft_deleted,
                full: fields.full,
                user_project: fields.user_project,
                fields: fields.fields,
            },
        }
    }
}

impl From<&StatBucketReply> for BucketInfo {
    fn from(reply: &StatBucketReply) -> Self {
        reply.bucket.clone()
    }
}

impl From<BucketInfo> for StatBucketReply {
    fn from(bucket: BucketInfo) -> Self {
        Self { bucket }
    }
}

wire_args_as!(StatBucketArgs, Fields, true);
wire_args_as!(StatBucketReply, BucketInfo, false);

/// The args of the request.
pub type Args = StatBucketArgs;
/// The args of the reply.
pub type Reply = StatBucketReply;
