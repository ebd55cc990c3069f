//! The universe that credentials belong to: Google Cloud itself, or a cloud of the same make that somebody else runs
//! (<https://cloud.google.com/docs/authentication/universe-domain>).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config::{ConfigError, CredentialsSource};
use super::endpoint::Endpoint;

/// Google Cloud's own.
const GOOGLE: &str = "googleapis.com";

impl CredentialsSource {
    /// Cloud Storage of the universe that the credentials belong to, by their file: `https://storage.UNIVERSE`.
    ///
    /// Google Cloud's own where nothing names another: without credentials, with a file that has no `universe_domain`, and
    /// with the metadata server, which is not asked here.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        match self.universe()? {
            None => Ok(Endpoint::google()),
            Some(universe) => endpoint_of(&universe).ok_or(ConfigError::BadUniverse(universe)),
        }
    }

    /// The universe that the credentials' file names, if it is not Google Cloud's own.
    fn universe(&self) -> Result<Option<String>, ConfigError> {
        match self.file(|name| std::env::var_os(name)) {
            None => Ok(None),
            Some(path) => read(&path).map_err(ConfigError::Credentials),
        }
    }

    /// The file that the credentials come from: that of the application default credentials
    /// (<https://google.aip.dev/auth/4110>) where no other is named.
    fn file(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        match self {
            Self::Anonymous => None,
            Self::File(path) => Some(path.clone()),
            Self::Default => variable("GOOGLE_APPLICATION_CREDENTIALS")
                .map(PathBuf::from)
                .or_else(|| {
                    let home = PathBuf::from(variable("HOME")?);
                    Some(home.join(".config/gcloud/application_default_credentials.json"))
                })
                .filter(|path| path.exists()),
        }
    }

    /// Refuses an endpoint of Google Cloud's own for credentials of another universe: it would take none of their tokens.
    ///
    /// Any other endpoint may be a private one.
    pub(super) fn check_universe(&self, endpoint: &Endpoint) -> Result<(), ConfigError> {
        match self.universe()? {
            Some(universe) => {
                check(&universe, endpoint).map_err(|problem| ConfigError::Universe(Box::new(problem)))
            }
            None => Ok(()),
        }
    }
}

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

fn is_google(universe: &str) -> bool {
    matches!(universe, "" | GOOGLE)
}

fn endpoint_of(universe: &str) -> Option<Endpoint> {
    let domain = universe
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let endpoint = Endpoint::parse(&format!("https://storage.{universe}")).ok()?;
    let domain = domain && !universe.is_empty() && !universe.starts_with('.');
    domain.then_some(endpoint)
}

/// What the file at `path` names, if it is another universe than Google Cloud's own.
fn read(path: &Path) -> Result<Option<String>, String> {
    let name = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("{name}: not JSON: {error}"))?;
    // An impersonation is made by other credentials, and belongs where they do.
    let named = [&json, &json["source_credentials"]]
        .into_iter()
        .find_map(|json| json.get("universe_domain")?.as_str());
    Ok(named.filter(|universe| !is_google(universe)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(folder: &tempfile::TempDir, json: &str) -> CredentialsSource {
        let path = folder.path().join("key.json");
        std::fs::write(&path, json).expect("written");
        CredentialsSource::File(path)
    }

    #[test]
    fn the_file_decides_the_endpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        for (json, expected) in [
            (r#"{"type":"service_account"}"#, "https://storage.googleapis.com"),
            (r#"{"universe_domain":""}"#, "https://storage.googleapis.com"),
            (
                r#"{"universe_domain":"googleapis.com"}"#,
                "https://storage.googleapis.com",
            ),
            (
                r#"{"universe_domain":"apis-tpc.example"}"#,
                "https://storage.apis-tpc.example",
            ),
            (
                r#"{"type":"impersonated_service_account","source_credentials":{"universe_domain":"tpc.example"}}"#,
                "https://storage.tpc.example",
            ),
        ] {
            let endpoint = source(&folder, json).endpoint().expect(json);
            assert_eq!(endpoint.to_string(), expected, "{json}");
        }
        for bad in ["a b", ".", "x/y", "x:1", "u@x", ".x", "ü"] {
            let source = source(&folder, &format!(r#"{{"universe_domain":"{bad}"}}"#));
            assert!(
                matches!(source.endpoint(), Err(ConfigError::BadUniverse(_))),
                "{bad:?}"
            );
        }
        let missing = CredentialsSource::File(folder.path().join("none")).endpoint();
        assert!(matches!(missing, Err(ConfigError::Credentials(_))), "{missing:?}");
        let anonymous = CredentialsSource::Anonymous.endpoint().expect("Google's");
        assert_eq!(anonymous, Endpoint::google());
    }

    #[test]
    fn application_default_credentials_are_found_where_google_keeps_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().as_os_str().to_owned();
        let known = folder
            .path()
            .join(".config/gcloud/application_default_credentials.json");
        let file = |named: Option<&Path>| {
            CredentialsSource::Default.file(|name| match name {
                "HOME" => Some(home.clone()),
                "GOOGLE_APPLICATION_CREDENTIALS" => named.map(|path| path.as_os_str().to_owned()),
                other => panic!("{other} was asked for"),
            })
        };
        assert_eq!(file(None), None);
        std::fs::create_dir_all(known.parent().expect("a folder")).expect("made");
        std::fs::write(&known, "{}").expect("written");
        assert_eq!(file(None), Some(known.clone()));
        let other = folder.path().join("other.json");
        assert_eq!(file(Some(&other)), None);
        std::fs::write(&other, "{}").expect("written");
        assert_eq!(file(Some(&other)), Some(other));
    }

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
