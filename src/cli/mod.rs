//! The command line: one file per subcommand. Nothing imports it but the binary.

mod batch;
mod blocking;
mod cat;
mod client_errors;
mod compose;
mod conditions;
mod config;
mod connect;
mod copies;
mod copying;
mod cp;
mod decode;
mod demo;
mod destination;
mod devgcs;
mod directory;
mod download;
mod du;
mod encode;
mod encryption_key;
mod environment;
mod exclude;
mod exit;
mod fields;
mod generated;
mod get;
mod get_args;
mod get_many;
mod gs_url;
mod hash;
mod held;
mod local_files;
mod logging;
mod ls;
mod making;
mod merged;
mod metadata;
mod mounted;
mod mv;
mod name_list;
mod naming;
mod new_object;
mod open_files;
mod operands;
mod operator;
mod pages;
mod pattern;
mod ping;
mod pipe;
mod producer;
mod progress;
mod proxies;
mod put;
mod put_many;
mod quoting;
mod reach;
mod recovered;
#[cfg(test)]
mod reference;
mod reporting;
mod resume;
mod retries;
mod rm;
mod same_objects;
mod secret;
mod serve;
mod stat;
mod stderr;
mod stdout;
mod stop;
mod stripes;
mod sums;
mod temporary;
mod unchanged;
mod units;
mod update;
mod upload;
mod upload_failure;
mod walk;
mod writing;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use tracing_subscriber::filter::LevelFilter;

use exit::{EXIT_CODES, failed};

/// What `gcsd --help` shows below the commands.
const ENVIRONMENT: &str = "Settings, such as where the daemon is, can come from the environment variables that the help \
names; what a command does comes from its command line only. A flag wins over its variable.";

/// From a socket into Google Cloud Storage, with nothing in between.
///
/// 'gcsd serve' is the daemon: it speaks a small binary protocol on a TCP port and turns each request into
/// one call to Google Cloud Storage, streaming the bytes through. The other commands are its clients and
/// its tools. To see all of it work on this machine, without an account: 'gcsd demo'.
#[derive(Debug, Parser)]
#[command(name = "gcsd", version = env!("GCSD_VERSION"), max_term_width = 100, after_help = ENVIRONMENT, after_long_help = format!("{ENVIRONMENT}\n\n{EXIT_CODES}"))]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: logging::LoggingArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(Box<serve::ServeArgs>),
    CheckConfig(config::CheckConfigArgs),
    Health(operator::HealthArgs),
    Status(operator::StatusArgs),
    Stop(operator::StopArgs),
    Secret(secret::SecretArgs),
    Put(Box<put::PutArgs>),
    Get(Box<get::GetArgs>),
    Stat(Box<stat::StatArgs>),
    Ls(Box<ls::LsArgs>),
    Cat(Box<cat::CatArgs>),
    Cp(Box<cp::CpArgs>),
    Mv(Box<mv::MvArgs>),
    Rm(Box<rm::RmArgs>),
    Update(Box<update::UpdateArgs>),
    Du(Box<du::DuArgs>),
    Hash(Box<hash::HashArgs>),
    Compose(Box<compose::ComposeArgs>),
    Ping(Box<ping::PingArgs>),
    Devgcs(devgcs::DevgcsArgs),
    Encode(Box<encode::EncodeArgs>),
    Decode(decode::DecodeArgs),
    Completions(pages::CompletionsArgs),
    Man(pages::ManArgs),
}

impl Command {
    /// What it logs unless told otherwise.
    fn log_level(&self) -> LevelFilter {
        match self {
            Self::Serve(_) | Self::Devgcs(_) => LevelFilter::INFO,
            // Its daemon meets what it is there to survive.
            Self::Demo(_) => LevelFilter::ERROR,
            _ => LevelFilter::WARN,
        }
    }
}

impl Cli {
    /// Does what must be done while nothing else runs in this process, before a runtime is built; `gcsd serve` may start anew
    /// here, in another environment.
    pub fn prepare(&self) -> Result<(), ExitCode> {
        match &self.command {
            Command::Serve(args) => serve::prepare(args).map_err(|failure| failure.report()),
            _ => Ok(()),
        }
    }

    /// Reads the command line and the environment. Where they are wrong, or ask for help, the answer has been printed, and
    /// the exit code comes back.
    pub fn from_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        match Self::parse_words(words.into_iter().collect()) {
            Ok(parsed) => Ok(parsed.cli),
            Err(Wrong::Words(error)) => Err(exit::answered(&error)),
            Err(Wrong::File(failure)) => Err(failure.report()),
        }
    }

    /// Reads the command line, the environment, and the configuration file that one of them names.
    fn parse_words(mut words: Vec<OsString>) -> Result<Parsed, Wrong> {
        let mut command = environment::settle(Self::command());
        let mut matches = command.try_get_matches_from_mut(&words);
        let mut file = None;
        if let Some(path) = matches.as_ref().ok().and_then(config::named) {
            let read = config::File::read(&path, Self::command()).map_err(Wrong::File)?;
            if let Ok(given) = &matches {
                config::extend(&mut words, given, &read);
            }
            matches = environment::settle(Self::command()).try_get_matches_from(&words);
            file = Some(read);
        }
        let parsed = matches.and_then(|matches| Ok((Self::from_arg_matches(&matches)?, matches)));
        match parsed {
            Ok((mut cli, matches)) => {
                if let Command::Serve(args) = &mut cli.command {
                    args.policy = file.as_ref().and_then(config::File::policy).cloned();
                }
                Ok(Parsed { cli, matches, file })
            }
            Err(error) => {
                command.build();
                let error = match &file {
                    Some(file) => config::explain(error, &command, file),
                    None => environment::explain(error, &command, &words),
                };
                Err(Wrong::Words(error))
            }
        }
    }

    /// The definitions of the command line.
    fn definitions() -> clap::Command {
        Self::command()
    }

    /// Does what the command line asks for.
    pub async fn run(self) -> ExitCode {
        let log = match self.logging.init(self.command.log_level()) {
            Ok(log) => log,
            Err(message) => return failed(message).report(),
        };
        let done = match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => Box::pin(serve::run(*args, log.control())).await,
            Command::CheckConfig(args) => config::run(args).await,
            Command::Health(args) => operator::health(args).await,
            Command::Status(args) => operator::status(args).await,
            Command::Stop(args) => operator::stop(args).await,
            Command::Secret(args) => secret::run(args).await,
            Command::Put(args) => put::run(*args).await,
            Command::Get(args) => Box::pin(get::run(*args)).await,
            Command::Stat(args) => stat::run(*args).await,
            Command::Ls(args) => ls::run(*args).await,
            Command::Cat(args) => cat::run(*args).await,
            Command::Cp(args) => cp::run(*args).await,
            Command::Mv(args) => mv::run(*args).await,
            Command::Rm(args) => rm::run(*args).await,
            Command::Update(args) => update::run(*args).await,
            Command::Du(args) => du::run(*args).await,
            Command::Hash(args) => hash::run(*args).await,
            Command::Compose(args) => compose::run(*args).await,
            Command::Ping(args) => ping::run(*args).await,
            Command::Devgcs(args) => devgcs::run(args).await,
            Command::Encode(args) => encode::run(*args),
            Command::Decode(args) => decode::run(args),
            Command::Completions(args) => pages::completions(args, Self::definitions()).await,
            Command::Man(args) => pages::man(args, Self::definitions()).await,
        };
        stderr::clear();
        // What is said last stands behind what was logged.
        drop(log);
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }
}

/// A command line that was read, with all that was added to it.
#[derive(Debug)]
struct Parsed {
    cli: Cli,
    matches: clap::ArgMatches,
    file: Option<config::File>,
}

/// What is wrong with a command line.
#[derive(Debug)]
enum Wrong {
    /// The words themselves, or variables; or it asks for help.
    Words(clap::Error),
    /// The configuration file.
    File(exit::Failure),
}

impl Wrong {
    /// The same in one line.
    fn into_failure(self) -> exit::Failure {
        match self {
            Self::File(failure) => failure,
            Self::Words(error) => {
                let text = error.to_string();
                let lines = text.lines().map(str::trim);
                let lines = lines.take_while(|line| !line.starts_with("Usage:"));
                let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
                let text = lines.join("; ");
                exit::Failure::usage(text.strip_prefix("error: ").unwrap_or(&text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::exit::Exit;
    use super::*;

    fn walk(command: &clap::Command, path: &str, check: &mut impl FnMut(&str, &clap::Command)) {
        check(path, command);
        for sub in command.get_subcommands() {
            walk(sub, &format!("{path} {}", sub.get_name()), check);
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_help() {
        walk(&Cli::command(), "gcsd", &mut |path, command| {
            assert!(command.get_about().is_some(), "{path} says nothing of itself");
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long() else { continue };
                if matches!(long, "help" | "version") {
                    continue;
                }
                assert!(arg.get_help().is_some(), "{path} --{long} says nothing of itself");
            }
        });
    }

    #[test]
    fn exit_codes_are_explained() {
        for exit in [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::NotFound,
            Exit::Precondition,
            Exit::Temporary,
            Exit::Differs,
            Exit::NotPermitted,
            Exit::Producer,
            Exit::Unknown,
            Exit::Cut,
            Exit::Interrupted,
            Exit::ReaderGone,
        ] {
            let line = format!("\n  {} ", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
    }
}
