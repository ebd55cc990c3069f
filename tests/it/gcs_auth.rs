//! Credentials: where they are sent, where never, and what is said when they fail.

use std::path::PathBuf;
use std::time::Duration;

use gcsd_gcs::{Config, ConfigError, CredentialsSource, Endpoint, Error, ErrorKind, Gcs, Recovery};

use crate::support::daemon::PATIENCE;
use crate::support::peer::{Peer, active, client, finished, object, patiently, response};

/// A user's credentials, whose tokens come from `tokens`.
fn user_file(folder: &tempfile::TempDir, tokens: &Peer) -> PathBuf {
    let path = folder.path().join("user.json");
    let json = format!(
        r#"{{"type":"authorized_user","client_id":"id","client_secret":"s3cret","refresh_token":"r3fresh",
            "token_uri":"http://{}/token"}}"#,
        tokens.address()
    );
    std::fs::write(&path, json).expect("written");
    path
}

fn with_credentials(peer: &Peer, file: PathBuf) -> Config {
    let mut config = peer.config();
    config.credentials = CredentialsSource::File(file);
    config
}

/// Answers every request for a token, on however many connections.
fn give_tokens(tokens: Peer, answer: String) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let mut server = tokens.accept().await;
            let answer = answer.clone();
            tokio::spawn(async move {
                server.head().await;
                server.send(answer).await;
                server.count_to_end().await;
            });
        }
    })
}

#[tokio::test]
async fn a_token_goes_with_every_call_but_those_on_a_session() {
    let (peer, tokens) = (Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let gcs = client(with_credentials(&peer, user_file(&folder, &tokens)));
    let token = r#"{"access_token":"t0ken","expires_in":3600,"token_type":"Bearer"}"#;
    let tokens = give_tokens(
        tokens,
        response("200 OK", "Content-Type: application/json\r\n", token),
    );
    patiently(gcs.check_credentials()).await.expect("a token");
    let object = object();
    let session = peer.session();
    let serve = async {
        let mut server = peer.accept().await;
        let stat = server.head().await;
        server.send(finished()).await;
        let query = server.head().await;
        server.send(active(None)).await;
        (stat, query)
    };
    let calls = async {
        gcs.stat_object(&object).await.expect("answered");
        gcs.query(&session).await.expect("answered");
    };
    let ((stat, query), ()) = patiently(async { tokio::join!(serve, calls) }).await;
    assert!(stat.contains("authorization: Bearer t0ken"), "{stat}");
    assert!(!query.contains("authorization"), "{query}");
    assert!(!format!("{gcs:?}").contains("t0ken"));
    tokens.abort();
}

/// Where the tokens never come.
const LITTLE: Duration = Duration::from_secs(2);

async fn refused_with(answer: &str, patience: Duration) -> Error {
    let (peer, tokens) = (Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = with_credentials(&peer, user_file(&folder, &tokens));
    config.credentials_timeout = patience;
    let gcs = client(config);
    let tokens = give_tokens(tokens, answer.to_owned());
    let error = patiently(gcs.stat_object(&object())).await.expect_err("no token");
    tokens.abort();
    assert!(!error.request_sent());
    let shown = format!("{error} {error:?}");
    for secret in ["s3cret", "r3fresh", "l3aked"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_refused_token_is_permanent_and_a_late_one_is_not() {
    let json = "Content-Type: application/json\r\n";
    let error = refused_with(
        &response(
            "400 Bad Request",
            json,
            r#"{"error":"invalid_grant","echo":"l3aked"}"#,
        ),
        PATIENCE,
    )
    .await;
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::CredentialsRefused, Recovery::Never),
        "{error}"
    );
    let error = refused_with(&response("503 Service Unavailable", json, "l3aked"), LITTLE).await;
    assert!(
        matches!(
            error.kind(),
            ErrorKind::CredentialsUnavailable | ErrorKind::CredentialsTimeout
        ),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::Same);
    let error = refused_with("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", LITTLE).await;
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::CredentialsTimeout, Recovery::Same),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_credentials_is_refused_at_once() {
    let peer = Peer::listen().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.json");
    let refused = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let made = Gcs::new(
            with_credentials(&peer, path.clone()),
            std::sync::Arc::new(gcsd_net::TcpConnector),
        );
        made.expect_err("refused").to_string()
    };
    for (text, expected) in [
        ("", "not JSON"),
        ("[]", "no \"type\""),
        (r#"{"type":7}"#, "no \"type\""),
        (
            r#"{"type":"passport"}"#,
            "credentials of type \"passport\" are not supported",
        ),
        (
            r#"{"type":"service_account","private_key":"l3aked"}"#,
            "missing field",
        ),
        (r#"{"type":"authorized_user"}"#, "missing field"),
        (r#"{"type":"external_account"}"#, "missing field"),
    ] {
        let error = refused(text);
        assert!(
            error.contains(expected) && error.contains("key.json"),
            "{text}: {error}"
        );
        assert!(!error.contains("l3aked"), "{error}");
    }
    std::fs::remove_file(&path).expect("removed");
    let made = Gcs::new(
        with_credentials(&peer, path.clone()),
        std::sync::Arc::new(gcsd_net::TcpConnector),
    );
    assert!(made.expect_err("refused").to_string().contains("No such file"));
}

#[tokio::test]
async fn a_token_does_not_cross_a_network_in_the_clear() {
    let mut config = Config::new(Endpoint::parse("http://storage.example").expect("an endpoint"));
    config.credentials = CredentialsSource::Default;
    let made = Gcs::new(config, std::sync::Arc::new(gcsd_net::TcpConnector));
    assert!(matches!(made, Err(ConfigError::PlainHttp(_))), "{made:?}");
}

const UNAUTHORIZED: &str =
    r#"{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}"#;

/// Answers each request for a token with a new one: `t1`, `t2` ...
fn give_new_tokens(tokens: Peer) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for number in 1.. {
            let mut server = tokens.accept().await;
            server.head().await;
            let token = format!(r#"{{"access_token":"t{number}","expires_in":3600,"token_type":"Bearer"}}"#);
            let json = "Content-Type: application/json\r\nConnection: close\r\n";
            server.send(response("200 OK", json, &token)).await;
        }
    })
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (peer, tokens) = (Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let gcs = client(with_credentials(&peer, user_file(&folder, &tokens)));
    let tokens = give_new_tokens(tokens);
    let object = object();
    let unauthorized = || response("401 Unauthorized", "", UNAUTHORIZED);
    let serve = async {
        let mut server = peer.accept().await;
        for (token, taken) in [("t1", true), ("t1", false), ("t2", true), ("t2", true)] {
            let head = server.head().await;
            assert!(head.contains(&format!("authorization: Bearer {token}")), "{head}");
            server.send(if taken { finished() } else { unauthorized() }).await;
        }
    };
    let calls = async {
        gcs.stat_object(&object).await.expect("answered");
        let error = gcs.stat_object(&object).await.expect_err("refused");
        assert_eq!(
            (error.http_status(), error.recovery()),
            (Some(401), Recovery::Same)
        );
        assert!(
            error.message().contains("the next try is made with a fresh one"),
            "{error}"
        );
        gcs.stat_object(&object).await.expect("answered");
        gcs.stat_object(&object).await.expect("answered");
    };
    patiently(async { tokio::join!(serve, calls) }).await;
    tokens.abort();
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_ends_it() {
    let (peer, tokens) = (Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let gcs = client(with_credentials(&peer, user_file(&folder, &tokens)));
    let tokens = give_new_tokens(tokens);
    let (object, session) = (object(), peer.session());
    let serve = async {
        let mut server = peer.accept().await;
        for token in ["t1", "t2", "t2"] {
            let head = server.head().await;
            assert!(head.contains(&format!("authorization: Bearer {token}")), "{head}");
            server.send(response("401 Unauthorized", "", UNAUTHORIZED)).await;
        }
        // On a session, the rule is the same.
        server.head().await;
        server.send(response("401 Unauthorized", "", UNAUTHORIZED)).await;
    };
    let calls = async {
        let stat = async || gcs.stat_object(&object).await.expect_err("refused");
        assert_eq!(stat().await.recovery(), Recovery::Same);
        for _ in 0..2 {
            let error = stat().await;
            assert_eq!(error.recovery(), Recovery::Never);
            assert!(
                error.message().contains("a fresh access token was refused, too"),
                "{error}"
            );
        }
        let error = gcs.query(&session).await.expect_err("refused");
        assert_eq!(error.recovery(), Recovery::Never);
    };
    patiently(async { tokio::join!(serve, calls) }).await;
    tokens.abort();
}

#[tokio::test]
async fn behind_a_body_a_refused_token_leaves_a_question() {
    let (peer, tokens) = (Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let gcs = client(with_credentials(&peer, user_file(&folder, &tokens)));
    let tokens = give_new_tokens(tokens);
    let session = peer.session();
    let range = gcsd_gcs::WriteRange {
        offset: 0,
        len: Some(3),
        total: Some(3),
        object_crc32c: None,
    };
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.body(3).await;
        server.send(response("401 Unauthorized", "", UNAUTHORIZED)).await;
    };
    let calls = async {
        let body = std::collections::VecDeque::from([bytes::Bytes::from_static(b"abc")]);
        let (_lease, body) = gcsd_gcs::lend(body, 3);
        let error = gcs.write(&session, range, body).await.expect_err("refused");
        assert_eq!(
            (error.http_status(), error.recovery()),
            (Some(401), Recovery::Query)
        );
    };
    patiently(async { tokio::join!(serve, calls) }).await;
    tokens.abort();
}

#[tokio::test]
async fn a_replaced_file_is_used_without_a_refusal() {
    let (peer, old, new) = (Peer::listen().await, Peer::listen().await, Peer::listen().await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = user_file(&folder, &old);
    let gcs = client(with_credentials(&peer, file.clone()));
    let token = |name: &str| {
        let token = format!(r#"{{"access_token":"{name}","expires_in":3600,"token_type":"Bearer"}}"#);
        response("200 OK", "Content-Type: application/json\r\n", &token)
    };
    let givers = [give_tokens(old, token("old")), {
        let other = tempfile::tempdir().expect("a folder");
        let replacement = user_file(&other, &new);
        patiently(gcs.check_credentials()).await.expect("a token");
        // As a careful writer does it. The new file is another inode.
        let near = folder.path().join("new");
        std::fs::copy(replacement, &near).expect("copied");
        std::fs::rename(near, file).expect("replaced");
        give_tokens(new, token("new"))
    }];
    let object = object();
    let serve = async {
        let mut server = peer.accept().await;
        loop {
            let head = server.head().await;
            server.send(finished()).await;
            if head.contains("Bearer new") {
                return;
            }
            assert!(head.contains("Bearer old"), "{head}");
        }
    };
    // It is looked at every second: until then, the old one serves.
    let calls = async {
        loop {
            gcs.stat_object(&object).await.expect("answered");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(async {
        tokio::select! { () = serve => {}, () = calls => {} }
    })
    .await;
    for giver in givers {
        giver.abort();
    }
}
