//! What GCS says behind a status: the class and the hint, over the wire and on the command line.

use gcsd_wire::{Kind, Retry};

use crate::support::command::run;
use crate::support::daemon::{BUCKET, Client, Daemon, behind, start_upload, write_at};
use crate::support::http::request;
use crate::support::peer::{Peer, active, patiently, response};

fn json(reason: &str, message: &str) -> String {
    format!(
        r#"{{"error":{{"code":403,"message":"{message}","errors":[{{"domain":"global","reason":"{reason}","message":"m"}}]}}}}"#
    )
}

fn xml(code: &str) -> String {
    format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>No.</Message></Error>")
}

/// A daemon whose GCS gives one answer to the start of an upload.
async fn started(status: &str, body: &str) -> crate::support::daemon::Frame {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(response(status, "", body)).await;
    };
    let call = async {
        let mut client = daemon.connect().await;
        client.call(1, start_upload("object")).await
    };
    let (frame, ()) = patiently(async { tokio::join!(call, serve) }).await;
    frame
}

#[tokio::test]
async fn a_reason_decides_the_class_and_the_hint() {
    let disabled = r#"{"error":{"code":403,"message":"Cloud Storage has not been used in project 7 before","status":"PERMISSION_DENIED",
        "errors":[{"domain":"global","reason":"forbidden"}],
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"googleapis.com","reason":"SERVICE_DISABLED"}]}}"#;
    for (status, body, kind, retry, reason, hint) in [
        (
            "403 Forbidden",
            json("rateLimitExceeded", "slow down"),
            Kind::RateLimited,
            Retry::Same,
            Some("rateLimitExceeded"),
            "make fewer at once",
        ),
        (
            "403 Forbidden",
            json("retentionPolicyNotMet", "no"),
            Kind::Forbidden,
            Retry::Never,
            Some("retentionPolicyNotMet"),
            "under retention",
        ),
        (
            "403 Forbidden",
            xml("ObjectUnderActiveHold"),
            Kind::Forbidden,
            Retry::Never,
            Some("ObjectUnderActiveHold"),
            "hold first",
        ),
        (
            "403 Forbidden",
            disabled.to_owned(),
            Kind::Forbidden,
            Retry::Never,
            Some("SERVICE_DISABLED"),
            "gcloud services enable",
        ),
        (
            "412 Precondition Failed",
            json("orgPolicyConstraintFailed", "no"),
            Kind::Forbidden,
            Retry::Never,
            Some("orgPolicyConstraintFailed"),
            "policy of the organization",
        ),
        (
            "412 Precondition Failed",
            json("conditionNotMet", "no"),
            Kind::PreconditionFailed,
            Retry::Never,
            Some("conditionNotMet"),
            "GCS answered 412: no",
        ),
        (
            "400 Bad Request",
            json(
                "required",
                "Bucket is a requester pays bucket but no user project provided.",
            ),
            Kind::Refused,
            Retry::Never,
            Some("required"),
            "--user-project",
        ),
        (
            "403 Forbidden",
            json("forbidden", "a@b does not have storage.objects.create access"),
            Kind::Forbidden,
            Retry::Never,
            Some("forbidden"),
            "needs the permission",
        ),
        (
            "403 Forbidden",
            String::new(),
            Kind::Forbidden,
            Retry::Never,
            None,
            "no reason is given",
        ),
        (
            "401 Unauthorized",
            json("authError", "Invalid Credentials"),
            Kind::GcsUnauthorized,
            Retry::Never,
            Some("authError"),
            "no credentials were sent",
        ),
    ] {
        let frame = started(status, &body).await;
        let error = frame.fails(kind, retry);
        assert_eq!(error.reason.as_deref(), reason, "{body}");
        assert!(error.message.contains(hint), "{}", error.message);
        let http: u16 = status[..3].parse().expect("a number");
        assert_eq!(frame.head.http_status, http, "the status is what GCS answered");
    }
}

#[tokio::test]
async fn a_hint_survives_a_long_message() {
    let error = started(
        "403 Forbidden",
        &json("retentionPolicyNotMet", &"long ".repeat(500)),
    )
    .await
    .fails(Kind::Forbidden, Retry::Never);
    assert!(
        error.message.ends_with("only when its time is over)"),
        "{}",
        error.message
    );
    assert!(error.message.len() <= 512);
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_of_an_upload_is_waited_for() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        let location = format!("Location: http://{}/s?upload_id=x\r\n", peer.address());
        server.send(response("200 OK", &location, "")).await;
        server.head().await;
        server.body(3).await;
        let limited = json("userRateLimitExceeded", "slow down");
        server
            .send(response("403 Forbidden", "Retry-After: 2\r\n", &limited))
            .await;
        // The upload is unsettled, and asked for.
        server.head().await;
        server.send(active(None)).await;
    };
    let calls = async {
        let mut client: Client = daemon.connect().await;
        client.start(1, "object").await;
        let sequence = client.begin(1, &write_at(0, Some(3)), 3).await;
        client.raw(b"abc").await;
        let error = client
            .reply_to(sequence)
            .await
            .fails(Kind::RateLimited, Retry::Query);
        assert_eq!((error.retry_after_ms, error.committed), (2000, Some(0)));
        let progress = client.call(1, crate::support::daemon::query_upload()).await;
        assert_eq!(progress.progress().committed, 0);
    };
    patiently(async { tokio::join!(serve, calls) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_what_to_do() {
    let daemon = Daemon::start().await;
    daemon.connect().await.put(1, "held", b"x").await;
    let target = format!("/storage/v1/b/{BUCKET}/o/held");
    let hold = [("Content-Type", "application/json")];
    let held = request(
        daemon.devgcs.address(),
        "PATCH",
        &target,
        &hold,
        br#"{"temporaryHold": true}"#,
    );
    assert_eq!(held.await.status, 200);
    for args in [
        &["rm", "-q", "gs://bucket/held"][..],
        &["put", "-", "gs://bucket/held"],
    ] {
        let ended = run(Some(daemon.address), args, b"new").await;
        ended.failed(7, "forbidden: ");
        assert!(
            ended
                .err
                .contains("release its temporary or event-based hold first"),
            "{}",
            ended.err
        );
        assert!(!ended.err.contains("permission"), "{}", ended.err);
    }

    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        let closed = json("accountDisabled", "The billing account is disabled.");
        server.send(response("403 Forbidden", "", &closed)).await;
    };
    let stat = run(Some(daemon.address), &["stat", "gs://bucket/object"], b"");
    let (stat, ()) = patiently(async { tokio::join!(stat, serve) }).await;
    stat.failed(7, "forbidden: ");
    assert!(stat.err.contains("look at its billing account"), "{}", stat.err);
}
