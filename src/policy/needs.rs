//! What each request needs: the one table of opcodes and verbs.

use gcsd_types::{Destination, MultipartRef, ObjectRef, Preconditions};
use gcsd_wire::Request;

use super::Verb;

/// What a request needs of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs<'a> {
    /// Nothing: it touches no object.
    Nothing,
    /// All of these.
    Each(Vec<Need<'a>>),
    /// What its upload needs ([`Need::Continue`]), whose object is known once it is the request's turn.
    Upload,
}

/// One thing that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// The verb on an object.
    On(Verb, Name<'a>),
    /// An object is made: [`Verb::Create`] where a condition says that there is none, [`Verb::Replace`] where one says that
    /// there is one, both where none says which.
    Make(Name<'a>, Condition),
    /// An object goes on being made that was permitted to begin: [`Verb::Create`] or [`Verb::Replace`].
    Continue(Name<'a>),
    /// The names of a bucket that begin with this.
    List(Name<'a>),
    /// The metadata of a bucket.
    Bucket(&'a str),
    /// The names of all buckets.
    Buckets,
}

impl Need<'_> {
    fn verb(&self) -> Verb {
        match self {
            Self::On(verb, _) => *verb,
            Self::Make(_, Condition::Absent) | Self::Continue(_) => Verb::Create,
            Self::Make(..) => Verb::Replace,
            Self::List(_) => Verb::List,
            Self::Bucket(_) => Verb::StatBucket,
            Self::Buckets => Verb::ListBuckets,
        }
    }
}

/// An object, or names that begin with `object`. Names are bytes: nothing is decoded, folded or resolved, as Cloud Storage does
/// nothing of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The object, or the beginning of its name.
    pub object: &'a str,
}

/// What a request says of the object that has the name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// Nothing, and it can be made to say that there is none.
    Open,
    /// Something else, or nothing that could be said.
    Other,
}

impl Condition {
    fn of(preconditions: &Preconditions) -> Self {
        match preconditions {
            Preconditions {
                if_generation_match: Some(0),
                ..
            } => Self::Absent,
            Preconditions {
                if_generation_match: Some(_),
                ..
            }
            | Preconditions {
                if_generation_not_match: Some(0),
                ..
            } => Self::Present,
            none if *none == Preconditions::default() => Self::Open,
            _ => Self::Other,
        }
    }
}

impl<'a> Needs<'a> {
    /// The verbs that this comes to, for the log: of a request that may replace, that one.
    pub fn verbs(&self) -> Vec<Verb> {
        let Self::Each(needs) = self else {
            return match self {
                Self::Upload => vec![Verb::Create],
                _ => Vec::new(),
            };
        };
        let mut verbs: Vec<Verb> = needs.iter().map(Need::verb).collect();
        verbs.sort_unstable();
        verbs.dedup();
        verbs
    }

    /// What `request` needs.
    pub fn of(request: &'a Request) -> Self {
        use Verb::{Delete, Read, Update};
        let on = |verb, of: &'a ObjectRef| Need::On(verb, name(of.bucket.as_str(), of.object.as_str()));
        let make = |to: &'a Destination| {
            Need::Make(
                name(to.bucket.as_str(), to.object.as_str()),
                Condition::of(&to.preconditions),
            )
        };
        let parts = |of: &'a MultipartRef| name(of.bucket.as_str(), of.object.as_str());
        let needs = match request {
            // Cancel ends a request of its own connection, and a detached upload stays as it is.
            Request::Hello(_) | Request::Ping(_) | Request::Cancel(_) | Request::DetachUpload(_) => {
                return Self::Nothing;
            }
            Request::WriteAt(_)
            | Request::QueryUpload(_)
            | Request::FinishUpload(_)
            | Request::CancelUpload(_)
            | Request::AttachUpload(_) => return Self::Upload,
            Request::StartUpload(args) => vec![make(&args.destination)],
            Request::PutObject(args) => vec![make(&args.destination)],
            Request::ReadAt(args) => vec![on(Read, &args.of)],
            Request::StatObject(args) => vec![on(Read, &args.of)],
            Request::DeleteObject(args) => vec![on(Delete, &args.of)],
            Request::PatchObject(args) => {
                let object = &args.object;
                vec![Need::On(
                    Update,
                    name(object.bucket.as_str(), object.object.as_str()),
                )]
            }
            Request::ComposeObjects(args) => {
                let bucket = args.destination.bucket.as_str();
                let source = |source: &'a gcsd_types::ComposeSource| {
                    Need::On(Read, name(bucket, source.object.as_str()))
                };
                let sources = args.sources.iter().map(source);
                sources.chain([make(&args.destination)]).collect()
            }
            Request::RewriteObject(args) => {
                let rewrite = &args.rewrite;
                vec![on(Read, &rewrite.source), make(&rewrite.destination)]
            }
            Request::MoveObject(args) => {
                let to = name(args.source.bucket.as_str(), args.destination.as_str());
                vec![
                    on(Read, &args.source),
                    on(Delete, &args.source),
                    Need::Make(to, Condition::of(&args.preconditions)),
                ]
            }
            // The XML API's multipart uploads take no conditions, neither at their start nor at their end.
            Request::StartMultipart(args) => {
                let to = &args.destination;
                vec![Need::Make(
                    name(to.bucket.as_str(), to.object.as_str()),
                    Condition::Other,
                )]
            }
            Request::CompleteMultipart(args) => vec![Need::Make(parts(&args.of), Condition::Other)],
            Request::UploadPart(args) => vec![Need::Continue(parts(&args.of))],
            Request::ListParts(args) => vec![Need::Continue(parts(&args.of))],
            Request::AbortMultipart(args) => vec![Need::Continue(parts(&args.of))],
            Request::ListObjects(args) => {
                let prefix = args.query.prefix.as_deref().unwrap_or_default();
                vec![Need::List(name(args.query.bucket.as_str(), prefix))]
            }
            Request::StatBucket(args) => vec![Need::Bucket(args.of.bucket.as_str())],
            Request::ListBuckets(_) => vec![Need::Buckets],
        };
        Self::Each(needs)
    }
}

/// The preconditions of the object that a request makes, where it can have some.
pub(super) fn conditions(request: &mut Request) -> Option<&mut Preconditions> {
    match request {
        Request::StartUpload(args) => Some(&mut args.destination.preconditions),
        Request::PutObject(args) => Some(&mut args.destination.preconditions),
        Request::ComposeObjects(args) => Some(&mut args.destination.preconditions),
        Request::RewriteObject(args) => Some(&mut args.rewrite.destination.preconditions),
        Request::MoveObject(args) => Some(&mut args.preconditions),
        _ => None,
    }
}

/// Whether it makes an object whose size the daemon does not learn before there is one: of parts, or of other objects.
pub(super) fn has_no_size(request: &Request) -> bool {
    matches!(
        request,
        Request::StartMultipart(_) | Request::CompleteMultipart(_) | Request::ComposeObjects(_)
    )
}

fn name<'a>(bucket: &'a str, object: &'a str) -> Name<'a> {
    Name { bucket, object }
}
