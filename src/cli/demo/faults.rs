//! What goes wrong in the demo.

use crate::cli::exit::{Failure, failed};
use devgcs;

/// What goes wrong, and where.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Faults {
    /// The connections from the client to the daemon.
    pub(super) client: gcsd_fault::Plan,
    /// The connections from the daemon to Cloud Storage.
    pub(super) daemon: gcsd_fault::Plan,
    /// Cloud Storage.
    pub(super) gcs: devgcs::faults::Plan,
}

impl Faults {
    /// What `seed` makes of an upload of `size` bytes: a handful of everything, and in the end it works.
    ///
    /// Bytes are damaged in the object's own bytes only. A damaged length is found out by waiting for bytes that never
    /// come, and the demo has no time; in HTTP what names the object has no checksum.
    pub(super) fn of(seed: u64, size: u64) -> Result<Self, Failure> {
        let mib = size.div_ceil(1 << 20).max(1);
        // About three in all, as long as each is rare.
        let thrice = (3.0 / u32::try_from(mib).map_or(f64::MAX, f64::from)).min(0.3);
        let flip = match size / 4 {
            quarter @ 1_048_576.. => format!("flip write 64KiB..{quarter} on 0 p 0.5; "),
            _ => String::new(),
        };
        let client = format!(
            "seed {seed}; {flip}reset in write {thrice}/MiB on 0..6; close in read 0..300 on 1..6 p 0.3; \
             refuse on 1..6 p 0.3; stall write 64KiB for 100ms on 0..6 p 0.3"
        );
        let daemon = format!(
            "seed {}; reset in write {thrice}/MiB on 0..6; close in read 0..200 on 1..8 p 0.2; refuse on 1..8 p 0.2; \
             stall read 0 for 100ms on 0..6 p 0.3",
            seed.wrapping_add(1)
        );
        let gcs = format!(
            "seed {}; return-503 on start call 0 p 0.5; close-connection-after-all on last call 0 p 0.6; \
             return-503-after-some on write call 0..6 p 0.3; persist-some on write call 0..6 p 0.2; \
             hide-some+return-503-after-some on write call 0..6 p 0.3; return-503 on query call 0..6 p 0.3; \
             return-503 on read call 0 p 0.3",
            seed.wrapping_add(2)
        );
        Ok(Self {
            client: client.parse().map_err(failed)?,
            daemon: daemon.parse().map_err(failed)?,
            gcs: gcs.parse().map_err(failed)?,
        })
    }

    /// What somebody asks for: for the connections at both places, and for Cloud Storage. A plan without a seed takes
    /// `seed`.
    pub(super) fn asked(
        seed: u64,
        connections: Option<&gcsd_fault::Plan>,
        gcs: Option<&devgcs::faults::Plan>,
    ) -> Self {
        let mut faults = Self {
            client: connections.cloned().unwrap_or_default(),
            daemon: connections.cloned().unwrap_or_default(),
            gcs: gcs.cloned().unwrap_or_default(),
        };
        for plan in [&mut faults.client, &mut faults.daemon] {
            if plan.seed == 0 && !plan.rules.is_empty() {
                plan.seed = seed;
            }
        }
        if faults.gcs.seed == 0 && !faults.gcs.rules.is_empty() {
            faults.gcs.seed = seed;
        }
        faults
    }

    /// Whether anything can go wrong.
    pub(super) fn any(&self) -> bool {
        !self.client.rules.is_empty() || !self.daemon.rules.is_empty() || !self.gcs.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_and_size_has_a_plan() {
        for seed in [0, 1, 4743, u64::MAX] {
            for size in [0, 1, 4 << 20, 256 << 20, 5 << 40, u64::MAX] {
                let faults = Faults::of(seed, size).expect("a plan");
                assert!(faults.any());
                assert_eq!(faults, Faults::of(seed, size).expect("the same plan"));
            }
        }
        assert!(!Faults::default().any());
        let plan: gcsd_fault::Plan = "refuse on 0".parse().expect("a plan");
        let faults = Faults::asked(7, Some(&plan), None);
        assert_eq!((faults.client.seed, faults.daemon.seed), (7, 7));
        assert_eq!(faults.gcs, devgcs::faults::Plan::default());
    }
}
