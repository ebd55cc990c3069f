//! The limit of open files: often 1,024 where a shell starts a server, which needs one for each connection and each call.

/// Files that are neither connections nor calls: listeners, what the runtime and the log need, files of credentials and
/// connections for access tokens, and further addresses that a call tries before one answers.
pub(super) const OTHERS: usize = 64;

/// Raises the limit as far as the system permits, and says how many files may be open.
pub(super) fn raise() -> Option<usize> {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be found out: it may be too low");
            None
        }
    }
}
