//! devgcs in a directory: what outlives the process.

use gcsd::devgcs::{Config, Storage};

use crate::support::devgcs::{Q, Session, bytes, server_with, stored};
use crate::support::http::{Client, PATIENCE};

#[tokio::test]
async fn a_directory_brings_sessions_and_objects_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = || Config {
        storage: Storage::Directory(folder.path().to_owned()),
        ..Config::default()
    };
    let all = bytes(3 * Q + 7);
    let server = server_with(config()).await;
    let done = Session::start(&server, "done").await;
    let resource = done.put(None, &all).await.json();
    let open = Session::start(&server, "open").await;
    let mut client = Client::connect(server.address()).await;
    let headers = [
        ("Content-Length", "786439"),
        ("Content-Range", "bytes 0-786438/786439"),
    ];
    client.head("PUT", &open.target, &headers).await;
    client.send(&all[..Q + 100]).await;
    let persisted =
        |now: &gcsd::devgcs::Inspect| now.session("open").is_some_and(|s| s.persisted == Q as u64);
    assert!(server.wait_for(PATIENCE, persisted).await);
    server.shutdown().await;

    let server = server_with(config()).await;
    assert_eq!(stored(&server, "done").await, all);
    let again = |session: &Session| Session {
        address: server.address(),
        target: session.target.clone(),
    };
    let (done, open) = (again(&done), again(&open));
    assert_eq!(done.query().await.json()["generation"], resource["generation"]);
    assert_eq!(open.query().await.persisted(), Q as u64);
    let rest = open.put(Some("bytes 262144-786438/786439"), &all[Q..]).await;
    assert_eq!(rest.status, 200, "{}", rest.text());
    assert_eq!(rest.json()["md5Hash"], resource["md5Hash"]);
    assert_eq!(stored(&server, "open").await, all);
    server.shutdown().await;
}
