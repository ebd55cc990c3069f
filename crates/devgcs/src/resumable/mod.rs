//! Resumable sessions
//! (<https://cloud.google.com/storage/docs/performing-resumable-uploads>).

mod handlers;
mod progress;
#[cfg(test)]
mod progress_tests;
mod range;
mod session;

pub(crate) use handlers::{advance, call, classify, declared, is_last, open, respond, start};
pub(crate) use progress::{Batch, Phase};
pub(crate) use session::{Intent, SavedSession, Session};
