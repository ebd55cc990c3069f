//! Files that are in Cloud Storage already.

use std::path::PathBuf;

use super::blocking::{blocking, open_regular};
use super::exit::{Exit, Failure};
use super::sums::Sums;
use gcsd_client::ReliableRequests;
use gcsd_types::ObjectRef;

/// Why nothing was uploaded.
pub(super) const SAME: &str = "the object has the same bytes (--skip-unchanged)";

/// Whether `object` has the size and the CRC32C of the file at `path`, which is read if the size is the same. What is wrong
/// with the file is for the upload to say.
pub(super) async fn is_unchanged(
    requests: &ReliableRequests,
    object: &ObjectRef,
    path: PathBuf,
) -> Result<bool, Failure> {
    let found = match requests.stat(object).await.map_err(Failure::from) {
        Ok(found) => found.info,
        Err(failure) if failure.exit() == Exit::NotFound => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let Some(crc32c) = found.crc32c else {
        return Ok(false);
    };
    blocking(move || {
        let Ok(file) = open_regular(&path) else {
            return Ok(false);
        };
        if file.metadata().is_ok_and(|metadata| metadata.len() != found.size) {
            return Ok(false);
        }
        let sums = Sums::of(file, false);
        Ok(sums.is_ok_and(|sums| (sums.size, sums.crc32c) == (found.size, Some(crc32c))))
    })
    .await
}
