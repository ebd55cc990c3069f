//! The table of the flags of heads (proto-spec.md, "Framing").

/// A flag of a head.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its bit.
    pub bit: u8,
    /// Its name.
    pub name: &'static str,
    /// What it means; of one that is reserved, what it will mean.
    pub about: &'static str,
    /// No client of version 1 sets it yet: a daemon answers `bad_flags`.
    pub reserved: bool,
}

const fn flag(bit: u8, name: &'static str, about: &'static str) -> Flag {
    let reserved = false;
    Flag {
        bit,
        name,
        about,
        reserved,
    }
}

const fn reserved(bit: u8, name: &'static str, about: &'static str) -> Flag {
    let reserved = true;
    Flag {
        bit,
        name,
        about,
        reserved,
    }
}

/// The flags of requests.
pub const REQUEST_FLAGS: &[Flag] = &[
    flag(
        0,
        "streamed",
        "the body comes in pieces, because its length is not known",
    ),
    flag(
        8,
        "checked",
        "the args end with a checksum of head and args, which `args_len` counts; the heads of pieces have one, too",
    ),
    reserved(
        9,
        "traced",
        "a W3C trace context of 32 bytes stands behind the args: trace_id 16, parent_id 8, trace_flags 1, reserved 7",
    ),
    reserved(
        10,
        "deadline",
        "8 bytes stand behind those: timeout_ms u32, reserved u32",
    ),
    reserved(11, "no_json", "the reply leaves its JSON body out"),
];

/// The flags of replies.
pub const REPLY_FLAGS: &[Flag] = &[
    flag(0, "more", "more frames of the same reply follow"),
    flag(
        1,
        "closing",
        "the daemon closes the connection, and reads no further request from it",
    ),
    flag(8, "checked", "as in the request"),
];
