//! Reading objects: never a wrong byte, never more than was asked for.

use gcsd_gcs::{ByteRange, Error, ErrorKind, ObjectRef, ObjectStream, Recovery};
use gcsd_types::Crc32c;

use crate::support::peer::{Conversation, Peer, object, patiently, response};

const HELLO: &str = "hello world";

/// What a read gave: the offset of its first byte, its promised length, its bytes.
type Read = (u64, Option<u64>, String);

async fn collect(stream: &mut ObjectStream) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert!(stream.next().await?.is_none(), "the end stays the end");
    Ok(String::from_utf8(bytes).expect("text"))
}

async fn read(range: ByteRange, answer: &str) -> Result<Read, Error> {
    read_with(&object(), range, false, answer).await.0
}

async fn read_with(
    object: &ObjectRef,
    range: ByteRange,
    gunzip: bool,
    answer: &str,
) -> (Result<Read, Error>, String) {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let serve = async {
        let mut server = peer.accept().await;
        let head = server.head().await;
        server.send(answer).await;
        head
    };
    let call = async {
        let mut stream = gcs.read_object(object, range, gunzip).await?;
        let text = collect(&mut stream).await?;
        Ok((stream.first(), stream.len(), text))
    };
    let (read, head) = patiently(async { tokio::join!(call, serve) }).await;
    (read, head)
}

fn part(range: &str, body: &str) -> String {
    response(
        "206 Partial Content",
        &format!("Content-Range: {range}\r\n"),
        body,
    )
}

#[tokio::test]
async fn a_read_asks_for_its_range_and_gets_it() {
    let whole = response("200 OK", "X-Goog-Stored-Content-Length: 11\r\n", HELLO);
    for (range, header, answer, expected) in [
        (ByteRange::default(), None, whole.clone(), (0, Some(11), HELLO)),
        (ByteRange::From(0), None, whole.clone(), (0, Some(11), HELLO)),
        (
            ByteRange::From(6),
            Some("bytes=6-"),
            part("bytes 6-10/11", "world"),
            (6, Some(5), "world"),
        ),
        (
            ByteRange::Of { offset: 0, len: 1 },
            Some("bytes=0-0"),
            part("bytes 0-0/11", "h"),
            (0, Some(1), "h"),
        ),
        (
            ByteRange::Of { offset: 9, len: 100 },
            Some("bytes=9-108"),
            part("bytes 9-10/11", "ld"),
            (9, Some(2), "ld"),
        ),
        (
            ByteRange::Suffix(3),
            Some("bytes=-3"),
            part("bytes 8-10/11", "rld"),
            (8, Some(3), "rld"),
        ),
        (
            ByteRange::Suffix(99),
            Some("bytes=-99"),
            part("bytes 0-10/11", HELLO),
            (0, Some(11), HELLO),
        ),
        // A server that knows no ranges sends all: the part is cut out.
        (
            ByteRange::From(6),
            Some("bytes=6-"),
            whole.clone(),
            (6, Some(5), "world"),
        ),
        (
            ByteRange::Of { offset: 2, len: 3 },
            Some("bytes=2-4"),
            whole.clone(),
            (2, Some(3), "llo"),
        ),
        (
            ByteRange::Suffix(3),
            Some("bytes=-3"),
            whole.clone(),
            (8, Some(3), "rld"),
        ),
        (
            ByteRange::Suffix(3),
            Some("bytes=-3"),
            response("200 OK", "", ""),
            (0, Some(0), ""),
        ),
    ] {
        let (read, head) = read_with(&object(), range, false, &answer).await;
        let (first, len, text) = read.expect("read");
        assert_eq!((first, len, text.as_str()), expected, "{range:?}");
        assert!(
            head.starts_with("GET /storage/v1/b/bucket/o/a%2Fb?alt=media HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("accept-encoding: gzip"), "{head}");
        match header {
            None => assert!(!head.contains("range:"), "{head}"),
            Some(header) => assert!(head.contains(&format!("range: {header}")), "{head}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_range_never_gives_wrong_bytes() {
    let stored = "X-Goog-Stored-Content-Length: 11\r\n";
    let five = ByteRange::Of { offset: 6, len: 5 };
    for (range, answer) in [
        (ByteRange::From(6), part("bytes 5-10/11", " world")),
        (ByteRange::From(6), part("bytes 6-9/11", "worl")),
        (ByteRange::Of { offset: 2, len: 3 }, part("bytes 2-5/11", "llo ")),
        (ByteRange::Suffix(3), part("bytes 0-2/11", "hel")),
        (ByteRange::default(), part("bytes 0-4/11", "hello")),
        (ByteRange::From(6), part("bytes 6-10/*", "world")),
        (ByteRange::From(6), part("bytes 10-6/11", "world")),
        (ByteRange::From(6), part("bytes 6-11/11", "world!")),
        (ByteRange::From(6), part("items 6-10/11", "world")),
        (ByteRange::From(6), part("bytes 6-10/11", "wor")),
        (
            ByteRange::From(6),
            part("bytes 6-18446744073709551615/18446744073709551615", "world"),
        ),
        (ByteRange::From(6), response("206 Partial Content", "", "world")),
        (ByteRange::From(20), response("200 OK", "", HELLO)),
        (ByteRange::Suffix(3), chunked("", HELLO)),
        // A whole object that is none, or of which nothing tells.
        (five, response("200 OK", "", "world")),
        (five, response("200 OK", "X-Goog-Generation: 5\r\n", HELLO)),
        (five, chunked("", "world")),
        (ByteRange::From(6), response("200 OK", "", "world")),
        (five, response("200 OK", stored, "world")),
        (ByteRange::default(), response("200 OK", stored, "world")),
        (
            ByteRange::default(),
            response("200 OK", "Content-Range: bytes 0-4/11\r\n", "world"),
        ),
        (
            ByteRange::default(),
            response("200 OK", "Content-Range: bytes 6-10/11\r\n", "world"),
        ),
        (
            ByteRange::default(),
            response("200 OK", "Content-Range: bytes 0-10/11\r\n", "world"),
        ),
        (
            five,
            response(
                "200 OK",
                &format!("{stored}Content-Range: bytes 6-10/11\r\n"),
                "world",
            ),
        ),
        (
            five,
            response(
                "200 OK",
                &format!("{stored}Content-Range: bytes 0-10/11\r\n"),
                HELLO,
            ),
        ),
        (
            five,
            response(
                "206 Partial Content",
                &format!("{stored}Content-Range: bytes 6-10/12\r\n"),
                "world",
            ),
        ),
    ] {
        let error = read(range, &answer).await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.recovery()),
            (ErrorKind::BadResponse, Recovery::Same),
            "{range:?} {answer}"
        );
    }
    for range in [
        ByteRange::Of { offset: 1, len: 0 },
        ByteRange::Suffix(0),
        ByteRange::Of {
            offset: u64::MAX,
            len: 2,
        },
    ] {
        let gcs = Peer::listen().await.gcs();
        let error = gcs
            .read_object(&object(), range, false)
            .await
            .expect_err("refused");
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::Invalid, false),
            "{range:?}"
        );
    }
}

fn chunked(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
}

/// As HTTP permits: a server that says nothing of Cloud Storage's own may send the whole for a range.
#[tokio::test]
async fn a_server_that_ignores_ranges_is_read() {
    for (range, bytes) in [
        (ByteRange::Of { offset: 6, len: 5 }, "world"),
        (ByteRange::From(9), "ld"),
        (ByteRange::Suffix(3), "rld"),
    ] {
        let answer = response("200 OK", "", HELLO);
        assert_eq!(read(range, &answer).await.expect("read").2, bytes, "{range:?}");
    }
}

#[tokio::test]
async fn a_decompressed_object_has_no_length_and_its_ranges_count_what_comes() {
    let stored = "X-Goog-Stored-Content-Encoding: gzip\r\nX-Goog-Stored-Content-Length: 5\r\n";
    let answer = chunked(stored, HELLO);
    for (range, expected) in [
        (ByteRange::default(), (0, None, HELLO)),
        (ByteRange::From(6), (6, None, "world")),
        (ByteRange::Of { offset: 2, len: 3 }, (2, None, "llo")),
        (ByteRange::Of { offset: 8, len: 30 }, (8, None, "rld")),
    ] {
        let (read, head) = read_with(&object(), range, true, &answer).await;
        let (first, len, text) = read.expect("read");
        assert_eq!((first, len, text.as_str()), expected, "{range:?}");
        assert!(!head.contains("accept-encoding"), "{head}");
    }
    let (read, _) = read_with(&object(), ByteRange::From(30), true, &answer).await;
    assert_eq!(read.expect_err("beyond the end").kind(), ErrorKind::EarlyClose);
}

#[tokio::test]
async fn a_whole_answer_may_say_that_it_is_the_whole_range() {
    let answer = response("200 OK", "Content-Range: bytes 0-10/11\r\n", HELLO);
    let read = read(ByteRange::default(), &answer).await;
    assert_eq!(read.expect("all of it"), (0, Some(11), HELLO.to_owned()));
}

#[tokio::test]
async fn the_headers_describe_the_object() {
    let headers = "X-Goog-Generation: 17\r\nX-Goog-Metageneration: 2\r\nX-Goog-Stored-Content-Length: 11\r\n\
                   X-Goog-Stored-Content-Encoding: identity\r\nX-GUploader-UploadID: id-3\r\n\
                   X-Goog-Hash: crc32c=yZRlqg==\r\nX-Goog-Hash: md5=XrY7u+Ae7tCTyyK7j1rNww==\r\n";
    for headers in [
        headers.to_owned(),
        headers.replace("==\r\nX-Goog-Hash: md5", "==,md5"),
    ] {
        for answer in [response("200 OK", &headers, HELLO), chunked(&headers, HELLO)] {
            let peer = Peer::listen().await;
            let gcs = peer.gcs();
            let serve = async {
                let mut server = peer.accept().await;
                server.head().await;
                server.send(&answer).await;
                server
            };
            let object = object();
            let (stream, _server) = patiently(async {
                tokio::join!(gcs.read_object(&object, ByteRange::default(), false), serve)
            })
            .await;
            let mut stream = stream.expect("read");
            let info = stream.info();
            assert_eq!((info.generation, info.metageneration, info.size), (17, 2, 11));
            assert_eq!(info.crc32c, Some(Crc32c::of(HELLO.as_bytes())));
            assert_eq!(info.md5.map(|md5| md5[15]), Some(0xc3));
            assert_eq!(stream.request_id(), Some("id-3"));
            assert_eq!(stream.len(), Some(11));
            assert_eq!(collect(&mut stream).await.expect("read"), HELLO);
        }
    }
}

#[tokio::test]
async fn a_read_can_be_pinned_and_conditional() {
    let mut pinned = object();
    pinned.generation = Some(17);
    pinned.preconditions.if_metageneration_match = Some(2);
    pinned.user_project = Some("payer".to_owned());
    let refused = response("304 Not Modified", "", "");
    let (read, head) = read_with(&pinned, ByteRange::default(), false, &refused).await;
    assert_eq!(read.expect_err("refused").http_status(), Some(304));
    let line =
        "GET /storage/v1/b/bucket/o/a%2Fb?alt=media&generation=17&ifMetagenerationMatch=2&userProject=payer ";
    assert!(head.starts_with(line), "{head}");
}

#[tokio::test]
async fn refusals_and_truncations_are_errors() {
    let (read, _) = read_with(
        &object(),
        ByteRange::From(99),
        false,
        &response(
            "416 Requested Range Not Satisfiable",
            "Content-Type: text/html\r\n",
            "<p>no</p>",
        ),
    )
    .await;
    let error = read.expect_err("refused");
    assert_eq!(
        (error.http_status(), error.recovery()),
        (Some(416), Recovery::Never),
        "{error}"
    );

    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello";
    let (read, _) = read_with(&object(), ByteRange::default(), false, cut).await;
    assert_eq!(read.expect_err("cut").kind(), ErrorKind::EarlyClose);
    // A length that only the stored one tells.
    let cut = chunked(
        "X-Goog-Stored-Content-Encoding: identity\r\nX-Goog-Stored-Content-Length: 11\r\n",
        "hello",
    );
    let (read, _) = read_with(&object(), ByteRange::default(), false, &cut).await;
    assert_eq!(read.expect_err("cut").kind(), ErrorKind::EarlyClose);
}

/// An answer whose end is that of the connection, and nothing else.
fn unending(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_connection_that_closes_is_no_end_of_an_object() {
    let all = ByteRange::default();
    let gzip = "X-Goog-Stored-Content-Encoding: gzip\r\nX-Goog-Stored-Content-Length: 11\r\n\
                X-Goog-Hash: crc32c=AAAAAA==\r\n";
    let few = ByteRange::Of { offset: 8, len: 30 };
    for (range, answer) in [
        (all, unending("200 OK", gzip, HELLO)),
        (all, unending("200 OK", gzip, "")),
        (all, unending("200 OK", "", HELLO)),
        (
            all,
            unending("200 OK", "X-Goog-Hash: crc32c=yZRlqg==\r\n", "hello"),
        ),
        (all, unending("200 OK", "Transfer-Encoding: gzip\r\n", HELLO)),
        (ByteRange::From(6), unending("200 OK", gzip, HELLO)),
        (few, unending("200 OK", gzip, HELLO)),
        (
            ByteRange::From(6),
            unending("206 Partial Content", "Content-Range: bytes 6-10/11\r\n", "wor"),
        ),
    ] {
        let (read, _) = read_with(&object(), range, true, &answer).await;
        let error = read.expect_err("it may have been cut");
        assert_eq!(
            (error.kind(), error.recovery()),
            (ErrorKind::EarlyClose, Recovery::Same),
            "{answer}"
        );
    }
    // A length or a checksum says that all is there.
    let stored = "X-Goog-Stored-Content-Encoding: identity\r\nX-Goog-Stored-Content-Length: 11\r\n";
    for (range, answer, text) in [
        (all, unending("200 OK", stored, HELLO), HELLO),
        (
            all,
            unending("200 OK", "X-Goog-Hash: crc32c=yZRlqg==\r\n", HELLO),
            HELLO,
        ),
        (
            ByteRange::Of { offset: 2, len: 3 },
            unending("200 OK", gzip, HELLO),
            "llo",
        ),
        (
            ByteRange::From(6),
            unending("206 Partial Content", "Content-Range: bytes 6-10/11\r\n", "world"),
            "world",
        ),
    ] {
        let (read, _) = read_with(&object(), range, true, &answer).await;
        assert_eq!(read.expect("whole").2, text, "{answer}");
    }
}

#[tokio::test]
async fn a_slow_reader_stalls_gcs_and_dropping_the_stream_closes_the_connection() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let object = object();
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
            .await;
        server
    };
    let (stream, mut server): (_, Conversation<_>) =
        patiently(async { tokio::join!(gcs.read_object(&object, ByteRange::default(), false), serve) }).await;
    let mut stream = stream.expect("read");
    // The kernel's buffers fill, and then it is stuck.
    let taken = patiently(server.flood()).await;
    assert!(taken < 64 << 20, "{taken} bytes were taken");
    assert!(
        stream
            .next()
            .await
            .expect("a chunk")
            .is_some_and(|chunk| !chunk.is_empty())
    );
    drop(stream);
    server.count_to_end().await;
}

#[tokio::test]
async fn a_read_to_the_end_keeps_the_connection() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let object = object();
    let serve = async {
        let mut server = peer.accept().await;
        for _ in 0..2 {
            server.head().await;
            server.send(response("200 OK", "", HELLO)).await;
        }
        server
    };
    let reads = async {
        for _ in 0..2 {
            let mut stream = gcs
                .read_object(&object, ByteRange::default(), false)
                .await
                .expect("read");
            assert_eq!(collect(&mut stream).await.expect("read"), HELLO);
        }
    };
    patiently(async { tokio::join!(serve, reads) }).await;
}
