//! Access tokens, by Google's own library.
//!
//! It keeps a token and refreshes it in the background minutes before its end, so that a call finds one at once. Its
//! background task ends at an error that it takes for permanent, a wrong file or a revoked key: the credentials are
//! then made anew for a later call, so that a repaired file or a restored right needs no restart.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, external_account, impersonated, service_account, user_account,
};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use http::header::HeaderMap;
use tokio::time::{Instant, timeout};

use super::config::{Config, ConfigError, CredentialsSource};
use super::error::{Error, ErrorKind, one_line};

/// How often credentials are made anew, at most.
const REBUILD_INTERVAL: Duration = Duration::from_secs(30);

/// The `Authorization` header of each call.
pub(super) struct Auth {
    source: CredentialsSource,
    timeout: Duration,
    /// `None` where no credentials are sent.
    built: Option<Mutex<Built>>,
}

struct Built {
    credentials: Credentials,
    at: Instant,
}

impl Auth {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let source = config.credentials.clone();
        let built = match &source {
            CredentialsSource::Anonymous => None,
            CredentialsSource::Default | CredentialsSource::File(_) => {
                // A token is as good as a password for an hour.
                if !config.endpoint.is_tls() && !config.endpoint.is_loopback() {
                    return Err(ConfigError::PlainHttp(config.endpoint.clone()));
                }
                let credentials = build(&source).map_err(ConfigError::Credentials)?;
                let at = Instant::now();
                Some(Mutex::new(Built { credentials, at }))
            }
        };
        Ok(Self {
            source,
            timeout: config.credentials_timeout,
            built,
        })
    }

    /// `Authorization`, and what else the credentials need; nothing without credentials.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Error> {
        let Some(built) = &self.built else {
            return Ok(HeaderMap::new());
        };
        let credentials = built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .credentials
            .clone();
        match timeout(self.timeout, credentials.headers(Extensions::new())).await {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Err(Error::new(
                ErrorKind::CredentialsUnavailable,
                "credentials: no token was given",
            )),
            Ok(Err(error)) => {
                if !error.is_transient() {
                    self.rebuild(built);
                }
                Err(self.error(&error))
            }
            Err(_) => Err(Error::new(
                ErrorKind::CredentialsTimeout,
                format!("credentials: no access token within {:?}", self.timeout),
            )),
        }
    }

    /// Makes the credentials anew for the calls to come. What was wrong may still be: then they stay as they are.
    fn rebuild(&self, built: &Mutex<Built>) {
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        if built.at.elapsed() < REBUILD_INTERVAL {
            return;
        }
        built.at = Instant::now();
        match build(&self.source) {
            Ok(credentials) => built.credentials = credentials,
            Err(problem) => tracing::warn!(problem, "credentials cannot be made anew"),
        }
    }

    /// The text of `error` may hold what a token endpoint answered: only its outermost line is shown, scrubbed.
    fn error(&self, error: &CredentialsError) -> Error {
        let text = error.to_string();
        let text = text.split("body=<").next().unwrap_or_default();
        let text = one_line(text, 240);
        let kind = if error.is_transient() {
            ErrorKind::CredentialsUnavailable
        } else {
            ErrorKind::CredentialsRefused
        };
        let hint = match (&self.source, error.is_transient()) {
            (CredentialsSource::Default, true) => {
                " (without GOOGLE_APPLICATION_CREDENTIALS or a gcloud login, the metadata server is asked)"
            }
            _ => "",
        };
        Error::new(kind, format!("credentials: {text}{hint}"))
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn build(source: &CredentialsSource) -> Result<Credentials, String> {
    let CredentialsSource::File(path) = source else {
        return Builder::default()
            .build()
            .map_err(|error| one_line(&error.to_string(), 400));
    };
    let name = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("{name}: not JSON: {error}"))?;
    let built = match json.get("type").and_then(serde_json::Value::as_str) {
        Some("service_account") => service_account::Builder::new(json).build(),
        Some("external_account") => external_account::Builder::new(json).build(),
        Some("impersonated_service_account") => impersonated::Builder::new(json).build(),
        Some("authorized_user") => user_account::Builder::new(json).build(),
        Some(other) => {
            return Err(format!(
                "{name}: credentials of type {:?} are not supported",
                one_line(other, 64)
            ));
        }
        None => {
            return Err(format!(
                "{name}: it has no \"type\", so it is no credentials file"
            ));
        }
    };
    built.map_err(|error| one_line(&format!("{name}: {error}"), 400))
}
