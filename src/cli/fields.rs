//! A frame as named fields, for `gcsd decode`.

#[path = "fields_objects.rs"]
mod objects;

use bytes::Bytes;
use serde_json::{Value, json};

use gcsd_client::one_line;
use gcsd_types::{EncryptionKey, MultipartRef, ObjectInfo, Preconditions};
use gcsd_wire::progress::Progress;
use gcsd_wire::read_at::{self, Range};
use gcsd_wire::{ErrorReply, Reply, Request, Status, abort_multipart, attach_upload, cancel_upload};
use objects::source;

/// Named values in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Adds a field.
    pub(super) fn add(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    /// Adds a field that may be absent.
    fn maybe(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// One JSON object on one line.
    pub(super) fn json(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        one_line(&format!("{{{}}}", pairs.join(",")))
    }

    /// One line for people: the first fields as words, the others as `name=value`.
    pub(super) fn text(&self, words: usize) -> String {
        let shown = self.0.iter().enumerate().map(|(at, (name, value))| {
            let text = match value {
                Value::String(text) if plain(text) => text.clone(),
                other => other.to_string(),
            };
            match value {
                _ if at < words => text,
                Value::Bool(true) => (*name).to_owned(),
                _ => format!("{name}={text}"),
            }
        });
        one_line(&shown.collect::<Vec<_>>().join(" "))
    }

    /// The args of a request.
    pub(super) fn request(&mut self, request: &Request, show_token: bool) {
        match request {
            Request::Hello(args) => {
                self.add("min_version", args.min_version);
                self.add("max_version", args.max_version);
                self.add("features", args.features);
                self.add(
                    "secret",
                    if args.secret.is_empty() {
                        "none"
                    } else {
                        "[hidden]"
                    },
                );
            }
            Request::Ping(args) => self.add("echo", bytes(&args.echo)),
            Request::StartUpload(args) => self.sized_destination(&args.destination, args.size),
            Request::WriteAt(args) => {
                self.add("offset", args.offset);
                self.maybe("total", args.total);
                self.maybe("object_crc32c", args.object_crc32c.map(|crc| crc.to_base64()));
            }
            Request::FinishUpload(args) => {
                self.add("total", args.total);
                self.maybe("object_crc32c", args.object_crc32c.map(|crc| crc.to_base64()));
            }
            Request::AttachUpload(attach_upload::Args { token, key }) => {
                self.token(token, show_token);
                self.key("key", key.as_ref());
            }
            Request::ReadAt(args) => {
                self.object_ref(&args.of);
                match args.range {
                    Range::From(offset) => self.add("offset", offset),
                    Range::Of { offset, len } => {
                        self.add("offset", offset);
                        self.add("len", len);
                    }
                    Range::Suffix(len) => self.add("last", len),
                }
                if args.decompress {
                    self.add("decompress", true);
                }
            }
            Request::StatObject(args) => self.object_ref(&args.of),
            Request::DeleteObject(args) => self.object_ref(&args.of),
            Request::ListObjects(args) => self.query(&args.query),
            Request::StartMultipart(args) => self.destination(&args.destination),
            Request::UploadPart(args) => {
                self.multipart(&args.of);
                self.add("part_number", args.part_number);
                self.maybe("part_crc32c", args.part_crc32c.map(|crc| crc.to_base64()));
            }
            Request::ListParts(args) => {
                self.multipart(&args.of);
                self.add("after", args.after);
                self.add("max_parts", args.max_parts);
            }
            Request::CompleteMultipart(args) => self.multipart(&args.of),
            Request::AbortMultipart(args) => self.multipart(&args.of),
            Request::PutObject(args) => {
                self.destination(&args.destination);
                self.maybe("object_crc32c", args.object_crc32c.map(|crc| crc.to_base64()));
            }
            Request::ComposeObjects(args) => {
                self.destination(&args.destination);
                self.add("sources", args.sources.iter().map(source).collect::<Vec<_>>());
            }
            Request::RewriteObject(args) => self.rewrite(&args.rewrite),
            Request::PatchObject(args) => {
                self.destination(&args.object);
                self.maybe("generation", args.generation);
            }
            Request::MoveObject(args) => {
                self.object_ref(&args.source);
                self.add("destination", args.destination.as_str());
                self.conditions("destination_conditions", &args.preconditions);
            }
            Request::ListBuckets(args) => self.bucket_query(&args.query),
            Request::StatBucket(args) => self.bucket_ref(&args.of),
            Request::QueryUpload(_) | Request::CancelUpload(_) | Request::DetachUpload(_) => {}
        }
    }

    /// The args of a reply that says ok.
    pub(super) fn reply(&mut self, reply: &Reply, show_token: bool) {
        match reply {
            Reply::Hello(args) => {
                self.add("server", args.server.as_str());
                self.add("version", args.version);
                self.add("features", args.features);
                self.add("max_args", args.max_args);
                self.add("max_in_flight", args.max_in_flight);
                self.add("max_uploads", args.max_uploads);
                self.add("alignment", args.alignment);
                self.add("drain_cap", args.drain_cap);
                self.add("idle_timeout_ms", args.idle_timeout_ms);
                self.add("client_timeout_ms", args.client_timeout_ms);
                self.add("gcs_timeout_ms", args.gcs_timeout_ms);
            }
            Reply::Ping(args) => self.add("echo", bytes(&args.echo)),
            Reply::StartUpload(args) => {
                self.token(&args.token, show_token);
                self.expires(args.expires);
            }
            Reply::WriteAt(progress) => {
                self.progress(progress);
                self.add("received", progress.received);
                self.add("received_crc32c", progress.received_crc32c.to_base64());
            }
            Reply::QueryUpload(progress) | Reply::FinishUpload(progress) => self.progress(progress),
            Reply::StartMultipart(args) => self.add("multipart_id", args.multipart_id.as_str()),
            Reply::UploadPart(args) => {
                self.add("etag", args.etag.as_str());
                self.add("received", args.received);
                self.add("received_crc32c", args.received_crc32c.to_base64());
            }
            Reply::ListParts(page) => {
                let parts = page.parts.iter().map(|stored| {
                    json!({"number": stored.part.number, "etag": stored.part.etag, "size": stored.size})
                });
                self.add("parts", parts.collect::<Vec<_>>());
                self.maybe("next_after", page.next_after);
            }
            Reply::CompleteMultipart(args) => {
                self.maybe("generation", args.generation);
                self.maybe("crc32c", args.crc32c.map(|crc| crc.to_base64()));
                self.add("etag", args.etag.as_str());
            }
            Reply::AbortMultipart(outcome) => {
                let outcome = match outcome {
                    abort_multipart::Reply::Aborted => "aborted",
                    abort_multipart::Reply::Unknown => "unknown",
                };
                self.add("outcome", outcome);
            }
            Reply::PutObject(args) => {
                self.object(&args.object);
                self.add("received", args.received);
                self.add("received_crc32c", args.received_crc32c.to_base64());
            }
            Reply::CancelUpload(outcome) => match outcome {
                cancel_upload::Reply::Cancelled => self.add("outcome", "cancelled"),
                cancel_upload::Reply::Finished { generation } => {
                    self.add("outcome", "finished");
                    self.add("generation", *generation);
                }
                cancel_upload::Reply::Unknown => self.add("outcome", "unknown"),
            },
            Reply::AttachUpload(args) => {
                self.add("bucket", args.bucket.as_str());
                self.add("object", args.object.as_str());
                self.expires(args.expires);
            }
            Reply::DetachUpload(_) | Reply::DeleteObject(_) => {}
            Reply::ReadAt(read_at::Reply::Start(start)) => {
                self.add("part", "start");
                self.add("offset", start.offset);
                self.maybe("len", start.len);
                self.object(&start.object);
            }
            Reply::ReadAt(read_at::Reply::Piece) => self.add("part", "piece"),
            Reply::ReadAt(read_at::Reply::End(end)) => {
                self.add("part", "end");
                self.add("sent", end.sent);
                self.add("crc32c", end.crc32c.to_base64());
            }
            Reply::StatObject(args)
            | Reply::ComposeObjects(args)
            | Reply::PatchObject(args)
            | Reply::MoveObject(args) => self.object(&args.object),
            Reply::ListObjects(page) | Reply::ListBuckets(page) => self.page(page),
            Reply::RewriteObject(args) => self.rewritten(&args.rewritten),
            Reply::StatBucket(args) => self.bucket(&args.bucket),
        }
    }

    /// The status of a reply, and the args of an error.
    pub(super) fn error(&mut self, status: Status, error: &ErrorReply) {
        self.add("code", format!("{:#06x}", status.0));
        self.maybe("layer", status.layer().map(|layer| layer.name()));
        self.maybe("retry", status.retry().map(|retry| retry.name()));
        self.maybe("committed", error.committed);
        if error.retry_after_ms > 0 {
            self.add("retry_after_ms", error.retry_after_ms);
        }
        self.add("message", error.message.as_str());
        self.maybe("reason", error.reason.as_deref());
        self.maybe("request_id", error.request_id.as_deref());
    }

    fn multipart(&mut self, of: &MultipartRef) {
        self.add("bucket", of.bucket.as_str());
        self.add("object", of.object.as_str());
        self.add("multipart_id", of.multipart_id.as_str());
        self.maybe("user_project", of.user_project.as_deref());
        self.key("key", of.key.as_ref());
    }

    /// Whether there is an encryption key.
    fn key(&mut self, name: &'static str, key: Option<&EncryptionKey>) {
        self.maybe(name, key.map(|_| "[hidden]"));
    }

    fn preconditions(&mut self, of: &Preconditions) {
        self.maybe("if_generation_match", of.if_generation_match);
        self.maybe("if_generation_not_match", of.if_generation_not_match);
        self.maybe("if_metageneration_match", of.if_metageneration_match);
        self.maybe("if_metageneration_not_match", of.if_metageneration_not_match);
    }

    fn progress(&mut self, progress: &Progress) {
        self.add("committed", progress.committed);
        self.add("finished", progress.object.is_some());
        if let Some(object) = &progress.object {
            self.object(object);
        }
    }

    fn object(&mut self, object: &ObjectInfo) {
        self.add("generation", object.generation);
        self.add("metageneration", object.metageneration);
        self.add("size", object.size);
        self.maybe("crc32c", object.crc32c.map(|crc| crc.to_base64()));
        self.maybe("md5", object.md5.map(|md5| hex(&md5)));
    }

    fn token(&mut self, token: &str, show: bool) {
        self.add("token", if show { token } else { "[hidden]" });
    }

    fn expires(&mut self, expires: u64) {
        let time = i64::try_from(expires).ok();
        let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        self.add(
            "expires",
            time.map_or_else(|| json!(expires), |time| json!(time.to_string())),
        );
    }
}

/// Whether text can stand in a line as it is.
fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

/// Bytes as text where they are, else in hexadecimal.
fn bytes(bytes: &Bytes) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("0x{}", hex(bytes)),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body that should be JSON.
pub(super) fn json_or_text(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}
