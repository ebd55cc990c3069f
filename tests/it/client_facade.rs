//! `gcsd_client::Client`, and what it hands out, over real sockets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use devgcs::{CallKind, SessionPhase};
use gcsd_client::{
    Aborted, Client, Crc32c, Daemons, Error, Kind, ObjectInfo, Options as ClientOptions, Preconditions,
    ReadError, Reason, RequestError, StripedOptions, UploadError, UrlError, WriterOptions,
};
use gcsd_net::SharedConnector;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, pattern};
use crate::support::stage::faulty;
use crate::support::uploads::{daemons, retries, small_chunks, tcp};

const URL: &str = "gs://bucket/object";

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

async fn failing(plan: &str) -> Daemon {
    let mut options = Options::default();
    options.devgcs = options.devgcs.faults(plan);
    Daemon::with(options).await
}

/// Through `daemon`, by requests of at most 512 KiB, with retries that do not wait for long.
fn client(daemon: &Daemon, connector: SharedConnector) -> Client {
    Client::new(daemons(&[daemon.address], connector)).with_options(small_chunks())
}

/// The object is `bytes`, and no upload is open.
async fn check(daemon: &Daemon, bytes: &[u8], object: &ObjectInfo, case: &str) {
    assert_eq!(object.crc32c, Some(Crc32c::of(bytes)), "{case}");
    assert!(daemon.object("object").await == bytes, "{case}: other bytes");
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0, "{case}");
}

#[tokio::test]
async fn an_object_lives_its_life() {
    let daemon = Daemon::start().await;
    let client = Client::connect(&daemon.address.to_string())
        .await
        .expect("a daemon");
    let object = client.object(URL).expect("a URL");
    assert_eq!(object.to_string(), URL);
    let upload = object.upload().content_type("text/plain").metadata("a", "b");
    let upload = upload.field("cacheControl", "no-cache").if_absent();
    let made = upload.clone().bytes("0123456789").await.expect("uploaded");
    assert_eq!(daemon.devgcs.inspect().count(CallKind::WriteUpload), 1);
    let error = upload.bytes("another").await.expect_err("it is there");
    assert!(
        error
            .request()
            .is_some_and(|error| error.is(Kind::PreconditionFailed)),
        "{error}"
    );
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);

    let stored = object.stat().await.expect("it is there");
    assert_eq!(stored.info.generation, made.generation);
    let resource: serde_json::Value = serde_json::from_slice(&stored.json).expect("JSON");
    assert_eq!(resource["contentType"], "text/plain");
    assert_eq!(resource["cacheControl"], "no-cache");
    assert_eq!(resource["metadata"]["a"], "b");

    assert_eq!(object.read().bytes().await.expect("bytes"), "0123456789");
    assert_eq!(object.read().range(2..5).bytes().await.expect("bytes"), "234");
    assert_eq!(object.read().range(7..).bytes().await.expect("bytes"), "789");
    let mut text = String::new();
    let mut reader = object.read().range(..=1).reader();
    reader.read_to_string(&mut text).await.expect("bytes");
    assert_eq!(text, "01");

    let copy = client.object("gs://bucket/copies/1").expect("a URL");
    let copied = object.copy_to(&copy).await.expect("copied");
    assert_eq!(copied.info.crc32c, made.crc32c);
    let names = async |url| {
        let mut pages = client.list(url).expect("a URL");
        let mut names = Vec::new();
        while let Some(page) = pages.next().await.expect("a page") {
            names.extend(page.objects.into_iter().map(|object| object.name));
        }
        names
    };
    assert_eq!(names("gs://bucket").await, ["copies/1", "object"]);
    assert_eq!(names("gs://bucket/copies/").await, ["copies/1"]);

    // The version that is read is the one that was asked for.
    let replaced = object.upload().bytes("new").await.expect("uploaded");
    let old = object.clone().with_generation(made.generation);
    let gone = old
        .read()
        .bytes()
        .await
        .expect_err("the bucket keeps no versions");
    assert!(
        gone.request().is_some_and(|error| error.is(Kind::NotFound)),
        "{gone}"
    );
    let only_new = Preconditions {
        if_generation_match: Some(replaced.generation),
        ..Preconditions::default()
    };
    object
        .clone()
        .with_preconditions(only_new)
        .delete()
        .await
        .expect("deleted");
    assert_eq!(names("gs://bucket").await, ["copies/1"]);
    assert_eq!(
        client.object("bucket/object").expect_err("no URL"),
        UrlError::Form
    );
    assert_eq!(client.list("bucket").expect_err("no URL"), UrlError::Form);
}

#[tokio::test]
async fn who_does_not_answer_is_told_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let error = soon(Client::connect(&format!("127.0.0.1:{port}")))
        .await
        .expect_err("nobody");
    assert_eq!(error.name(), "unreachable");
    let error = soon(Client::connect("127.0.0.1:no port"))
        .await
        .expect_err("no address");
    assert!(
        matches!(error, Error::Request(RequestError::Address(_))),
        "{error}"
    );
    // What answers is an HTTP server.
    let daemon = Daemon::start().await;
    let http = daemon.devgcs.address().to_string();
    let error = soon(Client::connect(&http)).await.expect_err("no daemon");
    assert!(
        matches!(&error, Error::Connection(lost) if matches!(lost.reason, Reason::Protocol(_))),
        "{error}"
    );
    // The second of the list is one, and the third is not asked.
    let list = format!("127.0.0.1:{port}, {},nowhere", daemon.address);
    soon(Client::connect(&list)).await.expect("a daemon");
}

#[tokio::test]
async fn a_secret_is_proved() {
    let daemon = Daemon::with(Options {
        secret: Some("open sesame"),
        ..Options::default()
    })
    .await;
    let list = daemon.address.to_string();
    let error = Client::connect(&list).await.expect_err("no secret");
    assert!(error.is(Kind::Unauthenticated), "{error}");
    let daemons: Daemons = list.parse().expect("an address");
    let knowing = Client::new(daemons.with_options(ClientOptions::default().with_secret("open sesame")));
    let object = knowing.object(URL).expect("a URL");
    object.upload().bytes("x").await.expect("uploaded");
}

/// Faults of the client's connections, and of GCS.
const PLANS: [(&str, &str); 5] = [
    ("off", "off"),
    ("refuse on 0..3; reset after write 300KiB on 3", "off"),
    ("reset in write 200KiB on 0; reset after write 300KiB on 1", "off"),
    (
        "off",
        "return-503 on start call 0; return-reset-connection-after-256K on write call 1",
    ),
    ("close after write 700KiB on 0", "return-503 on write call 0..2"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_source_it_arrives() {
    let bytes = Bytes::from(pattern(2_000_003));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, &bytes).expect("written");
    for (hop, gcs) in PLANS {
        for source in ["bytes", "file", "reader", "writer", "start", "striped"] {
            let case = format!("{source}, {hop}, {gcs}");
            let daemon = failing(gcs).await;
            let client = client(&daemon, faulty(hop));
            let upload = client.object(URL).expect("a URL").upload();
            let uploading = async {
                match source {
                    "bytes" => upload.bytes(bytes.clone()).await,
                    "file" => upload.file(&path).await,
                    "reader" => upload.reader(&bytes[..]).await,
                    "writer" => {
                        let mut writer = upload.writer()?;
                        // Whatever writes, and does not know what it writes to.
                        let copied = tokio::io::copy(&mut &bytes[..], &mut writer).await;
                        assert_eq!(copied.expect("copied"), bytes.len() as u64, "{case}");
                        writer.flush().await.expect("flushed");
                        writer.shutdown().await.expect("finished");
                        assert!(daemon.has_object("object"), "{case}: shutdown is the end");
                        writer.complete().await
                    }
                    "start" => upload.start(bytes.clone()).complete().await,
                    _ => {
                        let options = StripedOptions::default().with_part_size(700_000);
                        let mut striped = upload
                            .striped(bytes.clone(), &options.with_retries(retries()))
                            .expect("good options");
                        let striped = striped
                            .wait()
                            .await
                            .unwrap_or_else(|error| panic!("{case}: {error}"));
                        assert!(striped.leftovers.is_empty(), "{case}");
                        Ok(striped.object)
                    }
                }
            };
            let object = soon(uploading)
                .await
                .unwrap_or_else(|error| panic!("{case}: {error:?}"));
            check(&daemon, &bytes, &object, &case).await;
        }
    }
}

/// Gives some bytes, then fails.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = self.0.min(buf.remaining());
        if len == 0 {
            return Poll::Ready(Err(io::Error::other("unplugged")));
        }
        buf.put_slice(&vec![7; len]);
        self.0 -= len;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_fails_makes_no_object_and_leaves_no_upload() {
    let daemon = Daemon::start().await;
    let client = client(&daemon, tcp());
    let upload = || client.object(URL).expect("a URL").upload();
    // More than is held, so that some of it has been sent.
    let unplugged = soon(upload().reader(Failing(3_000_000)))
        .await
        .expect_err("half of it");
    let Some(Error::Source(source)) = unplugged.request() else {
        panic!("{unplugged}");
    };
    assert_eq!(source.to_string(), "unplugged");
    let session = daemon
        .devgcs
        .inspect()
        .session("object")
        .cloned()
        .expect("it was begun");
    assert_eq!(session.phase, SessionPhase::Ended(499));

    // As many as were said, or none.
    let short = soon(upload().size(1_000_001).reader(&pattern(1_000_000)[..])).await;
    assert!(matches!(short, Err(UploadError::Size { .. })), "{short:?}");
    let missing = soon(upload().file("/no/such/file"))
        .await
        .expect_err("no such file");
    let Some(Error::Source(source)) = missing.request() else {
        panic!("{missing}");
    };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert!(source.to_string().starts_with("/no/such/file: "), "{source}");

    let bad = WriterOptions::default().with_chunks(1, 2);
    let refusing = client.clone().with_options(bad).object(URL).expect("a URL");
    let refused = soon(refusing.upload().reader(&b"x"[..])).await;
    assert!(matches!(refused, Err(UploadError::Options(_))), "{refused:?}");
    assert!(!daemon.has_object("object"));
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn a_writer_that_fails_says_so_to_whoever_writes() {
    let daemon = failing("return-403 on write").await;
    let mut writer = client(&daemon, tcp())
        .object(URL)
        .expect("a URL")
        .upload()
        .writer()
        .expect("good options");
    // More than is held: a write has to wait for what GCS refuses.
    let bytes = pattern(8 << 20);
    let error = soon(tokio::io::copy(&mut &bytes[..], &mut writer))
        .await
        .expect_err("refused");
    let inner = error
        .into_inner()
        .and_then(|inner| inner.downcast::<UploadError>().ok());
    assert!(
        inner.is_some_and(|error| error.request().is_some_and(|error| error.is(Kind::Forbidden))),
        "the upload's error is inside"
    );
    assert!(soon(writer.flush()).await.is_err(), "an error stays");
    assert!(soon(writer.shutdown()).await.is_err(), "an error stays");
    // The caller has the writer, and tells GCS; where nobody has it, that is done at once.
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 1);
    assert_eq!(soon(writer.abort()).await, Aborted::Cancelled);
    let upload = client(&daemon, tcp()).object(URL).expect("a URL").upload();
    soon(upload.bytes(bytes)).await.expect_err("refused");
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 2);
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
    assert!(!daemon.has_object("object"));
}

#[tokio::test]
async fn a_read_is_recovered_and_verified() {
    let bytes = pattern(2_000_003);
    for (hop, gcs) in [
        ("off", "return-broken-stream-after-512K on read call 0..2"),
        ("reset in read 300KiB on 0", "off"),
    ] {
        let daemon = failing(gcs).await;
        client(&daemon, tcp())
            .object(URL)
            .expect("a URL")
            .upload()
            .bytes(bytes.clone())
            .await
            .expect("uploaded");
        let object = client(&daemon, faulty(hop)).object(URL).expect("a URL");
        assert!(
            soon(object.read().bytes()).await.expect("bytes") == bytes,
            "{hop}, {gcs}"
        );
    }
    let daemon = Daemon::start().await;
    client(&daemon, tcp())
        .object(URL)
        .expect("a URL")
        .upload()
        .bytes(bytes.clone())
        .await
        .expect("uploaded");
    let object = client(&daemon, faulty("flip read 500000 on 0"))
        .object(URL)
        .expect("a URL");
    let damaged = soon(object.read().bytes()).await;
    assert!(matches!(damaged, Err(ReadError::Damaged { .. })));
    assert_eq!(daemon.devgcs.object_names(BUCKET), ["object"]);
}
