use super::*;

fn of(status: u16, reasons: &[&str], message: &str) -> Meaning {
    let reasons: Vec<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
    meaning(status, &reasons, message).0
}

#[test]
fn a_reason_is_one_in_all_its_spellings() {
    for reason in [
        "rateLimitExceeded",
        "usageLimits.rateLimitExceeded",
        "RateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
    ] {
        assert_eq!(normal(reason), "ratelimitexceeded");
        assert_eq!(of(403, &[reason], "").status, 429, "{reason}");
    }
    assert_eq!(normal(""), "");
}

#[test]
fn rows_are_written_as_they_are_looked_up() {
    for row in TABLE {
        for reason in row.reasons {
            assert_eq!(normal(reason), **reason);
        }
        for message in row.messages {
            assert_eq!(message.to_ascii_lowercase(), **message);
        }
        assert!(!row.reasons.is_empty(), "{}", row.hint);
        assert!(
            row.hint.len() < 256,
            "it leaves room for what GCS says: {}",
            row.hint
        );
    }
}

#[test]
fn no_reason_is_in_two_rows_of_one_status() {
    for (at, row) in TABLE.iter().enumerate() {
        for other in &TABLE[at + 1..] {
            for reason in row.reasons {
                assert!(!other.reasons.contains(reason), "{reason}");
            }
        }
    }
}

#[test]
fn each_cause_has_its_status_and_its_hint() {
    let held = "Object 'b/o' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is \
                removed.";
    let event = "Object 'b/o' is under active Event-Based hold and cannot be deleted, overwritten or archived until hold \
                 is removed.";
    let retained = "Object 'b/o' is subject to bucket's retention policy and cannot be deleted, overwritten or archived \
                    until 2027-01-01T00:00:00-08:00";
    let denied = "a@b.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage \
                  object. Permission 'storage.objects.get' denied on resource (or it may not exist).";
    let payer = "Bucket is a requester pays bucket but no user project provided.";
    let closed = "The billing account for the owning project is disabled in state closed";
    let perimeter =
        "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc-123";
    let kms = "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been \
               authorized to use this key.";
    let policy = "'us-east1' violates constraint 'constraints/gcp.resourceLocations'";
    let scopes = "Request had insufficient authentication scopes.";
    for (status, reasons, message, meant, hint) in [
        (403, &["rateLimitExceeded"][..], "", 429, "too many requests"),
        (403, &["userRateLimitExceeded"], "", 429, "too many requests"),
        (403, &[], "User Rate Limit Exceeded", 429, "too many requests"),
        (429, &["rateLimitExceeded"], "", 429, "too many requests"),
        (403, &["quotaExceeded"], "", 403, "quota"),
        (403, &["dailyLimitExceeded"], "", 403, "quota"),
        (403, &["objectUnderActiveHold"], "", 403, "hold first"),
        (403, &["ObjectUnderActiveHold"], "", 403, "hold first"),
        (403, &["forbidden"], held, 403, "hold first"),
        (403, &["forbidden"], event, 403, "hold first"),
        (403, &["retentionPolicyNotMet"], "", 403, "under retention"),
        (403, &["forbidden"], retained, 403, "under retention"),
        (400, &["badRequestException"], "", 400, "is locked"),
        (400, &["required"], payer, 400, "--user-project"),
        (400, &["UserProjectMissing"], "", 400, "--user-project"),
        (400, &["userProjectInvalid"], "", 400, "look at --user-project"),
        (
            403,
            &["userProjectAccessDenied"],
            "",
            403,
            "serviceusage.services.use",
        ),
        (
            403,
            &["forbidden", "USER_PROJECT_DENIED"],
            denied,
            403,
            "serviceusage.services.use",
        ),
        (403, &["accountDisabled"], "", 403, "billing"),
        (403, &["forbidden"], closed, 403, "billing"),
        (403, &["forbidden", "BILLING_DISABLED"], denied, 403, "billing"),
        (403, &["accessNotConfigured"], "", 403, "gcloud services enable"),
        (
            403,
            &["PERMISSION_DENIED", "SERVICE_DISABLED"],
            denied,
            403,
            "gcloud services enable",
        ),
        (403, &["forbidden"], perimeter, 403, "VPC Service Controls"),
        (
            403,
            &["SECURITY_POLICY_VIOLATED"],
            "",
            403,
            "VPC Service Controls",
        ),
        (
            412,
            &["orgPolicyConstraintFailed"],
            "",
            403,
            "policy of the organization",
        ),
        (
            412,
            &["conditionNotMet"],
            policy,
            403,
            "policy of the organization",
        ),
        (400, &["cloudKmsDisabledKey"], "", 400, "Cloud KMS key"),
        (403, &["forbidden"], kms, 403, "service agent"),
        (
            400,
            &["ResourceIsEncryptedWithCustomerEncryptionKey"],
            "",
            400,
            "--encryption-key-file",
        ),
        (
            403,
            &["insufficientPermissions"],
            scopes,
            403,
            "scope cloud-platform",
        ),
        (403, &["forbidden"], denied, 403, "needs the permission"),
        (
            403,
            &["AccessDenied"],
            "Access denied.",
            403,
            "needs the permission",
        ),
        (403, &[], "", 403, "no reason is given"),
    ] {
        let found = of(status, reasons, message);
        let said = found.hint.unwrap_or_default();
        assert_eq!(found.status, meant, "{status} {reasons:?} {message}: {said}");
        assert!(said.contains(hint), "{status} {reasons:?} {message}: {said}");
        let is_permission = said.contains("needs the permission");
        assert_eq!(is_permission, hint == "needs the permission", "{said}");
    }
}

#[test]
fn what_the_table_does_not_know_stays_as_it_is() {
    for (status, reasons, message) in [
        (
            412,
            &["conditionNotMet"][..],
            "At least one of the pre-conditions you specified did not hold.",
        ),
        (404, &["notFound"], "No such object: b/o"),
        (400, &["invalid"], "Invalid argument."),
        (403, &["forbidden"], "Something new."),
        (403, &["somethingNew"], ""),
        (
            403,
            &["somethingNew", "PERMISSION_DENIED"],
            "The project does not have what it needs.",
        ),
        (409, &["conflict"], ""),
        // What GCS says of its own trouble is not a rate limit.
        (503, &["rateLimitExceeded"], ""),
        (
            404,
            &["notFound"],
            "You do not have access to the object, or it does not exist",
        ),
    ] {
        let found = of(status, reasons, message);
        assert_eq!(found, Meaning { status, hint: None }, "{status} {reasons:?}");
    }
}
