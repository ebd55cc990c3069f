//! What a daemon has under way, for people.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::BinaryBytes;

use crate::admin::{RequestRow, Share, Status, UploadRow};
use crate::cli::quoting::shown;
use crate::cli::units::show_duration;

/// The status as text.
pub(super) fn show(status: &Status) -> String {
    let mut text = format!(
        "gcsd {}, {}, up {}\n",
        status.version,
        status.state,
        show_duration(Duration::from_secs(status.uptime_s))
    );
    let of = |Share { used, limit }: Share| format!("{used} of {limit}");
    let Share { used, limit } = status.memory;
    let _memory = writeln!(
        text,
        "connections {}, calls to Cloud Storage {}, memory held {} of {}",
        of(status.connections),
        of(status.gcs_calls),
        BinaryBytes(used),
        BinaryBytes(limit)
    );
    let _memory = writeln!(text, "\n{} uploads open", status.uploads_open);
    for row in &status.uploads {
        let _memory = writeln!(text, "  {}", upload(row));
    }
    let _memory = writeln!(text, "\n{} requests in flight", status.requests_in_flight);
    for row in &status.requests {
        let _memory = writeln!(text, "  {}", request(row));
    }
    text
}

fn upload(row: &UploadRow) -> String {
    format!(
        "{}: {} committed, {}/s, open for {}",
        shown(&format!("gs://{}/{}", row.bucket, row.object)),
        BinaryBytes(row.committed),
        BinaryBytes(row.rate),
        age(row.age_ms)
    )
}

fn request(row: &RequestRow) -> String {
    let mut text = row.opcode.clone();
    if let Some(bucket) = &row.bucket {
        let object = row.object.as_deref().unwrap_or_default();
        let _memory = write!(text, " {}", shown(&format!("gs://{bucket}/{object}")));
    }
    if let Some(part) = row.part {
        let _memory = write!(text, " part {part}");
    }
    match row.body_len {
        Some(len) if len > 0 => {
            let _memory = write!(text, ": {} of {}", BinaryBytes(row.received), BinaryBytes(len));
        }
        _ if row.received > 0 => {
            let _memory = write!(text, ": {}", BinaryBytes(row.received));
        }
        _ => {}
    }
    if row.received > 0 {
        let _memory = write!(text, ", {}/s", BinaryBytes(row.rate));
    }
    let _memory = write!(
        text,
        ", for {}, from {} (connection {})",
        age(row.age_ms),
        row.peer,
        row.connection
    );
    text
}

fn age(ms: u64) -> String {
    show_duration(Duration::from_millis(ms))
}
