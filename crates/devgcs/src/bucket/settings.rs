//! The settings of a bucket: which it has, how requests change them, and what they mean
//! (<https://cloud.google.com/storage/docs/json_api/v1/buckets#resource>).

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::acl;
use crate::digits::digits;
use crate::error::Error;
use crate::resource::BucketRecord;
use crate::time::Time;

/// Settings that are kept as they come, and shown.
const KEPT: &[&str] = &[
    "autoclass",
    "billing",
    "cors",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "encryption",
    "hierarchicalNamespace",
    "iamConfiguration",
    "ipFilter",
    "lifecycle",
    "logging",
    "objectRetention",
    "retentionPolicy",
    "rpo",
    "softDeletePolicy",
    "website",
];

/// Those that a bucket has from its creation or never.
const FIXED: &[&str] = &[
    "customPlacementConfig",
    "hierarchicalNamespace",
    "objectRetention",
];

const DAY: i64 = 24 * 3600 * 1_000_000;

/// Changes the settings that `resource` names: what it names as null is removed, objects are merged.
pub(crate) fn merge(
    record: &mut BucketRecord,
    resource: &Map<String, Value>,
    now: Time,
) -> Result<(), Error> {
    let changes = resource.iter().filter(|(key, _)| !FIXED.contains(&key.as_str()));
    apply(record, changes, now)
}

/// The settings of a new bucket.
pub(crate) fn create(
    record: &mut BucketRecord,
    resource: &Map<String, Value>,
    now: Time,
) -> Result<(), Error> {
    apply(record, resource.iter(), now)
}

/// Replaces all settings: what `resource` does not name is as in a new bucket.
pub(crate) fn replace(
    record: &mut BucketRecord,
    resource: &Map<String, Value>,
    now: Time,
) -> Result<(), Error> {
    let old = record.clone();
    record.shown.retain(|key, _| FIXED.contains(&key.as_str()));
    record.versioning = false;
    record.labels.clear();
    // The lock of a policy outlives every change, and so do times that count from an earlier one.
    for key in [
        "retentionPolicy",
        "softDeletePolicy",
        "iamConfiguration",
        "autoclass",
    ] {
        if let (Some(value), Some(new)) = (old.shown.get(key), resource.get(key))
            && !new.is_null()
        {
            record.shown.insert(key.to_owned(), value.clone());
        }
    }
    if old.retention_is_locked() && !resource.contains_key("retentionPolicy") {
        return Err(locked());
    }
    merge(record, resource, now)
}

fn apply<'a>(
    record: &mut BucketRecord,
    changes: impl Iterator<Item = (&'a String, &'a Value)>,
    now: Time,
) -> Result<(), Error> {
    for (key, value) in changes {
        match (key.as_str(), value) {
            ("storageClass", Value::String(class)) => record.storage_class = class.to_uppercase(),
            ("versioning", Value::Null) => record.versioning = false,
            ("versioning", value) => {
                let enabled = value.get("enabled").and_then(Value::as_bool);
                record.versioning = enabled.ok_or_else(|| wrong(key))?;
            }
            ("labels", Value::Null) => record.labels.clear(),
            ("labels", Value::Object(labels)) => {
                for (label, value) in labels {
                    match value {
                        Value::Null => drop(record.labels.remove(label)),
                        Value::String(text) => drop(record.labels.insert(label.clone(), text.clone())),
                        _ => return Err(wrong(key)),
                    }
                }
            }
            ("storageClass" | "labels", _) => return Err(wrong(key)),
            // With null a client says that another list is named beside.
            ("acl" | "defaultObjectAcl", Value::Null) => {}
            ("acl" | "defaultObjectAcl", _) if record.is_uniform() => {
                acl::refuse_uniform(true, "use ACL API to update bucket policy")?;
            }
            ("acl", value) => record.acl = Some(acl::parse(key, value, true)?),
            ("defaultObjectAcl", value) => record.default_acl = Some(acl::parse(key, value, false)?),
            (setting, value) if KEPT.contains(&setting) => set(record, setting, value, now)?,
            // Fields that GCS sets itself are ignored.
            _ => {}
        }
    }
    let public = record.acl.iter().chain(&record.default_acl).flatten();
    let public: Vec<acl::Grant> = public.filter(|grant| grant.is_public()).cloned().collect();
    acl::refuse_public(&public, record.prevents_public_access())
}

fn set(record: &mut BucketRecord, key: &str, value: &Value, now: Time) -> Result<(), Error> {
    let before = record.shown.get(key).cloned();
    if value.is_null() {
        if key == "retentionPolicy" && record.retention_is_locked() {
            return Err(locked());
        }
        record.shown.remove(key);
        return Ok(());
    }
    let mut after = before.clone().unwrap_or(Value::Null);
    merge_patch(&mut after, value);
    match key {
        "retentionPolicy" => retention(&before, &mut after, now)?,
        "softDeletePolicy" => soft_delete(&before, &mut after, now)?,
        "iamConfiguration" => access(&before, &mut after, now)?,
        "autoclass" => autoclass(&before, &mut after, now),
        "encryption" => enforcement(&before, &mut after, now),
        _ => {}
    }
    record.shown.insert(key.to_owned(), after);
    Ok(())
}

/// RFC 7396.
fn merge_patch(old: &mut Value, new: &Value) {
    let Value::Object(changes) = new else {
        *old = new.clone();
        return;
    };
    if !old.is_object() {
        *old = json!({});
    }
    if let Value::Object(fields) = old {
        for (key, value) in changes {
            if value.is_null() {
                fields.remove(key);
            } else {
                merge_patch(fields.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
    }
}

fn retention(before: &Option<Value>, after: &mut Value, now: Time) -> Result<(), Error> {
    const LONGEST: u64 = 3_155_760_000;
    let seconds = seconds(&after["retentionPeriod"]).filter(|seconds| (1..=LONGEST).contains(seconds));
    let seconds = seconds.ok_or_else(|| wrong("retentionPolicy.retentionPeriod"))?;
    let old = before
        .as_ref()
        .map_or(&Value::Null, |old| &old["retentionPeriod"]);
    let old = self::seconds(old);
    let is_locked = before.as_ref().is_some_and(|old| old["isLocked"] == true);
    if is_locked && old.is_some_and(|old| seconds < old) {
        return Err(locked());
    }
    after["retentionPeriod"] = seconds.to_string().into();
    if old != Some(seconds) {
        after["effectiveTime"] = now.rfc3339().into();
    }
    // Only lockRetentionPolicy locks.
    match is_locked {
        true => after["isLocked"] = true.into(),
        false => drop(after.as_object_mut().and_then(|fields| fields.remove("isLocked"))),
    }
    Ok(())
}

fn soft_delete(before: &Option<Value>, after: &mut Value, now: Time) -> Result<(), Error> {
    const ALLOWED: std::ops::RangeInclusive<u64> = 604_800..=7_776_000;
    let seconds = seconds(&after["retentionDurationSeconds"]);
    let seconds = seconds.filter(|seconds| *seconds == 0 || ALLOWED.contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        Error::invalid("softDeletePolicy.retentionDurationSeconds is 0, or from 7 to 90 days.")
    })?;
    after["retentionDurationSeconds"] = seconds.to_string().into();
    if before.as_ref().map(|old| &old["retentionDurationSeconds"]) != Some(&after["retentionDurationSeconds"])
    {
        after["effectiveTime"] = now.rfc3339().into();
    }
    Ok(())
}

/// `bucketPolicyOnly` is the old name of `uniformBucketLevelAccess`; both are shown.
fn access(before: &Option<Value>, after: &mut Value, now: Time) -> Result<(), Error> {
    let enabled = |value: &Value, key: &str| value[key]["enabled"].as_bool();
    let (old, new) = ("bucketPolicyOnly", "uniformBucketLevelAccess");
    let was = before
        .as_ref()
        .and_then(|before| enabled(before, new))
        .unwrap_or(false);
    // Whichever of the two names changes counts.
    let is = match (enabled(after, new), enabled(after, old)) {
        (Some(new), Some(old)) if new == was => old,
        (Some(new), _) => new,
        (None, old) => old.unwrap_or(was),
    };
    let until = before.as_ref().and_then(|before| before[new].get("lockedTime"));
    let until = until.filter(|_| was).cloned();
    let state = match is {
        false => json!({ "enabled": false }),
        true => {
            let until = until.unwrap_or_else(|| now.plus(90 * DAY).rfc3339().into());
            json!({ "enabled": true, "lockedTime": until })
        }
    };
    (after[new], after[old]) = (state.clone(), state);
    match after.get("publicAccessPrevention").and_then(Value::as_str) {
        Some("enforced" | "inherited") => {}
        // Its old name.
        None | Some("unspecified") => after["publicAccessPrevention"] = "inherited".into(),
        Some(_) => return Err(wrong("iamConfiguration.publicAccessPrevention")),
    }
    Ok(())
}

fn autoclass(before: &Option<Value>, after: &mut Value, now: Time) {
    let enabled = |value: &Value| value["enabled"].as_bool().unwrap_or(false);
    if before
        .as_ref()
        .is_none_or(|before| enabled(before) != enabled(after))
    {
        after["toggleTime"] = now.rfc3339().into();
    }
    if enabled(after) {
        let old = before
            .as_ref()
            .map(|before| before["terminalStorageClass"].clone());
        if after["terminalStorageClass"].is_null() {
            after["terminalStorageClass"] = "NEARLINE".into();
        }
        if old.as_ref() != Some(&after["terminalStorageClass"]) {
            after["terminalStorageClassUpdateTime"] = now.rfc3339().into();
        }
    }
}

/// Which kinds of encryption are allowed, and since when.
fn enforcement(before: &Option<Value>, after: &mut Value, now: Time) {
    for kind in [
        "customerManagedEncryptionEnforcementConfig",
        "customerSuppliedEncryptionEnforcementConfig",
        "googleManagedEncryptionEnforcementConfig",
    ] {
        let mode = |value: &Value| value[kind]["restrictionMode"].clone();
        let old = before.as_ref().map_or(Value::Null, mode);
        if mode(after) == "FullyRestricted" {
            if old != mode(after) {
                after[kind]["effectiveTime"] = now.rfc3339().into();
            }
        } else if let Some(fields) = after[kind].as_object_mut() {
            fields.remove("effectiveTime");
        }
    }
}

/// Seconds, as text or as a number.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => digits(text),
        other => other.as_u64(),
    }
}

fn wrong(key: &str) -> Error {
    Error::invalid(format!("Invalid value for {key}."))
}

fn locked() -> Error {
    Error::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "Cannot reduce the duration of a locked Retention Policy, or remove it.",
    )
}

impl BucketRecord {
    /// Whether access control lists count for nothing.
    pub(crate) fn is_uniform(&self) -> bool {
        self.setting("iamConfiguration")["uniformBucketLevelAccess"]["enabled"] == true
    }

    /// Whether nobody outside may be let in.
    pub(crate) fn prevents_public_access(&self) -> bool {
        self.setting("iamConfiguration")["publicAccessPrevention"] == "enforced"
    }

    /// Whether it has folders.
    pub(crate) fn is_hierarchical(&self) -> bool {
        self.setting("hierarchicalNamespace")["enabled"] == true
    }

    /// Whether new objects are held until the hold is released.
    pub(crate) fn holds_new_objects(&self) -> bool {
        *self.setting("defaultEventBasedHold") == true
    }

    /// Whether objects can have a retention of their own.
    pub(crate) fn has_object_retention(&self) -> bool {
        self.setting("objectRetention")["mode"] == "Enabled"
    }

    /// How long deleted objects can be restored, in microseconds.
    pub(crate) fn soft_delete(&self) -> Option<i64> {
        let seconds = seconds(&self.setting("softDeletePolicy")["retentionDurationSeconds"])?;
        i64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)?
            .checked_mul(1_000_000)
    }

    /// How long objects are kept at least, in microseconds.
    pub(crate) fn retention(&self) -> Option<i64> {
        let seconds = seconds(&self.setting("retentionPolicy")["retentionPeriod"])?;
        i64::try_from(seconds).ok()?.checked_mul(1_000_000)
    }

    fn retention_is_locked(&self) -> bool {
        self.setting("retentionPolicy")["isLocked"] == true
    }

    /// Locks the retention policy.
    pub(crate) fn lock_retention(&mut self) -> Result<(), Error> {
        let policy = self.shown.get_mut("retentionPolicy");
        let policy = policy.ok_or_else(|| Error::invalid("Bucket doesn't have a Retention Policy."))?;
        policy["isLocked"] = true.into();
        Ok(())
    }

    /// `region`, `dual-region` or `multi-region`.
    pub(crate) fn location_type(&self) -> &'static str {
        let has_digit = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
        match self.location.as_str() {
            _ if self.shown.contains_key("customPlacementConfig") => "dual-region",
            "US" | "EU" | "ASIA" => "multi-region",
            short if !short.contains('-') && has_digit(short) => "dual-region",
            _ => "region",
        }
    }

    fn setting(&self, key: &str) -> &Value {
        self.shown.get(key).unwrap_or(&Value::Null)
    }
}
