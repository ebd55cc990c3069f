//! The XML API as programs written for Amazon's use it, and the parts of a bucket's configuration.

use devgcs::Server;

use crate::support::devgcs::{bytes, call, server, stored, upload};
use crate::support::http::{Answer, PATIENCE, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SIGNED: (&str, &str) = (
    "Authorization",
    "AWS4-HMAC-SHA256 Credential=GOOG1/x, Signature=y",
);

async fn send(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    request(server.address(), method, target, headers, body).await
}

#[tokio::test]
async fn amazons_headers_have_equivalents() {
    let server = server().await;
    for signed in [true, false] {
        let mut headers = vec![
            ("x-amz-meta-color", "blue"),
            ("x-amz-acl", "public-read"),
            ("x-amz-storage-class", "NEARLINE"),
            ("x-amz-checksum-crc32c", "yZRlqg=="),
            ("x-amz-date", "20260101T000000Z"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ];
        headers.extend(signed.then_some(SIGNED));
        let put = send(&server, "PUT", "/bucket/a", &headers, b"hello world").await;
        assert_eq!(put.status, 200, "{}", put.text());
        let target = "/b/bucket/o/a?projection=full";
        let shown = call(&server, "GET", target, "").await.json();
        assert_eq!(
            (&shown["metadata"]["color"], &shown["storageClass"]),
            (&"blue".into(), &"NEARLINE".into())
        );
        assert!(shown["acl"].to_string().contains("allUsers"), "{shown}");
        headers[3].1 = "AAAAAA==";
        assert_eq!(
            send(&server, "PUT", "/bucket/b", &headers, b"hello world")
                .await
                .status,
            400
        );
        let mut headers = vec![
            ("x-amz-copy-source", "/bucket/a"),
            ("x-amz-metadata-directive", "COPY"),
        ];
        headers.extend(signed.then_some(SIGNED));
        let copy = send(&server, "PUT", "/bucket/copy", &headers, b"").await;
        assert_eq!(copy.status, 200, "{}", copy.text());
        assert_eq!(stored(&server, "copy").await, b"hello world");
        headers.push(("x-amz-copy-source-if-match", "\"other\""));
        assert_eq!(
            send(&server, "PUT", "/bucket/copy", &headers, b"").await.status,
            412
        );
    }
    let head = send(&server, "HEAD", "/bucket/a", &[SIGNED], b"").await;
    assert_eq!(head.header("x-amz-meta-color"), Some("blue"));
    let target = "/bucket/a?response-content-type=a%2Fb&response-content-disposition=inline";
    let get = send(&server, "GET", target, &[], b"").await;
    assert_eq!(get.header("content-type"), Some("a/b"));
    assert_eq!(get.header("content-disposition"), Some("inline"));
}

#[tokio::test]
async fn amazons_framing_of_a_body_is_taken_off() {
    let server = server().await;
    let all = bytes(150_000);
    let mut body = Vec::new();
    for piece in all.chunks(65_536) {
        body.extend_from_slice(format!("{:x};chunk-signature=00\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0;chunk-signature=00\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    let mut headers = [
        SIGNED,
        ("Content-Encoding", "aws-chunked,gzip"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-decoded-content-length", "150000"),
    ];
    let put = send(&server, "PUT", "/bucket/a", &headers, &body).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(stored(&server, "a").await, all);
    let shown = server.object("bucket", "a").expect("there").resource;
    assert_eq!(shown["contentEncoding"], "gzip");
    headers[3].1 = "150001";
    assert_eq!(
        send(&server, "PUT", "/bucket/b", &headers, &body).await.status,
        400
    );
    headers[3].1 = "150000";
    let malformed = [b"zz\r\n", &body[..]].concat();
    assert_eq!(
        send(&server, "PUT", "/bucket/b", &headers, &malformed)
            .await
            .status,
        400
    );
    assert!(server.object("bucket", "b").is_none());
}

#[tokio::test]
async fn access_control_lists_have_both_forms() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    for target in ["/bucket?acl", "/bucket/a?acl"] {
        let google = "<AccessControlList><Entries><Entry><Permission>READ</Permission>\
            <Scope type=\"UserByEmail\"><EmailAddress>a@b.c</EmailAddress></Scope></Entry></Entries></AccessControlList>";
        let set = send(&server, "PUT", target, &[], google.as_bytes()).await;
        assert_eq!(set.status, 200, "{}", set.text());
        let shown = send(&server, "GET", target, &[], b"").await.text();
        assert!(
            shown.contains("<Scope type=\"UserByEmail\"><EmailAddress>a@b.c<"),
            "{shown}"
        );
        let amazon = "<AccessControlPolicy><AccessControlList><Grant><Grantee xsi:type=\"Group\">\
            <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission>\
            </Grant></AccessControlList></AccessControlPolicy>";
        let set = send(&server, "PUT", target, &[SIGNED], amazon.as_bytes()).await;
        assert_eq!(set.status, 200, "{}", set.text());
        let shown = send(&server, "GET", target, &[SIGNED], b"").await.text();
        assert!(
            shown.contains("AccessControlPolicy") && shown.contains("global/AllUsers"),
            "{shown}"
        );
        let shown = send(&server, "GET", target, &[], b"").await.text();
        assert!(shown.contains("<Scope type=\"AllUsers\">"), "{shown}");
        let named = [("x-goog-acl", "project-private")];
        assert_eq!(send(&server, "PUT", target, &named, b"").await.status, 200);
        for bad in ["", "<AccessControlList/>", "<Other/>"] {
            assert_eq!(
                send(&server, "PUT", target, &[], bad.as_bytes()).await.status,
                400,
                "{bad}"
            );
        }
    }
    assert_eq!(stored(&server, "a").await, b"x", "the object is what it was");
}

#[tokio::test]
async fn parts_of_a_configuration_are_set_shown_and_removed() {
    let server = server().await;
    for (part, document, in_json) in [
        (
            "cors",
            "<CorsConfig><Cors><Origins><Origin>*</Origin></Origins><Methods><Method>GET</Method></Methods>\
             <ResponseHeaders><ResponseHeader>x-y</ResponseHeader></ResponseHeaders><MaxAgeSec>60</MaxAgeSec></Cors></CorsConfig>",
            r#"[{"maxAgeSeconds":60,"method":["GET"],"origin":["*"],"responseHeader":["x-y"]}]"#,
        ),
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><Action><Delete></Delete></Action><Condition><Age>30</Age>\
             <IsLive>false</IsLive><MatchesPrefix>a/</MatchesPrefix><MatchesPrefix>b/</MatchesPrefix></Condition></Rule></LifecycleConfiguration>",
            r#"{"rule":[{"action":{"type":"Delete"},"condition":{"age":30,"isLive":false,"matchesPrefix":["a/","b/"]}}]}"#,
        ),
    ] {
        let target = format!("/bucket?{part}");
        let set = send(&server, "PUT", &target, &[], document.as_bytes()).await;
        assert_eq!(set.status, 200, "{}", set.text());
        let shown = call(&server, "GET", "/b/bucket", "").await.json();
        assert_eq!(shown[part].to_string(), in_json);
        let shown = send(&server, "GET", &target, &[], b"").await.text();
        assert!(shown.ends_with(document), "{shown}");
        assert_eq!(send(&server, "PUT", &target, &[], b"<Wrong/>").await.status, 400);
        assert_eq!(send(&server, "DELETE", &target, &[], b"").await.status, 204);
        assert!(
            call(&server, "GET", "/b/bucket", "")
                .await
                .json()
                .get(part)
                .is_none()
        );
    }
    let amazon = "<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>";
    let refused = send(&server, "PUT", "/bucket?lifecycle", &[], amazon.as_bytes()).await;
    assert_eq!(refused.status, 400);
    for (status, enabled) in [("Enabled", true), ("Suspended", false)] {
        let document =
            format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        assert_eq!(
            send(&server, "PUT", "/bucket?versioning", &[], document.as_bytes())
                .await
                .status,
            200
        );
        let shown = call(&server, "GET", "/b/bucket", "").await.json();
        assert_eq!(shown["versioning"]["enabled"].as_bool().unwrap_or(false), enabled);
        assert!(
            send(&server, "GET", "/bucket?versioning", &[], b"")
                .await
                .text()
                .contains(status)
        );
    }
    assert_eq!(
        send(&server, "GET", "/bucket?tagging", &[], b"").await.status,
        404
    );
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    assert_eq!(
        send(&server, "PUT", "/bucket?tagging", &[], tags.as_bytes())
            .await
            .status,
        200
    );
    assert_eq!(
        call(&server, "GET", "/b/bucket", "").await.json()["labels"]["a"],
        "b"
    );
    let shown = send(&server, "GET", "/bucket?tagging", &[], b"").await.text();
    assert!(
        shown.contains("<Tag><Key>a</Key><Value>b</Value></Tag>"),
        "{shown}"
    );
    assert_eq!(
        send(&server, "DELETE", "/bucket?tagging", &[], b"").await.status,
        204
    );
    assert!(
        call(&server, "GET", "/b/bucket", "")
            .await
            .json()
            .get("labels")
            .is_none()
    );
}

#[tokio::test]
async fn several_objects_are_deleted_or_composed_at_once() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        upload(&server, name, name.as_bytes()).await;
    }
    call(&server, "PATCH", "/b/bucket/o/c", r#"{"temporaryHold": true}"#).await;
    let parts = "<ComposeRequest><Component><Name>a</Name></Component><Component><Name>b</Name></Component></ComposeRequest>";
    let composed = send(
        &server,
        "PUT",
        "/bucket/ab?compose",
        &[("Content-Type", "a/b")],
        parts.as_bytes(),
    )
    .await;
    assert_eq!(composed.status, 200, "{}", composed.text());
    assert_eq!(stored(&server, "ab").await, b"ab");
    let missing = "<ComposeRequest><Component><Name>none</Name></Component></ComposeRequest>";
    assert_eq!(
        send(&server, "PUT", "/bucket/ab?compose", &[], missing.as_bytes())
            .await
            .status,
        404
    );
    assert_eq!(
        send(&server, "PUT", "/bucket/ab?compose", &[], b"<ComposeRequest/>")
            .await
            .status,
        400
    );
    let wrong = [("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let list = "<Delete><Object><Key>a</Key></Object><Object><Key>c</Key></Object><Object><Key>none</Key></Object></Delete>";
    assert_eq!(
        send(&server, "POST", "/bucket?delete", &wrong, list.as_bytes())
            .await
            .status,
        400
    );
    let answer = send(&server, "POST", "/bucket?delete", &[], list.as_bytes())
        .await
        .text();
    for part in [
        "<Deleted><Key>a</Key></Deleted>",
        "<Deleted><Key>none</Key></Deleted>",
        "<Error><Key>c</Key><Code>AccessDenied</Code>",
    ] {
        assert!(answer.contains(part), "{answer}");
    }
    assert_eq!(server.object_names("bucket"), ["ab", "b", "c"]);
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>";
    let answer = send(&server, "POST", "/bucket?delete", &[], quiet.as_bytes())
        .await
        .text();
    assert!(!answer.contains("Deleted"), "{answer}");
    assert_eq!(server.object_names("bucket"), ["ab", "c"]);
    for bad in ["<Delete/>", "<Delete><Object/></Delete>", "x"] {
        assert_eq!(
            send(&server, "POST", "/bucket?delete", &[], bad.as_bytes())
                .await
                .status,
            400,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn googles_own_names_can_lead_here() {
    let server = server().await;
    for (host, target) in [
        ("bucket.storage.googleapis.com", "/a"),
        ("storage.googleapis.com", "/bucket/a"),
    ] {
        let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
        let put = format!(
            "PUT {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{host}",
            host.len()
        );
        stream.write_all(put.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        ended.expect("in time").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(stored(&server, "a").await, host.as_bytes());
    }
}
