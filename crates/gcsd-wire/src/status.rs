//! The closed set of statuses (proto-spec.md, "Errors and recovery").
//!
//! A status is a number of 16 bits that explains itself: the highest four bits are the layer at fault,
//! the next four what to do, the low eight which failure it was. A client that meets a number it does
//! not know still knows whose fault it is and how to go on.

use std::fmt;

macro_rules! numbered {
    ($(#[$about:meta])* $type:ident { $($code:literal $value:ident $name:literal $means:literal $does:literal;)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $type {
            $(#[doc = $means] $value = $code,)+
        }

        impl $type {
            /// Every one, in the order of the specification's table.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The name in the specification.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }

            /// What it means.
            pub fn means(self) -> &'static str {
                match self { $(Self::$value => $means,)+ }
            }

            /// What a client does; empty for layers.
            pub fn client_does(self) -> &'static str {
                match self { $(Self::$value => $does,)+ }
            }

            fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$value),)+ _ => None }
            }
        }
    };
}

numbered! {
    /// Whose fault a failure is: the highest four bits of a status.
    Layer {
        1 Client "client" "what the client sent, or did not send" "";
        2 Daemon "daemon" "the daemon, for reasons of its own" "";
        3 Network "network" "the network between the daemon and GCS" "";
        4 Gcs "gcs" "GCS answered with an error" "";
        5 Credentials "credentials" "the daemon's credentials" "";
    }
}

numbered! {
    /// What a client can do after a failure: bits 8 to 11 of a status.
    Retry {
        0 Never "never" "the request is wrong or refused: sending it again changes nothing" "gives up and says why";
        1 Same "same" "nothing happened, or nothing that matters" "waits, sends the same request again";
        2 Query "query" "it is unknown what arrived at GCS, or whether it happened"
            "waits, looks: QueryUpload, and goes on from its `committed`; where objects were to be changed, [StatObject](#changes-of-objects)";
        3 Restart "restart" "the session is lost: only a new upload helps"
            "starts again from byte 0, if it still can produce that byte";
        4 Reconnect "reconnect" "this connection is over, the upload is not"
            "connects again, here or to another daemon; AttachUpload, QueryUpload, goes on";
    }
}

macro_rules! kinds {
    ($($code:literal $layer:ident $kind:ident $name:literal [$($class:ident)+] $means:literal => $does:literal;)*) => {
        /// Which failure it was: the low eight bits of a status, unique over all layers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = $means] $kind = $code,)*
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

            /// The classes that it can come with.
            pub fn classes(self) -> &'static [Retry] {
                match self { $(Self::$kind => &[$(Retry::$class),+],)* }
            }

            /// What it means.
            pub fn means(self) -> &'static str {
                match self { $(Self::$kind => $means,)* }
            }

            /// What a client does.
            pub fn client_does(self) -> &'static str {
                match self { $(Self::$kind => $does,)* }
            }

            fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

kinds! {
    0x01 Client BadHead "bad_head" [Never Reconnect]
        "the bytes are no head, the sequence is 0, or the stream ended inside head or args; always `closing`"
        => "connects again; if it happens again, looks for its defect";
    0x02 Client BadVersion "bad_version" [Never Reconnect]
        "a version that is not spoken here; the reply lists those that are. `closing` if a head says so"
        => "speaks one of them";
    0x03 Client BadFlags "bad_flags" [Never Reconnect]
        "an undefined flag; `closing` if it is one of bits 0 to 7"
        => "goes without the flag";
    0x04 Client Unsupported "unsupported" [Never]
        "the opcode is not known here"
        => "goes without it";
    0x05 Client BadArgs "bad_args" [Never]
        "args without the opcode's layout, an impossible value, metadata that is not a JSON object"
        => "corrects the request";
    0x06 Client ArgsTooLarge "args_too_large" [Never Reconnect]
        "args longer than `max_args`; `closing` in a checked frame"
        => "sends less metadata";
    0x07 Client BadName "bad_name" [Never]
        "a bucket or object that GCS cannot have"
        => "takes another name";
    0x08 Client BadBody "bad_body" [Never Same Query Reconnect]
        "a body where the opcode has none, none where one is needed, or one that is too long; pieces that are none (`closing`), or do not add up to `total`: the client's defect, or damage on the way"
        => "corrects the request; as the class says";
    0x09 Client BadAlignment "bad_alignment" [Never]
        "a range that is not the last does not end on a multiple of 256 KiB, or is shorter"
        => "sends whole multiples, or `total`";
    0x0a Client Gap "gap" [Query]
        "the range starts beyond what is committed"
        => "goes on from `committed`";
    0x0b Client DuplicateSequence "duplicate_sequence" [Never Reconnect]
        "the sequence is that of a request in flight; always `closing`"
        => "counts up";
    0x0c Client UnknownUpload "unknown_upload" [Never]
        "the upload id is 0 or not bound on this connection"
        => "starts or attaches first";
    0x0d Client UploadInUse "upload_in_use" [Never]
        "the upload id is bound to an upload that has not ended"
        => "takes another id";
    0x0e Client UploadEnded "upload_ended" [Never]
        "the upload is finished, cancelled or lost"
        => "nothing, or QueryUpload if it finished";
    0x0f Client UploadFailed "upload_failed" [Never]
        "the StartUpload or AttachUpload of this id failed; the message names its error"
        => "looks at that request's reply";
    0x10 Client Unsettled "unsettled" [Query]
        "an earlier request left unknown what arrived"
        => "sends QueryUpload";
    0x11 Client BadToken "bad_token" [Never]
        "the token was not sealed with this daemon's key, or was altered"
        => "asks a daemon that has the key";
    0x12 Client TokenExpired "token_expired" [Restart]
        "the token is of a version that this daemon does not know"
        => "starts anew";
    0x13 Client Unauthenticated "unauthenticated" [Never]
        "no Hello with the right secret; `closing` if the secret was wrong"
        => "says Hello with the secret";
    0x14 Client BodyTruncated "body_truncated" [Same Query]
        "the client's stream ended inside the body; always `closing`"
        => "(it is gone) attaches and queries";
    0x15 Client ClientStalled "client_stalled" [Same Query Reconnect]
        "the client sent nothing for too long inside a body, or took too long for a head and args; always `closing`"
        => "attaches and queries";
    0x16 Client TooManyUploads "too_many_uploads" [Never]
        "as many uploads are open as the connection may have"
        => "finishes, cancels or detaches one";
    0x17 Client Fenced "fenced" [Never]
        "a later AttachUpload took the upload"
        => "leaves the upload to the other";
    0x18 Client BodyAborted "body_aborted" [Same Query]
        "the client took the body back by an abort piece"
        => "what it had in mind; as the class says";
    0x19 Client BodyDamaged "body_damaged" [Same Restart]
        "the body has another checksum than the client says; no object was made, and GCS may hold damaged bytes of the upload"
        => "sends it again, or cancels and starts anew, as the class says";
    0x1a Client Damaged "damaged" [Reconnect]
        "a frame's checksum is not that of its head and args, or is missing; always `closing`"
        => "connects again, attaches and queries";
    0x1b Client Denied "denied" [Never]
        "the daemon's policy does not permit the request, or the token is another identity's; nothing was sent to GCS"
        => "reads the message; tells the operator";
    0x1c Client Cancelled "cancelled" [Same Query]
        "a Cancel ended the request"
        => "what it had in mind; as the class says";

    0x40 Daemon Draining "draining" [Reconnect Query]
        "the daemon is stopping; always `closing`"
        => "connects again, elsewhere if it can; looks if the class says so";
    0x41 Daemon Internal "internal" [Never Query]
        "the daemon has a defect"
        => "reports it; queries if the class says so";
    0x42 Daemon Moved "moved" [Reconnect]
        "reserved: no daemon of version 1 sends it"
        => "connects again, elsewhere";
    0x43 Daemon Exhausted "exhausted" [Same]
        "the daemon's machine has no more open files, or no memory, for a connection to GCS; nothing was sent"
        => "waits, sends it again; tells the operator";

    0x60 Network ConnectFailed "connect_failed" [Never Same]
        "GCS's name did not resolve, or no connection was possible; `never` if a proxy does not permit it"
        => "as the class says";
    0x61 Network TlsFailed "tls_failed" [Never Same Query]
        "TLS failed; `never` if GCS's certificate is not trusted"
        => "as the class says";
    0x62 Network Reset "reset" [Same Query]
        "the connection to GCS broke"
        => "as the class says";
    0x63 Network EarlyClose "early_close" [Same Query]
        "GCS closed the connection before its answer was complete, or before anything said that it was"
        => "as the class says";
    0x64 Network GcsStalled "gcs_stalled" [Same Query]
        "GCS took or sent nothing for `gcs_timeout_ms`"
        => "as the class says";
    0x65 Network BadResponse "bad_response" [Never Same Query]
        "what came back is not an answer that GCS gives"
        => "as the class says";

    0x80 Gcs Refused "refused" [Never]
        "400, or a 3xx or 4xx without a kind of its own"
        => "reads the message and the reason";
    0x81 Gcs GcsUnauthorized "gcs_unauthorized" [Never Same Query]
        "401: GCS does not accept the daemon's access token. The first time the daemon drops it, and the class says to try again; `never` if a fresh one is refused, too, or if it has none"
        => "as the class says; tells the operator";
    0x82 Gcs Forbidden "forbidden" [Never]
        "403: not permitted, or the object is held or under retention, a quota is used up, billing is closed ..., as `reason` says; an organization's policy also where GCS answered 412"
        => "what the message says";
    0x83 Gcs NotFound "not_found" [Never]
        "404: no such bucket, object or generation"
        => "gives up";
    0x84 Gcs Conflict "conflict" [Never]
        "409"
        => "reads the reason";
    0x85 Gcs PreconditionFailed "precondition_failed" [Never]
        "412, or 304: a precondition does not hold"
        => "decides anew: the object is another";
    0x86 Gcs RangeNotSatisfiable "range_not_satisfiable" [Never]
        "416: the range begins at the object's end or beyond"
        => "asks for less";
    0x87 Gcs ChecksumMismatch "checksum_mismatch" [Same Restart]
        "the object's or part's checksum is not the one given; none was made, and the session, if there was one, is dead"
        => "checks its own bytes, sends them again or starts anew, as the class says";
    0x88 Gcs SessionLost "session_lost" [Never Restart]
        "GCS does not know the session (404, 410); `never` if somebody cancelled it (499)"
        => "starts anew, if no object is there: [2.11](#the-recovery-algorithm)";
    0x89 Gcs RateLimited "rate_limited" [Same Query]
        "429, or 403 with the reason `rateLimitExceeded` or `userRateLimitExceeded`"
        => "waits, then as the class says";
    0x8a Gcs Unavailable "unavailable" [Same Query]
        "408 or 5xx, or an error behind a success (CompleteMultipart)"
        => "waits, then as the class says";
    0x8b Gcs Incomplete "incomplete" [Query]
        "GCS answered, and holds less than the request should have left there"
        => "goes on from `committed`";
    0x8c Gcs Regress "regress" [Never]
        "GCS reports fewer bytes than it had reported: confirmed bytes are lost"
        => "gives up; the upload cannot be trusted";

    0xa0 Credentials CredentialsRefused "credentials_refused" [Never]
        "the daemon has no credentials, or they are refused"
        => "tells the operator";
    0xa1 Credentials CredentialsUnavailable "credentials_unavailable" [Same]
        "the credentials could not be had now"
        => "waits, sends it again";
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
        Layer::from_code(self.0 >> 12)
    }

    /// What to do next; `None` for success. A class that is not known here counts as [`Retry::Never`].
    pub fn retry(self) -> Option<Retry> {
        (!self.is_ok()).then(|| Retry::from_code(self.0 >> 8 & 0xf).unwrap_or(Retry::Never))
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
