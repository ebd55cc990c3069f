//! What the tests share.

pub(crate) mod authority;
pub(crate) mod cases;
pub(crate) mod command;
pub(crate) mod crowd;
pub(crate) mod daemon;
pub(crate) mod delegating;
pub(crate) mod devgcs;
pub(crate) mod feed;
pub(crate) mod http;
pub(crate) mod peer;
pub(crate) mod pieces;
pub(crate) mod process;
pub(crate) mod script;
pub(crate) mod scripted;
pub(crate) mod secret;
pub(crate) mod stage;
pub(crate) mod starts;
pub(crate) mod striped;
pub(crate) mod tap;
pub(crate) mod transport;
pub(crate) mod uploads;
pub(crate) mod vectors;
pub(crate) mod waiting;
