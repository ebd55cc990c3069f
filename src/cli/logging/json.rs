//! The log as JSON: an object per line, each key once (RFC 8259, section 4: a reader may refuse, or drop, what stands twice).
//!
//! `tracing-subscriber` has such a form, too. It writes fields as they come: twice, if two have one name.

use std::fmt;

use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The form.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        let metadata = event.metadata();
        fields.put("timestamp", time);
        fields.put("level", metadata.level().as_str());
        fields.put("target", metadata.target());
        event.record(&mut fields);
        let line = fields.line().map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The keys and values of a line, in their order.
#[derive(Default)]
struct Fields(Vec<(String, Value)>);

impl Fields {
    /// A key that is there already gets a number: the fields of others' events are not ours to choose.
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        let taken = |key: &str| self.0.iter().any(|(other, _)| other == key);
        let mut unique = key.to_owned();
        let mut number = 2;
        while taken(&unique) {
            unique = format!("{key}_{number}");
            number += 1;
        }
        self.0.push((unique, value.into()));
    }

    fn replace(&mut self, key: &str, value: &str) {
        self.0.retain(|(other, _)| other != key);
        self.put(key, value);
    }

    fn line(&self) -> serde_json::Result<String> {
        let mut line = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut line);
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // Of a crate that speaks `log`: the event's own target is "log" then.
            "log.target" => self.replace("target", value),
            "log.module_path" | "log.file" => {}
            name => self.put(name, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "log.line" {
            self.put(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}
