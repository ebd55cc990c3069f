//! What became of the parts so far, and the sum of it for whoever watches.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::super::{Error, Report};

/// The reports of all parts, and of the requests beside them.
#[derive(Debug)]
pub(super) struct Board {
    reports: Mutex<Reports>,
    sum: watch::Sender<Report>,
}

#[derive(Debug)]
struct Reports {
    parts: Vec<Report>,
    /// Of the requests that belong to no part.
    beside: Report,
}

impl Board {
    pub(super) fn new(parts: usize) -> Self {
        let reports = Reports {
            parts: vec![Report::default(); parts],
            beside: Report::default(),
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

    /// Part `number` stands there now.
    pub(super) fn part(&self, number: usize, report: Report) {
        let mut reports = self.lock();
        let reports = &mut *reports;
        if let Some(part) = reports.parts.get_mut(number) {
            if report.recovered() > part.recovered() {
                reports.beside.last_failure.clone_from(&report.last_failure);
            }
            // The token is not for everybody, and the description is of a temporary object.
            *part = Report {
                checkpoint: None,
                resource: None,
                ..report
            };
        }
        self.publish(reports);
    }

    /// So much of part `number` was there before.
    pub(super) fn found(&self, number: usize, committed: u64) {
        let report = Report {
            committed,
            ..Report::default()
        };
        self.part(number, report);
    }

    /// A request beside the parts failed, and is made again.
    pub(super) fn failed(&self, error: &Error) {
        let mut reports = self.lock();
        reports.beside.count_request(error);
        self.publish(&reports);
    }

    /// The object is there.
    pub(super) fn finished(&self, resource: Bytes) {
        let mut reports = self.lock();
        reports.beside.resource = Some(resource);
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
        let mut sum = reports.beside.clone();
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
