//! Things that go wrong on purpose: a plan, and the streams and connections under it.
//!
//! A [`Plan`] is a seed and rules, as values or as a line of text. A [`FaultyConnector`] dials through
//! another [`Connector`](gcsd_net::Connector), numbers the connections, and puts a [`FaultyStream`]
//! around each one that the plan is about. Both hops take a connector, so both can be made to fail: the
//! client's to the daemon, the daemon's to GCS.
//!
//! The same plan does the same to the same bytes of the same connection, whenever it runs. What a plan
//! cannot fix is which connection comes first, where several are dialed at once.

mod connector;
#[cfg(test)]
mod connector_tests;
mod counts;
#[cfg(test)]
mod flow_tests;
mod parse;
mod plan;
#[cfg(test)]
mod plan_tests;
mod random;
mod script;
#[cfg(test)]
mod script_tests;
mod stream;
#[cfg(test)]
mod stream_tests;
pub mod words;

pub use connector::FaultyConnector;
pub use counts::{Counters, Counts, Kind};
pub use plan::{Direction, Ending, Fault, Numbers, Phase, Place, Plan, Probability, Rule};
pub use random::Random;
pub use script::Script;
pub use stream::FaultyStream;
pub use words::{MAX_RULES, PlanError};
