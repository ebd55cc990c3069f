//! The demo's other half: reading the object back, whatever goes wrong.

use crate::cli::exit::{Exit, Failure};
use gcsd_client::{Daemons, ReadError, ReadRequest, ReliableReader, ReliableRequests, Report, RetryPolicy};
use gcsd_types::{Crc32c, ObjectInfo, ObjectRef};
use tokio::sync::watch;

/// How often bytes that were damaged on the way are read again.
const READ_AGAIN: u64 = 100;

/// Reads `of`, which must be `uploaded`. Returns the checksum of its bytes, and what was recovered from.
pub(super) async fn read_back(
    daemons: &Daemons,
    of: &ObjectRef,
    uploaded: &ObjectInfo,
    retries: &RetryPolicy,
) -> Result<(Crc32c, Report), Failure> {
    let reports = watch::Sender::default();
    let requests = ReliableRequests::new(daemons.clone(), retries.clone()).reporting(reports.clone());
    let stored = requests.stat(of).await?.info;
    if (stored.size, stored.crc32c) != (uploaded.size, uploaded.crc32c) {
        return Err(differs("what is stored is not what was sent"));
    }
    let mut restarts = 0;
    let (size, crc32c) = loop {
        match read(daemons, of, retries, &reports).await {
            Ok(read) => break read,
            Err(ReadError::Damaged { .. }) if restarts < READ_AGAIN => {
                restarts += 1;
                reports.send_modify(|report| {
                    report.restarts = restarts;
                    report.failures.insert("damaged", restarts);
                });
            }
            Err(error) => return Err(error.into()),
        }
    };
    if size != uploaded.size {
        return Err(differs("other bytes came back than were sent"));
    }
    let report = reports.borrow().clone();
    Ok((crc32c, report))
}

/// Reads the object once. Returns its size and its checksum.
async fn read(
    daemons: &Daemons,
    of: &ObjectRef,
    retries: &RetryPolicy,
    reports: &watch::Sender<Report>,
) -> Result<(u64, Crc32c), ReadError> {
    let request = ReadRequest::new(of.clone());
    let mut reader = ReliableReader::new(daemons.clone(), request, retries).reporting(reports.clone());
    while reader.next().await?.is_some() {}
    Ok((reader.received(), reader.crc32c()))
}

fn differs(what: &str) -> Failure {
    Failure::new(Exit::Differs, "damaged", what)
}
