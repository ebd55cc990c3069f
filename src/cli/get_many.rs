//! `gcsd get` of several objects: each becomes a file below a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::blocking::blocking;
use super::crew::{Crew, Outcome};
use super::destination::Destination;
use super::download::Download;
use super::exit::{Failure, failed};
use super::get::GetArgs;
use super::gs_url::{BucketUrl, GsUrl};
use super::walk::{Walk, Walking};
use gcsd_types::ObjectName;
use gcsd_wire::read_at::{self, Range};

/// The directory that the files go to.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// It takes the place of the directory that is fetched, rather than to be what that lies in.
    renames: bool,
}

/// The object that a pattern stands for, if that is one.
pub(super) async fn only(
    args: &GetArgs,
    download: &Download,
    url: &BucketUrl,
) -> Result<Option<GsUrl>, Failure> {
    let mut walk = Walk::new(Walking::new(download.requests.clone(), &args.version.payer), url);
    let (Some(listed), None) = (walk.next_object().await?, walk.next_object().await?) else {
        return Ok(None);
    };
    let object = ObjectName::new(listed.name).map_err(|error| failed(error).at(url))?;
    let bucket = url.bucket.clone();
    Ok(Some(GsUrl { bucket, object }))
}

/// Fetches what the sources stand for.
pub(super) async fn get(
    args: &GetArgs,
    sources: &[BucketUrl],
    destination: &Path,
    download: &Download,
    bar: &ProgressBar,
    crew: &mut Crew,
) -> Result<(), Failure> {
    if args.range.is_some() || !args.version.is_any() {
        let what = "--range, --generation and preconditions are for one object, and this may be several";
        return Err(Failure::usage(what));
    }
    let directory = Directory::open(args, sources, destination)?;
    for url in sources {
        let how = Walking {
            recursive: args.recursive,
            ..Walking::new(download.requests.clone(), &args.version.payer)
        };
        let mut walk = Walk::new(how, url);
        let base = walk.base(directory.renames);
        loop {
            match walk.next_object().await {
                Ok(Some(listed)) => {
                    let file = local(listed.name.get(base..).unwrap_or_default());
                    add(args, download, bar, crew, url, listed.name, &directory, file).await?;
                }
                Ok(None) => break,
                Err(failure) => {
                    crew.tell(&url.to_string(), Outcome::Failed(failure));
                    break;
                }
            }
        }
    }
    crew.finish().await
}

impl Directory {
    fn open(args: &GetArgs, sources: &[BucketUrl], destination: &Path) -> Result<Self, Failure> {
        let path = destination.to_owned();
        if path.as_os_str() == "-" {
            let what = "several objects cannot be told apart on standard output; 'gcsd cat' prints them";
            return Err(Failure::usage(what));
        }
        let at = |error: &io::Error| Failure::io(path.display(), error);
        let renames = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => false,
            Ok(_) => return Err(Failure::usage("several objects need a directory").at(path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let named = path.as_os_str().as_encoded_bytes().ends_with(b"/");
                let renames = args.recursive && sources.len() == 1;
                if !named && !renames {
                    let what = "several objects need a directory, and there is none";
                    return Err(Failure::usage(what).at(path.display()));
                }
                fs::create_dir_all(&path).map_err(|error| at(&error))?;
                renames
            }
            Err(error) => return Err(at(&error)),
        };
        Ok(Self { path, renames })
    }
}

/// The place of an object below the directory.
#[derive(Debug, PartialEq, Eq)]
enum Local {
    File(PathBuf),
    /// Its name ends with a slash: it has no place, and needs none.
    Marker,
    /// It cannot have one.
    Refused(&'static str),
}

/// Where the object goes whose name goes on like this.
fn local(name: &str) -> Local {
    if name.is_empty() || name.ends_with('/') {
        return Local::Marker;
    }
    let mut path = PathBuf::new();
    for part in name.split('/') {
        match part {
            "" => return Local::Refused("its name has an empty part, which no file can have"),
            "." | ".." => return Local::Refused("its name leads out of the directory, or in a circle"),
            part if part.contains('\0') => {
                return Local::Refused("its name has a NUL, which no file can have");
            }
            part => path.push(part),
        }
    }
    Local::File(path)
}

#[expect(
    clippy::too_many_arguments,
    reason = "what one object needs of what all share"
)]
async fn add(
    args: &GetArgs,
    download: &Download,
    bar: &ProgressBar,
    crew: &mut Crew,
    url: &BucketUrl,
    name: String,
    directory: &Directory,
    file: Local,
) -> Result<(), Failure> {
    let place = format!("gs://{}/{name}", url.bucket);
    let file = match file {
        Local::File(file) => directory.path.join(file),
        Local::Marker => {
            crew.tell(&place, Outcome::Skipped("it only marks a directory"));
            return Ok(());
        }
        Local::Refused(why) => {
            crew.tell(&place, Outcome::Failed(failed(why)));
            return Ok(());
        }
    };
    let object = match ObjectName::new(name) {
        Ok(object) => object,
        Err(error) => {
            crew.tell(&place, Outcome::Failed(failed(error)));
            return Ok(());
        }
    };
    let request = read_at::Args {
        of: args.object_ref(url.bucket.clone(), object),
        range: Range::From(0),
        decompress: args.decompress,
    };
    let (download, bar, no_clobber) = (download.clone(), bar.clone(), args.no_clobber);
    crew.add(place, async move {
        let there = file.clone();
        let there = blocking(move || Ok(no_clobber && there.symlink_metadata().is_ok()));
        match there.await {
            Ok(false) => {}
            Ok(true) => return Outcome::Skipped("the file is there (--no-clobber)"),
            Err(failure) => return Outcome::Failed(failure),
        }
        let path = file.clone();
        let open = move || prepare(&path, no_clobber);
        match download.run(request, &bar, open).await {
            Ok(downloaded) => {
                let mut line = downloaded.json();
                line["file"] = file.to_string_lossy().into_owned().into();
                Outcome::Done(line)
            }
            Err(failure) => Outcome::Failed(failure),
        }
    })
    .await
}

/// Makes room for `file`.
fn prepare(file: &Path, no_clobber: bool) -> Result<Destination, Failure> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(|error| Failure::io(parent.display(), &error))?;
    }
    Destination::file(file.to_owned(), no_clobber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        assert_eq!(local("a/b"), Local::File("a/b".into()));
        assert_eq!(local("..a/.b/c.."), Local::File("..a/.b/c..".into()));
        for marker in ["", "/", "a/", "../"] {
            assert_eq!(local(marker), Local::Marker, "{marker}");
        }
        for bad in [
            "..", "../a", "a/..", "a/../b", "/a", "//a", "a//b", "./a", ".", "a\0b",
        ] {
            assert!(matches!(local(bad), Local::Refused(_)), "{bad:?}");
        }
    }
}
