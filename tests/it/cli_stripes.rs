//! `gcsd put --connections`: as a user has it, and with processes that are killed.

use std::fs;
use std::process::Child;

use devgcs::{self, CallKind, Server};
use gcsd_types::Crc32c;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, PATIENCE};
use crate::support::process::Process;
use crate::support::scripted::bytes;
use crate::support::secret::write_secret;
use crate::support::striped::names_at;

const URL: &str = "gs://bucket/a/object";

const SIZE: usize = 23 << 20;

/// A GCS in this process, daemons in theirs, and a file that is cut into five parts.
struct Scene {
    devgcs: Server,
    daemons: Vec<Process>,
    dir: TempDir,
    whole: Vec<u8>,
}

impl Scene {
    async fn new(daemons: usize, faults: &str) -> Self {
        let devgcs = Server::builder().bucket(BUCKET).faults(faults);
        let devgcs = devgcs.start().await.expect("devgcs starts");
        let dir = tempfile::tempdir().expect("a directory");
        let whole = bytes(SIZE).to_vec();
        fs::write(dir.path().join("source"), &whole).expect("a file");
        let key = dir.path().join("key");
        write_secret(&key, &"a".repeat(64));
        let key = key.to_str().expect("UTF-8");
        let endpoint = devgcs.endpoint();
        let serve = |_| {
            let args = ["--endpoint", &endpoint, "--anonymous", "--token-key", key];
            Process::serve("127.0.0.1:0", &args)
        };
        Self {
            daemons: (0..daemons).map(serve).collect(),
            devgcs,
            dir,
            whole,
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let connect: Vec<_> = self
            .daemons
            .iter()
            .map(|daemon| daemon.address().to_string())
            .collect();
        let mut args = ["put", &self.path("source"), URL, "--connect", &connect.join(",")]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--connections", "3", "--part-size", "5MiB"].map(str::to_owned));
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    async fn put(&self, more: &[&str]) -> Ended {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(None, &args, b"").await
    }

    /// A `put` that goes on until so many calls of `kind` were made.
    async fn held_up(&self, more: &[&str], kind: CallKind, calls: u64) -> Child {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let child = gcsd(None, &args).spawn().expect("the binary runs");
        let there = self
            .devgcs
            .wait_for(PATIENCE, |inspect| inspect.count(kind) >= calls);
        assert!(there.await);
        child
    }

    /// These objects are there and no others, and nothing else is left either.
    async fn left(&self, objects: &[&str]) {
        assert_eq!(names_at(&self.devgcs).await, objects);
        assert!(!self.dir.path().join("state").exists(), "the state is gone");
    }

    /// The object is there, and right.
    async fn done(&self, put: &Ended) {
        assert_eq!(put.code, Some(0), "{}", put.err);
        let object = self.devgcs.object(BUCKET, "a/object").expect("the object");
        assert_eq!(object.size, self.whole.len() as u64);
        assert_eq!(object.crc32c, Crc32c::of(&self.whole).0);
        assert_eq!(object.resource["componentCount"], 5);
        self.left(&["a/object"]).await;
    }
}

const AGAIN: &str = "gcsd: going on with the upload of an earlier run\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_in_parts_and_what_is_small_or_a_pipe_does_not() {
    let scene = Scene::new(1, "off").await;
    let put = scene.put(&["--json", "--content-type", "a/b"]).await.quiet();
    scene.done(&put).await;
    let resource: serde_json::Value = serde_json::from_str(put.text()).expect("JSON");
    assert_eq!(resource["metadata"]["contentType"], "a/b");
    assert_eq!(resource["metadata"]["componentCount"], 5);
    assert_eq!(resource["gcsd"]["recovered"], 0);
    let starts = scene.devgcs.inspect().count(CallKind::StartUpload);
    assert_eq!(starts, 5);
    // In one piece, in the usual way.
    fs::write(scene.path("source"), b"small").expect("a file");
    scene.put(&[]).await.quiet();
    assert_eq!(scene.devgcs.inspect().count(CallKind::ComposeObject), 1);
    let address = Some(scene.daemons[0].address());
    run(address, &["put", "-", URL, "--connections", "2"], b"x")
        .await
        .failed(2, "usage: --connections needs a file");
    let source = scene.path("source");
    let args = ["put", &source, URL, "--part-size", "1MiB", "--connections", "2"];
    let too_small = run(address, &args, b"").await;
    too_small.failed(2, "usage: --part-size must be 5MiB at least");
    let alone = run(address, &args[..5], b"").await;
    assert_eq!(alone.code, Some(2), "{}", alone.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recovered_from_is_told_as_a_sum() {
    let scene = Scene::new(
        1,
        "return-503 on start call 1; return-503 on last call 0; return-503 on compose call 0",
    )
    .await;
    let put = scene.put(&["--json"]).await;
    scene.done(&put).await;
    let resource: serde_json::Value = serde_json::from_str(put.text()).expect("JSON");
    assert_eq!(resource["gcsd"]["recovered"], 3);
    let last = put.err.lines().last().expect("a line");
    assert_eq!(last, "gcsd: recovered 3 times: 3 unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_precondition_that_does_not_hold_leaves_nothing() {
    let scene = Scene::new(1, "off").await;
    scene.done(&scene.put(&[]).await).await;
    let starts = scene.devgcs.inspect().count(CallKind::StartUpload);
    let clobber = scene
        .put(&["--no-clobber", "--resume-file", &scene.path("state")])
        .await;
    assert_eq!(clobber.code, Some(0), "{}", clobber.err);
    assert!(
        clobber.err.starts_with("gcsd: skipped: the object is there"),
        "{}",
        clobber.err
    );
    assert_eq!(scene.devgcs.inspect().count(CallKind::StartUpload), starts);
    scene.left(&["a/object"]).await;
    let not = scene.put(&["--if-generation-not-match", "1"]).await;
    not.failed(2, "usage: an object can be composed only under");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_deletes_what_was_uploaded() {
    let scene = Scene::new(1, "stall-always-after-all on write call 7").await;
    let child = scene.held_up(&[], CallKind::WriteUpload, 8).await;
    signal(&child, "-INT");
    let ended = wait(child).await;
    ended.failed(130, "interrupted: ");
    assert!(
        ended.err.contains("the upload was cancelled, no object was made"),
        "{}",
        ended.err
    );
    scene.left(&[]).await;
    assert_eq!(scene.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_gone_on_with_or_aborted() {
    for (faults, kind, calls) in [
        ("stall-always-after-all on write call 7", CallKind::WriteUpload, 8),
        (
            "stall-always-after-256K on write call 3",
            CallKind::WriteUpload,
            4,
        ),
        (
            "stall-always-after-all on compose call 0",
            CallKind::ComposeObject,
            1,
        ),
        ("stall-always on delete call 0..3", CallKind::DeleteObject, 3),
    ] {
        for go_on in [true, false] {
            let scene = Scene::new(1, faults).await;
            let state = scene.path("state");
            let mut child = scene.held_up(&["--resume-file", &state], kind, calls).await;
            child.kill().expect("killed");
            child.wait().expect("gone");
            assert!(fs::exists(&state).expect("a folder"), "the state is there");
            let composed = matches!(kind, CallKind::ComposeObject | CallKind::DeleteObject);
            if go_on {
                let put = scene.put(&["--resume-file", &state]).await;
                assert!(put.err.starts_with(AGAIN), "{faults}: {}", put.err);
                scene.done(&put).await;
            } else {
                let aborted = scene.put(&["--resume-file", &state, "--abort"]).await;
                assert_eq!(aborted.code, Some(0), "{faults}: {}", aborted.err);
                let end = match composed {
                    true => "the object was made all the same, as generation ",
                    false => "the upload was cancelled, no object was made",
                };
                assert!(
                    aborted.err.starts_with(&format!("gcsd: {end}")),
                    "{}",
                    aborted.err
                );
                scene.left(if composed { &["a/object"] } else { &[] }).await;
                let nothing = scene.put(&["--resume-file", &state, "--abort"]).await;
                nothing.failed(1, "resume_refused: there is no upload to abort");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_way_of_a_multipart_upload_there_are_no_temporary_objects() {
    let scene = Scene::new(1, "stall-always on part call 4").await;
    let state = scene.path("state");
    let args = ["--via", "multipart", "--resume-file", &state];
    let mut child = scene.held_up(&args, CallKind::UploadPart, 5).await;
    child.kill().expect("killed");
    child.wait().expect("gone");
    let put = scene.put(&["--resume-file", &state]).await;
    assert!(put.err.starts_with(AGAIN), "{}", put.err);
    assert_eq!(put.code, Some(0), "{}", put.err);
    let object = scene.devgcs.object(BUCKET, "a/object").expect("the object");
    assert_eq!(object.crc32c, Crc32c::of(&scene.whole).0);
    scene.left(&["a/object"]).await;
    let inspect = scene.devgcs.inspect();
    assert!(inspect.count(CallKind::UploadPart) < 10, "finished parts stay");
    assert_eq!(inspect.count(CallKind::ComposeObject), 0);
    let only_if = scene.put(&["--via", "multipart", "--no-clobber"]).await;
    only_if.failed(2, "usage: a multipart upload cannot have preconditions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_is_left_for_the_others() {
    // A part on each of them stands still.
    let mut scene = Scene::new(3, "stall-for-2s-after-256K on write call 0..3").await;
    let child = scene.held_up(&[], CallKind::WriteUpload, 3).await;
    for daemon in [0, 1] {
        scene.daemons[daemon].kill();
    }
    let put = wait(child).await;
    scene.done(&put).await;
    let last = put.err.lines().last().expect("a line");
    assert!(last.starts_with("gcsd: recovered "), "{}", put.err);
}
