//! Faults of Cloud Storage, on demand: by a plan for the whole server, or by a header for one request.
//!
//! # Instructions
//!
//! An instruction is a word, or several joined by `+` that happen to the same call. Words marked * are those of Google's
//! [storage-testbench](https://github.com/googleapis/storage-testbench), and mean the same here.
//!
//! | Word | What happens |
//! | --- | --- |
//! | `return-503WHEN` * | The answer has this status, from 300 to 599. Bytes that came before are persisted in multiples of 256 KiB. |
//! | `return-reset-connectionWHEN` * | RST instead of an answer. |
//! | `close-connectionWHEN` | FIN instead of an answer. With `-after-all` the call was carried out: the lost answer. |
//! | `stall-for-10sWHEN` *, `stall-alwaysWHEN` *, `stall-at-256KiB` * | The call stalls, then continues. `always` is an hour. |
//! | `return-broken-stream` *, `return-broken-stream-after-512K` * | The connection is closed within the answer's body. |
//! | `return-broken-stream-final-chunk-after-10B` * | The answer that shows the finished object is cut to this many bytes. |
//! | `return-corrupted-data` * | One bit of the object's bytes is flipped in the answer. |
//! | `persist-256K`, `persist-some` | The whole body is read, but only bytes before this offset are persisted. |
//! | `hide-256K`, `hide-some` | This much of what the call persisted is not reported until after the next query. |
//! | `no-range` | A 308 does not say what is persisted. |
//! | `lose-session-410` | The upload session ends for good, with this status. |
//! | `report-256K-less`, `report-256K-more` | A 308 reports less or more than is persisted, which GCS never does. |
//!
//! `WHEN` is one of:
//!
//! | Suffix | When |
//! | --- | --- |
//! | none | Before anything is done; the body is not read. |
//! | `-after-256K` | When the upload has reached this offset; a stall also when the object that is read has. |
//! | `-after-some` | At a random multiple of 256 KiB among the bytes of the call. |
//! | `-after-body` | When the whole body has been read; its last bytes are not persisted yet. |
//! | `-after-all` | When everything is done, instead of the answer. |
//!
//! `-after-256K`, `-after-some`, `-after-body` and `persist-` apply to resumable uploads; an upload in one request only knows
//! "before anything" and `-after-all`.
//!
//! # Plans
//!
//! ```text
//! plan = "off" / item *( ";" item )
//! item = "seed" number / instruction [ "on" selector ] [ "call" number / interval ] [ "p" decimal ]
//! ```
//!
//! `seed 7; return-503 on write p 0.1; close-connection-after-all on last call 0; hide-some+return-503-after-some on write`
//!
//! `on` takes `any`, `start`, `write`, `last`, `query`, `cancel`, `stat`, `read`, `list`, `delete`, `compose`, `part` or
//! `complete` ([`CallSelector`] explains them). `call` selects among these calls, counted from 0: `0`, `2..5`, `3..`. `p` is how
//! probable the fault is for each of them, by the seed. The first rule that matches a call applies to it.
//!
//! # One request
//!
//! The header `x-goog-emulator-instructions` (or `x-goog-testbench-instructions`) brings an instruction with a request. The
//! testbench's Retry Test API is served too: `POST /retry_test`, then `x-retry-test-id` on the requests. It knows the names of
//! all operations of the JSON API, and the testbench's words for gRPC, by which nothing happens over HTTP.

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
