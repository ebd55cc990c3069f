//! The environment: what is set there, and what is wrong with it.
//!
//! A variable can hold a setting, such as where the daemon is. What a command does stands on the command line only: a
//! variable that somebody set long ago must not turn `rm` into `rm --recursive`.

use std::ffi::OsStr;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

/// Reads the value of a variable that switches a flag on.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "0" | "false" | "no" | "off" => Ok(false),
        "1" | "true" | "yes" | "on" => Ok(true),
        _ => Err("it must be true, yes, on, 1, false, no, off or 0".to_owned()),
    }
}

/// Leaves out the variables that say nothing: those that are empty, and those that say false, which clap would count as
/// flags that were given.
pub(super) fn settle(command: Command) -> Command {
    command.mut_args(unset_if_idle).mut_subcommands(settle)
}

fn unset_if_idle(arg: Arg) -> Arg {
    let Some(value) = arg.get_env().and_then(std::env::var_os) else {
        return arg;
    };
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let is_false = is_flag && value.to_str().is_some_and(|text| truth(text) == Ok(false));
    if value.is_empty() || is_false {
        return arg.env(None::<&str>);
    }
    arg
}

/// Adds to an error about the command line `words` which of its values came from variables.
pub(super) fn explain(
    mut error: clap::Error,
    command: &Command,
    words: &[std::ffi::OsString],
) -> clap::Error {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::InvalidUtf8
            | ErrorKind::ArgumentConflict
    ) {
        return error;
    }
    let mut named = Vec::new();
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        match error.get(kind) {
            Some(ContextValue::String(arg)) => named.push(arg.clone()),
            Some(ContextValue::Strings(args)) => named.extend(args.iter().cloned()),
            _ => {}
        }
    }
    let mut notes = Vec::new();
    for (arg, variable) in from_variables(command, words) {
        if named.contains(&arg) {
            notes.push(StyledStr::from(format!(
                "the value of '{arg}' comes from the environment variable {variable}"
            )));
        }
    }
    if !notes.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(notes));
    }
    error
}

/// The arguments of the command that `words` call whose values come from variables, as clap shows them.
fn from_variables(mut command: &Command, words: &[std::ffi::OsString]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = words.iter().skip(1);
    loop {
        for arg in command.get_arguments() {
            let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env()) else {
                continue;
            };
            if std::env::var_os(variable).is_some() && !words.iter().any(|word| gives(word, long)) {
                found.push((arg.to_string(), variable.to_string_lossy().into_owned()));
            }
        }
        let Some(next) = rest.find_map(|word| command.find_subcommand(word)) else {
            return found;
        };
        command = next;
    }
}

/// Whether `word` gives the flag `--long`.
fn gives(word: &OsStr, long: &str) -> bool {
    let flag = word.to_str().and_then(|word| word.strip_prefix("--"));
    flag.and_then(|flag| flag.strip_prefix(long))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
