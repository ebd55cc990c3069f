//! Copies of many objects: two sources never become one copy, and no copy becomes a source.

use std::collections::HashSet;

use super::batch::{Batch, Outcome};
use super::exit::Failure;
use super::gs_url::{BucketUrl, GsUrl, Place, last_part};
use super::held::{Held, TWICE, Verdict, clash, ends_with_slash, same_target};
use super::making::{Making, Source, onto_itself};
use super::merged::{self, Candidate, Merged, Next, page};
use super::naming::Meaning;
use super::quoting::shown;
use super::reach::Reach;
use super::walk::{Walk, Walking};
use gcsd_types::ObjectName;

/// That a copy would be read again.
fn into_itself(copy: &str) -> Failure {
    Failure::usage(format!("its copy, {}, would be one of the sources", shown(copy)))
}

/// Several objects, and what they become.
pub(super) struct Copies {
    merged: Merged,
    place: Place,
    /// What walks find.
    reaches: Vec<Reach>,
    /// Objects that are named one by one, in the bucket that the copies are made in.
    named: HashSet<String>,
}

impl Copies {
    /// Refuses what is known to go wrong before anything is listed.
    pub(super) async fn new(
        sources: Vec<Meaning>,
        place: Place,
        how: &Walking,
        making: &Making,
        batch: &mut Batch,
    ) -> Result<Self, Failure> {
        let (mut named, mut walks) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Meaning::Walk(url) => walks.push(url),
                Meaning::Object { url, generation } => match last_part(url.object.as_str()) {
                    Some(last) => named.push(Candidate {
                        target: place.name(Some(last)),
                        bucket: url.bucket,
                        name: url.object.as_str().to_owned(),
                        generation,
                        listed: false,
                    }),
                    None => {
                        batch
                            .report(&url.to_string(), Outcome::Failed(ends_with_slash()))
                            .await
                    }
                },
            }
        }
        if let Some((one, other)) = clash(named.iter()) {
            return Err(same_target(&other.place()).at(one.place()));
        }
        let how = Walking {
            page: page(walks.len()),
            ..how.clone()
        };
        let here = named.iter().filter(|named| named.bucket == *place.bucket());
        let mut copies = Self {
            named: here.map(|named| named.name.clone()).collect(),
            reaches: walks.iter().map(|url| Reach::new(url, how.recursive)).collect(),
            merged: Merged::new(Vec::new(), target(&place)),
            place,
        };
        for named in &named {
            copies.check(named, making)?;
        }
        copies.merged = Merged::new(named, target(&copies.place));
        for url in walks {
            let walk = Walk::new(how.clone(), &url);
            let base = walk.base(copies.place.renames());
            copies.check_root(&url, base, &how, making)?;
            copies.merged.add(walk, url, base);
        }
        Ok(copies)
    }

    /// Refuses a directory whose copy lies in itself.
    fn check_root(
        &self,
        url: &BucketUrl,
        base: usize,
        how: &Walking,
        making: &Making,
    ) -> Result<(), Failure> {
        let root = url.prefix.strip_suffix('/').unwrap_or(&url.prefix);
        if url.is_pattern() || !how.recursive || url.bucket != *self.place.bucket() {
            return Ok(());
        }
        let copy = self.place.name(Some(root.get(base..).unwrap_or_default()));
        let copy = copy.strip_suffix('/').unwrap_or(&copy);
        let (root_below, copy_below) = (below(root), below(copy));
        if root == copy && !making.changes_itself() {
            return Err(onto_itself(making.moves).at(url));
        }
        if root != copy && copy_below.starts_with(&root_below) {
            let copy = format!("gs://{}/{copy_below}", self.place.bucket());
            return Err(into_itself(&copy).at(url));
        }
        Ok(())
    }

    /// Refuses a copy that would be a source.
    fn check(&self, candidate: &Candidate, making: &Making) -> Result<(), Failure> {
        let bucket = self.place.bucket();
        if candidate.bucket == *bucket && candidate.name == candidate.target {
            return match making.changes_itself() {
                true => Ok(()),
                false => Err(onto_itself(making.moves).at(candidate.place())),
            };
        }
        let target = candidate.target.as_str();
        if self.named.contains(target) || self.reaches.iter().any(|reach| reach.finds(bucket, target)) {
            let copy = format!("gs://{bucket}/{target}");
            return Err(into_itself(&copy).at(candidate.place()));
        }
        Ok(())
    }

    /// Makes the copies.
    pub(super) async fn make(mut self, making: &Making, batch: &mut Batch) -> Result<(), Failure> {
        let mut held = Held::new(false);
        loop {
            let next = self.merged.next().await;
            let ended = next.is_none();
            let verdicts = match next {
                Some(Next::Object(candidate)) => held.next(candidate),
                Some(Next::Failed(url, failure)) => {
                    batch.report(&url.to_string(), Outcome::Failed(failure)).await;
                    continue;
                }
                None => held.end(),
            };
            for verdict in verdicts {
                let candidate = match verdict {
                    // Targets are objects here: none is in the way of what lies below it.
                    Verdict::Go(candidate) | Verdict::Directory(candidate, _) => candidate,
                    Verdict::Twice(candidate) => {
                        batch.report(&candidate.place(), Outcome::Skipped(TWICE)).await;
                        continue;
                    }
                    Verdict::Same(candidate, other) => {
                        let outcome = Outcome::Failed(same_target(&other));
                        batch.report(&candidate.place(), outcome).await;
                        continue;
                    }
                };
                if let Err(overlap) = self.check(&candidate, making) {
                    // What was begun comes to its end, and nothing is added to what is read.
                    let _told = batch.finish().await;
                    return Err(overlap);
                }
                let place = candidate.place();
                let bucket = self.place.bucket().clone();
                match (ObjectName::new(candidate.name), ObjectName::new(candidate.target)) {
                    (Ok(from), Ok(to)) => {
                        let source = Source {
                            url: GsUrl {
                                bucket: candidate.bucket,
                                object: from,
                            },
                            generation: candidate.generation,
                            listed: candidate.listed,
                        };
                        making.begin(batch, source, GsUrl { bucket, object: to }).await?;
                    }
                    (Err(error), _) | (_, Err(error)) => {
                        batch.report(&place, Outcome::Failed(Failure::usage(error))).await;
                    }
                }
            }
            if ended {
                return batch.finish().await;
            }
        }
    }
}

/// What the names of objects in a directory begin with.
fn below(directory: &str) -> String {
    match directory {
        "" => String::new(),
        directory => format!("{directory}/"),
    }
}

/// What an object becomes at `place`.
fn target(place: &Place) -> merged::Target {
    let place = place.clone();
    Box::new(move |rest| place.name(rest))
}
