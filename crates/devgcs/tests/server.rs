//! The server as a value in somebody's test: set up, looked into, stopped.

use std::error::Error;
use std::io;
use std::time::Duration;

use devgcs::{CallKind, Server, StartError, Storage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for `future`, but not for ever.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("in time")
}

#[tokio::test]
async fn a_server_is_in_memory_and_knows_its_objects() {
    let gcs = Server::builder()
        .buckets(["a-bucket", "another"])
        .start()
        .await
        .expect("started");
    assert!(gcs.address().ip().is_loopback() && gcs.address().port() != 0);
    assert_eq!(gcs.endpoint(), format!("http://{}", gcs.address()));

    let put = gcs.put_object("a-bucket", "b/ü", "meow").await.expect("stored");
    gcs.put_object("a-bucket", "a", vec![0; 300_000])
        .await
        .expect("stored");
    assert_eq!((put.size, put.metageneration), (4, 1));
    assert_eq!(gcs.object("a-bucket", "b/ü").as_ref(), Some(&put));
    assert_eq!(gcs.object_bytes("a-bucket", "b/ü").await.expect("bytes"), b"meow");
    assert_eq!(
        gcs.object_bytes("a-bucket", "a").await.expect("bytes"),
        vec![0; 300_000]
    );
    assert_eq!(gcs.object_names("a-bucket"), ["a", "b/ü"]);
    assert!(gcs.object_names("another").is_empty() && gcs.object_names("nowhere").is_empty());
    assert_eq!(gcs.inspect().calls.len(), 0, "none of these is a call");

    let url = format!("{}/storage/v1/b/a-bucket/o/b%2F%C3%BC", gcs.endpoint());
    let shown: serde_json::Value =
        serde_json::from_slice(&soon(get(&url)).await.expect("an answer")).expect("JSON");
    assert_eq!(shown, put.resource);
    assert_eq!(shown["crc32c"], "u86qsg==");
    assert_eq!(put.crc32c.to_be_bytes(), [0xbb, 0xce, 0xaa, 0xb2]);
    assert_eq!(gcs.inspect().count(CallKind::GetObject), 1);
}

async fn get(url: &str) -> reqwest::Result<Vec<u8>> {
    let answer = reqwest::get(url).await?.error_for_status()?;
    Ok(answer.bytes().await?.to_vec())
}

#[tokio::test]
async fn an_object_that_gcs_would_refuse_is_refused() {
    let gcs = Server::builder().bucket("bucket").start().await.expect("started");
    for (bucket, name, kind) in [
        ("nowhere", "a", io::ErrorKind::NotFound),
        ("bucket", "", io::ErrorKind::InvalidInput),
        ("bucket", "a\nb", io::ErrorKind::InvalidInput),
    ] {
        let error = gcs.put_object(bucket, name, "x").await.expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.to_string().is_empty());
    }
    let error = gcs.object_bytes("bucket", "a").await.expect_err("nothing there");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(gcs.object_names("bucket").is_empty());
}

#[tokio::test]
async fn faults_come_as_text_or_as_a_plan() {
    let text = "return-503 on stat call 0";
    let plan: devgcs::faults::Plan = text.parse().expect("a plan");
    for builder in [Server::builder().faults(text), Server::builder().faults(plan)] {
        let gcs = builder.bucket("bucket").start().await.expect("started");
        gcs.put_object("bucket", "a", "x").await.expect("stored");
        let url = format!("{}/storage/v1/b/bucket/o/a", gcs.endpoint());
        let answers = [soon(reqwest::get(&url)).await, soon(reqwest::get(&url)).await];
        assert_eq!(
            answers.map(|answer| answer.expect("an answer").status().as_u16()),
            [503, 200]
        );
        assert_eq!(
            gcs.fault_counts().into_iter().collect::<Vec<_>>(),
            [("return", 1)]
        );
    }
}

/// A connection with an idle client, one that sends a head by and by, one that sends a body by and by, and one whose
/// answer stands still.
async fn busy(gcs: &Server) -> Vec<TcpStream> {
    let session = reqwest::Client::new()
        .post(format!(
            "{}/upload/storage/v1/b/bucket/o?uploadType=resumable&name=x",
            gcs.endpoint()
        ))
        .send()
        .await
        .expect("an answer");
    let session = session.headers()["location"].to_str().expect("text").to_owned();
    let path = session.strip_prefix(&gcs.endpoint()).expect("it is here");
    let mut streams = Vec::new();
    for head in [
        String::new(),
        "GET /stor".to_owned(),
        format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbytes"),
        "GET /storage/v1/b HTTP/1.1\r\nHost: x\r\nx-goog-emulator-instructions: stall-always\r\n\r\n"
            .to_owned(),
    ] {
        let mut stream = TcpStream::connect(gcs.address()).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("a write");
        streams.push(stream);
    }
    let writing = |now: &devgcs::Snapshot| now.sessions.iter().any(|session| session.received == 5);
    assert!(gcs.wait_for(PATIENCE, writing).await);
    let listing = |now: &devgcs::Snapshot| now.count(CallKind::ListBuckets) == 1;
    assert!(gcs.wait_for(PATIENCE, listing).await);
    streams
}

/// Whether the peer has closed a connection, in whatever way; waits for it.
async fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = soon(stream.read_to_end(&mut rest)).await;
    ended.is_err() || rest.is_empty()
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_its_sockets_and_ends_its_tasks() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let gcs = Server::builder().bucket("bucket").start().await.expect("started");
    let streams = busy(&gcs).await;
    let address = gcs.address();
    assert!(tasks() > before);
    drop(gcs);
    for stream in streams {
        assert!(is_closed(stream).await);
    }
    soon(async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let error = TcpStream::connect(address).await.expect_err("nobody listens");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_returns_when_everything_has_ended() {
    let folder = tempfile::tempdir().expect("a directory");
    let builder = Server::builder()
        .bucket("bucket")
        .storage(Storage::Directory(folder.path().to_owned()));
    for _ in 0..5 {
        let gcs = builder.clone().start().await.expect("the directory is free");
        let streams = busy(&gcs).await;
        let address = gcs.address();
        soon(gcs.shutdown()).await;
        // The port can be bound again at once, since nothing listens there any more.
        TcpListener::bind(address).await.expect("it is free");
        for stream in streams {
            assert!(is_closed(stream).await);
        }
    }
}

/// What a start says that goes wrong, and why.
async fn problem(builder: devgcs::Builder) -> (StartError, String) {
    let error = builder.start().await.expect_err("it does not start");
    let source = error.source().expect("why").to_string();
    assert!(!error.to_string().contains(&source), "said once: {error}");
    (error, source)
}

#[tokio::test]
async fn a_server_that_cannot_start_says_what_and_why() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = taken.local_addr().expect("an address");
    let (error, _) = problem(Server::builder().listen(address)).await;
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    let StartError::Listen { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), io::ErrorKind::AddrInUse);

    let (error, source) = problem(Server::builder().bucket("ok-bucket").bucket("No!")).await;
    assert_eq!(error.to_string(), "cannot create the bucket \"No!\"");
    assert!(source.contains("bucket name"), "{source}");

    let (error, source) = problem(Server::builder().faults("return-503 on writes")).await;
    assert_eq!(error.to_string(), "cannot use the fault plan");
    assert!(source.contains("found writes"), "{source}");

    let file = tempfile::NamedTempFile::new().expect("a file");
    let storage = Storage::Directory(file.path().join("below"));
    let (error, _) = problem(Server::builder().storage(storage)).await;
    assert!(matches!(error, StartError::Storage(_)), "{error:?}");
}
