//! Work on many objects: so much of it at once, each failure told, the others go on.

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

/// What is said, and to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    /// A line of JSON for each object.
    pub(super) json: bool,
    /// Nothing on standard error but failures.
    pub(super) quiet: bool,
}

/// What became of one object.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done; this is to be said of it to programs: a JSON object.
    Done(Value),
    /// There was nothing to do, and why.
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

/// Work on objects under way, of which a bounded number is done at once.
pub(super) struct Crew {
    jobs: usize,
    saying: Saying,
    working: JoinSet<(String, Outcome)>,
    tally: Tally,
    /// What is said where the work was done.
    done: Option<&'static str>,
    output: Output,
    /// Standard output takes no more.
    closed: Option<Failure>,
}

/// How often something was tried and failed, where the others go on.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: u64,
    failures: u64,
    /// How the failures ended, while they all ended alike.
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

    /// The failure of all, each of which has been told.
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

impl Crew {
    pub(super) fn new(jobs: &Jobs, saying: Saying) -> Self {
        Self {
            jobs: jobs.jobs.into(),
            saying,
            working: JoinSet::new(),
            tally: Tally::default(),
            done: None,
            output: Output::default(),
            closed: None,
        }
    }

    /// Begins `work` on the object at `place`, as soon as not too much else is under way. Fails where nobody is left to be
    /// told of it.
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

    /// Says `done` of each object that the work was done on, unless it says it in JSON, or nothing.
    pub(super) fn saying(mut self, done: &'static str) -> Self {
        self.done = Some(done).filter(|_| !self.saying.json && !self.saying.quiet);
        self
    }

    /// Tells what became of an object that needed no work.
    pub(super) async fn tell(&mut self, place: &str, outcome: Outcome) {
        self.tell_as("url", place, outcome).await;
    }

    /// Tells what became of a file that made no object.
    pub(super) async fn tell_file(&mut self, place: &str, outcome: Outcome) {
        self.tell_as("file", place, outcome).await;
    }

    async fn tell_as(&mut self, key: &str, place: &str, outcome: Outcome) {
        self.tally.total += 1;
        let mut line = match outcome {
            Outcome::Done(line) => {
                if let Some(done) = self.done {
                    stderr::line(format_args!("gcsd: {done}: {}", shown(place)));
                }
                line
            }
            Outcome::Skipped(why) => {
                if !self.saying.quiet {
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
        if self.saying.json && self.closed.is_none() {
            line[key] = place.into();
            self.closed = self.output.line(&line.to_string()).await.err();
        }
    }

    /// Waits for what is under way, and sums up.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        while !self.working.is_empty() {
            self.one().await;
        }
        self.closed.take().map_or(Ok(()), Err)?;
        self.output.finish().await?;
        self.tally.sum()
    }

    /// Stops what is under way where it stands, and waits until it has.
    pub(super) async fn stop(&mut self) {
        self.working.shutdown().await;
    }

    /// Waits until what is under way has stopped by itself; nothing is said of it any more.
    pub(super) async fn stopped(&mut self) {
        while self.working.join_next().await.is_some() {}
    }

    async fn one(&mut self) {
        match self.working.join_next().await {
            Some(Ok((place, outcome))) => self.tell(&place, outcome).await,
            Some(Err(lost)) => self.tell("an object", Outcome::Failed(failed(lost))).await,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew(jobs: u16) -> Crew {
        let saying = Saying {
            json: false,
            quiet: true,
        };
        Crew::new(&Jobs { jobs }, saying)
    }

    #[tokio::test]
    async fn no_more_is_under_way_at_once_than_asked_for() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let mut crew = crew(3);
        for _ in 0..50 {
            let work = async {
                MOST.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                AT_ONCE.fetch_sub(1, Ordering::SeqCst);
                Outcome::Done(json!({}))
            };
            crew.add("x".to_owned(), work).await.expect("somebody listens");
        }
        crew.finish().await.expect("all went well");
        assert_eq!((crew.tally.total, MOST.load(Ordering::SeqCst)), (50, 3));
    }

    #[tokio::test]
    async fn failures_are_summed_up() {
        let not_found = || Outcome::Failed(Failure::new(Exit::NotFound, "not_found", "no"));
        let mut alike = crew(1);
        alike.tell("a", not_found()).await;
        assert_eq!(
            alike.finish().await.expect_err("it failed").exit(),
            Exit::NotFound
        );
        alike.tell("b", Outcome::Skipped("it is there")).await;
        alike.tell("c", not_found()).await;
        let failure = alike.finish().await.expect_err("it failed");
        assert_eq!(
            (failure.exit(), failure.to_string()),
            (Exit::NotFound, "failed: 2 of 3 failed".into())
        );
        alike.tell("d", Outcome::Failed(Failure::usage("no"))).await;
        assert_eq!(alike.finish().await.expect_err("it failed").exit(), Exit::Failed);
    }
}
