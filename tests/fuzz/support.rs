//! What the tests of `it` share, as far as it is needed here.

#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../it/support/daemon.rs"]
pub(crate) mod daemon;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../it/support/http.rs"]
pub(crate) mod http;
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../it/support/peer.rs"]
pub(crate) mod peer;
#[path = "../it/support/vectors.rs"]
pub(crate) mod vectors;
