//! `gcsd mv`: objects get other names within Cloud Storage.

use clap::Args;

use super::copying::Copying;
use super::exit::Failure;

/// Move objects within Cloud Storage.
///
/// Within a bucket an object gets its new name in one step, which happens or does not. To another bucket, with metadata of its
/// own, or where GCS does not permit that step, it is copied, and then the generation that was copied is deleted, and no other.
/// What was done with each is said on standard error and in --json ("did": "renamed" or "copied and deleted"). The rules for
/// names, patterns and destinations are those of 'gcsd cp'. Failures are reported, and the rest continues.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd mv [OPTIONS] <gs://BUCKET/SRC>... <gs://BUCKET/DEST>")]
#[command(after_help = "\
Examples:
  gcsd mv gs://my-bucket/a gs://my-bucket/b
  gcsd mv 'gs://my-bucket/logs/*.gz' gs://my-bucket/old/
  gcsd mv -r gs://my-bucket/site/ gs://other-bucket/new    becomes gs://other-bucket/new/...")]
pub(super) struct MvArgs {
    #[command(flatten)]
    copying: Copying,
}

/// Runs the command.
pub(super) async fn run(args: MvArgs) -> Result<(), Failure> {
    args.copying.run(true).await
}
