//! Resumable sessions
//! (<https://cloud.google.com/storage/docs/performing-resumable-uploads>).

mod handlers;
mod progress;
#[cfg(test)]
mod progress_tests;
mod range;
mod session;

pub(crate) use handlers::{advance, answer, call, classify, declared, open, start};
pub(crate) use progress::Phase;
pub(crate) use session::{Intent, Session, SessionRecord};
