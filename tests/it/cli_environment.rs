//! What the environment may say to `gcsd`, and what it may not: the binary against a daemon in front of devgcs.

use devgcs::CallKind;

use crate::support::command::{Ended, gcsd, run, wait};
use crate::support::daemon::Daemon;
use crate::support::devgcs::upload;

/// Runs the binary with these variables.
async fn with(daemon: Option<&Daemon>, variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = gcsd(daemon.map(|daemon| daemon.address), args);
    for (name, value) in variables {
        command.env(name, value);
    }
    wait(command.spawn().expect("the binary runs")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_to_do_does_not_come_from_the_environment() {
    let daemon = Daemon::start().await;
    for name in ["logs/a", "logs/b"] {
        upload(&daemon.devgcs, name, b"0123456789").await;
    }
    let to = Some(&daemon);
    let recursive = [("GCSD_RECURSIVE", "1"), ("GCSD_ALL_VERSIONS", "1")];
    let rm = with(to, &recursive, &["rm", "gs://bucket/logs"]).await;
    rm.failed(3, "not_found: ");
    let rm = with(to, &recursive, &["rm", "gs://bucket"]).await;
    rm.failed(2, "usage: ");
    let others = [
        ("GCSD_RANGE", "0-1"),
        ("GCSD_IF_GENERATION_MATCH", "1"),
        ("GCSD_GENERATION", "1"),
        ("GCSD_DISPLAY_URL", "1"),
        ("GCSD_JSON", "1"),
        ("GCSD_NO_CLOBBER", "1"),
    ];
    let cat = with(to, &others, &["cat", "gs://bucket/logs/a"]).await.quiet();
    assert_eq!(cat.text(), "0123456789");
    let get = with(to, &others, &["get", "gs://bucket/logs/a", "-"])
        .await
        .quiet();
    assert_eq!(get.text(), "0123456789");
    let put = ["put", "/dev/null", "gs://bucket/logs/a"];
    let put = with(to, &[&others[..], &[("GCSD_ABORT", "1")]].concat(), &put).await;
    assert_eq!(put.quiet().text(), "");
    assert_eq!(daemon.object("logs/a").await, b"");
    assert_eq!(
        daemon.devgcs.inspect().count(CallKind::DeleteObject),
        1,
        "the one of logs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_do_and_what_is_wrong_with_one_names_it() {
    let daemon = Daemon::start().await;
    upload(&daemon.devgcs, "o", b"x").await;
    let stat = ["stat", "gs://bucket/o"];
    // An empty variable is none.
    let idle = [
        ("GCSD_LOG_LEVEL", ""),
        ("GCSD_RETRY_FOR", ""),
        ("GCSD_AUTH_FILE", ""),
    ];
    with(Some(&daemon), &idle, &stat).await.quiet();
    for (args, variable, value) in [
        (&["serve"][..], "GCSD_ANONYMOUS", "nope"),
        (&["serve"], "GCSD_MAX_CONNECTIONS", "many"),
        (&["serve"], "GCSD_LISTEN", "127.0.0.1:0,here"),
        (&["devgcs"], "GCSD_DEVGCS_DISCARD", "2"),
        (&["serve", "--anonymous"], "GCSD_CREDENTIALS", "/a/file"),
        (&stat, "GCSD_CONNECT", ":"),
        (&stat, "GCSD_STALL_TIMEOUT", "soon"),
        (&stat, "GCSD_LOG_FORMAT", "xml"),
        (&stat, "GCSD_LOG_LEVEL", "gcsd=loud"),
    ] {
        let ended = with(None, &[(variable, value)], args).await;
        ended.refused();
        let named = format!("comes from the environment variable {variable}\n");
        assert!(ended.err.contains(&named), "{variable}: {}", ended.err);
    }
    // Where the command line says otherwise, it is to blame.
    let args = ["stat", "gs://bucket/o", "--stall-timeout", "never"];
    let ended = with(None, &[("GCSD_STALL_TIMEOUT", "soon")], &args).await;
    ended.refused();
    assert!(
        ended.err.contains("'never'") && !ended.err.contains("environment"),
        "{}",
        ended.err
    );
    // 'false' is as good as nothing: it does not contradict what only goes without the flag.
    for value in ["false", "no", "0", "OFF", ""] {
        let args = [
            "serve",
            "--credentials",
            "/no/such/file",
            "--state-dir",
            "/dev/null",
        ];
        let ended = with(None, &[("GCSD_ANONYMOUS", value)], &args).await;
        assert_eq!(ended.code, Some(1), "{value}: {}", ended.err);
        assert!(
            !ended.err.contains("cannot be used with"),
            "{value}: {}",
            ended.err
        );
    }
}

#[tokio::test]
async fn the_help_names_variables_of_settings_only() {
    let help = run(None, &["rm", "--help"], b"").await.quiet();
    assert!(help.text().contains("[env: GCSD_CONNECT="), "{}", help.text());
    assert!(!help.text().contains("GCSD_RECURSIVE"), "{}", help.text());
}
