//! Google's own Rust client, unchanged, against devgcs, and beside the daemon: each reads what the other
//! wrote.

use bytes::Bytes;
use devgcs::Server;
use google_cloud_auth::credentials::anonymous;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model::Object;
use google_cloud_storage::model_ext::ReadRange;
use google_cloud_storage::streaming_source::{SizeHint, StreamingSource};

use crate::support::daemon::{BUCKET, Daemon, pattern};

const KIB: usize = 1024;
/// Sizes around the borders that resumable uploads have.
const SIZES: [usize; 6] = [0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 3 * 1024 * KIB + 7];

async fn client(devgcs: &Server) -> Storage {
    Storage::builder()
        .with_endpoint(devgcs.endpoint())
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .expect("a client")
}

fn bucket() -> String {
    format!("projects/_/buckets/{BUCKET}")
}

async fn read(client: &Storage, name: &str, range: ReadRange) -> Vec<u8> {
    let request = client.read_object(bucket(), name).set_read_range(range);
    let mut response = Box::pin(request.send()).await.expect("an answer");
    let mut all = Vec::new();
    while let Some(chunk) = response.next().await {
        all.extend_from_slice(&chunk.expect("a chunk whose checksum holds"));
    }
    all
}

/// Checks what the client was told of an object against the object's bytes.
fn matches(object: &Object, name: &str, data: &[u8]) {
    assert_eq!((object.bucket.as_str(), object.name.as_str()), (&*bucket(), name));
    assert_eq!(usize::try_from(object.size).expect("a size"), data.len());
    let checksums = object.checksums.as_ref().expect("checksums");
    assert_eq!(checksums.crc32c, Some(crc32c::crc32c(data)));
    assert!(object.generation > 0 && object.metageneration == 1);
}

/// A source that cannot be read twice, and whose size nobody knows.
struct Pipe(Vec<Bytes>);

impl Pipe {
    fn new(data: &[u8]) -> Self {
        Self(data.chunks(77_777).rev().map(Bytes::copy_from_slice).collect())
    }
}

impl StreamingSource for Pipe {
    type Error = std::convert::Infallible;

    async fn next(&mut self) -> Option<Result<Bytes, Self::Error>> {
        self.0.pop().map(Ok)
    }

    async fn size_hint(&self) -> Result<SizeHint, Self::Error> {
        Ok(SizeHint::default())
    }
}

#[tokio::test]
async fn write_object_unbuffered_in_one_request_and_resumable() {
    let daemon = Daemon::start().await;
    let client = client(&daemon.devgcs).await;
    for threshold in [0, usize::MAX] {
        for size in SIZES {
            let name = format!("unbuffered/{threshold}/{size}");
            let data = pattern(size);
            let request = client
                .write_object(bucket(), &name, Bytes::from(data.clone()))
                .set_if_generation_match(0)
                .with_resumable_upload_threshold(threshold);
            let object = Box::pin(request.send_unbuffered()).await.expect("written");
            matches(&object, &name, &data);
            assert_eq!(read(&client, &name, ReadRange::all()).await, data);
        }
    }
}

#[tokio::test]
async fn write_object_buffered_from_a_source_of_unknown_size() {
    let daemon = Daemon::start().await;
    let client = client(&daemon.devgcs).await;
    for size in SIZES {
        let name = format!("buffered/{size}");
        let data = pattern(size);
        let request = client
            .write_object(bucket(), &name, Pipe::new(&data))
            .set_if_generation_match(0)
            .set_content_type("text/x-pattern")
            .set_metadata([("colour", "blue")])
            .with_resumable_upload_threshold(0_usize)
            .with_resumable_upload_buffer_size(256 * KIB);
        let object = Box::pin(request.send_buffered()).await.expect("written");
        matches(&object, &name, &data);
        assert_eq!(object.content_type, "text/x-pattern");
        assert_eq!(object.metadata["colour"], "blue");
        assert_eq!(daemon.object(&name).await, data);
    }
}

#[tokio::test]
async fn a_precondition_and_a_wrong_checksum_are_refused() {
    let daemon = Daemon::start().await;
    let client = client(&daemon.devgcs).await;
    daemon.connect().await.put(1, "there", b"first").await;
    for threshold in [0, usize::MAX] {
        let again = client
            .write_object(bucket(), "there", "second")
            .set_if_generation_match(0)
            .with_resumable_upload_threshold(threshold);
        let refused = Box::pin(again.send_unbuffered()).await.expect_err("refused");
        assert_eq!(refused.http_status_code(), Some(412), "{refused}");
        let wrong = client
            .write_object(bucket(), "wrong", "these bytes")
            .set_if_generation_match(0)
            .with_known_crc32c(1_u32)
            .with_resumable_upload_threshold(threshold);
        let refused = Box::pin(wrong.send_unbuffered()).await.expect_err("refused");
        assert_eq!(refused.http_status_code(), Some(400), "{refused}");
    }
    assert_eq!(daemon.object("there").await, b"first");
    assert!(!daemon.has_object("wrong"));
}

#[tokio::test]
async fn reads_what_the_daemon_wrote_whole_and_in_ranges() {
    let daemon = Daemon::start().await;
    let client = client(&daemon.devgcs).await;
    let data = pattern(1_500_000);
    let name = "dir/with #?&+%2F ünicode";
    daemon.connect().await.put(1, name, &data).await;
    assert_eq!(read(&client, name, ReadRange::all()).await, data);
    assert_eq!(
        read(&client, name, ReadRange::segment(300_000, 5_000)).await,
        data[300_000..305_000]
    );
    assert_eq!(
        read(&client, name, ReadRange::offset(1_499_990)).await,
        data[1_499_990..]
    );
    assert_eq!(read(&client, name, ReadRange::tail(10)).await, data[1_499_990..]);
    let missing = Box::pin(client.read_object(bucket(), "missing").send()).await;
    assert_eq!(missing.expect_err("not there").http_status_code(), Some(404));
}
