//! `gcsd encode`: the requests on objects.

use std::path::PathBuf;

use clap::Subcommand;

use super::body::{Body, BodyArgs};
use super::{HeadArgs, crc32c};
use crate::cli::conditions::{Conditions, ObjectArgs};
use crate::cli::encryption_key::{KeyArgs, read_key};
use crate::cli::exit::Failure;
use crate::cli::get::range;
use crate::cli::gs_url::{BucketUrl, GsUrl};
use crate::cli::new_object::NewObject;
use crate::cli::units;
use gcsd_types::{ComposeSource, Crc32c, Destination, ObjectQuery, ObjectRef, Preconditions, Rewrite};
use gcsd_wire::read_at::Range;
use gcsd_wire::{
    Request, compose_objects, delete_object, list_objects, move_object, patch_object, put_object, read_at,
    rewrite_object, stat_object,
};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum ObjectRequest {
    /// Make an object in one request.
    PutObject {
        /// The object.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        /// Its CRC32C, in base64 or eight hexadecimal digits.
        #[arg(long, value_name = "CRC32C", value_parser = crc32c)]
        object_crc32c: Option<Crc32c>,
        #[command(flatten)]
        body: BodyArgs,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Bytes of an object.
    ReadAt {
        #[command(flatten)]
        object: ObjectArgs,
        /// FIRST-LAST (both included), FIRST-, or -COUNT for the last bytes [default: all].
        #[arg(long, value_name = "RANGE", value_parser = range, allow_hyphen_values = true)]
        range: Option<Range>,
        /// Let GCS decompress what is stored compressed.
        #[arg(long)]
        decompress: bool,
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// What GCS says of an object.
    StatObject {
        #[command(flatten)]
        object: ObjectArgs,
        /// The parts of GCS's JSON that are wanted, such as 'name,metadata/owner' [default: all].
        #[arg(long, value_name = "FIELDS")]
        fields: Option<String>,
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// One page of a bucket's objects.
    ListObjects {
        #[command(flatten)]
        query: Box<QueryArgs>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Delete an object, or one generation of it.
    DeleteObject {
        #[command(flatten)]
        object: ObjectArgs,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Make one object of up to 32.
    ComposeObjects {
        /// The object to make.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        /// What to make it of, in this order: objects of the same bucket.
        #[arg(value_name = "gs://BUCKET/SOURCE", required = true, num_args = 1..=ComposeSource::MAX)]
        sources: Vec<GsUrl>,
        /// The sources' generations, in the same order [default: the live ones].
        #[arg(long, value_name = "N,...", value_delimiter = ',')]
        source_generations: Vec<u64>,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Copy an object, or go on with it: one step.
    RewriteObject {
        /// What to copy.
        #[arg(value_name = "gs://BUCKET/SOURCE")]
        source: GsUrl,
        /// The object to make.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        /// How many bytes the step copies, at most: whole MiB [default: GCS's choice].
        #[arg(long, value_name = "SIZE", value_parser = units::size)]
        max_bytes: Option<u64>,
        /// The rewrite_token of the step before.
        #[arg(long, value_name = "TOKEN")]
        rewrite_token: Option<String>,
        #[command(flatten)]
        from: SourceConditions,
        #[command(flatten)]
        new: Box<NewObject>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Change an object's metadata in the fields that are named.
    PatchObject {
        #[command(flatten)]
        object: ObjectArgs,
        /// What changes, as a JSON object; null removes.
        #[arg(value_name = "JSON")]
        patch: String,
        /// One of GCS's predefined ACLs, such as 'publicRead'.
        #[arg(long, value_name = "ACL")]
        predefined_acl: Option<String>,
        /// The parts of GCS's JSON that are wanted [default: all].
        #[arg(long, value_name = "FIELDS")]
        fields: Option<String>,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// Give an object another name in its bucket.
    MoveObject {
        /// The object.
        #[arg(value_name = "gs://BUCKET/SOURCE")]
        source: GsUrl,
        /// Its new name.
        #[arg(value_name = "gs://BUCKET/OBJECT")]
        url: GsUrl,
        #[command(flatten)]
        from: SourceConditions,
        #[command(flatten)]
        to: Conditions,
        /// The project that pays, for buckets where the requester does.
        #[arg(long, value_name = "PROJECT")]
        user_project: Option<String>,
        /// The parts of GCS's JSON that are wanted [default: all].
        #[arg(long, value_name = "FIELDS")]
        fields: Option<String>,
        #[command(flatten)]
        head: HeadArgs,
    },
}

/// What must hold of the object that is copied or moved.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The source")]
pub(super) struct SourceConditions {
    /// This generation instead of the live one; not of a move.
    #[arg(long, value_name = "N")]
    source_generation: Option<u64>,
    /// Only if this is the source's live generation.
    #[arg(long, value_name = "N")]
    if_source_generation_match: Option<u64>,
    /// Only if this is not the source's live generation.
    #[arg(long, value_name = "N")]
    if_source_generation_not_match: Option<u64>,
    /// Only if the source's metadata has this version.
    #[arg(long, value_name = "N")]
    if_source_metageneration_match: Option<u64>,
    /// Only if the source's metadata has not this version.
    #[arg(long, value_name = "N")]
    if_source_metageneration_not_match: Option<u64>,
    /// A file with the key that the source is encrypted with and that GCS does not keep.
    #[arg(long, value_name = "FILE")]
    source_encryption_key_file: Option<PathBuf>,
}

impl SourceConditions {
    fn object_ref(&self, url: GsUrl) -> Result<ObjectRef, Failure> {
        let key = self.source_encryption_key_file.as_deref();
        let key = key.map(|file| read_key(file, "--source-encryption-key-file"));
        Ok(ObjectRef {
            generation: self.source_generation,
            preconditions: Preconditions {
                if_generation_match: self.if_source_generation_match,
                if_generation_not_match: self.if_source_generation_not_match,
                if_metageneration_match: self.if_source_metageneration_match,
                if_metageneration_not_match: self.if_source_metageneration_not_match,
            },
            key: key.transpose()?,
            ..ObjectRef::new(url.bucket, url.object)
        })
    }
}

/// Which objects to list.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct QueryArgs {
    /// The bucket, and what the names begin with.
    #[arg(value_name = "gs://BUCKET[/PREFIX]")]
    url: BucketUrl,
    /// Show names that go on with this as one prefix.
    #[arg(long, value_name = "TEXT")]
    delimiter: Option<String>,
    /// The first name.
    #[arg(long, value_name = "NAME")]
    start_offset: Option<String>,
    /// The name before which the list ends.
    #[arg(long, value_name = "NAME")]
    end_offset: Option<String>,
    /// Only names that match this pattern, such as '**/*.txt'.
    #[arg(long, value_name = "GLOB")]
    match_glob: Option<String>,
    /// The next_page_token of the page before.
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
    /// Objects and prefixes on the page, at most [default: GCS's, 1000].
    #[arg(long, value_name = "N")]
    max_results: Option<u32>,
    /// Versions that are not live, too.
    #[arg(long)]
    versions: bool,
    /// Only objects that are softly deleted.
    #[arg(long)]
    soft_deleted: bool,
    /// Objects whose names end where a prefix does, as objects, too.
    #[arg(long)]
    include_trailing_delimiter: bool,
    /// Empty folders as prefixes, too.
    #[arg(long)]
    include_folders_as_prefixes: bool,
    /// With ACLs.
    #[arg(long)]
    full: bool,
    /// The project that pays, for buckets where the requester does.
    #[arg(long, value_name = "PROJECT")]
    user_project: Option<String>,
    /// The parts of GCS's JSON that are wanted, such as 'items(name,size)' [default: all].
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
}

impl From<QueryArgs> for ObjectQuery {
    fn from(args: QueryArgs) -> Self {
        Self {
            bucket: args.url.bucket,
            prefix: Some(args.url.prefix).filter(|prefix| !prefix.is_empty()),
            delimiter: args.delimiter,
            start_offset: args.start_offset,
            end_offset: args.end_offset,
            match_glob: args.match_glob,
            page_token: args.page_token,
            max_results: args.max_results,
            versions: args.versions,
            soft_deleted: args.soft_deleted,
            include_trailing_delimiter: args.include_trailing_delimiter,
            include_folders_as_prefixes: args.include_folders_as_prefixes,
            full: args.full,
            user_project: args.user_project,
            fields: args.fields,
        }
    }
}

impl ObjectRequest {
    /// What the command line asks for.
    pub(super) fn parts(self) -> Result<(HeadArgs, Request, Body), Failure> {
        let (head, request) = match self {
            Self::PutObject {
                url,
                object_crc32c,
                body,
                new,
                head,
            } => {
                let args = put_object::Args {
                    destination: new.destination(&url)?,
                    object_crc32c,
                };
                return Ok((head, Request::PutObject(args), body.open()?));
            }
            Self::ReadAt {
                object,
                range,
                decompress,
                key,
                head,
            } => {
                let args = read_at::Args {
                    of: ObjectRef {
                        key: key.read()?,
                        ..object.object_ref()
                    },
                    range: range.unwrap_or(Range::From(0)),
                    decompress,
                };
                (head, Request::ReadAt(args))
            }
            Self::StatObject {
                object,
                fields,
                key,
                head,
            } => {
                let of = ObjectRef {
                    fields,
                    key: key.read()?,
                    ..object.object_ref()
                };
                (head, Request::StatObject(stat_object::Args { of }))
            }
            Self::ListObjects { query, head } => {
                let query = (*query).into();
                (head, Request::ListObjects(list_objects::Args { query }))
            }
            Self::DeleteObject { object, head } => {
                let of = object.object_ref();
                (head, Request::DeleteObject(delete_object::Args { of }))
            }
            Self::ComposeObjects {
                url,
                sources,
                source_generations,
                new,
                head,
            } => {
                let args = compose_objects::Args {
                    destination: new.destination(&url)?,
                    sources: compose_sources(&url, sources, &source_generations)?,
                };
                (head, Request::ComposeObjects(args))
            }
            Self::RewriteObject {
                source,
                url,
                max_bytes,
                rewrite_token,
                from,
                new,
                head,
            } => {
                let rewrite = Box::new(Rewrite {
                    source: from.object_ref(source)?,
                    destination: new.destination(&url)?,
                    max_bytes,
                    token: rewrite_token,
                });
                (head, Request::RewriteObject(rewrite_object::Args { rewrite }))
            }
            Self::PatchObject {
                object,
                patch,
                predefined_acl,
                fields,
                head,
            } => {
                let of = object.object_ref();
                let args = patch_object::Args {
                    generation: of.generation,
                    object: Destination {
                        preconditions: of.preconditions,
                        user_project: of.user_project,
                        predefined_acl,
                        fields,
                        metadata: patch.into(),
                        ..Destination::new(of.bucket, of.object)
                    },
                };
                (head, Request::PatchObject(args))
            }
            Self::MoveObject {
                source,
                url,
                from,
                to,
                user_project,
                fields,
                head,
            } => {
                if source.bucket != url.bucket {
                    return Err(Failure::usage("a move stays in its bucket").at(url));
                }
                if from.source_generation.is_some() {
                    return Err(Failure::usage(
                        "a move takes the live generation: use --if-source-generation-match",
                    ));
                }
                let args = move_object::Args {
                    source: ObjectRef {
                        user_project,
                        fields,
                        ..from.object_ref(source)?
                    },
                    destination: url.object,
                    preconditions: (&to).into(),
                };
                (head, Request::MoveObject(args))
            }
        };
        Ok((head, request, Body::None))
    }
}

fn compose_sources(
    url: &GsUrl,
    sources: Vec<GsUrl>,
    generations: &[u64],
) -> Result<Vec<ComposeSource>, Failure> {
    if !generations.is_empty() && generations.len() != sources.len() {
        return Err(Failure::usage(
            "--source-generations names as many as there are sources",
        ));
    }
    let of = |(at, source): (usize, GsUrl)| {
        if source.bucket != url.bucket {
            return Err(
                Failure::usage("the sources lie in the bucket of the object that they make").at(source),
            );
        }
        Ok(ComposeSource {
            generation: generations.get(at).copied(),
            ..ComposeSource::new(source.object)
        })
    };
    sources.into_iter().enumerate().map(of).collect()
}
