//! The upload in a task's hands.

use super::super::Token;

/// An upload that has been started.
pub(super) struct CurrentUpload<W> {
    pub(super) token: Token,
    /// `None` while there is no connection, and during a request: a writer whose request was cut is not used again.
    pub(super) writer: Option<W>,
}

impl<W> CurrentUpload<W> {
    /// One that has no connection.
    pub(super) fn detached(token: Token) -> Self {
        Self { token, writer: None }
    }
}
