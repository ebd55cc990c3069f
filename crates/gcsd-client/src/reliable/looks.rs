//! Looks at what is where an upload makes its object, before anything is said of it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::sight::Whose;
use super::super::{Error, OpenUpload, Seen, Sight, StoredObject};
use super::engine::{Engine, until};
use super::error::UploadError;
use super::given_up::GivenUp;
use super::plan::View;
use super::recovery::Reaction;
use super::retry::{Repeatable, Retrier};
use super::supply::Supply;

impl<U: OpenUpload, S: Supply> Engine<U, S> {
    /// Looks whether the object was made, in the time that is `left`. Returns what to do if not.
    pub(super) async fn look(
        &mut self,
        left: Duration,
        view: &View,
    ) -> Result<Option<(Error, Reaction)>, UploadError> {
        let Some(error) = self.doubt.clone() else {
            return Ok(None);
        };
        let crc32c = self.whole().await?;
        self.supply.check()?;
        let reports = &self.reports;
        let retrier = Retrier::new(&self.policy, left, |error: &Error| {
            reports.send_modify(|report| report.count_request(error));
        })
        .at_once();
        let whose = match until(&self.stop, retrier.run(Looking(&mut self.open))).await? {
            Ok(sight) => sight.whose(Some((view.end, crc32c))),
            Err(given_up) => Whose::Unknown(Seen::Unseen(given_up.error().clone())),
        };
        if let Whose::Ours(object) = &whose {
            let resource = Some(object.json.clone());
            self.reports.send_modify(|report| {
                report.count(&error, Reaction::Look);
                report.resource = resource;
            });
        }
        let reaction = self.recovery.looked(whose, &error, view)?;
        Ok(reaction.map(|reaction| (error, reaction)))
    }

    /// The budget is spent. Where the answer to the object's end was lost, what is there decides whether that is a failure.
    pub(super) async fn last_look(&mut self, given_up: GivenUp) -> Result<(), UploadError> {
        let view = self.supply.view();
        if !(view.ended && self.recovery.is_end_unsure()) {
            return Err(given_up.into());
        }
        let crc32c = self.whole().await?;
        self.supply.check()?;
        // What it takes, an abort does not have any more.
        let (grace, began) = (self.policy.abort_budget, Instant::now());
        let retrier = Retrier::new(&self.policy, grace.min(self.policy.budget), |_: &Error| {}).at_once();
        let looked = timeout(grace, retrier.run(Looking(&mut self.open)));
        let looked = until(&self.stop, looked).await?;
        self.policy.abort_budget = grace.saturating_sub(began.elapsed());
        let whose = match looked {
            Ok(Ok(sight)) => sight.whose(Some((view.end, crc32c))),
            Ok(Err(unseen)) => Whose::Unknown(Seen::Unseen(unseen.error().clone())),
            Err(_) => Whose::Unknown(Seen::Unseen(Error::LATE)),
        };
        match whose {
            Whose::Ours(StoredObject { info, json }) => {
                self.reports.send_modify(|report| report.resource = Some(json));
                self.recovery.found(info);
                Ok(())
            }
            Whose::NotMade => Err(given_up.into()),
            Whose::Unknown(seen) => {
                let (error, seen) = (given_up.error().clone(), Box::new(seen));
                Err(UploadError::Unknown { error, seen })
            }
        }
    }
}

/// A look at what is where the object is made.
pub(super) struct Looking<'a, U>(pub(super) &'a mut U);

impl<U: OpenUpload> Repeatable for Looking<'_, U> {
    type Answer = Sight;

    async fn attempt(&mut self) -> Result<Sight, Error> {
        self.0.look().await
    }
}
