//! What the system knows of this process. Where it does not say, as outside Linux, there are no such metrics.

use std::fs;

use prometheus_client::registry::Unit;

use super::sampled::float;
use super::{Kind, Sample, Stats};

pub(super) fn register(stats: &Stats) {
    stats.sample(
        Kind::Gauge,
        "process_resident_memory",
        "Memory of the process that is resident",
        Some(Unit::Bytes),
        || one(resident()),
    );
    stats.sample(
        Kind::Gauge,
        "process_open_fds",
        "Open files of the process",
        None,
        || one(open_files()),
    );
    stats.sample(
        Kind::Gauge,
        "process_max_fds",
        "Files that the process may have open",
        None,
        || {
            let limit = rlimit::Resource::NOFILE.get().ok().map(|(soft, _)| soft);
            one(limit)
        },
    );
    let started = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    stats.sample(
        Kind::Gauge,
        "process_start_time",
        "When the process began, since 1970",
        Some(Unit::Seconds),
        move || one(Some(started)),
    );
}

fn one(value: Option<u64>) -> Vec<Sample> {
    value.map(|value| Sample::of(float(value))).into_iter().collect()
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<u64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}
