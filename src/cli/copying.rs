//! `cp` and `mv`: what they are asked for, and which objects that is about.

use std::ffi::OsString;

use clap::Args;

use super::batch::{Batch, Jobs, Outcome};
use super::blocking::blocking;
use super::connect::Remote;
use super::copies::Copies;
use super::encryption_key::SourceKey;
use super::exclude::Exclude;
use super::exit::Failure;
use super::gs_url::{Target, last_part};
use super::making::{Making, Source, onto_itself};
use super::naming::{Listed, Meaning, Names, Naming};
use super::new_object::NewObject;
use super::operands;
use super::progress;
use super::reporting::{DryRun, Reporting};
use super::stop::signals;
use super::walk::Walking;

/// Objects that become others.
#[derive(Debug, Clone, Args)]
pub(super) struct Copying {
    /// The sources and the destination: objects, or patterns of them, and with --recursive what their names begin with up to a
    /// '/'. A destination that ends with '/' is what the new names begin with; those of several objects need one.
    #[arg(value_names = ["gs://BUCKET/SRC", "gs://BUCKET/DEST"], num_args = 1.., required = true)]
    operands: Vec<OsString>,
    /// What lies below the sources, too.
    #[arg(long, short, visible_short_alias = 'R')]
    recursive: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    listed: Listed,
    #[command(flatten)]
    exclude: Exclude,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    source_key: SourceKey,
    #[command(flatten)]
    new: NewObject,
}

impl Copying {
    /// Copies the objects, or moves them.
    pub(super) async fn run(&self, moves: bool) -> Result<(), Failure> {
        let stop = signals()?;
        let bar = progress::count(self.reporting.quiet);
        let batch = Batch::new(&self.jobs, self.reporting);
        let batch = match moves {
            false => batch.doing("copy", "copied", &bar),
            true => batch.doing("move", "moved", &bar).announcing(),
        };
        let mut batch = batch.dry(self.dry_run);
        tokio::select! {
            done = self.make(moves, &mut batch) => done,
            () = stop => Err(Failure::interrupted()),
        }
    }

    async fn make(&self, moves: bool, batch: &mut Batch) -> Result<(), Failure> {
        let (sources, target) = match self.listed.stdin {
            true => (&[][..], operands::destination(&self.operands)?),
            false => operands::split(&self.operands)?,
        };
        operands::between_objects(&self.operands, moves)?;
        let urls = operands::parse_all(sources)?;
        let target: Target = operands::parse(target)?;
        let names = Names::new(&urls, &self.naming, &self.listed)?;
        let may_be_one = urls.len() == 1 && !self.recursive;
        let renames = self.recursive && urls.len() == 1;
        if !may_be_one {
            target.below(renames).map_err(Failure::usage)?;
        }
        let (new, source_key) = (self.new.clone(), self.source_key.clone());
        let (new, source_key) = blocking(move || Ok((new.template()?, source_key.read()?))).await?;
        let requests = self.remote.requests().await?;
        let how = Walking {
            recursive: self.recursive,
            excluded: self.exclude.read(),
            ..Walking::new(requests.clone(), &self.new.payer)
        };
        let making = Making {
            new,
            requests,
            source_key,
            moves,
        };
        let mut sources = Vec::new();
        for name in names.all().await? {
            let meaning = name.meaning(&how, self.reporting.quiet).await;
            match meaning {
                Ok(Meaning::Object { url, generation }) if may_be_one => {
                    let target = target.named(last_part(url.object.as_str()));
                    let target = target.map_err(Failure::usage)?;
                    if url == target && !making.changes_itself() {
                        return Err(onto_itself(moves).at(&url));
                    }
                    let source = Source {
                        url,
                        generation,
                        listed: false,
                    };
                    making.begin(batch, source, target).await?;
                    return batch.finish().await;
                }
                Ok(meaning) => sources.push(meaning),
                Err(failure) => {
                    batch
                        .report(&name.url.to_string(), Outcome::Failed(failure))
                        .await
                }
            }
        }
        let place = target.below(renames).map_err(Failure::usage)?;
        let copies = Copies::new(sources, place, &how, &making, batch).await?;
        copies.make(&making, batch).await
    }
}
