//! How long things are kept: retention, soft delete, sessions and signed URLs, on a clock that the test moves.

use devgcs::Server;
use serde_json::json;

use crate::support::devgcs::{Q, Session, call, server, server_with, stored, upload};
use crate::support::http::request;

async fn advance(server: &Server, span: &str) {
    let body = json!({ "advance": span }).to_string();
    let answer = request(server.address(), "POST", "/devgcs/clock", &[], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn the_clock_moves_forward() {
    let server = server().await;
    let now = |text: &str| -> jiff::Timestamp { text.parse().expect("a time") };
    let read = request(server.address(), "GET", "/devgcs/clock", &[], b"")
        .await
        .json();
    let before = now(read["now"].as_str().expect("text"));
    advance(&server, "7d").await;
    advance(&server, "90s").await;
    let created = upload(&server, "a", b"x").await.json();
    let after = now(created["timeCreated"].as_str().expect("text"));
    assert!(after.duration_since(before).as_secs() >= 7 * 24 * 3600 + 90);
    for bad in ["", "-1d", "soon", "99999999999d"] {
        let body = json!({ "advance": bad }).to_string();
        let answer = request(server.address(), "POST", "/devgcs/clock", &[], body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    assert_eq!(
        request(server.address(), "GET", "/devgcs/health", &[], b"")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_retention_policy_keeps_objects_until_it_has_passed() {
    for lax in [false, true] {
        let server = server_with(Server::builder().like_testbench(lax)).await;
        let policy = r#"{"retentionPolicy": {"retentionPeriod": "3600"}}"#;
        let bucket = call(&server, "PATCH", "/b/bucket", policy).await.json();
        assert!(bucket["retentionPolicy"]["effectiveTime"].is_string());
        let object = upload(&server, "a", b"x").await.json();
        assert!(object["retentionExpirationTime"].is_string(), "{object}");
        if lax {
            assert_eq!(call(&server, "DELETE", "/b/bucket/o/a", "").await.status, 204);
            continue;
        }
        let refusal = call(&server, "DELETE", "/b/bucket/o/a", "").await;
        assert_eq!(refusal.status, 403);
        assert_eq!(
            refusal.json()["error"]["errors"][0]["reason"],
            "retentionPolicyNotMet"
        );
        let target = "/upload/storage/v1/b/bucket/o?uploadType=media&name=a";
        assert_eq!(
            request(server.address(), "POST", target, &[], b"y").await.status,
            403
        );
        assert_eq!(stored(&server, "a").await, b"x");
        let lock = "/b/bucket/lockRetentionPolicy";
        assert_eq!(
            call(&server, "POST", lock, "").await.status,
            400,
            "it takes a metageneration"
        );
        assert_eq!(
            call(&server, "POST", &format!("{lock}?ifMetagenerationMatch=9"), "")
                .await
                .status,
            412
        );
        let locked = call(&server, "POST", &format!("{lock}?ifMetagenerationMatch=2"), "")
            .await
            .json();
        assert_eq!(locked["retentionPolicy"]["isLocked"], true);
        for change in [
            r#"{"retentionPolicy": null}"#,
            r#"{"retentionPolicy": {"retentionPeriod": "3599"}}"#,
        ] {
            assert_eq!(
                call(&server, "PATCH", "/b/bucket", change).await.status,
                403,
                "{change}"
            );
        }
        assert_eq!(call(&server, "PUT", "/b/bucket", "{}").await.status, 403);
        advance(&server, "1h").await;
        assert_eq!(call(&server, "DELETE", "/b/bucket/o/a", "").await.status, 204);
    }
}

#[tokio::test]
async fn an_objects_own_retention_keeps_it() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let until =
        |text: &str| json!({ "retention": { "mode": "Unlocked", "retainUntilTime": text } }).to_string();
    let far = until("2100-01-01T00:00:00Z");
    assert_eq!(
        call(&server, "PATCH", "/b/bucket/o/a", &far).await.status,
        400,
        "the bucket has none"
    );
    let made = call(
        &server,
        "POST",
        "/b?enableObjectRetention=true",
        r#"{"name": "locked-bucket"}"#,
    )
    .await;
    assert_eq!(made.json()["objectRetention"]["mode"], "Enabled");
    let target = "/upload/storage/v1/b/locked-bucket/o?uploadType=media&name=a";
    request(server.address(), "POST", target, &[], b"x").await;
    let object = "/b/locked-bucket/o/a";
    let kept = call(&server, "PATCH", object, &far).await;
    assert_eq!(kept.json()["retention"]["mode"], "Unlocked", "{}", kept.text());
    assert_eq!(call(&server, "DELETE", object, "").await.status, 403);
    assert_eq!(
        call(&server, "PATCH", object, &until("2001-01-01T00:00:00Z"))
            .await
            .status,
        403
    );
    assert_eq!(
        call(&server, "PATCH", object, r#"{"retention": null}"#)
            .await
            .status,
        403
    );
    let target = format!("{object}?overrideUnlockedRetention=true");
    let freed = call(&server, "PATCH", &target, r#"{"retention": null}"#)
        .await
        .json();
    assert!(freed.get("retention").is_none());
    assert_eq!(call(&server, "DELETE", object, "").await.status, 204);
}

#[tokio::test]
async fn what_is_soft_deleted_comes_back() {
    let folder = tempfile::tempdir().expect("a directory");
    for storage in [
        devgcs::Storage::Memory,
        devgcs::Storage::Directory(folder.path().to_owned()),
    ] {
        let server = server_with(Server::builder().storage(storage)).await;
        let policy = r#"{"softDeletePolicy": {"retentionDurationSeconds": "604800"}}"#;
        let bucket = call(&server, "PATCH", "/b/bucket", policy).await.json();
        assert!(bucket["softDeletePolicy"]["effectiveTime"].is_string());
        let first = upload(&server, "a", b"first").await.json();
        upload(&server, "a", b"second").await;
        assert_eq!(call(&server, "DELETE", "/b/bucket/o/a", "").await.status, 204);
        assert_eq!(call(&server, "GET", "/b/bucket/o/a", "").await.status, 404);
        let listed = call(&server, "GET", "/b/bucket/o?softDeleted=true", "")
            .await
            .json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
        assert!(listed["items"][0]["hardDeleteTime"].is_string());
        let generation = first["generation"].as_str().expect("text");
        let target = format!("/b/bucket/o/a?generation={generation}");
        assert_eq!(call(&server, "GET", &target, "").await.status, 404);
        let shown = call(&server, "GET", &format!("{target}&softDeleted=true"), "")
            .await
            .json();
        assert!(shown["softDeleteTime"].is_string());
        let restore = format!("/b/bucket/o/a/restore?generation={generation}");
        let restored = call(&server, "POST", &restore, "").await.json();
        assert_ne!(restored["generation"], first["generation"]);
        assert_eq!(stored(&server, "a").await, b"first");
        assert_eq!(
            call(&server, "POST", "/b/bucket/o/a/restore", "").await.status,
            400
        );
        assert_eq!(
            call(&server, "POST", "/b/bucket/o/a/restore?generation=1", "")
                .await
                .status,
            404
        );
        advance(&server, "7d").await;
        assert_eq!(call(&server, "POST", &restore, "").await.status, 404);
        let listed = call(&server, "GET", "/b/bucket/o?softDeleted=true", "")
            .await
            .json();
        assert!(listed.get("items").is_none(), "{listed}");
        server.shutdown().await;
    }
}

#[tokio::test]
async fn sessions_and_signed_urls_expire() {
    let server = server().await;
    let session = Session::start(&server, "a").await;
    let part = vec![0; Q];
    assert_eq!(
        session.put(Some("bytes 0-262143/*"), &part).await.persisted(),
        Q as u64
    );
    upload(&server, "b", b"x").await;
    let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let signed =
        format!("/bucket/b?X-Goog-Algorithm=a&X-Goog-Date={date}&X-Goog-Expires=604800&X-Goog-Signature=s");
    let old = format!(
        "/bucket/b?Expires={}&Signature=s",
        jiff::Timestamp::now().as_second() + 604_800
    );
    for target in [&signed, &old] {
        assert_eq!(
            request(server.address(), "GET", target, &[], b"").await.status,
            200
        );
    }
    advance(&server, "8d").await;
    for target in [&signed, &old] {
        let answer = request(server.address(), "GET", target, &[], b"").await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.text().contains("<Code>ExpiredToken</Code>"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(session.query().await.status, 404);
}

#[tokio::test]
async fn settings_are_merged_by_a_patch_and_replaced_by_an_update() {
    let server = server().await;
    let settings = json!({
        "labels": { "a": "1" },
        "cors": [{ "origin": ["*"] }],
        "versioning": { "enabled": true },
        "rpo": "ASYNC_TURBO",
        "ipFilter": { "mode": "Disabled" },
        "autoclass": { "enabled": true },
        "defaultEventBasedHold": true,
    });
    let shown = call(&server, "PATCH", "/b/bucket", &settings.to_string())
        .await
        .json();
    for key in [
        "labels",
        "cors",
        "versioning",
        "rpo",
        "ipFilter",
        "defaultEventBasedHold",
    ] {
        assert_eq!(shown[key], settings[key], "{key}");
    }
    assert_eq!(shown["autoclass"]["terminalStorageClass"], "NEARLINE");
    assert!(shown["autoclass"]["toggleTime"].is_string());
    assert_eq!(upload(&server, "a", b"x").await.json()["eventBasedHold"], true);
    let shown = call(&server, "PATCH", "/b/bucket", r#"{"labels": {"b": "2"}}"#)
        .await
        .json();
    assert_eq!(shown["labels"], json!({ "a": "1", "b": "2" }));
    let shown = call(&server, "PUT", "/b/bucket", r#"{"labels": {"c": "3"}}"#)
        .await
        .json();
    assert_eq!(shown["labels"], json!({ "c": "3" }));
    for key in [
        "cors",
        "versioning",
        "ipFilter",
        "defaultEventBasedHold",
        "autoclass",
    ] {
        assert!(shown.get(key).is_none(), "{key} is gone: {shown}");
    }
    assert_eq!(
        (&shown["rpo"], &shown["locationType"]),
        (&json!("DEFAULT"), &json!("multi-region"))
    );
    for (location, kind) in [
        ("us-east1", "region"),
        ("nam4", "dual-region"),
        ("eu", "multi-region"),
    ] {
        let made = json!({ "name": format!("bucket-{location}"), "location": location }).to_string();
        assert_eq!(
            call(&server, "POST", "/b", &made).await.json()["locationType"],
            kind
        );
    }
}
