//! The JSON API of devgcs around its sessions, over sockets.

use devgcs::Server;
use gcsd_types::Crc32c;
use serde_json::{Value, json};

use crate::support::devgcs::{bytes, call, server, server_with, stored, upload};
use crate::support::http::{Answer, request};
use crate::support::waiting::becomes;

async fn get(server: &Server, name: &str) -> Value {
    let answer = call(server, "GET", &format!("/b/bucket/o/{name}"), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn reason(answer: &Answer) -> String {
    answer.json()["error"]["errors"][0]["reason"]
        .as_str()
        .expect("a reason")
        .to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Names on a page, and its token.
async fn names(server: &Server, query: &str) -> (Vec<String>, Vec<String>, Option<String>) {
    let page = call(server, "GET", &format!("/b/bucket/o?{query}"), "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.json();
    let list = |key: &str| page[key].as_array().cloned().unwrap_or_default();
    let items = list("items")
        .iter()
        .map(|item| text(&item["name"]).to_owned())
        .collect();
    let prefixes = list("prefixes")
        .iter()
        .map(|prefix| text(prefix).to_owned())
        .collect();
    (items, prefixes, page["nextPageToken"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn buckets_come_and_go() {
    let server = server().await;
    let body = r#"{"name": "second", "location": "eu", "labels": {"a": "b"}, "lifecycle": {"rule": []}}"#;
    let made = call(&server, "POST", "/b?project=p", body).await.json();
    assert_eq!(made["kind"], "storage#bucket");
    assert_eq!(
        (text(&made["location"]), text(&made["metageneration"])),
        ("EU", "1")
    );
    assert_eq!(call(&server, "GET", "/b/second", "").await.json(), made);
    let again = call(&server, "POST", "/b?project=p", body).await;
    assert_eq!((again.status, reason(&again).as_str()), (409, "conflict"));
    for bad in [
        r#"{"name": "No"}"#,
        r#"{"name": "a/../../b"}"#,
        "{}",
        "not json",
        r#"{"name": 7}"#,
    ] {
        assert_eq!(
            call(&server, "POST", "/b?project=p", bad).await.status,
            400,
            "{bad}"
        );
    }
    let patched = call(
        &server,
        "PATCH",
        "/b/second",
        r#"{"versioning": {"enabled": true}}"#,
    )
    .await
    .json();
    assert_eq!(patched["versioning"]["enabled"], true);
    assert_eq!(
        (text(&patched["metageneration"]), &patched["lifecycle"]),
        ("2", &json!({"rule": []}))
    );
    assert_eq!(
        call(&server, "PATCH", "/b/second?ifMetagenerationMatch=1", "{}")
            .await
            .status,
        412
    );
    let listed = call(&server, "GET", "/b?project=p", "").await.json();
    assert_eq!(listed["items"].as_array().expect("two").len(), 2);
    let first = call(&server, "GET", "/b?project=p&maxResults=1", "").await.json();
    let token = text(&first["nextPageToken"]);
    let second = call(&server, "GET", &format!("/b?project=p&pageToken={token}"), "")
        .await
        .json();
    assert_eq!(second["items"][0]["name"], "second");
    assert_eq!(
        call(&server, "GET", "/b?project=p&prefix=se", "").await.json()["items"][0]["name"],
        "second"
    );
    upload(&server, "x", b"x").await;
    assert_eq!(
        call(&server, "DELETE", "/b/bucket", "").await.status,
        409,
        "it is not empty"
    );
    assert_eq!(
        call(&server, "DELETE", "/b/second?ifMetagenerationMatch=1", "")
            .await
            .status,
        412
    );
    assert_eq!(call(&server, "DELETE", "/b/second", "").await.status, 204);
    let gone = call(&server, "GET", "/b/second", "").await;
    assert_eq!((gone.status, reason(&gone).as_str()), (404, "notFound"));
}

#[tokio::test]
async fn an_upload_in_one_request_becomes_an_object() {
    let server = server().await;
    for len in [0, 1, 262_143, 262_144, 1_000_000] {
        let all = bytes(len);
        let resource = upload(&server, "single", &all).await.json();
        assert_eq!(resource["size"], len.to_string());
        assert_eq!(resource["contentType"], "text/plain");
        assert_eq!(resource["crc32c"], Crc32c::of(&all).to_base64());
        assert_eq!(get(&server, "single").await, resource);
        assert_eq!(stored(&server, "single").await, all);
    }
}

#[tokio::test]
async fn the_resource_is_whole() {
    let server = server().await;
    let resource = upload(&server, "a%2Fb", b"hello world").await.json();
    let endpoint = server.endpoint();
    assert_eq!(resource["kind"], "storage#object");
    assert_eq!(
        resource["selfLink"],
        format!("{endpoint}/storage/v1/b/bucket/o/a%2Fb")
    );
    let generation = text(&resource["generation"]);
    assert_eq!(resource["id"], format!("bucket/a/b/{generation}"));
    assert_eq!(
        (text(&resource["size"]), text(&resource["storageClass"])),
        ("11", "STANDARD")
    );
    assert_eq!(
        (text(&resource["crc32c"]), text(&resource["md5Hash"])),
        ("yZRlqg==", "XrY7u+Ae7tCTyyK7j1rNww==")
    );
    for time in [
        "timeCreated",
        "updated",
        "timeStorageClassUpdated",
        "timeFinalized",
    ] {
        assert_eq!(
            text(&resource[time]).len(),
            "2024-01-01T00:00:00.000Z".len(),
            "{time}"
        );
    }
    let link = text(&resource["mediaLink"])
        .strip_prefix(&endpoint)
        .expect("it is here");
    assert_eq!(
        request(server.address(), "GET", link, &[], b"").await.body,
        b"hello world"
    );
    assert!(!text(&resource["etag"]).is_empty());
}

#[tokio::test]
async fn every_legal_name_comes_through() {
    let server = server().await;
    for name in [
        "a#b?c d",
        "../x",
        "a/./b//",
        "ünï☃🦀",
        " ",
        "%41",
        "a+b",
        "compose",
        "o/x/rewriteTo/b/y/o/z",
        "*[a]",
    ] {
        let encoded =
            percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string();
        let made = upload(&server, &encoded, name.as_bytes()).await.json();
        assert_eq!(made["name"], name);
        assert_eq!(get(&server, &encoded).await["name"], name);
        let (found, _, _) = names(&server, &format!("prefix={encoded}")).await;
        assert_eq!(found, [name]);
        let media = call(&server, "GET", &format!("/b/bucket/o/{encoded}?alt=media"), "").await;
        assert_eq!(media.body, name.as_bytes());
        assert_eq!(
            call(&server, "DELETE", &format!("/b/bucket/o/{encoded}"), "")
                .await
                .status,
            204
        );
    }
}

#[tokio::test]
async fn a_media_part_has_the_type_that_the_metadata_names() {
    let server = server().await;
    for (named, header, status, becomes) in [
        (Some("a/b"), "Content-Type: application/octet-stream\r\n", 400, ""),
        (Some("a/b"), "Content-Type: a/b\r\n", 200, "a/b"),
        (Some("a/b"), "", 200, "a/b"),
        (None, "Content-Type: c/d\r\n", 200, "c/d"),
    ] {
        let kind = named.map_or(String::new(), |named| format!(r#", "contentType": "{named}""#));
        let body = format!(
            "--b\r\nContent-Type: application/json\r\n\r\n{{\"name\": \"typed\"{kind}}}\r\n--b\r\n{header}\r\nx\r\n--b--\r\n"
        );
        let answer = request(
            server.address(),
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=multipart",
            &[("Content-Type", "multipart/related; boundary=b")],
            body.as_bytes(),
        )
        .await;
        assert_eq!(answer.status, status, "{named:?} {header}: {}", answer.text());
        if status == 200 {
            assert_eq!(text(&answer.json()["contentType"]), becomes);
        } else {
            assert_eq!(answer.json()["error"]["errors"][0]["reason"], "invalid");
        }
    }
}

#[tokio::test]
async fn a_multipart_upload_carries_metadata_bytes_and_late_checksums() {
    let server = server().await;
    let send = async |boundary: &str, parts: &[(&str, &str)], closed: bool| {
        let mut body = String::new();
        for (kind, part) in parts {
            body += &format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n{part}\r\n");
        }
        if closed {
            body += &format!("--{boundary}--\r\n");
        }
        let kind = format!("multipart/related; boundary=\"{boundary}\"");
        let target = "/upload/storage/v1/b/bucket/o?uploadType=multipart";
        request(
            server.address(),
            "POST",
            target,
            &[("Content-Type", &kind)],
            body.as_bytes(),
        )
        .await
    };
    let json = "application/json; charset=UTF-8";
    let metadata = r#"{"name": "parts", "metadata": {"k": "v"}}"#;
    let done = send("xyz", &[(json, metadata), ("text/html", "hello world")], true).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let resource = done.json();
    assert_eq!(
        (text(&resource["contentType"]), text(&resource["crc32c"])),
        ("text/html", "yZRlqg==")
    );
    assert_eq!(stored(&server, "parts").await, b"hello world");
    let late = r#"{"crc32c": "yZRlqg=="}"#;
    assert_eq!(
        send(
            "b",
            &[(json, metadata), ("a/b", "hello world"), (json, late)],
            true
        )
        .await
        .status,
        200
    );
    let generation = get(&server, "parts").await["generation"].clone();
    for (case, parts, closed) in [
        (
            "a wrong late checksum",
            vec![(json, metadata), ("a/b", "other"), (json, late)],
            true,
        ),
        (
            "a wrong checksum",
            vec![
                (
                    json,
                    r#"{"name": "parts", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww=="}"#,
                ),
                ("a/b", "x"),
            ],
            true,
        ),
        ("no bytes", vec![(json, metadata)], true),
        ("no end", vec![(json, metadata), ("a/b", "hello world")], false),
        (
            "four parts",
            vec![(json, metadata), ("a/b", "x"), (json, "{}"), (json, "{}")],
            true,
        ),
        ("no name", vec![(json, "{}"), ("a/b", "x")], true),
    ] {
        assert_eq!(send("b", &parts, closed).await.status, 400, "{case}");
        assert_eq!(get(&server, "parts").await["generation"], generation, "{case}");
    }
}

#[tokio::test]
async fn an_upload_in_one_request_that_breaks_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let storage = devgcs::Storage::Directory(folder.path().to_owned());
    let server = server_with(Server::builder().storage(storage)).await;
    let mut client = crate::support::http::Client::connect(server.address()).await;
    let target = "/upload/storage/v1/b/bucket/o?uploadType=media&name=broken";
    client
        .head("POST", target, &[("Content-Length", "1000000")])
        .await;
    client.send(&bytes(600_000)).await;
    let blobs = || {
        std::fs::read_dir(folder.path().join("blobs"))
            .expect("a folder")
            .count()
    };
    becomes(|| blobs() == 1).await;
    client.reset();
    becomes(|| blobs() == 0).await;
    assert!(server.object("bucket", "broken").is_none());
}

#[tokio::test]
async fn a_list_has_prefixes_pages_and_bounds() {
    let server = server().await;
    for name in ["a", "b%2F", "b%2F1", "b%2F2", "b%2Fc%2F3", "c", "d%2Fx", "é"] {
        upload(&server, name, b"").await;
    }
    let all = ["a", "b/", "b/1", "b/2", "b/c/3", "c", "d/x", "é"];
    assert_eq!(names(&server, "").await.0, all);
    assert_eq!(
        names(&server, "prefix=b%2F").await.0,
        ["b/", "b/1", "b/2", "b/c/3"]
    );
    let (items, prefixes, _) = names(&server, "delimiter=%2F").await;
    assert_eq!(
        (items, prefixes),
        (
            vec!["a".into(), "c".into(), "é".into()],
            vec!["b/".into(), "d/".into()]
        )
    );
    let (items, prefixes, _) = names(&server, "delimiter=%2F&prefix=b%2F").await;
    assert_eq!(
        (items, prefixes),
        (vec!["b/".into(), "b/1".into(), "b/2".into()], vec!["b/c/".into()])
    );
    let (items, prefixes, _) = names(&server, "delimiter=%2F&includeTrailingDelimiter=true").await;
    assert_eq!(
        (items, prefixes),
        (
            vec!["a".into(), "b/".into(), "c".into(), "é".into()],
            vec!["b/".into(), "d/".into()]
        )
    );
    assert_eq!(
        names(&server, "startOffset=b%2F2&endOffset=d").await.0,
        ["b/2", "b/c/3", "c"]
    );
    assert_eq!(names(&server, "matchGlob=b%2F*").await.0, ["b/", "b/1", "b/2"]);
    assert_eq!(
        names(&server, "matchGlob=**%2F%7B2,3%7D").await.0,
        ["b/2", "b/c/3"]
    );
    for size in 1..=8 {
        for query in ["", "&delimiter=%2F", "&prefix=b%2F", "&matchGlob=**%2F*"] {
            let whole = names(&server, query).await;
            let (mut items, mut prefixes, mut token) = (Vec::new(), Vec::new(), None);
            for _ in 0..20 {
                let resume = token
                    .map(|token| format!("&pageToken={token}"))
                    .unwrap_or_default();
                let page = names(&server, &format!("maxResults={size}{query}{resume}")).await;
                assert!(page.0.len() + page.1.len() <= size);
                items.extend(page.0);
                prefixes.extend(page.1);
                token = page.2;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(
                (items, prefixes, token),
                (whole.0, whole.1, None),
                "{size} {query}"
            );
        }
    }
    for bad in ["pageToken=%21", "maxResults=x", "matchGlob=%5B"] {
        assert_eq!(
            call(&server, "GET", &format!("/b/bucket/o?{bad}"), "")
                .await
                .status,
            400,
            "{bad}"
        );
    }
    assert_eq!(call(&server, "GET", "/b/nowhere/o", "").await.status, 404);
}

#[tokio::test]
async fn fields_select() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let page = call(&server, "GET", "/b/bucket/o?fields=items(name,size),kind", "")
        .await
        .json();
    assert_eq!(
        page,
        json!({"kind": "storage#objects", "items": [{"name": "a", "size": "1"}]})
    );
    assert_eq!(
        call(&server, "GET", "/b/bucket/o/a?fields=size", "").await.json(),
        json!({"size": "1"})
    );
    let bad = call(&server, "GET", "/b/bucket/o/a?fields=a(b", "").await;
    assert_eq!((bad.status, reason(&bad).as_str()), (400, "invalidParameter"));
}

#[tokio::test]
async fn metadata_is_patched_and_replaced() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let patch = r#"{"metadata": {"k": "v", "l": "w"}, "cacheControl": "no-store"}"#;
    let patched = call(&server, "PATCH", "/b/bucket/o/a", patch).await.json();
    assert_eq!(
        (text(&patched["metageneration"]), text(&patched["contentType"])),
        ("2", "text/plain")
    );
    let patched = call(
        &server,
        "PATCH",
        "/b/bucket/o/a",
        r#"{"metadata": {"k": null}, "cacheControl": null}"#,
    )
    .await
    .json();
    assert_eq!(patched["metadata"], json!({"l": "w"}));
    assert_eq!(
        (patched.get("cacheControl"), text(&patched["metageneration"])),
        (None, "3")
    );
    let updated = call(&server, "PUT", "/b/bucket/o/a", r#"{"contentLanguage": "en"}"#)
        .await
        .json();
    assert_eq!(
        (updated.get("metadata"), updated.get("contentType")),
        (None, None)
    );
    assert_eq!(text(&updated["contentLanguage"]), "en");
    assert_eq!(get(&server, "a").await, updated);
    assert_eq!(stored(&server, "a").await, b"x");
    assert_eq!(
        call(&server, "PATCH", "/b/bucket/o/missing", "{}").await.status,
        404
    );
    assert_eq!(
        call(&server, "PATCH", "/b/bucket/o/a", r#"{"contentType": []}"#)
            .await
            .status,
        400
    );
    assert_eq!(get(&server, "a").await, updated);
}

#[tokio::test]
async fn a_hold_keeps_an_object() {
    let server = server().await;
    upload(&server, "held", b"x").await;
    call(&server, "PATCH", "/b/bucket/o/held", r#"{"temporaryHold": true}"#).await;
    assert_eq!(call(&server, "DELETE", "/b/bucket/o/held", "").await.status, 403);
    let target = "/upload/storage/v1/b/bucket/o?uploadType=media&name=held";
    assert_eq!(
        request(server.address(), "POST", target, &[], b"y").await.status,
        403
    );
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/held/moveTo/o/free", "")
            .await
            .status,
        403
    );
    assert!(server.object("bucket", "free").is_none());
    call(
        &server,
        "PATCH",
        "/b/bucket/o/held",
        r#"{"temporaryHold": false}"#,
    )
    .await;
    assert_eq!(call(&server, "DELETE", "/b/bucket/o/held", "").await.status, 204);
}

#[tokio::test]
async fn preconditions_hold_on_every_call() {
    let server = server().await;
    upload(&server, "source", b"s").await;
    let generation = text(&upload(&server, "a", b"x").await.json()["generation"]).to_owned();
    let calls = [
        ("GET", "/storage/v1/b/bucket/o/a?", ""),
        ("GET", "/storage/v1/b/bucket/o/a?alt=media&", ""),
        ("PATCH", "/storage/v1/b/bucket/o/a?", "{}"),
        ("PUT", "/storage/v1/b/bucket/o/a?", "{}"),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=media&name=a&",
            "x",
        ),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=resumable&name=a&",
            "",
        ),
        (
            "POST",
            "/storage/v1/b/bucket/o/a/compose?",
            r#"{"sourceObjects": [{"name": "source"}]}"#,
        ),
        (
            "POST",
            "/storage/v1/b/bucket/o/source/rewriteTo/b/bucket/o/a?",
            "",
        ),
        ("POST", "/storage/v1/b/bucket/o/source/copyTo/b/bucket/o/a?", ""),
        ("POST", "/storage/v1/b/bucket/o/source/moveTo/o/a?", ""),
        ("DELETE", "/storage/v1/b/bucket/o/a?", ""),
    ];
    let conditions = [
        ("ifGenerationMatch=1".to_owned(), 412),
        ("ifGenerationMatch=0".to_owned(), 412),
        ("ifMetagenerationMatch=9".to_owned(), 412),
        (format!("ifGenerationNotMatch={generation}"), 304),
        ("ifMetagenerationNotMatch=1".to_owned(), 304),
        ("ifGenerationMatch=-1".to_owned(), 400),
    ];
    for (method, target, body) in calls {
        for (condition, status) in &conditions {
            let answer = request(
                server.address(),
                method,
                &format!("{target}{condition}"),
                &[],
                body.as_bytes(),
            )
            .await;
            assert_eq!(answer.status, *status, "{method} {target}{condition}");
        }
    }
    let source = text(&get(&server, "source").await["generation"]).to_owned();
    for call in ["rewriteTo/b/bucket/o", "copyTo/b/bucket/o", "moveTo/o"] {
        for (condition, status) in [
            ("ifSourceGenerationMatch=1".to_owned(), 412),
            (format!("ifSourceGenerationNotMatch={source}"), 304),
            ("ifSourceMetagenerationMatch=2".to_owned(), 412),
            ("ifSourceMetagenerationNotMatch=1".to_owned(), 304),
        ] {
            let target = format!("/storage/v1/b/bucket/o/source/{call}/a?{condition}");
            let answer = request(server.address(), "POST", &target, &[], b"").await;
            assert_eq!(answer.status, status, "{target}");
        }
    }
    assert_eq!(
        get(&server, "a").await["generation"],
        generation.as_str(),
        "nothing happened"
    );
    // An object that is not there fails every condition but "generation 0".
    for (condition, status) in [
        ("ifGenerationMatch=0", 200),
        ("ifGenerationMatch=5", 412),
        ("ifGenerationNotMatch=5", 304),
        ("ifMetagenerationMatch=1", 412),
        ("ifMetagenerationNotMatch=1", 304),
    ] {
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name=new&{condition}");
        assert_eq!(
            request(server.address(), "POST", &target, &[], b"").await.status,
            status,
            "{condition}"
        );
        call(&server, "DELETE", "/b/bucket/o/new", "").await;
    }
    let met = format!("/b/bucket/o/a?ifGenerationMatch={generation}&ifMetagenerationNotMatch=2");
    assert_eq!(call(&server, "DELETE", &met, "").await.status, 204);
}

#[tokio::test]
async fn compose_joins_and_keeps_no_md5() {
    let server = server().await;
    for (name, part) in [("1", "hel"), ("2", "lo "), ("3", "world")] {
        upload(&server, name, part.as_bytes()).await;
    }
    let body = r#"{"sourceObjects": [{"name": "1"}, {"name": "2"}, {"name": "3"}], "destination": {"contentType": "a/b"}}"#;
    let made = call(&server, "POST", "/b/bucket/o/whole/compose", body)
        .await
        .json();
    assert_eq!(
        (
            text(&made["crc32c"]),
            text(&made["size"]),
            &made["componentCount"]
        ),
        ("yZRlqg==", "11", &json!(3))
    );
    assert_eq!((made.get("md5Hash"), text(&made["contentType"])), (None, "a/b"));
    assert_eq!(stored(&server, "whole").await, b"hello world");
    let twice = r#"{"sourceObjects": [{"name": "whole"}, {"name": "whole"}]}"#;
    let twice = call(&server, "POST", "/b/bucket/o/whole/compose", twice)
        .await
        .json();
    assert_eq!(
        (&twice["componentCount"], text(&twice["size"])),
        (&json!(6), "22")
    );
    let one = r#"{"sourceObjects": [{"name": "1", "objectPreconditions": {"ifGenerationMatch": "5"}}]}"#;
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/x/compose", one).await.status,
        412
    );
    let gone = r#"{"sourceObjects": [{"name": "1", "generation": "5"}]}"#;
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/x/compose", gone).await.status,
        404
    );
    let many = format!(
        r#"{{"sourceObjects": [{}]}}"#,
        vec![r#"{"name": "1"}"#; 33].join(",")
    );
    for bad in [
        "{}",
        r#"{"sourceObjects": []}"#,
        r#"{"sourceObjects": [{}]}"#,
        &many,
    ] {
        assert_eq!(
            call(&server, "POST", "/b/bucket/o/x/compose", bad).await.status,
            400,
            "{bad}"
        );
    }
    assert!(server.object("bucket", "x").is_none());
}

/// The headers of an encryption key, with its SHA-256.
fn key_headers(prefix: &str, key: &str, hash: &str) -> Vec<(String, String)> {
    [("algorithm", "AES256"), ("key", key), ("key-sha256", hash)]
        .map(|(name, value)| (format!("{prefix}-{name}"), value.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn keys_of_clients_are_asked_for() {
    let server = server().await;
    let zeros = (
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=",
    );
    let ones = (
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "cs1uhCLEB/ttCYaQ8RMLfe1+wvf14dML2dUh8BU2N5M=",
    );
    let call = async |method: &str, target: &str, headers: &[(String, String)], body: &str| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        request(server.address(), method, target, &headers, body.as_bytes()).await
    };
    let of = |(key, hash)| key_headers("x-goog-encryption", key, hash);
    let refused = [
        (
            key_headers("x-goog-encryption", zeros.0, ones.1),
            "customerEncryptionKeySha256IsInvalid",
        ),
        (
            key_headers("x-goog-encryption", "AAAA", zeros.1),
            "customerEncryptionKeyFormatIsInvalid",
        ),
        (of(zeros)[1..].to_vec(), "customerEncryptionAlgorithmIsInvalid"),
    ];
    let upload = "/upload/storage/v1/b/bucket/o?uploadType=media&name=it";
    for (headers, reason_given) in refused {
        let answer = call("POST", upload, &headers, "hello").await;
        assert_eq!((answer.status, reason(&answer).as_str()), (400, reason_given));
    }
    let stored = call("POST", upload, &of(zeros), "hello").await.json();
    assert_eq!(stored["customerEncryption"]["keySha256"], zeros.1);
    assert_eq!(stored["crc32c"], "mnG7TA==");

    let object = "/storage/v1/b/bucket/o/it";
    let hidden = call("GET", object, &[], "").await.json();
    assert!(hidden["crc32c"].is_null() && hidden["md5Hash"].is_null() && hidden["size"] == "5");
    assert_eq!(
        call("GET", object, &of(zeros), "").await.json()["crc32c"],
        "mnG7TA=="
    );
    let wrong = call("GET", object, &of(ones), "").await;
    assert_eq!(reason(&wrong), "customerEncryptionKeyIsIncorrect");
    let media = format!("{object}?alt=media");
    assert_eq!(call("GET", &media, &[], "").await.status, 400);
    assert_eq!(call("GET", &media, &of(ones), "").await.status, 400);
    assert_eq!(call("GET", &media, &of(zeros), "").await.text(), "hello");

    let compose = r#"{"sourceObjects":[{"name":"it"},{"name":"it"}]}"#;
    let target = "/storage/v1/b/bucket/o/both/compose";
    let locked = call("POST", target, &[], compose).await;
    assert_eq!(reason(&locked), "resourceIsEncryptedWithCustomerEncryptionKey");
    assert_eq!(
        call("POST", target, &of(zeros), compose).await.json()["size"],
        "10"
    );
    // From one key to another, and back to none.
    let target = "/storage/v1/b/bucket/o/it/rewriteTo/b/bucket/o/other";
    let source = key_headers("x-goog-copy-source-encryption", zeros.0, zeros.1);
    assert_eq!(call("POST", target, &of(ones), "").await.status, 400);
    let both = [source.clone(), of(ones)].concat();
    let copied = call("POST", target, &both, "").await.json();
    assert_eq!(copied["resource"]["customerEncryption"]["keySha256"], ones.1);
    let copied = call("POST", target, &source, "").await.json();
    assert!(copied["resource"]["customerEncryption"].is_null());
    let plain = call("GET", "/storage/v1/b/bucket/o/other", &of(ones), "").await;
    assert_eq!(reason(&plain), "resourceNotEncryptedWithCustomerEncryptionKey");
    // What needs no key.
    assert_eq!(call("PATCH", object, &[], "{}").await.status, 200);
    assert_eq!(call("DELETE", object, &[], "").await.status, 204);
}

#[tokio::test]
async fn a_rewrite_takes_steps_and_carries_metadata() {
    let server = server().await;
    call(&server, "POST", "/b", r#"{"name": "other", "location": "EU"}"#).await;
    let all = bytes(5 << 20);
    let source = upload(&server, "from", &all).await.json();
    let target = "/b/bucket/o/from/rewriteTo/b/other/o/to?maxBytesRewrittenPerCall=2097152";
    let mut token = String::new();
    for done in ["2097152", "4194304"] {
        let step = call(&server, "POST", &format!("{target}{token}"), "")
            .await
            .json();
        assert_eq!(
            (text(&step["totalBytesRewritten"]), &step["done"]),
            (done, &json!(false))
        );
        assert!(server.object("other", "to").is_none(), "not before it is done");
        token = format!("&rewriteToken={}", text(&step["rewriteToken"]));
    }
    let last = call(&server, "POST", &format!("{target}{token}"), "")
        .await
        .json();
    assert_eq!(
        (&last["done"], text(&last["objectSize"])),
        (&json!(true), "5242880")
    );
    let made = &last["resource"];
    for field in ["crc32c", "md5Hash", "size", "contentType"] {
        assert_eq!(made[field], source[field], "{field}");
    }
    assert_eq!(server.object_bytes("other", "to").await.expect("there"), all);
    let at_once = call(
        &server,
        "POST",
        "/b/bucket/o/from/rewriteTo/b/bucket/o/near",
        r#"{"storageClass": "NEARLINE"}"#,
    )
    .await;
    assert_eq!(at_once.json()["resource"]["storageClass"], "NEARLINE");
    assert_eq!(
        at_once.json()["resource"].get("contentType"),
        None,
        "given metadata replaces all of it"
    );
    for bad in [
        "?maxBytesRewrittenPerCall=7",
        "?rewriteToken=x",
        "?sourceGeneration=x",
    ] {
        let target = format!("/b/bucket/o/from/rewriteTo/b/bucket/o/to{bad}");
        assert_eq!(call(&server, "POST", &target, "").await.status, 400, "{bad}");
    }
    upload(&server, "from", b"new").await;
    let stale = call(&server, "POST", &format!("{target}{token}"), "").await;
    assert_eq!(stale.status, 400, "a token of another generation");
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/none/rewriteTo/b/bucket/o/to", "")
            .await
            .status,
        404
    );
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/from/rewriteTo/b/nowhere/o/to", "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn copies_and_moves() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let copy = call(&server, "POST", "/b/bucket/o/a/copyTo/b/bucket/o/b", "")
        .await
        .json();
    assert_eq!(
        (text(&copy["name"]), text(&copy["contentType"])),
        ("b", "text/plain")
    );
    let moved = call(&server, "POST", "/b/bucket/o/b/moveTo/o/c%2Fd", "")
        .await
        .json();
    assert_eq!(moved["name"], "c/d");
    assert_eq!(names(&server, "").await.0, ["a", "c/d"]);
    assert_eq!(stored(&server, "c/d").await, b"x");
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/b/moveTo/o/c", "").await.status,
        404
    );
    assert_eq!(
        call(&server, "POST", "/b/bucket/o/a/moveTo/o/a", "").await.status,
        400
    );
    // The copy's bytes outlive the source.
    call(&server, "DELETE", "/b/bucket/o/a", "").await;
    assert_eq!(stored(&server, "c/d").await, b"x");
}

#[tokio::test]
async fn generations_are_kept_where_the_bucket_says_so() {
    let server = server().await;
    call(
        &server,
        "PATCH",
        "/b/bucket",
        r#"{"versioning": {"enabled": true}}"#,
    )
    .await;
    let first = text(&upload(&server, "a", b"1").await.json()["generation"]).to_owned();
    let second = text(&upload(&server, "a", b"2").await.json()["generation"]).to_owned();
    assert_eq!(
        call(&server, "GET", "/b/bucket/o/a?alt=media", "").await.body,
        b"2"
    );
    let old = format!("/b/bucket/o/a?generation={first}");
    assert_eq!(
        call(&server, "GET", &format!("{old}&alt=media"), "").await.body,
        b"1"
    );
    assert!(call(&server, "GET", &old, "").await.json()["timeDeleted"].is_string());
    assert_eq!(call(&server, "DELETE", "/b/bucket/o/a", "").await.status, 204);
    assert_eq!(call(&server, "GET", "/b/bucket/o/a", "").await.status, 404);
    assert_eq!(names(&server, "").await.0.len(), 0);
    assert_eq!(names(&server, "versions=true").await.0, ["a", "a"]);
    let page = call(&server, "GET", "/b/bucket/o?versions=true&maxResults=1", "")
        .await
        .json();
    assert_eq!(page["items"][0]["generation"], first.as_str());
    let token = text(&page["nextPageToken"]);
    let page = call(
        &server,
        "GET",
        &format!("/b/bucket/o?versions=true&pageToken={token}"),
        "",
    )
    .await
    .json();
    assert_eq!(page["items"][0]["generation"], second.as_str());
    // A noncurrent generation becomes live again as a copy.
    let restore = format!("/b/bucket/o/a/copyTo/b/bucket/o/a?sourceGeneration={first}&ifGenerationMatch=0");
    assert_eq!(call(&server, "POST", &restore, "").await.status, 200);
    assert_eq!(stored(&server, "a").await, b"1");
    assert_eq!(call(&server, "DELETE", &old, "").await.status, 204);
    assert_eq!(call(&server, "GET", &old, "").await.status, 404);
    let patched = format!("/b/bucket/o/a?generation={second}");
    assert_eq!(
        call(&server, "PATCH", &patched, r#"{"contentType": "a/b"}"#)
            .await
            .json()["metageneration"],
        "2"
    );
    assert_eq!(call(&server, "DELETE", "/b/bucket", "").await.status, 409);
}

#[tokio::test]
async fn calls_come_in_batches() {
    let server = server().await;
    for name in ["a", "b"] {
        upload(&server, name, b"x").await;
    }
    for end in ["\r\n", "\n"] {
        let calls = [
            "PATCH /storage/v1/b/bucket/o/a HTTP/1.1|Content-Type: application/json||{\"contentType\": \"a/b\"}",
            "GET /storage/v1/b/bucket/o/a?fields=contentType HTTP/1.1||",
            "DELETE /storage/v1/b/bucket/o/missing HTTP/1.1||",
            "POST /batch/storage/v1 HTTP/1.1||",
        ];
        let mut body = String::new();
        for (index, call) in calls.iter().enumerate() {
            let call = call.replace('|', end);
            body += &format!(
                "--bb{end}Content-Type: application/http{end}Content-ID: <x+{index}>{end}{end}{call}{end}"
            );
        }
        body += &format!("--bb--{end}");
        let headers = [("Content-Type", "multipart/mixed; boundary=\"bb\"")];
        let answer = request(
            server.address(),
            "POST",
            "/batch/storage/v1",
            &headers,
            body.as_bytes(),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let statuses: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("HTTP/1.1 "))
            .map(|line| &line[9..12])
            .collect();
        assert_eq!(statuses, ["200", "200", "404", "501"], "{text}");
        assert!(
            text.contains("Content-ID: <response-x+1>") && text.contains(r#"{"contentType":"a/b"}"#),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_bucket_can_be_made_by_the_first_upload() {
    let server = server_with(Server::builder().create_missing_buckets(true)).await;
    let target = "/upload/storage/v1/b/fresh/o?uploadType=media&name=a";
    assert_eq!(
        request(server.address(), "POST", target, &[], b"x").await.status,
        200
    );
    let target = "/upload/storage/v1/b/Bad/o?uploadType=resumable&name=a";
    assert_eq!(
        request(server.address(), "POST", target, &[], b"").await.status,
        400
    );
    assert_eq!(call(&server, "GET", "/b/unwritten", "").await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let server = server().await;
    for (method, target, status, reason_wanted) in [
        ("GET", "/storage/v1/b/bucket/o/a/b", 501, "notImplemented"),
        ("GET", "/storage/v1/b/bucket/acl/allUsers", 404, "notFound"),
        ("POST", "/storage/v1/b/bucket/o/a", 501, "notImplemented"),
        ("GET", "/storage/v1/b/bucket/o/%ff", 400, "invalid"),
        ("GET", "/storage/v1/b/bucket/o/missing", 404, "notFound"),
        ("GET", "/storage/v1/b/nowhere/o/missing", 404, "notFound"),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=odd&name=a",
            501,
            "notImplemented",
        ),
    ] {
        let answer = request(server.address(), method, target, &[], b"").await;
        assert_eq!(
            (answer.status, reason(&answer).as_str()),
            (status, reason_wanted),
            "{target}"
        );
        assert_eq!(answer.json()["error"]["code"], status);
        assert!(answer.header("x-guploader-uploadid").is_some());
    }
    let media = call(&server, "GET", "/b/bucket/o/missing?alt=media", "").await;
    assert_eq!(
        (media.status, media.text().as_str()),
        (404, "No such object: bucket/missing")
    );
    let long = format!("/storage/v1/b/bucket/o/{}", "x".repeat(80_000));
    assert_eq!(
        request(server.address(), "GET", &long, &[], b"").await.status / 100,
        4
    );
}
