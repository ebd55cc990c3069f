//! Tells the binary which commit it is built from, where that is known.
//!
//! That is what `GCSD_COMMIT` says, or the record that `cargo package` leaves (`.cargo_vcs_info.json`), or the repository
//! that the source lies in. Without any of them it is built all the same. A debug build does not look: it would be built anew
//! with each commit.

#![expect(
    clippy::disallowed_macros,
    reason = "cargo reads what a build script prints, to its end"
)]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=GCSD_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let root = Path::new(&root);
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = std::env::var("GCSD_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = match (given, is_release) {
        (Some(given), _) => Some(given),
        (None, true) => packaged(root).or_else(|| checked_out(root)),
        (None, false) => None,
    };
    let text = match (commit, is_release) {
        (Some(commit), _) => format!("{version} ({})", short(&commit)),
        (None, true) => version,
        (None, false) => format!("{version} (debug build)"),
    };
    println!("cargo:rustc-env=GCSD_VERSION={text}");
}

/// The commit that a package was made of.
fn packaged(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    rest.split('"').nth(1).map(str::to_owned)
}

/// The commit that is checked out, if the source lies in a repository of its own.
fn checked_out(root: &Path) -> Option<String> {
    if !root.join(".git").exists() {
        return None;
    }
    let git = |words: &[&str]| {
        let output = Command::new("git").current_dir(root).args(words).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Whatever is checked out next, or committed, is noticed.
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo:rerun-if-changed={}", root.join(path).display());
        }
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let is_changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    let short = short(&commit).to_owned();
    Some(if is_changed { short + ", changed" } else { short })
}

/// What of a commit's name people look at: twelve digits, where it is digits.
fn short(commit: &str) -> &str {
    match commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => commit.get(..12).unwrap_or(commit),
        false => commit,
    }
}
