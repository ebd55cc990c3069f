//! Uploads beyond one connection, and their ends: tokens, ids, cancel, stop (proto-spec.md, "Phases").

use std::time::Duration;

use gcsd::server::Stopped;
use gcsd_wire::args::{Done, Empty};
use gcsd_wire::{Kind, Reply, Request, Retry, cancel_upload::Reply as Cancel};

use crate::support::daemon::{
    Daemon, Options, PATIENCE, attach, cancel_upload, finish_upload, pattern, query_upload, start_upload,
    write_at,
};

#[tokio::test]
async fn a_token_brings_an_upload_back_on_another_daemon() {
    let first = Daemon::start().await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let foreign = Daemon::with(Options {
        key: 'b',
        ..Options::default()
    })
    .await;
    let body = pattern(600_000);
    let token = {
        let mut client = first.connect().await;
        let token = client.start(1, "moved").await;
        client.write(1, 0, None, &body[..1 << 19]).await.progress();
        token
    };
    let mut client = second.connect().await;
    match client.call(4, attach(&token)).await.ok() {
        Reply::AttachUpload(reply) => assert_eq!(reply.object.as_str(), "moved"),
        other => panic!("{other:?}"),
    }
    client
        .write(4, 1 << 19, Some(600_000), &body[1 << 19..])
        .await
        .fails(Kind::Unsettled, Retry::Query);
    assert_eq!(client.call(4, query_upload()).await.progress().committed, 1 << 19);
    let reply = client.write(4, 1 << 19, Some(600_000), &body[1 << 19..]).await;
    assert!(reply.progress().object.is_some());
    assert_eq!(first.object("moved").await, body);

    foreign
        .connect()
        .await
        .call(1, attach(&token))
        .await
        .fails(Kind::BadToken, Retry::Never);
    let forged = "A".repeat(token.len());
    client
        .call(5, attach(&forged))
        .await
        .fails(Kind::BadToken, Retry::Never);
    client
        .call(5, finish_upload(1))
        .await
        .fails(Kind::UploadFailed, Retry::Never);
}

#[tokio::test]
async fn an_id_is_bound_once_at_a_time() {
    let mut options = Options::default();
    options.limits.max_uploads = 2;
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    client
        .call(0, start_upload("a"))
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
    client.start(1, "a").await;
    client
        .call(1, start_upload("b"))
        .await
        .fails(Kind::UploadInUse, Retry::Never);
    client.start(2, "c").await;
    client
        .call(3, start_upload("d"))
        .await
        .fails(Kind::TooManyUploads, Retry::Never);
    assert_eq!(
        client.call(1, Request::DetachUpload(Empty)).await.ok(),
        Reply::DetachUpload(Done)
    );
    client
        .call(1, query_upload())
        .await
        .fails(Kind::UnknownUpload, Retry::Never);
    client.start(3, "d").await;
    client.call(2, cancel_upload()).await.ok();
    client.start(2, "e").await;
}

#[tokio::test]
async fn a_cancel_tells_what_it_found() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let token = client.start(1, "cancelled").await;
    client.write(1, 0, None, &pattern(1 << 18)).await.progress();
    assert_eq!(
        client.call(1, cancel_upload()).await.ok(),
        Reply::CancelUpload(Cancel::Cancelled)
    );
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
    client
        .call(1, finish_upload(1 << 18))
        .await
        .fails(Kind::UploadEnded, Retry::Never);
    client.call(2, attach(&token)).await.ok();
    let again = client.call(2, cancel_upload()).await;
    assert!(
        matches!(
            again.ok(),
            Reply::CancelUpload(Cancel::Unknown | Cancel::Cancelled)
        ),
        "{again:?}"
    );

    client.put(3, "finished", b"bytes").await;
    let info = daemon.devgcs.object("bucket", "finished").expect("it is there");
    let finished = Reply::CancelUpload(Cancel::Finished {
        generation: info.generation,
    });
    assert_eq!(client.call(3, cancel_upload()).await.ok(), finished);
    assert!(daemon.has_object("finished"));
}

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_finish() {
    let mut daemon = Daemon::start().await;
    let mut busy = daemon.connect().await;
    let mut idle = daemon.connect().await;
    idle.lives().await;
    busy.start(1, "last").await;
    let sequence = busy.begin(1, &write_at(0, Some(8)), 8).await;
    busy.raw(b"half").await;
    daemon
        .devgcs
        .wait_for(PATIENCE, |state| {
            state.session("last").is_some_and(|s| s.received == 4)
        })
        .await;
    daemon.stop();
    idle.closed().await;
    busy.raw(b"half").await;
    assert!(busy.reply_to(sequence).await.progress().object.is_some());
    busy.closed().await;
    assert_eq!(daemon.object("last").await, b"halfhalf");
    assert_eq!(daemon.stopped().await, Stopped::Drained);
}

#[tokio::test]
async fn a_stop_cuts_what_outlasts_the_grace() {
    let options = Options {
        grace: Duration::from_millis(200),
        ..Options::default()
    };
    let mut daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    client.start(1, "cut").await;
    client.write(1, 0, None, &pattern(1 << 18)).await.progress();
    let sequence = client
        .begin(1, &write_at(1 << 18, Some(1 << 20)), (1 << 20) - (1 << 18))
        .await;
    client.raw(b"the rest never comes").await;
    let under_way = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.session("cut").is_some_and(|s| s.received > 1 << 18)
    });
    assert!(under_way.await);
    daemon.stop();
    let reply = client.reply_to(sequence).await;
    let error = reply.fails(Kind::Draining, Retry::Reconnect);
    assert_eq!(error.committed, Some(1 << 18));
    assert!(reply.head.closing());
    client.closed().await;
    assert!(!daemon.has_object("cut"));
    assert_eq!(daemon.stopped().await, Stopped::Cut);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_told_apart() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let endpoint = Some(format!("http://127.0.0.1:{port}"));
    let daemon = Daemon::with(Options {
        endpoint,
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    client
        .call(1, start_upload("x"))
        .await
        .fails(Kind::ConnectFailed, Retry::Same);
    let endpoint = Some(daemon.devgcs.endpoint().replace("http://", "https://"));
    let daemon = Daemon::with(Options {
        endpoint,
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    client
        .call(1, start_upload("x"))
        .await
        .fails(Kind::TlsFailed, Retry::Same);
}

#[tokio::test]
async fn a_token_of_another_version_starts_the_upload_anew() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let token = client.start(1, "versions").await;
    let token = URL_SAFE_NO_PAD.decode(token).expect("base64");
    let with = |at: usize, byte: u8| {
        let mut token = token.clone();
        token[at] ^= byte;
        attach(&URL_SAFE_NO_PAD.encode(token))
    };
    // As a daemon of another version seals it, with the same key.
    let refused = client.call(2, with(0, 2)).await;
    refused.fails(Kind::TokenExpired, Retry::Restart);
    client
        .call(2, query_upload())
        .await
        .fails(Kind::UploadFailed, Retry::Never);
    // Altered, or sealed with another key.
    for at in [1, token.len() / 2, token.len() - 1] {
        client
            .call(2, with(at, 3))
            .await
            .fails(Kind::BadToken, Retry::Never);
    }
    client.call(2, with(0, 0)).await.ok();
}
