//! Access tokens, by Google's own library.
//!
//! It keeps a token and refreshes it in the background minutes before it expires, so that a call need not wait. Its
//! background task stops at an error that it considers permanent, such as a wrong file or a revoked key. The credentials
//! are then rebuilt for later calls, so that a repaired file or a restored right needs no restart.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, external_account, impersonated, service_account, user_account,
};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use http::header::HeaderMap;
use tokio::time::{Instant, timeout};

use super::config::Config;
use super::config_error::ConfigError;
use super::credentials::CredentialsSource;
use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind, one_line};
use super::proxies::Proxies;
use super::universe;

/// The shortest time between two rebuilds of the credentials.
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
    /// When they may be rebuilt.
    not_before: Instant,
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
                let proxies = config.proxies.clone().map(Proxies::except_local);
                if proxies.is_some_and(|proxies| proxies != Proxies::from_env().except_local()) {
                    return Err(ConfigError::TokenProxies);
                }
                let credentials = build(&source).map_err(ConfigError::Credentials)?;
                source.check_universe(&config.endpoint)?;
                let not_before = Instant::now() + REBUILD_INTERVAL;
                Some(Mutex::new(Built {
                    credentials,
                    not_before,
                }))
            }
        };
        Ok(Self {
            source,
            timeout: config.credentials_timeout,
            built,
        })
    }

    /// `Authorization` and whatever else the credentials need; nothing without credentials.
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

    /// Checks that `endpoint` accepts tokens of these credentials. May ask the metadata server; if that does not answer,
    /// nothing is refused.
    pub(super) async fn check_universe(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(built) = &self.built else { return Ok(()) };
        let credentials = built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .credentials
            .clone();
        match timeout(self.timeout, credentials.universe_domain()).await {
            Ok(Some(universe)) => universe::check(&universe, endpoint).map_err(|problem| {
                Error::new(ErrorKind::CredentialsRefused, format!("credentials: {problem}"))
            }),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Rebuilds the credentials for later calls. If that fails they stay as they are.
    fn rebuild(&self, built: &Mutex<Built>) {
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() < built.not_before {
            return;
        }
        built.not_before = Instant::now() + REBUILD_INTERVAL;
        match build(&self.source) {
            Ok(credentials) => built.credentials = credentials,
            Err(problem) => tracing::warn!(problem, "credentials cannot be rebuilt"),
        }
    }

    /// The text of `error` may quote a token endpoint: only its outermost line is shown, scrubbed.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request for a token with the same answer.
    async fn token_server(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let len = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n");
                let answer = format!("{head}Content-Type: application/json\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}/token")
    }

    fn write_user(path: &Path, token_uri: &str) {
        let json = serde_json::json!({
            "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
            "token_uri": token_uri,
        });
        std::fs::write(path, json.to_string()).expect("written");
    }

    #[tokio::test]
    async fn a_repaired_file_is_found_without_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("user.json");
        write_user(
            &path,
            &token_server("400 Bad Request", r#"{"error":"invalid_grant"}"#).await,
        );
        let mut config = Config::new(Endpoint::google());
        config.credentials = CredentialsSource::File(path.clone());
        let auth = Auth::new(&config).expect("credentials");
        let kind = |outcome: Result<HeaderMap, Error>| outcome.expect_err("refused").kind();
        assert_eq!(kind(auth.headers().await), ErrorKind::CredentialsRefused);

        let token = r#"{"access_token":"t","expires_in":3600,"token_type":"Bearer"}"#;
        write_user(&path, &token_server("200 OK", token).await);
        // Not immediately: a refusal must not turn into a storm of attempts.
        assert_eq!(kind(auth.headers().await), ErrorKind::CredentialsRefused);
        assert_eq!(kind(auth.headers().await), ErrorKind::CredentialsRefused);
        let built = auth.built.as_ref().expect("credentials");
        built.lock().expect("unharmed").not_before = Instant::now();
        // The call that meets the error rebuilds the credentials for the next one.
        assert_eq!(kind(auth.headers().await), ErrorKind::CredentialsRefused);
        assert!(
            auth.headers()
                .await
                .expect("a token")
                .contains_key("authorization")
        );
    }
}
