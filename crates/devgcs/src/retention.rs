//! How long objects must be kept: the bucket's retention policy, and an object's own
//! (<https://cloud.google.com/storage/docs/bucket-lock>, <https://cloud.google.com/storage/docs/object-lock>).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Error;
use super::metadata::Metadata;
use super::resource::{BucketRecord, Object};
use super::time::Time;

/// An object's own retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retention {
    /// `Locked` or `Unlocked`.
    mode: String,
    retain_until_time: String,
}

impl Retention {
    /// Reads the field of a resource; null removes it.
    pub(crate) fn parse(value: &Value) -> Result<Option<Self>, Error> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        match (value, text("mode"), text("retainUntilTime")) {
            (Value::Null, ..) => Ok(None),
            (Value::Object(fields), None, None) if fields.values().all(Value::is_null) => Ok(None),
            (_, Some(mode), Some(retain_until_time))
                if matches!(mode.as_str(), "Locked" | "Unlocked")
                    && Time::parse(&retain_until_time).is_some() =>
            {
                Ok(Some(Self {
                    mode,
                    retain_until_time,
                }))
            }
            _ => Err(Error::invalid(
                "The retention of an object has a mode, Locked or Unlocked, and a retainUntilTime in RFC 3339.",
            )),
        }
    }

    fn until(&self) -> Option<Time> {
        Time::parse(&self.retain_until_time)
    }

    fn is_locked(&self) -> bool {
        self.mode == "Locked"
    }
}

/// Refuses a retention where the bucket has none, or one that has passed.
pub(crate) fn admit(bucket: &BucketRecord, metadata: &Metadata, now: Time) -> Result<(), Error> {
    let Some(retention) = &metadata.retention else {
        return Ok(());
    };
    if !bucket.has_object_retention() {
        return Err(Error::invalid(
            "Object Retention cannot be set on an object in a bucket that does not have it enabled.",
        ));
    }
    if retention.until().is_none_or(|until| until <= now) {
        return Err(Error::invalid(
            "The retainUntilTime of an object must be in the future.",
        ));
    }
    Ok(())
}

/// Refuses to shorten or remove a retention that is locked, or not said to be overridden.
pub(crate) fn refuse_change(
    old: Option<&Retention>,
    new: Option<&Retention>,
    overrides: bool,
    now: Time,
) -> Result<(), Error> {
    let Some(old) = old.filter(|old| old.until().is_some_and(|until| until > now)) else {
        return Ok(());
    };
    let keeps = new.is_some_and(|new| new.until() >= old.until() && (new.is_locked() || !old.is_locked()));
    if keeps || (overrides && !old.is_locked()) {
        return Ok(());
    }
    Err(refused(match old.is_locked() {
        true => "The retention of the object is locked, and cannot be shortened or removed.".to_owned(),
        false => "The retention of the object can only be shortened or removed with overrideUnlockedRetention=true.".to_owned(),
    }))
}

/// Until when `object` must be kept by its bucket's policy.
pub(crate) fn expiration(bucket: &BucketRecord, object: &Object) -> Option<Time> {
    // While an event-based hold lasts, the period has not begun.
    let held = object.metadata.event_based_hold == Some(true);
    let period = bucket.retention().filter(|_| !held)?;
    Some(object.created.plus(period))
}

/// Refuses to remove an object that must be kept.
pub(crate) fn refuse(bucket: &BucketRecord, object: &Object, now: Time) -> Result<(), Error> {
    let own = object.metadata.retention.as_ref().and_then(Retention::until);
    let (bucket_name, name) = (&object.bucket, &object.name);
    if let Some(until) = own.filter(|until| *until > now) {
        return Err(refused(format!(
            "Object '{bucket_name}/{name}' is subject to an object retention and cannot be deleted or overwritten until {}",
            until.rfc3339()
        )));
    }
    match expiration(bucket, object).filter(|until| *until > now) {
        None => Ok(()),
        Some(until) => Err(refused(format!(
            "Object '{bucket_name}/{name}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until {}",
            until.rfc3339()
        ))),
    }
}

fn refused(message: String) -> Error {
    Error::new(StatusCode::FORBIDDEN, "retentionPolicyNotMet", message)
}
