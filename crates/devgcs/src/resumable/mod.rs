//! Resumable sessions
//! (<https://cloud.google.com/storage/docs/performing-resumable-uploads>).

mod handlers;
mod progress;
#[cfg(test)]
mod progress_tests;
mod range;
mod session;

pub(crate) use handlers::{advance, answer, call, classify, declared, is_last, open, start};
pub(crate) use progress::{Batch, Phase};
pub(crate) use session::{CANCELLED, Intent, Session, SessionRecord};
