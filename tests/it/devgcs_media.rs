//! Reading bytes from devgcs, over sockets.

use std::io::Write as _;

use devgcs::{Server, Storage};
use flate2::Compression;
use flate2::write::GzEncoder;
use gcsd_types::Crc32c;

use crate::support::devgcs::{Q, Session, bytes, call, server, server_with, upload};
use crate::support::http::{Answer, PATIENCE, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn read(server: &Server, name: &str, headers: &[(&str, &str)]) -> Answer {
    let target = format!("/storage/v1/b/bucket/o/{name}?alt=media");
    request(server.address(), "GET", &target, headers, b"").await
}

#[tokio::test]
async fn ranges_are_read() {
    for storage in [
        Storage::Memory,
        Storage::Directory(tempfile::tempdir().expect("a directory").keep()),
    ] {
        let server = server_with(Server::builder().storage(storage.clone())).await;
        let all = bytes(3 * Q + 17);
        upload(&server, "a", &all).await;
        assert_eq!(read(&server, "a", &[]).await.body, all);
        let size = all.len();
        for (range, first, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=0-".to_owned(), 0, size),
            (format!("bytes={}-{}", Q - 1, Q), Q - 1, Q + 1),
            (format!("bytes={}-{}", Q, 3 * Q - 1), Q, 3 * Q),
            ("bytes=-17".to_owned(), 3 * Q, size),
            ("bytes=-9999999".to_owned(), 0, size),
            (format!("bytes={}-9999999999999", size - 1), size - 1, size),
        ] {
            let part = read(&server, "a", &[("Range", &range)]).await;
            assert_eq!((part.status, &part.body[..]), (206, &all[first..end]), "{range}");
            let wanted = format!("bytes {first}-{}/{size}", end - 1);
            assert_eq!(part.header("content-range"), Some(wanted.as_str()));
        }
        for range in [format!("bytes={size}-"), "bytes=-0".to_owned()] {
            let beyond = read(&server, "a", &[("Range", &range)]).await;
            assert_eq!(beyond.status, 416, "{range}");
            assert_eq!(
                beyond.header("content-range"),
                Some(format!("bytes */{size}").as_str())
            );
        }
        assert_eq!(
            read(&server, "a", &[("Range", "bytes=5-2")]).await.status,
            200,
            "malformed"
        );
        upload(&server, "empty", b"").await;
        assert_eq!(read(&server, "empty", &[]).await.status, 200);
        assert_eq!(read(&server, "empty", &[("Range", "bytes=0-")]).await.status, 416);
        if let Storage::Directory(path) = storage {
            server.shutdown().await;
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
}

#[tokio::test]
async fn headers_describe_the_object() {
    let server = server().await;
    let body = r#"{"cacheControl": "no-store", "contentDisposition": "inline", "contentLanguage": "en", "contentType": "a/b"}"#;
    let session = Session::start_with(&server, "a", "", &[], body).await;
    let resource = session.put(None, b"hello world").await.json();
    let answer = read(&server, "a", &[]).await;
    let hash = "crc32c=yZRlqg==,md5=XrY7u+Ae7tCTyyK7j1rNww==";
    for (name, value) in [
        (
            "x-goog-generation",
            resource["generation"].as_str().expect("text"),
        ),
        ("x-goog-metageneration", "1"),
        ("x-goog-stored-content-length", "11"),
        ("x-goog-stored-content-encoding", "identity"),
        ("x-goog-storage-class", "STANDARD"),
        ("x-goog-hash", hash),
        ("etag", resource["etag"].as_str().expect("text")),
        ("content-type", "a/b"),
        ("cache-control", "no-store"),
        ("content-disposition", "inline"),
        ("content-language", "en"),
        ("content-length", "11"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn gzip_is_inflated_for_who_does_not_take_it() {
    let server = server().await;
    let plain = bytes(700_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&plain).expect("compressed");
    let packed = encoder.finish().expect("compressed");
    let store = async |name: &str, resource: &str, bytes: &[u8]| {
        let session = Session::start_with(&server, name, "", &[], resource).await;
        assert_eq!(session.put(None, bytes).await.status, 200);
    };
    store(
        "gz",
        r#"{"contentEncoding": "gzip", "contentType": "text/plain"}"#,
        &packed,
    )
    .await;
    let inflated = read(&server, "gz", &[]).await;
    assert_eq!((inflated.status, inflated.body == plain), (200, true));
    assert_eq!(inflated.header("content-length"), None);
    assert_eq!(inflated.header("content-encoding"), None);
    assert_eq!(inflated.header("x-goog-stored-content-encoding"), Some("gzip"));
    let stored = packed.len().to_string();
    assert_eq!(
        inflated.header("x-goog-stored-content-length"),
        Some(stored.as_str())
    );
    let raw = read(&server, "gz", &[("Accept-Encoding", "deflate, gzip;q=1.0")]).await;
    assert_eq!(
        (raw.body == packed, raw.header("content-encoding")),
        (true, Some("gzip"))
    );
    let ranged = read(&server, "gz", &[("Range", "bytes=0-9")]).await;
    assert_eq!(
        (ranged.status, ranged.body == plain),
        (200, true),
        "a range of what is inflated is ignored"
    );
    let ranged = read(
        &server,
        "gz",
        &[("Range", "bytes=0-9"), ("Accept-Encoding", "gzip")],
    )
    .await;
    assert_eq!((ranged.status, &ranged.body[..]), (206, &packed[..10]));
    store(
        "kept",
        r#"{"contentEncoding": "gzip", "cacheControl": "public, no-transform"}"#,
        &packed,
    )
    .await;
    assert_eq!(read(&server, "kept", &[]).await.body, packed);
    // What only says that it is gzip is served as it is stored.
    for liar in [&b"not gzip at all"[..], b"", b"\x1f\x8b"] {
        store("liar", r#"{"contentEncoding": "gzip"}"#, liar).await;
        let answer = read(&server, "liar", &[]).await;
        assert_eq!((answer.status, &answer.body[..]), (200, liar));
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn gzip_that_is_cut_off_has_an_answer_and_no_end() {
    let server = server().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes(3 * Q)).expect("in memory");
    let packed = encoder.finish().expect("in memory");
    for len in [4, 20, packed.len() / 2, packed.len() - 1] {
        let target = "/bucket/cut";
        let headers = [("Content-Encoding", "gzip")];
        let put = request(server.address(), "PUT", target, &headers, &packed[..len]).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let mut stream = tokio::net::TcpStream::connect(server.address())
            .await
            .expect("it listens");
        let head = b"GET /bucket/cut HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(head).await.expect("a request");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        ended.expect("in time").expect("a close");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200"), "{len}: {text:.40}");
        assert!(
            !text.ends_with("\r\n0\r\n\r\n"),
            "{len}: it is seen to be incomplete"
        );
    }
}

#[tokio::test]
async fn reads_have_the_conditions_of_http() {
    let server = server().await;
    let etag = upload(&server, "a", b"x").await.json()["etag"]
        .as_str()
        .expect("text")
        .to_owned();
    let bucket = call(&server, "GET", "/b/bucket", "").await.json();
    let bucket = bucket["etag"].as_str().expect("text");
    for (target, etag) in [
        ("/storage/v1/b/bucket/o/a", etag.as_str()),
        ("/storage/v1/b/bucket/o/a?alt=media", &etag),
        ("/download/storage/v1/b/bucket/o/a", &etag),
        ("/storage/v1/b/bucket", bucket),
    ] {
        for (name, value, status) in [
            ("If-Match", etag, 200),
            ("If-Match", "other", 412),
            ("If-None-Match", etag, 304),
            ("If-None-Match", "other", 200),
        ] {
            let answer = request(server.address(), "GET", target, &[(name, value)], b"").await;
            assert_eq!(answer.status, status, "{target} {name}: {value}");
        }
    }
    let head = request(server.address(), "HEAD", "/bucket/a", &[], b"").await;
    let date = head.header("last-modified").expect("a date").to_owned();
    let (before, after) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 06 Nov 2099 08:49:37 GMT");
    for (name, value, status) in [
        ("If-Modified-Since", date.as_str(), 304),
        ("If-Modified-Since", after, 304),
        ("If-Modified-Since", before, 200),
        ("If-Unmodified-Since", &date, 200),
        ("If-Unmodified-Since", before, 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = request(server.address(), method, "/bucket/a", &[(name, value)], b"").await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
        }
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_says_so_in_the_words_of_each_api() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let range = [("Range", "bytes=5-")];
    let json = read(&server, "a", &range).await;
    assert_eq!(
        (json.status, json.text().as_str()),
        (416, "Request range not satisfiable")
    );
    let xml = request(server.address(), "GET", "/bucket/a", &range, b"").await;
    assert_eq!(xml.status, 416);
    assert!(xml.text().contains("<Code>InvalidRange</Code>"), "{}", xml.text());
}

#[tokio::test]
async fn discarded_bytes_leave_size_and_checksums() {
    let server = server_with(Server::builder().storage(Storage::Discard).md5(false)).await;
    let all = bytes(2 * Q + 1);
    let resource = upload(&server, "a", &all).await.json();
    assert_eq!(resource["crc32c"], Crc32c::of(&all).to_base64());
    assert_eq!(
        (resource["size"].as_str(), resource.get("md5Hash")),
        (Some("524289"), None)
    );
    let media = read(&server, "a", &[]).await;
    assert_eq!(media.status, 501);
    assert!(media.text().contains("discards"));
    let error = server
        .object_bytes("bucket", "a")
        .await
        .expect_err("nothing is kept");
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}
