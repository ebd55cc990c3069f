//! `gcsd cp`: objects are copied within Cloud Storage.

use clap::Args;

use super::copying::Copying;
use super::exit::Failure;

/// Copy objects within Cloud Storage.
///
/// GCS does it by itself: the bytes do not come by here. A copy has the metadata of its source, unless any is given. An
/// object that is called exactly so wins over a pattern; a copy is called exactly as it is written. Two sources that would
/// become one copy, and copies that would be sources again, are refused. Other failures are reported, and the rest
/// continues. For files, there are 'gcsd put' and 'gcsd get'.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "gcsd cp [OPTIONS] <gs://BUCKET/SRC>... <gs://BUCKET/DEST>")]
#[command(after_help = "\
Examples:
  gcsd cp gs://my-bucket/a gs://my-bucket/b
  gcsd cp 'gs://my-bucket/logs/*.gz' gs://other-bucket/logs/
  gcsd cp -r gs://my-bucket/site gs://other-bucket/        becomes gs://other-bucket/site/...
  gcsd cp -r gs://my-bucket/site/ gs://other-bucket/new    becomes gs://other-bucket/new/...
  gcsd ls 'gs://my-bucket/*.txt' | gcsd cp --stdin gs://other-bucket/copies/")]
pub(super) struct CpArgs {
    #[command(flatten)]
    copying: Copying,
}

/// Runs the command.
pub(super) async fn run(args: CpArgs) -> Result<(), Failure> {
    args.copying.run(false).await
}
