//! Connections: made, refused, kept, found broken; and the errors that tell these apart.

use std::sync::Arc;
use std::time::Duration;

use gcsd_gcs::{Call, Endpoint, Error, ErrorKind, Gcs, Recovery, SessionStatus, WriteRange, lend};
use gcsd_net::{Connecting, Connector, ResolveError};
use gcsd_types::Destination;

use crate::support::authority::Authority;
use crate::support::feed::Endless;
use crate::support::peer::{Conversation, Peer, active, client, finished, patiently, response};

/// A connector that does the same whatever it is asked.
#[derive(Debug)]
enum Fixed {
    NoAddress,
    Never,
}

impl Connector for Fixed {
    fn connect<'a>(&'a self, host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async move {
            match self {
                Self::NoAddress => Err(ResolveError::io(host, "nobody knows it")),
                Self::Never => std::future::pending().await,
            }
        })
    }
}

fn unsent(error: &Error, kind: ErrorKind) {
    assert_eq!((error.kind(), error.request_sent()), (kind, false), "{error}");
    assert_eq!(error.call(), Some(Call::Query));
    let recovery = if kind == ErrorKind::Certificate {
        Recovery::Never
    } else {
        Recovery::Same
    };
    assert_eq!(error.recovery(), recovery);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_says_why() {
    let peer = Peer::listen().await;
    let (session, mut config) = (peer.session(), peer.config());
    config.connect_timeout = Duration::from_millis(50);
    let query = async |connector| {
        let gcs = Gcs::new(config.clone(), Arc::new(connector)).expect("a client");
        gcs.query(&session).await.expect_err("no connection")
    };
    unsent(&query(Fixed::NoAddress).await, ErrorKind::Resolve);
    unsent(&query(Fixed::Never).await, ErrorKind::ConnectTimeout);
    let gcs = peer.gcs();
    drop(peer);
    unsent(
        &gcs.query(&session).await.expect_err("refused"),
        ErrorKind::Connect,
    );
}

/// Asks for an object's metadata over TLS, while the peer does what `serve` says.
async fn over_tls(
    authority: &Authority,
    serve: impl AsyncFnOnce(Conversation<tokio::net::TcpStream>),
) -> Result<(), Error> {
    let peer = Peer::listen().await;
    let gcs = client(peer.tls_config(authority.file()));
    let object = crate::support::peer::object();
    let (outcome, ()) = patiently(async {
        tokio::join!(gcs.stat_object(&object), async {
            serve(peer.accept().await).await
        })
    })
    .await;
    outcome.map(drop)
}

#[tokio::test]
async fn tls_trusts_the_private_ca_and_nobody_else() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("127.0.0.1");
    over_tls(&authority, async |plain| {
        let stream = acceptor.accept(plain.into_stream()).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut server = Conversation::new(stream);
        let head = server.head().await;
        assert!(
            head.starts_with("GET /storage/v1/b/bucket/o/a%2Fb HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(!head.contains("content-length"), "{head}");
        server.send(finished()).await;
    })
    .await
    .expect("answered");

    let stranger = Authority::new();
    for acceptor in [
        stranger.acceptor("127.0.0.1"),
        authority.acceptor("elsewhere.example"),
    ] {
        let error = over_tls(&authority, async |plain| {
            let refused = acceptor.accept(plain.into_stream()).await;
            assert!(refused.is_err());
        })
        .await
        .expect_err("not trusted");
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::Certificate, false),
            "{error}"
        );
        assert_eq!(error.recovery(), Recovery::Never);
    }
}

#[tokio::test]
async fn tls_to_something_else_says_so() {
    let authority = Authority::new();
    let error = over_tls(&authority, async |mut plain| {
        plain.send(response("400 Bad Request", "", "speak http")).await;
        plain.count_to_end().await;
    })
    .await
    .expect_err("no TLS");
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::Tls, false),
        "{error}"
    );
    let error = over_tls(&authority, async |plain| drop(plain))
        .await
        .expect_err("no TLS");
    assert!(
        matches!(error.kind(), ErrorKind::EarlyClose | ErrorKind::Reset),
        "{error:?}"
    );
    assert!(!error.request_sent());

    let peer = Peer::listen().await;
    let mut config = peer.tls_config(authority.file());
    config.connect_timeout = Duration::from_millis(200);
    let gcs = client(config);
    let error = gcs
        .stat_object(&crate::support::peer::object())
        .await
        .expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
}

#[tokio::test]
async fn a_connection_cut_inside_tls_is_told() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("127.0.0.1");
    let error = over_tls(&authority, async |plain| {
        let mut server = Conversation::new(acceptor.accept(plain.into_stream()).await.expect("a handshake"));
        server.head().await;
    })
    .await
    .expect_err("closed");
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::EarlyClose, true),
        "{error}"
    );
    let error = over_tls(&authority, async |plain| {
        let mut stream = acceptor.accept(plain.into_stream()).await.expect("a handshake");
        // Not a TLS record.
        let (plain, _) = stream.get_mut();
        Conversation::new(plain)
            .send("HTTP/1.1 400 Bad Request\r\n\r\n")
            .await;
        Conversation::new(stream).count_to_end().await;
    })
    .await
    .expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
}

#[tokio::test]
async fn a_large_body_goes_through_tls() {
    const LEN: usize = 5 << 20;
    let authority = Authority::new();
    let acceptor = authority.acceptor("127.0.0.1");
    let peer = Peer::listen().await;
    let gcs = client(peer.tls_config(authority.file()));
    let text = peer.session().expose().replace("http:", "https:");
    let session = gcsd_gcs::SessionUri::parse(&text).expect("a session URI");
    let (lease, body) = lend(Endless::new(), LEN as u64);
    let range = WriteRange {
        offset: 0,
        len: Some(LEN as u64),
        total: None,
        object_crc32c: None,
    };
    let serve = async {
        let plain = peer.accept().await.into_stream();
        let mut server = Conversation::new(acceptor.accept(plain).await.expect("a handshake"));
        server.head().await;
        let body = server.body(LEN).await;
        server.send(active(Some("bytes=0-5242879"))).await;
        body
    };
    let (written, body) = patiently(async { tokio::join!(gcs.write(&session, range, body), serve) }).await;
    let committed = Some(LEN as u64);
    assert_eq!(
        written.expect("written").answer,
        SessionStatus::Active { committed }
    );
    assert_eq!(lease.crc32c(), gcsd_types::Crc32c::of(&body));
}

/// Starts an upload whose Location names `elsewhere`, then asks how it stands, all on connections to `peer`. Gives the head
/// of the question.
async fn started_elsewhere<S>(
    gcs: &Gcs,
    elsewhere: &str,
    accept: impl AsyncFnOnce() -> Conversation<S>,
) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let start = Destination::new("bucket".parse().expect("a name"), "o".parse().expect("a name"));
    let calls = async {
        let session = gcs.start_upload(&start, None).await.expect("started").answer;
        gcs.query(&session).await.expect("answered");
        // A token that was sealed earlier holds the same text.
        let unsealed = gcsd_gcs::SessionUri::parse(session.expose()).expect("a session URI");
        assert_eq!(unsealed, session);
        gcs.query(&unsealed).await.expect("answered");
    };
    let location = format!("Location: {elsewhere}/u/x?upload_id=secret&y=1\r\n");
    let serve = async {
        let mut server = accept().await;
        server.head().await;
        server.send(response("200 OK", &location, "")).await;
        let heads = [server.head().await, {
            server.send(active(None)).await;
            server.head().await
        }];
        server.send(active(None)).await;
        assert_eq!(heads[0], heads[1]);
        let [head, _] = heads;
        head
    };
    let ((), head) = patiently(async { tokio::join!(calls, serve) }).await;
    head
}

#[tokio::test]
async fn a_session_stays_on_the_endpoint_whatever_host_its_location_names() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let accept = async || peer.accept().await;
    let head = started_elsewhere(&gcs, "https://storage.elsewhere.example", accept).await;
    assert!(
        head.starts_with("PUT /u/x?upload_id=secret&y=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains(&format!("host: {}", peer.address())), "{head}");
}

#[tokio::test]
async fn a_session_never_leaves_tls() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("127.0.0.1");
    let peer = Peer::listen().await;
    let gcs = client(peer.tls_config(authority.file()));
    let accept = async || {
        let plain = peer.accept().await.into_stream();
        Conversation::new(acceptor.accept(plain).await.expect("a handshake"))
    };
    // The plain http of its Location is not spoken.
    let head = started_elsewhere(&gcs, &format!("http://{}", peer.address()), accept).await;
    assert!(
        head.starts_with("PUT /u/x?upload_id=secret&y=1 HTTP/1.1\r\n"),
        "{head}"
    );
}

#[test]
fn endpoints_are_shown_without_secrets() {
    let endpoint = Endpoint::parse("https://storage.googleapis.com").expect("an endpoint");
    assert_eq!(
        format!("{endpoint} {endpoint:?}"),
        "https://storage.googleapis.com https://storage.googleapis.com"
    );
}
