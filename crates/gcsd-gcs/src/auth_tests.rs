use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Gives out tokens, each of them a new one: `NAME-1`, `NAME-2`, ...
struct Tokens {
    uri: String,
    given: Arc<AtomicUsize>,
}

impl Tokens {
    async fn named(name: &'static str) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let count = given.clone();
        let uri = server("200 OK", move || {
            let number = count.fetch_add(1, Relaxed) + 1;
            format!(r#"{{"access_token":"{name}-{number}","expires_in":3600,"token_type":"Bearer"}}"#)
        })
        .await;
        Self { uri, given }
    }
}

/// Answers every request.
async fn server(status: &'static str, body: impl Fn() -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = body();
            let len = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n");
            let answer = format!("{head}Content-Type: application/json\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/token")
}

fn user(token_uri: &str) -> String {
    let json = serde_json::json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "token_uri": token_uri,
    });
    json.to_string()
}

fn auth(path: &Path) -> Auth {
    let mut config = Config::new(Endpoint::google());
    config.credentials = CredentialsSource::File(path.to_owned());
    Auth::new(&config).expect("credentials")
}

impl Auth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.kept.as_ref().expect("credentials").lock()
    }

    /// Has the file looked at before the next call.
    fn look_now(&self) {
        self.state().next_look = Some(Instant::now());
    }

    async fn token(&self) -> HeaderValue {
        let headers = self.headers().await.expect("a token");
        headers.get(AUTHORIZATION).expect("a token").clone()
    }
}

fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("a value")
}

const SOON: Unauthorized = Unauthorized::Again(Duration::ZERO);

#[tokio::test]
async fn a_refused_token_is_dropped_once_and_a_fresh_one_is_on_trial() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    let tokens = Tokens::named("t").await;
    std::fs::write(&path, user(&tokens.uri)).expect("written");
    let auth = auth(&path);
    let first = auth.token().await;
    assert_eq!(first, bearer("t-1"));
    // Many calls were under way with it. The first refusal drops it, and none of the others does any more.
    for _ in 0..5 {
        assert_eq!(auth.refused(Some(&first)), SOON);
    }
    let auth = Arc::new(auth);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let auth = auth.clone();
        calls.spawn(async move { auth.token().await });
    }
    for token in calls.join_all().await {
        assert_eq!(token, bearer("t-2"), "one request for all of them");
    }
    assert_eq!(auth.refused(Some(&first)), SOON, "it is another one by now");
    assert_eq!(auth.refused(Some(&bearer("t-2"))), Unauthorized::Final);
    assert_eq!(auth.refused(None), Unauthorized::Final, "a call on a session");
    assert_eq!(
        auth.token().await,
        bearer("t-2"),
        "not more often than every 30 s"
    );
    assert_eq!(tokens.given.load(Relaxed), 2);
    // Once GCS has taken it, its refusal is news again, but for 30 s it is not dropped.
    auth.accepted(Some(&first));
    assert_eq!(auth.refused(Some(&bearer("t-2"))), Unauthorized::Final);
    auth.accepted(Some(&bearer("t-2")));
    match auth.refused(Some(&bearer("t-2"))) {
        Unauthorized::Again(wait) => assert!(wait > Duration::ZERO && wait <= REBUILD_INTERVAL),
        other => panic!("{other:?}"),
    }
    assert_eq!(auth.token().await, bearer("t-2"));
    auth.state().not_before = Instant::now();
    assert_eq!(auth.refused(Some(&bearer("t-2"))), SOON);
    assert_eq!(auth.token().await, bearer("t-3"));
}

#[tokio::test]
async fn a_token_that_stays_refused_is_tried_anew_every_30_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    std::fs::write(&path, user(&Tokens::named("t").await.uri)).expect("written");
    let auth = auth(&path);
    assert_eq!(auth.refused(Some(&auth.token().await)), SOON);
    assert_eq!(auth.refused(Some(&auth.token().await)), Unauthorized::Final);
    auth.state().not_before = Instant::now();
    assert_eq!(auth.refused(Some(&auth.token().await)), Unauthorized::Final);
    assert_eq!(auth.token().await, bearer("t-3"));
}

#[tokio::test]
async fn without_credentials_a_refusal_is_final() {
    let mut config = Config::new(Endpoint::google());
    config.credentials = CredentialsSource::Anonymous;
    let auth = Auth::new(&config).expect("none");
    assert_eq!(auth.refused(None), Unauthorized::Anonymous);
}

#[tokio::test]
async fn a_changed_file_is_read_before_it_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    let (old, new) = (Tokens::named("old").await, Tokens::named("new").await);
    std::fs::write(&path, user(&old.uri)).expect("written");
    let auth = auth(&path);
    assert_eq!(auth.token().await, bearer("old-1"));
    auth.look_now();
    assert_eq!(auth.token().await, bearer("old-1"), "it is as it was");
    // On the way to the new one, all of these can be met.
    std::fs::write(&path, r#"{"type":"authorized_u"#).expect("written");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("old-1"), "half written");
    let said = auth.state().complaint.clone().expect("a complaint");
    assert!(said.contains("not JSON"), "{said}");
    std::fs::write(&path, r#"{"type":"authorized_user"}"#).expect("written");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("old-1"), "it lacks something");
    std::fs::remove_file(&path).expect("removed");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("old-1"), "gone");
    std::fs::write(&path, user(&new.uri)).expect("written");
    assert_eq!(auth.token().await, bearer("old-1"), "not looked at for each call");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("new-1"));
    assert_eq!(auth.state().complaint, None);
    assert_eq!(auth.refused(Some(&bearer("old-1"))), SOON);
    assert_eq!(old.given.load(Relaxed), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_swapped_link_is_a_changed_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (old, new) = (Tokens::named("one").await, Tokens::named("two").await);
    for (name, tokens) in [("1", &old), ("2", &new)] {
        std::fs::create_dir(at(name)).expect("made");
        std::fs::write(at(name).join("user.json"), user(&tokens.uri)).expect("written");
    }
    // As Kubernetes does it: the link that is named leads through one that is replaced.
    std::os::unix::fs::symlink("1", at("data")).expect("linked");
    std::os::unix::fs::symlink("data/user.json", at("user.json")).expect("linked");
    let auth = auth(&at("user.json"));
    assert_eq!(auth.token().await, bearer("one-1"));
    std::os::unix::fs::symlink("2", at("new")).expect("linked");
    std::fs::rename(at("new"), at("data")).expect("replaced");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("two-1"));
}

#[tokio::test]
async fn credentials_of_another_universe_are_not_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    let tokens = Tokens::named("t").await;
    std::fs::write(&path, user(&tokens.uri)).expect("written");
    let auth = auth(&path);
    auth.token().await;
    let foreign = user(&tokens.uri).replacen('{', r#"{"universe_domain":"tpc.example","#, 1);
    std::fs::write(&path, foreign).expect("written");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("t-1"));
    assert!(auth.state().complaint.is_some());
}

#[tokio::test]
async fn refused_credentials_are_tried_anew_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("user.json");
    let refusing = server("400 Bad Request", || r#"{"error":"invalid_grant"}"#.to_owned()).await;
    std::fs::write(&path, user(&refusing)).expect("written");
    let auth = auth(&path);
    let refused = async || {
        let error = auth.headers().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::CredentialsRefused);
        assert!(error.message().contains("invalid_grant"), "{error}");
    };
    refused().await;
    assert_eq!(auth.state().made, 1, "the next call makes another try");
    refused().await;
    refused().await;
    assert_eq!(
        auth.state().made,
        1,
        "a refusal must not turn into a storm of attempts"
    );
    auth.state().not_before = Instant::now();
    refused().await;
    assert_eq!(auth.state().made, 2);
    // A repaired file is taken up at once.
    std::fs::write(&path, user(&Tokens::named("t").await.uri)).expect("written");
    auth.look_now();
    assert_eq!(auth.token().await, bearer("t-1"));
}
