//! Values that requests and replies can have: any that the types allow and the specification does not forbid.

mod replies;
mod requests;

use bytes::Bytes;
use gcsd_types::{
    BucketName, Crc32c, Destination, EncryptionKey, MultipartRef, ObjectInfo, ObjectName, ObjectRef,
    Preconditions,
};
use gcsd_wire::ErrorReply;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub(crate) use replies::reply;
pub(crate) use requests::request;

/// Text, which can be empty.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "\\PC{0,20}",
        1 => "[a-z\u{e9}\u{2603}\u{1f600}]{0,2000}",
        1 => Just("\u{2603}".repeat(21_845)),
    ]
}

/// Text where an empty one means that there is none.
fn optional_text() -> impl Strategy<Value = Option<String>> {
    of(text()).prop_map(|text| text.filter(|text| !text.is_empty()))
}

fn full_text() -> impl Strategy<Value = String> {
    text().prop_filter("it is empty", |text| !text.is_empty())
}

fn bucket() -> impl Strategy<Value = BucketName> {
    "[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]".prop_map(|name| BucketName::new(name).expect("a bucket's name"))
}

fn object() -> impl Strategy<Value = ObjectName> {
    "\\PC{1,256}".prop_filter_map("no object's name", |name| ObjectName::new(name).ok())
}

fn crc32c() -> impl Strategy<Value = Crc32c> {
    any::<u32>().prop_map(Crc32c)
}

fn key() -> impl Strategy<Value = Option<EncryptionKey>> {
    of(any::<[u8; EncryptionKey::LEN]>().prop_map(EncryptionKey::new))
}

fn metadata() -> impl Strategy<Value = Bytes> {
    text().prop_map(Bytes::from)
}

prop_compose! {
    fn preconditions()(
        if_generation_match in of(any::<u64>()),
        if_generation_not_match in of(any::<u64>()),
        if_metageneration_match in of(any::<u64>()),
        if_metageneration_not_match in of(any::<u64>()),
    ) -> Preconditions {
        Preconditions {
            if_generation_match,
            if_generation_not_match,
            if_metageneration_match,
            if_metageneration_not_match,
        }
    }
}

prop_compose! {
    fn object_ref()(
        bucket in bucket(),
        object in object(),
        generation in of(any::<u64>()),
        preconditions in preconditions(),
        user_project in optional_text(),
        fields in optional_text(),
        key in key(),
    ) -> ObjectRef {
        ObjectRef { bucket, object, generation, preconditions, user_project, fields, key }
    }
}

prop_compose! {
    fn destination()(
        bucket in bucket(),
        object in object(),
        preconditions in preconditions(),
        user_project in optional_text(),
        kms_key_name in optional_text(),
        predefined_acl in optional_text(),
        fields in optional_text(),
        metadata in metadata(),
        key in key(),
    ) -> Destination {
        Destination {
            bucket,
            object,
            preconditions,
            user_project,
            kms_key_name,
            predefined_acl,
            fields,
            metadata,
            key,
        }
    }
}

prop_compose! {
    fn multipart_ref()(
        bucket in bucket(),
        object in object(),
        multipart_id in full_text(),
        user_project in optional_text(),
        key in key(),
    ) -> MultipartRef {
        MultipartRef { bucket, object, multipart_id, user_project, key }
    }
}

prop_compose! {
    fn object_info()(
        generation in any::<u64>(),
        metageneration in any::<u64>(),
        size in any::<u64>(),
        crc32c in of(crc32c()),
        md5 in of(any::<[u8; 16]>()),
    ) -> ObjectInfo {
        ObjectInfo { generation, metageneration, size, crc32c, md5 }
    }
}

prop_compose! {
    pub(crate) fn error_reply()(
        committed in of(any::<u64>()),
        retry_after_ms in any::<u32>(),
        message in text(),
        reason in optional_text(),
        request_id in optional_text(),
        versions in vec(any::<u8>(), 0..4),
    ) -> ErrorReply {
        ErrorReply { committed, retry_after_ms, message, reason, request_id, versions: versions.into() }
    }
}

/// Any bytes, few of them.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

/// What a peer that is broken, or means harm, makes of good bytes.
pub(crate) fn damaged(good: impl Strategy<Value = Bytes>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (good, vec(damage, 1..4)).prop_map(|(good, damages)| {
        let mut bytes = good.to_vec();
        for (index, byte, how) in damages {
            let at = index.index(bytes.len() + 1);
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        bytes
    })
}
