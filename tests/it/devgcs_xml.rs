//! The XML API of devgcs, over sockets.

use devgcs::{Server, Storage};
use gcsd_types::Crc32c;

use crate::support::devgcs::{Q, Session, bytes, call, server, server_with, stored, upload};
use crate::support::http::{Answer, request};

async fn send(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    request(server.address(), method, target, headers, body).await
}

/// The text of the first element of that name.
fn element(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    let from = text
        .find(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    let rest = &text[from + name.len() + 2..];
    rest[..rest.find('<').expect("an end")].to_owned()
}

fn elements(answer: &Answer, name: &str) -> Vec<String> {
    let text = answer.text();
    let open = format!("<{name}>");
    let parts = text.split(open.as_str()).skip(1);
    parts
        .map(|rest| rest[..rest.find('<').expect("an end")].to_owned())
        .collect()
}

#[tokio::test]
async fn objects_are_put_read_and_deleted() {
    let server = server().await;
    let headers = [
        ("Content-Type", "a/b"),
        ("x-goog-meta-color", "blue"),
        ("x-goog-hash", "crc32c=yZRlqg=="),
        ("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="),
        ("x-goog-if-generation-match", "0"),
    ];
    let put = send(&server, "PUT", "/bucket/a/b%20c", &headers, b"hello world").await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.header("etag"), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    let generation = put.header("x-goog-generation").expect("a generation").to_owned();
    assert_eq!(stored(&server, "a/b c").await, b"hello world");
    let again = send(&server, "PUT", "/bucket/a/b%20c", &headers, b"hello world").await;
    assert_eq!(
        (again.status, element(&again, "Code").as_str()),
        (412, "PreconditionFailed")
    );
    let get = send(&server, "GET", "/bucket/a/b%20c", &[], b"").await;
    assert_eq!((get.status, &get.body[..]), (200, &b"hello world"[..]));
    let head = send(&server, "HEAD", "/bucket/a/b%20c", &[], b"").await;
    for answer in [&get, &head] {
        assert_eq!(answer.header("content-length"), Some("11"));
        assert_eq!(answer.header("content-type"), Some("a/b"));
        assert_eq!(answer.header("x-goog-meta-color"), Some("blue"));
        assert_eq!(answer.header("x-goog-generation"), Some(generation.as_str()));
        assert_eq!(answer.header("x-goog-hash"), Some("crc32c=yZRlqg=="));
        assert!(
            answer
                .headers
                .contains(&("x-goog-hash".into(), "md5=XrY7u+Ae7tCTyyK7j1rNww==".into()))
        );
        assert!(answer.header("last-modified").expect("a date").ends_with("GMT"));
    }
    let part = send(&server, "GET", "/bucket/a/b%20c", &[("Range", "bytes=6-")], b"").await;
    assert_eq!((part.status, &part.body[..]), (206, &b"world"[..]));
    let tag = put.header("etag").expect("a tag");
    assert_eq!(
        send(&server, "GET", "/bucket/a/b%20c", &[("If-None-Match", tag)], b"")
            .await
            .status,
        304
    );
    assert_eq!(
        send(&server, "GET", "/bucket/a/b%20c", &[("If-Match", "\"x\"")], b"")
            .await
            .status,
        412
    );
    for headers in [
        [("x-goog-hash", "crc32c=AAAAAA==")],
        [("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")],
    ] {
        let bad = send(&server, "PUT", "/bucket/bad", &headers, b"hello world").await;
        assert_eq!((bad.status, element(&bad, "Code").as_str()), (400, "BadDigest"));
    }
    assert!(server.object("bucket", "bad").is_none());
    let conditional = [("x-goog-if-generation-match", "1")];
    assert_eq!(
        send(&server, "DELETE", "/bucket/a/b%20c", &conditional, b"")
            .await
            .status,
        412
    );
    assert_eq!(
        send(&server, "DELETE", "/bucket/a/b%20c", &[], b"").await.status,
        204
    );
    let gone = send(&server, "GET", "/bucket/a/b%20c", &[], b"").await;
    assert_eq!((gone.status, element(&gone, "Code").as_str()), (404, "NoSuchKey"));
    assert_eq!(
        send(&server, "HEAD", "/bucket/a/b%20c", &[], b"").await.status,
        404
    );
    let nowhere = send(&server, "GET", "/nowhere/a", &[], b"").await;
    assert_eq!(element(&nowhere, "Code"), "NoSuchBucket");
}

#[tokio::test]
async fn objects_are_copied() {
    let server = server().await;
    upload(&server, "a%20b", b"x").await;
    let headers = [("x-goog-copy-source", "/bucket/a%20b")];
    let copy = send(&server, "PUT", "/bucket/copy", &headers, b"").await;
    assert_eq!(copy.status, 200, "{}", copy.text());
    assert!(!element(&copy, "LastModified").is_empty());
    assert_eq!(stored(&server, "copy").await, b"x");
    assert_eq!(
        server.object("bucket", "copy").expect("there").resource["contentType"],
        "text/plain"
    );
    let headers = [
        ("x-goog-copy-source", "bucket/copy"),
        ("x-goog-metadata-directive", "REPLACE"),
        ("Content-Type", "a/b"),
    ];
    send(&server, "PUT", "/bucket/copy", &headers, b"").await;
    assert_eq!(
        server.object("bucket", "copy").expect("there").resource["contentType"],
        "a/b"
    );
    let missing = send(
        &server,
        "PUT",
        "/bucket/copy",
        &[("x-goog-copy-source", "/bucket/none")],
        b"",
    )
    .await;
    assert_eq!(missing.status, 404);
    assert_eq!(
        send(
            &server,
            "PUT",
            "/bucket/copy",
            &[("x-goog-copy-source", "none")],
            b""
        )
        .await
        .status,
        400
    );
}

#[tokio::test]
async fn buckets_are_listed() {
    let server = server().await;
    for name in ["a", "b%2F1", "b%2F2", "c%26"] {
        upload(&server, name, b"x").await;
    }
    let page = send(&server, "GET", "/bucket", &[], b"").await;
    assert_eq!(elements(&page, "Key"), ["a", "b/1", "b/2", "c&amp;"]);
    assert_eq!(element(&page, "IsTruncated"), "false");
    assert_eq!(element(&page, "Size"), "1");
    let page = send(&server, "GET", "/bucket/?delimiter=/&max-keys=2", &[], b"").await;
    assert_eq!(
        (elements(&page, "Key"), element(&page, "NextMarker")),
        (vec!["a".to_owned()], "b/".to_owned())
    );
    assert!(
        page.text()
            .contains("<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>")
    );
    let page = send(&server, "GET", "/bucket?delimiter=/&marker=b/", &[], b"").await;
    assert_eq!(elements(&page, "Key"), ["c&amp;"]);
    let page = send(&server, "GET", "/bucket?list-type=2&max-keys=3", &[], b"").await;
    assert_eq!(element(&page, "KeyCount"), "3");
    let token = element(&page, "NextContinuationToken");
    let target = format!("/bucket?list-type=2&continuation-token={token}");
    assert_eq!(
        elements(&send(&server, "GET", &target, &[], b"").await, "Key"),
        ["c&amp;"]
    );
    assert_eq!(
        elements(&send(&server, "GET", "/", &[], b"").await, "Name"),
        ["bucket"]
    );
    assert_eq!(send(&server, "HEAD", "/bucket", &[], b"").await.status, 200);
    assert_eq!(send(&server, "HEAD", "/nowhere", &[], b"").await.status, 404);
    assert!(
        send(&server, "GET", "/bucket?location", &[], b"")
            .await
            .text()
            .contains(">US<")
    );
    assert_eq!(send(&server, "PUT", "/second", &[], b"").await.status, 200);
    assert_eq!(send(&server, "DELETE", "/second", &[], b"").await.status, 204);
    let full = send(&server, "DELETE", "/bucket", &[], b"").await;
    assert_eq!(
        (full.status, element(&full, "Code").as_str()),
        (409, "BucketNotEmpty")
    );
    assert_eq!(send(&server, "PUT", "/second", &[], b"<broken").await.status, 400);
    call(
        &server,
        "PATCH",
        "/b/bucket",
        r#"{"versioning": {"enabled": true}}"#,
    )
    .await;
    upload(&server, "a", b"y").await;
    let page = send(&server, "GET", "/bucket?versions&prefix=a", &[], b"").await;
    assert_eq!(elements(&page, "IsLatest"), ["false", "true"]);
}

#[tokio::test]
async fn a_session_of_the_xml_api_is_a_session() {
    let server = server().await;
    let headers = [
        ("x-goog-resumable", "start"),
        ("Content-Type", "a/b"),
        ("x-goog-meta-k", "v"),
    ];
    let start = send(&server, "POST", "/bucket/a/b", &headers, b"").await;
    assert_eq!(start.status, 201);
    let location = start.header("location").expect("a session");
    let session = Session {
        address: server.address(),
        target: location
            .strip_prefix(&server.endpoint())
            .expect("it is here")
            .to_owned(),
    };
    let all = bytes(Q + 3);
    assert_eq!(
        session.put(Some("bytes 0-262143/*"), &all[..Q]).await.persisted(),
        Q as u64
    );
    assert_eq!(session.query().await.persisted(), Q as u64);
    let last = session.put(Some("bytes 262144-262146/262147"), &all[Q..]).await;
    assert_eq!((last.status, last.body.len()), (200, 0));
    assert!(last.header("x-goog-generation").is_some());
    let resource = server.object("bucket", "a/b").expect("there").resource;
    assert_eq!(
        (
            resource["contentType"].as_str(),
            resource["metadata"]["k"].as_str()
        ),
        (Some("a/b"), Some("v"))
    );
    assert_eq!(stored(&server, "a/b").await, all);
    let start = send(&server, "POST", "/bucket/c", &headers, b"").await;
    let location = start.header("location").expect("a session");
    let cancelled = Session {
        target: location
            .strip_prefix(&server.endpoint())
            .expect("it is here")
            .to_owned(),
        ..session
    };
    assert_eq!(cancelled.cancel().await.status, 499);
    assert_eq!(cancelled.query().await.status, 499);
}

#[tokio::test]
async fn a_multipart_upload_joins_its_parts() {
    let folder = tempfile::tempdir().expect("a directory");
    for storage in [Storage::Memory, Storage::Directory(folder.path().to_owned())] {
        let server = server_with(Server::builder().storage(storage)).await;
        let headers = [("Content-Type", "a/b"), ("x-goog-meta-k", "v")];
        let start = send(&server, "POST", "/bucket/big/x?uploads", &headers, b"").await;
        assert_eq!(start.status, 200, "{}", start.text());
        let id = element(&start, "UploadId");
        assert_eq!(
            elements(
                &send(&server, "GET", "/bucket?uploads", &[], b"").await,
                "UploadId"
            ),
            [id.as_str()]
        );
        let all = bytes((5 << 20) * 2 + 7);
        let mut parts = String::new();
        // In any order, and one of them twice.
        for number in [2, 3, 1, 2] {
            let part = all.chunks(5 << 20).nth(number - 1).expect("three parts");
            let hash = format!("crc32c={}", Crc32c::of(part).to_base64());
            let target = format!("/bucket/big/x?partNumber={number}&uploadId={id}");
            let put = send(&server, "PUT", &target, &[("x-goog-hash", &hash)], part).await;
            assert_eq!(put.status, 200, "{}", put.text());
        }
        let target = format!("/bucket/big/x?uploadId={id}");
        let listed = send(&server, "GET", &target, &[], b"").await;
        assert_eq!(elements(&listed, "PartNumber"), ["1", "2", "3"]);
        let page = send(
            &server,
            "GET",
            &format!("{target}&max-parts=1&part-number-marker=1"),
            &[],
            b"",
        )
        .await;
        assert_eq!(
            (elements(&page, "PartNumber"), element(&page, "IsTruncated")),
            (vec!["2".to_owned()], "true".to_owned())
        );
        for (number, tag) in elements(&listed, "PartNumber")
            .iter()
            .zip(elements(&listed, "ETag"))
        {
            parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        for (list, code) in [
            (String::new(), "InvalidPart"),
            (
                "<Part><PartNumber>9</PartNumber><ETag>x</ETag></Part>".to_owned(),
                "InvalidPart",
            ),
            (format!("{parts}{parts}"), "InvalidPartOrder"),
            ("<Part>".to_owned(), "InvalidArgument"),
        ] {
            let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
            let refused = send(&server, "POST", &target, &[], body.as_bytes()).await;
            assert_eq!(
                (refused.status, element(&refused, "Code").as_str()),
                (400, code),
                "{list}"
            );
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let done = send(&server, "POST", &target, &[], body.as_bytes()).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(element(&done, "Key"), "big/x");
        let object = server.object("bucket", "big/x").expect("there");
        assert_eq!((object.crc32c, object.md5), (Crc32c::of(&all).0, None));
        assert_eq!(
            (&object.resource["contentType"], &object.resource["metadata"]["k"]),
            (&"a/b".into(), &"v".into())
        );
        assert_eq!(stored(&server, "big/x").await, all);
        let again = send(&server, "POST", &target, &[], body.as_bytes()).await;
        assert_eq!(
            (again.status, element(&again, "Code").as_str()),
            (404, "NoSuchUpload")
        );
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_multipart_upload_has_rules() {
    let server = server().await;
    let start = send(&server, "POST", "/bucket/x?uploads", &[], b"").await;
    let id = element(&start, "UploadId");
    let mut list = String::new();
    for number in [1, 2] {
        let target = format!("/bucket/x?partNumber={number}&uploadId={id}");
        let put = send(&server, "PUT", &target, &[], b"small").await;
        let tag = put.header("etag").expect("a tag");
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    }
    let target = format!("/bucket/x?uploadId={id}");
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let small = send(&server, "POST", &target, &[], body.as_bytes()).await;
    assert_eq!(
        (small.status, element(&small, "Code").as_str()),
        (400, "EntityTooSmall")
    );
    for number in ["0", "10001", "x", "-1"] {
        let target = format!("/bucket/x?partNumber={number}&uploadId={id}");
        assert_eq!(
            send(&server, "PUT", &target, &[], b"x").await.status,
            400,
            "{number}"
        );
    }
    let wrong = format!("/bucket/x?partNumber=3&uploadId={id}");
    assert_eq!(
        send(
            &server,
            "PUT",
            &wrong,
            &[("x-goog-hash", "crc32c=AAAAAA==")],
            b"x"
        )
        .await
        .status,
        400
    );
    let elsewhere = format!("/bucket/y?partNumber=1&uploadId={id}");
    assert_eq!(send(&server, "PUT", &elsewhere, &[], b"x").await.status, 404);
    assert_eq!(send(&server, "DELETE", &target, &[], b"").await.status, 204);
    assert_eq!(send(&server, "GET", &target, &[], b"").await.status, 404);
    assert!(server.object("bucket", "x").is_none());
}

#[tokio::test]
async fn a_document_that_is_not_well_formed_is_refused() {
    let server = server().await;
    let start = send(&server, "POST", "/bucket/x?uploads", &[], b"").await;
    let complete = format!("/bucket/x?uploadId={}", element(&start, "UploadId"));
    let bomb = "<!DOCTYPE A [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]><A><PartNumber>&b;</PartNumber></A>";
    let deep = "<A>".repeat(100_000);
    let bad = [
        b"<A>",
        &b"<A></B>"[..],
        b"\xff",
        b"<A>&b;</A>",
        b"PartNumber",
        bomb.as_bytes(),
        deep.as_bytes(),
    ];
    for (at, body) in bad.into_iter().enumerate() {
        for (method, target) in [("POST", complete.as_str()), ("PUT", "/new-bucket")] {
            let answer = send(&server, method, target, &[], body).await;
            assert_eq!(answer.status, 400, "{method} {at}: {}", answer.text());
            assert_eq!(element(&answer, "Code"), "InvalidArgument");
            assert!(
                element(&answer, "Details").contains("not well-formed"),
                "{}",
                answer.text()
            );
        }
    }
    let long = vec![b' '; (4 << 20) + 1];
    assert_eq!(send(&server, "POST", &complete, &[], &long).await.status, 413);
    assert!(server.object("bucket", "x").is_none());
    assert_eq!(call(&server, "GET", "/b/new-bucket", "").await.status, 404);
}
