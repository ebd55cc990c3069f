//! The args of requests.

use gcsd_types::{BucketQuery, BucketRef, ComposeSource, ObjectQuery, Preconditions, Rewrite};
use gcsd_wire::args::Empty;
use gcsd_wire::read_at::Range;
use gcsd_wire::{
    MAX_BODY_LEN, Opcode, Request, abort_multipart, attach_upload, cancel, complete_multipart,
    compose_objects, delete_object, finish_upload, hello, list_buckets, list_objects, list_parts,
    move_object, patch_object, ping, put_object, read_at, rewrite_object, start_multipart, start_upload,
    stat_bucket, stat_object, upload_part, write_at,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{
    bucket, bytes, crc32c, destination, full_text, key, multipart_ref, object, object_ref, optional_text,
    preconditions, text,
};

/// Any request of this kind.
pub(crate) fn request(opcode: Opcode) -> BoxedStrategy<Request> {
    match opcode {
        Opcode::Hello => hello().prop_map(Request::Hello).boxed(),
        Opcode::Ping => bytes()
            .prop_map(|echo| Request::Ping(ping::Args { echo: echo.into() }))
            .boxed(),
        Opcode::Cancel => any::<u64>()
            .prop_map(|target| Request::Cancel(cancel::Args { target }))
            .boxed(),
        Opcode::StartUpload => start_upload().prop_map(Request::StartUpload).boxed(),
        Opcode::WriteAt => write_at().prop_map(Request::WriteAt).boxed(),
        Opcode::QueryUpload => Just(Request::QueryUpload(Empty)).boxed(),
        Opcode::FinishUpload => (size(), of(crc32c()))
            .prop_map(|(total, object_crc32c)| {
                Request::FinishUpload(finish_upload::Args { total, object_crc32c })
            })
            .boxed(),
        Opcode::CancelUpload => Just(Request::CancelUpload(Empty)).boxed(),
        Opcode::AttachUpload => (text(), key())
            .prop_map(|(token, key)| Request::AttachUpload(attach_upload::Args { token, key }))
            .boxed(),
        Opcode::DetachUpload => Just(Request::DetachUpload(Empty)).boxed(),
        Opcode::PutObject => (destination(), of(crc32c()))
            .prop_map(|(destination, body_crc32c)| {
                Request::PutObject(put_object::Args {
                    destination,
                    body_crc32c,
                })
            })
            .boxed(),
        Opcode::ReadAt => read_at().prop_map(Request::ReadAt).boxed(),
        Opcode::StatObject => object_ref()
            .prop_map(|of| Request::StatObject(stat_object::Args { of }))
            .boxed(),
        Opcode::ListObjects => list_objects().prop_map(Request::ListObjects).boxed(),
        Opcode::DeleteObject => object_ref()
            .prop_map(|mut of| {
                (of.fields, of.key) = (None, None);
                Request::DeleteObject(delete_object::Args { of })
            })
            .boxed(),
        Opcode::ComposeObjects => compose_objects().prop_map(Request::ComposeObjects).boxed(),
        Opcode::RewriteObject => rewrite_object().prop_map(Request::RewriteObject).boxed(),
        Opcode::PatchObject => patch_object().prop_map(Request::PatchObject).boxed(),
        Opcode::MoveObject => (object_ref(), object(), preconditions())
            .prop_map(|(mut source, destination, preconditions)| {
                source.generation = None;
                Request::MoveObject(move_object::Args {
                    source,
                    destination,
                    preconditions,
                })
            })
            .boxed(),
        Opcode::StartMultipart => destination()
            .prop_map(|mut destination| {
                (destination.preconditions, destination.fields) = (Preconditions::default(), None);
                Request::StartMultipart(start_multipart::Args { destination })
            })
            .boxed(),
        Opcode::UploadPart => (multipart_ref(), 1..=10_000_u32, of(crc32c()))
            .prop_map(|(of, part_number, body_crc32c)| {
                Request::UploadPart(upload_part::Args {
                    of,
                    part_number,
                    body_crc32c,
                })
            })
            .boxed(),
        Opcode::ListParts => (multipart_ref(), any::<u32>(), 0..=list_parts::MAX_PAGE)
            .prop_map(|(of, after, max_parts)| Request::ListParts(list_parts::Args { of, after, max_parts }))
            .boxed(),
        Opcode::CompleteMultipart => multipart_ref()
            .prop_map(|of| Request::CompleteMultipart(complete_multipart::Args { of }))
            .boxed(),
        Opcode::AbortMultipart => multipart_ref()
            .prop_map(|of| Request::AbortMultipart(abort_multipart::Args { of }))
            .boxed(),
        Opcode::ListBuckets => list_buckets().prop_map(Request::ListBuckets).boxed(),
        Opcode::StatBucket => stat_bucket().prop_map(Request::StatBucket).boxed(),
    }
}

prop_compose! {
    fn hello()(
        versions in any::<[u8; 2]>(),
        features in any::<u32>(),
        name in optional_text(),
        secret in bytes(),
    ) -> hello::Args {
        let [a, b] = versions;
        let (min_version, max_version) = (a.min(b), a.max(b));
        hello::Args { min_version, max_version, auth: 0, features, name, secret: secret.into() }
    }
}

prop_compose! {
    fn start_upload()(destination in destination(), size in of(size())) -> start_upload::Args {
        let mut destination = destination;
        destination.fields = None;
        start_upload::Args { destination, size }
    }
}

prop_compose! {
    fn write_at()(
        offset in size(),
        last in of((size(), of(crc32c()))),
        body_crc32c in of(crc32c()),
    ) -> write_at::Args {
        write_at::Args {
            offset,
            total: last.map(|(total, _)| total),
            object_crc32c: last.and_then(|(_, crc32c)| crc32c),
            body_crc32c,
        }
    }
}

fn size() -> impl Strategy<Value = u64> {
    0..=MAX_BODY_LEN
}

fn range() -> impl Strategy<Value = Range> {
    prop_oneof![
        size().prop_map(Range::From),
        (size(), 1..MAX_BODY_LEN).prop_map(|(offset, len)| Range::Of {
            offset: offset.min(MAX_BODY_LEN - len),
            len
        }),
        (1..=MAX_BODY_LEN).prop_map(Range::Suffix),
    ]
}

prop_compose! {
    fn read_at()(of in object_ref(), range in range(), decompress in any::<bool>()) -> read_at::Args {
        let mut of = of;
        of.fields = None;
        read_at::Args { of, range, decompress }
    }
}

prop_compose! {
    fn list_objects()(
        bucket in bucket(),
        texts in prop::array::uniform8(optional_text()),
        max_results in of(1..=u32::MAX),
        flags in any::<[bool; 5]>(),
    ) -> list_objects::Args {
        let [prefix, delimiter, start_offset, end_offset, match_glob, page_token, user_project, fields] = texts;
        let [versions, soft_deleted, include_trailing_delimiter, include_folders_as_prefixes, full] = flags;
        list_objects::Args {
            query: ObjectQuery {
                bucket,
                prefix,
                delimiter,
                start_offset,
                end_offset,
                match_glob,
                page_token,
                max_results,
                versions,
                soft_deleted,
                include_trailing_delimiter,
                include_folders_as_prefixes,
                full,
                user_project,
                fields,
            },
        }
    }
}

prop_compose! {
    fn compose_source()(
        object in object(),
        generation in of(any::<u64>()),
        if_generation_match in of(any::<u64>()),
    ) -> ComposeSource {
        ComposeSource { object, generation, if_generation_match }
    }
}

prop_compose! {
    fn compose_objects()(
        destination in destination(),
        sources in vec(compose_source(), 1..=ComposeSource::MAX),
    ) -> compose_objects::Args {
        let mut destination = destination;
        destination.preconditions.if_generation_not_match = None;
        destination.preconditions.if_metageneration_not_match = None;
        compose_objects::Args { destination, sources }
    }
}

prop_compose! {
    fn rewrite_object()(
        source in object_ref(),
        destination in destination(),
        max_bytes in of(size()),
        token in optional_text(),
    ) -> rewrite_object::Args {
        let mut source = source;
        (source.fields, source.user_project) = (None, None);
        rewrite_object::Args { rewrite: Box::new(Rewrite { source, destination, max_bytes, token }) }
    }
}

prop_compose! {
    fn patch_object()(
        object in destination(),
        metadata in full_text(),
        generation in of(any::<u64>()),
    ) -> patch_object::Args {
        let mut object = object;
        (object.kms_key_name, object.key, object.metadata) = (None, None, metadata.into());
        patch_object::Args { object, generation }
    }
}

prop_compose! {
    fn list_buckets()(
        project in full_text(),
        texts in prop::array::uniform4(optional_text()),
        max_results in of(1..=u32::MAX),
        flags in any::<[bool; 3]>(),
    ) -> list_buckets::Args {
        let [prefix, page_token, user_project, fields] = texts;
        let [full, soft_deleted, return_partial_success] = flags;
        list_buckets::Args {
            query: BucketQuery {
                project,
                prefix,
                page_token,
                max_results,
                full,
                soft_deleted,
                return_partial_success,
                user_project,
                fields,
            },
        }
    }
}

prop_compose! {
    fn stat_bucket()(
        bucket in bucket(),
        generation in of(any::<u64>()),
        if_metageneration_match in of(any::<u64>()),
        if_metageneration_not_match in of(any::<u64>()),
        flags in any::<[bool; 2]>(),
        user_project in optional_text(),
        fields in optional_text(),
    ) -> stat_bucket::Args {
        let [soft_deleted, full] = flags;
        stat_bucket::Args {
            of: BucketRef {
                bucket,
                generation,
                preconditions: Preconditions {
                    if_metageneration_match,
                    if_metageneration_not_match,
                    ..Preconditions::default()
                },
                soft_deleted,
                full,
                user_project,
                fields,
            },
        }
    }
}
