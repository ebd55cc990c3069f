//! `gcsd check-config`: what the daemon would run with.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};

use super::{File, SERVE, keys};
use crate::cli::exit::Failure;
use crate::cli::stdout::Output;
use crate::cli::{Cli, Command, serve};

/// Check a configuration file, and show what 'gcsd serve --config FILE' would run with
///
/// Every setting is shown with its value and where that comes from: the file, a variable, or the default. The files that
/// the settings name are read: secrets, keys, credentials. Nothing is listened on, and nothing sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd check-config /etc/gcsd/gcsd.toml")]
pub(in crate::cli) struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Carries out `gcsd check-config`.
pub(in crate::cli) async fn run(args: CheckConfigArgs) -> Result<(), Failure> {
    let mut config = OsString::from("--config=");
    config.push(&args.file);
    let words = [OsString::from("gcsd"), OsString::from(SERVE), config];
    let parsed = Cli::parse_words(words.to_vec()).map_err(|wrong| wrong.into_failure())?;
    if let Command::Serve(args) = &parsed.cli.command {
        serve::check(args)?;
    }
    let shown = parsed.matches.subcommand_matches(SERVE).map(|matches| {
        let command = keys::definitions(Cli::definitions());
        show(&keys::of(&command), matches, parsed.file.as_ref())
    });
    let mut out = Output::default();
    out.text(shown.unwrap_or_default()).await?;
    out.finish().await
}

/// The settings, as a file would have them.
fn show(all: &[&Arg], matches: &ArgMatches, file: Option<&File>) -> String {
    let mut text = String::new();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in all {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        let head = heading.unwrap_or("General");
        let _memory = writeln!(text, "{}# {head}", if text.is_empty() { "" } else { "\n" });
        for arg in all.iter().filter(|arg| arg.get_help_heading() == heading) {
            let _memory = writeln!(text, "{}", line(arg, matches, file));
        }
    }
    text
}

fn line(arg: &Arg, matches: &ArgMatches, file: Option<&File>) -> String {
    let key = keys::key(arg).unwrap_or_default();
    let id = arg.get_id().as_str();
    let from = match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => format!("GCSD_{}", key.replace('-', "_").to_uppercase()),
        _ => match file.and_then(|file| Some(file.place(file.setting(id)?.line))) {
            Some(place) => place,
            None => "default".to_owned(),
        },
    };
    let Some(value) = value(arg, matches) else {
        return match keys::default(arg) {
            Some(default) => format!("# {key}: {default}"),
            None => format!("# {key} is not set"),
        };
    };
    let setting = format!("{key} = {value}");
    format!("{setting:<40} # {from}")
}

/// The value in TOML.
fn value(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    if keys::is_switch(arg) {
        return Some(matches.get_flag(id).to_string());
    }
    let values: Vec<_> = matches.get_raw(id)?.collect();
    if arg.is_hide_env_values_set() {
        return Some("\"(hidden)\"".to_owned());
    }
    let values: Vec<_> = values
        .iter()
        .map(|value| scalar(&value.to_string_lossy()))
        .collect();
    Some(match values.as_slice() {
        _ if keys::is_list(arg) => format!("[{}]", values.join(", ")),
        [] => "true".to_owned(),
        [value, ..] => value.clone(),
    })
}

fn scalar(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => text.to_owned(),
        _ => {
            // The escapes of a JSON string are those of TOML.
            serde_json::Value::from(text).to_string()
        }
    }
}
