//! Every transport alike: plain TCP, TLS, mutual TLS, Unix sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gcsd::server::{Tls, TlsFiles};
use gcsd_client::{Body, Client, Connection, Kind, Retry, Tls as ClientTls};
use gcsd_fault::FaultyConnector;
use gcsd_net::TcpConnector;
use gcsd_wire::{ErrorReply, HEAD_LEN, Opcode, ReplyHead, RequestHead, Status, WireArgs as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::authority::Authority;
use crate::support::daemon::{BUCKET, Options, pattern, start_upload, write_at};
use crate::support::peer::patiently;
use crate::support::transport::{HOST, Transports, Way};
use crate::support::uploads::{small_chunks, tcp};

const MIB: usize = 1 << 20;
/// A time that passes while a test waits for it.
const SHORT: Duration = Duration::from_millis(700);

fn ping(sequence: u64) -> [u8; HEAD_LEN] {
    let head = RequestHead {
        opcode: Opcode::Ping as u8,
        flags: 0,
        sequence,
        upload: 0,
        args_len: 0,
        body_len: 0,
    };
    head.encode()
}

async fn head<R: AsyncRead + Unpin>(stream: &mut R) -> ReplyHead {
    let mut head = [0; HEAD_LEN];
    patiently(stream.read_exact(&mut head)).await.expect("a head");
    ReplyHead::decode(&head).expect("a head")
}

/// All that comes before the end of the stream, or before its error.
async fn rest<R: AsyncRead + Unpin>(stream: &mut R) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = patiently(stream.read_to_end(&mut bytes)).await;
    bytes
}

#[tokio::test]
async fn objects_come_and_go() {
    let transports = Transports::start(Options::default()).await;
    for way in Way::ALL {
        let client = Client::new(transports.daemons(way, tcp())).with_options(small_chunks());
        let name = format!("{way:?}");
        let object = client.object(&format!("gs://{BUCKET}/{name}")).expect("a URL");
        let bytes = pattern(3 * MIB + 7);
        let made = patiently(object.upload().bytes(bytes.clone()))
            .await
            .expect("uploaded");
        assert_eq!(made.size, bytes.len() as u64, "{way:?}");
        assert!(
            transports.daemon.object(&name).await == bytes,
            "{way:?}: other bytes"
        );
        let read = patiently(object.read().bytes()).await.expect("read");
        assert!(read == bytes, "{way:?}: other bytes");
        // A Hello is possible on each, and so are checked frames.
        let options = transports.options(way).with_checked(true);
        let daemons = transports.daemons(way, tcp()).with_options(options);
        let connection = patiently(daemons.clone().connect()).await.expect("connected");
        let reply = patiently(connection.ping("hello".into()))
            .await
            .expect("answered");
        assert_eq!(reply.args.echo, "hello", "{way:?}");
        patiently(connection.close()).await;
    }
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered() {
    let transports = Transports::start(Options::default()).await;
    for way in Way::ALL {
        let mut stream = transports.stream(way).await;
        let pings: Vec<u8> = (1..=50).flat_map(ping).collect();
        stream.write_all(&pings).await.expect("sent");
        // Half of the connection: over TLS by its own message.
        patiently(stream.shutdown()).await.expect("ended");
        for sequence in 1..=50 {
            assert_eq!(head(&mut stream).await.sequence, sequence, "{way:?}");
        }
        // A proper end, not a cut one.
        let left = patiently(stream.read(&mut [0])).await.expect("a proper end");
        assert_eq!(left, 0, "{way:?}");
    }
}

#[tokio::test]
async fn uploads_survive_their_connections() {
    let transports = Transports::start(Options::default()).await;
    for way in Way::ALL {
        let plan = "seed 7; reset in write 0..1MiB on 0..6; close in read 0..200 on 3";
        let connector = Arc::new(FaultyConnector::new(TcpConnector, plan.parse().expect("a plan")));
        let client = Client::new(transports.daemons(way, connector.clone())).with_options(small_chunks());
        let name = format!("cut-{way:?}");
        let object = client.object(&format!("gs://{BUCKET}/{name}")).expect("a URL");
        let bytes = pattern(6 * MIB);
        patiently(object.upload().bytes(bytes.clone()))
            .await
            .expect("uploaded");
        assert!(
            transports.daemon.object(&name).await == bytes,
            "{way:?}: other bytes"
        );
        assert!(connector.connections() > 1, "{way:?}: nothing was cut");
        assert_eq!(transports.daemon.devgcs.inspect().open_sessions(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn uploads_move_between_transports() {
    let transports = Transports::start(Options::default()).await;
    let connections = [
        transports.connect(Way::Plain).await,
        transports.connect(Way::Tls).await,
        transports.connect(Way::Mutual).await,
        transports.connect(Way::Unix).await,
    ];
    for (at, from) in connections.iter().enumerate() {
        let to = &connections[(at + 1) % connections.len()];
        moved(from, to, &format!("moved-{at}")).await;
        let there = transports.daemon.object(&format!("moved-{at}")).await;
        assert!(there == pattern(MIB), "{at}");
    }
}

/// Starts an upload on one connection, and ends it on another.
async fn moved(from: &Connection, to: &Connection, name: &str) {
    let bytes = Bytes::from(pattern(MIB));
    let half = MIB / 2;
    let gcsd_wire::Request::StartUpload(args) = start_upload(name) else {
        panic!("it starts one")
    };
    let upload = from.new_upload();
    let started = patiently(from.start_upload(upload, &args))
        .await
        .expect("started");
    let part = |offset: usize, total| match write_at(offset as u64, total) {
        gcsd_wire::Request::WriteAt(args) => args,
        other => panic!("{other:?}"),
    };
    let args = part(0, None);
    let write = from.write_at(upload, &args, Body::from(bytes.slice(..half)));
    let progress = patiently(write).await.expect("written").args;
    assert_eq!(progress.committed, half as u64);
    let taken = to.new_upload();
    let attach = to.attach_upload(taken, &started.args.token);
    patiently(attach).await.expect("attached");
    let progress = patiently(to.query_upload(taken)).await.expect("told").args;
    assert_eq!(progress.committed, half as u64);
    let args = part(half, Some(MIB as u64));
    let write = to.write_at(taken, &args, Body::from(bytes.slice(half..)));
    let progress = patiently(write).await.expect("written").args;
    assert!(progress.object.is_some());
}

#[tokio::test]
async fn a_client_without_a_good_certificate_is_refused_for_good() {
    let transports = Transports::start(Options::default()).await;
    let (trusted, stranger) = (transports.authority.file(), Authority::new());
    let (cert, key) = stranger.issue("mallory");
    for (way, ca, identity) in [
        (Way::Mutual, &trusted, None),
        (Way::Mutual, &trusted, Some((&*cert, &*key))),
        (Way::Tls, &stranger.file(), None),
    ] {
        let tls = ClientTls::new(Some(ca), identity).expect("files");
        let options = transports.options(way).with_tls(tls).with_checked(true);
        let mut daemons = transports.daemons(way, tcp()).with_options(options);
        let error = patiently(daemons.connect()).await.expect_err("refused");
        assert_eq!(
            (error.name(), error.retry()),
            ("tls_refused", Retry::Never),
            "{error:?}"
        );
    }
    // A certificate for another name.
    let elsewhere = format!("tls://127.0.0.2:{}", transports.port(Way::Tls).port());
    let options = transports.options(Way::Tls);
    let daemons = format!("tls://127.0.0.1:{}", transports.port(Way::Tls).port());
    for (address, good) in [(daemons, true), (elsewhere, false)] {
        let address = address.parse().expect("an address");
        let opened = patiently(Connection::open(&TcpConnector, &address, &options)).await;
        assert_eq!(opened.is_ok(), good, "{address}");
    }
    let alive = transports.connect(Way::Mutual).await;
    patiently(alive.ping("".into()))
        .await
        .expect("the daemon goes on");
}

#[tokio::test]
async fn what_does_not_fit_the_port_is_told_so() {
    let transports = Transports::start(Options::default()).await;
    // TLS at a plain port: an alert, which ends all tries.
    let plain = format!("tls://{HOST}:{}", transports.port(Way::Plain).port());
    let options = transports.options(Way::Tls);
    let address = plain.parse().expect("an address");
    let opening = Connection::open(&TcpConnector, &address, &options);
    let Err(error) = patiently(opening).await else {
        panic!("there is no TLS")
    };
    assert_eq!(error.name(), "tls_refused", "{error:?}");
    for way in [Way::Tls, Way::Mutual] {
        // gcsd's protocol at a TLS port: an error in it.
        let mut stream = TcpStream::connect(transports.port(way)).await.expect("connected");
        stream.write_all(&ping(1)).await.expect("sent");
        let reply = head(&mut stream).await;
        assert_eq!(reply.status, Status::new(Kind::BadHead, Retry::Never));
        assert!(reply.closing());
        let args = rest(&mut stream).await;
        let error = ErrorReply::decode(args.into()).expect("args");
        assert!(error.message.contains("tls://"), "{}", error.message);
        // HTTP: an answer in it.
        let mut stream = TcpStream::connect(transports.port(way)).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        let answer = String::from_utf8(rest(&mut stream).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        // A hello that is none, and an end at once.
        let mut stream = TcpStream::connect(transports.port(way)).await.expect("connected");
        stream
            .write_all(&[22, 3, 1, 0, 4, 9, 0, 0, 0])
            .await
            .expect("sent");
        let alert = rest(&mut stream).await;
        assert_eq!(alert.first(), Some(&21), "an alert: {alert:?}");
        drop(TcpStream::connect(transports.port(way)).await.expect("connected"));
        // They go on.
        patiently(transports.connect(way).await.ping("".into()))
            .await
            .expect("answered");
    }
}

#[tokio::test]
async fn handshakes_that_take_too_long_are_ended() {
    let mut options = Options {
        max_connections: 3,
        ..Options::default()
    };
    options.limits.handshake_timeout = SHORT;
    let transports = Transports::start(options).await;
    let mut silent = TcpStream::connect(transports.port(Way::Tls))
        .await
        .expect("connected");
    let mut begun = TcpStream::connect(transports.port(Way::Tls))
        .await
        .expect("connected");
    begun.write_all(&[22, 3, 1, 1, 0]).await.expect("sent");
    // A handshake alone says nothing yet.
    let mut shaken = transports.stream(Way::Tls).await;
    for stream in [&mut silent, &mut begun] {
        assert!(rest(stream).await.is_empty());
    }
    assert!(rest(&mut shaken).await.is_empty());
    patiently(transports.connect(Way::Unix).await.ping("".into()))
        .await
        .expect("there is room");
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_no_body() {
    let mut transports = Transports::start(Options::default()).await;
    for way in Way::ALL {
        let mut stream = transports.stream(way).await;
        let args = gcsd_wire::Request::PutObject(crate::support::daemon::put_object("cut")).to_bytes();
        let request = RequestHead {
            opcode: Opcode::PutObject as u8,
            flags: 0,
            sequence: 1,
            upload: 0,
            args_len: u32::try_from(args.len()).expect("short"),
            body_len: MIB as u64,
        };
        stream
            .write_all(&[&request.encode()[..], &args, &[7; 1000]].concat())
            .await
            .expect("sent");
        stream.flush().await.expect("sent");
        drop(stream);
    }
    // No request is left in flight, and no object came of any.
    transports.daemon.drain().await;
    assert!(!transports.daemon.has_object("cut"));
}

#[tokio::test]
async fn certificates_change_while_connections_live() {
    let authority = Authority::new();
    let (cert, key) = authority.issue(HOST);
    let files = TlsFiles {
        cert: cert.clone(),
        key: key.clone(),
        client_ca: None,
    };
    let tls = Tls::load(files.clone()).expect("certificates");
    assert!(!tls.has_changed());
    let before = tls.not_after();
    // A bad file keeps what was there, and is told once.
    std::fs::write(&cert, "no certificate").expect("written");
    assert!(tls.has_changed());
    let error = tls.reload().expect_err("refused").to_string();
    assert!(error.ends_with("it holds no certificate in PEM"), "{error}");
    assert_eq!(tls.not_after(), before);
    assert!(!tls.has_changed(), "it would be told again");
    // The certificate of another key.
    let (other, _) = authority.issue("other");
    std::fs::copy(&other, &cert).expect("copied");
    let error = tls.reload().expect_err("refused").to_string();
    assert!(error.ends_with("the key is not the certificate's"), "{error}");
    // A good pair.
    let (newer, newer_key) = authority.issue_until(HOST, 2040);
    std::fs::copy(&newer, &cert).expect("copied");
    std::fs::copy(&newer_key, &key).expect("copied");
    assert!(tls.has_changed());
    tls.reload().expect("loaded");
    assert_ne!(tls.not_after(), before);
    // A key that others can read is refused, with what mends it.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let error = Tls::load(files).expect_err("refused").to_string();
    assert!(
        error.contains(&format!("chmod o-rwx {}", key.display())),
        "{error}"
    );
    assert!(!error.contains("PRIVATE KEY"), "{error}");
}

#[tokio::test]
async fn files_are_striped_over_every_transport() {
    let transports = Transports::start(Options::default()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes = pattern(11 * MIB);
    std::fs::write(&file, &bytes).expect("written");
    let ca = transports.authority.file();
    let (cert, key) = transports.authority.issue("client");
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    for way in Way::ALL {
        let name = format!("striped-{way:?}");
        let url = format!("gs://{BUCKET}/{name}");
        let connect = transports.address(way).to_string();
        let back = path(&folder.path().join(&name));
        let tls = [
            "--ca-file".to_owned(),
            path(&ca),
            "--cert".to_owned(),
            path(&cert),
            "--key".to_owned(),
            path(&key),
        ];
        let file = path(&file);
        for words in [
            vec!["put", "--connections", "3", "--part-size", "5MiB", &file, &url],
            vec!["get", "--connections", "2", &url, &back],
        ] {
            let mut words = words;
            words.extend(["--quiet", "--connect", &connect]);
            words.extend(tls.iter().map(String::as_str));
            crate::support::command::run(None, &words, b"").await.quiet();
        }
        assert!(
            transports.daemon.object(&name).await == bytes,
            "{way:?}: other bytes"
        );
        assert!(
            std::fs::read(&back).expect("a file") == bytes,
            "{way:?}: other bytes"
        );
    }
}
