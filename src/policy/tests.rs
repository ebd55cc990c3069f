//! The rules, apart from any connection.

use std::collections::BTreeSet;

use gcsd_types::{
    BucketQuery, BucketRef, ComposeSource, Destination, MultipartRef, ObjectQuery, ObjectRef, Preconditions,
    Rewrite,
};
use gcsd_wire::args::Empty;
use gcsd_wire::read_at::Range;
use gcsd_wire::{Opcode, Request};
use serde_json::json;

use super::*;

fn policy(table: serde_json::Value) -> Result<Policy, PolicyError> {
    Policy::new(serde_json::from_value(table).expect("the form of a policy"))
}

/// A policy of one rule, for anybody.
fn rule(allow: serde_json::Value) -> Arc<Rule> {
    let policy = policy(json!({"rule": [{"name": "it", "anybody": true, "allow": allow}]}));
    let policy = policy.expect("a policy");
    policy.rule("it").expect("the rule").clone()
}

fn object(name: &str) -> ObjectRef {
    ObjectRef::new("bucket".parse().expect("a name"), name.parse().expect("a name"))
}

fn to(name: &str) -> Destination {
    Destination::new("bucket".parse().expect("a name"), name.parse().expect("a name"))
}

fn parts(name: &str) -> MultipartRef {
    MultipartRef {
        bucket: "bucket".parse().expect("a name"),
        object: name.parse().expect("a name"),
        multipart_id: "id".into(),
        user_project: None,
        key: None,
    }
}

/// A request of each kind, on `source` and `target`.
fn request(opcode: Opcode, source: &str, target: &str) -> Request {
    let bucket = || "bucket".parse().expect("a name");
    match opcode {
        Opcode::Hello => Request::Hello(gcsd_wire::hello::Args::default()),
        Opcode::Ping => Request::Ping(gcsd_wire::ping::Args::default()),
        Opcode::Cancel => Request::Cancel(gcsd_wire::cancel::Args { target: 1 }),
        Opcode::StartUpload => Request::StartUpload(to(target).into()),
        Opcode::WriteAt => Request::WriteAt(gcsd_wire::write_at::Args::default()),
        Opcode::QueryUpload => Request::QueryUpload(Empty),
        Opcode::FinishUpload => Request::FinishUpload(gcsd_wire::finish_upload::Args {
            total: 0,
            object_crc32c: None,
        }),
        Opcode::CancelUpload => Request::CancelUpload(Empty),
        Opcode::AttachUpload => Request::AttachUpload(gcsd_wire::attach_upload::Args {
            token: "t".into(),
            key: None,
        }),
        Opcode::DetachUpload => Request::DetachUpload(Empty),
        Opcode::PutObject => Request::PutObject(gcsd_wire::put_object::Args {
            destination: to(target),
            body_crc32c: None,
        }),
        Opcode::ReadAt => Request::ReadAt(gcsd_wire::read_at::Args {
            of: object(source),
            range: Range::From(0),
            decompress: false,
        }),
        Opcode::StatObject => Request::StatObject(gcsd_wire::stat_object::Args { of: object(source) }),
        Opcode::ListObjects => Request::ListObjects(gcsd_wire::list_objects::Args {
            query: ObjectQuery {
                prefix: Some(source.to_owned()),
                ..ObjectQuery::new(bucket())
            },
        }),
        Opcode::DeleteObject => Request::DeleteObject(gcsd_wire::delete_object::Args { of: object(source) }),
        Opcode::ComposeObjects => Request::ComposeObjects(gcsd_wire::compose_objects::Args {
            destination: to(target),
            sources: vec![
                ComposeSource::new("in/other".parse().expect("a name")),
                ComposeSource::new(source.parse().expect("a name")),
            ],
        }),
        Opcode::RewriteObject => Request::RewriteObject(gcsd_wire::rewrite_object::Args {
            rewrite: Box::new(Rewrite {
                source: object(source),
                destination: to(target),
                max_bytes: None,
                token: None,
            }),
        }),
        Opcode::PatchObject => Request::PatchObject(gcsd_wire::patch_object::Args {
            object: to(source),
            generation: None,
        }),
        Opcode::MoveObject => Request::MoveObject(gcsd_wire::move_object::Args {
            source: object(source),
            destination: target.parse().expect("a name"),
            preconditions: Preconditions::default(),
        }),
        Opcode::StartMultipart => Request::StartMultipart(gcsd_wire::start_multipart::Args {
            destination: to(target),
        }),
        Opcode::UploadPart => Request::UploadPart(gcsd_wire::upload_part::Args {
            of: parts(target),
            part_number: 1,
            body_crc32c: None,
        }),
        Opcode::ListParts => Request::ListParts(gcsd_wire::list_parts::Args {
            of: parts(target),
            max_parts: 0,
            after: 0,
        }),
        Opcode::CompleteMultipart => {
            Request::CompleteMultipart(gcsd_wire::complete_multipart::Args { of: parts(target) })
        }
        Opcode::AbortMultipart => {
            Request::AbortMultipart(gcsd_wire::abort_multipart::Args { of: parts(target) })
        }
        Opcode::ListBuckets => Request::ListBuckets(gcsd_wire::list_buckets::Args {
            query: BucketQuery::new("project"),
        }),
        Opcode::StatBucket => Request::StatBucket(gcsd_wire::stat_bucket::Args {
            of: BucketRef::new(bucket()),
        }),
    }
}

/// The verbs without which a request is denied. What replaces nothing needs no `replace`.
fn needed(opcode: Opcode) -> &'static [Verb] {
    use Verb::{Create, Delete, List, ListBuckets, Read, Replace, StatBucket, Update};
    match opcode {
        Opcode::StartUpload | Opcode::PutObject => &[Create],
        Opcode::ReadAt | Opcode::StatObject => &[Read],
        Opcode::ListObjects => &[List],
        Opcode::DeleteObject => &[Delete],
        Opcode::ComposeObjects | Opcode::RewriteObject => &[Read, Create],
        Opcode::PatchObject => &[Update],
        Opcode::MoveObject => &[Read, Delete, Create],
        Opcode::StartMultipart | Opcode::CompleteMultipart => &[Create, Replace],
        Opcode::ListBuckets => &[ListBuckets],
        Opcode::StatBucket => &[StatBucket],
        _ => &[],
    }
}

#[test]
fn every_set_of_verbs_permits_exactly_its_opcodes() {
    for bits in 0..1_u32 << Verb::ALL.len() {
        let verbs = Verb::ALL.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        let verbs: BTreeSet<Verb> = verbs.map(|(_, verb)| *verb).collect();
        let names: Vec<_> = verbs.iter().map(|verb| verb.name()).collect();
        let rule = match names.is_empty() {
            true => rule(json!([])),
            false => rule(json!([{"buckets": ["*"], "prefixes": ["in/"], "verbs": names}])),
        };
        let makes = verbs.contains(&Verb::Create) || verbs.contains(&Verb::Replace);
        for opcode in Opcode::ALL {
            let mut inside = request(*opcode, "in/a", "in/b");
            let expected = match opcode {
                // Either of the two goes on with what was permitted to begin.
                Opcode::UploadPart | Opcode::ListParts | Opcode::AbortMultipart => makes,
                _ => needed(*opcode).iter().all(|verb| verbs.contains(verb)),
            };
            let admitted = rule.admit(&mut inside);
            assert_eq!(
                admitted.is_ok(),
                expected,
                "{opcode:?} by {names:?}: {admitted:?}"
            );
            let changed = inside != request(*opcode, "in/a", "in/b");
            let only_new =
                expected && !verbs.contains(&Verb::Replace) && needs::conditions(&mut inside).is_some();
            assert_eq!(changed, only_new, "{opcode:?} by {names:?}");
            if let Some(conditions) = needs::conditions(&mut inside) {
                assert_eq!(
                    conditions.if_generation_match,
                    only_new.then_some(0),
                    "{opcode:?}"
                );
            }
        }
        assert_eq!(rule.admit_upload("bucket", "in/b").is_ok(), makes, "{names:?}");
        assert!(rule.admit_upload("bucket", "out").is_err());
    }
}

#[test]
fn each_object_of_a_request_must_be_permitted() {
    let all: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
    let rule = rule(json!([{"buckets": ["*"], "prefixes": ["in/"], "verbs": all}]));
    for opcode in Opcode::ALL {
        let admitted = |source, target| rule.admit(&mut request(*opcode, source, target)).is_ok();
        assert!(admitted("in/a", "in/b"), "{opcode:?}");
        let needs_source = matches!(
            opcode,
            Opcode::ReadAt
                | Opcode::StatObject
                | Opcode::ListObjects
                | Opcode::DeleteObject
                | Opcode::PatchObject
                | Opcode::ComposeObjects
                | Opcode::RewriteObject
                | Opcode::MoveObject
        );
        let needs_target = matches!(
            opcode,
            Opcode::StartUpload
                | Opcode::PutObject
                | Opcode::ComposeObjects
                | Opcode::RewriteObject
                | Opcode::MoveObject
                | Opcode::StartMultipart
                | Opcode::UploadPart
                | Opcode::ListParts
                | Opcode::CompleteMultipart
                | Opcode::AbortMultipart
        );
        for outside in [
            "out",
            "in",
            "In/a",
            "/in/a",
            "%69n/a",
            "i",
            "in\u{2215}a",
            "\u{ff49}n/a",
            "../in/a",
        ] {
            assert_eq!(admitted(outside, "in/b"), !needs_source, "{opcode:?} {outside}");
            assert_eq!(admitted("in/a", outside), !needs_target, "{opcode:?} {outside}");
        }
    }
}

#[test]
fn what_is_said_of_an_object_decides_between_creating_and_replacing() {
    let conditions = [
        (Preconditions::default(), "open"),
        (matching(Some(0), None), "absent"),
        (matching(Some(7), None), "present"),
        (matching(None, Some(0)), "present"),
        (matching(None, Some(7)), "other"),
    ];
    for (preconditions, says) in conditions {
        for (verbs, permitted) in [
            (&["create"][..], &["open", "absent"][..]),
            (&["replace"], &["present"]),
            (&["create", "replace"], &["open", "absent", "present", "other"]),
            (&["read", "delete", "update"], &[]),
        ] {
            let rule = rule(json!([{"buckets": ["bucket"], "verbs": verbs}]));
            let mut put = request(Opcode::PutObject, "a", "b");
            *needs::conditions(&mut put).expect("conditions") = preconditions;
            assert_eq!(
                rule.admit(&mut put).is_ok(),
                permitted.contains(&says),
                "{says} {verbs:?}"
            );
        }
    }
}

fn matching(if_generation_match: Option<u64>, if_generation_not_match: Option<u64>) -> Preconditions {
    Preconditions {
        if_generation_match,
        if_generation_not_match,
        ..Preconditions::default()
    }
}

#[test]
fn a_denial_tells_who_what_and_what_instead() {
    let rule = rule(json!([
        {"buckets": ["bucket"], "prefixes": ["logs/", "tmp/"], "verbs": ["read", "list"]},
        {"buckets": ["other-*"], "verbs": ["delete"]},
    ]));
    let denied = |opcode, source: &str| {
        let denied = rule.admit(&mut request(opcode, source, "x"));
        denied.expect_err("denied").to_string()
    };
    assert_eq!(
        denied(Opcode::DeleteObject, "logs/a"),
        "the rule \"it\" does not permit delete on gs://bucket/logs/a: here it may read, list"
    );
    assert_eq!(
        denied(Opcode::ListObjects, "log"),
        "the rule \"it\" does not permit list on gs://bucket/log*: it may do so on gs://bucket/logs/*, gs://bucket/tmp/*"
    );
    assert_eq!(
        denied(Opcode::DeleteObject, "a"),
        "the rule \"it\" does not permit delete on gs://bucket/a: it may do so on gs://other-*/*"
    );
    assert_eq!(
        denied(Opcode::ListBuckets, "a"),
        "the rule \"it\" does not permit list-buckets on the buckets of a project: it may do so nowhere"
    );
}

#[test]
fn a_bucket_is_meant_as_it_is_written() {
    let rule = rule(json!([{"buckets": ["logs-*", "bucket.example"], "verbs": ["read"]}]));
    let may = |bucket: &str| rule.grant(Verb::Read, bucket, "a").is_some();
    assert!(may("logs-") && may("logs-2026") && may("bucket.example"));
    assert!(!may("logs") && !may("bucket-example") && !may("bucket.example2") && !may("xlogs-1") && !may(""));
}

#[test]
fn who_a_connection_is_follows_from_what_it_shows() {
    let hash = |secret: &str| SecretHash::of(secret.as_bytes()).to_hex();
    let policy = policy(json!({"rule": [
        {"name": "first", "uids": [7], "gids": [3], "certificates": ["dns:a.example"]},
        {"name": "second", "uids": [8, 7], "secrets": [
            {"name": "old", "sha256": hash("one")}, {"name": "new", "sha256": hash("two")}]},
        {"name": "file", "auth-file": true},
        {"name": "rest", "anybody": true},
        {"name": "third", "gids": [9], "certificates": ["subject:CN=b,O=Example"]},
    ]}))
    .expect("a policy");
    let who = |evidence: Evidence| policy.identify(&evidence).map(|rule| rule.name().to_owned());
    let unix = |uid, gid| {
        who(Evidence {
            uid: Some(uid),
            gid: Some(gid),
            ..Evidence::default()
        })
    };
    let certificate = |names: &[&str]| {
        who(Evidence {
            certificate: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Evidence::default()
        })
    };
    // A peer that is somebody, so that only the secret can tell another one.
    let secret = |name: Option<&str>, secret: &str| {
        who(Evidence {
            uid: Some(7),
            secret: Some(Shown::Hashed(
                name.map(str::to_owned),
                SecretHash::of(secret.as_bytes()),
            )),
            ..Evidence::default()
        })
    };
    let is = |name: &str| Some(name.to_owned());
    assert_eq!(unix(7, 0), is("first"));
    assert_eq!(unix(8, 0), is("second"));
    assert_eq!(unix(1, 3), is("first"));
    // A rule behind the one for anybody is for those whom it names.
    assert_eq!(unix(1, 9), is("third"));
    assert_eq!(unix(0, 0), is("rest"));
    assert_eq!(certificate(&["subject:CN=a", "dns:a.example"]), is("first"));
    assert_eq!(certificate(&["subject:CN=b,O=Example"]), is("third"));
    assert_eq!(
        certificate(&["subject:CN=b", "dns:A.example", "uri:a.example"]),
        is("rest")
    );
    assert_eq!(secret(None, "one"), is("second"));
    assert_eq!(secret(Some("new"), "two"), is("second"));
    assert_eq!(secret(Some("new"), "one"), None);
    assert_eq!(secret(Some("third"), "one"), None);
    assert_eq!(secret(None, "three"), None);
    let file = Evidence {
        secret: Some(Shown::AuthFile),
        ..Evidence::default()
    };
    assert_eq!(who(file), is("file"));
}

#[test]
fn a_configuration_that_is_no_policy_says_why() {
    let refused = |table: serde_json::Value| policy(table).expect_err("no policy").to_string();
    let named = |name: &str| json!({"rule": [{"name": name, "anybody": true}]});
    for name in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
        assert!(refused(named(name)).contains("needs another name"), "{name}");
    }
    assert!(policy(named(&"x".repeat(64))).is_ok());
    let twice = json!({"rule": [{"name": "a", "uids": [1]}, {"name": "a", "uids": [2]}]});
    assert!(refused(twice).starts_with("there are two rules \"a\""));
    assert!(refused(json!({"rule": [{"name": "a"}]})).starts_with("the rule \"a\" is for nobody"));
    let hash = SecretHash::of(b"x").to_hex();
    let secret = |name: &str, sha256: &str| json!({"name": name, "sha256": sha256});
    let secrets = |secrets: serde_json::Value| json!({"rule": [{"name": "a", "secrets": secrets}]});
    assert!(policy(secrets(json!([secret("one", &hash), secret("two", &hash)]))).is_ok());
    assert!(refused(secrets(json!([secret("one", "x")]))).contains("gcsd secret new one"));
    assert!(refused(secrets(json!([secret("one", &hash), secret("one", &hash)]))).contains("two secrets"));
    let allowing =
        |allow: serde_json::Value| json!({"rule": [{"name": "a", "anybody": true, "allow": [allow]}]});
    for (allow, said) in [
        (json!({"buckets": [], "verbs": ["read"]}), "no buckets"),
        (json!({"buckets": ["b-1"], "verbs": []}), "no verbs"),
        (
            json!({"buckets": ["b-1"], "prefixes": [], "verbs": ["read"]}),
            "no prefixes",
        ),
        (
            json!({"buckets": ["gs://b"], "verbs": ["read"]}),
            "names the bucket",
        ),
        (json!({"buckets": ["*b"], "verbs": ["read"]}), "names the bucket"),
        (
            json!({"buckets": ["b-*"], "verbs": ["list-buckets"]}),
            "buckets = [\"*\"]",
        ),
    ] {
        let refused = refused(allowing(allow));
        assert!(refused.contains(said), "{refused}");
    }
    let certificate = json!({"rule": [{"name": "a", "certificates": ["CN=a"]}]});
    assert!(refused(certificate).contains("subject:CN="));
    // What is unknown is refused, and verbs are among these.
    for table in [
        json!({"rules": []}),
        json!({"rule": [{"name": "a", "uid": [1]}]}),
        allowing(json!({"buckets": ["*"], "verb": ["read"]})),
        allowing(json!({"buckets": ["*"], "verbs": ["write"]})),
        allowing(json!({"buckets": ["*"], "verbs": ["sign"]})),
    ] {
        assert!(
            serde_json::from_value::<Config>(table.clone()).is_err(),
            "{table}"
        );
    }
}

#[test]
fn without_a_rule_nobody_is_anybody() {
    let policy = policy(json!({})).expect("a policy");
    assert!(policy.identify(&Evidence::default()).is_none());
    assert!(!policy.takes_secrets());
}
