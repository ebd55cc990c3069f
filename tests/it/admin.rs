//! The admin listener, and the commands that ask it: the binary, in front of devgcs or its own.

use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use devgcs::Snapshot;

use crate::support::command::{gcsd, run, wait};
use crate::support::daemon::{BUCKET, Daemon, PATIENCE, pattern};
use crate::support::http::{Answer, Client};
use crate::support::process::Process;
use crate::support::waiting::becomes;

const ANY: &str = "127.0.0.1:0";
const EMBEDDED: [&str; 3] = ["--embedded", "--admin", ANY];

/// Where its admin listener is.
fn admin(daemon: &Process) -> SocketAddr {
    let log = daemon.log();
    let (_, rest) = log.split_once("admin=").expect("it is told");
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | ':'));
    rest[..end.unwrap_or(rest.len())].parse().expect("an address")
}

async fn ask(admin: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(admin).await;
    client.head(method, target, headers).await;
    client.answer().await
}

async fn get(admin: SocketAddr, target: &str) -> Answer {
    let mut answer = ask(admin, "GET", target, &[]).await;
    // Where the daemon listens is told a moment before it has started.
    for _ in 0..PATIENCE.as_millis() / 5 {
        if answer.status != 503 || answer.text() != "starting\n" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        answer = ask(admin, "GET", target, &[]).await;
    }
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer
}

/// The value of a metric, by its name and labels; 0 where there is none.
fn value(metrics: &str, metric: &str) -> f64 {
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(metric));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}

fn file(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("written");
    // Secrets that others can read are refused.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    path.to_str().expect("UTF-8").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_counted_and_nobody_is_named() {
    let mut daemon = Process::serve(ANY, &EMBEDDED);
    let (admin, to) = (admin(&daemon), Some(daemon.address()));
    let dir = tempfile::tempdir().expect("a directory");
    let source = file(dir.path(), "source", &pattern(300_000));
    run(to, &["put", &source, "gs://demo/seen-name"], b"")
        .await
        .quiet();
    let read = run(to, &["get", "gs://demo/seen-name", "-"], b"").await.quiet();
    assert_eq!(read.out.len(), 300_000);
    run(to, &["stat", "gs://demo/none"], b"")
        .await
        .failed(3, "not_found: ");
    let metrics = get(admin, "/metrics").await;
    let kind = metrics.header("content-type").expect("a type");
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let metrics = metrics.text();
    let is =
        |metric: &str, expected: f64| assert_eq!(value(&metrics, metric), expected, "{metric}\n{metrics}");
    is(
        "gcsd_requests_total{opcode=\"StatObject\",status=\"not_found\"}",
        1.0,
    );
    is("gcsd_requests_total{opcode=\"ReadAt\",status=\"ok\"}", 1.0);
    is("gcsd_request_duration_seconds_count{opcode=\"ReadAt\"}", 1.0);
    is("gcsd_received_bytes_total", 300_000.0);
    is("gcsd_gcs_calls_total{call=\"stat\",status=\"404\"}", 1.0);
    is("gcsd_gcs_call_duration_seconds_count{call=\"read\"}", 1.0);
    is("gcsd_requests_in_flight", 0.0);
    is("gcsd_connections_before_request", 0.0);
    is("gcsd_stalls_total{culprit=\"client\"}", 0.0);
    is("gcsd_reloads_total{outcome=\"failed\"}", 0.0);
    is("gcsd_log_lines_dropped_total", 0.0);
    is("gcsd_memory_held_bytes", 0.0);
    is("gcsd_memory_limit_bytes", f64::from(1 << 30));
    is("gcsd_ready", 1.0);
    let listener = daemon.address();
    is(
        &format!("gcsd_connections_accepted_total{{listener=\"{listener}\"}}"),
        3.0,
    );
    // A body, and the JSON of a description.
    assert!(value(&metrics, "gcsd_sent_bytes_total") >= 300_000.0, "{metrics}");
    assert!(
        value(&metrics, "gcsd_gcs_dials_total{status=\"ok\"}") >= 1.0,
        "{metrics}"
    );
    assert!(
        value(&metrics, "gcsd_process_resident_memory_bytes") > 1e6,
        "{metrics}"
    );
    assert!(metrics.contains("gcsd_build_info{version=\""), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    for name in ["seen-name", "demo", "none\""] {
        assert!(!metrics.contains(name), "{name}\n{metrics}");
    }
    assert!(daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_shown_while_it_is() {
    let scene = Daemon::start().await;
    let endpoint = scene.devgcs.endpoint();
    let state = tempfile::tempdir().expect("a directory");
    let state = state.path().to_str().expect("UTF-8");
    let mut daemon = Process::serve(
        ANY,
        &[
            "--anonymous",
            "--state-dir",
            state,
            "--endpoint",
            &endpoint,
            "--admin",
            ANY,
        ],
    );
    let admin = admin(&daemon);
    let dir = tempfile::tempdir().expect("a directory");
    let source = file(dir.path(), "source", &pattern(24 << 20));
    scene.devgcs.pause_bodies(true);
    let url = format!("gs://{BUCKET}/big <b>one</b>");
    let put = gcsd(Some(daemon.address()), &["put", &source, &url]).spawn();
    let put = put.expect("the binary runs");
    let writing = |inspect: &Snapshot| inspect.sessions.iter().any(|session| session.writing > 0);
    assert!(scene.devgcs.wait_for(PATIENCE, writing).await);
    let status = get(admin, "/status").await.json();
    let [upload] = &status["uploads"].as_array().expect("a list")[..] else {
        panic!("{status}");
    };
    assert_eq!(
        (&upload["bucket"], &upload["object"]),
        (&"bucket".into(), &"big <b>one</b>".into())
    );
    let [request] = &status["requests"].as_array().expect("a list")[..] else {
        panic!("{status}");
    };
    assert_eq!(
        (&request["opcode"], &request["object"]),
        (&"WriteAt".into(), &upload["object"])
    );
    assert_eq!(
        (&status["state"], &status["uploads_open"]),
        (&"ready".into(), &1.into())
    );
    assert_eq!(status["connections"]["used"], 1);
    // The bytes count while the request is in flight, once each.
    let metrics = || async { value(&get(admin, "/metrics").await.text(), "gcsd_received_bytes_total") };
    let first = metrics().await;
    assert!(first > 0.0 && first < f64::from(24 << 20), "{first}");
    assert!(metrics().await >= first);
    let page = get(admin, "/").await;
    let text = page.text();
    assert!(
        text.contains("big &lt;b&gt;one&lt;/b&gt;") && !text.contains("<b>"),
        "{text}"
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    for part in ["/status.css", "/status.js"] {
        assert!(
            text.contains(part) && !get(admin, part).await.body.is_empty(),
            "{part}"
        );
    }
    let at = admin.to_string();
    let shown = run(None, &["status", "--admin", &at], b"").await.quiet();
    assert!(
        shown.text().contains("gs://bucket/big <b>one</b>"),
        "{}",
        shown.text()
    );
    assert!(
        shown.text().contains("1 requests in flight\n  WriteAt"),
        "{}",
        shown.text()
    );
    let json = run(None, &["status", "--admin", &at, "--json"], b"")
        .await
        .quiet();
    let json: serde_json::Value = serde_json::from_str(json.text()).expect("JSON");
    assert_eq!(json["uploads"][0]["object"], upload["object"]);
    scene.devgcs.pause_bodies(false);
    wait(put).await.quiet();
    let status = get(admin, "/status").await.json();
    assert_eq!(
        (&status["requests_in_flight"], &status["uploads_open"]),
        (&0.into(), &0.into()),
        "{status}"
    );
    assert_eq!(metrics().await, f64::from(24 << 20));
    assert!(daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_browser_was_led_to_gets_nothing() {
    let mut daemon = Process::serve(
        ANY,
        &[&EMBEDDED[..], &["--admin-host", "gcsd.monitoring"]].concat(),
    );
    let admin = admin(&daemon);
    let by_name = |name: &'static str| async move {
        let mut client = Client::connect(admin).await;
        client
            .send(format!("GET /metrics HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes())
            .await;
        client.answer().await.status
    };
    assert_eq!(by_name("evil.example").await, 421);
    assert_eq!(by_name("gcsd.monitoring:80").await, 200);
    assert_eq!(by_name("localhost").await, 200);
    for path in ["/drain", "/reload", "/log?filter=debug"] {
        let answer = ask(admin, "GET", path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{path}"
        );
        for led in [
            ("Origin", "http://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            assert_eq!(ask(admin, "POST", path, &[led]).await.status, 403, "{path}");
        }
    }
    assert_eq!(ask(admin, "POST", "/metrics", &[]).await.status, 405);
    assert_eq!(ask(admin, "GET", "/secret", &[]).await.status, 404);
    let mut client = Client::connect(admin).await;
    client.head("GET", &format!("/{}", "x".repeat(20_000)), &[]).await;
    // Closed on what was not read, the connection may be reset before the answer is.
    if let Ok(answer) = client.try_answer().await {
        assert_eq!(answer.status, 431);
    }
    // It is still there, and so is the daemon.
    assert_eq!(get(admin, "/readyz").await.text(), "ready\n");
    assert!(daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_let_in_on_purpose_only() {
    let args = ["serve", "--embedded", "--listen", ANY, "--admin", "0.0.0.0:0"];
    let refused = run(None, &args, b"").await;
    refused.failed(1, "failed: --admin 0.0.0.0:0: ");
    let mut daemon = Process::serve(
        ANY,
        &["--embedded", "--admin", "0.0.0.0:0", "--admin-allow-remote"],
    );
    assert!(daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_goes_on_while_it_is_not_ready() {
    let delay = ["--drain-delay", "1h", "--grace", "0s"];
    let mut daemon = Process::serve(ANY, &[&EMBEDDED[..], &delay].concat());
    let (admin, to) = (admin(&daemon), Some(daemon.address()));
    let at = admin.to_string();
    let health = |args: &'static [&str]| {
        let at = at.clone();
        async move { run(to, &[&["health"], args, &["--admin", &at]].concat(), b"").await }
    };
    assert_eq!(health(&[]).await.quiet().text(), "ready\n");
    assert_eq!(run(to, &["health"], b"").await.quiet().text(), "ready\n");
    run(None, &["stop", "--admin", &at], b"").await.quiet();
    health(&[]).await.failed(5, "not_ready: draining: ");
    assert_eq!(ask(admin, "GET", "/readyz", &[]).await.status, 503);
    assert_eq!(get(admin, "/livez").await.text(), "alive\n");
    assert_eq!(get(admin, "/startupz").await.text(), "started\n");
    // Clients that come all the same are served.
    run(to, &["put", "-", "gs://demo/late"], b"x").await.quiet();
    assert_eq!(value(&get(admin, "/metrics").await.text(), "gcsd_draining"), 1.0);
    daemon.kill();
    run(to, &["health"], b"").await.failed(5, "unreachable: ");
    health(&[]).await.failed(5, "unreachable: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_tells_whether_something_was_cut() {
    let scene = Daemon::start().await;
    let endpoint = scene.devgcs.endpoint();
    let state = tempfile::tempdir().expect("a directory");
    let state = state.path().to_str().expect("UTF-8");
    let dir = tempfile::tempdir().expect("a directory");
    let source = file(dir.path(), "source", &pattern(24 << 20));
    let mut daemon = Process::serve(
        ANY,
        &[
            "--anonymous",
            "--state-dir",
            state,
            "--endpoint",
            &endpoint,
            "--grace",
            "0s",
            "--admin",
            ANY,
        ],
    );
    let admin = admin(&daemon).to_string();
    scene.devgcs.pause_bodies(true);
    let put = gcsd(
        Some(daemon.address()),
        &["put", &source, "gs://bucket/o", "--retry-for", "0"],
    )
    .spawn();
    let put = put.expect("the binary runs");
    let writing = |inspect: &Snapshot| inspect.sessions.iter().any(|session| session.writing > 0);
    assert!(scene.devgcs.wait_for(PATIENCE, writing).await);
    run(None, &["stop", "--wait", "--admin", &admin], b"")
        .await
        .quiet();
    assert_eq!(daemon.wait().code(), Some(10), "{}", daemon.log());
    scene.devgcs.pause_bodies(false);
    assert_ne!(wait(put).await.code, Some(0));
    let mut daemon = Process::serve(ANY, &EMBEDDED);
    let at = self::admin(&daemon).to_string();
    run(None, &["stop", "--wait", "--admin", &at], b"").await.quiet();
    assert_eq!(daemon.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_socket_is_for_its_owner_and_goes_with_the_daemon() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let at = format!("unix:{}", path.display());
    let mut daemon = Process::serve(ANY, &["--embedded", "--admin", &at]);
    let made = std::fs::metadata(&path).expect("it is there");
    assert!(made.file_type().is_socket());
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    let health = || async { run(None, &["health", "--admin", &at], b"").await };
    assert_eq!(health().await.quiet().text(), "ready\n");
    // What a daemon that was killed leaves behind is replaced; one that lives keeps its place.
    daemon.kill();
    assert!(path.exists());
    health().await.failed(5, "unreachable: ");
    let mut daemon = Process::serve(ANY, &["--embedded", "--admin", &at]);
    assert_eq!(health().await.quiet().text(), "ready\n");
    let second = run(
        None,
        &[
            "serve",
            "--embedded",
            "--listen",
            ANY,
            "--admin",
            &at,
            "--log-level",
            "error",
        ],
        b"",
    )
    .await;
    second.failed(1, "failed: cannot listen on unix:");
    assert_eq!(health().await.quiet().text(), "ready\n");
    assert!(daemon.stop().success());
    assert!(!path.exists());
}

/// A daemon with everything that a reload takes up, and what it is made of.
struct Reloaded {
    daemon: Process,
    admin: SocketAddr,
    dir: tempfile::TempDir,
}

impl Reloaded {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (key, secret) = ("ab".repeat(32), "first");
        let key = file(dir.path(), "key", key.as_bytes());
        let secret = file(dir.path(), "secret", secret.as_bytes());
        let config = format!(
            "embedded = true\nadmin = '{ANY}'\ntoken-key = '{key}'\nauth-file = '{secret}'\nmax-calls = 9\nlog-level = 'info'\n"
        );
        let config = file(dir.path(), "gcsd.toml", config.as_bytes());
        let daemon = Process::serve_reloading(ANY, &["--config", &config]);
        let admin = admin(&daemon);
        Self { daemon, admin, dir }
    }

    fn write(&self, name: &str, text: &str) {
        file(self.dir.path(), name, text.as_bytes());
    }

    /// Whether a client with this secret gets in.
    async fn admits(&self, secret: &str) -> bool {
        let file = file(self.dir.path(), "mine", secret.as_bytes());
        let put = [
            "put",
            "-",
            "gs://demo/o",
            "--retry-for",
            "0",
            "--auth-file",
            &file,
        ];
        match run(Some(self.daemon.address()), &put, b"x").await.code {
            Some(0) => true,
            Some(7) => false,
            other => panic!("{other:?}: {}", self.daemon.log()),
        }
    }

    async fn count(&self, outcome: &str) -> f64 {
        let metrics = get(self.admin, "/metrics").await.text();
        value(&metrics, &format!("gcsd_reloads_total{{outcome=\"{outcome}\"}}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_up_all_or_nothing() {
    let mut scene = Reloaded::start();
    assert!(scene.admits("first").await);
    scene.write("secret", "second");
    let reload = |admin| ask(admin, "POST", "/reload", &[]);
    // Something else is wrong: the new secret does not count either.
    for (name, bad, told) in [
        ("key", "no key", "line 1 is not a key"),
        ("gcsd.toml", "grace = 'soon'", "grace: "),
    ] {
        let path = scene.dir.path().join(name);
        let good = std::fs::read_to_string(&path).expect("text");
        scene.write(name, bad);
        let answer = reload(scene.admin).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains(told), "{}", answer.text());
        assert!(
            scene.admits("first").await && !scene.admits("second").await,
            "{name}"
        );
        scene.write(name, &good);
    }
    assert_eq!(
        (scene.count("failed").await, scene.count("taken").await),
        (2.0, 0.0)
    );
    assert_eq!(reload(scene.admin).await.status, 200);
    assert!(scene.admits("second").await && !scene.admits("first").await);
    assert_eq!(scene.count("taken").await, 1.0);
    // By a hangup, which ends nothing.
    scene.write("secret", "third");
    scene.daemon.signal("-HUP");
    becomes(|| {
        scene
            .daemon
            .log()
            .matches("settings and secrets were read again")
            .count()
            == 2
    })
    .await;
    assert!(scene.admits("third").await && !scene.admits("second").await);
    // What cannot be taken up is said.
    let config = std::fs::read_to_string(scene.dir.path().join("gcsd.toml")).expect("text");
    scene.write(
        "gcsd.toml",
        &config
            .replace("max-calls = 9", "max-calls = 8")
            .replace("'info'", "'debug'"),
    );
    assert_eq!(reload(scene.admin).await.status, 200);
    becomes(|| scene.daemon.log().contains("settings=\"max-calls\"")).await;
    assert!(scene.admits("third").await);
    becomes(|| scene.daemon.log().contains("DEBUG gcsd::connection")).await;
    let log = scene.daemon.whole_log();
    for secret in ["first", "second", "third"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_secret_is_wanted_is_settled_at_the_start() {
    let mut scene = Reloaded::start();
    let config = std::fs::read_to_string(scene.dir.path().join("gcsd.toml")).expect("text");
    let without: String = config
        .lines()
        .filter(|line| !line.starts_with("auth-file"))
        .map(|line| format!("{line}\n"))
        .collect();
    scene.write("gcsd.toml", &without);
    let answer = ask(scene.admin, "POST", "/reload", &[]).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(!scene.admits("another").await);
    assert!(scene.daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_another_filter_at_once() {
    let mut daemon = Process::serve(ANY, &EMBEDDED);
    let (admin, to) = (admin(&daemon), Some(daemon.address()));
    let post = |target: &'static str| ask(admin, "POST", target, &[]);
    run(to, &["put", "-", "gs://demo/o"], b"x").await.quiet();
    assert_eq!(post("/log?filter=gcsd%3Dloud").await.status, 422);
    assert_eq!(post("/log").await.status, 400);
    assert!(!daemon.log().contains("DEBUG"), "{}", daemon.log());
    assert_eq!(
        post("/log?filter=info%2Cgcsd%3A%3Arequest%3Ddebug").await.status,
        200
    );
    run(to, &["put", "-", "gs://demo/o"], b"x").await.quiet();
    let log = daemon.whole_log();
    assert!(
        log.contains("DEBUG gcsd::request: request") && !log.contains("DEBUG gcsd::connection"),
        "{log}"
    );
}
