//! `gcsd serve` behind a proxy: Cloud Storage and access tokens go through it, this machine and the metadata server do not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::authority::Authority;
use crate::support::command;
use crate::support::http::PATIENCE;
use crate::support::peer::{Conversation, Peer, finished, patiently, response};
use crate::support::process::Process;
use crate::support::secret::write_secret;

const TOKEN: &str = r#"{"access_token":"t0ken","expires_in":3600,"token_type":"Bearer"}"#;

/// A proxy that plays the token server and Cloud Storage, too: the requests that it was sent, and those inside its tunnels.
#[derive(Clone, Default)]
struct Heads(Arc<Mutex<Vec<String>>>);

impl Heads {
    fn push(&self, head: String) {
        self.0.lock().expect("no panic under the lock").push(head);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic under the lock"))
    }
}

async fn play(mut server: Conversation<TcpStream>, gcs: TlsAcceptor, heads: Heads) {
    let head = server.head().await;
    let tunnel = head.starts_with("CONNECT ");
    heads.push(head);
    if tunnel {
        server.send("HTTP/1.1 200 OK\r\n\r\n").await;
        let stream = gcs.accept(server.into_stream()).await.expect("a handshake");
        let mut server = Conversation::new(stream);
        heads.push(server.head().await);
        server.send(finished()).await;
        server.count_to_end().await;
    } else {
        server
            .send(response("200 OK", "Content-Type: application/json\r\n", TOKEN))
            .await;
        server.count_to_end().await;
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    write_secret(&path, text);
    path
}

/// Starts a daemon, which blocks until it listens.
async fn serve(arguments: Vec<String>, variables: Vec<(&'static str, String)>) -> Process {
    let starting = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Process::serve_in("127.0.0.1:0", &arguments, &variables)
    });
    starting.await.expect("it listens")
}

/// Waits until the daemon has logged this.
async fn logged(daemon: &Process, what: &str) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !daemon.log().contains(what) {
        assert!(
            tokio::time::Instant::now() < end,
            "{what} is not in:\n{}",
            daemon.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn storage_and_tokens_go_through_one_proxy_however_it_is_named() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let key = write(folder.path(), "key", &"ab".repeat(32));
    let user = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r",
                   "token_uri":"http://tokens.example/token"}"#;
    let user = write(folder.path(), "user.json", user);
    let peer = Peer::listen().await;
    let url = format!("http://us%40er:s3cret@{}", peer.address());
    let heads = Heads::default();
    let (heard, gcs) = (heads.clone(), authority.acceptor("gcs.example"));
    let playing = tokio::spawn(async move {
        loop {
            let server = peer.accept().await;
            tokio::spawn(play(server, gcs.clone(), heard.clone()));
        }
    });
    let common = [
        "--token-key",
        key.to_str().expect("UTF-8"),
        "--credentials",
        user.to_str().expect("UTF-8"),
        "--endpoint",
        "https://gcs.example",
        "--ca-file",
        authority.file().to_str().expect("UTF-8"),
    ]
    .map(str::to_owned);
    let nowhere = || "http://127.0.0.1:1".to_owned();
    for (flags, variables) in [
        (vec!["--proxy".to_owned(), url.clone()], vec![]),
        // A flag wins over the variables, also for tokens.
        (
            vec!["--proxy".to_owned(), url.clone()],
            vec![
                ("HTTPS_PROXY", nowhere()),
                ("http_proxy", nowhere()),
                ("ALL_PROXY", nowhere()),
            ],
        ),
        (vec![], vec![("GCSD_PROXY", url.clone())]),
        (
            vec![],
            vec![("HTTPS_PROXY", url.clone()), ("HTTP_PROXY", url.clone())],
        ),
        (
            vec![],
            vec![
                ("all_proxy", url.clone()),
                ("NO_PROXY", "other.example".to_owned()),
            ],
        ),
        // A list of exceptions on the command line wins over the variable.
        (
            vec!["--no-proxy".to_owned(), "other.example".to_owned()],
            vec![("ALL_PROXY", url.clone()), ("NO_PROXY", "*".to_owned())],
        ),
    ] {
        let case = format!("{flags:?} {variables:?}");
        let daemon = serve([&common[..], &flags].concat(), variables).await;
        let stated = command::run(Some(daemon.address()), &["stat", "gs://bucket/o", "--json"], b"").await;
        assert_eq!(stated.code, Some(0), "{case}: {}\n{}", stated.err, daemon.log());
        let heard = heads.take();
        let find = |front: &str| {
            let found = heard.iter().find(|head| head.starts_with(front));
            found.unwrap_or_else(|| panic!("{case}: no {front} in {heard:#?}"))
        };
        let authorization = "Basic dXNAZXI6czNjcmV0";
        assert!(
            find("POST http://tokens.example/token HTTP/1.1\r\n").contains(authorization),
            "{case}"
        );
        assert!(
            find("CONNECT gcs.example:443 HTTP/1.1\r\n").contains(authorization),
            "{case}"
        );
        let inside = find("GET /storage/v1/b/bucket/o/o HTTP/1.1\r\n");
        assert!(inside.contains("authorization: Bearer t0ken"), "{inside}");
        assert!(!inside.contains("Basic"), "{inside}");
        logged(&daemon, "Cloud Storage is reached through a proxy").await;
        assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
    }
    playing.abort();
}

#[tokio::test]
async fn the_metadata_server_is_asked_past_the_proxy_and_its_universe_is_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = write(folder.path(), "key", &"ab".repeat(32));
    let (proxy, metadata) = (Peer::listen().await, Peer::listen().await);
    let (host, url) = (
        metadata.address().to_string(),
        format!("http://{}", proxy.address()),
    );
    let heads = Heads::default();
    let heard = heads.clone();
    let answering = tokio::spawn(async move {
        loop {
            let mut server = metadata.accept().await;
            let heard = heard.clone();
            tokio::spawn(async move {
                let head = server.head().await;
                let answer = match head.contains("/universe") {
                    true => response("200 OK", "", "tpc.example"),
                    false => response("200 OK", "Content-Type: application/json\r\n", TOKEN),
                };
                heard.push(head);
                server.send(answer).await;
                server.count_to_end().await;
            });
        }
    });
    let arguments = ["--token-key", key.to_str().expect("UTF-8")]
        .map(str::to_owned)
        .into();
    let home = folder.path().to_str().expect("UTF-8").to_owned();
    let variables = vec![
        ("HTTP_PROXY", url.clone()),
        ("HTTPS_PROXY", url),
        ("GCE_METADATA_HOST", host),
        ("HOME", home),
    ];
    let daemon = serve(arguments, variables).await;
    logged(&daemon, "use the endpoint https://storage.tpc.example").await;
    let heads = heads.take();
    assert!(
        heads
            .iter()
            .any(|head| head.starts_with("GET /computeMetadata/v1/")),
        "{heads:#?}"
    );
    assert!(
        heads
            .iter()
            .all(|head| head.starts_with("GET /computeMetadata/v1/")),
        "{heads:#?}"
    );
    let asked = tokio::time::timeout(Duration::ZERO, proxy.accept()).await;
    assert!(asked.is_err(), "the proxy was asked");
    answering.abort();
}

#[tokio::test]
async fn the_credentials_file_decides_the_endpoint() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, json: &str| {
        write(folder.path(), name, json)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    let key = file("key", &"ab".repeat(32));
    let external = file(
        "external.json",
        r#"{"type":"external_account","audience":"a","subject_token_type":"urn:ietf:params:oauth:token-type:jwt",
            "token_url":"http://tokens.example/token","credential_source":{"file":"/nowhere"},"universe_domain":"tpc.example"}"#,
    );
    let peer = Peer::listen().await;
    let url = format!("http://{}", peer.address());
    let ca = authority.file().to_str().expect("UTF-8").to_owned();
    let common = [
        "--token-key",
        &key,
        "--credentials",
        &external,
        "--ca-file",
        &ca,
        "--proxy",
        &url,
    ]
    .map(str::to_owned);
    let daemon = serve(common.to_vec(), vec![]).await;
    logged(&daemon, "no access token can be had").await;
    assert!(
        daemon.log().contains("endpoint=https://storage.tpc.example"),
        "{}",
        daemon.log()
    );

    let mismatch = [
        &common[..],
        &[
            "--endpoint",
            "https://storage.googleapis.com",
            "--max-connections",
            "10",
        ]
        .map(str::to_owned),
    ]
    .concat();
    let arguments: Vec<&str> = ["serve"]
        .into_iter()
        .chain(mismatch.iter().map(String::as_str))
        .collect();
    let refused = patiently(command::run(None, &arguments, b"")).await;
    refused.failed(1, "failed: credentials: they belong to the universe tpc.example");
    assert!(
        refused
            .err
            .contains("use the endpoint https://storage.tpc.example"),
        "{}",
        refused.err
    );
}
