//! Who a connection is, as far as it has shown.

use super::secret::SecretHash;
use crate::peer::{Certificate, Peer};

/// What a connection has shown of who it is.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The user of the process behind a Unix socket.
    pub uid: Option<u32>,
    /// Its group, the effective one.
    pub gid: Option<u32>,
    /// The names in a client's certificate that an authority vouches for, each as a rule writes it.
    pub certificate: Vec<String>,
    /// The secret that Hello brought.
    pub secret: Option<Shown>,
}

impl From<&Peer> for Evidence {
    fn from(peer: &Peer) -> Self {
        let credentials = peer.credentials();
        Self {
            uid: credentials.map(|process| process.uid),
            gid: credentials.map(|process| process.gid),
            certificate: peer.certificate().map(names).unwrap_or_default(),
            secret: None,
        }
    }
}

/// The names in a certificate, as rules write them.
fn names(certificate: &Certificate) -> Vec<String> {
    let lists = [
        ("dns", &certificate.dns_names),
        ("uri", &certificate.uris),
        ("email", &certificate.emails),
    ];
    let alternatives = lists.into_iter().flat_map(|(kind, names)| {
        let names = names.iter();
        names.map(move |name| format!("{kind}:{name}"))
    });
    let subject = Some(&certificate.subject).filter(|subject| !subject.is_empty());
    let subject = subject.map(|subject| format!("subject:{subject}"));
    subject.into_iter().chain(alternatives).collect()
}

/// A secret that Hello brought.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The one of `--auth-file`.
    AuthFile,
    /// One that should be known by its hash; with the name that the client gave it.
    Hashed(Option<String>, SecretHash),
}

/// Whom a rule is for: whoever one of these fits.
#[derive(Debug, Clone, Default)]
pub(super) struct Who {
    pub(super) uids: Vec<u32>,
    pub(super) gids: Vec<u32>,
    pub(super) certificates: Vec<String>,
    pub(super) secrets: Vec<Named>,
    pub(super) auth_file: bool,
    pub(super) anybody: bool,
}

/// A secret that a rule knows.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) hash: SecretHash,
}

impl Who {
    /// Whether nobody can be meant.
    pub(super) fn is_empty(&self) -> bool {
        self.uids.is_empty()
            && self.gids.is_empty()
            && self.certificates.is_empty()
            && self.secrets.is_empty()
            && !self.auth_file
            && !self.anybody
    }

    /// Whether the secret is one of these. All are compared, whether or not one has fitted.
    pub(super) fn knows(&self, shown: &Shown) -> bool {
        match shown {
            Shown::AuthFile => self.auth_file,
            Shown::Hashed(name, hash) => self.secrets.iter().fold(false, |known, secret| {
                let named = name.as_ref().is_none_or(|name| *name == secret.name);
                known | (secret.hash.is(hash) & named)
            }),
        }
    }

    /// Whether the other end is one of these by what its socket or its certificate says.
    pub(super) fn fits(&self, evidence: &Evidence) -> bool {
        evidence.uid.is_some_and(|uid| self.uids.contains(&uid))
            || evidence.gid.is_some_and(|gid| self.gids.contains(&gid))
            || evidence
                .certificate
                .iter()
                .any(|name| self.certificates.contains(name))
    }
}
