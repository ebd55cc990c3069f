//! What GCS does wrong, on demand: by a plan for the whole server, or by a header for one request.
//!
//! # Words
//!
//! An instruction is one word, or several joined by `+` that hold for the same call. Those marked * are
//! the words of Google's own [storage-testbench](https://github.com/googleapis/storage-testbench), and mean
//! the same here. `WHEN` is nothing (at once), `-after-256K` (when the upload's or the read object's bytes
//! have come so far), `-after-some` (at a random multiple of 256 KiB of the bytes that the call brings),
//! `-after-body` (all bytes have come, the last of them are not persisted yet) or `-after-all` (all is done).
//!
//! | word | what happens |
//! | --- | --- |
//! | `return-503WHEN` * | the answer has this status; what came before is persisted in whole multiples |
//! | `return-reset-connectionWHEN` * | RST, no answer |
//! | `close-connectionWHEN` | FIN, no answer; `-after-all` is the lost reply |
//! | `stall-for-10sWHEN` *, `stall-alwaysWHEN` *, `stall-at-256KiB` * | the call stands still, then goes on |
//! | `return-broken-stream` *, `return-broken-stream-after-512K` * | the answer's body is cut off |
//! | `return-broken-stream-final-chunk-after-10B` * | the answer that shows the finished object has so many bytes |
//! | `return-corrupted-data` * | a byte of the object that is read is another one |
//! | `persist-256K`, `persist-some` | all is read, and persisted up to this offset only |
//! | `hide-256K`, `hide-some` | so much of what the call persisted is not reported until after the next query |
//! | `no-range` | a 308 does not say what is persisted |
//! | `lose-session-410` | the session is gone for good |
//! | `report-256K-less`, `report-256K-more` | a 308 lies |
//!
//! # A plan
//!
//! ```text
//! plan = "off" / item *( ";" item )
//! item = "seed" number / instruction [ "on" calls ] [ "call" number / interval ] [ "p" decimal ]
//! ```
//!
//! `seed 7; return-503 on write p 0.1; close-connection-after-all on last call 0; hide-some+return-503-after-some on write`
//!
//! `on` takes `any`, `start`, `write`, `last`, `query`, `cancel`, `stat`, `read`, `list`, `delete`, `compose`, `part`
//! or `complete`. `call` counts the calls
//! that `on` lets through, from 0. Of the rules that match a call, the first holds.
//!
//! # One request
//!
//! `x-goog-emulator-instructions` (or `x-goog-testbench-instructions`) brings an instruction with a request.
//! The testbench's Retry Test API is there too: `POST /retry_test`, and `x-retry-test-id` on the requests.

mod apply;
mod body;
mod cut;
mod draw;
mod instruction;
mod plan;
mod retry_api;
mod retry_test;

pub(crate) use apply::{after, before};
pub(crate) use body::FaultyBody;
pub(crate) use cut::Cut;
pub(crate) use draw::{Faults, Injected};
pub use gcsd_fault::{Interval, PlanError, Probability};
pub use instruction::{Amount, Fault, Kib, When};
pub use plan::{CallSelector, Plan, Rule};
pub(crate) use retry_api::serve as serve_retry_tests;
