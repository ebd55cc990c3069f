//! ListBuckets: `GET /storage/v1/b` (proto-spec.md, "ListBuckets").

use super::list_objects::send;
use super::{Answer, Context, Failure, Replier};
use gcsd_wire::Reply;
use gcsd_wire::list_buckets::Args;

pub(super) async fn run(context: &Context, args: &Args, replier: &Replier) -> Result<Answer, Failure> {
    let page = context.gcs.list_buckets(&args.query).await?;
    send(page, replier, Reply::ListBuckets).await
}
