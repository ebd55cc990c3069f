//! docs/cli.md: made from the same definitions as the help and the man pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};

use super::Cli;
use super::exit::EXIT_CODES;

const HEAD: &str = "\
# The command line

`gcsd COMMAND --help` says the same, `gcsd man DIR` writes it as man pages, and `gcsd completions SHELL` teaches it to a shell. Flags that
several commands have mean the same in each. [environment.md](environment.md) lists the variables that settings can come from,
[configuration.md](configuration.md) the file that `gcsd serve` reads, and [coming-from.md](coming-from.md) the commands of other tools beside these.

This page is made from the definitions of the command line, by `GCSD_UPDATE_DOCS=1 cargo test --lib reference`; a test compares. The examples
are run by `tests/it/cli_examples.rs`.
";

/// A command whose flags are those of the protocol, and stand in the specification.
const ENCODE: &str = "encode";

fn document() -> String {
    // What clap adds when it reads a command line, it adds here.
    let mut command = Cli::definitions();
    command.build();
    let mut text = HEAD.to_owned();
    text += "\n| Command | |\n| --- | --- |\n";
    let commands: Vec<&Command> = command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
        .collect();
    for command in &commands {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "| [`gcsd {name}`](#gcsd-{name}) | {} |", cell(&about)).expect("memory");
    }
    for command in commands {
        section(&mut text, command);
    }
    writeln!(text, "\n## Exit codes\n\n```text").expect("memory");
    for line in EXIT_CODES.lines().skip(1) {
        writeln!(text, "{line}").expect("memory");
    }
    text += "```\n";
    text
}

fn section(text: &mut String, command: &Command) {
    let name = command.get_name();
    let usage = command.clone().render_usage().to_string();
    let usage: Vec<&str> = usage
        .lines()
        .map(|line| line.trim_start_matches("Usage: ").trim())
        .collect();
    write!(text, "\n## gcsd {name}\n\n```text\n{}\n```\n\n", usage.join("\n")).expect("memory");
    let about = command.get_long_about().or(command.get_about());
    writeln!(text, "{}", about.map(ToString::to_string).unwrap_or_default()).expect("memory");
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in shown(command) {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        let args = || shown(command).filter(|arg| arg.get_help_heading() == heading);
        if let Some(heading) = heading {
            write!(text, "\n{heading}:\n").expect("memory");
        }
        writeln!(text).expect("memory");
        for arg in args() {
            row(text, arg);
        }
    }
    if name == ENCODE {
        writeln!(text, "\nIts commands are the requests of the [specification](../proto-spec.md), in the words of their fields.")
            .expect("memory");
    }
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let examples = after.strip_prefix("Examples:\n").unwrap_or(&after);
        write!(text, "\n```sh\n").expect("memory");
        let (examples, said) = match examples.rsplit_once("\n\n") {
            Some((examples, said)) if !said.starts_with(' ') => (examples, Some(said)),
            _ => (examples, None),
        };
        for line in examples.lines() {
            writeln!(text, "{}", commented(line.strip_prefix("  ").unwrap_or(line))).expect("memory");
        }
        text.push_str("```\n");
        if let Some(said) = said {
            write!(text, "\n{said}\n").expect("memory");
        }
    }
}

/// An example, with what is said beside it as a comment.
fn commented(line: &str) -> String {
    match line.split_once("   ") {
        Some((example, said)) if !example.is_empty() => format!("{example}   # {}", said.trim()),
        _ => line.to_owned(),
    }
}

/// The arguments that are a command's own: not its help, and not those of the program.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    let args = command.get_arguments();
    args.filter(|arg| {
        !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version"
    })
}

fn row(text: &mut String, arg: &Arg) {
    let mut spelled = Vec::new();
    spelled.extend(arg.get_short().map(|short| format!("`-{short}`")));
    spelled.extend(
        arg.get_visible_short_aliases()
            .unwrap_or_default()
            .iter()
            .map(|short| format!("`-{short}`")),
    );
    let takes = arg.get_action().takes_values();
    let values: Vec<String> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    match arg.get_long() {
        Some(long) if takes => spelled.push(format!("`--{long} {}`", values.join(" "))),
        Some(long) => spelled.push(format!("`--{long}`")),
        None => spelled.push(format!("`{}`", values.join(" "))),
    }
    let mut help = arg
        .get_help()
        .or(arg.get_long_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    if !help.ends_with('.') {
        help.push('.');
    }
    let possible = arg.get_possible_values();
    if takes && !possible.is_empty() {
        let names: Vec<_> = possible
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        write!(help, " One of {}.", names.join(", ")).expect("memory");
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes && !defaults.is_empty() {
        write!(help, " Default: `{}`.", defaults.join(",")).expect("memory");
    }
    if let Some(variable) = arg.get_env() {
        write!(help, " Variable: `{}`.", variable.to_string_lossy()).expect("memory");
    }
    writeln!(text, "* {}: {}", spelled.join(", "), cell(&help)).expect("memory");
}

/// Text in one line, in which nothing is taken for a tag.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('<', "\\<")
}

#[test]
fn the_document_has_every_command_and_flag() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let made = document();
    if std::env::var_os("GCSD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/cli.md");
    assert!(
        made == written,
        "docs/cli.md is out of date: GCSD_UPDATE_DOCS=1 cargo test --lib reference"
    );
}

#[test]
fn every_command_has_an_example() {
    for command in Cli::definitions().get_subcommands() {
        let name = command.get_name();
        let after = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(after.starts_with("Examples:\n  "), "{name}: {after}");
        assert!(
            after.contains(&format!("gcsd {name}")),
            "{name} is in none of its examples"
        );
    }
}

/// The commands that people use side by side.
const CLIENTS: [&str; 13] = [
    "put", "get", "stat", "ls", "cat", "cp", "mv", "rm", "update", "du", "hash", "compose", "ping",
];

#[test]
fn a_flag_stands_under_one_heading_and_a_letter_for_one_flag() {
    // What changes is not what is new, a file is no object, and what has one flag for its output has no heading for it.
    const OWN: [&str; 5] = ["json", "quiet", "no-clobber", "range", "connections"];
    let (mut headings, mut letters, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let command = Cli::definitions();
    for command in command
        .get_subcommands()
        .filter(|command| CLIENTS.contains(&command.get_name()))
    {
        let name = command.get_name();
        for arg in shown(command) {
            let Some(long) = arg.get_long() else { continue };
            let own = name == "update" || OWN.contains(&long);
            let heading = arg.get_help_heading().map(str::to_owned);
            let known = headings
                .entry(long.to_owned())
                .or_insert_with(|| (heading.clone(), name));
            if !own && known.0 != heading {
                let (before, other) = &known;
                wrong.push(format!("--{long}: {heading:?} of {name}, {before:?} of {other}"));
            }
            let Some(letter) = arg.get_short() else { continue };
            // As gcloud has it.
            if (name, letter) == ("cat", 'r') {
                continue;
            }
            let known = letters.entry(letter).or_insert_with(|| long.to_owned());
            if known != long {
                wrong.push(format!("-{letter} of {name}: --{long} and --{known}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
