//! Seeded fault injection for byte streams, under any tokio client: refused and hanging connects, resets and closes at a
//! chosen byte, stalls, flipped bits, short reads and writes.
//!
//! A [`Plan`] says what goes wrong: a seed and rules, as values or as a line of text. A [`FaultyConnector`] dials and
//! numbers the connections; a [`FaultyStream`] wraps one stream. The same plan does the same to the same bytes of the same
//! connection, so a failure that a test finds can be repeated from its seed.
//!
//! ```
//! use gcsd_fault::{FaultyStream, Plan};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The peer gets three bytes; then the connection is reset.
//! let plan: Plan = "reset before write 3".parse()?;
//! let (client, mut server) = tokio::io::duplex(64);
//! let mut client = FaultyStream::new(client, plan.script(0));
//!
//! let error = client.write_all(b"hello").await.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
//!
//! let mut received = String::new();
//! server.read_to_string(&mut received).await?;
//! assert_eq!(received, "hel");
//! # Ok(())
//! # }
//! ```
//!
//! What a plan cannot fix is the order of connections that are dialed at the same time.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod connector;
#[cfg(test)]
mod connector_tests;
mod counts;
#[cfg(test)]
mod flow_tests;
mod plan;
#[cfg(test)]
mod plan_tests;
mod plan_text;
mod random;
mod script;
#[cfg(test)]
mod script_tests;
mod selection;
mod stream;
#[cfg(test)]
mod stream_tests;
pub mod syntax;

pub use gcsd_net as net;

pub use connector::FaultyConnector;
pub use counts::{Counters, Counts, FaultKind};
pub use plan::{Direction, Ending, Fault, Phase, Place, Plan, Rule};
pub use random::Random;
pub use script::Script;
pub use selection::{Interval, Probability};
pub use stream::FaultyStream;
pub use syntax::PlanError;
