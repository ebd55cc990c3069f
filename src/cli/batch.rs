//! Work on many objects, with bounded concurrency. Failures are reported, and the rest continues.

use std::future::Future;
use std::pin::Pin;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::exit::{Exit, Failure, failed};
use super::quoting::shown;
use super::reporting::{DryRun, Reporting};
use super::stdout::Output;
use super::{progress, stderr};

/// How many objects at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Many objects")]
pub(super) struct Jobs {
    /// How many objects are worked on at once.
    #[arg(long, short, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// What became of one object.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done. Programs get this JSON object.
    Done(Value),
    /// It is done, in this way of several.
    DoneSo(&'static str, Value),
    /// There was nothing to do, for this reason.
    Skipped(&'static str),
    /// Nothing was done: somebody asks what would be.
    Would(&'static str),
    Failed(Failure),
}

/// What an outcome is of.
#[derive(Debug, Clone)]
pub(super) enum Of {
    /// An object.
    Url(String),
    /// A file that makes no object.
    OnlyFile(String),
    /// A file, and the object that it becomes.
    File { file: String, url: String },
}

impl Of {
    /// Where it is, for people.
    fn place(&self) -> &str {
        match self {
            Self::Url(place) | Self::OnlyFile(place) | Self::File { url: place, .. } => place,
        }
    }

    /// The same for programs.
    fn json(&self) -> Value {
        match self {
            Self::Url(url) => json!({ "url": url }),
            Self::OnlyFile(file) => json!({ "file": file }),
            Self::File { file, url } => json!({ "url": url, "file": file }),
        }
    }
}

impl From<Result<Value, Failure>> for Outcome {
    fn from(result: Result<Value, Failure>) -> Self {
        match result {
            Ok(line) => Self::Done(line),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// What is done with an object.
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Objects that are being worked on, a bounded number at a time.
pub(super) struct Batch {
    jobs: usize,
    reporting: Reporting,
    working: JoinSet<(Of, Outcome)>,
    tally: Tally,
    /// What is done, as a command says it and as something that is over.
    doing: (&'static str, &'static str),
    /// Each object that is done is named.
    names: bool,
    /// Nothing is done.
    dry: bool,
    /// Whether a failure ends it all.
    ends: fn(&Failure) -> bool,
    bar: ProgressBar,
    output: Output,
    /// Nothing more is begun: standard output takes no more, or every other object would fail so, too.
    closed: Option<Failure>,
    /// What ended it was reported.
    over: bool,
}

/// How much was tried, and how much failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: u64,
    failures: u64,
    skipped: u64,
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

    /// What there was, for people.
    fn words(&self, done: &str) -> String {
        let mut words = format!("{} {done}", self.total - self.failures - self.skipped);
        for (count, what) in [(self.skipped, "skipped"), (self.failures, "failed")] {
            if count > 0 {
                words += &format!(", {count} {what}");
            }
        }
        words
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
            doing: ("do", "done"),
            names: reporting.verbose,
            dry: false,
            ends: |_| false,
            bar: ProgressBar::hidden(),
            output: Output::default(),
            closed: None,
            over: false,
        }
    }

    /// What a command tells of the one object that it is about.
    pub(super) fn of_one(reporting: Reporting) -> Self {
        Self::new(&Jobs { jobs: 1 }, reporting)
    }

    /// Says what is done, such as "copy" and "copied", and shows on `bar` how often.
    pub(super) fn doing(mut self, does: &'static str, done: &'static str, bar: &ProgressBar) -> Self {
        self.doing = (does, done);
        self.bar = bar.clone();
        self
    }

    /// Names each object that is done, even if nobody asks for it.
    pub(super) fn announcing(mut self) -> Self {
        self.names = !self.reporting.json && !self.reporting.quiet;
        self
    }

    /// Does nothing but say what it would do, if that is asked for.
    pub(super) fn dry(mut self, dry_run: DryRun) -> Self {
        self.dry = dry_run.dry_run;
        self
    }

    /// Begins nothing more after a failure that `ends` says this of.
    pub(super) fn ending_at(mut self, ends: fn(&Failure) -> bool) -> Self {
        self.ends = ends;
        self
    }

    /// Starts `work` on the object at `place`, once fewer than the allowed number are being worked on. Fails if nothing
    /// more is begun.
    pub(super) fn add(
        &mut self,
        place: String,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> impl Future<Output = Result<(), Failure>> {
        self.begin(Of::Url(place), Box::pin(work))
    }

    /// The same for what has a file, too.
    pub(super) fn add_of(
        &mut self,
        of: Of,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> impl Future<Output = Result<(), Failure>> {
        self.begin(of, Box::pin(work))
    }

    async fn begin(&mut self, of: Of, work: Work) -> Result<(), Failure> {
        if self.dry {
            self.report_of(&of, Outcome::Would(self.doing.0)).await;
            return self.closed.take().map_or(Ok(()), Err);
        }
        while self.working.len() >= self.jobs {
            self.one().await;
        }
        self.closed.take().map_or(Ok(()), Err)?;
        self.working.spawn(async move { (of, work.await) });
        Ok(())
    }

    /// Reports the outcome of an object that needed no work.
    pub(super) async fn report(&mut self, place: &str, outcome: Outcome) {
        self.report_of(&Of::Url(place.to_owned()), outcome).await;
    }

    /// Reports the outcome of a file that made no object.
    pub(super) async fn report_file(&mut self, place: &str, outcome: Outcome) {
        self.report_of(&Of::OnlyFile(place.to_owned()), outcome).await;
    }

    /// Reports the outcome of an object, and of the file that goes with it.
    pub(super) async fn report_of(&mut self, of: &Of, outcome: Outcome) {
        if self.over {
            return;
        }
        self.tally.total += 1;
        let place = of.place();
        let mut told = of.json();
        let line = match outcome {
            Outcome::Done(line) => {
                self.name(self.doing.1, place, &line);
                line
            }
            Outcome::DoneSo(did, mut line) => {
                self.name(did, place, &line);
                line["did"] = did.into();
                line
            }
            Outcome::Skipped(why) => {
                self.tally.skipped += 1;
                if !self.reporting.quiet {
                    stderr::line(format_args!("gcsd: skipped: {why}: {}", shown(place)));
                }
                json!({ "skipped": why })
            }
            Outcome::Would(what) => {
                if !self.reporting.json {
                    stderr::line(format_args!("gcsd: would {what}: {}", shown(place)));
                }
                json!({ "would": what })
            }
            Outcome::Failed(failure) if failure.is_silent() => {
                self.tally.failed(&failure);
                return;
            }
            Outcome::Failed(failure) => {
                let failure = failure.or_at(place);
                self.tally.failed(&failure);
                failure.report();
                let error = json!({ "error": failure.json() });
                if (self.ends)(&failure) {
                    self.over = true;
                    self.closed = Some(Failure::said(failure.exit()));
                }
                error
            }
        };
        if !self.bar.is_hidden() {
            let objects = match self.tally.total {
                1 => "1 object".to_owned(),
                more => format!("{more} objects"),
            };
            self.bar.set_message(format!("{objects}  "));
        }
        if self.reporting.json && (self.closed.is_none() || self.over) {
            if let (Value::Object(told), Value::Object(line)) = (&mut told, line) {
                told.extend(line);
            }
            if let Err(failure) = self.output.line(&told.to_string()).await {
                self.closed = Some(failure);
            }
        }
    }

    /// Names an object that is done, if that is asked for, and what it became.
    fn name(&self, did: &str, place: &str, line: &Value) {
        if !self.names {
            return;
        }
        let place = shown(place);
        match line.get("destination").and_then(Value::as_str) {
            Some(target) => stderr::line(format_args!("gcsd: {did}: {place} -> {}", shown(target))),
            None => stderr::line(format_args!("gcsd: {did}: {place}")),
        }
    }

    /// Waits until everything is done, and sums up.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        while !self.working.is_empty() {
            self.one().await;
        }
        let closed = self.closed.take();
        if !self.over {
            closed.map_or(Ok(()), Err)?;
        }
        self.output.finish().await?;
        progress::last_line(&self.bar, &self.tally.words(self.doing.1));
        self.tally.sum()
    }

    /// Stops all work at once, and waits until it has stopped.
    pub(super) async fn stop(&mut self) {
        self.working.shutdown().await;
    }

    /// Waits until all work has ended by itself, without reporting it.
    pub(super) async fn stopped(&mut self) {
        while self.working.join_next().await.is_some() {}
        // Where a failure ended it, what was printed may not have been taken yet.
        let _told = self.output.finish().await;
    }

    async fn one(&mut self) {
        match self.working.join_next().await {
            Some(Ok((of, outcome))) => self.report_of(&of, outcome).await,
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
            quiet: true,
            ..Reporting::default()
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

    #[tokio::test]
    async fn what_every_other_would_fail_with_ends_it_and_is_told_once() {
        let mut batch = batch(1).ending_at(|failure| failure.exit() == Exit::NotFound);
        let not_found = || async { Outcome::Failed(Failure::new(Exit::NotFound, "not_found", "no")) };
        let mut begun = 0;
        let ended = loop {
            match batch.add("x".to_owned(), not_found()).await {
                Ok(()) => begun += 1,
                Err(failure) => break failure,
            }
            assert!(begun < 10, "it goes on and on");
        };
        assert!(ended.is_silent() && ended.exit() == Exit::NotFound);
        assert_eq!((begun, batch.tally.total), (1, 1));
    }

    #[tokio::test]
    async fn a_dry_run_does_nothing() {
        let mut batch = batch(1).dry(DryRun { dry_run: true });
        let work = async { Outcome::Failed(failed("it was done")) };
        batch.add("x".to_owned(), work).await.expect("it is not done");
        batch.finish().await.expect("nothing failed");
        assert_eq!(batch.tally.total, 1);
    }
}
