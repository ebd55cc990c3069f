//! The status page: whole without a script; with one, it renews itself in place.

use http::{Response, StatusCode};
use http_body_util::Full;
use maud::{DOCTYPE, Markup, html};

use super::routes::with;
use super::status::{RequestRow, Share, Status, UploadRow};

type Answer = Response<Full<bytes::Bytes>>;

pub(super) fn html(status: &Status) -> Answer {
    with(
        StatusCode::OK,
        "text/html; charset=utf-8",
        page(status).into_string(),
    )
}

pub(super) fn style() -> Answer {
    with(
        StatusCode::OK,
        "text/css; charset=utf-8",
        include_str!("status.css"),
    )
}

pub(super) fn script() -> Answer {
    with(
        StatusCode::OK,
        "text/javascript; charset=utf-8",
        include_str!("status.js"),
    )
}

fn page(status: &Status) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Where there is no script.
                noscript { meta http-equiv="refresh" content="5"; }
                title { "gcsd: " (status.state) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/status.css";
                script src="/status.js" defer {}
            }
            body {
                main id="status" { (content(status)) }
            }
        }
    }
}

fn content(status: &Status) -> Markup {
    html! {
        header {
            h1 { "gcsd" }
            span class=(format!("state {}", status.state)) { (status.state) }
            p { "version " (status.version) " · up " (span(status.uptime_s * 1000)) }
        }
        section class="figures" aria-label="Figures" {
            (figure("Uploads open", &count(status.uploads_open as u64), None))
            (figure("Requests in flight", &count(status.requests_in_flight as u64), None))
            (figure("Connections", &of(status.connections, count), Some(status.connections)))
            (figure("Calls to Cloud Storage", &of(status.gcs_calls, count), Some(status.gcs_calls)))
            (figure("Memory held", &of(status.memory, bytes), Some(status.memory)))
        }
        section {
            h2 { "Uploads" }
            @if status.uploads.is_empty() { p.none { "No upload is open." } }
            @else { (uploads(&status.uploads)) }
            (more(status.uploads_open, status.uploads.len()))
        }
        section {
            h2 { "Requests in flight" }
            @if status.requests.is_empty() { p.none { "No request is under way." } }
            @else { (requests(&status.requests)) }
            (more(status.requests_in_flight, status.requests.len()))
        }
        footer {
            a href="/metrics" { "metrics" } " · " a href="/status" { "JSON" } " · " a href="/readyz" { "readiness" }
        }
    }
}

fn figure(name: &str, value: &str, share: Option<Share>) -> Markup {
    html! {
        div.figure {
            p.name { (name) }
            p.value { (value) }
            @if let Some(Share { used, limit }) = share {
                progress value=(used) max=(limit.max(1)) aria-label=(name) {}
            }
        }
    }
}

fn uploads(rows: &[UploadRow]) -> Markup {
    html! {
        table {
            thead { tr { th { "Object" } th.number { "Committed" } th.number { "Rate" } th.number { "Open for" } } }
            tbody {
                @for row in rows {
                    tr {
                        td.object data-label="Object" { span.bucket { (row.bucket) "/" } wbr; (row.object) }
                        td.number data-label="Committed" { (bytes(row.committed)) }
                        td.number data-label="Rate" { (bytes(row.rate)) "/s" }
                        td.number data-label="Open for" { (span(row.age_ms)) }
                    }
                }
            }
        }
    }
}

fn requests(rows: &[RequestRow]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "Request" } th { "Object" } th { "Client" } th { "Body" } th.number { "Rate" } th.number { "Age" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        td data-label="Request" {
                            code { (row.opcode) }
                            @if let Some(part) = row.part { " part " (part) }
                        }
                        td.object data-label="Object" {
                            @if let Some(bucket) = &row.bucket { span.bucket { (bucket) "/" } wbr; }
                            @else { span.none { "–" } }
                            @if let Some(object) = &row.object { (object) }
                        }
                        td data-label="Client" { (row.peer) " " span.none { "#" (row.connection) } }
                        td data-label="Body" { (body(row)) }
                        td.number data-label="Rate" {
                            @if row.received > 0 { (bytes(row.rate)) "/s" } @else { span.none { "–" } }
                        }
                        td.number data-label="Age" { (span(row.age_ms)) }
                    }
                }
            }
        }
    }
}

fn body(row: &RequestRow) -> Markup {
    html! {
        @match row.body_len {
            Some(len) if len > 0 => {
                progress value=(row.received) max=(len) {}
                " " (bytes(row.received)) " of " (bytes(len))
            }
            _ if row.received > 0 => { (bytes(row.received)) }
            _ => { span.none { "–" } }
        }
    }
}

fn more(all: usize, shown: usize) -> Markup {
    html! {
        @if all > shown { p.none { "and " (count((all - shown) as u64)) " more" } }
    }
}

fn of(share: Share, show: fn(u64) -> String) -> String {
    format!("{} of {}", show(share.used), show(share.limit))
}

/// A number with its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number of bytes, in three digits.
fn bytes(number: u64) -> String {
    let mut unit = 0;
    let mut scaled = number as f64;
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    while scaled >= 1000.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let digits = match scaled {
        _ if unit == 0 => 0,
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$} {}", UNITS[unit])
}

/// A time, in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match (
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ) {
        (0, 0, 0, 0) => format!("{ms} ms"),
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [count(7), count(1000), count(12_345_678)],
            ["7", "1,000", "12,345,678"]
        );
        let sizes = [0, 999, 1000, 1024, 15 << 20, 300 << 30, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            [
                "0 B",
                "999 B",
                "0.98 KiB",
                "1.00 KiB",
                "15.0 MiB",
                "300 GiB",
                "16777216 TiB"
            ]
        );
        assert_eq!(
            [span(12), span(61_000), span(3_700_000), span(200_000_000)],
            ["12 ms", "1 min 1 s", "1 h 1 min", "2 d 7 h"]
        );
    }

    #[test]
    fn a_name_is_text_whatever_it_is() {
        let row = UploadRow {
            bucket: "b".to_owned(),
            object: "<script>alert(1)</script>\" onload=\"x".to_owned(),
            upload_name: None,
            committed: 0,
            rate: 0,
            age_ms: 0,
        };
        let shown = uploads(&[row]).into_string();
        assert!(
            !shown.contains("<script>") && shown.contains("&lt;script&gt;"),
            "{shown}"
        );
    }
}
