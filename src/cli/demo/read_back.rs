//! The demo's other half: reading the object back, whatever goes wrong.

use std::time::Duration;

use crate::cli::exit::{Exit, Failure};
use gcsd_client::{Daemons, Error};
use gcsd_types::{Crc32c, ObjectInfo};
use gcsd_wire::object::ObjectRef;
use gcsd_wire::read_at::{self, Range};
use gcsd_wire::{Retry, stat_object};

/// How often it is tried again.
const TRIES: u32 = 100;

/// How long it waits before that.
const PAUSE: Duration = Duration::from_millis(20);

/// What has come of the object.
#[derive(Debug, Default)]
struct Came {
    stat: Option<ObjectInfo>,
    bytes: u64,
    crc32c: Crc32c,
}

/// Reads `of`, which must be `uploaded`. Returns the checksum of what came, and how many failures were recovered from.
pub(super) async fn read_back(
    daemons: &mut Daemons,
    of: &ObjectRef,
    uploaded: &ObjectInfo,
) -> Result<(Crc32c, u32), Failure> {
    let mut came = Came::default();
    let mut failures = 0;
    while let Err(error) = read_on(daemons, of, uploaded.size, &mut came).await {
        if error.retry() == Retry::Never || failures == TRIES {
            return Err(error.into());
        }
        if matches!(error, Error::Damaged { .. }) {
            // Nobody knows which of the bytes it was.
            came = Came::default();
        }
        failures += 1;
        tokio::time::sleep(PAUSE).await;
    }
    let differs = |what: &str| Err(Failure::new(Exit::Differs, "damaged", what));
    match came.stat {
        Some(stored) if (stored.size, stored.crc32c) != (uploaded.size, uploaded.crc32c) => {
            differs("what is stored is not what was sent")
        }
        _ if came.bytes != uploaded.size => differs("other bytes came back than were sent"),
        _ => Ok((came.crc32c, failures)),
    }
}

/// Goes on from what has come, to the end.
async fn read_on(daemons: &mut Daemons, of: &ObjectRef, size: u64, came: &mut Came) -> Result<(), Error> {
    let connection = daemons.connect().await?;
    if came.stat.is_none() {
        let asked = stat_object::Args { of: of.clone() };
        came.stat = Some(connection.stat_object(&asked).await?.args.object);
    }
    if came.bytes == size {
        return Ok(());
    }
    let request = read_at::Args {
        of: of.clone(),
        range: Range::From(came.bytes),
        decompress: false,
    };
    let mut reader = connection.read_at(&request).await?;
    while let Some(piece) = reader.next().await? {
        came.bytes += piece.len() as u64;
        came.crc32c = came.crc32c.append(&piece);
    }
    Ok(())
}
