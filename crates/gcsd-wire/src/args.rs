//! How args are laid out: a fixed struct, then the bytes of its variable fields in their order, without
//! padding (proto-spec.md, "Conventions").

use std::convert::Infallible;

use bytes::{Buf, Bytes, BytesMut};

use crate::MAX_BODY_LEN;
use crate::field::Plain;
use crate::layout::{FieldKind, StructLayout, number};
use crate::table::wire_struct;
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
    /// A field whose bit says that it is absent is not 0.
    #[error("the field '{0}' has a value, and the bit that says so is 0")]
    Absent(&'static str),
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

impl ArgsError {
    /// A field with a value that cannot be.
    pub(crate) fn value(field: &'static str, why: &'static str) -> Self {
        Self::Value { field, why }
    }
}

/// Checks a size, a position, or the end of a range: none is beyond 2^63 - 1.
pub(crate) fn check_size(field: &'static str, value: impl Into<Option<u64>>) -> Result<(), ArgsError> {
    match value.into() {
        Some(value) if value > MAX_BODY_LEN => Err(ArgsError::value(field, "is beyond 2^63 - 1")),
        _ => Ok(()),
    }
}

impl From<Infallible> for ArgsError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A struct that travels as args.
pub trait WireArgs: Sized {
    /// What the table says of it: the struct that it is, or those that it can be.
    const LAYOUTS: &'static [&'static StructLayout];

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

wire_struct! {
    /// Args that say nothing.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct Empty: "Empty"[8], request {
        pad reserved 8;
    }
}

wire_struct! {
    /// A reply that says nothing but that the request was carried out.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct Done: "Empty"[8], reply {
        pad reserved 8;
    }
}

/// Takes args apart, from the front.
pub(crate) struct Reader {
    rest: Bytes,
    /// The fixed parts of an array, which stand before all variable fields.
    elements: Bytes,
    whole: usize,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            whole: bytes.len(),
            rest: bytes,
            elements: Bytes::new(),
        }
    }

    /// The fixed part at the front.
    pub(crate) fn fixed<T: Plain>(&mut self) -> Result<T, ArgsError> {
        match T::read_from_prefix(&self.rest) {
            Ok((value, _)) => {
                self.rest.advance(size_of::<T>());
                Ok(value)
            }
            Err(_) => Err(self.short(size_of::<T>())),
        }
    }

    /// Sets apart the elements that `layout` says come next, where it has an array. They are bytes that were received: a count alone
    /// makes no room.
    pub(crate) fn take_elements(
        &mut self,
        layout: &StructLayout,
        fixed: &[u8],
        request: bool,
    ) -> Result<(), ArgsError> {
        for field in layout.fields {
            let FieldKind::Array(element) = field.kind else {
                continue;
            };
            let count = usize::try_from(number(field.of(fixed))).unwrap_or(usize::MAX);
            self.elements = self.bytes(count.saturating_mul(element.size))?;
            if request {
                self.elements
                    .chunks(element.size)
                    .try_for_each(|fixed| element.check(fixed))?;
            }
        }
        Ok(())
    }

    /// The next of those elements.
    pub(crate) fn element<T: Plain>(&mut self) -> Option<T> {
        let (value, _) = T::read_from_prefix(&self.elements).ok()?;
        self.elements.advance(size_of::<T>());
        Some(value)
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<Bytes, ArgsError> {
        if len > self.rest.len() {
            return Err(self.short(len));
        }
        Ok(self.rest.split_to(len))
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ArgsError> {
        let short = self.short(N);
        self.bytes(N)?.as_ref().try_into().map_err(|_| short)
    }

    /// The next `len` bytes, as text.
    pub(crate) fn text(&mut self, len: usize, field: &'static str) -> Result<String, ArgsError> {
        let bytes = self.json(len, field)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next `len` bytes, which are text.
    pub(crate) fn json(&mut self, len: usize, field: &'static str) -> Result<Bytes, ArgsError> {
        let bytes = self.bytes(len)?;
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(ArgsError::NotUtf8(field)),
        }
    }

    /// As [`text`](Self::text), where a length of 0 means that the field is absent.
    pub(crate) fn optional_text(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<Option<String>, ArgsError> {
        Ok(Some(self.text(len, field)?).filter(|text| !text.is_empty()))
    }

    /// `value`, provided that nothing is left over.
    pub(crate) fn end<T>(self, value: T) -> Result<T, ArgsError> {
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

/// The longest prefix of `text` whose length fits a `u16`, on a character's border.
pub(crate) fn fit(text: &str) -> &[u8] {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}
