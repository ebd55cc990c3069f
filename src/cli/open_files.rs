//! The limit of open files: often 1,024 where a shell starts a server, whose every upload in flight needs two.

/// Raises the limit as far as the system permits, and warns where `connections` at once may reach it.
pub(super) fn allow(connections: usize) {
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_mul(2)
        .saturating_add(64);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => tracing::warn!(
            limit,
            needed,
            "fewer files may be open than --max-connections can need: raise the limit (ulimit -n, LimitNOFILE=)"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}
