//! The args of the frames of replies.

use gcsd_types::{BucketInfo, Page, Part, PartsPage, Rewritten, StoredPart};
use gcsd_wire::args::Done;
use gcsd_wire::cancel::CancelOutcome;
use gcsd_wire::object::Described;
use gcsd_wire::progress::Progress;
use gcsd_wire::{
    Opcode, Reply, abort_multipart, attach_upload, cancel, cancel_upload, complete_multipart, hello, page,
    ping, put_object, read_at, rewrite_object, start_multipart, start_upload, stat_bucket, upload_part,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{bucket, bytes, crc32c, object, object_info, optional_text, text};

/// Any reply to a request of this kind.
pub(crate) fn reply(opcode: Opcode) -> BoxedStrategy<Reply> {
    match opcode {
        Opcode::Hello => hello().prop_map(Reply::Hello).boxed(),
        Opcode::Ping => bytes()
            .prop_map(|echo| Reply::Ping(ping::Args { echo: echo.into() }))
            .boxed(),
        Opcode::Cancel => prop_oneof![Just(CancelOutcome::Ended), Just(CancelOutcome::NotInFlight)]
            .prop_map(|outcome| Reply::Cancel(cancel::Reply { outcome }))
            .boxed(),
        Opcode::StartUpload => (text(), any::<u64>())
            .prop_map(|(token, expires)| Reply::StartUpload(start_upload::Reply { token, expires }))
            .boxed(),
        Opcode::WriteAt => progress().prop_map(Reply::WriteAt).boxed(),
        Opcode::QueryUpload => progress().prop_map(Reply::QueryUpload).boxed(),
        Opcode::FinishUpload => progress().prop_map(Reply::FinishUpload).boxed(),
        Opcode::CancelUpload => cancel_upload().prop_map(Reply::CancelUpload).boxed(),
        Opcode::AttachUpload => (any::<u64>(), bucket(), object())
            .prop_map(|(expires, bucket, object)| {
                Reply::AttachUpload(attach_upload::Reply {
                    expires,
                    bucket,
                    object,
                })
            })
            .boxed(),
        Opcode::DetachUpload => Just(Reply::DetachUpload(Done)).boxed(),
        Opcode::PutObject => (any::<u64>(), crc32c(), object_info())
            .prop_map(|(received, received_crc32c, object)| {
                Reply::PutObject(put_object::Reply {
                    received,
                    received_crc32c,
                    object,
                })
            })
            .boxed(),
        Opcode::ReadAt => read_at().prop_map(Reply::ReadAt).boxed(),
        Opcode::StatObject => described().prop_map(Reply::StatObject).boxed(),
        Opcode::ListObjects => page().prop_map(Reply::ListObjects).boxed(),
        Opcode::DeleteObject => Just(Reply::DeleteObject(Done)).boxed(),
        Opcode::ComposeObjects => described().prop_map(Reply::ComposeObjects).boxed(),
        Opcode::RewriteObject => rewritten()
            .prop_map(|rewritten| Reply::RewriteObject(rewrite_object::Reply { rewritten }))
            .boxed(),
        Opcode::PatchObject => described().prop_map(Reply::PatchObject).boxed(),
        Opcode::MoveObject => described().prop_map(Reply::MoveObject).boxed(),
        Opcode::StartMultipart => text()
            .prop_map(|multipart_id| Reply::StartMultipart(start_multipart::Reply { multipart_id }))
            .boxed(),
        Opcode::UploadPart => (any::<u64>(), crc32c(), text())
            .prop_map(|(received, received_crc32c, etag)| {
                Reply::UploadPart(upload_part::Reply {
                    received,
                    received_crc32c,
                    etag,
                })
            })
            .boxed(),
        Opcode::ListParts => parts().prop_map(Reply::ListParts).boxed(),
        Opcode::CompleteMultipart => (of(any::<u64>()), of(crc32c()), text())
            .prop_map(|(generation, crc32c, etag)| {
                Reply::CompleteMultipart(complete_multipart::Reply {
                    generation,
                    crc32c,
                    etag,
                })
            })
            .boxed(),
        Opcode::AbortMultipart => prop_oneof![
            Just(Reply::AbortMultipart(abort_multipart::Reply::Aborted)),
            Just(Reply::AbortMultipart(abort_multipart::Reply::Unknown)),
        ]
        .boxed(),
        Opcode::ListBuckets => page().prop_map(Reply::ListBuckets).boxed(),
        Opcode::StatBucket => stat_bucket().prop_map(Reply::StatBucket).boxed(),
    }
}

prop_compose! {
    fn hello()(
        version in any::<u8>(),
        numbers in any::<[u32; 9]>(),
        drain_cap in any::<u64>(),
        server in text(),
    ) -> hello::Reply {
        hello::Reply {
            version,
            features: numbers[0],
            max_args: numbers[1],
            max_in_flight: numbers[2],
            max_uploads: numbers[3],
            alignment: numbers[4],
            drain_cap,
            idle_timeout_ms: numbers[5],
            client_timeout_ms: numbers[6],
            gcs_timeout_ms: numbers[7],
            server,
            handshake_timeout_ms: numbers[8],
        }
    }
}

prop_compose! {
    fn progress()(
        committed in any::<u64>(),
        received in any::<u64>(),
        received_crc32c in crc32c(),
        object in of(object_info()),
    ) -> Progress {
        Progress { committed, received, received_crc32c, object }
    }
}

fn described() -> impl Strategy<Value = Described> {
    object_info().prop_map(|object| Described { object })
}

fn cancel_upload() -> impl Strategy<Value = cancel_upload::Reply> {
    prop_oneof![
        Just(cancel_upload::Reply::Cancelled),
        any::<u64>().prop_map(|generation| cancel_upload::Reply::Finished { generation }),
        Just(cancel_upload::Reply::Unknown),
    ]
}

fn read_at() -> impl Strategy<Value = read_at::Reply> {
    // The highest length says that there is none.
    let start = (object_info(), any::<u64>(), of(0..u64::MAX));
    prop_oneof![
        start.prop_map(|(object, offset, len)| {
            read_at::Reply::Start(read_at::Start { object, offset, len })
        }),
        Just(read_at::Reply::Piece),
        (any::<u64>(), crc32c())
            .prop_map(|(sent, crc32c)| read_at::Reply::End(read_at::End { sent, crc32c })),
    ]
}

fn page() -> impl Strategy<Value = page::Reply> {
    let end = (
        any::<u64>(),
        crc32c(),
        any::<u32>(),
        any::<u32>(),
        optional_text(),
    );
    prop_oneof![
        1 => Just(page::Reply::Piece),
        3 => end.prop_map(|(sent, crc32c, items, prefixes, next_page_token)| {
            let page = Page { items, prefixes, next_page_token };
            page::Reply::End(page::End { sent, crc32c, page })
        }),
    ]
}

prop_compose! {
    fn rewritten()(
        rewritten in any::<u64>(),
        size in any::<u64>(),
        token in optional_text(),
        object in of(object_info()),
    ) -> Rewritten {
        Rewritten { rewritten, size, token, object }
    }
}

prop_compose! {
    fn stored_part()(number in 1..=10_000_u32, etag in text(), size in any::<u64>()) -> StoredPart {
        StoredPart { part: Part { number, etag }, size }
    }
}

prop_compose! {
    fn parts()(
        parts in vec(stored_part(), 0..20),
        next_after in of(1..=u32::MAX),
    ) -> PartsPage {
        PartsPage { parts, next_after }
    }
}

prop_compose! {
    fn stat_bucket()(
        metageneration in any::<u64>(),
        flags in any::<[bool; 4]>(),
        location in text(),
        storage_class in text(),
    ) -> stat_bucket::Reply {
        let [versioning, requester_pays, uniform_access, hierarchical] = flags;
        stat_bucket::Reply {
            bucket: BucketInfo {
                metageneration,
                versioning,
                requester_pays,
                uniform_access,
                hierarchical,
                location,
                storage_class,
            },
        }
    }
}
