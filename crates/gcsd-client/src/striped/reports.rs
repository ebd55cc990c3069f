//! The reports of all parts, and their sum.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::super::{Error, Report};

/// The reports of all parts, and of the requests that belong to none.
#[derive(Debug)]
pub(super) struct PartReports {
    reports: Mutex<Reports>,
    sum: watch::Sender<Report>,
}

#[derive(Debug)]
struct Reports {
    parts: Vec<Report>,
    /// Of the requests that belong to no part.
    other: Report,
}

impl PartReports {
    pub(super) fn new(parts: usize) -> Self {
        let reports = Reports {
            parts: vec![Report::default(); parts],
            other: Report::default(),
        };
        Self {
            reports: Mutex::new(reports),
            sum: watch::Sender::default(),
        }
    }

    /// The sum, whenever it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Report> {
        self.sum.subscribe()
    }

    /// Replaces the report of part `number`.
    pub(super) fn part(&self, number: usize, report: Report) {
        let mut reports = self.lock();
        let reports = &mut *reports;
        if let Some(part) = reports.parts.get_mut(number) {
            if report.recovered() > part.recovered() {
                reports.other.last_failure.clone_from(&report.last_failure);
            }
            // The token is a credential, and the resource is that of a temporary object.
            *part = Report {
                checkpoint: None,
                resource: None,
                ..report
            };
        }
        self.publish(reports);
    }

    /// Part `number` was finished before, with `committed` bytes.
    pub(super) fn found(&self, number: usize, committed: u64) {
        let report = Report {
            committed,
            ..Report::default()
        };
        self.part(number, report);
    }

    /// A request that belongs to no part failed, and is made again.
    pub(super) fn failed(&self, error: &Error) {
        let mut reports = self.lock();
        reports.other.count_request(error);
        self.publish(&reports);
    }

    /// The object exists.
    pub(super) fn finished(&self, resource: Bytes) {
        let mut reports = self.lock();
        reports.other.resource = Some(resource);
        self.publish(&reports);
    }

    /// How many failures were recovered from.
    pub(super) fn recovered(&self) -> u64 {
        self.sum.borrow().recovered()
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, reports: &Reports) {
        let mut sum = reports.other.clone();
        for part in &reports.parts {
            sum.add(part);
        }
        self.sum.send_if_modified(|seen| {
            let changed = *seen != sum;
            *seen = sum;
            changed
        });
    }
}
