//! Access tokens, by Google's own library.
//!
//! It keeps a token and refreshes it in the background minutes before it expires, so that a call need not wait. It would
//! keep one that GCS refuses until then, and it reads a credentials file only once. Here the credentials are made anew
//!
//! * when their file has changed, which is looked at before a call, at most every second. A file that is missing or cannot
//!   be read changes nothing: it may be half written;
//! * when GCS refuses a token (401), at most every 30 s. The call is worth repeating then, with a fresh token. If GCS
//!   refuses that one too before it has taken it once, it is not;
//! * when the library reports an error that it considers permanent, such as a revoked key, after which it would not try
//!   again; at most every 30 s, too.
//!
//! All calls share one set of credentials, and so one request for a token, however many of them wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout};

use super::config::Config;
use super::config_error::ConfigError;
use super::credentials::CredentialsSource;
use super::credentials_file::Material;
use super::credentials_text::explain;
use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind};
use super::observer::{SharedObserver, Token};
use super::proxies::Proxies;
use super::universe;

/// The shortest time between two rebuilds of the credentials whose file is as it was.
const REBUILD_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two looks at the credentials' file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a call waits for such a look: the file may lie on a mount that hangs.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// The `Authorization` header of each call.
pub(super) struct Auth {
    timeout: Duration,
    /// `None` where no credentials are sent.
    kept: Option<Arc<Kept>>,
    observer: Option<SharedObserver>,
}

/// What GCS's refusal of a call (401) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unauthorized {
    /// No token was sent, since there are no credentials.
    Anonymous,
    /// The next call is sent with another token, after this time.
    Again(Duration),
    /// A fresh token was refused as well.
    Final,
}

impl Unauthorized {
    /// What to do, for a person.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Anonymous => "no credentials were sent: name some with --credentials",
            Self::Again(_) => "the access token was dropped: the next try is made with a fresh one",
            Self::Final => {
                "a fresh access token was refused, too: check that the account of the credentials still exists, and this \
                 machine's clock"
            }
        }
    }
}

/// Credentials, and what is known of their tokens.
struct Kept {
    source: CredentialsSource,
    endpoint: Endpoint,
    state: Mutex<State>,
}

struct State {
    material: Material,
    credentials: Credentials,
    /// Counts the credentials that were made.
    made: u64,
    /// What they gave last. `None` until they have given something.
    token: Option<HeaderValue>,
    /// They were made because GCS refused a token, and GCS has not taken one of theirs yet.
    on_trial: bool,
    /// When they may be rebuilt though their file is as it was.
    not_before: Instant,
    /// When to look at the file again. `None` while somebody looks.
    next_look: Option<Instant>,
    /// What was last said to be wrong with it.
    complaint: Option<String>,
}

impl State {
    fn replace(&mut self, credentials: Credentials, on_trial: bool) {
        self.credentials = credentials;
        self.made += 1;
        self.token = None;
        self.on_trial = on_trial;
    }

    /// Makes the credentials anew, unless that was done a moment ago. If it fails they stay as they are.
    fn rebuild(&mut self, on_trial: bool) {
        let now = Instant::now();
        if now < self.not_before {
            return;
        }
        self.not_before = now + REBUILD_INTERVAL;
        match self.material.build() {
            Ok(credentials) => self.replace(credentials, on_trial),
            Err(problem) => tracing::warn!(problem, "credentials cannot be rebuilt"),
        }
    }
}

impl Auth {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let source = config.credentials.clone();
        let kept = match &source {
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
                let material = Material::read(&source).map_err(ConfigError::Credentials)?;
                let credentials = material.build().map_err(ConfigError::Credentials)?;
                source.check_universe(&config.endpoint)?;
                let now = Instant::now();
                Some(Arc::new(Kept {
                    source,
                    endpoint: config.endpoint.clone(),
                    state: Mutex::new(State {
                        material,
                        credentials,
                        made: 0,
                        token: None,
                        on_trial: false,
                        not_before: now,
                        next_look: Some(now + LOOK_INTERVAL),
                        complaint: None,
                    }),
                }))
            }
        };
        Ok(Self {
            timeout: config.credentials_timeout,
            kept,
            observer: config.observer.clone(),
        })
    }

    /// `Authorization` and whatever else the credentials need; nothing without credentials.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Error> {
        let Some(kept) = &self.kept else {
            return Ok(HeaderMap::new());
        };
        let headers = self.of(kept).await;
        if let Err(error) = &headers {
            self.tell(Token::Failed(error.kind()));
        }
        headers
    }

    fn tell(&self, token: Token) {
        if let Some(observer) = &self.observer {
            observer.token(token);
        }
    }

    async fn of(&self, kept: &Arc<Kept>) -> Result<HeaderMap, Error> {
        kept.look().await;
        let (credentials, made) = {
            let state = kept.lock();
            (state.credentials.clone(), state.made)
        };
        match timeout(self.timeout, credentials.headers(Extensions::new())).await {
            Ok(Ok(CacheableResource::New { data, .. })) => {
                let mut state = kept.lock();
                if state.made == made && state.token.as_ref() != data.get(AUTHORIZATION) {
                    state.token = data.get(AUTHORIZATION).cloned();
                    drop(state);
                    self.tell(Token::Fetched);
                }
                Ok(data)
            }
            Ok(Ok(CacheableResource::NotModified)) => Err(Error::new(
                ErrorKind::CredentialsUnavailable,
                "credentials: no token was given",
            )),
            Ok(Err(error)) => {
                let mut state = kept.lock();
                if !error.is_transient() && state.made == made {
                    let on_trial = state.on_trial;
                    state.rebuild(on_trial);
                }
                Err(kept.error(&error))
            }
            Err(_) => Err(Error::new(
                ErrorKind::CredentialsTimeout,
                format!(
                    "credentials: no access token within {:?}; is the token server reachable from here?",
                    self.timeout
                ),
            )),
        }
    }

    /// Looks at the credentials' file now. Fails with what is wrong with it.
    pub(super) fn reread(&self) -> Result<(), String> {
        let Some(kept) = &self.kept else { return Ok(()) };
        kept.take_up();
        match &kept.lock().complaint {
            None => Ok(()),
            Some(problem) => Err(format!("credentials: {problem}")),
        }
    }

    /// Notes that GCS took a call with the token `sent`.
    pub(super) fn accepted(&self, sent: Option<&HeaderValue>) {
        if let (Some(kept), Some(_)) = (&self.kept, sent) {
            let mut state = kept.lock();
            if state.on_trial && state.token.as_ref() == sent {
                state.on_trial = false;
            }
        }
    }

    /// Notes that GCS refused a call with 401, and drops the token. A call on a session is sent without one.
    pub(super) fn refused(&self, sent: Option<&HeaderValue>) -> Unauthorized {
        let Some(kept) = &self.kept else {
            return Unauthorized::Anonymous;
        };
        self.tell(Token::Refused);
        let mut state = kept.lock();
        if sent.is_some() && state.token.as_ref() != sent {
            // It was dropped or refreshed while the call was under way.
            return Unauthorized::Again(Duration::ZERO);
        }
        let proven = !state.on_trial;
        let made = state.made;
        state.rebuild(true);
        if !proven {
            return Unauthorized::Final;
        }
        if state.made > made {
            tracing::warn!("GCS refused an access token: a fresh one is fetched");
            return Unauthorized::Again(Duration::ZERO);
        }
        // Another was dropped a moment ago, and GCS took this one since.
        Unauthorized::Again(state.not_before.duration_since(Instant::now()))
    }

    /// Checks that `endpoint` accepts tokens of these credentials. May ask the metadata server; if that does not answer,
    /// nothing is refused.
    pub(super) async fn check_universe(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let credentials = kept.lock().credentials.clone();
        match timeout(self.timeout, credentials.universe_domain()).await {
            Ok(Some(universe)) => universe::check(&universe, endpoint).map_err(|problem| {
                Error::new(ErrorKind::CredentialsRefused, format!("credentials: {problem}"))
            }),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether the credentials' file has changed, if it was not looked at a moment ago, and takes it up.
    async fn look(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.next_look.is_none_or(|next| Instant::now() < next) {
                return;
            }
            state.next_look = None;
        }
        let kept = self.clone();
        let look = tokio::task::spawn_blocking(move || {
            kept.take_up();
            kept.lock().next_look = Some(Instant::now() + LOOK_INTERVAL);
        });
        // If it takes longer, the credentials are as they were until it is done.
        let _ = timeout(LOOK_PATIENCE, look).await;
    }

    /// Reads the credentials' file again, if it has changed. Blocks.
    fn take_up(&self) {
        // Nobody else replaces the material: one looks at a time. Reading is not done under the lock.
        let material = {
            let state = self.lock();
            state.material.clone()
        };
        if !material.has_changed(&self.source) {
            self.lock().complaint = None;
            return;
        }
        let read = material.reread(&self.source).and_then(|material| {
            self.source
                .check_universe(&self.endpoint)
                .map_err(|problem| problem.to_string())?;
            Ok((material.build()?, material))
        });
        let mut state = self.lock();
        match read {
            Ok((credentials, material)) => {
                state.material = material;
                state.complaint = None;
                state.replace(credentials, false);
                tracing::info!("the credentials have changed, and were read again");
            }
            Err(problem) => {
                if state.complaint.as_ref() != Some(&problem) {
                    tracing::warn!(
                        problem,
                        "the credentials have changed and cannot be read: those from before stay in use"
                    );
                    state.complaint = Some(problem);
                }
            }
        }
    }

    fn error(&self, error: &CredentialsError) -> Error {
        let kind = if error.is_transient() {
            ErrorKind::CredentialsUnavailable
        } else {
            ErrorKind::CredentialsRefused
        };
        Error::new(kind, explain(&self.source, error))
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = self.kept.as_ref().map(|kept| &kept.source);
        f.debug_struct("Auth")
            .field("source", &source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
