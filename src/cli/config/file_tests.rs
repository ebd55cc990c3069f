use std::path::Path;

use super::*;
use crate::cli::Cli;

fn read(text: &str) -> Result<File, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().display().to_string();
    File::read(file.path(), Cli::definitions()).map_err(|failure| failure.to_string().replace(&path, "FILE"))
}

fn words(text: &str) -> Vec<String> {
    let file = read(text).expect("it is right");
    let words = file.settings().iter().flat_map(|setting| setting.words.iter());
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

#[test]
fn settings_are_what_flags_would_be() {
    assert_eq!(
        words(
            "# ours\nmax-calls = 7\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\nanonymous = true\nlog-level = \"debug\"\n"
        ),
        [
            "--max-calls=7",
            "--listen=127.0.0.1:1",
            "--listen=[::1]:2",
            "--anonymous",
            "--log-level=debug"
        ]
    );
    assert_eq!(
        words("anonymous = false\nlisten = '127.0.0.1:1'"),
        ["--listen=127.0.0.1:1"]
    );
    assert_eq!(words("embedded = true"), ["--embedded"]);
    assert_eq!(words("embedded = false"), [""; 0]);
    assert_eq!(
        words("embedded = '/a dir'\ngrace = 5"),
        ["--embedded=/a dir", "--grace=5"]
    );
    assert_eq!(words(""), [""; 0]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, told) in [
        (
            "\nmax-conections = 5",
            "config: there is no key 'max-conections': FILE:2; the nearest is 'max-connections'",
        ),
        (
            "max_calls = 5",
            "config: there is no key 'max_calls': FILE:1; the nearest is 'max-calls'",
        ),
        (
            "zzz = 5",
            "config: there is no key 'zzz': FILE:1; docs/configuration.md, and 'gcsd check-config', show them all",
        ),
        ("config = 'other'", "config: there is no key 'config': FILE:1"),
        ("help = true", "config: there is no key 'help': FILE:1"),
        (
            "\n\nmax-calls = 0",
            "config: max-calls: 0 is not in 1..=1048576: FILE:3",
        ),
        (
            "max-calls = 'x'",
            "config: max-calls: invalid digit found in string: FILE:1",
        ),
        (
            "max-calls = -3",
            "config: max-calls: -3 is not in 1..=1048576: FILE:1",
        ),
        (
            "max-calls = 1.5",
            "config: max-calls: it takes N, and not a number with a fraction: FILE:1",
        ),
        (
            "max-calls = [1]",
            "config: max-calls: it takes N, and not a list: FILE:1",
        ),
        (
            "anonymous = 'yes'",
            "config: anonymous: it takes true or false, and not a string: FILE:1",
        ),
        (
            "grace = true",
            "config: grace: it takes TIME, and not true or false: FILE:1",
        ),
        (
            "listen = ['127.0.0.1:1', 'here']",
            "config: listen: it must be IP:PORT, tls://IP:PORT or unix:PATH: FILE:1",
        ),
        (
            "log-format = 'xml'",
            "config: log-format: it takes text or json: FILE:1",
        ),
        (
            "log-level = 'gcsd=loud'",
            "config: log-level: error parsing level filter: ",
        ),
        ("grace = '5s'\ngrace = '6s'", "config: duplicate key: FILE:2"),
        ("grace = ", "config: "),
        (
            "[limits]\ngrace = '5s'",
            "config: there is no key 'limits': FILE:1",
        ),
    ] {
        let wrong = read(text).expect_err(text);
        assert!(wrong.starts_with(told), "{text}: {wrong}");
        assert!(wrong.contains("FILE:") && !wrong.contains('\n'), "{wrong}");
    }
}

#[test]
fn a_secret_in_a_wrong_value_is_not_told() {
    let wrong = read("proxy = ['http://user:hunter2@proxy']").expect_err("one proxy");
    assert!(!wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn a_file_must_be_there_and_have_an_end() {
    let missing = File::read(Path::new("/no/such.toml"), Cli::definitions()).expect_err("no file");
    assert!(missing.to_string().ends_with(": /no/such.toml"), "{missing}");
    let endless = File::read(Path::new("/dev/zero"), Cli::definitions()).expect_err("endless");
    assert!(endless.to_string().contains("at most 4 MiB"), "{endless}");
}

#[test]
fn the_table_of_the_policy_is_no_setting() {
    let file = read(
        "grace = 5\n[[policy.rule]]\nname = 'a'\nuids = [1]\nallow = [{ buckets = ['*'], verbs = ['read'] }]\n",
    );
    let file = file.expect("it is right");
    assert_eq!(file.settings().len(), 1);
    assert!(file.policy().is_some());
    assert!(read("grace = 5").expect("it is right").policy().is_none());
    for (text, told) in [
        (
            "[[policy.rule]]\nname = 'a'",
            "config: policy: the rule \"a\" is for nobody",
        ),
        (
            "\n[[policy.rule]]\nname = 'a'\nuid = 7",
            "config: policy: unknown field `uid`, expected one of",
        ),
        (
            "[[policy.rule]]\nname = 'a'\nuids = [1]\nallow = [{ buckets = ['*'], verbs = ['write'] }]",
            "config: policy: 'write' is no verb: there are read, list,",
        ),
        ("policy = 5", "config: policy: invalid type"),
    ] {
        let wrong = read(text).expect_err(text);
        assert!(wrong.starts_with(told), "{text}: {wrong}");
        assert!(wrong.contains("FILE:") && !wrong.contains('\n'), "{wrong}");
    }
    let wrong = read("\n[[policy.rule]]\nname = 'a'\nuid = 7").expect_err("no such key");
    assert!(wrong.contains("FILE:4"), "{wrong}");
}
