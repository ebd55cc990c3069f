//! Work on many objects, with bounded concurrency. Failures are reported, and the rest continues.

use std::future::Future;

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::exit::{Exit, Failure, failed};
use super::quoting::shown;
use super::stderr;
use super::stdout::Output;

/// How many objects at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Many objects")]
pub(super) struct Jobs {
    /// How many objects are worked on at once.
    #[arg(long, short, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// What is reported, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporting {
    /// A line of JSON for each object.
    pub(super) json: bool,
    /// Nothing on standard error but failures.
    pub(super) quiet: bool,
}

/// What became of one object.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done. Programs get this JSON object.
    Done(Value),
    /// There was nothing to do, for this reason.
    Skipped(&'static str),
    Failed(Failure),
}

impl From<Result<Value, Failure>> for Outcome {
    fn from(result: Result<Value, Failure>) -> Self {
        match result {
            Ok(line) => Self::Done(line),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// Objects that are being worked on, a bounded number at a time.
pub(super) struct Batch {
    jobs: usize,
    reporting: Reporting,
    working: JoinSet<(String, Outcome)>,
    tally: Tally,
    /// What is printed of each object that is done.
    done: Option<&'static str>,
    output: Output,
    /// Standard output takes no more.
    closed: Option<Failure>,
}

/// How much was tried, and how much failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: u64,
    failures: u64,
    /// The exit code of the failures, or [`Exit::Failed`] if they differ.
    exit: Option<Exit>,
}

impl Tally {
    /// Counts a failure.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.failures += 1;
        let exit = failure.exit();
        self.exit = match self.exit {
            Some(other) if other != exit => Some(Exit::Failed),
            _ => Some(exit),
        };
    }

    /// The failure of the whole. Each single one has been reported.
    pub(super) fn sum(&self) -> Result<(), Failure> {
        match (self.exit, self.total) {
            (None, _) => Ok(()),
            (Some(exit), 1) => Err(Failure::said(exit)),
            (Some(exit), total) => {
                let what = format!("{} of {total} failed", self.failures);
                Err(Failure::new(exit, "failed", what))
            }
        }
    }
}

impl Batch {
    pub(super) fn new(jobs: &Jobs, reporting: Reporting) -> Self {
        Self {
            jobs: jobs.jobs.into(),
            reporting,
            working: JoinSet::new(),
            tally: Tally::default(),
            done: None,
            output: Output::default(),
            closed: None,
        }
    }

    /// Starts `work` on the object at `place`, once fewer than the allowed number are being worked on. Fails if standard
    /// output is closed.
    pub(super) async fn add(
        &mut self,
        place: String,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<(), Failure> {
        while self.working.len() >= self.jobs {
            self.one().await;
        }
        self.closed.take().map_or(Ok(()), Err)?;
        self.working.spawn(async move { (place, work.await) });
        Ok(())
    }

    /// Prints `done` and the place of each object that is done, unless that is told in JSON, or not at all.
    pub(super) fn announcing(mut self, done: &'static str) -> Self {
        self.done = Some(done).filter(|_| !self.reporting.json && !self.reporting.quiet);
        self
    }

    /// Reports the outcome of an object that needed no work.
    pub(super) async fn report(&mut self, place: &str, outcome: Outcome) {
        self.report_as("url", place, outcome).await;
    }

    /// Reports the outcome of a file that made no object.
    pub(super) async fn report_file(&mut self, place: &str, outcome: Outcome) {
        self.report_as("file", place, outcome).await;
    }

    async fn report_as(&mut self, key: &str, place: &str, outcome: Outcome) {
        self.tally.total += 1;
        let mut line = match outcome {
            Outcome::Done(line) => {
                if let Some(done) = self.done {
                    stderr::line(format_args!("gcsd: {done}: {}", shown(place)));
                }
                line
            }
            Outcome::Skipped(why) => {
                if !self.reporting.quiet {
                    stderr::line(format_args!("gcsd: skipped: {why}: {}", shown(place)));
                }
                json!({ "skipped": why })
            }
            Outcome::Failed(failure) => {
                let failure = failure.or_at(place);
                self.tally.failed(&failure);
                failure.report();
                json!({ "error": failure.json() })
            }
        };
        if self.reporting.json && self.closed.is_none() {
            line[key] = place.into();
            self.closed = self.output.line(&line.to_string()).await.err();
        }
    }

    /// Waits until everything is done, and sums up.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        while !self.working.is_empty() {
            self.one().await;
        }
        self.closed.take().map_or(Ok(()), Err)?;
        self.output.finish().await?;
        self.tally.sum()
    }

    /// Stops all work at once, and waits until it has stopped.
    pub(super) async fn stop(&mut self) {
        self.working.shutdown().await;
    }

    /// Waits until all work has ended by itself, without reporting it.
    pub(super) async fn stopped(&mut self) {
        while self.working.join_next().await.is_some() {}
    }

    async fn one(&mut self) {
        match self.working.join_next().await {
            Some(Ok((place, outcome))) => self.report(&place, outcome).await,
            Some(Err(lost)) => self.report("an object", Outcome::Failed(failed(lost))).await,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(jobs: u16) -> Batch {
        let reporting = Reporting {
            json: false,
            quiet: true,
        };
        Batch::new(&Jobs { jobs }, reporting)
    }

    #[tokio::test]
    async fn no_more_is_under_way_at_once_than_asked_for() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let mut batch = batch(3);
        for _ in 0..50 {
            let work = async {
                MOST.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                AT_ONCE.fetch_sub(1, Ordering::SeqCst);
                Outcome::Done(json!({}))
            };
            batch.add("x".to_owned(), work).await.expect("somebody listens");
        }
        batch.finish().await.expect("all went well");
        assert_eq!((batch.tally.total, MOST.load(Ordering::SeqCst)), (50, 3));
    }

    #[tokio::test]
    async fn failures_are_summed_up() {
        let not_found = || Outcome::Failed(Failure::new(Exit::NotFound, "not_found", "no"));
        let mut alike = batch(1);
        alike.report("a", not_found()).await;
        assert_eq!(
            alike.finish().await.expect_err("it failed").exit(),
            Exit::NotFound
        );
        alike.report("b", Outcome::Skipped("it is there")).await;
        alike.report("c", not_found()).await;
        let failure = alike.finish().await.expect_err("it failed");
        assert_eq!(
            (failure.exit(), failure.to_string()),
            (Exit::NotFound, "failed: 2 of 3 failed".into())
        );
        alike.report("d", Outcome::Failed(Failure::usage("no"))).await;
        assert_eq!(alike.finish().await.expect_err("it failed").exit(), Exit::Failed);
    }
}
