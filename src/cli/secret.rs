//! The secret that a daemon wants from its clients: the same file on both sides, or only its hash on the daemon's.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bytes::Bytes;

use super::exit::{Failure, failed};
use super::stdout::Output;
use super::{quoting, stderr};
use crate::policy::{self, SecretHash};

/// The longest secret that a Hello can carry, in bytes.
const MAX_SECRET: usize = u16::MAX as usize;

/// Reads a secret: the bytes of a file, without the line break at its end.
pub(super) fn read_secret(file: &Path) -> Result<Bytes, Failure> {
    let place = format!("--auth-file {}", file.display());
    let text = std::fs::read(file).map_err(|error| Failure::io(&place, &error))?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match text.len() {
        0 => Err(failed("it is empty, and would let everybody in").at(place)),
        1..=MAX_SECRET => Ok(Bytes::copy_from_slice(text)),
        _ => Err(failed("the secret is longer than 64 KiB").at(place)),
    }
}

/// Refuses a file with a secret that every user of the machine can read.
pub(super) fn refuse_if_open(file: &Path) -> Result<(), Failure> {
    // A file that cannot be looked at cannot be read either, and that says why.
    let Ok(metadata) = std::fs::metadata(file) else {
        return Ok(());
    };
    if metadata.is_file() && metadata.mode() & 0o004 != 0 {
        let open = failed("every user of this machine can read this secret").at(file.display());
        return Err(open.advise(format!("chmod o-r {}", quoting::quoted(&file.to_string_lossy()))));
    }
    Ok(())
}

/// Make secrets for the rules of a configuration file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  (umask 077; gcsd secret new backup-2026 > secret)")]
pub(super) struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SecretCommand {
    New(NewArgs),
}

/// Make a secret, print it once, and say what the configuration file needs to know it by
///
/// The secret, 256 random bits, goes to standard output and nowhere else; what stands in the configuration file is its SHA-256, by which
/// nobody can find it out. The line for the file goes to standard error.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// What the configuration file calls it: 1 to 64 of a-z, A-Z, 0-9, '.', '_', '@' and '-'
    #[arg(value_name = "NAME")]
    name: String,
}

/// Carries out `gcsd secret`.
pub(super) async fn run(args: SecretArgs) -> Result<(), Failure> {
    let SecretCommand::New(NewArgs { name }) = args.command;
    if !policy::is_name(&name) {
        let wrong = Failure::usage("this cannot be the name of a secret").at(&name);
        return Err(wrong.advise("take 1 to 64 of a-z, A-Z, 0-9, '.', '_', '@' and '-'"));
    }
    let secret = policy::new_secret().ok_or_else(|| failed("the system gave no random numbers"))?;
    let sha256 = SecretHash::of(secret.as_bytes()).to_hex();
    let mut out = Output::default();
    out.text(format!("{secret}\n")).await?;
    out.finish().await?;
    stderr::line(format!(
        "in a rule of the configuration file:\n  secrets = [{{ name = \"{name}\", sha256 = \"{sha256}\" }}]"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let read = |text: &str| {
            std::fs::write(file.path(), text).expect("a full file");
            read_secret(file.path())
        };
        assert_eq!(
            read("open sesame\r\n").expect("a secret"),
            b"open sesame".as_slice()
        );
        assert_eq!(read("a\nb").expect("a secret"), b"a\nb".as_slice());
        assert!(read("\n").is_err());
        assert!(read(&"x".repeat(65_536)).is_err());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_what_mends_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a secret");
        std::fs::write(&file, "x").expect("written");
        let mode =
            |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        for closed in [0o600, 0o440, 0o640] {
            mode(closed);
            assert!(refuse_if_open(&file).is_ok(), "{closed:o}");
        }
        mode(0o644);
        let refused = refuse_if_open(&file).expect_err("open").to_string();
        assert!(
            refused.contains(&format!("chmod o-r '{}'", file.display())),
            "{refused}"
        );
        // Pipes and devices are not kept.
        assert!(refuse_if_open(Path::new("/dev/null")).is_ok());
    }
}
