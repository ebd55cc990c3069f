//! What devgcs does not know is refused, and never carried out as something else.

use devgcs::Server;

use crate::support::devgcs::{call, server, stored, upload};
use crate::support::http::request;

/// Everything that a test can see of the server's state.
async fn state(server: &Server) -> String {
    let buckets = call(server, "GET", "/b?projection=full", "").await.text();
    let objects = call(server, "GET", "/b/bucket/o?versions=true&projection=full", "")
        .await
        .text();
    buckets + &objects
}

/// Sends a request that must be refused with 501 and the name of what is missing, and change nothing.
async fn refused(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], name: &str) {
    let before = state(server).await;
    let answer = request(server.address(), method, target, headers, b"{}").await;
    let text = answer.text();
    assert_eq!(answer.status, 501, "{method} {target} {headers:?}: {text}");
    assert!(text.contains(name), "{method} {target} {headers:?}: {text}");
    let code = match target.starts_with("/bucket") || target.starts_with("/new") {
        true => "<Code>NotImplemented</Code>",
        false => "\"reason\":\"notImplemented\"",
    };
    assert!(text.contains(code), "{method} {target}: {text}");
    assert_eq!(state(server).await, before, "{method} {target} {headers:?}");
}

#[tokio::test]
async fn unknown_sub_resources_do_nothing_else() {
    let server = server().await;
    upload(&server, "object", b"kept").await;
    for name in [
        "tagging",
        "retention",
        "legal-hold",
        "encryption",
        "torrent",
        "attributes",
        "select",
        "restore",
        "anything",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            refused(&server, method, &format!("/bucket/object?{name}"), &[], name).await;
            refused(&server, method, &format!("/bucket/object?{name}=1"), &[], name).await;
        }
    }
    for name in [
        "logging",
        "website",
        "policy",
        "encryption",
        "notification",
        "object-lock",
        "anything",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            refused(&server, method, &format!("/bucket?{name}"), &[], name).await;
            refused(&server, method, &format!("/new-bucket?{name}"), &[], name).await;
        }
    }
    // What is known goes with nothing else.
    for (method, target, name) in [
        ("DELETE", "/bucket?cors&lifecycle", "cors"),
        ("PUT", "/bucket/object?acl&tagging", "tagging"),
        ("PUT", "/bucket/object?compose&acl", "compose"),
        ("DELETE", "/bucket/object?acl", "acl"),
        ("DELETE", "/bucket?acl", "acl"),
        ("DELETE", "/bucket?versioning", "versioning"),
        ("PUT", "/bucket/object?generation=1", "generation"),
        ("DELETE", "/bucket/object?versionId=1", "versionId"),
        ("GET", "/bucket/object?versionId=1", "versionId"),
        ("GET", "/bucket/object?partNumber=1", "partNumber"),
        ("POST", "/bucket/object", "POST"),
    ] {
        refused(&server, method, target, &[], name).await;
    }
    let form = [("Content-Type", "multipart/form-data; boundary=x")];
    refused(&server, "POST", "/bucket", &form, "forms").await;
    assert_eq!(stored(&server, "object").await, b"kept");
}

#[tokio::test]
async fn unknown_headers_of_the_xml_api_do_nothing_else() {
    let server = server().await;
    upload(&server, "object", b"kept").await;
    for header in [
        "x-amz-tagging",
        "x-amz-server-side-encryption",
        "x-amz-object-lock-mode",
        "x-amz-copy-source-range",
        "x-amz-expected-bucket-owner",
        "x-amz-grant-read",
        "x-amz-rename-source",
        "x-amz-anything",
        "x-goog-anything",
        "x-goog-if-generation-not-match",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
    ] {
        refused(&server, "PUT", "/bucket/object", &[(header, "x")], header).await;
        refused(&server, "DELETE", "/bucket/object", &[(header, "x")], header).await;
    }
}

#[tokio::test]
async fn headers_that_make_another_request_are_refused_where_that_is_not_known() {
    let server = server().await;
    upload(&server, "object", b"kept").await;
    let started = request(server.address(), "POST", "/bucket/parts?uploads", &[], b"").await;
    let text = started.text();
    let id = text
        .split("<UploadId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let part = format!("/bucket/parts?partNumber=1&uploadId={}", id.expect("an id"));
    for (method, target, header, value) in [
        ("PUT", part.as_str(), "x-amz-copy-source", "/bucket/object"),
        ("PUT", &part, "x-goog-if-generation-match", "0"),
        ("POST", "/bucket/parts?uploads", "x-goog-if-generation-match", "0"),
        ("PUT", "/bucket/object", "x-goog-resumable", "start"),
        (
            "PUT",
            "/bucket?versioning",
            "x-goog-copy-source",
            "/bucket/object",
        ),
    ] {
        let named = header.replace("x-amz-", "x-goog-");
        refused(&server, method, target, &[(header, value)], &named).await;
    }
    for (range, status) in [("0,1", 400), ("3,9", 400), ("2,2", 200), ("x", 400)] {
        let headers = [("x-goog-content-length-range", range)];
        let put = request(server.address(), "PUT", "/bucket/ranged", &headers, b"ab").await;
        assert_eq!(put.status, status, "{range}: {}", put.text());
    }
}

#[tokio::test]
async fn unknown_requests_of_the_json_api_do_nothing_else() {
    let server = server().await;
    upload(&server, "object", b"kept").await;
    for (method, target, name) in [
        (
            "PATCH",
            "/storage/v1/b/bucket/anything",
            "/storage/v1/b/bucket/anything",
        ),
        ("DELETE", "/storage/v1/b/bucket/o/", "DELETE"),
        ("DELETE", "/storage/v1/b/bucket/o/object/", "DELETE"),
        ("POST", "/storage/v1/b/bucket/o/watch", "watch"),
        ("POST", "/storage/v1/b/bucket/o/bulkRestore", "bulkRestore"),
        ("PUT", "/storage/v1/b", "PUT"),
        ("POST", "/storage/v1/b/bucket/o/object", "POST"),
        ("DELETE", "/storage/v1/b/bucket/o/object?anything=1", "anything"),
        (
            "DELETE",
            "/storage/v1/b/bucket/o/object?ifGenerationMatches=1",
            "ifGenerationMatches",
        ),
        (
            "DELETE",
            "/storage/v1/b/bucket/o/object?$httpMethod=GET",
            "$httpMethod",
        ),
        ("DELETE", "/storage/v1/b/bucket?force=true", "force"),
        ("PATCH", "/storage/v1/b/bucket?generation=1", "generation"),
        ("POST", "/storage/v1/b?anything", "anything"),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=odd&name=object",
            "uploadType=odd",
        ),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?name=object",
            "/upload/storage/v1",
        ),
        (
            "POST",
            "/upload/storage/v1/b/bucket/o?uploadType=media&name=object&upload_protocol=raw",
            "upload_protocol",
        ),
        (
            "POST",
            "/storage/v1/b/bucket/o/object/compose?alt=proto",
            "alt=proto",
        ),
        ("GET", "/storage/v1/b/bucket/o/object?alt=proto", "alt=proto"),
    ] {
        refused(&server, method, target, &[], name).await;
    }
    let start = "/upload/storage/v1/b/bucket/o?uploadType=media&name=object";
    let headers = [("X-Goog-Upload-Protocol", "resumable")];
    refused(&server, "POST", start, &headers, "x-goog-upload-protocol").await;
    for header in ["If-Match", "If-None-Match"] {
        let target = "/storage/v1/b/bucket/o/object";
        refused(
            &server,
            "DELETE",
            target,
            &[(header, "x")],
            &header.to_lowercase(),
        )
        .await;
    }
    assert_eq!(stored(&server, "object").await, b"kept");
}

#[tokio::test]
async fn what_changes_nothing_about_a_request_is_taken() {
    let server = server().await;
    let common = "alt=json&prettyPrint=false&quotaUser=q&key=k&userProject=p&fields=name&$.xgafv=1&trace=t";
    let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name=a&{common}");
    let made = request(server.address(), "POST", &target, &[], b"x").await;
    assert_eq!((made.status, made.text().as_str()), (200, r#"{"name":"a"}"#));
    // A POST can stand for another method.
    let headers = [("X-HTTP-Method-Override", "DELETE")];
    let target = "/storage/v1/b/bucket/o/a";
    let gone = request(server.address(), "POST", target, &headers, b"").await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert!(server.object("bucket", "a").is_none());
    let listed = request(server.address(), "GET", "/bucket?x-id=ListObjects", &[], b"").await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    // Google's Node client leaves /storage/v1 out where an environment variable names the server.
    for target in ["/b", "/b/bucket", "/b/bucket/o", "/projects/p/serviceAccount"] {
        let answer = request(server.address(), "GET", target, &[], b"").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert!(answer.json()["kind"].is_string(), "{target}");
    }
}
