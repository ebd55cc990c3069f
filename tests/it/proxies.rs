//! Proxies between the GCS client and GCS: what they are asked, and what is said when they refuse.

use std::sync::Arc;

use gcsd_failure::Failure;
use gcsd_gcs::{
    Config, ConfigError, CredentialsSource, Endpoint, Error, ErrorKind, Gcs, Proxies, ProxyError, Recovery,
};
use gcsd_net::TcpConnector;
use gcsd_wire::{Kind, Retry};

use crate::support::authority::Authority;
use crate::support::peer::{Conversation, Peer, client, finished, object, patiently, response};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Reaches `endpoint` through the proxy that `peer` plays, with a user and a password.
fn through(peer: &Peer, endpoint: &str) -> Config {
    let mut config = peer.config();
    config.endpoint = endpoint.parse().expect("an endpoint");
    config.proxies = Some(Proxies::new(&format!("http://us%40er:s3cret@{}", peer.address())));
    config
}

/// Asks for an object's metadata through what `serve` plays.
async fn stat(config: Config, serve: impl Future<Output = ()>) -> Result<(), Error> {
    let gcs = client(config);
    let object = object();
    let (outcome, ()) = patiently(async { tokio::join!(gcs.stat_object(&object), serve) }).await;
    outcome.map(drop)
}

#[tokio::test]
async fn a_plain_endpoint_is_reached_through_a_tunnel() {
    let peer = Peer::listen().await;
    let serve = async {
        let mut server = peer.accept().await;
        let connect = server.head().await;
        assert!(
            connect.starts_with("CONNECT gcs.example:4443 HTTP/1.1\r\n"),
            "{connect}"
        );
        let lines: Vec<&str> = connect.lines().skip(1).collect();
        // "us@er:s3cret"
        assert_eq!(
            lines,
            [
                "host: gcs.example:4443",
                "proxy-authorization: Basic dXNAZXI6czNjcmV0"
            ]
        );
        server.send(ESTABLISHED).await;
        let head = server.head().await;
        assert!(
            head.starts_with("GET /storage/v1/b/bucket/o/a%2Fb HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("host: gcs.example:4443"), "{head}");
        assert!(!head.contains("proxy"), "{head}");
        server.send(finished()).await;
    };
    stat(through(&peer, "http://gcs.example:4443"), serve)
        .await
        .expect("answered");
}

#[tokio::test]
async fn tls_goes_through_the_tunnel_to_the_endpoint_itself() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("gcs.example");
    let peer = Peer::listen().await;
    let mut config = through(&peer, "https://gcs.example");
    config.ca_file = Some(authority.file());
    let serve = async {
        let mut server = peer.accept().await;
        let connect = server.head().await;
        assert!(
            connect.starts_with("CONNECT gcs.example:443 HTTP/1.1\r\n"),
            "{connect}"
        );
        server.send(ESTABLISHED).await;
        let stream = acceptor.accept(server.into_stream()).await.expect("a handshake");
        let mut server = Conversation::new(stream);
        server.head().await;
        server.send(finished()).await;
    };
    stat(config, serve).await.expect("answered");
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let authority = Authority::new();
    let (proxy, gcs) = (authority.acceptor("127.0.0.1"), authority.acceptor("gcs.example"));
    let peer = Peer::listen().await;
    let mut config = through(&peer, "https://gcs.example");
    config.ca_file = Some(authority.file());
    config.proxies = Some(Proxies::new(&format!("https://{}", peer.address())));
    let serve = async {
        let plain = peer.accept().await.into_stream();
        let mut server = Conversation::new(proxy.accept(plain).await.expect("a handshake"));
        let connect = server.head().await;
        assert!(
            connect.starts_with("CONNECT gcs.example:443 HTTP/1.1\r\n"),
            "{connect}"
        );
        assert!(!connect.contains("authorization"), "{connect}");
        server.send(ESTABLISHED).await;
        let stream = gcs.accept(server.into_stream()).await.expect("another handshake");
        let mut server = Conversation::new(stream);
        server.head().await;
        server.send(finished()).await;
    };
    stat(config.clone(), serve).await.expect("answered");

    let stranger = Authority::new().acceptor("127.0.0.1");
    let serve = async {
        let refused = stranger.accept(peer.accept().await.into_stream()).await;
        assert!(refused.is_err());
    };
    let error = stat(config, serve).await.expect_err("not trusted");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Certificate, Recovery::Never)
    );
    let name = format!("the proxy https://{}", peer.address());
    assert!(error.message().contains(&name), "{error}");
}

#[tokio::test]
async fn an_address_of_ipv6_keeps_its_brackets() {
    let peer = Peer::listen().await;
    let serve = async {
        let mut server = peer.accept().await;
        let connect = server.head().await;
        assert!(
            connect.starts_with("CONNECT [2001:db8::1]:80 HTTP/1.1\r\nhost: [2001:db8::1]:80\r\n"),
            "{connect}"
        );
        server.send(ESTABLISHED).await;
        server.head().await;
        server.send(finished()).await;
    };
    stat(through(&peer, "http://[2001:db8::1]"), serve)
        .await
        .expect("answered");
}

#[tokio::test]
async fn this_machine_is_reached_past_the_proxy() {
    let (proxy, peer) = (Peer::listen().await, Peer::listen().await);
    let config = through(&proxy, &format!("http://{}", peer.address()));
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(finished()).await;
    };
    stat(config, serve).await.expect("answered");
}

/// What is said when a proxy answers so.
async fn answered(peer: &Peer, config: Config, answer: &str) -> Error {
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(answer).await;
    };
    stat(config, serve).await.expect_err("no tunnel")
}

/// The error names the proxy, shows no secret, and is of this class.
#[track_caller]
fn said(peer: &Peer, error: Error, recovery: Recovery, what: &str) {
    assert!(!error.request_sent());
    assert_eq!(error.recovery(), recovery, "{error}");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("czNjcmV0"),
        "{shown}"
    );
    let proxy = format!("http://{}", peer.address());
    assert!(error.message().contains(&proxy), "{proxy}: {error}");
    assert!(error.message().contains(what), "{what}: {error}");
    let status = Failure::from(error).status;
    let retry = match recovery {
        Recovery::Never => Retry::Never,
        _ => Retry::Same,
    };
    assert_eq!(
        (status.kind(), status.retry()),
        (Some(Kind::ConnectFailed), Some(retry))
    );
}

#[tokio::test]
async fn what_a_proxy_answers_instead_of_a_tunnel_is_told() {
    let peer = Peer::listen().await;
    let config = through(&peer, "http://gcs.example:4443");
    let basic = "Proxy-Authenticate: Basic realm=\"x\"\r\n";
    let ntlm = "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n";
    for (status, headers, recovery, what) in [
        (
            "407 Proxy Authentication Required",
            basic,
            Recovery::Never,
            "does not accept the user and password in its URL (407)",
        ),
        (
            "407 Proxy Authentication Required",
            ntlm,
            Recovery::Never,
            "by Negotiate or NTLM, and gcsd knows only Basic (407)",
        ),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic\r\n",
            Recovery::Never,
            "does not accept the user and password in its URL (401)",
        ),
        (
            "403 Filtered",
            "",
            Recovery::Never,
            "does not permit a connection to gcs.example:4443 (403 Forbidden)",
        ),
        ("404 Not Found", "", Recovery::Never, "(404 Not Found)"),
        (
            "301 Moved Permanently",
            "Location: http://x/\r\n",
            Recovery::Never,
            "(301 Moved Permanently)",
        ),
        (
            "502 Bad Gateway",
            "",
            Recovery::Same,
            "cannot connect to gcs.example:4443 now (502 Bad Gateway)",
        ),
        (
            "503 Service Unavailable",
            "",
            Recovery::Same,
            "(503 Service Unavailable)",
        ),
        ("504 Gateway Timeout", "", Recovery::Same, "(504 Gateway Timeout)"),
        (
            "429 Too Many Requests",
            "",
            Recovery::Same,
            "(429 Too Many Requests)",
        ),
    ] {
        let error = answered(
            &peer,
            config.clone(),
            &response(status, headers, "<html>no</html>"),
        )
        .await;
        said(&peer, error, recovery, what);
    }
    let mut anonymous = config;
    anonymous.proxies = Some(Proxies::new(&format!("http://{}", peer.address())));
    let error = answered(
        &peer,
        anonymous,
        &response("407 Proxy Authentication Required", basic, ""),
    )
    .await;
    said(
        &peer,
        error,
        Recovery::Never,
        "wants a user and a password (407): write http://USER:PASSWORD@HOST:PORT",
    );
}

#[tokio::test]
async fn what_is_no_proxy_is_told() {
    let peer = Peer::listen().await;
    let config = through(&peer, "http://gcs.example:4443");
    for (answer, what) in [
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "is no HTTP proxy"),
        ("\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}\n", "is no HTTP proxy"),
        ("", "closed the connection without an answer"),
        ("HTTP/1.1 200 OK\r\n", "closed the connection without an answer"),
        (
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n",
            "sent bytes that nobody asked for",
        ),
    ] {
        let error = answered(&peer, config.clone(), answer).await;
        said(&peer, error, Recovery::Same, what);
    }

    // A head without an end.
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send("HTTP/1.1 200 OK\r\n").await;
        let (mut read, mut write) = tokio::io::split(server.into_stream());
        let line = format!("X-Endless: {}\r\n", "x".repeat(1000));
        let mut sent = 0;
        while tokio::io::AsyncWriteExt::write_all(&mut write, line.as_bytes())
            .await
            .is_ok()
        {
            sent += line.len();
            assert!(sent < 64 << 20, "it is read for ever");
        }
        let _ended = tokio::io::AsyncReadExt::read(&mut read, &mut [0]).await;
    };
    let error = stat(config.clone(), serve).await.expect_err("no tunnel");
    said(&peer, error, Recovery::Same, "message head is too large");

    // Silence.
    let mut hurried = config.clone();
    hurried.connect_timeout = std::time::Duration::from_millis(200);
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.count_to_end().await;
    };
    let error = stat(hurried, serve).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    said(&peer, error, Recovery::Same, "no answer within 200ms");

    // Nobody there.
    let address = peer.address();
    drop(peer);
    let error = stat(config.clone(), async {}).await.expect_err("refused");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Connect, Recovery::Same)
    );
    let expected = format!("cannot connect to the proxy http://{address}: Connection refused");
    assert!(error.message().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_refused_at_once() {
    let made = |endpoint: &str, proxy: &str| {
        let mut config = Config::anonymous(endpoint.parse().expect("an endpoint"));
        config.proxies = Some(Proxies::new(proxy));
        Gcs::new(config, Arc::new(TcpConnector))
    };
    let google = Endpoint::google().to_string();
    for (proxy, expected) in [
        (
            "socks5://u:s3cret@127.0.0.1:1080",
            ProxyError::Unsupported("socks5".to_owned()),
        ),
        ("ftp://u:s3cret@127.0.0.1", ProxyError::Malformed),
    ] {
        let error = made(&google, proxy).expect_err("refused");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(error.to_string().contains("http://"), "{error}");
        assert!(matches!(error, ConfigError::Proxy(found) if found == expected));
        assert!(
            made("http://127.0.0.1:1", proxy).is_ok(),
            "it is not needed there"
        );
    }
    let gcs = made(&google, "http://u:s3cret@proxy.example:3128").expect("a client");
    assert_eq!(gcs.proxy().as_deref(), Some("http://proxy.example:3128"));
    assert!(!format!("{gcs:?}").contains("s3cret"), "{gcs:?}");
    let direct = made("http://127.0.0.1:1", "http://proxy.example:3128").expect("a client");
    assert_eq!(direct.proxy(), None);
}

#[tokio::test]
async fn access_tokens_are_not_asked_for_on_another_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    let json = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"}"#;
    std::fs::write(&path, json).expect("written");
    let made = |proxies| {
        let mut config = Config::new(Endpoint::google());
        config.credentials = CredentialsSource::File(path.clone());
        config.proxies = proxies;
        Gcs::new(config, Arc::new(TcpConnector))
    };
    let other = Proxies::new("http://nobody-has-this-in-the-environment.example:3128");
    let error = made(Some(other)).expect_err("refused");
    assert!(matches!(error, ConfigError::TokenProxies), "{error}");
    assert!(error.to_string().contains("set HTTPS_PROXY"), "{error}");
    made(Some(Proxies::from_env().except_local())).expect("the environment's");
    made(None).expect("the environment's");
}
