use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use super::*;
use crate::cli::Cli;

/// The flags of client commands that a variable can set: where the daemon is, secrets, time limits, and the log.
const SETTINGS: [&str; 10] = [
    "admin",
    "connect",
    "auth-file",
    "encryption-key-file",
    "token",
    "connect-timeout",
    "stall-timeout",
    "retry-for",
    "log-level",
    "log-format",
];

/// The commands that serve, which often run where a command line is awkward: all of their flags are settings.
const SERVERS: [&str; 2] = ["serve", "devgcs"];

/// Variables that others have named: whose they are, and what they set.
const OTHERS: [(&str, &str, &str); 16] = [
    (
        "`GOOGLE_APPLICATION_CREDENTIALS`",
        "`serve`",
        "The credentials file, where `--credentials` names none",
    ),
    (
        "`GOOGLE_CLOUD_QUOTA_PROJECT`",
        "`serve`",
        "The project that Google counts calls for, in place of the credentials' own",
    ),
    (
        "`GCE_METADATA_HOST`",
        "`serve`",
        "Where the metadata server is, on Google's machines",
    ),
    (
        "`GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES`",
        "`serve`",
        "1: credentials may come from the program that the credentials file names",
    ),
    (
        "`AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`",
        "`serve`",
        "For credentials files of workloads on AWS",
    ),
    (
        "`STORAGE_EMULATOR_HOST`",
        "`serve`",
        "An emulator to serve, without credentials, where `--endpoint` names nothing else",
    ),
    (
        "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`",
        "`serve`",
        "The HTTP proxies, where `--proxy` names none ([proxies.md](proxies.md))",
    ),
    (
        "`NO_PROXY`",
        "`serve`",
        "Hosts that are reached without a proxy, where `--no-proxy` does not say",
    ),
    (
        "`STATE_DIRECTORY`, `XDG_STATE_HOME`",
        "`serve`",
        "Where the state directory is, where `--state-dir` does not say; set by systemd, and by desktops",
    ),
    (
        "`HOME`",
        "`serve`",
        "The same, and where gcloud keeps application default credentials",
    ),
    (
        "`LISTEN_FDS`, `LISTEN_PID`",
        "`serve`",
        "Sockets that systemd hands over",
    ),
    (
        "`NOTIFY_SOCKET`",
        "`serve`",
        "Where systemd is told that the daemon is ready, or stops",
    ),
    (
        "`WATCHDOG_USEC`, `WATCHDOG_PID`",
        "`serve`",
        "How often systemd wants to hear that the daemon lives",
    ),
    (
        "`JOURNAL_STREAM`",
        "all",
        "Where systemd says that standard error is its journal ([logs.md](logs.md))",
    ),
    ("`TMPDIR`", "`demo`", "Where its temporary directory is made"),
    (
        "`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`",
        "all",
        "Whether help texts and the messages about a wrong command line have colours",
    ),
];

/// Settings for the connection to a daemon, which the daemon has for other connections of its own.
const TRUST: [&str; 3] = ["ca-file", "cert", "key"];

/// Calls `visit` with every command that is not only the name of others, and what the command line calls it.
fn walk(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
    visit(path, command);
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        walk(sub, format!("{path} {name}").trim_start(), visit);
    }
}

#[test]
fn what_to_do_never_comes_from_the_environment() {
    walk(&Cli::command(), "", &mut |path, command| {
        let server = SERVERS.contains(&path);
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else {
                assert!(arg.get_env().is_none(), "{path}: {arg}");
                continue;
            };
            let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
            let trust = !server && TRUST.contains(&long);
            if matches!(long, "help" | "version") || !(server || trust || SETTINGS.contains(&long)) {
                assert_eq!(env, None, "{path} --{long}");
                continue;
            }
            let name = long.replace('-', "_").to_uppercase();
            let expected = match path {
                "devgcs" if !long.starts_with("log-") => format!("GCSD_DEVGCS_{name}"),
                _ if trust => format!("GCSD_CONNECT_{name}"),
                _ => format!("GCSD_{name}"),
            };
            assert_eq!(env, Some(expected), "{path} --{long}");
            assert_eq!(
                arg.get_action().takes_values(),
                !is_switch(arg),
                "{path} --{long}"
            );
        }
    });
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

#[test]
fn truth_has_two_values_and_nothing_else_is_one() {
    for (text, value) in [
        ("1", true),
        ("true", true),
        ("YES", true),
        ("on", true),
        ("0", false),
        ("False", false),
        ("no", false),
        ("off", false),
        ("", false),
    ] {
        assert_eq!(truth(text), Ok(value), "{text}");
    }
    for bad in ["nope", "2", "y", "truthy", " "] {
        assert!(truth(bad).is_err(), "{bad}");
    }
}

/// A line of the table: the flag, the commands, the default, and what it is about.
type Row = (String, Vec<String>, String, String);

/// The document, from the definitions of the command line.
fn document() -> String {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut clients = Vec::new();
    let mut command = Cli::command();
    command.build();
    walk(&command, "", &mut |path, command| {
        if command
            .get_arguments()
            .any(|arg| arg.get_long() == Some("connect"))
        {
            clients.push(path.to_owned());
        }
        for arg in command.get_arguments() {
            let Some(env) = arg.get_env() else { continue };
            let help = arg.get_help().expect("a help").to_string();
            let help = help.split(" [default:").next().unwrap_or_default();
            let help = help.trim_end_matches('.').replace('|', "\\|");
            let default: Vec<_> = arg
                .get_default_values()
                .iter()
                .map(|value| format!("`{}`", value.to_string_lossy()))
                .collect();
            let default = if is_switch(arg) {
                String::new()
            } else {
                default.join(", ")
            };
            // Two commands can have different things to say of one variable.
            let key = (env.to_string_lossy().into_owned(), help.clone());
            let flag = format!("`{arg}`");
            rows.entry(key)
                .or_insert_with(|| (flag, Vec::new(), default, help))
                .1
                .push(path.to_owned());
        }
    });
    let mut text = "\
# Environment variables

Settings can come from the environment: where the daemon is, secrets, time limits, the log, and all that `gcsd serve` and `gcsd devgcs`
need. What a command does comes from its command line only. A flag on the command line wins over its variable; an empty variable counts
as one that is not set. A variable that switches a flag on says `true`, `yes`, `on` or `1`; `false`, `no`, `off` and `0` are as if it
were not set, and anything else is an error that names it.

This page is made from the definitions of the command line, by `GCSD_UPDATE_DOCS=1 cargo test --lib environment`; a test compares.

| Variable | Flag | Commands | Default | What it sets |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for ((env, _), (flag, commands, default, help)) in &rows {
        let commands = match commands.as_slice() {
            // A flag of all is one of the program itself.
            [program, ..] if program.is_empty() => "all".to_owned(),
            commands if *commands == clients => "those that talk to a daemon".to_owned(),
            commands => {
                let names = commands.iter().filter_map(|path| path.split(' ').next());
                let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
                names.dedup();
                names.join(", ")
            }
        };
        writeln!(text, "| `{env}` | {flag} | {commands} | {default} | {help} |").expect("memory");
    }
    text += "
## Variables that others have named

| Variable | Commands | What it sets |
| --- | --- | --- |
";
    for (name, commands, what) in OTHERS {
        writeln!(text, "| {name} | {commands} | {what} |").expect("memory");
    }
    text
}

#[test]
fn the_document_lists_every_variable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/environment.md");
    let made = document();
    if std::env::var_os("GCSD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/environment.md");
    assert!(
        made == written,
        "docs/environment.md is out of date: GCSD_UPDATE_DOCS=1 cargo test --lib environment"
    );
}
