//! What GCS's own words for an error mean: the one table of them.
//!
//! An HTTP status says little: 403 is a missing permission, an object under retention, a closed billing account and a
//! rate limit. GCS names the reason
//!
//! * in JSON as `error.errors[].reason` with a `domain`
//!   (<https://cloud.google.com/storage/docs/json_api/v1/status-codes>), and as `error.details[].reason` of a
//!   `google.rpc.ErrorInfo` (<https://cloud.google.com/apis/design/errors#error_info>, whose reasons are
//!   <https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto>);
//! * in XML as `<Code>` (<https://cloud.google.com/storage/docs/xml-api/reference-status>);
//! * sometimes in the message only: an object under a hold is `forbidden` in JSON, like a missing permission.
//!
//! The spellings of one reason differ between them by case and underscores, and nothing else.

/// What an error is taken for, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The HTTP status that says what GCS means, which decides the class. Most often it is the one that GCS answered.
    pub(super) status: u16,
    /// What to do, for a person.
    pub(super) hint: Option<&'static str>,
}

/// One line of the table.
struct Row {
    /// The statuses that it is for.
    statuses: &'static [u16],
    /// Reasons, in lower case and without underscores.
    reasons: &'static [&'static str],
    /// Parts of a message that tell as much, in lower case.
    messages: &'static [&'static str],
    /// The status that it means; 0 for the one that GCS answered.
    means: u16,
    hint: &'static str,
}

/// Stands for an error without a reason.
const UNNAMED: &str = "";

/// The first row that fits decides.
const TABLE: &[Row] = &[
    Row {
        statuses: &[403, 429],
        reasons: &[
            "ratelimitexceeded",
            "userratelimitexceeded",
            "ratelimitexceededunreg",
            "userratelimitexceededunreg",
            "concurrentlimitexceeded",
            "variabletermlimitexceeded",
            "servinglimitexceeded",
            "slowdown",
        ],
        messages: &["rate limit exceeded"],
        means: 429,
        hint: "too many requests in a short time: make fewer at once, spread them over more objects, or raise the \
               project's quota",
    },
    Row {
        statuses: &[400, 403, 429],
        reasons: &[
            "quotaexceeded",
            "dailylimitexceeded",
            "dailylimitexceededunreg",
            "resourcequotaexceeded",
        ],
        messages: &[],
        // A 429 without more may be over in a minute; a quota that is used up is not.
        means: 0,
        hint: "a quota of the project is used up: raise it, or wait until it is renewed \
               (https://console.cloud.google.com/iam-admin/quotas)",
    },
    Row {
        statuses: &[400, 403, 409, 412],
        reasons: &["objectunderactivehold"],
        messages: &[
            "active temporary hold",
            "active event-based hold",
            "under active hold",
        ],
        means: 403,
        hint: "the object is held: release its temporary or event-based hold first",
    },
    Row {
        statuses: &[400, 403, 409, 412],
        reasons: &["retentionpolicynotmet", "objectretentionnotmet"],
        messages: &["retention policy and cannot be", "retention period and cannot be"],
        means: 403,
        hint: "the object is under retention: it can be deleted or replaced only when its time is over",
    },
    Row {
        statuses: &[400, 403, 412],
        reasons: &["badrequestexception"],
        messages: &["locked retention policy", "retention policy is locked"],
        means: 0,
        hint: "the bucket's retention policy is locked: its time can be made longer, and nothing else",
    },
    Row {
        statuses: &[400, 401, 403],
        reasons: &["userprojectmissing", "authenticationrequiredrequesterpays"],
        messages: &["requester pays bucket but no user project"],
        means: 0,
        hint: "whoever asks for this bucket's objects pays: name a project of yours with --user-project",
    },
    Row {
        statuses: &[400, 403, 404],
        reasons: &["userprojectinvalid", "userprojectinconsistent"],
        messages: &[],
        means: 0,
        hint: "the project that is to pay is not one that GCS knows: look at --user-project",
    },
    Row {
        statuses: &[403],
        reasons: &["userprojectaccessdenied", "userprojectdenied"],
        messages: &["serviceusage.services.use"],
        means: 0,
        hint: "the account may not have this project pay: give it serviceusage.services.use there, or name another with \
               --user-project",
    },
    Row {
        statuses: &[400, 402, 403],
        reasons: &[
            "accountdisabled",
            "accountproblem",
            "userprojectaccountproblem",
            "billingdisabled",
            "billingnotenabled",
            "consumersuspended",
            "accountstateinvalid",
        ],
        messages: &["billing account for the owning project is disabled"],
        means: 403,
        hint: "the project is suspended or its billing is closed: look at its billing account in the Google Cloud console",
    },
    Row {
        statuses: &[403],
        reasons: &["accessnotconfigured", "servicedisabled", "consumerinvalid"],
        messages: &[],
        means: 0,
        hint: "the Cloud Storage API is not enabled for the credentials' project: gcloud services enable \
               storage.googleapis.com",
    },
    Row {
        statuses: &[400, 403],
        reasons: &["securitypolicyviolated", "vpcservicecontrols", "policyviolated"],
        messages: &["vpcservicecontrolsuniqueidentifier", "vpc service controls"],
        means: 403,
        hint: "a VPC Service Controls perimeter refuses it: its administrator finds the request by the identifier, and no \
               permission helps",
    },
    Row {
        statuses: &[400, 403, 412],
        reasons: &[
            "orgpolicyconstraintfailed",
            "orgpolicyviolated",
            "orgrestrictionviolation",
            "orgrestrictionheaderinvalid",
            "locationpolicyviolated",
        ],
        messages: &["'constraints/", "constraint constraints/", "organization policy"],
        // Not a precondition of the request: looking for a changed object would lead nowhere.
        means: 403,
        hint: "a policy of the organization forbids it: its administrator can tell which values it allows",
    },
    Row {
        statuses: &[400, 403],
        reasons: &[
            "cloudkmsbadkey",
            "cloudkmscannotchangekeyname",
            "cloudkmsdecryptionkeynotfound",
            "cloudkmsdisabledkey",
            "cloudkmsencryptionkeynotfound",
            "cloudkmskeylocationnotallowed",
            "kmskeyinvalid",
        ],
        messages: &["cloud kms key", "cloudkms.cryptokey"],
        means: 0,
        hint: "the Cloud KMS key cannot be used: it must be enabled, lie where the bucket lies, and be open to the \
               project's Cloud Storage service agent (roles/cloudkms.cryptoKeyEncrypterDecrypter)",
    },
    Row {
        statuses: &[400, 403],
        reasons: &[
            "resourceisencryptedwithcustomerencryptionkey",
            "customerencryptionkeyisincorrect",
        ],
        messages: &[],
        means: 0,
        hint: "the object is encrypted with a key of its own: name that key's file with --encryption-key-file",
    },
    Row {
        statuses: &[400],
        reasons: &["resourcenotencryptedwithcustomerencryptionkey"],
        messages: &[],
        means: 0,
        hint: "the object is not encrypted with a key of its own: go without --encryption-key-file",
    },
    Row {
        statuses: &[401, 403],
        reasons: &["accesstokenscopeinsufficient", "insufficientscopes"],
        messages: &["insufficient authentication scopes", "insufficient oauth2 scope"],
        means: 403,
        hint: "the access token lacks the scope: give the machine or the login the scope cloud-platform or \
               devstorage.read_write",
    },
    Row {
        statuses: &[403],
        reasons: &["countryblocked", "sslrequired", "forbiddenbycountry"],
        messages: &[],
        means: 0,
        hint: "Google refuses requests of this kind from here, whoever makes them",
    },
    Row {
        statuses: &[403],
        reasons: &[
            "accessdenied",
            "insufficientpermission",
            "insufficientpermissions",
            "iampermissiondenied",
        ],
        // `forbidden` and PERMISSION_DENIED alone say no more than 403 does.
        messages: &[
            "does not have storage.",
            "permission '",
            "permission to",
            "access denied",
        ],
        means: 0,
        hint: "the account of the credentials needs the permission for this",
    },
    Row {
        statuses: &[403],
        reasons: &[UNNAMED],
        messages: &[],
        means: 0,
        hint: "no reason is given: it can be a missing permission, or a proxy on the way to GCS",
    },
];

/// What an error with this status means. `reasons` are GCS's words for it, if it has any.
///
/// Also says which of them it was.
pub(super) fn meaning(status: u16, reasons: &[String], message: &str) -> (Meaning, Option<usize>) {
    let mut named: Vec<String> = reasons.iter().map(|reason| normal(reason)).collect();
    if named.is_empty() {
        named.push(UNNAMED.to_owned());
    }
    let message = message.to_ascii_lowercase();
    let found = TABLE
        .iter()
        .filter(|row| row.statuses.contains(&status))
        .find_map(|row| {
            let by_name = named.iter().position(|name| row.reasons.contains(&name.as_str()));
            let fits = by_name.is_some() || row.messages.iter().any(|part| message.contains(part));
            fits.then_some((row, by_name))
        });
    match found {
        Some((row, by_name)) => {
            let meaning = Meaning {
                status: if row.means == 0 { status } else { row.means },
                hint: Some(row.hint),
            };
            (meaning, by_name)
        }
        None => (Meaning { status, hint: None }, None),
    }
}

/// `rateLimitExceeded`, `usageLimits.rateLimitExceeded`, `RateLimitExceeded` and `RATE_LIMIT_EXCEEDED` are one.
fn normal(reason: &str) -> String {
    let name = reason.rsplit('.').next().unwrap_or_default();
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
