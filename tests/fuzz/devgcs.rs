//! devgcs's front: whatever is sent, it answers or closes; a success has stored exactly what was sent, and nothing else has changed
//! anything.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fuzz;
use super::facts::{digits, number};
use super::server::{panics, runtime};

const PATIENCE: Duration = Duration::from_secs(120);
const BUCKET: &str = "bucket";
const NAME: &str = "object";

/// An answer as a client sees it.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (of, value) = line.split_once(':')?;
            of.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends bytes and the end of them; returns the first answer that is no 1xx, or `None` where the connection just ends.
async fn send(address: std::net::SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.expect("devgcs listens");
    let (mut read, mut write) = stream.into_split();
    let sent = async {
        let _ = write.write_all(bytes).await;
        let _ = write.shutdown().await;
    };
    let mut answer = Vec::new();
    let (ended, ()) = tokio::join!(read.read_to_end(&mut answer), sent);
    // A reset behind an answer is how a server refuses the rest of a body.
    let _ = ended;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).expect("a head in ASCII");
    let status = head
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let body = answer.split_off(end + 4);
    Some(Answer { status, head, body })
}

/// The requests of a target: a head whose `Content-Length: #` is that of the body that follows.
fn filled(input: &[u8], address: &std::net::SocketAddr) -> (Vec<u8>, Option<(String, Vec<u8>)>) {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (input.to_vec(), None);
    };
    let body = input[end + 4..].to_vec();
    let Ok(head) = std::str::from_utf8(&input[..end + 4]) else {
        return (input.to_vec(), None);
    };
    let head = head.replace("Length: #", &format!("Length: {}", body.len()));
    let head = head.replace("Host: #", &format!("Host: {address}"));
    let bytes = [head.as_bytes(), &body].concat();
    (bytes, Some((head, body)))
}

/// A request that can be read in one way only: its line, and one value for each header.
struct Plain {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Plain {
    fn of(head: &str, body: &[u8]) -> Option<Self> {
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, path, version) = (words.next()?, words.next()?, words.next()?);
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            let fine = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            fine.then(|| (name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let plain = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.collect::<Option<Vec<_>>>()?,
        };
        let mut names: Vec<_> = plain.headers.iter().map(|(name, _)| name).collect();
        names.sort();
        let once = names.windows(2).all(|two| two[0] != two[1]);
        let length = plain.header("content-length") == Some(&body.len().to_string());
        let sized = length && plain.header("transfer-encoding").is_none();
        let forbidden = ["x-http-method-override", "x-goog-hash", "x-emulator-instructions"];
        let simple = forbidden.iter().all(|name| plain.header(name).is_none())
            && (plain.is_aws_chunked() || plain.header("content-encoding").is_none());
        (version == "HTTP/1.1" && words.next().is_none() && once && sized && simple).then_some(plain)
    }

    /// Whether the body is framed as Amazon does it.
    fn is_aws_chunked(&self) -> bool {
        let of = self.header("x-amz-content-sha256");
        self.header("content-encoding") == Some("aws-chunked")
            || of.is_some_and(|of| of.starts_with("STREAMING-")) && self.header("content-encoding").is_none()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| &value[..])
    }
}

/// The parts of a MIME body, by RFC 2046 alone: lines that are `--BOUNDARY` and blanks stand between them. `None` where it is not
/// well-formed.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<&'a [u8]>> {
    let dashes = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut begun = None;
    let mut at = 0;
    let mut rest = body;
    loop {
        let len = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .unwrap_or(rest.len());
        let (line, next) = (&rest[..len], at + len + 2);
        if let Some(behind) = line.strip_prefix(dashes.as_bytes()) {
            let last = behind.starts_with(b"--");
            // What follows the last boundary, or blanks, is nobody's.
            if last || behind.is_empty() || matches!(behind[0], b' ' | b'\t') {
                if let Some(begin) = begun {
                    // The line end before a boundary is part of it.
                    parts.push(body.get(begin..at.checked_sub(2)?)?);
                }
                if last {
                    return Some(parts);
                }
                begun = Some(next);
            }
        }
        rest = body.get(next..)?;
        at = next;
    }
}

/// The bytes in a body that is framed by Amazon's rules; `None` where it is not well-formed. The empty line at the end may be missing,
/// as some clients leave it out.
fn aws_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    fn line<'a>(body: &mut &'a [u8]) -> Option<&'a str> {
        let len = body.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&body[..len]).ok()?;
        *body = &body[len + 1..];
        Some(line.trim_end())
    }
    let mut whole = Vec::new();
    loop {
        let size = line(&mut body)?;
        let size = size.split(';').next()?.trim();
        let only = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(size, 16).ok().filter(|_| only)?;
        if size == 0 {
            break;
        }
        whole.extend_from_slice(body.get(..size)?);
        body = &body[size..];
        line(&mut body).filter(|line| line.is_empty())?;
    }
    while !body.is_empty() {
        if line(&mut body)?.is_empty() {
            return body.is_empty().then_some(whole);
        }
    }
    Some(whole)
}

/// What stands behind the head of a part.
fn content(part: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = part.strip_prefix(b"\r\n") {
        return Some(rest);
    }
    let end = part.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(&part[end + 4..])
}

const UPLOAD_WORDS: &[&[u8]] = &[
    b"--b",
    b"\r\n--b\r\n",
    b"\r\n--b--\r\n",
    b"--",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"boundary=b",
    b"boundary=\"b\"",
    b"; ",
    b"Content-Type: text/plain\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"{\"crc32c\":\"NkthMA==\"}",
    b"{}",
    b"uploadType=media",
    b"ifGenerationMatch=0",
    b"&",
    b"%00",
    b"%2F",
    b"+",
    b"0\r\n",
    b"3\r\n",
    b";chunk-signature=",
    b"Content-Encoding: aws-chunked\r\n",
    b"X-Amz-Decoded-Content-Length: 3\r\n",
];

fn uploads() -> Vec<Vec<u8>> {
    let post = |query: &str, headers: &str, body: &str| {
        format!("POST /upload/storage/v1/b/{BUCKET}/o?{query} HTTP/1.1\r\nHost: #\r\n{headers}\r\n{body}")
    };
    let related = "Content-Type: multipart/related; boundary=b\r\nContent-Length: #\r\n";
    let named = format!("{{\"name\":\"{NAME}\"}}");
    let json = "Content-Type: application/json\r\n\r\n";
    let two = format!("--b\r\n{json}{named}\r\n--b\r\nContent-Type: text/plain\r\n\r\nabc\r\n--b--\r\n");
    let three = format!(
        "--b\r\n{json}{named}\r\n--b\r\n\r\nabc\r\n--b\r\n{json}{{\"crc32c\":\"NkthMA==\"}}\r\n--b--\r\n"
    );
    let tricky =
        format!("pre\r\n--b\r\n{json}{named}\r\n--b\r\n\r\na\r\n--\r\n-b--b\r\nbc\r\r\n\r\n--b--\r\n");
    let media = format!("uploadType=media&name={NAME}");
    [
        post("uploadType=multipart", related, &two),
        post("uploadType=multipart", related, &three),
        post("uploadType=multipart", related, &tricky),
        post(&media, "Content-Length: #\r\n", "abc"),
        post(&media, "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post(&media, "Transfer-Encoding: chunked\r\n", "1;x=y\r\na\r\n2\r\nbc\r\n0\r\nT: u\r\n\r\n"),
        format!("PUT /{BUCKET}/{NAME} HTTP/1.1\r\nHost: #\r\nContent-Length: #\r\n\r\nabc"),
        format!(
            "PUT /{BUCKET}/{NAME} HTTP/1.1\r\nHost: #\r\nContent-Encoding: aws-chunked\r\n\
             X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Decoded-Content-Length: 3\r\nContent-Length: #\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n"
        ),
        format!(
            "PUT /{BUCKET}/{NAME} HTTP/1.1\r\nHost: #\r\nX-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n\
             X-Amz-Decoded-Content-Length: 3\r\nContent-Length: #\r\n\r\n\
             1;chunk-signature=ab\r\na\r\n2;chunk-signature=cd\r\nbc\r\n0;chunk-signature=ef\r\nx-amz-checksum-crc32c:NkthMA==\r\n\r\n"
        ),
    ]
    .map(String::into_bytes)
    .into()
}

fn judge_upload(plain: &Plain, body: &[u8], stored: &[u8], input: &str) -> String {
    let mut seen = format!("{} bytes", stored.len().min(9));
    let wanted = if plain.path.starts_with("/upload/") && plain.path.contains("uploadType=multipart") {
        let kind = plain.header("content-type").unwrap_or_default();
        // One that is written in any other way is not judged here.
        let Some(boundary) = kind.strip_prefix("multipart/related; boundary=") else {
            return seen;
        };
        if !boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()) || boundary.is_empty() {
            return seen;
        }
        // Lines that end in a bare LF are taken, too, which is not RFC 2046: not judged here.
        let bare = body
            .iter()
            .enumerate()
            .any(|(at, byte)| *byte == b'\n' && (at == 0 || body[at - 1] != b'\r'));
        if bare {
            return seen;
        }
        let parts = parts(body, boundary);
        let parts = parts.unwrap_or_else(|| panic!("a body that is not well-formed made an object: {input}"));
        assert!(
            (2..=3).contains(&parts.len()),
            "{} parts made an object: {input}",
            parts.len()
        );
        let lens: Vec<_> = parts.iter().map(|part| part.len() / 4).collect();
        seen = format!("{seen}, parts {lens:?}");
        match content(parts[1]) {
            Some(content) => content.to_vec(),
            // Its head has lines that end otherwise.
            None => return seen,
        }
    } else if plain.is_aws_chunked() {
        seen = format!("{seen} of chunks");
        let whole = aws_chunks(body);
        let whole =
            whole.unwrap_or_else(|| panic!("chunks that are not well-formed made an object: {input}"));
        if let Some(told) = plain.header("x-amz-decoded-content-length") {
            assert_eq!(digits(told), Some(whole.len() as u64), "{input}");
        }
        whole
    } else {
        body.to_vec()
    };
    assert_eq!(stored, wanted, "it stored something else: {input}");
    seen
}

/// A devgcs with a bucket, and what it runs in.
fn emulator() -> (tokio::runtime::Runtime, devgcs::Server) {
    let runtime = runtime();
    let server = runtime.block_on(devgcs::Server::builder().bucket(BUCKET).start());
    (runtime, server.expect("devgcs"))
}

#[test]
fn uploads_in_one_request() {
    let (runtime, server) = emulator();
    let address = server.address();
    let fuzz = Fuzz {
        name: "devgcs::uploads_in_one_request",
        inputs: 2500,
        max_len: 2048,
        seeds: uploads(),
        words: UPLOAD_WORDS,
    };
    fuzz.run(|input| {
        let before = panics();
        let (bytes, parsed) = filled(input, &address);
        let names = server.object_names(BUCKET);
        let generations = |names: &[String]| {
            let objects = names.iter().filter_map(|name| server.object(BUCKET, name));
            objects.map(|object| object.generation).collect::<Vec<_>>()
        };
        let old = generations(&names);
        let answer = runtime.block_on(async { timeout(PATIENCE, send(address, &bytes)).await });
        let answer = answer.expect("it answers or closes");
        assert_eq!(panics(), before, "a task has panicked");
        let Some(answer) = answer else {
            return "no answer".to_owned();
        };
        let shown = bytes.escape_ascii().to_string();
        assert_ne!(answer.status, 500, "{shown}");
        let now = server.object_names(BUCKET);
        let changed = old != generations(&now);
        let mut judged = "not judged".to_owned();
        if !(200..300).contains(&answer.status) {
            assert!(
                !changed || answer.status == 100,
                "{} changed something: {shown}",
                answer.status
            );
            let words = super::wire::words(&String::from_utf8_lossy(&answer.body));
            return format!("{} {}", answer.status, words.chars().take(80).collect::<String>());
        }
        if let Some((head, body)) = &parsed
            && let Some(plain) = Plain::of(head, body)
            && matches!(&plain.method[..], "POST" | "PUT")
            && changed
        {
            let made: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let name = made["name"]
                .as_str()
                .map_or_else(|| NAME.to_owned(), str::to_owned);
            if let Some(object) = server.object(BUCKET, &name)
                && !old.contains(&object.generation)
            {
                if made.is_object() {
                    assert_eq!(number(&made["generation"]), Some(object.generation));
                }
                let stored = runtime
                    .block_on(server.object_bytes(BUCKET, &name))
                    .expect("it is there");
                judged = judge_upload(&plain, body, &stored, &shown);
            }
        }
        format!("{} {} {judged}", answer.status, now.len().min(9))
    });
    runtime.block_on(server.shutdown());
}

/// What a session holds before, in half of the inputs.
static HELD: [u8; 262_144] = [b'x'; 262_144];

const RANGE_WORDS: &[&[u8]] = &[
    b"bytes ",
    b"bytes */*",
    b"bytes */3",
    b"0-2/3",
    b"0-2/*",
    b"0-262143/*",
    b"*",
    b"/",
    b"-",
    b"+",
    b" ",
    b"18446744073709551615",
    b"9223372036854775807",
    b"5497558138881",
    b"Content-Range: ",
    b"Transfer-Encoding: chunked\r\n",
];

/// What is sent to a session: whether it holds 256 KiB already, `CONTENT-RANGE`, a line end, and the body.
fn ranges() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "0bytes 0-2/3\nabc",
        "0bytes */*\n",
        "0bytes 18446744073709551615-*/*\nabc",
        "0bytes */0\n",
        "0bytes */3\n",
        "0bytes 0-*/*\nabc",
        "0bytes 0-2/*\nabc",
        "0bytes 5-7/8\nabc",
        "1bytes 262144-262146/262147\nabc",
        "1bytes 262141-262146/262147\nxxxabc",
        "1bytes */262144\n",
        "1bytes */*\n",
        "1bytes 262144-*/*\nabc",
        "1bytes 7-9/*\nxxx",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    seeds.push([b"0bytes 0-262143/*\n".as_slice(), &vec![b'x'; 262_144]].concat());
    seeds.push([b"0bytes 0-262143/262144\n".as_slice(), &vec![b'x'; 262_144]].concat());
    seeds.push([b"1bytes 262144-524287/*\n".as_slice(), &vec![b'y'; 262_144]].concat());
    seeds
}

/// The first byte, and the end where it is named.
type Bounds = (u64, Option<u64>);

/// What GCS documents of a `Content-Range`: first byte, end and total; `None` for one that it does not have.
fn range_by_the_book(text: &str) -> Option<(Option<Bounds>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (range, total) = (range.trim(), total.trim());
    let total = if total == "*" { None } else { Some(digits(total)?) };
    if range == "*" {
        return Some((None, total));
    }
    let (first, last) = range.split_once('-')?;
    let first = digits(first)?;
    let end = if last == "*" {
        None
    } else {
        Some(digits(last)?.checked_add(1)?)
    };
    end.is_none_or(|end| first < end)
        .then_some((Some((first, end)), total))
}

#[test]
fn content_ranges() {
    let (runtime, server) = emulator();
    let address = server.address();
    let fuzz = Fuzz {
        name: "devgcs::content_ranges",
        inputs: 1200,
        max_len: 300_000,
        seeds: ranges(),
        words: RANGE_WORDS,
    };
    let mut count = 0;
    fuzz.run(|input| {
        let before = panics();
        count += 1;
        let (first, input) = input.split_first().unwrap_or((&b'0', &[]));
        let held: u64 = if first.is_multiple_of(2) { 0 } else { 262_144 };
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (range, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
        let shown = format!("{} behind {held}", range.escape_ascii());
        let name = format!("object-{count}");
        let start = format!(
            "POST /upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name={name} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"
        );
        let write = async {
            let started = send(address, start.as_bytes()).await.expect("a session");
            let location = started.header("location").expect("a session").to_owned();
            let (_, path) = location
                .split_once("//")
                .and_then(|(_, rest)| rest.split_once('/'))
                .expect("a URL");
            let put = async |range: &[u8], body: &[u8]| {
                let len = body.len();
                let head = format!("PUT /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len}\r\nContent-Range: ");
                let bytes = [head.as_bytes(), range, b"\r\n\r\n", body].concat();
                send(address, &bytes).await
            };
            if held > 0 {
                let answer = put(b"bytes 0-262143/*", &HELD).await.expect("an answer");
                assert_eq!(answer.status, 308);
            }
            put(range, body).await
        };
        let answer = runtime
            .block_on(async { timeout(PATIENCE, write).await })
            .expect("it answers or closes");
        assert_eq!(panics(), before, "a task has panicked");
        let Some(answer) = answer else {
            return "no answer".to_owned();
        };
        assert_ne!(answer.status, 500, "{shown}");
        let stored = runtime.block_on(server.object_bytes(BUCKET, &name)).ok();
        let len = body.len() as u64;
        // What leads out of the header is judged by its answer alone.
        let Some(text) = std::str::from_utf8(range).ok().filter(|text| !text.contains('\r')) else {
            return format!("{} in another header", answer.status);
        };
        let told = range_by_the_book(text.trim());
        match answer.status {
            200 | 201 => {
                let Some((range, total)) = told else {
                    panic!("{shown} made an object")
                };
                let (first, end) = range.unwrap_or((held, Some(held)));
                assert!(first <= held, "{shown} made an object");
                let all = first + len;
                assert!(
                    end.is_none_or(|end| end == all) && total.is_none_or(|total| total == all),
                    "{shown} made an object of {all}"
                );
                assert!(
                    end.is_none() || total.is_some(),
                    "{shown} is not the last, and made an object"
                );
                let known = usize::try_from(held - first).expect("small").min(body.len());
                let held = usize::try_from(held).expect("small");
                let wanted = [&HELD[..held], &body[known..]].concat();
                assert_eq!(stored, Some(wanted), "{shown} stored something else");
            }
            308 => {
                assert_eq!(stored, None, "{shown} made an object and did not say so");
                let Some((range, _)) = told else { panic!("{shown} was understood") };
                let persisted = answer.header("range").map_or(0, |range| {
                    let last = range.strip_prefix("bytes=0-").and_then(digits);
                    last.expect("a range") + 1
                });
                let most = range.map_or(held, |(first, _)| held.max(first.saturating_add(len)));
                assert!(
                    (held..=most).contains(&persisted) && persisted.is_multiple_of(262_144),
                    "{shown}: {persisted} of {most}"
                );
            }
            _ => assert_eq!(stored, None, "{shown}: {} made an object", answer.status),
        }
        format!(
            "{} {held} {:?} {}",
            answer.status,
            told.map(|(range, total)| (range.is_some(), total.is_some())),
            answer.header("range").is_some()
        )
    });
    runtime.block_on(server.shutdown());
}

const XML_WORDS: &[&[u8]] = &[
    b"<Part>",
    b"</Part>",
    b"<PartNumber>1</PartNumber>",
    b"<PartNumber>2</PartNumber>",
    b"<PartNumber>",
    b"<ETag>@</ETag>",
    b"<ETag/>",
    b"&quot;",
    b"&#49;",
    b"&#x31;",
    b"<![CDATA[1]]>",
    b"<!-- x -->",
    b"<?x y?>",
    b"<!DOCTYPE a [<!ENTITY b \"1\">]>",
    b"xmlns='x'",
    b"+1",
    b"-1",
    b"01",
    b"10001",
];

/// Lists of the one part that there is, whose tag stands for `@`.
fn lists() -> Vec<Vec<u8>> {
    let list =
        |parts: &str| format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes();
    vec![
        list("<Part><PartNumber>1</PartNumber><ETag>@</ETag></Part>"),
        list("<Part><ETag>@</ETag><PartNumber>1</PartNumber></Part>"),
        list("<Part><PartNumber>1</PartNumber><ETag>@</ETag></Part><Part><PartNumber>2</PartNumber><ETag>@</ETag></Part>"),
        list("<Part><PartNumber>2</PartNumber><ETag>@</ETag></Part><Part><PartNumber>1</PartNumber><ETag>@</ETag></Part>"),
        list(""),
        b"<?xml version='1.0'?><n:CompleteMultipartUpload xmlns:n='x'> <n:Part>\n<n:PartNumber> 1 </n:PartNumber><n:ETag>@</n:ETag></n:Part></n:CompleteMultipartUpload>".to_vec(),
    ]
}

#[test]
fn lists_of_parts() {
    let (runtime, server) = emulator();
    let address = server.address();
    let fuzz = Fuzz {
        name: "devgcs::lists_of_parts",
        inputs: 1200,
        max_len: 2048,
        seeds: lists(),
        words: XML_WORDS,
    };
    let mut count = 0;
    fuzz.run(|input| {
        let before = panics();
        count += 1;
        let name = format!("object-{count}");
        let request = |method: &str, query: &str, body: &[u8]| {
            let head = format!(
                "{method} /{BUCKET}/{name}?{query} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        let complete = async {
            let started = send(address, &request("POST", "uploads", b""))
                .await
                .expect("an upload");
            let text = String::from_utf8(started.body).expect("XML");
            let id = text
                .split("UploadId>")
                .nth(1)
                .and_then(|id| id.split('<').next())
                .expect("an id")
                .to_owned();
            for (number, bytes) in [(1, &b"abc"[..]), (2, b"def")] {
                let query = format!("partNumber={number}&uploadId={id}");
                let part = send(address, &request("PUT", &query, bytes))
                    .await
                    .expect("a part");
                assert_eq!(part.status, 200);
            }
            let parts = send(address, &request("GET", &format!("uploadId={id}"), b""))
                .await
                .expect("parts");
            let text = String::from_utf8(parts.body).expect("XML");
            let tag = text
                .split("<ETag>")
                .nth(1)
                .and_then(|tag| tag.split('<').next())
                .expect("a tag")
                .to_owned();
            let mut list = Vec::new();
            for byte in input {
                match byte {
                    b'@' => list.extend_from_slice(tag.as_bytes()),
                    byte => list.push(*byte),
                }
            }
            send(address, &request("POST", &format!("uploadId={id}"), &list)).await
        };
        let answer = runtime
            .block_on(async { timeout(PATIENCE, complete).await })
            .expect("it answers or closes");
        assert_eq!(panics(), before, "a task has panicked");
        let answer = answer.expect("an answer");
        let shown = input.escape_ascii().to_string();
        assert_ne!(answer.status, 500, "{shown}");
        let stored = runtime.block_on(server.object_bytes(BUCKET, &name)).ok();
        if answer.status == 200 {
            let text = String::from_utf8_lossy(input);
            // The second part's tag is not known to the list: only the first can be in it.
            assert_eq!(stored.as_deref(), Some(&b"abc"[..]), "{shown}");
            let named = ["PartNumber", "ETag"].iter().all(|name| text.contains(name));
            assert!(named && text.contains('@'), "{shown} names no part");
            // Only what can be read in one way is judged.
            if !["&", "<!", "<?"].iter().any(|mark| text.contains(mark)) {
                for number in text.split("<PartNumber>").skip(1) {
                    let (number, rest) = number.split_once('<').unwrap_or_default();
                    let leaf = rest.starts_with("/PartNumber>");
                    assert!(
                        !leaf || digits(number.trim()).is_some(),
                        "{shown}: '{number}' is no number"
                    );
                }
            }
        } else {
            assert_eq!(stored, None, "{} made an object: {shown}", answer.status);
        }
        let words = super::wire::words(&String::from_utf8_lossy(&answer.body));
        format!(
            "{} {}",
            answer.status,
            words.chars().take(120).collect::<String>()
        )
    });
    runtime.block_on(server.shutdown());
}
