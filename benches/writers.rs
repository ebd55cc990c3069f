//! What scatter-gather saves: the same bytes, as they lie in memory and copied together first.
//!
//!     cargo bench --bench writers
//!
//! Both unreliable writers send chunks to `gcsd devgcs --discard`, through `gcsd serve` and straight. What is
//! compared is the processor time of this process's one thread, so that what the servers need does not count; the
//! ways take turns within one run, and of each the median is printed.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gcsd_client::{Body, Direct, NewObject, OpenUpload, Options, UnreliableWriter, ViaDaemon};
use gcsd_gcs::{self, Gcs};
use gcsd_net::TcpConnector;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;
const RANGE: usize = 16 << 20;
const RANGES: usize = 8;

/// A server of our own, stopped at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts gcsd, and waits for the line of its log that says where it listens.
fn start(args: &[&str], label: &str) -> Outcome<(Server, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gcsd"))
        .args(args)
        .stderr(Stdio::piped())
        .spawn()?;
    let log = child.stderr.take().ok_or("no log")?;
    let server = Server(child);
    let mut lines = BufReader::new(log).lines();
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once(&format!("{label}="))?;
            let value = rest.split_whitespace().next()?;
            Some(value.trim_matches('"').to_owned())
        })
        .ok_or("it ended early")?;
    // A log that nobody reads would fill its pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((server, found))
}

/// The processor time of this thread so far.
fn cpu() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_whitespace().next().ok_or("no figure")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

#[derive(Clone, Copy)]
enum Layout {
    Scattered,
    Flattened,
}

/// Uploads all ranges, and says what it took of the processor and of the clock.
async fn upload(
    way: &mut impl OpenUpload,
    chunks: &[Bytes],
    layout: Layout,
) -> Outcome<(Duration, Duration)> {
    let (mut writer, _token) = way.start().await?;
    let (before, clock) = (cpu()?, Instant::now());
    for range in 0..RANGES {
        let body = match layout {
            Layout::Scattered => Body::from(chunks.to_vec()),
            Layout::Flattened => {
                let mut all = BytesMut::with_capacity(RANGE);
                chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
                Body::from(all.freeze())
            }
        };
        writer.write_at((range * RANGE) as u64, body, None).await?;
    }
    let taken = (cpu()? - before, clock.elapsed());
    writer.cancel().await?;
    Ok(taken)
}

fn median(mut values: Vec<Duration>) -> f64 {
    values.sort();
    let gib = (RANGE * RANGES) as f64 / f64::from(1 << 30);
    values[values.len() / 2].as_secs_f64() / gib
}

/// Measures one way to GCS with chunks of `len` bytes.
async fn compare(name: &str, way: &mut impl OpenUpload, len: usize) -> Outcome<()> {
    // Chunks that lie apart, as those of a producer do.
    let chunks: Vec<Bytes> = (0..RANGE / len)
        .map(|n| Bytes::from(vec![n.to_le_bytes()[0]; len]))
        .collect();
    let (mut scattered, mut flattened) = (Vec::new(), Vec::new());
    let mut clocks = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (taken, clock) = upload(way, &chunks, Layout::Scattered).await?;
        scattered.push(taken);
        clocks.0.push(clock);
        let (taken, clock) = upload(way, &chunks, Layout::Flattened).await?;
        flattened.push(taken);
        clocks.1.push(clock);
    }
    let (scattered, flattened) = (median(scattered), median(flattened));
    writeln!(
        std::io::stdout(),
        "{name}, chunks of {:>4} KiB: scattered {scattered:.3} s/GiB of CPU ({:.2} s), flattened {flattened:.3} s/GiB ({:.2} s): \
         flattened costs {:.2} times as much",
        len >> 10,
        median(clocks.0),
        median(clocks.1),
        flattened / scattered
    )?;
    Ok(())
}

async fn run() -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let listen = ["--listen", "127.0.0.1:0"];
    let (_devgcs, endpoint) = start(
        &["devgcs", listen[0], listen[1], "--bucket", "bench", "--discard"],
        "endpoint",
    )?;
    let dir = state.path().to_str().ok_or("an odd folder")?;
    let serve = ["serve", listen[0], listen[1], "--anonymous", "--endpoint"];
    let (_daemon, address) = start(
        &[&serve[..], &[&endpoint, "--state-dir", dir]].concat(),
        "address",
    )?;

    let object = NewObject::new("bench".parse()?, "writers".parse()?);
    let config = gcsd_gcs::Config::anonymous(endpoint.parse()?);
    let connector = Arc::new(TcpConnector);
    let mut direct = Direct::new(Gcs::new(config, connector.clone())?, object.clone());
    let mut daemon = ViaDaemon::new(connector, vec![address.parse()?], Options::default(), object);
    for len in [4 << 10, 64 << 10, 1 << 20] {
        compare("through the daemon", &mut daemon, len).await?;
        compare("straight to GCS   ", &mut direct, len).await?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run())
}
