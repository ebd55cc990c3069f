//! Who may do what, and what belongs to a bucket beside its objects: kept, shown, and changed.

use serde_json::{Value, json};

use crate::support::devgcs::{call, server, upload};
use crate::support::http::request;

#[tokio::test]
async fn access_control_lists_are_kept() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    for (list, kind) in [
        ("/b/bucket/acl", "storage#bucketAccessControl"),
        ("/b/bucket/defaultObjectAcl", "storage#objectAccessControl"),
        ("/b/bucket/o/a/acl", "storage#objectAccessControl"),
    ] {
        let all = call(&server, "GET", list, "").await.json();
        assert_eq!(all["kind"], format!("{kind}s"), "{list}");
        assert_eq!(all["items"][0]["entity"], "project-owners-0");
        assert_eq!(all["items"][0]["projectTeam"]["team"], "owners");
        let entry = r#"{"entity": "user-a@b.c", "role": "OWNER"}"#;
        let made = call(&server, "POST", list, entry).await.json();
        assert_eq!(
            (&made["role"], &made["email"]),
            (&json!("OWNER"), &json!("a@b.c")),
            "{list}"
        );
        let one = format!("{list}/user-a%40b.c");
        assert_eq!(call(&server, "GET", &one, "").await.json()["kind"], kind);
        for method in ["PATCH", "PUT"] {
            let changed = call(&server, method, &one, r#"{"role": "READER"}"#).await;
            assert_eq!(changed.json()["role"], "READER", "{method} {list}");
        }
        assert_eq!(
            call(&server, "POST", list, r#"{"entity": "x", "role": "READER"}"#)
                .await
                .status,
            400
        );
        assert_eq!(call(&server, "DELETE", &one, "").await.status, 204);
        for method in ["GET", "DELETE"] {
            assert_eq!(
                call(&server, method, &one, "").await.status,
                404,
                "{method} {list}"
            );
        }
    }
    // The default is that of new objects; a predefined list is what the request says.
    let entry = r#"{"entity": "allUsers", "role": "READER"}"#;
    call(&server, "POST", "/b/bucket/defaultObjectAcl", entry).await;
    upload(&server, "b", b"x").await;
    let entities = |shown: &Value| -> Vec<String> {
        let list = shown["acl"].as_array().expect("a list").iter();
        list.map(|entry| entry["entity"].as_str().expect("text").to_owned())
            .collect()
    };
    let shown = call(&server, "GET", "/b/bucket/o/b?projection=full", "")
        .await
        .json();
    assert!(entities(&shown).contains(&"allUsers".to_owned()), "{shown}");
    assert!(shown["owner"].is_object());
    let shown = call(&server, "GET", "/b/bucket/o/b", "").await.json();
    assert!(shown.get("acl").is_none());
    let target = "/b/bucket/o/b?projection=full&predefinedAcl=private";
    let shown = call(&server, "PATCH", target, "{}").await.json();
    assert_eq!(entities(&shown), ["project-owners-0"]);
    assert_eq!(shown["metageneration"], "2");
}

#[tokio::test]
async fn lists_count_for_nothing_under_uniform_access() {
    let server = server().await;
    upload(&server, "a", b"x").await;
    let uniform = r#"{"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}}}"#;
    let shown = call(&server, "PATCH", "/b/bucket", uniform).await.json();
    for name in ["uniformBucketLevelAccess", "bucketPolicyOnly"] {
        assert_eq!(shown["iamConfiguration"][name]["enabled"], true);
        assert!(shown["iamConfiguration"][name]["lockedTime"].is_string());
    }
    for target in ["/b/bucket/acl", "/b/bucket/defaultObjectAcl", "/b/bucket/o/a/acl"] {
        assert_eq!(call(&server, "GET", target, "").await.status, 400, "{target}");
    }
    let target = "/upload/storage/v1/b/bucket/o?uploadType=media&name=b&predefinedAcl=publicRead";
    assert_eq!(
        request(server.address(), "POST", target, &[], b"x").await.status,
        400
    );
    assert!(server.object("bucket", "b").is_none());
    let acl = r#"{"acl": [{"entity": "allUsers", "role": "READER"}]}"#;
    assert_eq!(call(&server, "PATCH", "/b/bucket", acl).await.status, 400);
    // The other half of the setting stays as it is.
    let prevented = r#"{"iamConfiguration": {"publicAccessPrevention": "enforced",
        "uniformBucketLevelAccess": {"enabled": false}}}"#;
    let shown = call(&server, "PATCH", "/b/bucket", prevented).await.json();
    assert_eq!(
        shown["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"],
        false
    );
    assert_eq!(shown["iamConfiguration"]["bucketPolicyOnly"]["enabled"], false);
    let entry = r#"{"entity": "allUsers", "role": "READER"}"#;
    for target in ["/b/bucket/acl", "/b/bucket/defaultObjectAcl", "/b/bucket/o/a/acl"] {
        assert_eq!(call(&server, "POST", target, entry).await.status, 412, "{target}");
    }
    let policy = r#"{"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}"#;
    assert_eq!(call(&server, "PUT", "/b/bucket/iam", policy).await.status, 412);
}

#[tokio::test]
async fn policies_are_replaced_by_who_has_seen_them() {
    let server = server().await;
    let first = call(&server, "GET", "/b/bucket/iam", "").await.json();
    assert_eq!(
        (&first["kind"], &first["version"]),
        (&json!("storage#policy"), &json!(1))
    );
    let new =
        json!({ "etag": first["etag"], "bindings": [{ "role": "roles/x", "members": ["user:a@b.c"] }] });
    let set = call(&server, "PUT", "/b/bucket/iam", &new.to_string()).await;
    assert_eq!((set.status, &set.json()["bindings"]), (200, &new["bindings"]));
    let again = call(&server, "PUT", "/b/bucket/iam", &new.to_string()).await;
    assert_eq!(again.status, 412, "it has an older etag");
    let read = call(&server, "GET", "/b/bucket/iam", "").await.json();
    assert_eq!(read, set.json());
    let target = "/b/bucket/iam/testPermissions?permissions=a&permissions=b";
    let tested = call(&server, "GET", target, "").await.json();
    assert_eq!(tested["permissions"], json!(["a", "b"]));
    assert_eq!(
        call(&server, "PUT", "/b/bucket/iam", r#"{"bindings": [1]}"#)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn notifications_keys_and_folders_come_and_go() {
    let server = server().await;
    let list = "/b/bucket/notificationConfigs";
    let made = call(
        &server,
        "POST",
        list,
        r#"{"topic": "t", "payload_format": "NONE"}"#,
    )
    .await
    .json();
    assert_eq!(
        (&made["id"], &made["kind"]),
        (&json!("1"), &json!("storage#notification"))
    );
    assert_eq!(call(&server, "POST", list, "{}").await.status, 400);
    assert_eq!(
        call(&server, "GET", list, "").await.json()["items"],
        json!([made])
    );
    let bucket = call(&server, "GET", "/b/bucket", "").await.json();
    assert_eq!(bucket["metageneration"], "1", "it is not a setting of the bucket");
    let one = format!("{list}/1");
    assert_eq!(call(&server, "GET", &one, "").await.json(), made);
    assert_eq!(call(&server, "DELETE", &one, "").await.status, 204);
    assert_eq!(call(&server, "GET", &one, "").await.status, 404);

    let keys = "/projects/p/hmacKeys";
    let made = call(&server, "POST", &format!("{keys}?serviceAccountEmail=a@b.c"), "")
        .await
        .json();
    let access = made["metadata"]["accessId"].as_str().expect("an id").to_owned();
    assert_eq!(
        (access.len(), made["secret"].as_str().expect("text").len()),
        (61, 40)
    );
    let one = format!("{keys}/{access}");
    assert_eq!(
        call(&server, "DELETE", &one, "").await.status,
        400,
        "it is active"
    );
    let state = r#"{"state": "INACTIVE"}"#;
    assert_eq!(
        call(&server, "PUT", &one, state).await.json()["state"],
        "INACTIVE"
    );
    let old = json!({ "state": "ACTIVE", "etag": made["metadata"]["etag"] });
    assert_eq!(call(&server, "PUT", &one, &old.to_string()).await.status, 412);
    assert_eq!(call(&server, "DELETE", &one, "").await.status, 204);
    assert_eq!(call(&server, "GET", &one, "").await.json()["state"], "DELETED");
    assert!(call(&server, "GET", keys, "").await.json().get("items").is_none());
    let deleted = call(&server, "GET", &format!("{keys}?showDeletedKeys=true"), "")
        .await
        .json();
    assert_eq!(deleted["items"][0]["accessId"], access);

    assert_eq!(
        call(&server, "POST", "/b/bucket/folders", r#"{"name": "f"}"#)
            .await
            .status,
        409
    );
    let flat = call(&server, "POST", "/b/bucket/managedFolders", r#"{"name": "m"}"#)
        .await
        .json();
    assert_eq!(flat["name"], "m/");
    let tree = r#"{"name": "tree-bucket", "hierarchicalNamespace": {"enabled": true}}"#;
    call(&server, "POST", "/b", tree).await;
    let layout = call(&server, "GET", "/b/tree-bucket/storageLayout", "")
        .await
        .json();
    assert_eq!(layout["hierarchicalNamespace"]["enabled"], true);
    let folders = "/b/tree-bucket/folders";
    assert_eq!(
        call(&server, "POST", folders, r#"{"name": "a/b/"}"#).await.status,
        404
    );
    let made = call(
        &server,
        "POST",
        &format!("{folders}?recursive=true"),
        r#"{"name": "a/b/"}"#,
    )
    .await;
    assert_eq!(made.json()["name"], "a/b/");
    assert_eq!(
        call(&server, "DELETE", &format!("{folders}/a%2F"), "")
            .await
            .status,
        409
    );
    let renamed = call(
        &server,
        "POST",
        &format!("{folders}/a%2F/renameTo/folders/z%2F"),
        "",
    )
    .await
    .json();
    assert_eq!(
        (&renamed["done"], &renamed["response"]["name"]),
        (&json!(true), &json!("z/"))
    );
    let names = call(&server, "GET", folders, "").await.json();
    assert_eq!(
        (&names["items"][0]["name"], &names["items"][1]["name"]),
        (&json!("z/"), &json!("z/b/"))
    );
    let target = "/b/bucket/o?delimiter=/&includeFoldersAsPrefixes=true";
    assert_eq!(
        call(&server, "GET", target, "").await.json()["prefixes"],
        json!(["m/"])
    );
    assert!(
        call(&server, "GET", "/b/bucket/o?delimiter=/", "")
            .await
            .json()
            .get("prefixes")
            .is_none()
    );
}
