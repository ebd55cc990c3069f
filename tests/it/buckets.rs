//! ListBuckets and StatBucket (proto-spec.md, sections of the same names).

use gcsd_client::{Address, Connection, Options as ClientOptions};
use gcsd_net::TcpConnector;
use gcsd_types::{BucketQuery, BucketRef};
use gcsd_wire::{Kind, Reply, Request, Retry, list_buckets, stat_bucket};

use crate::support::daemon::{Daemon, Options};
use crate::support::devgcs;

async fn daemon() -> (Daemon, Connection) {
    let daemon = Daemon::with(Options {
        devgcs: ::devgcs::Server::builder().buckets(["photos", "photos-eu", "tapes"]),
        ..Options::default()
    })
    .await;
    let address: Address = daemon.address.to_string().parse().expect("an address");
    let connection = Connection::open(&TcpConnector, &address, &ClientOptions::default())
        .await
        .expect("connected");
    (daemon, connection)
}

#[tokio::test]
async fn buckets_are_listed_by_the_page() {
    let (daemon, connection) = daemon().await;
    let mut query = BucketQuery {
        prefix: Some("photos".into()),
        max_results: Some(1),
        fields: Some("items(name)".into()),
        ..BucketQuery::new("project")
    };
    let mut names = Vec::new();
    for more in [true, false] {
        let args = list_buckets::Args { query: query.clone() };
        let page = connection.list_buckets(&args).await.expect("listed");
        assert_eq!((page.args.items, page.args.prefixes), (1, 0));
        assert_eq!(page.args.next_page_token.is_some(), more);
        let json: serde_json::Value = serde_json::from_slice(&page.json).expect("JSON");
        names.push(json["items"][0]["name"].as_str().expect("a name").to_owned());
        query.page_token = page.args.next_page_token;
    }
    assert_eq!(names, ["photos", "photos-eu"]);
    let mut raw = daemon.connect().await;
    let nobodys = list_buckets::Args {
        query: BucketQuery::new(""),
    };
    let frame = raw.call(0, Request::ListBuckets(nobodys)).await;
    frame.fails(Kind::BadArgs, Retry::Never);
}

#[tokio::test]
async fn a_bucket_tells_fields_and_json() {
    let (daemon, connection) = daemon().await;
    let patch = r#"{"versioning":{"enabled":true},"billing":{"requesterPays":true},"storageClass":"NEARLINE",
        "iamConfiguration":{"uniformBucketLevelAccess":{"enabled":true}}}"#;
    let patched = devgcs::call(&daemon.devgcs, "PATCH", "/b/photos", patch).await;
    assert_eq!(patched.status, 200);
    let mut of = BucketRef::new("photos".parse().expect("a name"));
    let reply = connection
        .stat_bucket(&stat_bucket::Args { of: of.clone() })
        .await
        .expect("it is there");
    let bucket = &reply.args.bucket;
    assert_eq!((bucket.metageneration, bucket.location.as_str()), (2, "US"));
    assert!(bucket.versioning && bucket.requester_pays && bucket.uniform_access && !bucket.hierarchical);
    assert_eq!(bucket.storage_class, "NEARLINE");
    let json: serde_json::Value = serde_json::from_slice(&reply.json).expect("JSON");
    assert_eq!(json["name"], "photos");

    let mut raw = daemon.connect().await;
    of.fields = Some("name".into());
    let frame = raw
        .call(0, Request::StatBucket(stat_bucket::Args { of: of.clone() }))
        .await;
    let Reply::StatBucket(again) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert_eq!(again.bucket, *bucket);
    assert!(!String::from_utf8_lossy(&frame.body).contains("timeCreated"));
    of.preconditions.if_metageneration_match = Some(1);
    let frame = raw
        .call(0, Request::StatBucket(stat_bucket::Args { of: of.clone() }))
        .await;
    frame.fails(Kind::PreconditionFailed, Retry::Never);
    of.bucket = "no-such-bucket".parse().expect("a name");
    let frame = raw.call(0, Request::StatBucket(stat_bucket::Args { of })).await;
    frame.fails(Kind::NotFound, Retry::Never);
    raw.lives().await;
}
