//! `gcsd check-config`: what the daemon would run with.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};

use super::{File, SERVE, keys};
use crate::cli::exit::{Exit, Failure, failed};
use crate::cli::stdout::Output;
use crate::cli::{Cli, Command, serve};
use crate::policy::{Policy, Verb};

/// Check a configuration file, and show what 'gcsd serve --config FILE' would run with
///
/// Every setting is shown with its value and where that comes from: the file, a variable, or the default. The files that
/// the settings name are read: secrets, keys, credentials. Nothing is listened on, and nothing sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd check-config /etc/gcsd/gcsd.toml
  gcsd check-config /etc/gcsd/gcsd.toml --as backup --verb delete gs://my-bucket/backup.tar")]
pub(in crate::cli) struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say instead whether this identity, the name of a rule, may do something, and why
    #[arg(long = "as", value_name = "IDENTITY", requires = "verb", requires = "on")]
    identity: Option<String>,
    /// What it would do
    #[arg(long, value_name = "VERB", requires = "identity")]
    verb: Option<Verb>,
    /// On which object; for "list" what the names begin with, for "stat-bucket" gs://BUCKET
    #[arg(value_name = "GS_URL", requires = "identity")]
    on: Option<String>,
}

/// Carries out `gcsd check-config`.
pub(in crate::cli) async fn run(args: CheckConfigArgs) -> Result<(), Failure> {
    let mut config = OsString::from("--config=");
    config.push(&args.file);
    let words = [OsString::from("gcsd"), OsString::from(SERVE), config];
    let parsed = Cli::parse_words(words.to_vec()).map_err(|wrong| wrong.into_failure())?;
    if let Command::Serve(serve) = &parsed.cli.command {
        serve::check(serve)?;
        if let (Some(identity), Some(verb), Some(on)) = (&args.identity, args.verb, &args.on) {
            let policy = serve::make_policy(serve)?;
            return decide(policy.as_ref(), identity, verb, on).await;
        }
    }
    let shown = parsed.matches.subcommand_matches(SERVE).map(|matches| {
        let command = keys::definitions(Cli::definitions());
        show(&keys::of(&command), matches, parsed.file.as_ref())
    });
    let mut shown = shown.unwrap_or_default();
    if let Some(config) = parsed.file.as_ref().and_then(File::policy) {
        shown += &rules(&Policy::new(config.clone()).map_err(failed)?);
    }
    let mut out = Output::default();
    out.text(shown).await?;
    out.finish().await
}

/// Says whether the policy permits something, and by which rule.
async fn decide(policy: Option<&Policy>, identity: &str, verb: Verb, on: &str) -> Result<(), Failure> {
    let denied = |why: &str| Failure::new(Exit::NotPermitted, "denied", why);
    let Some(policy) = policy else {
        let why = "the file has no policy: whoever gets in may do what the daemon's credentials permit";
        return say(&format!("allowed: {why}\n")).await;
    };
    let Some(rule) = policy.rule(identity) else {
        let names: Vec<_> = policy.rules().map(|rule| rule.name().to_owned()).collect();
        let nobody = denied("no rule has this name").at(identity);
        return Err(nobody.advise(format!("there are {}", names.join(", "))));
    };
    let wrong = || Failure::usage("write gs://BUCKET/OBJECT").at(on);
    let named = on.strip_prefix("gs://").ok_or_else(wrong)?;
    let (bucket, object) = named.split_once('/').unwrap_or((named, ""));
    match rule.grant(verb, bucket, object) {
        Some(grant) => say(&format!("allowed: the rule \"{identity}\" permits {grant}\n")).await,
        None => Err(denied(&rule.denial(verb, bucket, object).to_string())),
    }
}

async fn say(text: &str) -> Result<(), Failure> {
    let mut out = Output::default();
    out.text(text.to_owned()).await?;
    out.finish().await
}

/// What the rules permit.
fn rules(policy: &Policy) -> String {
    let mut text = "\n# Policy: what is not permitted here is denied\n".to_owned();
    for rule in policy.rules() {
        let name = rule.name();
        if rule.grants().is_empty() {
            let _memory = writeln!(text, "# {name}: nothing");
        }
        for grant in rule.grants() {
            let _memory = writeln!(text, "# {name}: {grant}");
        }
    }
    text
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
