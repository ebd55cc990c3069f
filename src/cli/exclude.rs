//! What is left out of many: files and objects by patterns of their paths.

use std::sync::Arc;

use clap::Args;

use super::pattern::Pattern;

/// What a command line leaves out.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Many objects")]
pub(super) struct Exclude {
    /// Leave out what matches, such as '*.tmp' or 'cache/**'; may be repeated. A pattern without a '/' is about the names of
    /// files and directories, and a directory that matches is left out whole; one with a '/' is about the path below what the
    /// command names. What is named by itself is never left out.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

/// The same, ready to be compared with.
#[derive(Debug, Clone, Default)]
pub(super) struct Excluded(Arc<[Leaves]>);

#[derive(Debug)]
struct Leaves {
    pattern: Pattern,
    /// It is about a whole path, and not about a part of it.
    path: bool,
}

impl Exclude {
    /// The patterns, taken apart.
    pub(super) fn read(&self) -> Excluded {
        let leaves = self.exclude.iter().map(|text| {
            let whole = text.strip_prefix('/').unwrap_or(text);
            let whole = whole.strip_suffix('/').unwrap_or(whole);
            Leaves {
                pattern: Pattern::new(whole),
                path: text.starts_with('/') || whole.contains('/'),
            }
        });
        Excluded(leaves.collect())
    }
}

impl Excluded {
    /// Whether `path` is left out, or a directory that it lies in. It has no '/' before its first name.
    pub(super) fn has(&self, path: &str) -> bool {
        let ends = || {
            path.match_indices('/')
                .map(|(slash, _)| slash)
                .chain([path.len()])
        };
        self.0.iter().any(|leaves| match leaves.path {
            true => ends().any(|end| leaves.pattern.matches(&path[..end])),
            false => path.split('/').any(|part| leaves.pattern.matches(part)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_anywhere_and_paths_from_the_start() {
        for (pattern, yes, no) in [
            (
                "*.tmp",
                &["a.tmp", "d/a.tmp", "d.tmp/a"][..],
                &["a.tmpx", "a"][..],
            ),
            (
                ".git",
                &[".git/config", "d/.git/x", ".git"],
                &["a.git", ".gitignore"],
            ),
            ("cache/", &["cache/x", "d/cache/x"], &["caches/x"]),
            ("d/*.o", &["d/a.o"], &["a.o", "e/d/a.o", "d/e/a.o"]),
            ("/a", &["a", "a/b"], &["d/a"]),
            ("**/x", &["d/x", "d/e/x", "d/x/y"], &["dx"]),
        ] {
            let exclude = Exclude {
                exclude: vec![pattern.to_owned()],
            };
            let excluded = exclude.read();
            for path in yes {
                assert!(excluded.has(path), "{pattern} {path}");
            }
            for path in no {
                assert!(!excluded.has(path), "{pattern} {path}");
            }
        }
        assert!(!Excluded::default().has("a"));
    }
}
