//! A configuration file, read and checked.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::keys;
use crate::cli::exit::{Exit, Failure};
use crate::policy::{self, Policy};

/// The longest file that is read: far more than anybody writes by hand.
const MAX_LEN: u64 = 4 * 1024 * 1024;
/// The table that is no setting.
const POLICY: &str = "policy";
/// How much a key must be like a right one for that to be proposed.
const LIKENESS: f64 = 0.7;

/// A configuration file.
#[derive(Debug, Clone)]
pub(in crate::cli) struct File {
    path: PathBuf,
    settings: Vec<Setting>,
    policy: Option<policy::Config>,
}

/// A key of a flag, with what its value stands for on a command line.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Setting {
    /// The argument's.
    pub(super) id: String,
    /// The number of its line, from 1.
    pub(super) line: usize,
    pub(super) words: Vec<OsString>,
}

impl File {
    /// Reads a file, whose keys are those of `command`, the whole command line. Every value is one that its flag takes; what
    /// contradicts each other shows once they are put together.
    pub(in crate::cli) fn read(path: &Path, command: Command) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let command = keys::definitions(command);
        let reading = Reading { path, text: &text };
        let table = DeTable::parse(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            reading.wrong(start, one_line(error.message()))
        })?;
        let mut settings = Vec::new();
        let mut policy = None;
        for (key, value) in table.into_inner() {
            if key.get_ref().as_ref() == POLICY {
                policy = Some(reading.policy(&key, value)?);
                continue;
            }
            settings.push(reading.setting(&command, &key, &value)?);
        }
        // As they stand in the file.
        settings.sort_by_key(|setting| setting.line);
        Ok(Self {
            path: path.to_owned(),
            settings,
            policy,
        })
    }

    /// Who may do what, where the file says so. It is a right policy.
    pub(in crate::cli) fn policy(&self) -> Option<&policy::Config> {
        self.policy.as_ref()
    }

    pub(super) fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The setting of an argument.
    pub(super) fn setting(&self, id: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.id == id)
    }

    /// Where a line is.
    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::new(Exit::Usage, "config", what).at(path.display());
    let cannot = |error: std::io::Error| wrong(&error.to_string());
    // A pipe has no length: what is read is bounded all the same.
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut file = std::io::Read::take(file, MAX_LEN + 1);
    std::io::Read::read_to_string(&mut file, &mut text).map_err(cannot)?;
    match text.len() as u64 {
        0..=MAX_LEN => Ok(text),
        _ => Err(wrong("a configuration file has at most 4 MiB")),
    }
}

/// A file that is being read.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reading<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// Something at this offset is wrong.
    fn wrong(&self, offset: usize, what: impl std::fmt::Display) -> Failure {
        let place = format!("{}:{}", self.path.display(), self.line(offset));
        Failure::new(Exit::Usage, "config", what).at(place)
    }

    fn setting(
        &self,
        command: &Command,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, Failure> {
        let start = key.span().start;
        let name = key.get_ref().as_ref();
        let all = keys::of(command);
        let Some(arg) = all.iter().find(|arg| keys::key(arg) == Some(name)) else {
            return Err(self.unknown(start, name, &all));
        };
        let words = words(arg, name, value.get_ref())
            .and_then(|words| check(command, &words).map(|()| words))
            .map_err(|why| self.wrong(value.span().start, format!("{name}: {why}")))?;
        Ok(Setting {
            id: arg.get_id().to_string(),
            line: self.line(start),
            words,
        })
    }

    fn policy(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: Spanned<DeValue<'_>>,
    ) -> Result<policy::Config, Failure> {
        let start = key.span().start;
        let config = policy::Config::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            let at = error.span().map_or(start, |span| span.start);
            self.wrong(at, format!("{POLICY}: {}", one_line(error.message())))
        })?;
        match Policy::new(config.clone()) {
            Ok(_) => Ok(config),
            Err(error) => Err(self.wrong(start, format!("{POLICY}: {error}"))),
        }
    }

    fn unknown(&self, offset: usize, name: &str, all: &[&Arg]) -> Failure {
        let known = all.iter().filter_map(|arg| keys::key(arg));
        let near = known
            .map(|key| (strsim::jaro_winkler(name, key), key))
            .filter(|(likeness, _)| *likeness > LIKENESS)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        let failure = self.wrong(offset, format!("there is no key '{name}'"));
        match near {
            Some((_, key)) => failure.advise(format!("the nearest is '{key}'")),
            None => failure.advise("docs/configuration.md, and 'gcsd check-config', show them all"),
        }
    }
}

/// What a key and its value are on a command line.
fn words(arg: &Arg, name: &str, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let flag = || OsString::from(format!("--{name}"));
    let with = |text: &str| OsString::from(format!("--{name}={text}"));
    let other = |value: &DeValue<'_>| {
        let takes = keys::takes(arg);
        Err(format!("it takes {takes}, and not {}", article(value)))
    };
    let scalar = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(with(text)),
        DeValue::Integer(number) => number
            .to_string()
            .parse::<i64>()
            .map(|number| with(&number.to_string()))
            .map_err(|_| "the number is too large, or not decimal".to_owned()),
        value => other(value),
    };
    match value {
        DeValue::Boolean(true) if keys::is_switch(arg) || keys::is_optional(arg) => Ok(vec![flag()]),
        DeValue::Boolean(false) if keys::is_switch(arg) || keys::is_optional(arg) => Ok(Vec::new()),
        value if keys::is_switch(arg) => other(value).map(|word: OsString| vec![word]),
        DeValue::Array(values) if keys::is_list(arg) => {
            values.iter().map(|value| scalar(value.get_ref())).collect()
        }
        value => scalar(value).map(|word| vec![word]),
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether the flag takes this. The value itself may be a secret: what is wrong with it is said in the words of its parser.
fn check(command: &Command, words: &[OsString]) -> Result<(), String> {
    let line = ["gcsd", super::SERVE].map(OsString::from);
    let line = line.iter().chain(words);
    let Err(error) = command.clone().try_get_matches_from(line) else {
        return Ok(());
    };
    if let Some(cause) = error.source() {
        return Err(one_line(&cause.to_string()));
    }
    Err(match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => format!("it takes {}", valid.join(" or ")),
        _ => "its flag does not take this value".to_owned(),
    })
}

fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
