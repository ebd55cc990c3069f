//! How args are laid out: a fixed struct, then the bytes of its variable fields in their order, without
//! padding (proto-spec.md, "Conventions").

use bytes::{Buf, Bytes, BytesMut};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use gcsd_types::NameError;

/// Why args cannot be understood. The connection lives on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Fewer bytes than the layout needs.
    #[error("the args are {have} bytes long, and the layout needs {need}")]
    TooShort {
        /// Bytes that the layout needs.
        need: usize,
        /// Bytes that came.
        have: usize,
    },
    /// More bytes than the layout accounts for.
    #[error("the args are {have} bytes long, and the layout ends after {need}")]
    TooLong {
        /// Bytes that the layout accounts for.
        need: usize,
        /// Bytes that came.
        have: usize,
    },
    /// A field that holds text is not UTF-8.
    #[error("the field '{0}' is not valid UTF-8")]
    NotUtf8(&'static str),
    /// A reserved field or an undefined bit is not 0.
    #[error("the field '{0}' has bits set that must be 0")]
    Reserved(&'static str),
    /// A field holds a value that cannot be.
    #[error("the field '{field}' {why}")]
    Value {
        /// The field's name in the specification.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A bucket's or an object's name that GCS cannot have.
    #[error("{0}")]
    Name(#[from] NameError),
}

/// A struct that travels as args.
pub trait WireArgs: Sized {
    /// Appends the bytes of the args to `out`.
    ///
    /// Text is cut to what its length field can hold; a well-formed value never is.
    fn encode(&self, out: &mut BytesMut);

    /// Reads args that are exactly `bytes`.
    fn decode(bytes: Bytes) -> Result<Self, ArgsError>;

    /// The bytes of the args.
    fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

/// Args without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

impl WireArgs for Empty {
    fn encode(&self, _out: &mut BytesMut) {}

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        Reader::new(bytes).end(Self)
    }
}

/// Takes args apart, from the front.
pub(super) struct Reader {
    rest: Bytes,
    whole: usize,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self {
            whole: bytes.len(),
            rest: bytes,
        }
    }

    /// The fixed struct at the front.
    pub(super) fn fixed<T: FromBytes + KnownLayout + Immutable + Unaligned>(
        &mut self,
    ) -> Result<T, ArgsError> {
        match T::read_from_prefix(&self.rest) {
            Ok((value, _)) => {
                self.rest.advance(size_of::<T>());
                Ok(value)
            }
            Err(_) => Err(self.short(size_of::<T>())),
        }
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Bytes, ArgsError> {
        if len > self.rest.len() {
            return Err(self.short(len));
        }
        Ok(self.rest.split_to(len))
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ArgsError> {
        let short = self.short(N);
        self.bytes(N)?.as_ref().try_into().map_err(|_| short)
    }

    /// The next `len` bytes, as text.
    pub(super) fn text(&mut self, len: usize, field: &'static str) -> Result<String, ArgsError> {
        let bytes = self.bytes(len)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(ArgsError::NotUtf8(field)),
        }
    }

    /// As [`text`](Self::text), where a length of 0 means that the field is absent.
    pub(super) fn optional_text(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<Option<String>, ArgsError> {
        Ok(Some(self.text(len, field)?).filter(|text| !text.is_empty()))
    }

    /// `value`, provided that nothing is left over.
    pub(super) fn end<T>(self, value: T) -> Result<T, ArgsError> {
        match self.rest.len() {
            0 => Ok(value),
            left => Err(ArgsError::TooLong {
                need: self.whole - left,
                have: self.whole,
            }),
        }
    }

    fn short(&self, wanted: usize) -> ArgsError {
        ArgsError::TooShort {
            need: (self.whole - self.rest.len()).saturating_add(wanted),
            have: self.whole,
        }
    }
}

/// Appends the bytes of a fixed struct.
pub(super) fn put<T: IntoBytes + Immutable + Unaligned>(out: &mut BytesMut, fixed: &T) {
    out.extend_from_slice(fixed.as_bytes());
}

/// The longest prefix of `text` whose length fits a `u16`, on a character's border.
pub(super) fn fit(text: &str) -> (&str, u16) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], u16::try_from(end).unwrap_or(u16::MAX))
}

/// As [`fit`], of text that may be absent.
pub(super) fn fit_optional(text: &Option<String>) -> (&str, u16) {
    fit(text.as_deref().unwrap_or(""))
}

/// `value`, provided that no bit outside `known` is set.
pub(super) fn known_bits(value: u32, known: u32, field: &'static str) -> Result<u32, ArgsError> {
    if value & !known == 0 {
        Ok(value)
    } else {
        Err(ArgsError::Reserved(field))
    }
}

/// `value` where `bit` is set in `present`.
pub(super) fn optional<T>(present: u32, bit: u32, value: T) -> Option<T> {
    (present & bit != 0).then_some(value)
}

/// `bit` where there is a value, else 0.
pub(super) fn bit<T>(value: Option<T>, bit: u32) -> u32 {
    if value.is_some() { bit } else { 0 }
}

/// `bit` where `set`, else 0.
pub(super) fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}
