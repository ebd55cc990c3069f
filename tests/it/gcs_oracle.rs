//! Google's own client reads back what ours wrote.

use std::collections::VecDeque;

use bytes::Bytes;
use devgcs::Server;
use gcsd_gcs::{Config, Endpoint, SessionStatus, WriteRange, lend};
use gcsd_types::{Crc32c, Destination};
use google_cloud_auth::credentials::anonymous;
use google_cloud_storage::client::Storage;

use crate::support::peer::{client, patiently};

const BUCKET: &str = "projects/_/buckets/bucket";

#[tokio::test]
async fn what_ours_wrote_googles_reads() {
    let server = Server::builder().bucket("bucket").start().await.expect("started");
    let endpoint = Endpoint::parse(&server.endpoint()).expect("an endpoint");
    let gcs = client(Config::anonymous(endpoint));
    let google = Storage::builder()
        .with_endpoint(server.endpoint())
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .expect("a client");
    for name in ["ours", "a/b#c?d e%2F&f", "ünï/☃"] {
        let bytes: Bytes = name.repeat(100_000).into();
        let start = Destination::new("bucket".parse().expect("a name"), name.parse().expect("a name"));
        let session = patiently(gcs.start_upload(&start, None))
            .await
            .expect("started")
            .answer;
        let len = bytes.len() as u64;
        let range = WriteRange {
            offset: 0,
            len: Some(len),
            total: Some(len),
            object_crc32c: Some(Crc32c::of(&bytes)),
        };
        let (_lease, body) = lend(VecDeque::from([bytes.clone()]), len);
        let written = patiently(gcs.write(&session, range, body))
            .await
            .expect("written")
            .answer;
        let SessionStatus::Finished(written) = written else {
            panic!("{written:?}")
        };

        // Google's client verifies the checksum as it reads.
        let mut reader = patiently(google.read_object(BUCKET, name).send())
            .await
            .expect("found");
        assert_eq!(
            u64::try_from(reader.object().generation),
            Ok(written.info.generation)
        );
        let mut read = Vec::new();
        while let Some(chunk) = patiently(reader.next()).await {
            read.extend_from_slice(&chunk.expect("a chunk"));
        }
        assert!(read == bytes, "{name}: {} of {len} bytes", read.len());
    }
}
