//! What the tests share.

pub(crate) mod cases;
pub(crate) mod http;
pub(crate) mod vectors;
