//! Metrics whose values somebody else has.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Counter,
}

/// A value, with the labels that tell it from others.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Sample {
    /// A value without labels.
    pub fn of(value: f64) -> Self {
        Self {
            labels: Vec::new(),
            value,
        }
    }

    /// The same with a label. What it names must be one of a few.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

type Read = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

pub(super) struct Sampled {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    read: Read,
}

impl Sampled {
    pub(super) fn new(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            name,
            help,
            unit,
            read: Box::new(read),
        }
    }
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metric_type = match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
        };
        // A registry ends what a metric says with a full stop.
        let help = format!("{}.", self.help);
        let mut metric = encoder.encode_descriptor(self.name, &help, self.unit.as_ref(), metric_type)?;
        for Sample { labels, value } in (self.read)() {
            let encoder = metric.encode_family(&labels)?;
            match self.kind {
                Kind::Gauge => ConstGauge::new(value).encode(encoder)?,
                Kind::Counter => ConstCounter::new(value).encode(encoder)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sample is a float, and exact up to 2^53"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
