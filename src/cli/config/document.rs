//! docs/configuration.md: made from the definitions of the flags.

use std::fmt::Write as _;
use std::path::Path;

use clap::Arg;

use super::keys;
use crate::cli::Cli;

const HEAD: &str = r#"# The configuration file

`gcsd serve --config FILE` reads its settings from a file in [TOML](https://toml.io); `GCSD_CONFIG` can name the file as well. Each flag of
`gcsd serve` is a key there, under the same name:

```toml
listen = ["127.0.0.1:4743", "[::1]:4743"]
credentials = "/etc/gcsd/credentials.json"
auth-file = "/etc/gcsd/secret"
max-memory = "2GiB"
gcs-timeout = "90s"
log-format = "json"
```

* A flag on the command line wins over its [variable](environment.md), and that over the file.
* Sizes (`SIZE`) and times (`TIME`) are strings with a unit, `"64KiB"` and `"30s"`, or numbers of bytes and of seconds. Paths are as on the command
  line: those that are not absolute begin at the working directory.
* The table `policy` says who may do what: [policy.md](policy.md). It has no flag.
* A key that does not exist is an error, and the nearest one is proposed. An error tells the file, the line and the key. The exit code is 2.
* `gcsd check-config FILE` shows every setting with its value and where that comes from, and reads the files that the settings name; it listens on
  nothing and sends nothing. Run it before a restart.

This page is made from the definitions of the command line, by `GCSD_UPDATE_DOCS=1 cargo test --lib config`; a test compares.
"#;

/// What it is about, in one sentence or more, without the default.
fn help(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.split(" [default:").next().unwrap_or_default();
    help.trim_end_matches('.').to_owned()
}

fn document() -> String {
    let command = keys::definitions(Cli::definitions());
    let all = keys::of(&command);
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &all {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    let mut text = HEAD.to_owned();
    for heading in headings {
        write!(
            text,
            "\n## {}\n\n| Key | Takes | Default | What it sets |\n| --- | --- | --- | --- |\n",
            heading.unwrap_or("General")
        )
        .expect("memory");
        for arg in all.iter().filter(|arg| arg.get_help_heading() == heading) {
            row(&mut text, arg);
        }
    }
    text
}

fn row(text: &mut String, arg: &Arg) {
    let cell = |text: String| text.replace('|', "\\|");
    writeln!(
        text,
        "| `{}` | {} | {} | {} |",
        keys::key(arg).expect("a key"),
        cell(keys::takes(arg)),
        cell(keys::default(arg).unwrap_or_default()),
        cell(help(arg)),
    )
    .expect("memory");
}

#[test]
fn the_document_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let made = document();
    if std::env::var_os("GCSD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/configuration.md");
    assert!(
        made == written,
        "docs/configuration.md is out of date: GCSD_UPDATE_DOCS=1 cargo test --lib config"
    );
}

/// Every flag of the daemon is a setting, whatever it is called, but for the one that names the file.
#[test]
fn every_flag_is_a_key() {
    let command = keys::definitions(Cli::definitions());
    let serve = command.find_subcommand("serve").expect("it is there");
    let flags: Vec<_> = serve.get_arguments().filter_map(Arg::get_long).collect();
    let keys: Vec<_> = keys::of(&command).into_iter().filter_map(keys::key).collect();
    let others: Vec<_> = flags.iter().filter(|flag| !keys.contains(flag)).collect();
    assert_eq!(others, [&"config", &"help"]);
    assert!(keys.contains(&"log-level") && keys.contains(&"listen") && keys.contains(&"proxy"));
}
