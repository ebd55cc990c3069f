//! `gcsd completions` and `gcsd man`: what shells and man(1) know of the command line, made from the definitions of its help.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::blocking::blocking;
use super::exit::Failure;
use super::stdout::Output;

/// Print what a shell needs to complete the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd completions bash > ~/.local/share/bash-completion/completions/gcsd
  gcsd completions zsh > ~/.zfunc/_gcsd
  gcsd completions fish > ~/.config/fish/completions/gcsd.fish")]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the man pages, one a command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gcsd man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// The directory for them; it is made where there is none.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints completions of `command`.
pub(super) async fn completions(args: CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "gcsd", &mut script);
    let mut out = Output::default();
    out.text(String::from_utf8_lossy(&script).into_owned()).await?;
    out.finish().await
}

/// Writes the pages of `command`.
pub(super) async fn man(args: ManArgs, command: Command) -> Result<(), Failure> {
    blocking(move || {
        let at = |error: std::io::Error| Failure::io(args.directory.display(), &error);
        std::fs::create_dir_all(&args.directory).map_err(at)?;
        clap_mangen::generate_to(command, &args.directory).map_err(at)
    })
    .await
}
