//! A connection that ends instead of an answer.

use std::fmt;

/// In an answer's extensions: the connection ends, and the answer is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// With an RST.
    Reset,
    /// With a FIN.
    Close,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "injected: the connection was reset",
            Self::Close => "injected: the connection was closed",
        })
    }
}

impl std::error::Error for Cut {}
