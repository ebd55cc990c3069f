//! The calls to GCS, and the kinds of failure.

/// Which call an [`Error`](crate::Error) belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Start of a resumable upload.
    Start,
    /// A range of bytes into a session.
    Write,
    /// The status of a session.
    Query,
    /// The end of a session, without bytes.
    Finish,
    /// The deletion of a session.
    Cancel,
    /// An object in one request.
    Put,
    /// An object's or a bucket's metadata.
    Stat,
    /// An object's bytes.
    Read,
    /// A page of objects or buckets.
    List,
    /// The deletion of an object.
    Delete,
    /// An object composed of others.
    Compose,
    /// A step of a copy.
    Rewrite,
    /// A change of metadata.
    Patch,
    /// A new name for an object.
    Move,
    /// Start of a multipart upload.
    StartMultipart,
    /// A part of a multipart upload.
    UploadPart,
    /// A page of its parts.
    ListParts,
    /// Its end: the object of its parts.
    CompleteMultipart,
    /// Its end without an object.
    AbortMultipart,
}

impl Call {
    /// Its name in logs and metrics: `start_multipart`, say.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Write => "write",
            Self::Query => "query",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
            Self::Put => "put",
            Self::Stat => "stat",
            Self::Read => "read",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Compose => "compose",
            Self::Rewrite => "rewrite",
            Self::Patch => "patch",
            Self::Move => "move",
            Self::StartMultipart => "start_multipart",
            Self::UploadPart => "upload_part",
            Self::ListParts => "list_parts",
            Self::CompleteMultipart => "complete_multipart",
            Self::AbortMultipart => "abort_multipart",
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident,)*) => {
        /// What kind of failure an [`Error`](crate::Error) is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl ErrorKind {
            /// Every kind, so that code which gives each a meaning can test that it left none out.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];
        }
    };
}

kinds! {
    /// The arguments make no valid request; nothing was sent.
    Invalid,
    /// The host name has no address.
    Resolve,
    /// This machine has no more open files, or no memory, for a connection: neither the network nor GCS is at fault.
    Exhausted,
    /// The server could not be reached: connection refused, or no route.
    Connect,
    /// The connection was not up in the time allowed, TLS included.
    ConnectTimeout,
    /// The proxy refused: the user or password, or the server to connect to.
    ProxyRefused,
    /// The TLS handshake or a TLS record failed. The peer may speak another protocol.
    Tls,
    /// The server's certificate is not trusted.
    Certificate,
    /// The connection broke.
    Reset,
    /// The server closed the connection before its response was complete.
    EarlyClose,
    /// GCS neither took nor sent a byte for the time allowed.
    GcsStalled,
    /// The body's source gave no byte for the time allowed.
    SourceStalled,
    /// The body's source ended before its last byte: the client is gone.
    SourceEnded,
    /// The body's source failed.
    SourceFailed,
    /// The body's source was taken back by its lender.
    SourceTaken,
    /// The body was aborted by its sender.
    SourceAborted,
    /// What the body's source gave is not the body that was announced.
    SourceMalformed,
    /// The body has another checksum than its sender says.
    SourceDamaged,
    /// The answer is not one that GCS gives to this call.
    BadResponse,
    /// GCS answered with an error that has no kind of its own here; see [`Error::http_status`](crate::Error::http_status).
    Http,
    /// GCS answered with success and then with an error: what became of the request is unknown.
    LateError,
    /// GCS does not know the session (404 or 410): only a new upload helps.
    SessionLost,
    /// The session was cancelled (499).
    SessionCancelled,
    /// The range starts beyond what is committed (503 text/plain: it looks retryable and is not).
    Gap,
    /// The object's checksum is not the one given; no object appeared.
    ChecksumMismatch,
    /// The credentials were refused, or there are none.
    CredentialsRefused,
    /// No access token was available.
    CredentialsUnavailable,
    /// No access token arrived in time.
    CredentialsTimeout,
}
