//! devgcs in a directory: what outlives the process, however it ends.

use std::error::Error as _;
use std::path::Path;

use devgcs::{Builder, Server, StartError, Storage};
use gcsd_types::Crc32c;

use crate::support::devgcs::{Q, Session, bytes, call, server_with, stored, upload};
use crate::support::http::{Client, PATIENCE, request};
use crate::support::process::Process;

fn in_directory(folder: &Path) -> Builder {
    Server::builder().storage(Storage::Directory(folder.to_owned()))
}

/// The same session at a server that was started anew.
fn again(session: &Session, server: &Server) -> Session {
    Session {
        address: server.address(),
        target: session.target.clone(),
    }
}

fn blobs(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("blobs")).expect("a folder").count()
}

#[tokio::test]
async fn sessions_and_objects_come_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let all = bytes(3 * Q + 7);
    let server = server_with(in_directory(folder.path())).await;
    let done = Session::start(&server, "done").await;
    let resource = done.put(None, &all).await.json();
    let cancelled = Session::start(&server, "cancelled").await;
    cancelled.put(Some("bytes 0-262143/*"), &all[..Q]).await;
    cancelled.cancel().await;
    let query = "&ifGenerationMatch=0";
    let start = r#"{"metadata": {"k": "v"}}"#;
    let open = Session::start_with(&server, "open", query, &[], start).await;
    let mut client = Client::connect(server.address()).await;
    let headers = [
        ("Content-Length", "786439"),
        ("Content-Range", "bytes 0-786438/786439"),
    ];
    client.head("PUT", &open.target, &headers).await;
    client.send(&all[..Q + 100]).await;
    let persisted = |now: &devgcs::Snapshot| now.session("open").is_some_and(|s| s.persisted == Q as u64);
    assert!(server.wait_for(PATIENCE, persisted).await);
    server.shutdown().await;

    let server = server_with(in_directory(folder.path())).await;
    assert_eq!(stored(&server, "done").await, all);
    let (done, open) = (again(&done, &server), again(&open, &server));
    assert_eq!(done.query().await.json()["generation"], resource["generation"]);
    assert_eq!(again(&cancelled, &server).query().await.status, 404);
    assert_eq!(open.query().await.persisted(), Q as u64);
    let rest = open.put(Some("bytes 262144-786438/786439"), &all[Q..]).await;
    assert_eq!(rest.status, 200, "{}", rest.text());
    assert_eq!(rest.json()["md5Hash"], resource["md5Hash"]);
    assert_eq!(rest.json()["metadata"]["k"], "v");
    assert_eq!(stored(&server, "open").await, all);
    server.shutdown().await;
    assert_eq!(blobs(folder.path()), 2);
}

#[tokio::test]
async fn what_was_changed_stays_changed() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = server_with(in_directory(folder.path())).await;
    call(
        &server,
        "POST",
        "/b",
        r#"{"name": "versioned", "versioning": {"enabled": true}}"#,
    )
    .await;
    call(&server, "POST", "/b", r#"{"name": "removed"}"#).await;
    for name in ["a", "b", "c", "d"] {
        upload(&server, name, name.as_bytes()).await;
    }
    upload(&server, "a", b"again").await;
    call(&server, "PATCH", "/b/bucket/o/a", r#"{"contentType": "a/b"}"#).await;
    call(&server, "DELETE", "/b/bucket/o/b", "").await;
    call(&server, "POST", "/b/bucket/o/c/moveTo/o/moved", "").await;
    call(&server, "POST", "/b/bucket/o/d/copyTo/b/versioned/o/x", "").await;
    call(&server, "POST", "/b/bucket/o/moved/copyTo/b/versioned/o/x", "").await;
    let parts = r#"{"sourceObjects": [{"name": "a"}, {"name": "d"}]}"#;
    call(&server, "POST", "/b/bucket/o/joined/compose", parts).await;
    call(&server, "DELETE", "/b/removed", "").await;
    let list = async |server: &Server, bucket: &str| {
        let target = format!(
            "/b/{bucket}/o?versions=true&fields=items(name,generation,metageneration,crc32c,updated,contentType)"
        );
        call(server, "GET", &target, "").await.json()
    };
    let before = [list(&server, "bucket").await, list(&server, "versioned").await];
    server.shutdown().await;

    let server = server_with(in_directory(folder.path())).await;
    assert_eq!(
        [list(&server, "bucket").await, list(&server, "versioned").await],
        before
    );
    assert_eq!(stored(&server, "a").await, b"again");
    assert_eq!(stored(&server, "moved").await, b"c");
    assert_eq!(stored(&server, "joined").await, b"againd");
    assert_eq!(server.object_bytes("versioned", "x").await.expect("there"), b"c");
    assert_eq!(call(&server, "GET", "/b/removed", "").await.status, 404);
    let newer = upload(&server, "a", b"newer").await.json();
    let generation = |value: &serde_json::Value| {
        value["generation"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
    };
    assert!(
        generation(&newer) > generation(&before[0]["items"][0]),
        "generations grow on"
    );
    // a, moved, d, joined, and both generations of x.
    assert_eq!(blobs(folder.path()), 6);
}

#[tokio::test]
async fn multipart_uploads_come_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = server_with(in_directory(folder.path())).await;
    let start = request(server.address(), "POST", "/bucket/x?uploads", &[], b"")
        .await
        .text();
    let id = start
        .split("UploadId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .expect("an id");
    let part = bytes(5 << 20);
    let target = format!("/bucket/x?partNumber=1&uploadId={id}");
    let tag = request(server.address(), "PUT", &target, &[], &part).await;
    let tag = tag.header("etag").expect("a tag").to_owned();
    server.shutdown().await;

    let server = server_with(in_directory(folder.path())).await;
    let target = format!("/bucket/x?partNumber=2&uploadId={id}");
    let last = request(server.address(), "PUT", &target, &[], b"last").await;
    let last = last.header("etag").expect("a tag");
    let list = format!(
        "<C><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{last}</ETag></Part></C>"
    );
    let target = format!("/bucket/x?uploadId={id}");
    let done = request(server.address(), "POST", &target, &[], list.as_bytes()).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(stored(&server, "x").await, [&part[..], b"last"].concat());
    assert_eq!(blobs(folder.path()), 1, "the parts are gone");
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_removed() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = server_with(in_directory(folder.path())).await;
    upload(&server, "a", b"x").await;
    server.shutdown().await;
    std::fs::write(folder.path().join("blobs/00ff"), b"nobody's").expect("written");
    let server = server_with(in_directory(folder.path())).await;
    assert_eq!(blobs(folder.path()), 1);
    assert_eq!(stored(&server, "a").await, b"x");
}

#[tokio::test]
async fn a_directory_serves_one_server_at_a_time() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = server_with(in_directory(folder.path())).await;
    let second = in_directory(folder.path()).start().await;
    let error = second.expect_err("it is in use");
    let StartError::Storage(source) = error else {
        panic!("{error}")
    };
    assert!(source.to_string().contains("in use"), "{source}");
    server.shutdown().await;
    server_with(in_directory(folder.path())).await;
}

#[tokio::test]
async fn a_damaged_record_is_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = server_with(in_directory(folder.path())).await;
    server.shutdown().await;
    let record = folder.path().join("buckets/bucket/bucket.json");
    std::fs::write(&record, b"{").expect("written");
    let error = in_directory(folder.path()).start().await;
    let source = error.expect_err("damaged").source().expect("why").to_string();
    assert!(source.contains("bucket.json"), "{source}");
}

/// Kills the process at a different moment each time, and looks at what the next one finds.
#[tokio::test]
async fn nothing_is_torn_by_a_kill() {
    let folder = tempfile::tempdir().expect("a directory");
    let start = || {
        Process::devgcs(&[
            "--dir",
            folder.path().to_str().expect("UTF-8"),
            "--bucket",
            "bucket",
        ])
    };
    let all = bytes(8 * Q + 99);
    let crc = Crc32c::of(&all).to_base64();
    let size = all.len();
    let mut server = start();
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let address = server.address();
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=resumable&name=r{round}");
        let location = request(address, "POST", &target, &[], b"").await;
        let location = location.header("location").expect("a session").to_owned();
        let target = &location[location.find("/upload").expect("a path")..];
        let mut client = Client::connect(address).await;
        let (length, range) = (size.to_string(), format!("bytes 0-{}/{size}", size - 1));
        client
            .head(
                "PUT",
                target,
                &[("Content-Length", &length), ("Content-Range", &range)],
            )
            .await;
        // Other objects appear meanwhile, one of them again and again.
        let mut answers = Vec::new();
        let until = size * (round + 1) / 12;
        for piece in all[..until].chunks(200_000) {
            client.send(piece).await;
            let name = format!("r{round}-{}", answers.len());
            for name in [name, "same".to_owned()] {
                let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
                assert_eq!(
                    request(address, "POST", &target, &[], name.as_bytes())
                        .await
                        .status,
                    200
                );
                answers.push(name);
            }
        }
        acknowledged.extend(answers);
        server.kill();

        server = start();
        let address = server.address();
        let query = [("Content-Length", "0"), ("Content-Range", "bytes */*")];
        let mut client = Client::connect(address).await;
        client.head("PUT", target, &query).await;
        let found = client.answer().await;
        if found.status == 308 {
            let persisted = usize::try_from(found.persisted()).expect("small");
            assert!(
                persisted.is_multiple_of(Q) && persisted <= until,
                "{persisted} of {until}"
            );
            let range = format!("bytes {persisted}-{}/{size}", size - 1);
            let rest = request(
                address,
                "PUT",
                target,
                &[("Content-Range", &range)],
                &all[persisted..],
            )
            .await;
            assert_eq!(
                (rest.status, rest.json()["crc32c"].as_str()),
                (200, Some(crc.as_str()))
            );
        } else {
            assert_eq!(
                (found.status, found.json()["crc32c"].as_str()),
                (200, Some(crc.as_str()))
            );
            assert_eq!(until, size, "finished before its end");
        }
        for name in &acknowledged {
            let target = format!("/storage/v1/b/bucket/o/{name}?alt=media");
            let media = request(address, "GET", &target, &[], b"").await;
            assert_eq!((media.status, media.text().as_str()), (200, name.as_str()));
        }
        let media = request(
            address,
            "GET",
            &format!("/storage/v1/b/bucket/o/r{round}?alt=media"),
            &[],
            b"",
        )
        .await;
        assert_eq!(Crc32c::of(&media.body).to_base64(), crc);
    }
}
