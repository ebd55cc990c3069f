//! What an upload went through, in words.

use serde_json::{Value, json};

use crate::client::Report;

/// `recovered 3 times: 2 reset, 1 unavailable`; `None` where nothing failed.
pub(super) fn line(report: &Report) -> Option<String> {
    let recovered = report.recovered();
    if recovered == 0 {
        return None;
    }
    let times = match recovered {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    };
    let mut kinds: Vec<_> = report.failures.iter().collect();
    // The most frequent first; the names are in order already.
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let restarts = match report.restarts {
        0 => String::new(),
        1 => "; began again from byte 0 once".to_owned(),
        more => format!("; began again from byte 0 {more} times"),
    };
    Some(format!("recovered {times}: {}{restarts}", kinds.join(", ")))
}

/// The same for programs.
pub(super) fn json(report: &Report) -> Value {
    json!({
        "recovered": report.recovered(),
        "failures": report.failures,
        "restarts": report.restarts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_name() {
        assert_eq!(line(&Report::default()), None);
        let report = Report {
            queries: 3,
            restarts: 1,
            failures: [("reset", 1), ("unavailable", 3)].into(),
            ..Report::default()
        };
        let text = "recovered 4 times: 3 unavailable, 1 reset; began again from byte 0 once";
        assert_eq!(line(&report).as_deref(), Some(text));
        assert_eq!(
            json(&report).to_string(),
            r#"{"failures":{"reset":1,"unavailable":3},"recovered":4,"restarts":1}"#
        );
    }
}
