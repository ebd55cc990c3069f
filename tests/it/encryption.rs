//! Keys that the client keeps, on every request that has one (proto-spec.md, "Shared structs").

use gcsd_client::{FileSource, ReliableUpload, RetryPolicy};
use gcsd_types::{
    ComposeSource, Crc32c, EncryptionKey, MultipartRef, ObjectQuery, Part, Preconditions, Rewrite,
};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::read_at::{self, Range};
use gcsd_wire::{
    Kind, Reply, Request, Retry, attach_upload, complete_multipart, compose_objects, list_objects,
    move_object, put_object, rewrite_object, start_multipart, stat_object, upload_part,
};

use crate::support::daemon::{
    Client, Daemon, destination, finish_upload, object_ref, pattern, query_upload, start_upload,
};
use crate::support::striped;
use crate::support::uploads::{direct, new_object, tcp, via_daemon};

const KIB: usize = 1024;

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::new([byte; 32])
}

/// StartUpload under a key.
async fn start(client: &mut Client, upload: u32, object: &str, key: EncryptionKey) -> String {
    let Request::StartUpload(mut args) = start_upload(object) else {
        panic!("no start")
    };
    args.destination.key = Some(key);
    match client.call(upload, Request::StartUpload(args)).await.ok() {
        Reply::StartUpload(reply) => reply.token,
        other => panic!("{other:?}"),
    }
}

fn stat(object: &str, key: Option<EncryptionKey>) -> Request {
    let mut of = object_ref(object);
    of.key = key;
    Request::StatObject(stat_object::Args { of })
}

fn read(object: &str, key: Option<EncryptionKey>) -> Request {
    let mut of = object_ref(object);
    of.key = key;
    Request::ReadAt(read_at::Args {
        of,
        range: Range::From(0),
        decompress: false,
    })
}

/// Checks that `object` is stored under `key`, and that nobody gets it otherwise.
async fn kept_under(client: &mut Client, object: &str, bytes: &[u8], right: EncryptionKey) {
    let Reply::StatObject(seen) = client.call(0, stat(object, None)).await.ok() else {
        panic!("no stat")
    };
    assert_eq!((seen.object.size, seen.object.crc32c), (bytes.len() as u64, None));
    let Reply::StatObject(seen) = client.call(0, stat(object, Some(right.clone()))).await.ok() else {
        panic!("no stat")
    };
    assert_eq!(seen.object.crc32c, Some(Crc32c::of(bytes)));
    for wrong in [None, Some(key(0xee))] {
        let frame = client.call(0, read(object, wrong)).await;
        frame.fails(Kind::Refused, Retry::Never);
    }
    let sequence = client.begin(0, &read(object, Some(right)), 0).await;
    let mut all: Vec<u8> = Vec::new();
    loop {
        let frame = client.reply_to(sequence).await;
        frame.ok();
        all.extend(&frame.body);
        if !frame.head.more() {
            break;
        }
    }
    assert!(all == bytes, "{object}");
}

#[tokio::test]
async fn an_upload_brings_its_key_on_each_request() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let bytes = pattern(700 * KIB);
    let token = start(&mut client, 1, "it", key(1)).await;
    client.write(1, 0, None, &bytes[..256 * KIB]).await.progress();
    // The key is not in the token: who attaches brings it again.
    let mut other = daemon.connect().await;
    for (upload, brought, good) in [
        (1, None, false),
        (2, Some(key(2)), false),
        (3, Some(key(1)), true),
    ] {
        let args = attach_upload::Args {
            token: token.clone(),
            key: brought,
        };
        other.call(upload, Request::AttachUpload(args)).await.ok();
        let queried = other.call(upload, query_upload()).await;
        if good {
            assert_eq!(queried.progress().committed, 256 * KIB as u64);
            let rest = other
                .write(upload, 256 * KIB as u64, None, &bytes[256 * KIB..512 * KIB])
                .await;
            assert_eq!(rest.progress().committed, 512 * KIB as u64);
            let last = other
                .write(
                    upload,
                    512 * KIB as u64,
                    Some(bytes.len() as u64),
                    &bytes[512 * KIB..],
                )
                .await;
            assert_eq!(
                last.progress().object.and_then(|object| object.crc32c),
                Some(Crc32c::of(&bytes))
            );
        } else if queried.head.status.is_ok() {
            // Whether a query needs the key, GCS does not say; bytes do.
            let written = other
                .write(upload, 256 * KIB as u64, None, &bytes[256 * KIB..512 * KIB])
                .await;
            written.fails(Kind::Refused, Retry::Never);
        } else {
            queried.fails(Kind::Refused, Retry::Never);
        }
    }
    kept_under(&mut client, "it", &bytes, key(1)).await;
    // Finished without bytes of its own.
    start(&mut client, 4, "finished", key(1)).await;
    client.write(4, 0, None, &bytes[..256 * KIB]).await.progress();
    let finished = client.call(4, finish_upload(256 * KIB as u64)).await.progress();
    assert!(finished.object.and_then(|object| object.crc32c).is_some());
    kept_under(&mut client, "finished", &bytes[..256 * KIB], key(1)).await;
}

#[tokio::test]
async fn objects_are_put_composed_copied_and_moved_under_keys() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let destination_of = |name: &str, with: Option<EncryptionKey>| {
        let mut made = destination(name);
        made.key = with;
        made
    };
    let put = Request::PutObject(put_object::Args {
        destination: destination_of("a", Some(key(1))),
        body_crc32c: Some(Crc32c::of(b"hello ")),
    });
    let sequence = client.begin(0, &put, 6).await;
    client.raw(b"hello ").await;
    client.reply_to(sequence).await.ok();
    kept_under(&mut client, "a", b"hello ", key(1)).await;

    let mut compose = compose_objects::Args {
        destination: destination_of("aa", None),
        sources: vec![ComposeSource::new("a".parse().expect("a name")); 2],
    };
    for wrong in [None, Some(key(2))] {
        compose.destination.key = wrong;
        let frame = client.call(0, Request::ComposeObjects(compose.clone())).await;
        frame.fails(Kind::Refused, Retry::Never);
    }
    compose.destination.key = Some(key(1));
    let Reply::ComposeObjects(composed) = client.call(0, Request::ComposeObjects(compose)).await.ok() else {
        panic!("no composition")
    };
    assert_eq!(composed.object.crc32c, Some(Crc32c::of(b"hello hello ")));
    kept_under(&mut client, "aa", b"hello hello ", key(1)).await;

    let rewrite = |from: Option<EncryptionKey>, to: Option<EncryptionKey>| {
        let mut source = object_ref("aa");
        source.key = from;
        let mut destination = destination("copy");
        destination.key = to;
        let rewrite = Box::new(Rewrite {
            source,
            destination,
            max_bytes: None,
            token: None,
        });
        Request::RewriteObject(rewrite_object::Args { rewrite })
    };
    for wrong in [None, Some(key(2))] {
        let frame = client.call(0, rewrite(wrong, Some(key(2)))).await;
        frame.fails(Kind::Refused, Retry::Never);
    }
    // From one key to another, and away from keys.
    client.call(0, rewrite(Some(key(1)), Some(key(2)))).await.ok();
    kept_under(&mut client, "copy", b"hello hello ", key(2)).await;
    let moved = move_object::Args {
        source: gcsd_types::ObjectRef {
            key: Some(key(2)),
            ..object_ref("copy")
        },
        destination: "moved".parse().expect("a name"),
        preconditions: Preconditions::default(),
    };
    client.call(0, Request::MoveObject(moved)).await.ok();
    kept_under(&mut client, "moved", b"hello hello ", key(2)).await;
    client.call(0, rewrite(Some(key(1)), None)).await.ok();
    let frame = client.call(0, read("copy", None)).await;
    frame.ok();

    // Lists show what is there, and no checksums of it.
    let mut listing = daemon.connect().await;
    let query = ObjectQuery::new(object_ref("a").bucket);
    let sequence = listing
        .begin(0, &Request::ListObjects(list_objects::Args { query }), 0)
        .await;
    let piece = listing.reply_to(sequence).await;
    let json: serde_json::Value = serde_json::from_slice(&piece.body).expect("one piece of JSON");
    let items = json["items"].as_array().expect("items");
    assert_eq!(items.len(), 4);
    for item in items {
        assert_eq!(item["crc32c"].is_null(), item["name"] != "copy", "{item}");
    }
}

#[tokio::test]
async fn a_multipart_upload_brings_its_key_with_each_part() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut made = destination("parts");
    made.key = Some(key(1));
    let start = Request::StartMultipart(start_multipart::Args { destination: made });
    let Reply::StartMultipart(started) = client.call(0, start).await.ok() else {
        panic!("no start")
    };
    let of = |key| MultipartRef {
        bucket: object_ref("parts").bucket,
        object: object_ref("parts").object,
        multipart_id: started.multipart_id.clone(),
        user_project: None,
        key,
    };
    let mut etag = None;
    for (brought, good) in [(None, false), (Some(key(2)), false), (Some(key(1)), true)] {
        let part = Request::UploadPart(upload_part::Args {
            of: of(brought),
            part_number: 1,
            body_crc32c: Some(Crc32c::of(b"hello")),
        });
        let sequence = client.begin(0, &part, 5).await;
        client.raw(b"hello").await;
        let frame = client.reply_to(sequence).await;
        match good {
            true => etag = Some(frame.ok()),
            false => drop(frame.fails(Kind::Refused, Retry::Never)),
        }
    }
    let Some(Reply::UploadPart(part)) = etag else {
        panic!("no part")
    };
    let list = encode_parts(&[Part {
        number: 1,
        etag: part.etag,
    }]);
    let complete = Request::CompleteMultipart(complete_multipart::Args { of: of(Some(key(1))) });
    let sequence = client.begin(0, &complete, list.len() as u64).await;
    client.raw(&list).await;
    client.reply_to(sequence).await.ok();
    kept_under(&mut client, "parts", b"hello", key(1)).await;
}

#[tokio::test]
async fn a_key_is_never_shown() {
    let mut of = object_ref("it");
    of.key = Some(key(0x5a));
    let mut made = destination("it");
    made.key = Some(key(0x5a));
    let Request::StartUpload(mut start) = start_upload("it") else {
        panic!("no start")
    };
    start.destination.key = Some(key(0x5a));
    let attach = attach_upload::Args {
        token: "token".into(),
        key: Some(key(0x5a)),
    };
    let shown = format!("{of:?} {made:?} {start:?} {attach:?}");
    assert!(shown.contains("EncryptionKey(redacted)"), "{shown}");
    for bad in ["90", "5a", "5A", "WlpaWl", "ZZZZ", "token\""] {
        assert!(!shown.contains(bad), "{shown}");
    }
}

#[tokio::test]
async fn a_reliable_upload_carries_its_key_both_ways() {
    let daemon = Daemon::start().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let bytes = pattern(3 * 1024 * KIB);
    std::fs::write(file.path(), &bytes).expect("a full file");
    let mut object = new_object("via");
    object.destination.key = Some(key(1));
    let source = FileSource::new(file.reopen().expect("the file")).expect("a source");
    let open = via_daemon(&[daemon.address], tcp(), object);
    let uploaded = ReliableUpload::start(open, source, RetryPolicy::default())
        .wait()
        .await;
    assert_eq!(uploaded.expect("uploaded").crc32c, Some(Crc32c::of(&bytes)));
    let mut object = new_object("direct");
    object.destination.key = Some(key(2));
    let source = FileSource::new(file.reopen().expect("the file")).expect("a source");
    let open = direct(&daemon.devgcs, tcp(), object);
    let uploaded = ReliableUpload::start(open, source, RetryPolicy::default())
        .wait()
        .await;
    assert_eq!(uploaded.expect("uploaded").crc32c, Some(Crc32c::of(&bytes)));
    let mut client = daemon.connect().await;
    kept_under(&mut client, "via", &bytes, key(1)).await;
    kept_under(&mut client, "direct", &bytes, key(2)).await;
}

#[tokio::test]
async fn a_striped_upload_carries_its_key_to_parts_joints_and_the_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let bytes = bytes::Bytes::from(pattern(40 * 1000));
    // It replaces an object that has no key, and one that has another.
    client.put(1, "striped", b"plain").await;
    for right in [key(1), key(2)] {
        let mut object = new_object("striped");
        object.destination.key = Some(right.clone());
        let mut upload = striped::begin(
            striped::through(&daemon, tcp()),
            object,
            &bytes,
            &striped::options(1000),
        );
        let made = upload.wait().await;
        assert_eq!(made.expect("uploaded").object.crc32c, Some(Crc32c::of(&bytes)));
        kept_under(&mut client, "striped", &bytes, right).await;
    }
    let mut left = daemon.connect().await;
    let query = ObjectQuery::new(object_ref("striped").bucket);
    let list = Request::ListObjects(list_objects::Args { query });
    let sequence = left.begin(0, &list, 0).await;
    let piece = left.reply_to(sequence).await;
    let json: serde_json::Value = serde_json::from_slice(&piece.body).expect("one piece of JSON");
    assert_eq!(json["items"].as_array().map(Vec::len), Some(1), "no part is left");
}
