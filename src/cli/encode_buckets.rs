//! `gcsd encode`: the requests on buckets.

use clap::Subcommand;

use super::HeadArgs;
use gcsd_types::{BucketName, BucketQuery, BucketRef, Preconditions};
use gcsd_wire::{Request, list_buckets, stat_bucket};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum BucketRequest {
    /// One page of a project's buckets.
    ListBuckets {
        /// The project.
        #[arg(value_name = "PROJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        project: String,
        /// Only names that begin with this.
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// The next_page_token of the page before.
        #[arg(long, value_name = "TOKEN")]
        page_token: Option<String>,
        /// Buckets on the page, at most [default: GCS's, 1000].
        #[arg(long, value_name = "N")]
        max_results: Option<u32>,
        /// Only buckets that are softly deleted.
        #[arg(long)]
        soft_deleted: bool,
        /// Those that can be reached, if some cannot.
        #[arg(long)]
        return_partial_success: bool,
        #[command(flatten)]
        shown: Shown,
        #[command(flatten)]
        head: HeadArgs,
    },
    /// What GCS says of a bucket.
    StatBucket {
        /// The bucket.
        #[arg(value_name = "gs://BUCKET", value_parser = bucket)]
        bucket: BucketName,
        /// Only if the metadata has this version.
        #[arg(long, value_name = "N")]
        if_metageneration_match: Option<u64>,
        /// Only if the metadata has not this version.
        #[arg(long, value_name = "N")]
        if_metageneration_not_match: Option<u64>,
        /// A bucket that is softly deleted; with --generation.
        #[arg(long, requires = "generation")]
        soft_deleted: bool,
        /// This generation of it.
        #[arg(long, value_name = "N")]
        generation: Option<u64>,
        #[command(flatten)]
        shown: Shown,
        #[command(flatten)]
        head: HeadArgs,
    },
}

/// What is shown, and who pays for it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Shown {
    /// With ACLs.
    #[arg(long)]
    full: bool,
    /// The project that pays, for buckets where the requester does.
    #[arg(long, value_name = "PROJECT")]
    user_project: Option<String>,
    /// The parts of GCS's JSON that are wanted, such as 'name,labels' [default: all].
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
}

/// Reads `gs://BUCKET`.
fn bucket(text: &str) -> Result<BucketName, String> {
    let name = text
        .strip_prefix("gs://")
        .ok_or("a bucket is written gs://BUCKET")?;
    let name = name.strip_suffix('/').unwrap_or(name);
    BucketName::new(name).map_err(|error| error.to_string())
}

impl BucketRequest {
    /// What the command line asks for.
    pub(super) fn parts(self) -> (HeadArgs, Request) {
        match self {
            Self::ListBuckets {
                project,
                prefix,
                page_token,
                max_results,
                soft_deleted,
                return_partial_success,
                shown,
                head,
            } => {
                let query = BucketQuery {
                    project,
                    prefix,
                    page_token,
                    max_results,
                    full: shown.full,
                    soft_deleted,
                    return_partial_success,
                    user_project: shown.user_project,
                    fields: shown.fields,
                };
                (head, Request::ListBuckets(list_buckets::Args { query }))
            }
            Self::StatBucket {
                bucket,
                if_metageneration_match,
                if_metageneration_not_match,
                soft_deleted,
                generation,
                shown,
                head,
            } => {
                let of = BucketRef {
                    bucket,
                    generation,
                    preconditions: Preconditions {
                        if_metageneration_match,
                        if_metageneration_not_match,
                        ..Preconditions::default()
                    },
                    soft_deleted,
                    full: shown.full,
                    user_project: shown.user_project,
                    fields: shown.fields,
                };
                (head, Request::StatBucket(stat_bucket::Args { of }))
            }
        }
    }
}
