//! `gcsd get` of several objects: each becomes a file below a directory.

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::batch::{Batch, Outcome};
use super::blocking::blocking;
use super::directory::{Directory, IfNone};
use super::download::Download;
use super::exit::{Exit, Failure, failed};
use super::get_args::GetArgs;
use super::gs_url::{BucketUrl, GsUrl, last_part};
use super::held::{Held, TWICE, Verdict, clash, ends_with_slash, same_target};
use super::merged::{Candidate, Merged, Next, page};
use super::mounted;
use super::naming::{Meaning, Names};
use super::quoting::shown;
use super::walk::{Walk, Walking};
use gcsd_client::ReadRequest;
use gcsd_types::ObjectName;

/// Why nothing was fetched.
pub(super) const THERE: &str = "the file is there (--no-clobber)";

/// What the sources are.
pub(super) enum Meant {
    /// One object, or a version of it.
    One(GsUrl, Option<u64>),
    Several(Vec<Meaning>),
}

/// Finds out what the sources are. A fault of one of several is reported.
pub(super) async fn meanings(
    args: &GetArgs,
    names: Names,
    destination: &Path,
    download: &Download,
    batch: &mut Batch,
) -> Result<Meant, Failure> {
    let how = args.walking(download);
    let may_be_one = names.is_one() && !args.recursive;
    let mut meanings = Vec::new();
    for name in names.all().await? {
        match name.meaning(&how, args.is_quiet()).await {
            Ok(Meaning::Object { url, generation }) if may_be_one => return Ok(Meant::One(url, generation)),
            Ok(Meaning::Walk(url)) if may_be_one && !is_directory(destination).await? => {
                return Ok(match only(&how, &url).await? {
                    Some(object) => Meant::One(object, None),
                    None => Meant::Several(vec![Meaning::Walk(url)]),
                });
            }
            Ok(meaning) => meanings.push(meaning),
            Err(failure) if may_be_one => return Err(failure),
            Err(failure) => {
                batch
                    .report(&name.url.to_string(), Outcome::Failed(failure))
                    .await
            }
        }
    }
    Ok(Meant::Several(meanings))
}

async fn is_directory(path: &Path) -> Result<bool, Failure> {
    let path = path.to_owned();
    blocking(move || Ok(path.is_dir())).await
}

/// The object that a pattern stands for, if that is one.
async fn only(how: &Walking, url: &BucketUrl) -> Result<Option<GsUrl>, Failure> {
    let mut walk = Walk::new(how.clone(), url);
    let (Some(listed), None) = (walk.next_object().await?, walk.next_object().await?) else {
        return Ok(None);
    };
    let object = ObjectName::new(listed.name).map_err(|error| failed(error).at(url))?;
    let bucket = url.bucket.clone();
    Ok(Some(GsUrl { bucket, object }))
}

/// Several objects, and the directory that they go to.
pub(super) struct Several<'a> {
    args: &'a GetArgs,
    named: Vec<Candidate>,
    walks: Vec<BucketUrl>,
    directory: Arc<Directory>,
}

impl<'a> Several<'a> {
    /// Makes sure that there is a directory, and that no two of the objects that are named become one file.
    pub(super) async fn open(
        args: &'a GetArgs,
        meanings: Vec<Meaning>,
        destination: &Path,
    ) -> Result<Self, Failure> {
        if args.range.is_some() || !args.version.is_any() {
            let what = "--range, --generation and preconditions are for one object, and this may be several";
            return Err(Failure::usage(what));
        }
        let (mut named, mut walks) = (Vec::new(), Vec::new());
        for meaning in meanings {
            match meaning {
                Meaning::Walk(url) => walks.push(url),
                Meaning::Object { url, generation } => named.push(Candidate {
                    target: last_part(url.object.as_str()).unwrap_or_default().to_owned(),
                    bucket: url.bucket,
                    name: url.object.as_str().to_owned(),
                    generation,
                    listed: false,
                }),
            }
        }
        // What has no name to go by is refused by itself.
        let ones = named.iter().filter(|named: &&Candidate| !named.target.is_empty());
        if let Some((one, other)) = clash(ones) {
            return Err(same_target(&other.place()).at(one.place()));
        }
        let how = match (args.dry_run.dry_run, args.recursive) {
            (true, _) => IfNone::Pretend,
            (false, true) => IfNone::Make,
            (false, false) => IfNone::MakeWithSlash,
        };
        let path = destination.to_owned();
        let directory = blocking(move || Directory::open(path, how)).await?;
        Ok(Self {
            args,
            named,
            walks,
            directory: Arc::new(directory),
        })
    }

    /// Fetches them.
    pub(super) async fn get(
        mut self,
        download: &Download,
        bar: &ProgressBar,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let how = Walking {
            page: page(self.walks.len()),
            ..self.args.walking(download)
        };
        let target = |rest: Option<&str>| rest.unwrap_or_default().to_owned();
        let mut merged = Merged::new(std::mem::take(&mut self.named), Box::new(target));
        let mut begins = Vec::new();
        for url in &self.walks {
            let walk = Walk::new(how.clone(), url);
            // As rsync has it: with a slash at the end, it is what lies in the directory, and not the directory.
            let base = walk.base(self.args.recursive && url.prefix.ends_with('/'));
            let begin = url.prefix.get(base..).filter(|_| !url.is_pattern());
            begins.push((url.clone(), begin.unwrap_or_default().to_owned()));
            merged.add(walk, url.clone(), base);
        }
        let (to, recursive) = (self.directory.path.clone(), self.args.recursive);
        blocking(move || mounted::refuse_from_itself(&begins, recursive, &to)).await?;
        let mut held = Held::new(true);
        loop {
            let next = merged.next().await;
            let ended = next.is_none();
            let verdicts = match next {
                Some(Next::Object(candidate)) => match local(&candidate) {
                    Local::File => held.next(candidate),
                    Local::Marker => {
                        let outcome = Outcome::Skipped("it only marks a directory");
                        batch.report(&candidate.place(), outcome).await;
                        continue;
                    }
                    Local::Refused(failure) => {
                        batch.report(&candidate.place(), Outcome::Failed(failure)).await;
                        continue;
                    }
                },
                Some(Next::Failed(url, failure)) => {
                    batch.report(&url.to_string(), Outcome::Failed(failure)).await;
                    continue;
                }
                None => held.end(),
            };
            for verdict in verdicts {
                let (candidate, outcome) = match verdict {
                    Verdict::Go(candidate) => {
                        self.begin(candidate, download, bar, batch).await?;
                        continue;
                    }
                    Verdict::Twice(candidate) => (candidate, Outcome::Skipped(TWICE)),
                    Verdict::Same(candidate, other) => (candidate, Outcome::Failed(same_target(&other))),
                    Verdict::Directory(candidate, other) => {
                        (candidate, Outcome::Failed(directory_of(&other)))
                    }
                };
                batch.report(&candidate.place(), outcome).await;
            }
            if ended {
                return batch.finish().await;
            }
        }
    }

    /// Begins to fetch an object.
    async fn begin(
        &self,
        candidate: Candidate,
        download: &Download,
        bar: &ProgressBar,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let place = candidate.place();
        let object = match ObjectName::new(candidate.name) {
            Ok(object) => object,
            Err(error) => {
                batch.report(&place, Outcome::Failed(failed(error))).await;
                return Ok(());
            }
        };
        // What was listed is fetched as it is by then.
        let generation = candidate.generation.filter(|_| !candidate.listed);
        let mut object = self.args.object_ref(candidate.bucket, object);
        object.generation = object.generation.or(generation);
        let request = ReadRequest::new(object).with_decompress(self.args.decompress);
        let (download, bar, no_clobber) = (download.clone(), bar.clone(), self.args.no_clobber);
        let directory = self.directory.clone();
        let target = candidate.target;
        let from = place.clone();
        batch
            .add(place, async move {
                let file = directory.path.join(&target);
                let there = file.clone();
                let there = blocking(move || Ok(no_clobber && there.symlink_metadata().is_ok()));
                match there.await {
                    Ok(false) => {}
                    Ok(true) => return Outcome::Skipped(THERE),
                    Err(failure) => return Outcome::Failed(failure),
                }
                let open = move || directory.file(&target, &from, no_clobber);
                match download.run(request, &bar, open).await {
                    Ok(downloaded) => {
                        let mut line = downloaded.json();
                        line["file"] = file.to_string_lossy().into_owned().into();
                        Outcome::Done(line)
                    }
                    Err(failure) if failure.is_file_there() => Outcome::Skipped(THERE),
                    Err(failure) => Outcome::Failed(failure),
                }
            })
            .await
    }
}

/// That an object would be a file where the directory of `other` is.
fn directory_of(other: &str) -> Failure {
    let what = format!("it would be a file where {} needs a directory", shown(other));
    Failure::new(Exit::Failed, "same_target", what)
}

/// The place of an object below the directory.
enum Local {
    /// What its target says.
    File,
    /// Its name ends with a slash: it has no place, and needs none.
    Marker,
    /// It cannot have one.
    Refused(Failure),
}

/// Where an object goes.
fn local(candidate: &Candidate) -> Local {
    let target = candidate.target.as_str();
    if candidate.name.ends_with('/') {
        return match candidate.listed {
            true => Local::Marker,
            false => Local::Refused(ends_with_slash()),
        };
    }
    if target.is_empty() {
        let what = "its name is that of the directory: without --recursive, it becomes a file";
        return Local::Refused(failed(what));
    }
    match refused(target) {
        Some(why) => Local::Refused(failed(why)),
        None => Local::File,
    }
}

/// Why no file can be called so.
fn refused(target: &str) -> Option<&'static str> {
    target.split('/').find_map(|part| match part {
        "" => Some("its name has an empty part, which no file can have"),
        "." | ".." => Some("its name leads out of the directory, or in a circle"),
        part if part.contains('\0') => Some("its name has a NUL, which no file can have"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        assert_eq!(refused("a/b"), None);
        assert_eq!(refused("..a/.b/c.."), None);
        for bad in [
            "..", "../a", "a/..", "a/../b", "/a", "//a", "a//b", "./a", ".", "a\0b",
        ] {
            assert!(refused(bad).is_some(), "{bad:?}");
        }
    }
}
