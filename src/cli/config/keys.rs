//! The keys: what the definitions of the flags say of them.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};

use super::SERVE;

/// Flags that are no settings: what names the file, and what only asks.
const NO_KEYS: [&str; 3] = ["config", "help", "version"];

/// The definitions of the command line, with the flags of all commands at each, and nothing from the environment.
pub(super) fn definitions(command: Command) -> Command {
    fn without_variables(command: Command) -> Command {
        command
            .mut_args(|arg| arg.env(None::<&str>))
            .mut_subcommands(without_variables)
    }
    let mut command = without_variables(command);
    command.build();
    command
}

/// The settings among the flags of `gcsd serve`, in their order. The command must have been built.
pub(super) fn of(command: &Command) -> Vec<&Arg> {
    let serve = command.find_subcommand(SERVE);
    let args = serve.into_iter().flat_map(Command::get_arguments);
    args.filter(|arg| key(arg).is_some()).collect()
}

/// The key of an argument, if it is a setting: the name of its flag.
pub(super) fn key(arg: &Arg) -> Option<&str> {
    arg.get_long().filter(|long| !NO_KEYS.contains(long))
}

/// Whether it is given or not, and has no value.
pub(super) fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// Whether it can have several values.
pub(super) fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether it can be given without its value.
pub(super) fn is_optional(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.min_values() == 0)
}

/// What counts if nobody says anything, as far as that can be told.
pub(super) fn default(arg: &Arg) -> Option<String> {
    if is_switch(arg) {
        return Some("false".to_owned());
    }
    let values = arg.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
    if !values.is_empty() {
        return Some(values.join(","));
    }
    let help = arg.get_help()?.to_string();
    let (_, default) = help.split_once(" [default: ")?;
    Some(default.trim_end_matches(']').to_owned())
}

/// What can stand behind the key.
pub(super) fn takes(arg: &Arg) -> String {
    if is_switch(arg) {
        return "true or false".to_owned();
    }
    let possible = arg.get_possible_values();
    let names: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
    let name = match arg.get_value_names() {
        _ if !names.is_empty() => names.join(" or "),
        Some([name, ..]) => name.to_string(),
        _ => "VALUE".to_owned(),
    };
    match (is_list(arg), is_optional(arg)) {
        (true, _) => format!("{name}, or a list of these"),
        (_, true) => format!("true, or {name}"),
        _ => name,
    }
}
