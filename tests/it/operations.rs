//! docs/operations.md and docs/alerts.yml against the metrics that there are.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use gcsd::stats::{Culprit, Stats};
use gcsd_gcs::{Call, Observer as _, Token};

use crate::support::http::Client;
use crate::support::process::Process;

const BEGIN: &str = "| Metric | | |\n| --- | --- | --- |\n";

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(path).expect("the document")
}

/// A metric: its name as it is read, what it is, and what it is about.
type Metric = (String, String, String);

/// The metrics in this text.
fn metrics(text: &str) -> BTreeSet<Metric> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind = format!("# TYPE {name} ");
        let kind = text
            .lines()
            .find_map(|line| line.strip_prefix(&kind))
            .expect("a type");
        let ending = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let mut labels = BTreeSet::new();
        let samples = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.split_once('{'));
        for (rest, sample) in samples.filter(|(rest, _)| ["", "_total", "_bucket", "_info"].contains(rest)) {
            assert!(!rest.contains(' '), "{sample}");
            let sample = sample.split('}').next().unwrap_or_default();
            labels.extend(sample.split(',').filter_map(|label| label.split('=').next()));
        }
        labels.remove("le");
        let labels: Vec<_> = labels.into_iter().map(|label| format!("`{label}`")).collect();
        let kind = match labels.is_empty() {
            true => kind.to_owned(),
            false => format!("{kind} by {}", labels.join(", ")),
        };
        found.insert((
            format!("{name}{ending}"),
            kind,
            help.trim_end_matches('.').to_owned(),
        ));
    }
    found
}

/// All metrics of a daemon that has done a little of everything.
async fn all() -> BTreeSet<Metric> {
    let mut daemon = Process::serve("127.0.0.1:0", &["--embedded", "--admin", "127.0.0.1:0"]);
    let log = daemon.log();
    let (_, rest) = log.split_once("admin=").expect("it is told");
    let admin = rest.split_whitespace().next().and_then(|text| text.parse().ok());
    let mut client = Client::connect(admin.expect("an address")).await;
    client.head("GET", "/metrics", &[]).await;
    let mut all = metrics(&client.answer().await.text());
    assert!(daemon.stop().success());
    // What has labels shows them once there was something.
    let stats = Stats::default();
    stats.answered("Ping", "ok", Duration::ZERO);
    stats.stalled(Culprit::Gcs);
    drop(stats.accepted("127.0.0.1:4743"));
    stats.ended("closed");
    stats.called(Call::Read, Ok(200), Duration::ZERO);
    stats.dialed(Ok(()), Duration::ZERO);
    stats.token(Token::Fetched);
    for metric in metrics(&stats.text()) {
        all.retain(|(name, ..)| *name != metric.0);
        all.insert(metric);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_document_as_it_is() {
    let all = all().await;
    assert!(all.len() > 30, "{all:?}");
    let mut table = BEGIN.to_owned();
    for (name, kind, help) in &all {
        writeln!(table, "| `{name}` | {kind} | {help} |").expect("memory");
    }
    let written = document("operations.md");
    if std::env::var_os("GCSD_UPDATE_DOCS").is_some() {
        let (before, rest) = written.split_once(BEGIN).expect("a table");
        let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        std::fs::write(path, format!("{before}{table}\n{after}")).expect("written");
        return;
    }
    assert!(
        written.contains(&format!("{table}\n")),
        "docs/operations.md is out of date: GCSD_UPDATE_DOCS=1 cargo test --test it operations\n{table}"
    );
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("gcsd_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_the_run_book_speak_of_metrics_that_there_are() {
    let known: BTreeSet<String> = all().await.into_iter().map(|(name, ..)| name).collect();
    let exists = |name: &String| {
        let plain = name.strip_suffix("_bucket").unwrap_or(name);
        known.contains(name) || known.contains(plain)
    };
    let (alerts, book) = (document("alerts.yml"), document("operations.md"));
    let used = named(&alerts);
    assert!(used.len() > 15, "{used:?}");
    let strange: Vec<_> = used
        .iter()
        .chain(&named(&book))
        .filter(|name| !exists(name))
        .cloned()
        .collect();
    assert_eq!(strange, ["gcsd_process_"], "the last one stands for several");
    // Each alert has its line.
    let rules = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rules: BTreeSet<&str> = rules.collect();
    let lines = book
        .lines()
        .filter_map(|line| line.strip_prefix("| `Gcsd")?.split('`').next());
    let lines: BTreeSet<String> = lines.map(|line| format!("Gcsd{line}")).collect();
    assert_eq!(rules, lines.iter().map(String::as_str).collect());
    // The statuses that an alert names are those of the protocol.
    let statuses = alerts
        .split("status=~\"")
        .skip(1)
        .flat_map(|rest| rest.split('"').next());
    for status in statuses.flat_map(|list| list.split('|')) {
        assert!(
            gcsd_wire::Kind::ALL.iter().any(|kind| kind.name() == status),
            "{status}"
        );
    }
}
