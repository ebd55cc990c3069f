//! `gcsd encode`: the bytes of a request, from the names of its fields.

#[path = "encode_body.rs"]
mod body;
#[path = "encode_fields.rs"]
mod fields;
#[path = "encode_help.rs"]
mod help;
#[path = "encode_values.rs"]
mod values;
#[path = "encode_words.rs"]
mod words;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};

use super::encryption_key::read_key;
use super::exit::Failure;
use super::secret::read_secret;
use body::Body;
use fields::Settings;
use gcsd_wire::dynamic::leaves;
use gcsd_wire::layout::FieldKind;
use gcsd_wire::{Opcode, RequestHead};
use words::Words;

const ABOUT: &str = "Write the bytes of a request to standard output";

const LONG_ABOUT: &str = "\
Write the bytes of a request to standard output.

A request is named as in the specification (WriteAt) or in lower case (write-at), and so are its fields: FIELD=VALUE, or \
the name alone for what is a bit. Lengths are computed. A whole conversation can be made this way, and sent with netcat: \
the daemon answers each request, finishes what it was sent, and closes.";

const EXAMPLES: &str = "\
Examples:
  { gcsd encode start-upload gs://my-bucket/hello
    gcsd encode write-at text='Hello, GCS!' last
  } | nc -N 127.0.0.1 4743 | gcsd decode

  { gcsd encode start-upload gs://my-bucket/backup.tar
    tar c /etc | gcsd encode write-at streamed body=@-
  } | nc -N 127.0.0.1 4743 | gcsd decode

  gcsd encode ping echo=hi | nc -N 127.0.0.1 4743 | gcsd decode
  gcsd encode stat-object gs://my-bucket/hello | xxd

Each request of a conversation needs its own sequence=N; left out, it is the opcode's number, so that one of each needs \
none. The fields of a request: gcsd encode OPCODE --help";

/// The command line of `gcsd encode`. Its subcommands are the opcodes, made from the table of the wire.
#[derive(Debug, Clone)]
pub(super) struct EncodeArgs {
    opcode: Opcode,
    words: Vec<String>,
    auth_file: Option<PathBuf>,
    token: Option<String>,
    key_file: Option<PathBuf>,
}

impl clap::Args for EncodeArgs {
    fn augment_args(command: Command) -> Command {
        let command = command.about(ABOUT).long_about(LONG_ABOUT).after_help(EXAMPLES);
        let command = command.subcommand_required(true).arg_required_else_help(true);
        let command = command
            .subcommand_value_name("OPCODE")
            .subcommand_help_heading("Opcodes");
        command.subcommands(Opcode::ALL.iter().map(|opcode| request(*opcode)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The subcommand of an opcode.
fn request(opcode: Opcode) -> Command {
    let words = Arg::new("words")
        .value_name("FIELD=VALUE")
        .action(ArgAction::Append);
    let command = Command::new(opcode.stem().replace('_', "-"))
        .alias(opcode.name())
        .about(opcode.about().trim_end_matches('.'))
        .after_help(help::fields(opcode))
        .arg(words.help("Fields by the names below, and URLs of objects"));
    let leaves = leaves(opcode.args());
    let has = |wanted: fn(FieldKind) -> bool| {
        leaves
            .iter()
            .any(|leaf| leaf.refused.is_none() && wanted(leaf.field.kind))
    };
    let file = |id: &'static str, variable: &'static str| {
        Arg::new(id)
            .long(id)
            .env(variable)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
    };
    let secret =
        file("auth-file", "GCSD_AUTH_FILE").help("A file with the daemon's secret, where it wants one");
    let key = file("encryption-key-file", "GCSD_ENCRYPTION_KEY_FILE");
    let key = key.help("A file with the AES-256 key that the object is encrypted with and that GCS does not keep: its 32 bytes, or these in base64");
    let token = Arg::new("token")
        .long("token")
        .env("GCSD_TOKEN")
        .hide_env_values(true);
    let token = token.value_name("TOKEN");
    let token = token.help("The token that the reply to start-upload gave ('gcsd decode --show-token')");
    let command = match has(|kind| matches!(kind, FieldKind::Secret)) {
        true => command.arg(secret),
        false => command,
    };
    let command = match has(|kind| matches!(kind, FieldKind::Token)) {
        true => command.arg(token),
        false => command,
    };
    match has(|kind| matches!(kind, FieldKind::Key)) {
        true => command.arg(key),
        false => command,
    }
}

impl FromArgMatches for EncodeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches.subcommand().and_then(|(name, matches)| {
            let mut opcodes = Opcode::ALL.iter();
            let opcode = opcodes.find(|opcode| opcode.stem().replace('_', "-") == name)?;
            Some((*opcode, matches))
        });
        let (opcode, matches) =
            named.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        let one = |id: &str| matches.try_get_one::<PathBuf>(id).ok().flatten().cloned();
        Ok(Self {
            opcode,
            words: matches.get_many("words").into_iter().flatten().cloned().collect(),
            auth_file: one("auth-file"),
            token: matches.try_get_one("token").ok().flatten().cloned(),
            key_file: one("encryption-key-file"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs the command.
pub(super) fn run(args: EncodeArgs) -> Result<(), Failure> {
    let mut out = gcsd_stdio::stdout().map_err(|error| Failure::stdout(&error))?;
    write(args, &mut out)
}

/// Writes head, args and body.
fn write(args: EncodeArgs, out: &mut impl Write) -> Result<(), Failure> {
    let opcode = args.opcode;
    let settings = Settings {
        secret: args.auth_file.map(|path| read_secret(&path)).transpose()?,
        token: args.token,
        key: args
            .key_file
            .map(|path| read_key(&path, "--encryption-key-file"))
            .transpose()?,
    };
    let words = Words::sort(opcode, args.words)?;
    let body = match words.parts.is_empty() {
        true => words.body.open()?,
        false => Body::Memory(words::parts(&words.parts)?),
    };
    let args = fields::encode(opcode, &words, settings, body.len())?;
    let head = RequestHead {
        opcode: opcode as u8,
        flags: body.flags() | words.flags,
        sequence: words.sequence.unwrap_or(u64::from(opcode as u8)),
        upload: match opcode.has_upload() {
            true => words.upload.unwrap_or(1),
            false => 0,
        },
        args_len: 0,
        body_len: body.len(),
    };
    let stdout = |error: io::Error| Failure::stdout(&error);
    out.write_all(&head.front(&args)).map_err(stdout)?;
    body.write(out, head.checked())?;
    out.flush().map_err(stdout)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
