//! What stands on a command line beside its flags: several sources, and behind them where they go.
//!
//! They are one list, which flags may stand in the middle of.

use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;

use super::exit::Failure;

/// The destination, where the sources come from a list.
pub(super) fn destination<T>(operands: &[T]) -> Result<&T, Failure> {
    match operands {
        [destination] => Ok(destination),
        _ => Err(Failure::usage(
            "with --stdin, there is a destination and nothing else",
        )),
    }
}

/// The sources, and the destination.
pub(super) fn split<T>(operands: &[T]) -> Result<(&[T], &T), Failure> {
    match operands {
        [sources @ .., destination] if !sources.is_empty() => Ok((sources, destination)),
        _ => Err(Failure::usage("a source and a destination are needed")),
    }
}

/// The destination, which stands first, and a command behind it: its words, and then the destination.
pub(super) fn split_first<T>(operands: &[T]) -> Result<(&[T], &T), Failure> {
    match operands {
        [destination, command @ ..] if !command.is_empty() => Ok((command, destination)),
        _ => Err(Failure::usage(
            "--from-command needs an object and a command: gs://BUCKET/OBJECT -- PROGRAM [ARG]...",
        )),
    }
}

/// Refuses what is no URL: objects become objects.
pub(super) fn between_objects(operands: &[OsString], moves: bool) -> Result<(), Failure> {
    let is_file = |operand: &&OsString| !operand.to_string_lossy().starts_with("gs://");
    let Some(file) = operands.iter().find(is_file) else {
        return Ok(());
    };
    let does = if moves { "mv moves" } else { "cp copies" };
    let use_instead = match operands.last() {
        Some(last) if is_file(&last) && operands.len() > 1 => "use 'gcsd get' to fetch them as files",
        _ => "use 'gcsd put' for files",
    };
    let what = format!("{does} objects within Cloud Storage, and this is no gs:// URL");
    Err(Failure::usage(what)
        .at(file.to_string_lossy())
        .advise(use_instead))
}

/// Reads an operand.
pub(super) fn parse<T>(operand: &OsString) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    match operand.to_str() {
        Some(text) => read(text),
        None => Err(Failure::usage("it is not UTF-8").at(operand.to_string_lossy())),
    }
}

/// Reads the text of an operand.
pub(super) fn read<T>(text: &str) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| Failure::usage(error).at(text))
}

/// Reads operands.
pub(super) fn parse_all<T>(operands: &[OsString]) -> Result<Vec<T>, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    operands.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gs_url::GsUrl;

    #[test]
    fn the_last_one_is_the_destination() {
        assert_eq!(split(&[1, 2, 3]).expect("enough"), (&[1, 2][..], &3));
        assert!(split(&[1]).is_err() && split::<u8>(&[]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = parse::<GsUrl>(&"bucket/x".into()).expect_err("no URL");
        let text = "usage: an object is written gs://BUCKET/OBJECT: bucket/x";
        assert_eq!(failure.to_string(), text);
    }
}
