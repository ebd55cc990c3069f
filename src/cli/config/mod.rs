//! The configuration file of `gcsd serve`: each of its flags is a key there, under the same name.
//!
//! ```text
//!   file --File--> settings --words--> the command line, in front of nobody: a flag or a variable that is given wins
//! ```
//!
//! The keys, what they take and what they are for come from the definitions of the flags, so that the two cannot differ.

mod check;
mod file;
mod keys;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::Cli;
pub(super) use check::{CheckConfigArgs, run};
pub(super) use file::File;

/// The command whose settings can stand in a file.
const SERVE: &str = "serve";

static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The file that a command line or the environment names.
pub(super) fn named(matches: &ArgMatches) -> Option<PathBuf> {
    let (SERVE, serve) = matches.subcommand()? else {
        return None;
    };
    serve.get_one::<PathBuf>("config").cloned()
}

/// Adds to `words`, which led to `matches`, the settings of `file` that neither a flag nor a variable gives.
pub(super) fn extend(words: &mut Vec<OsString>, matches: &ArgMatches, file: &File) {
    let Some(serve) = matches.subcommand_matches(SERVE) else {
        return;
    };
    for setting in file.settings() {
        if !is_given(serve, &setting.id) {
            words.extend(setting.words.iter().cloned());
        }
    }
}

/// What is given of the settings, by their keys. A secret is told from another by a number.
pub(super) fn given(matches: &ArgMatches) -> BTreeMap<String, String> {
    let command = keys::definitions(Cli::definitions());
    let Some(serve) = matches.subcommand_matches(SERVE) else {
        return BTreeMap::new();
    };
    let mut given = BTreeMap::new();
    for arg in keys::of(&command) {
        let id = arg.get_id().as_str();
        let source = serve.value_source(id);
        if source.is_none_or(|source| source == ValueSource::DefaultValue) {
            continue;
        }
        let raw: Vec<_> = serve.get_raw(id).into_iter().flatten().collect();
        let value = match arg.is_hide_env_values_set() {
            true => RandomState::hash_one(&*SALT, raw).to_string(),
            false => format!("{raw:?}"),
        };
        given.insert(keys::key(arg).unwrap_or_default().to_owned(), value);
    }
    given
}

/// Whether the command line or the environment gives this argument.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(
        matches.value_source(id),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

/// Adds to an error about a command line that settings of `file` were added to which of its arguments stand there.
pub(super) fn explain(mut error: clap::Error, command: &Command, file: &File) -> clap::Error {
    let Some(serve) = command.find_subcommand(SERVE) else {
        return error;
    };
    let mut named = Vec::new();
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        match error.get(kind) {
            Some(ContextValue::String(arg)) => named.push(arg.clone()),
            Some(ContextValue::Strings(args)) => named.extend(args.iter().cloned()),
            _ => {}
        }
    }
    let notes = file.settings().iter().filter_map(|setting| {
        let arg = serve
            .get_arguments()
            .find(|arg| arg.get_id() == setting.id.as_str())?;
        let shown = arg.to_string();
        let place = file.place(setting.line);
        named
            .contains(&shown)
            .then(|| StyledStr::from(format!("the value of '{shown}' can come from {place}")))
    });
    let notes: Vec<_> = notes.collect();
    if !notes.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(notes));
    }
    error
}

#[cfg(test)]
mod document;
