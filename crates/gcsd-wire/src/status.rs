//! The closed set of statuses (proto-spec.md, "Errors and recovery").
//!
//! A status is a number of 16 bits that explains itself: the highest four bits are the layer at fault,
//! the next four what to do, the low eight which failure it was. A client that meets a number it does
//! not know still knows whose fault it is and how to go on.

use std::fmt;

/// Whose fault a failure is: the highest four bits of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Layer {
    /// The client sent something wrong, or nothing.
    Client = 1,
    /// The daemon cannot, for reasons of its own.
    Daemon = 2,
    /// The network between the daemon and GCS.
    Network = 3,
    /// GCS answered with an error.
    Gcs = 4,
    /// The daemon's credentials.
    Credentials = 5,
}

impl Layer {
    /// The layer's name in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Daemon => "daemon",
            Self::Network => "network",
            Self::Gcs => "gcs",
            Self::Credentials => "credentials",
        }
    }
}

/// What a client can do after a failure: bits 8 to 11 of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Retry {
    /// The request is wrong or refused: sending it again changes nothing.
    Never = 0,
    /// Nothing happened: send it again, after the delay.
    Same = 1,
    /// It is unknown what arrived: `QueryUpload`, then go on from `committed`.
    Query = 2,
    /// The session is lost: only a new upload from byte 0 helps.
    Restart = 3,
    /// This connection is over, the upload is not: connect again, attach by token, query.
    Reconnect = 4,
}

impl Retry {
    /// The class's name in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Same => "same",
            Self::Query => "query",
            Self::Restart => "restart",
            Self::Reconnect => "reconnect",
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $code:literal $layer:ident $kind:ident $name:literal;)*) => {
        /// Which failure it was: the low eight bits of a status, unique over all layers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind = $code,)*
        }

        impl Kind {
            /// Every kind, in the order of the specification's table.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The kind's name in the specification.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Whose fault the kind is.
            pub fn layer(self) -> Layer {
                match self { $(Self::$kind => Layer::$layer,)* }
            }

            fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

kinds! {
    /// The head is not one of this protocol.
    0x01 Client BadHead "bad_head";
    /// The head asks for a version that is not spoken here.
    0x02 Client BadVersion "bad_version";
    /// A flag that is not defined for the opcode.
    0x03 Client BadFlags "bad_flags";
    /// The opcode is not known here.
    0x04 Client Unsupported "unsupported";
    /// The args do not have the opcode's layout, or hold an impossible value.
    0x05 Client BadArgs "bad_args";
    /// The args are longer than the daemon's limit.
    0x06 Client ArgsTooLarge "args_too_large";
    /// A bucket's or an object's name that GCS cannot have.
    0x07 Client BadName "bad_name";
    /// A body where the opcode has none, one that does not fit the args, or pieces that are none.
    0x08 Client BadBody "bad_body";
    /// A range that is not the last and does not end on a multiple of 256 KiB.
    0x09 Client BadAlignment "bad_alignment";
    /// The range starts beyond what is committed.
    0x0a Client Gap "gap";
    /// The sequence is that of a request in flight.
    0x0b Client DuplicateSequence "duplicate_sequence";
    /// The upload id is not known on this connection, or is 0.
    0x0c Client UnknownUpload "unknown_upload";
    /// The upload id names an upload that has not ended.
    0x0d Client UploadInUse "upload_in_use";
    /// The upload is finished or cancelled.
    0x0e Client UploadEnded "upload_ended";
    /// The request that should have opened this upload failed.
    0x0f Client UploadFailed "upload_failed";
    /// What arrived is unknown: `QueryUpload` must succeed first.
    0x10 Client Unsettled "unsettled";
    /// The token was not sealed with this daemon's key, or was altered.
    0x11 Client BadToken "bad_token";
    /// The token's upload is older than GCS keeps a session. Sent by earlier daemons only.
    0x12 Client TokenExpired "token_expired";
    /// The connection must say Hello with the right secret first.
    0x13 Client Unauthenticated "unauthenticated";
    /// The client ended its stream inside a body.
    0x14 Client BodyTruncated "body_truncated";
    /// The client sent nothing for too long inside a body.
    0x15 Client ClientStalled "client_stalled";
    /// Too many uploads are open on this connection.
    0x16 Client TooManyUploads "too_many_uploads";
    /// A later `AttachUpload` took the upload: nothing can be done to it here any more.
    0x17 Client Fenced "fenced";
    /// The client took the body back by an abort piece.
    0x18 Client BodyAborted "body_aborted";
    /// The body that came does not have the checksum that its end piece gives.
    0x19 Client BodyDamaged "body_damaged";
    /// The head or the args are not what their checksum says.
    0x1a Client Damaged "damaged";

    /// The daemon is stopping.
    0x40 Daemon Draining "draining";
    /// The daemon has a defect.
    0x41 Daemon Internal "internal";
    /// The daemon's machine has no more open files, or no memory, for a connection to GCS.
    0x42 Daemon Exhausted "exhausted";

    /// GCS's host name did not resolve, or no connection to it was possible.
    0x60 Network ConnectFailed "connect_failed";
    /// TLS with GCS could not be established.
    0x61 Network TlsFailed "tls_failed";
    /// The connection to GCS broke.
    0x62 Network Reset "reset";
    /// GCS closed the connection before its answer was complete.
    0x63 Network EarlyClose "early_close";
    /// GCS took or sent nothing for too long.
    0x64 Network GcsStalled "gcs_stalled";
    /// What came back is not an answer that GCS gives.
    0x65 Network BadResponse "bad_response";

    /// GCS refused the request as malformed (400, and other 4xx without a kind of their own).
    0x80 Gcs Refused "refused";
    /// GCS did not accept the access token (401).
    0x81 Gcs GcsUnauthorized "gcs_unauthorized";
    /// GCS did not permit it (403): a permission is missing, the object is held, a quota is used up ...
    0x82 Gcs Forbidden "forbidden";
    /// No such bucket, object or generation (404).
    0x83 Gcs NotFound "not_found";
    /// GCS saw a conflict (409).
    0x84 Gcs Conflict "conflict";
    /// A precondition does not hold (412, 304).
    0x85 Gcs PreconditionFailed "precondition_failed";
    /// The range lies outside the object (416).
    0x86 Gcs RangeNotSatisfiable "range_not_satisfiable";
    /// The checksum does not match; no object was made.
    0x87 Gcs ChecksumMismatch "checksum_mismatch";
    /// The session is unknown to GCS (404, 410) or was cancelled (499).
    0x88 Gcs SessionLost "session_lost";
    /// Too many requests (429, or 403 with such a reason).
    0x89 Gcs RateLimited "rate_limited";
    /// GCS cannot now (408, 5xx).
    0x8a Gcs Unavailable "unavailable";
    /// GCS holds fewer bytes than the request should have left there.
    0x8b Gcs Incomplete "incomplete";
    /// GCS reports fewer bytes than it had reported before.
    0x8c Gcs Regress "regress";

    /// The daemon has no credentials, or they are refused.
    0xa0 Credentials CredentialsRefused "credentials_refused";
    /// The credentials could not be had now.
    0xa1 Credentials CredentialsUnavailable "credentials_unavailable";
}

/// How a request ended: 0, or `layer << 12 | retry << 8 | kind`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// The request was carried out.
    pub const OK: Self = Self(0);

    /// The status of a failure.
    pub fn new(kind: Kind, retry: Retry) -> Self {
        Self((kind.layer() as u16) << 12 | (retry as u16) << 8 | kind as u16)
    }

    /// Whether the request was carried out.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// Whose fault it is; `None` for success and for a layer that is not known here.
    pub fn layer(self) -> Option<Layer> {
        Some(match self.0 >> 12 {
            1 => Layer::Client,
            2 => Layer::Daemon,
            3 => Layer::Network,
            4 => Layer::Gcs,
            5 => Layer::Credentials,
            _ => return None,
        })
    }

    /// What to do next; `None` for success. A class that is not known here counts as [`Retry::Never`].
    pub fn retry(self) -> Option<Retry> {
        if self.is_ok() {
            return None;
        }
        Some(match self.0 >> 8 & 0xf {
            1 => Retry::Same,
            2 => Retry::Query,
            3 => Retry::Restart,
            4 => Retry::Reconnect,
            _ => Retry::Never,
        })
    }

    /// Which failure it was; `None` for success and for a kind that is not known here.
    pub fn kind(self) -> Option<Kind> {
        Kind::from_code(self.0.to_le_bytes()[0])
    }

    /// The name of the kind, `ok`, or `unknown`.
    pub fn name(self) -> &'static str {
        if self.is_ok() {
            "ok"
        } else {
            self.kind().map_or("unknown", Kind::name)
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#06x} {})", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_its_layer_and_class() {
        let status = Status::new(Kind::Reset, Retry::Query);
        assert_eq!(status.0, 0x3262);
        assert_eq!(status.layer(), Some(Layer::Network));
        assert_eq!(status.retry(), Some(Retry::Query));
        assert_eq!(status.kind(), Some(Kind::Reset));
    }

    #[test]
    fn an_unknown_status_still_parses() {
        let status = Status(0x41ff);
        assert_eq!(status.kind(), None);
        assert_eq!(status.layer(), Some(Layer::Gcs));
        assert_eq!(status.retry(), Some(Retry::Same));
        assert_eq!(Status(0x1f01).retry(), Some(Retry::Never));
    }

    #[test]
    fn kinds_are_in_their_layers_range() {
        for kind in Kind::ALL {
            let range = match kind.layer() {
                Layer::Client => 0x01..=0x3f,
                Layer::Daemon => 0x40..=0x5f,
                Layer::Network => 0x60..=0x7f,
                Layer::Gcs => 0x80..=0x9f,
                Layer::Credentials => 0xa0..=0xbf,
            };
            assert!(range.contains(&(*kind as u8)), "{kind:?}");
            assert_eq!(Kind::from_code(*kind as u8), Some(*kind));
        }
    }
}
