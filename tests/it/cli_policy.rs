//! A policy in the configuration file, by the binary: secrets, decisions, the audit log.

use std::path::Path;

use serde_json::Value;

use crate::support::command::{Ended, gcsd, wait};
use crate::support::process::Process;
use crate::support::secret::write_secret;

async fn run(daemon: Option<&Process>, args: &[&str]) -> Ended {
    let command = gcsd(daemon.map(Process::address), args).spawn();
    wait(command.expect("the binary runs")).await
}

/// Makes a secret; returns the path of its file, and what the configuration needs.
async fn secret(dir: &Path, name: &str) -> (String, String) {
    let made = run(None, &["secret", "new", name]).await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    let line = made.err.lines().last().expect("a line").trim().to_owned();
    assert!(line.starts_with("secrets = [{ name = "), "{line}");
    assert!(!made.err.contains(made.text().trim()), "{}", made.err);
    let path = dir.join(name);
    write_secret(&path, made.text());
    (path.display().to_string(), line)
}

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("gcsd.toml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// A daemon with a Cloud Storage of its own, and two identities with secrets.
async fn daemon(dir: &Path) -> (Process, [String; 2], String) {
    let (alice, known) = secret(dir, "alice-1").await;
    let (bob, known_too) = secret(dir, "bob-1").await;
    let config = write(
        dir,
        &format!(
            "embedded = true\n\
             [[policy.rule]]\nname = 'alice'\n{known}\n\
             allow = [{{ buckets = ['demo'], prefixes = ['a/'], verbs = ['create', 'read', 'list'] }}]\n\
             [[policy.rule]]\nname = 'bob'\n{known_too}\n"
        ),
    );
    let daemon = Process::serve_json("127.0.0.1:0", &["--config", &config]);
    (daemon, [alice, bob], config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_made_and_used_and_never_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut daemon, [alice, bob], config) = daemon(dir.path()).await;
    let source = dir.path().join("source");
    std::fs::write(&source, "bytes").expect("a file");
    let source = source.to_str().expect("UTF-8");
    let done = run(
        Some(&daemon),
        &["put", source, "gs://demo/a/x", "--auth-file", &alice],
    )
    .await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    for (secret, on, code, said) in [
        (
            &alice,
            "gs://demo/b/x",
            7,
            "the rule \"alice\" does not permit create on gs://demo/b/x",
        ),
        (
            &bob,
            "gs://demo/a/y",
            7,
            "the rule \"bob\" does not permit create on gs://demo/a/y",
        ),
    ] {
        let denied = run(Some(&daemon), &["put", source, on, "--auth-file", secret]).await;
        assert_eq!(denied.code, Some(code), "{}", denied.err);
        assert!(
            denied.err.contains("denied: ") && denied.err.contains(said),
            "{}",
            denied.err
        );
    }
    // Named with its slash, what is permitted is all that is listed.
    for args in [["ls", "gs://demo/a/"], ["ls", "gs://demo/a/**"]] {
        let listed = run(Some(&daemon), &[&args[..], &["--auth-file", &alice]].concat()).await;
        assert_eq!(
            (listed.code, listed.text()),
            (Some(0), "gs://demo/a/x\n"),
            "{}",
            listed.err
        );
    }
    let above = run(Some(&daemon), &["ls", "gs://demo/a", "--auth-file", &alice]).await;
    assert_eq!(above.code, Some(7), "{}", above.err);
    let nobody = run(Some(&daemon), &["stat", "gs://demo/a/x"]).await;
    assert_eq!(nobody.code, Some(7), "{}", nobody.err);
    let log = daemon.whole_log();
    let shown = run(None, &["check-config", &config]).await;
    for file in [&alice, &bob] {
        let secret = std::fs::read_to_string(file).expect("the secret");
        assert!(!log.contains(secret.trim()) && !shown.text().contains(secret.trim()));
    }
    assert!(
        shown
            .text()
            .contains("# alice: create, read, list on gs://demo/a/*\n"),
        "{}",
        shown.text()
    );
    assert!(shown.text().contains("# bob: nothing\n"), "{}", shown.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_line_in_the_audit_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut daemon, [alice, _], _) = daemon(dir.path()).await;
    let source = dir.path().join("source");
    std::fs::write(&source, "bytes").expect("a file");
    let source = source.to_str().expect("UTF-8");
    for args in [
        &["put", source, "gs://demo/a/x", "--auth-file", &alice][..],
        &["cat", "gs://demo/a/x", "--auth-file", &alice],
        &["rm", "gs://demo/a/x", "--auth-file", &alice],
        &["cp", "gs://demo/a/x", "gs://demo/b/x", "--auth-file", &alice],
    ] {
        run(Some(&daemon), args).await;
    }
    let log = daemon.whole_log();
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines
        .filter(|line: &Value| line["target"] == "gcsd::audit")
        .collect();
    let of = |opcode: &str| {
        let of: Vec<_> = lines.iter().filter(|line| line["opcode"] == opcode).collect();
        assert!(!of.is_empty(), "{opcode}: {log}");
        of
    };
    for line in &lines {
        assert_eq!(line["identity"], "alice");
        assert_eq!(line["level"], "INFO");
        for secret in ["token", "secret", "key", "session"] {
            assert!(line.get(secret).is_none(), "{line}");
        }
        assert!(!line.to_string().contains("upload_id"), "{line}");
    }
    let made = lines
        .iter()
        .find(|line| line["verb"] == "create" && line["bytes"] == 5);
    let made = made.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        (&made["decision"], &made["status"]),
        (&"allowed".into(), &"ok".into())
    );
    assert_eq!(
        (&made["bucket"], &made["object"]),
        (&"demo".into(), &"a/x".into())
    );
    assert!(
        made["request_id"].is_string() && made["generation"].is_u64(),
        "{made}"
    );
    let read = of("ReadAt");
    assert_eq!(
        (read.len(), &read[0]["verb"], &read[0]["bytes"]),
        (1, &"read".into(), &5.into())
    );
    let deleted = of("DeleteObject");
    assert_eq!((deleted.len(), &deleted[0]["verb"]), (1, &"delete".into()));
    assert_eq!(
        (&deleted[0]["decision"], &deleted[0]["status"]),
        (&"denied".into(), &"denied".into())
    );
    let copied = of("RewriteObject");
    assert_eq!(copied[0]["decision"], "denied");
    assert_eq!(
        (&copied[0]["source_object"], &copied[0]["object"]),
        (&"a/x".into(), &"b/x".into())
    );
}

#[tokio::test]
async fn a_decision_is_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(
        dir.path(),
        "anonymous = true\n[[policy.rule]]\nname = 'it'\nanybody = true\n\
         allow = [{ buckets = ['b-*'], prefixes = ['p/'], verbs = ['read', 'list'] }]\n",
    );
    let check = async |identity: &str, verb: &str, on: &str| {
        run(
            None,
            &["check-config", &file, "--as", identity, "--verb", verb, on],
        )
        .await
    };
    let allowed = check("it", "read", "gs://b-1/p/x").await.quiet();
    assert_eq!(
        allowed.text(),
        "allowed: the rule \"it\" permits read, list on gs://b-*/p/*\n"
    );
    let denied = check("it", "delete", "gs://b-1/p/x").await;
    denied.failed(
        7,
        "denied: the rule \"it\" does not permit delete on gs://b-1/p/x: here it may read, list",
    );
    let denied = check("it", "list", "gs://b-1/").await;
    denied.failed(
        7,
        "denied: the rule \"it\" does not permit list on gs://b-1/*: it may do so on gs://b-*/p/*",
    );
    let nobody = check("they", "read", "gs://b-1/p/x").await;
    nobody.failed(7, "denied: no rule has this name: they; there are it");
    check("it", "sign", "gs://b-1/p/x").await.refused();
    run(None, &["check-config", &file, "--as", "it"]).await.refused();
    let open = write(dir.path(), "anonymous = true\n");
    let allowed = run(
        None,
        &["check-config", &open, "--as", "it", "--verb", "read", "gs://b/o"],
    )
    .await;
    assert!(
        allowed
            .quiet()
            .text()
            .starts_with("allowed: the file has no policy")
    );
}

#[tokio::test]
async fn a_secret_of_a_file_that_no_rule_is_for_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    write_secret(&secret, "sesame");
    let config = |rule: &str| {
        let secret = secret.display();
        let text =
            format!("anonymous = true\nauth-file = '{secret}'\n[[policy.rule]]\nname = 'it'\n{rule}\n");
        write(dir.path(), &text)
    };
    let unused = run(None, &["check-config", &config("anybody = true")]).await;
    unused.failed(
        1,
        "failed: no rule of the policy is for who knows the secret of --auth-file",
    );
    run(None, &["check-config", &config("auth-file = true")])
        .await
        .quiet();
}
