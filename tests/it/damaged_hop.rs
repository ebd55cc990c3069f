//! Checked connections over a hop that turns bits over: whatever a seed damages, no object is wrong, no bytes that are read, no list,
//! and nothing waits for ever (proto-spec.md, "Checked frames").

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::{
    Client, Connection, Daemons, Error, GivenUp, Options as ClientOptions, ReadError, ReadRequest,
    ReliableReader, RetryPolicy, StripedOptions, UploadError, Via,
};
use gcsd_fault::{FaultKind, FaultyConnector, Random};
use gcsd_types::{ByteRange, Crc32c, ObjectQuery};
use gcsd_wire::list_objects;
use tokio::time::timeout;

use crate::support::crowd::run_all;
use crate::support::daemon::{BUCKET, Daemon, Options, object_ref, pattern};
use crate::support::devgcs::upload;
use crate::support::stage::{HANGS, faulty};
use crate::support::uploads::{retries, seeded, small_chunks};

const SEEDS: u64 = 40;
/// The least that a part may have which is not the last.
const PART: usize = 5 << 20;

/// Damage in both directions of the first connections: in heads and args, and in the midst of bytes.
fn plan(seed: u64) -> String {
    let mut random = Random::new(seed).split(7);
    let mut plan = format!("seed {seed}");
    for way in ["write", "read"] {
        let mut place =
            || ["400", "5000", "300000", "900000"][usize::try_from(random.below(4)).expect("small")];
        for _ in 0..2 {
            // Writing to a string does not fail.
            let _ = write!(plan, "; flip {way} 0..{} on 0..8 p 0.4", place());
        }
    }
    plan
}

async fn standing() -> Daemon {
    let mut options = Options::default();
    // A damaged length has the daemon wait for what never comes.
    options.limits.client_timeout = Duration::from_millis(700);
    Daemon::with(options).await
}

fn daemons(daemon: &Daemon, connector: &Arc<FaultyConnector>) -> Daemons {
    let options = ClientOptions::default()
        .with_checked(true)
        .with_stall(Duration::from_millis(2500));
    Daemons::new(connector.clone(), vec![daemon.address.into()], options)
}

/// What became of one seed.
#[derive(Debug, Default)]
struct Seen {
    seed: u64,
    problems: Vec<String>,
    flips: u64,
    done: u64,
    connections: u64,
}

impl Seen {
    /// Counts a success; an error must be one of those that say that this was damage.
    fn ended<T, E: std::fmt::Debug>(
        &mut self,
        what: &str,
        result: Result<T, E>,
        expected: impl Fn(&E) -> bool,
    ) -> bool {
        match result {
            Ok(_) => self.done += 1,
            Err(error) if expected(&error) => return false,
            Err(error) => {
                self.problems.push(format!("{what}: {error:?}"));
                return false;
            }
        }
        true
    }

    fn is(&mut self, what: &str, right: bool) {
        if !right {
            self.problems.push(format!("{what} is wrong"));
        }
    }
}

/// Writes, reads, lists and uploads in parts, one after the other, each over connections that are damaged anew.
async fn play(seed: u64) -> Seen {
    let mut seen = Seen {
        seed,
        ..Seen::default()
    };
    let daemon = standing().await;
    let bytes = Bytes::from(pattern(700_000));
    upload(&daemon.devgcs, "there", &bytes).await;
    let connector = || faulty(&plan(seed));
    let policy = retries().with_jitter(seeded(seed)).with_max_restarts(20);
    let mut connectors = Vec::new();
    let mut client = || {
        connectors.push(connector());
        let daemons = daemons(&daemon, connectors.last().expect("one"));
        Client::new(daemons).with_options(small_chunks().with_retries(policy.clone()))
    };

    let object = client().object("gs://bucket/written").expect("a URL");
    let made = object.upload().bytes(bytes.clone()).await;
    let too_many = |error: &UploadError| matches!(error, UploadError::TooManyRestarts { .. });
    if seen.ended("upload", made, too_many) {
        seen.is("the object", daemon.object("written").await == bytes);
    }

    let object = client().object("gs://bucket/put").expect("a URL");
    let mut writer = object.upload().writer().expect("good options");
    // What a producer has let go of cannot be sent again.
    let _why_is_told_at_the_end = writer.write_bytes(bytes.clone()).await;
    let made = writer.complete().await;
    let gone = |error: &UploadError| {
        matches!(
            error,
            UploadError::TooManyRestarts { .. } | UploadError::CannotRestart { .. }
        )
    };
    if seen.ended("writer", made, gone) {
        seen.is("what was written", daemon.object("put").await == bytes);
    }

    let there = client().object("gs://bucket/there").expect("a URL");
    let read = there.read().bytes().await;
    let damaged = |error: &ReadError| matches!(error, ReadError::Damaged { .. });
    seen.is("what was read", read.as_ref().map_or(true, |read| *read == bytes));
    seen.ended("read", read, damaged);

    let some = client().object("gs://bucket/there").expect("a URL");
    let read = some
        .read()
        .range(ByteRange::Of {
            offset: 1000,
            len: 400_000,
        })
        .bytes()
        .await;
    let right = read
        .as_ref()
        .map_or(true, |read| read[..] == bytes[1000..401_000]);
    seen.is("the range", right);
    seen.ended("range", read, damaged);

    let mut names = Vec::new();
    let mut pages = client().list("gs://bucket/there").expect("a URL");
    let listed = loop {
        match pages.next().await {
            Ok(Some(page)) => names.extend(page.objects.into_iter().map(|object| object.name)),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    seen.ended("list", listed, |_: &GivenUp| false);
    seen.is("the list", names == ["there"]);

    let options = StripedOptions::default()
        .with_connections(2)
        .with_part_size(PART as u64)
        .with_retries(policy.clone())
        .with_via(Via::Multipart);
    let large = Bytes::from(pattern(PART + 1000));
    let object = client().object("gs://bucket/parts").expect("a URL");
    let mut striped = object
        .upload()
        .striped(large.clone(), &options)
        .expect("good options");
    let made = striped.wait().await;
    if seen.ended("parts", made, |_| false) {
        seen.is("the object of parts", daemon.object("parts").await == large);
    }

    // Whatever was given up, nothing else is there.
    let known = ["parts", "put", "there", "written"];
    let objects = daemon.devgcs.object_names(BUCKET);
    seen.is(
        "what there is",
        objects.iter().all(|name| known.contains(&name.as_str())),
    );
    for connector in &connectors {
        seen.flips += connector.counts().of(FaultKind::Flip);
        seen.connections += connector.connections();
    }
    seen
}

#[test]
fn no_seed_of_damage_makes_anything_wrong_or_hangs() {
    let seeds: Vec<u64> = (0..SEEDS).collect();
    let seen = run_all(seeds, |seed| async move {
        timeout(HANGS, Box::pin(play(seed)))
            .await
            .unwrap_or_else(|_| Seen {
                seed,
                problems: vec!["it never ends".to_owned()],
                ..Seen::default()
            })
    });
    let wrong: Vec<_> = seen
        .iter()
        .filter(|seen| !seen.problems.is_empty())
        .map(|seen| (seen.seed, &seen.problems))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
    let (flips, done, connections) = (
        sum(|seen| seen.flips),
        sum(|seen| seen.done),
        sum(|seen| seen.connections),
    );
    // Each plan damages the first eight connections of each of six; then nothing is in the way.
    assert!(flips > 4 * SEEDS, "{flips} flips");
    assert!(done > 5 * SEEDS, "{done} of {} were done", 6 * SEEDS);
    assert!(connections < 6 * SEEDS * 12, "{connections} connections");
}

#[tokio::test]
async fn connections_that_are_all_damaged_are_not_made_for_ever() {
    let daemon = standing().await;
    let connector = faulty("flip write 40");
    let policy = RetryPolicy::default()
        .with_waits(Duration::from_millis(1), Duration::from_millis(20))
        .with_budget(Duration::from_millis(500))
        .with_jitter(seeded(1));
    let client = Client::new(daemons(&daemon, &connector)).with_retries(policy);
    let object = client.object("gs://bucket/object").expect("a URL");
    let ended = timeout(HANGS, object.upload().bytes("never"))
        .await
        .expect("it ends");
    assert!(ended.is_err());
    assert!(connector.connections() > 1);
    assert!(daemon.devgcs.object_names(BUCKET).is_empty());
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 0);
}

#[tokio::test]
async fn a_list_that_was_damaged_on_the_way_is_none() {
    let daemon = standing().await;
    upload(&daemon.devgcs, "a-name-that-is-long-enough", b"bytes").await;
    let connector = faulty("flip read 400 on 0");
    let mut daemons = daemons(&daemon, &connector);
    let connection: Connection = daemons.connect().await.expect("a connection");
    let args = list_objects::Args::from(ObjectQuery::new(BUCKET.parse().expect("a name")));
    let error = connection.list_objects(&args).await.expect_err("damage");
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    let page = connection.list_objects(&args).await.expect("it lives");
    assert_eq!(page.args.items, 1);
}

#[tokio::test]
async fn a_read_is_whole_or_says_that_it_is_damaged() {
    let daemon = standing().await;
    let bytes = pattern(300_000);
    upload(&daemon.devgcs, "object", &bytes).await;
    for at in [0, 31, 40, 100, 200, 1000, 200_000] {
        let connector = faulty(&format!("flip read {at} on 0"));
        let request = ReadRequest::new(object_ref("object"));
        let mut reader = ReliableReader::new(daemons(&daemon, &connector), request, &retries());
        let mut whole = Vec::new();
        let ended = loop {
            match reader.next().await {
                Ok(Some(piece)) => whole.extend_from_slice(&piece),
                Ok(None) => break Ok(Crc32c::of(&whole)),
                Err(error) => break Err(error),
            }
        };
        match ended {
            Ok(crc32c) => assert_eq!(crc32c, Crc32c::of(&bytes), "{at}"),
            Err(error) => assert!(matches!(error, ReadError::Damaged { .. }), "{at}: {error}"),
        }
    }
}
