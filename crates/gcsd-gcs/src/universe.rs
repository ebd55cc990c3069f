//! The universe that credentials belong to: Google Cloud itself, or a cloud of the same make that somebody else runs
//! (<https://cloud.google.com/docs/authentication/universe-domain>).

use super::endpoint::Endpoint;

/// Google Cloud's own.
const GOOGLE: &str = "googleapis.com";

/// Credentials and an endpoint that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "they belong to the universe {universe}, and {endpoint} to {GOOGLE}: use the endpoint https://storage.{universe}"
)]
pub struct UniverseMismatch {
    universe: String,
    endpoint: Endpoint,
}

/// Whether tokens of `universe` can be of use at `endpoint`.
pub(super) fn check(universe: &str, endpoint: &Endpoint) -> Result<(), UniverseMismatch> {
    let host = endpoint.host();
    let googles = host == GOOGLE
        || host
            .strip_suffix(GOOGLE)
            .is_some_and(|front| front.ends_with('.'));
    if googles && !is_google(universe) {
        let (universe, endpoint) = (universe.to_owned(), endpoint.clone());
        return Err(UniverseMismatch { universe, endpoint });
    }
    Ok(())
}

pub(super) fn is_google(universe: &str) -> bool {
    matches!(universe, "" | GOOGLE)
}

pub(super) fn endpoint_of(universe: &str) -> Option<Endpoint> {
    let domain = universe
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let endpoint = Endpoint::parse(&format!("https://storage.{universe}")).ok()?;
    (domain && !universe.starts_with('.')).then_some(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_googles_own_endpoints_are_refused_to_another_universe() {
        for (universe, endpoint, good) in [
            ("tpc.example", "https://storage.googleapis.com", false),
            (
                "tpc.example",
                "https://storage.europe-west3.rep.googleapis.com",
                false,
            ),
            ("tpc.example", "https://storage.tpc.example", true),
            ("tpc.example", "https://gcs.internal", true),
            ("tpc.example", "https://notgoogleapis.com", true),
            ("googleapis.com", "https://storage.googleapis.com", true),
            ("", "https://storage.googleapis.com", true),
            ("googleapis.com", "https://storage.tpc.example", true),
        ] {
            let endpoint: Endpoint = endpoint.parse().expect("an endpoint");
            assert_eq!(check(universe, &endpoint).is_ok(), good, "{universe} {endpoint}");
        }
    }
}
