//! The calls on objects and lists, byte by byte: what is asked, and what the ends of it mean.

use bytes::Bytes;
use gcsd_gcs::{Error, ErrorKind, Gcs, PageStream, Recovery};
use gcsd_types::{
    ComposeSource, Destination, EncryptionKey, ObjectQuery, ObjectRef, Page, Preconditions, Rewrite,
};

use crate::support::peer::{Conversation, Peer, object, patiently, response};

/// Makes a call of a peer that sends `answer`, or resets where there is none. Gives the request's head and body, too.
async fn asked<T>(answer: Option<&str>, call: impl AsyncFnOnce(&Gcs) -> T) -> (T, String, String) {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let serve = async {
        let mut server = peer.accept().await;
        let head = server.head().await;
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |len| len.parse().expect("a length"));
        let body = String::from_utf8(server.body(len).await).expect("text");
        match answer {
            Some(answer) => server.send(answer).await,
            None => server.reset(),
        }
        (head, body)
    };
    let (outcome, (head, body)) = patiently(async { tokio::join!(call(&gcs), serve) }).await;
    (outcome, head, body)
}

fn described() -> String {
    response(
        "200 OK",
        "X-GUploader-UploadID: id-1\r\n",
        r#"{"generation":"5","size":"3"}"#,
    )
}

fn composition() -> (Destination, Vec<ComposeSource>) {
    let object = object();
    let destination = Destination::new(object.bucket, object.object);
    (
        destination,
        vec![ComposeSource::new("c d".parse().expect("a name"))],
    )
}

#[tokio::test]
async fn a_deletion_names_the_generation_and_the_conditions() {
    let of = ObjectRef {
        generation: Some(7),
        preconditions: Preconditions {
            if_metageneration_match: Some(2),
            ..Preconditions::default()
        },
        user_project: Some("payer".into()),
        ..object()
    };
    let answer = response("204 No Content", "X-GUploader-UploadID: id-1\r\n", "");
    let (deleted, head, _) = asked(Some(&answer), async |gcs| gcs.delete_object(&of).await).await;
    let deleted = deleted.expect("deleted");
    assert_eq!(
        (deleted.http_status, deleted.request_id.as_deref()),
        (204, Some("id-1"))
    );
    let line = "DELETE /storage/v1/b/bucket/o/a%2Fb?generation=7&ifMetagenerationMatch=2&userProject=payer ";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("content-length: 0"), "{head}");
}

#[tokio::test]
async fn a_composition_carries_everything_it_was_given() {
    let (mut destination, mut sources) = composition();
    destination.preconditions.if_generation_match = Some(0);
    destination.kms_key_name = Some("projects/p".into());
    destination.predefined_acl = Some("publicRead".into());
    destination.user_project = Some("payer".into());
    destination.fields = Some("name".into());
    destination.metadata = Bytes::from_static(br#"{"contentType":"text/plain"}"#);
    destination.key = Some(EncryptionKey::new([0; 32]));
    sources[0].generation = Some(9);
    let call = async |gcs: &Gcs| gcs.compose_objects(&destination, &sources).await;
    let (composed, head, body) = asked(Some(&described()), call).await;
    assert_eq!(composed.expect("composed").answer.info.generation, 5);
    let line = "POST /storage/v1/b/bucket/o/a%2Fb/compose?ifGenerationMatch=0&kmsKeyName=projects%2Fp\
                &destinationPredefinedAcl=publicRead&userProject=payer\
                &fields=name%2Cgeneration%2Cmetageneration%2Csize%2Ccrc32c%2Cmd5Hash ";
    assert!(head.starts_with(line), "{head}");
    for header in [
        "content-type: application/json; charset=UTF-8",
        "x-goog-encryption-algorithm: AES256",
        "x-goog-encryption-key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "x-goog-encryption-key-sha256: Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!(
        body,
        r#"{"destination":{"contentType":"text/plain"},"sourceObjects":[{"name":"c d","generation":"9"}]}"#
    );
}

#[tokio::test]
async fn metadata_that_names_another_object_is_not_sent() {
    let gcs = Peer::listen().await.gcs();
    let (mut destination, sources) = composition();
    destination.metadata = Bytes::from_static(br#"{"name":"other"}"#);
    let error = gcs
        .compose_objects(&destination, &sources)
        .await
        .expect_err("refused");
    assert_eq!((error.kind(), error.request_sent()), (ErrorKind::Invalid, false));
    assert_eq!(error.recovery(), Recovery::Never);
}

/// What is to be done after each way in which a change can fail.
async fn recoveries<T>(call: impl AsyncFn(&Gcs) -> Result<T, Error>) -> Vec<Recovery> {
    let mut recoveries = Vec::new();
    for answer in [
        None,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        Some("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        Some("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        Some("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"),
        Some("HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"),
        Some("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let (outcome, _, _) = asked(answer, &call).await;
        match outcome {
            Err(error) => recoveries.push(error.recovery()),
            Ok(_) => panic!("it cannot have succeeded: {answer:?}"),
        }
    }
    recoveries
}

#[tokio::test]
async fn a_change_is_repeated_only_where_it_can_happen_once() {
    use Recovery::{Never, Query, Same};
    let once = [Same, Same, Same, Same, Same, Never, Never];
    let unknown = [Query, Query, Query, Query, Same, Never, Never];
    let mut of = object();
    assert_eq!(
        recoveries(async |gcs| gcs.delete_object(&of).await).await,
        unknown
    );
    of.preconditions.if_metageneration_match = Some(1);
    assert_eq!(
        recoveries(async |gcs| gcs.delete_object(&of).await).await,
        unknown
    );
    of.generation = Some(7);
    assert_eq!(recoveries(async |gcs| gcs.delete_object(&of).await).await, once);
    of.generation = None;
    of.preconditions.if_generation_match = Some(7);
    assert_eq!(recoveries(async |gcs| gcs.delete_object(&of).await).await, once);

    let (mut destination, sources) = composition();
    let compose = async |gcs: &Gcs| gcs.compose_objects(&destination, &sources).await;
    assert_eq!(recoveries(compose).await, unknown);
    destination.preconditions.if_generation_match = Some(0);
    let compose = async |gcs: &Gcs| gcs.compose_objects(&destination, &sources).await;
    assert_eq!(recoveries(compose).await, once);
}

#[tokio::test]
async fn what_did_not_reach_gcs_is_sent_again() {
    let (gcs, of) = {
        let peer = Peer::listen().await;
        (peer.gcs(), object())
    };
    let error = patiently(gcs.delete_object(&of))
        .await
        .expect_err("nobody listens");
    assert_eq!((error.request_sent(), error.recovery()), (false, Recovery::Same));
}

#[tokio::test]
async fn a_copy_carries_everything_it_was_given() {
    let object = ObjectRef {
        generation: Some(9),
        preconditions: Preconditions {
            if_generation_match: Some(1),
            if_metageneration_not_match: Some(2),
            ..Preconditions::default()
        },
        key: Some(EncryptionKey::new([1; 32])),
        ..object()
    };
    let destination = Destination {
        preconditions: Preconditions {
            if_generation_match: Some(0),
            ..Preconditions::default()
        },
        kms_key_name: Some("k".into()),
        predefined_acl: Some("publicRead".into()),
        metadata: Bytes::from_static(b"{}"),
        key: Some(EncryptionKey::new([0; 32])),
        ..Destination::new("other".parse().expect("a name"), "c/d".parse().expect("a name"))
    };
    let rewrite = Rewrite {
        source: object,
        destination,
        max_bytes: Some(1 << 20),
        token: Some("t=".into()),
    };
    let answer =
        r#"{"done":true,"totalBytesRewritten":"3","objectSize":3,"resource":{"generation":"5","size":"3"}}"#;
    let call = async |gcs: &Gcs| gcs.rewrite_object(&rewrite).await;
    let (copied, head, body) = asked(Some(&response("200 OK", "", answer)), call).await;
    let (copied, json) = copied.expect("copied").answer;
    assert_eq!((copied.rewritten, copied.size, copied.token), (3, 3, None));
    assert_eq!(
        (copied.object.map(|object| object.generation), &json[..]),
        (Some(5), answer.as_bytes())
    );
    let line = "POST /storage/v1/b/bucket/o/a%2Fb/rewriteTo/b/other/o/c%2Fd?sourceGeneration=9&ifSourceGenerationMatch=1\
                &ifSourceMetagenerationNotMatch=2&ifGenerationMatch=0&destinationKmsKeyName=k\
                &destinationPredefinedAcl=publicRead&maxBytesRewrittenPerCall=1048576&rewriteToken=t%3D HTTP";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("x-goog-encryption-key: AAAA"), "{head}");
    assert!(
        head.contains("x-goog-copy-source-encryption-algorithm: AES256"),
        "{head}"
    );
    assert!(head.contains("x-goog-copy-source-encryption-key: AQEB"), "{head}");
    assert!(
        head.contains("x-goog-copy-source-encryption-key-sha256: "),
        "{head}"
    );
    assert_eq!(body, "{}");

    // A step that is not the last must name the next one; one that is must show the copy.
    for bad in [
        r#"{"done":false,"totalBytesRewritten":"1","objectSize":"3"}"#,
        r#"{"done":true,"totalBytesRewritten":"3","objectSize":"3"}"#,
        r#"{"done":true,"resource":{"generation":"5","size":"3"}}"#,
        "{}",
    ] {
        let call = async |gcs: &Gcs| gcs.rewrite_object(&rewrite).await;
        let (copied, _, _) = asked(Some(&response("200 OK", "", bad)), call).await;
        let error = copied.expect_err("no answer of GCS");
        assert_eq!(
            (error.kind(), error.recovery()),
            (ErrorKind::BadResponse, Recovery::Same),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_patch_and_a_move_say_what_and_when() {
    let patch = Destination {
        preconditions: Preconditions {
            if_metageneration_match: Some(4),
            ..Preconditions::default()
        },
        predefined_acl: Some("private".into()),
        user_project: Some("payer".into()),
        metadata: Bytes::from_static(br#"{"contentType":null}"#),
        ..composition().0
    };
    let call = async |gcs: &Gcs| gcs.patch_object(&patch, Some(7)).await;
    let (patched, head, body) = asked(Some(&described()), call).await;
    assert_eq!(patched.expect("patched").answer.info.size, 3);
    let line = "PATCH /storage/v1/b/bucket/o/a%2Fb?generation=7&ifMetagenerationMatch=4&predefinedAcl=private\
                &userProject=payer HTTP";
    assert!(head.starts_with(line), "{head}");
    assert_eq!(body, r#"{"contentType":null}"#);

    let mut source = object();
    source.preconditions.if_generation_match = Some(7);
    source.user_project = Some("payer".into());
    let new_name = "c d".parse().expect("a name");
    let conditions = Preconditions {
        if_generation_match: Some(0),
        ..Preconditions::default()
    };
    let call = async |gcs: &Gcs| gcs.move_object(&source, &new_name, &conditions).await;
    let (moved, head, body) = asked(Some(&described()), call).await;
    assert_eq!(moved.expect("moved").answer.info.generation, 5);
    let line = "POST /storage/v1/b/bucket/o/a%2Fb/moveTo/o/c%20d?ifSourceGenerationMatch=7&ifGenerationMatch=0\
                &userProject=payer HTTP";
    assert!(head.starts_with(line), "{head}");
    assert_eq!(body, "");
}

async fn collect(stream: &mut PageStream) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert!(stream.next().await?.is_none(), "the end stays the end");
    Ok(String::from_utf8(bytes).expect("text"))
}

async fn list(query: &ObjectQuery, answer: &str) -> (Result<(String, Page), Error>, String) {
    let call = async |gcs: &Gcs| {
        let mut stream = gcs.list_objects(query).await?;
        assert_eq!((stream.http_status(), stream.page()), (200, None));
        let json = collect(&mut stream).await?;
        Ok((json, stream.page().expect("an end").clone()))
    };
    let (listed, head, _) = asked(Some(answer), call).await;
    (listed, head)
}

#[tokio::test]
async fn a_list_asks_for_what_it_was_told_and_passes_the_json_through() {
    let mut query = ObjectQuery::new("bucket".parse().expect("a name"));
    let json = r#"{"items":[{"name":"a"},{"name":"b"}],"prefixes":["c/"],"nextPageToken":"t"}"#;
    let (listed, head) = list(&query, &response("200 OK", "", json)).await;
    let (text, page) = listed.expect("listed");
    assert_eq!(text, json);
    assert_eq!(
        (page.items, page.prefixes, page.next_page_token.as_deref()),
        (2, 1, Some("t"))
    );
    assert!(head.starts_with("GET /storage/v1/b/bucket/o HTTP"), "{head}");

    query = ObjectQuery {
        bucket: query.bucket,
        prefix: Some("a/b&".into()),
        delimiter: Some("/".into()),
        start_offset: Some("s".into()),
        end_offset: Some("e".into()),
        match_glob: Some("**".into()),
        page_token: Some("t=".into()),
        max_results: Some(3),
        versions: true,
        soft_deleted: true,
        include_trailing_delimiter: true,
        include_folders_as_prefixes: true,
        full: true,
        user_project: Some("payer".into()),
        fields: Some("items(name)".into()),
    };
    let (listed, head) = list(&query, &response("200 OK", "", "{}")).await;
    assert_eq!(listed.expect("listed").1, Page::default());
    let line = "GET /storage/v1/b/bucket/o?prefix=a%2Fb%26&delimiter=%2F&startOffset=s&endOffset=e&matchGlob=%2A%2A\
                &pageToken=t%3D&maxResults=3&versions=true&softDeleted=true&includeTrailingDelimiter=true\
                &includeFoldersAsPrefixes=true&projection=full&userProject=payer\
                &fields=items%28name%29%2CnextPageToken HTTP";
    assert!(head.starts_with(line), "{head}");
}

#[tokio::test]
async fn a_list_that_is_none_or_not_whole_is_an_error() {
    let query = ObjectQuery::new("bucket".parse().expect("a name"));
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"items\":[";
    for (answer, kind, recovery) in [
        (
            response("200 OK", "", "<html>"),
            ErrorKind::BadResponse,
            Recovery::Same,
        ),
        (response("200 OK", "", ""), ErrorKind::BadResponse, Recovery::Same),
        (
            response("200 OK", "", "{\"items\":["),
            ErrorKind::BadResponse,
            Recovery::Same,
        ),
        (cut.to_owned(), ErrorKind::EarlyClose, Recovery::Same),
        (
            response("503 Service Unavailable", "", ""),
            ErrorKind::Http,
            Recovery::Same,
        ),
        (
            response("404 Not Found", "", ""),
            ErrorKind::Http,
            Recovery::Never,
        ),
    ] {
        let (listed, _) = list(&query, &answer).await;
        let error = listed.expect_err("no list");
        assert_eq!((error.kind(), error.recovery()), (kind, recovery), "{answer}");
    }
}

#[tokio::test]
async fn a_list_that_nobody_reads_stalls_gcs_and_not_memory() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let query = ObjectQuery::new("bucket".parse().expect("a name"));
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"items\":[\"")
            .await;
        server
    };
    let (stream, mut server): (_, Conversation<_>) =
        patiently(async { tokio::join!(gcs.list_objects(&query), serve) }).await;
    let stream = stream.expect("a list");
    let taken = patiently(server.flood()).await;
    assert!(taken < 64 << 20, "{taken} bytes were taken");
    drop(stream);
    server.count_to_end().await;
}
