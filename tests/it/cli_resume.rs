//! `gcsd put --resume-file`, with processes that are killed: the client, the daemon, and both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Child;

use devgcs::{self, CallKind, Server, Snapshot};
use gcsd_types::Crc32c;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, PATIENCE};
use crate::support::process::Process;
use crate::support::scripted::bytes;
use crate::support::secret::write_secret;

const URL: &str = "gs://bucket/object";

const SIZE: usize = 20 << 20;

/// The first request that brings bytes comes to no end by itself.
const STALL: &str = "stall-always-after-8192K on write call 0";

/// A GCS in this process, a daemon in its own, and a file.
struct Scene {
    devgcs: Server,
    daemon: Process,
    dir: TempDir,
    whole: Vec<u8>,
}

impl Scene {
    async fn new(size: usize, faults: &str) -> Self {
        let devgcs = Server::builder().bucket(BUCKET).faults(faults);
        let devgcs = devgcs.start().await.expect("devgcs starts");
        let dir = tempfile::tempdir().expect("a directory");
        let whole = bytes(size).to_vec();
        fs::write(dir.path().join("source"), &whole).expect("a file");
        write_secret(dir.path().join("key"), &"a".repeat(64));
        let daemon = serve("127.0.0.1:0", &dir, &devgcs);
        Self {
            devgcs,
            daemon,
            dir,
            whole,
        }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The command, with its state.
    fn args(&self) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).to_str().expect("UTF-8").to_owned();
        ["put", &path("source"), URL, "--resume-file", &path("state")]
            .map(str::to_owned)
            .to_vec()
    }

    async fn put(&self, more: &[&str]) -> Ended {
        let args = self.args();
        let args: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        run(Some(self.daemon.address()), &args, b"").await
    }

    /// A `put` in the middle of its upload, of which the state is there.
    async fn held_up(&self) -> Child {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let child = gcsd(Some(self.daemon.address()), &args).spawn();
        let child = child.expect("the binary runs");
        let stalled = |inspect: &Snapshot| inspect.session("object").is_some_and(|s| s.received >= 8 << 20);
        assert!(self.devgcs.wait_for(PATIENCE, stalled).await);
        let state = self.state();
        let written = self.devgcs.wait_for(PATIENCE, |_| state.exists()).await;
        assert!(written, "the state is there as soon as the upload is");
        let mode = fs::metadata(&state).expect("the state").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        child
    }

    /// Another daemon at the same address, with the same key.
    fn restart_daemon(&mut self) {
        let address = self.daemon.address();
        self.daemon = serve(&address.to_string(), &self.dir, &self.devgcs);
    }

    /// The object is there and right, and the state is gone.
    #[track_caller]
    fn done(&self, put: &Ended) {
        assert_eq!(put.code, Some(0), "{}", put.err);
        let object = self.devgcs.object(BUCKET, "object").expect("the object");
        assert_eq!(object.size, self.whole.len() as u64);
        assert_eq!(object.crc32c, Crc32c::of(&self.whole).0);
        assert!(!self.state().exists(), "the state is gone");
        assert_eq!(self.devgcs.inspect().count(CallKind::StartUpload), 1);
    }
}

fn serve(listen: &str, dir: &TempDir, devgcs: &Server) -> Process {
    let key = dir.path().join("key");
    let key = key.to_str().expect("UTF-8");
    let endpoint = devgcs.endpoint();
    Process::serve(
        listen,
        &["--endpoint", &endpoint, "--anonymous", "--token-key", key],
    )
}

/// Ends it as kill -9 does.
fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

const AGAIN: &str = "gcsd: going on with the upload of an earlier run\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_goes_on_where_it_was() {
    let scene = Scene::new(SIZE, STALL).await;
    kill(scene.held_up().await);
    let put = scene.put(&[]).await;
    scene.done(&put);
    assert_eq!(put.err, AGAIN);
    let calls = scene.devgcs.inspect().calls;
    let sent: u64 = calls.iter().rev().take(2).map(|call| call.body_bytes).sum();
    assert_eq!(sent, (SIZE - (8 << 20)) as u64, "only the rest is sent");
}

/// Killed in the moment in which the state has its bytes, and not yet its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_its_name_is_gone_on_with() {
    let scene = Scene::new(SIZE, STALL).await;
    kill(scene.held_up().await);
    let unnamed = scene.dir.path().join(".state.gcsd-partial");
    fs::rename(scene.state(), &unnamed).expect("renamed");
    let put = scene.put(&[]).await;
    scene.done(&put);
    assert_eq!(put.err, AGAIN);
    assert!(!unnamed.exists());
}

/// A half-written state holds a token, and is of no use.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_state_is_removed() {
    let scene = Scene::new(SIZE, STALL).await;
    kill(scene.held_up().await);
    let unnamed = scene.dir.path().join(".state.gcsd-partial");
    let state = fs::read(scene.state()).expect("the state");
    fs::write(&unnamed, &state[..state.len() - 9]).expect("written");
    let put = scene.put(&[]).await;
    scene.done(&put);
    assert_eq!(put.err, AGAIN);
    assert!(!unnamed.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_is_waited_for() {
    let mut scene = Scene::new(SIZE, STALL).await;
    let child = scene.held_up().await;
    scene.daemon.kill();
    scene.restart_daemon();
    let put = wait(child).await;
    scene.done(&put);
    let last = put.err.lines().last().expect("a line");
    assert!(last.starts_with("gcsd: recovered "), "{}", put.err);
    assert!(last.contains("1 connection_lost"), "{}", put.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_can_be_killed() {
    let mut scene = Scene::new(SIZE, STALL).await;
    let child = scene.held_up().await;
    scene.daemon.kill();
    kill(child);
    scene.restart_daemon();
    let put = scene.put(&[]).await;
    scene.done(&put);
}

/// The first run is not dead, as whoever started the second one thought: it is fenced, and harms nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_the_later_one_has_the_upload() {
    let scene = Scene::new(SIZE, STALL).await;
    let zombie = scene.held_up().await;
    let put = scene.put(&[]).await;
    scene.done(&put);
    assert_eq!(put.err, AGAIN);
    let generation = |scene: &Scene| scene.devgcs.object(BUCKET, "object").map(|o| o.generation);
    let made = generation(&scene);
    let zombie = wait(zombie).await;
    zombie.failed(1, "fenced: another client has taken the upload over");
    assert_eq!(generation(&scene), made);
    scene.done(&put);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_is_left_for_later() {
    let scene = Scene::new(SIZE, STALL).await;
    let child = scene.held_up().await;
    signal(&child, "-INT");
    let ended = wait(child).await;
    ended.failed(130, "interrupted: ");
    assert!(
        ended.err.contains("; run the same command again to continue"),
        "{}",
        ended.err
    );
    scene.done(&scene.put(&[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_the_run_before_finished_is_found() {
    let lost = "close-connection-after-all on last call 0; close-connection on stat call 0";
    let scene = Scene::new(3 << 20, lost).await;
    let lost = scene.put(&["--retry-for", "0"]).await;
    lost.failed(9, "unknown_outcome: ");
    let object = scene.devgcs.object(BUCKET, "object").expect("it is there");
    let writes = scene.devgcs.inspect().count(CallKind::WriteUpload);
    let put = scene.put(&["--json"]).await;
    scene.done(&put);
    assert_eq!(scene.devgcs.inspect().count(CallKind::WriteUpload), writes);
    let resource: serde_json::Value = serde_json::from_str(put.text()).expect("JSON");
    assert_eq!(resource["generation"], object.generation.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_same_upload_is_refused() {
    let scene = Scene::new(
        3 << 20,
        "return-503 on last call 0; lose-session-410 on query call 0",
    )
    .await;
    // Nothing is kept of an upload that never began.
    scene
        .put(&["--connect", "127.0.0.1:1", "--retry-for", "0"])
        .await
        .failed(5, "unreachable: ");
    assert!(!scene.state().exists());
    let cut = scene.put(&["--retry-for", "0"]).await;
    cut.failed(5, "unavailable: gave up after 1 failure");
    assert!(
        cut.err.contains("; run the same command again to continue"),
        "{}",
        cut.err
    );
    let state = fs::read(scene.state()).expect("the state");

    let other = scene.put(&["--content-type", "a/b"]).await;
    other.failed(1, "resume_refused: the upload began with other flags");
    let source = scene.dir.path().join("source");
    let modified = fs::metadata(&source)
        .and_then(|source| source.modified())
        .expect("a time");
    fs::write(&source, &scene.whole).expect("the same bytes");
    scene
        .put(&[])
        .await
        .failed(1, "resume_refused: the file was written to");
    let file = fs::File::options().write(true).open(&source).expect("the file");
    file.set_modified(modified).expect("the same time");
    let args = ["put", "-", URL, "--resume-file", "state"];
    run(None, &args, b"x")
        .await
        .failed(2, "usage: --resume-file needs a file");

    // A daemon with another key, which therefore cannot read the token.
    write_secret(scene.dir.path().join("key"), &"b".repeat(64));
    let stranger = serve("127.0.0.1:0", &scene.dir, &scene.devgcs);
    let connect = stranger.address().to_string();
    let foreign = scene.put(&["--connect", &connect, "--quiet"]).await;
    foreign.failed(1, "bad_token: ");
    assert!(foreign.err.contains("another token key"), "{}", foreign.err);

    // GCS has forgotten the upload.
    let gone = scene.put(&["--quiet"]).await;
    gone.failed(1, "session_lost: the upload to resume is lost");
    assert!(gone.err.contains("to upload from the start"), "{}", gone.err);
    assert_eq!(
        fs::read(scene.state()).expect("the state"),
        state,
        "it is left as it was"
    );
    assert!(scene.devgcs.object(BUCKET, "object").is_none());
}
