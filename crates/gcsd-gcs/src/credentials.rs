//! Where access tokens come from, and which Cloud Storage they are for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config_error::ConfigError;
use super::endpoint::Endpoint;
use super::universe;

/// Where access tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// Send none: for emulators and public objects.
    Anonymous,
    /// Application default credentials
    /// (<https://cloud.google.com/docs/authentication/application-default-credentials>).
    #[default]
    Default,
    /// A credentials file of any type that Google documents: a service account key, an external account
    /// (workload identity federation), an impersonated service account, a user.
    File(PathBuf),
}

/// Where gcloud keeps the application default credentials, below the home directory.
const GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

impl CredentialsSource {
    /// Cloud Storage of the universe that the credentials belong to, by their file: `https://storage.UNIVERSE`.
    ///
    /// Google Cloud's own where nothing names another: without credentials, with a file that has no `universe_domain`, and
    /// with the metadata server, which is not asked here.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        match self.universe()? {
            None => Ok(Endpoint::google()),
            Some(universe) => universe::endpoint_of(&universe).ok_or(ConfigError::BadUniverse(universe)),
        }
    }

    /// The file that the credentials come from now.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.file(|name| std::env::var_os(name))
    }

    /// The universe that the credentials' file names, if it is not Google Cloud's own.
    fn universe(&self) -> Result<Option<String>, ConfigError> {
        match self.path() {
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
                    Some(home.join(GCLOUD))
                })
                .filter(|path| path.exists()),
        }
    }

    /// Where the file of the application default credentials was looked for, in words.
    pub(super) fn looked(variable: impl Fn(&str) -> Option<OsString>) -> String {
        let path = |path: &Path| format!("{} is not there", path.display());
        match (variable("GOOGLE_APPLICATION_CREDENTIALS"), variable("HOME")) {
            (Some(named), _) => path(Path::new(&named)) + " (GOOGLE_APPLICATION_CREDENTIALS)",
            (None, Some(home)) => {
                let gcloud = PathBuf::from(home).join(GCLOUD);
                format!("GOOGLE_APPLICATION_CREDENTIALS is not set, {}", path(&gcloud))
            }
            (None, None) => "neither GOOGLE_APPLICATION_CREDENTIALS nor HOME is set".to_owned(),
        }
    }

    /// Refuses an endpoint of Google Cloud's own for credentials of another universe: it would take none of their tokens.
    ///
    /// Any other endpoint may be a private one.
    pub(super) fn check_universe(&self, endpoint: &Endpoint) -> Result<(), ConfigError> {
        match self.universe()? {
            Some(universe) => universe::check(&universe, endpoint)
                .map_err(|problem| ConfigError::Universe(Box::new(problem))),
            None => Ok(()),
        }
    }
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
    Ok(named
        .filter(|universe| !universe::is_google(universe))
        .map(str::to_owned))
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
        let looked = |named: Option<&Path>| {
            CredentialsSource::looked(|name| match name {
                "HOME" => Some(home.clone()),
                _ => named.map(|path| path.as_os_str().to_owned()),
            })
        };
        let place = known.display();
        let both = format!("GOOGLE_APPLICATION_CREDENTIALS is not set, {place} is not there");
        assert_eq!(looked(None), both);
        let named = "x.json is not there (GOOGLE_APPLICATION_CREDENTIALS)";
        assert_eq!(looked(Some(Path::new("x.json"))), named);
        std::fs::create_dir_all(known.parent().expect("a folder")).expect("made");
        std::fs::write(&known, "{}").expect("written");
        assert_eq!(file(None), Some(known.clone()));
        let other = folder.path().join("other.json");
        assert_eq!(file(Some(&other)), None);
        std::fs::write(&other, "{}").expect("written");
        assert_eq!(file(Some(&other)), Some(other));
    }
}
