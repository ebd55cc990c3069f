//! GCS's answers: whatever comes back, a call ends, and its success rests on facts that are in the answer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use gcsd_gcs::{
    BucketQuery, BucketRef, ByteRange, CancelOutcome, ComposeSource, Destination, Gcs, MultipartRef,
    ObjectQuery, ObjectRef, PageStream, Part, Rewrite, SessionStatus, WriteRange, lend,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fuzz;
use super::facts::{Plain, digits, is_object, is_page, number};
use super::server::{panics, runtime};
use super::wire::words;
use crate::support::peer::{Peer, object};

/// Longer than any call takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const BODY: &[u8] = b"abc";
const OBJECT: &str = r#"{"kind":"storage#object","generation":"5","metageneration":"2","size":"3","crc32c":"NkthMA==","md5Hash":"kAFQmDzST7DWlj99KOF/cg=="}"#;
const REFUSED: &str =
    r#"{"error":{"code":412,"message":"no","errors":[{"reason":"conditionNotMet","message":"no"}]}}"#;

const WORDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 308 Resume Incomplete\r\n",
    b"HTTP/1.1 206 Partial Content\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\n",
    b"Range: bytes=0-",
    b"Content-Range: bytes 2-2/3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Retry-After: 3\r\n",
    b"Location: ",
    b"X-Goog-Hash: crc32c=NkthMA==\r\n",
    b"\r\n\r\n",
    b"+",
    b"-",
    b" ",
    b"0x",
    b"1e3",
    b"\"",
    b"\\u0041",
    b"{}",
    b"[]",
    b",",
    b"null",
    b"true",
    b"false",
    b"&amp;",
    b"&#65;",
    b"<![CDATA[x]]>",
    b"<!-- -->",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"<Error><Code>InvalidPart</Code></Error>",
];

/// What is called, by a number, and an answer that fits.
fn seeds() -> Vec<Vec<u8>> {
    let active = "HTTP/1.1 308 Resume Incomplete\r\nRange: bytes=0-262143\r\nContent-Length: #\r\n\r\n";
    let made = format!("HTTP/1.1 200 OK\r\nX-GUploader-UploadID: id\r\nContent-Length: #\r\n\r\n{OBJECT}");
    let refused =
        format!("HTTP/1.1 412 Precondition Failed\r\nRetry-After: 7\r\nContent-Length: #\r\n\r\n{REFUSED}");
    let empty = "HTTP/1.1 204 No Content\r\nContent-Length: #\r\n\r\n";
    let read = "HTTP/1.1 200 OK\r\nX-Goog-Generation: 5\r\nX-Goog-Stored-Content-Length: 3\r\nX-Goog-Hash: crc32c=NkthMA==\r\n\
                Content-Length: #\r\n\r\nabc";
    let part = "HTTP/1.1 206 Partial Content\r\nX-Goog-Generation: 5\r\nContent-Range: bytes 1-2/3\r\nContent-Length: #\r\n\r\nbc";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let list = r#"{"kind":"storage#objects","nextPageToken":"dG9r","items":[{"name":"a","size":"1"},{"name":"b"}],"prefixes":["p/"]}"#;
    let step = r#"{"totalBytesRewritten":"1","objectSize":"3","done":false,"rewriteToken":"tok"}"#;
    let copied = format!(r#"{{"totalBytesRewritten":"3","objectSize":"3","done":true,"resource":{OBJECT}}}"#);
    let bucket =
        r#"{"metageneration":"1","location":"EU","versioning":{"enabled":true},"storageClass":"STANDARD"}"#;
    let started = "<?xml version='1.0'?><InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>ID-1</UploadId></InitiateMultipartUploadResult>";
    let parts = "<ListPartsResult xmlns='x'><IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>\
                 <Part><PartNumber>7</PartNumber><ETag>&quot;a&quot;</ETag><Size>5</Size></Part></ListPartsResult>";
    let completed = "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
    let late =
        "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
    let ok = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nX-Goog-Generation: 9\r\nETag: \"e\"\r\nContent-Length: #\r\n\r\n{body}")
    };
    let located = "HTTP/1.1 200 OK\r\nLocation: @/upload/storage/v1/b/b/o?uploadType=resumable&upload_id=X\r\nContent-Length: #\r\n\r\n";
    let mut seeds: Vec<(u8, String)> = Vec::new();
    for call in [0, 1, 2] {
        seeds.extend([
            (call, active.to_owned()),
            (call, made.clone()),
            (call, refused.clone()),
        ]);
    }
    seeds.push((3, located.to_owned()));
    seeds.push((
        4,
        "HTTP/1.1 499 Client Closed Request\r\nContent-Length: #\r\n\r\n".to_owned(),
    ));
    for call in [4, 5, 8, 10, 11, 12] {
        seeds.extend([(call, made.clone()), (call, refused.clone())]);
    }
    seeds.extend([
        (6, ok(bucket)),
        (7, empty.to_owned()),
        (9, ok(step)),
        (9, ok(&copied)),
    ]);
    seeds.extend([
        (13, read.to_owned()),
        (13, chunked.to_owned()),
        (14, part.to_owned()),
        (14, read.to_owned()),
    ]);
    seeds.extend([
        (15, read.to_owned()),
        (15, part.to_owned()),
        (16, ok(list)),
        (17, ok(list)),
        (18, ok(started)),
    ]);
    seeds.extend([
        (19, ok("")),
        (20, ok(parts)),
        (21, ok(completed)),
        (21, ok(late)),
        (22, empty.to_owned()),
    ]);
    let bytes = |(call, answer): (u8, String)| [&[call], answer.as_bytes()].concat();
    seeds.into_iter().map(bytes).collect()
}

/// `answer` with the length of its body for each `Content-Length: #`, and the peer's URL for each `Location: @`.
fn filled(answer: &[u8], base: &str) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end.map(|end| end + 4) else {
        return answer.to_vec();
    };
    let (head, body) = answer.split_at(end);
    let mut whole = Vec::new();
    let mut rest = head;
    while let Some((first, others)) = rest.split_first() {
        let length = [&whole[..], &[*first]].concat().ends_with(b"Content-Length: #");
        let place = [&whole[..], &[*first]].concat().ends_with(b"Location: @");
        match (length, place) {
            (true, _) => whole.extend_from_slice(body.len().to_string().as_bytes()),
            (_, true) => whole.extend_from_slice(base.as_bytes()),
            _ => whole.push(*first),
        }
        rest = others;
    }
    whole.extend_from_slice(body);
    whole
}

/// Takes a request and answers it with these bytes and the connection's end.
async fn answer(mut stream: TcpStream, bytes: &[u8]) {
    let mut request = Vec::new();
    let end = loop {
        if let Some(at) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let len = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let len: usize = len.map_or(0, |len| len.parse().expect("a length"));
    while request.len() < end + len {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    // Not before the client has read it.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

fn failed(error: &gcsd_gcs::Error) -> String {
    let text = error.to_string();
    let secrets = text.split("upload_id=").skip(1);
    assert!(
        secrets.clone().all(|rest| rest.starts_with("(redacted)")),
        "{error}"
    );
    assert!(error.to_string().len() < 4096, "{error}");
    format!(
        "{:?} {:?} {}",
        error.kind(),
        error.recovery(),
        words(error).chars().take(60).collect::<String>()
    )
}

/// Checks `judge` of a success, where the answer can be read in one way only.
fn outcome<T: std::fmt::Debug>(
    result: Result<T, gcsd_gcs::Error>,
    plain: Option<&Plain<'_>>,
    judge: impl FnOnce(&Plain<'_>, &T),
) -> String {
    match (result, plain) {
        (Ok(answer), Some(plain)) => {
            assert!(
                plain.status < 400 || matches!(plain.status, 404 | 410 | 499),
                "a success of {}",
                plain.status
            );
            judge(plain, &answer);
            format!(
                "done {} {}",
                plain.status,
                words(&format!("{answer:?}")).len() / 8
            )
        }
        (Ok(_), None) => "done".to_owned(),
        (Err(error), _) => failed(&error),
    }
}

fn is_status(plain: &Plain<'_>, status: &SessionStatus) {
    match status {
        SessionStatus::Active { committed } => {
            assert_eq!(plain.status, 308);
            match plain.all("range")[..] {
                [] => assert_eq!(*committed, None),
                // One that cannot be understood is not taken for none.
                [range] => assert!(committed.is_some() && *committed == plain.persisted(), "{range}"),
                _ => {}
            }
        }
        SessionStatus::Finished(object) => {
            assert!(matches!(plain.status, 200 | 201));
            is_object(&plain.json().expect("JSON"), &object.info);
        }
    }
}

fn is_made(plain: &Plain<'_>, info: &gcsd_gcs::ObjectInfo) {
    assert!(matches!(plain.status, 200 | 201), "{}", plain.status);
    is_object(&plain.json().expect("JSON"), info);
}

async fn listed(stream: Result<PageStream, gcsd_gcs::Error>) -> Result<PageStream, gcsd_gcs::Error> {
    let mut stream = stream?;
    while stream.next().await?.is_some() {}
    Ok(stream)
}

fn is_list(plain: &Plain<'_>, stream: &PageStream) {
    assert_eq!(plain.status, 200);
    let page = stream.page().expect("it was read to its end");
    // What is no JSON the client finds out: the daemon passes the bytes on.
    if let Some(json) = plain.json()
        && let Ok(once) = serde_json::to_string(&json)
        // A member that stands there twice has no one value.
        && ["items", "prefixes", "nextPageToken"].iter().all(|name| plain.text().matches(name).count() == once.matches(name).count())
        && !plain.text().contains("\\u")
    {
        is_page(&json, page);
    }
}

async fn call(gcs: &Gcs, peer: &Peer, number_of: u8, plain: Option<&Plain<'_>>) -> String {
    let of = object();
    let destination = || Destination::new(of.bucket.clone(), of.object.clone());
    let multipart = || MultipartRef {
        bucket: of.bucket.clone(),
        object: of.object.clone(),
        multipart_id: "id".to_owned(),
        user_project: None,
        key: None,
    };
    let bytes = || lend(VecDeque::from([Bytes::from_static(BODY)]), BODY.len() as u64);
    let session = peer.session();
    match number_of % 23 {
        0 => outcome(gcs.query(&session).await, plain, |plain, said| {
            is_status(plain, &said.answer)
        }),
        1 => outcome(gcs.finish(&session, 3, None).await, plain, |plain, said| {
            is_status(plain, &said.answer)
        }),
        2 => {
            let range = WriteRange {
                offset: 0,
                len: Some(3),
                total: Some(3),
                object_crc32c: None,
            };
            let (_lease, body) = bytes();
            let written = gcs.write(&session, range, body).await;
            outcome(written, plain, |plain, said| is_status(plain, &said.answer))
        }
        3 => outcome(
            gcs.start_upload(&destination(), None).await,
            plain,
            |plain, said| {
                let location = plain.all("location");
                let path = said.answer.expose().split_once("//").map_or("", |(_, rest)| rest);
                let path = path.split_once('/').map_or("", |(_, path)| path);
                assert!(location[0].contains(path), "{location:?}");
            },
        ),
        4 => outcome(gcs.cancel(&session).await, plain, |plain, said| {
            match &said.answer {
                CancelOutcome::Finished(object) => is_made(plain, &object.info),
                CancelOutcome::Cancelled => assert!(plain.status == 499 || plain.body.is_empty()),
                CancelOutcome::Unknown => assert!(matches!(plain.status, 404 | 410)),
            }
        }),
        5 => outcome(gcs.stat_object(&of).await, plain, |plain, said| {
            is_made(plain, &said.answer.info)
        }),
        6 => outcome(
            gcs.stat_bucket(&BucketRef::new(of.bucket.clone())).await,
            plain,
            |plain, said| {
                let json = plain.json().expect("JSON");
                let told = number(&json["metageneration"]).unwrap_or(0);
                assert_eq!(said.answer.info.metageneration, told);
                assert_eq!(said.answer.info.versioning, json["versioning"]["enabled"] == true);
            },
        ),
        7 => outcome(gcs.delete_object(&of).await, plain, |plain, _| {
            assert!(matches!(plain.status, 200 | 204))
        }),
        8 => {
            let sources = [ComposeSource::new(of.object.clone())];
            let composed = gcs.compose_objects(&destination(), &sources).await;
            outcome(composed, plain, |plain, said| is_made(plain, &said.answer.info))
        }
        9 => {
            let rewrite = Rewrite {
                source: of.clone(),
                destination: destination(),
                max_bytes: None,
                token: None,
            };
            outcome(gcs.rewrite_object(&rewrite).await, plain, |plain, said| {
                let json = plain.json().expect("JSON");
                let (step, _) = &said.answer;
                assert_eq!(Some(step.rewritten), number(&json["totalBytesRewritten"]));
                assert_eq!(json["done"] == true, step.object.is_some());
                match &step.object {
                    Some(info) => is_object(&json["resource"], info),
                    None => assert_eq!(step.token.as_deref(), json["rewriteToken"].as_str()),
                }
            })
        }
        10 => {
            let mut object = destination();
            object.metadata = Bytes::from_static(b"{\"contentType\":null}");
            let patched = gcs.patch_object(&object, None).await;
            outcome(patched, plain, |plain, said| is_made(plain, &said.answer.info))
        }
        11 => {
            let moved = gcs
                .move_object(&of, &of.object, &gcsd_gcs::Preconditions::default())
                .await;
            outcome(moved, plain, |plain, said| is_made(plain, &said.answer.info))
        }
        12 => {
            let (_lease, body) = bytes();
            let put = gcs.put_object(&destination(), None, body).await;
            outcome(put, plain, |plain, said| is_made(plain, &said.answer.info))
        }
        13 => read(gcs, &of, ByteRange::From(0), plain).await,
        14 => read(gcs, &of, ByteRange::Of { offset: 1, len: 2 }, plain).await,
        15 => read(gcs, &of, ByteRange::Suffix(2), plain).await,
        16 => {
            let list = gcs.list_objects(&ObjectQuery::new(of.bucket.clone())).await;
            outcome(listed(list).await, plain, is_list)
        }
        17 => outcome(
            listed(gcs.list_buckets(&BucketQuery::new("p")).await).await,
            plain,
            is_list,
        ),
        18 => outcome(gcs.start_multipart(&destination()).await, plain, |plain, said| {
            assert!(!said.answer.is_empty() && plain.text().contains("UploadId"));
        }),
        19 => {
            let (_lease, body) = bytes();
            let uploaded = gcs.upload_part(&multipart(), 1, None, body).await;
            outcome(uploaded, plain, |plain, said| {
                assert_eq!(plain.all("etag")[0], said.answer)
            })
        }
        20 => outcome(gcs.list_parts(&multipart(), 0, 10).await, plain, |plain, said| {
            let count = plain.text().matches("<Part").count();
            assert!(said.answer.parts.len() <= count.min(10));
            for part in &said.answer.parts {
                let number = part.part.number.to_string();
                assert!(plain.text().contains(&number) && !plain.text().contains(&format!("+{number}")));
            }
        }),
        21 => {
            let part = Part {
                number: 1,
                etag: "e".to_owned(),
            };
            outcome(
                gcs.complete_multipart(&multipart(), &[part]).await,
                plain,
                |plain, said| {
                    assert!(plain.text().contains("CompleteMultipartUploadResult"));
                    if let Some(told) = plain.one("x-goog-generation") {
                        assert_eq!(said.answer.generation, digits(told));
                    }
                },
            )
        }
        _ => outcome(gcs.abort_multipart(&multipart()).await, plain, |plain, _| {
            assert!(matches!(plain.status, 200 | 204 | 404));
        }),
    }
}

async fn read(gcs: &Gcs, of: &ObjectRef, range: ByteRange, plain: Option<&Plain<'_>>) -> String {
    let whole = async {
        let mut stream = gcs.read_object(of, range, false).await?;
        let mut read = Vec::new();
        while let Some(chunk) = stream.next().await? {
            read.extend_from_slice(&chunk);
        }
        Ok((stream, read))
    };
    outcome(whole.await, plain, |plain, (stream, read)| {
        let size = plain.body.len();
        let resolved = match range {
            ByteRange::From(_) => 0..size,
            ByteRange::Of { offset, len } => {
                let first = usize::try_from(offset).expect("small").min(size);
                first..(first + usize::try_from(len).expect("small")).min(size)
            }
            ByteRange::Suffix(len) => size.saturating_sub(usize::try_from(len).expect("small"))..size,
        };
        match plain.status {
            200 => assert_eq!(read, &plain.body[resolved]),
            206 => {
                let told = plain
                    .one("content-range")
                    .and_then(|text| text.strip_prefix("bytes "));
                let (first, rest) = told.and_then(|told| told.split_once('-')).expect("a range");
                let (last, size) = rest.split_once('/').expect("a size");
                let [first, last, size] = [first, last, size].map(|text| digits(text).expect("digits"));
                assert_eq!((stream.first(), read.len() as u64), (first, last + 1 - first));
                assert!(last < size);
                assert_eq!(read, plain.body);
            }
            status => panic!("a read of {status}"),
        }
        if let Some(generation) = plain.one("x-goog-generation") {
            assert_eq!(stream.info().generation, digits(generation).unwrap_or(0));
        }
    })
}

#[test]
fn answers() {
    let runtime = runtime();
    let (peer, listener) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        (Peer::listen().await, listener)
    });
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let mut config = peer.config();
    config.endpoint = base.parse().expect("an endpoint");
    let fuzz = Fuzz {
        name: "answers::answers",
        inputs: 5000,
        max_len: 4096,
        seeds: seeds(),
        words: WORDS,
    };
    fuzz.run(|input| {
        let before = panics();
        let (number_of, said) = input.split_first().unwrap_or((&0, &[]));
        let said = filled(said, &base);
        let plain = Plain::of(&said);
        let seen = runtime.block_on(async {
            // No connection is left of the call before.
            let gcs = crate::support::peer::client(config.clone());
            let serve = async {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    answer(stream, &said).await;
                }
            };
            let called = async {
                tokio::select! {
                    seen = call(&gcs, &peer, *number_of, plain.as_ref()) => seen,
                    () = serve => unreachable!("it serves for ever"),
                }
            };
            timeout(PATIENCE, Box::pin(called)).await.expect("the call ends")
        });
        assert_eq!(panics(), before, "a task has panicked");
        format!("{} {seen}", number_of % 23)
    });
}
