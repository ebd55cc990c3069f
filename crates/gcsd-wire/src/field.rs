//! How the fields of the table become bytes, and the structs that they make.

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::args::{ArgsError, Reader};
use crate::layout::{FieldKind, Presence, StructLayout};

/// Plain bytes: what stands in the fixed part.
pub(crate) trait Plain: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {}

impl<T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy> Plain for T {}

/// How a field becomes bytes.
pub(crate) trait Field {
    /// The Rust type of the field's value.
    type Value: fmt::Debug;
    /// What it has in the fixed part.
    type Raw: Plain;
    /// What it holds.
    const KIND: FieldKind;
    /// When it holds a value, where no bit says so.
    const PRESENCE: Presence = Presence::Always;

    /// The bytes in the fixed part.
    fn raw(value: &Self::Value) -> Self::Raw;

    /// The bits by which it is present, `bit` being the lowest.
    fn bits(_: &Self::Value, bit: u32) -> u32 {
        bit
    }

    /// Appends what stands directly behind the fixed part.
    fn put_elements(_: &Self::Value, _: &mut BytesMut) {}

    /// Appends the variable part.
    fn put_tail(_: &Self::Value, _: &mut BytesMut) {}

    /// Reads the value. `word` holds the bits by which it is present, `bit` is the lowest of them.
    fn read(
        raw: Self::Raw,
        word: Word32,
        reader: &mut Reader,
        name: &'static str,
    ) -> Result<Self::Value, ArgsError>;

    /// What `Debug` shows of it.
    fn shown(value: &Self::Value) -> &dyn fmt::Debug {
        value
    }
}

/// The word by which a field is present, and the lowest of its bits; 0 where there is none.
#[derive(Clone, Copy)]
pub(crate) struct Word32 {
    pub(crate) word: u32,
    pub(crate) bit: u32,
}

impl Word32 {
    pub(crate) fn is_set(self) -> bool {
        self.word & self.bit != 0
    }
}

/// A struct of the table.
pub(crate) trait Struct: fmt::Debug + Sized {
    /// Its fixed part.
    type Raw: Plain;
    /// What the table says of it.
    const LAYOUT: StructLayout;

    /// The fixed part, present by the bits from `bit` on of a word outside of it.
    fn pack(&self) -> Self::Raw;
    /// The bits of a word outside of it, by which its fields are present.
    fn open_bits(&self, bit: u32) -> u32 {
        bit
    }
    /// Appends what stands directly behind the fixed part.
    fn put_elements(&self, out: &mut BytesMut);
    /// Appends the variable fields.
    fn put_tail(&self, out: &mut BytesMut);
    /// Reads it.
    fn unpack(raw: &Self::Raw, word: Word32, reader: &mut Reader) -> Result<Self, ArgsError>;
}

/// Appends a struct that stands for itself.
pub(crate) fn encode<T: Struct>(value: &T, out: &mut BytesMut) {
    out.extend_from_slice(value.pack().as_bytes());
    value.put_elements(out);
    value.put_tail(out);
}

/// Reads a struct that is all of `bytes`. What is reserved is refused in a request and ignored in a reply.
pub(crate) fn decode<T: Struct>(bytes: Bytes, request: bool) -> Result<T, ArgsError> {
    let mut reader = Reader::new(bytes);
    let raw: T::Raw = reader.fixed()?;
    if request {
        T::LAYOUT.check(raw.as_bytes())?;
    }
    reader.take_elements(&T::LAYOUT, raw.as_bytes(), request)?;
    let value = T::unpack(&raw, Word32 { word: 0, bit: 0 }, &mut reader)?;
    reader.end(value)
}

impl<T: Struct> Field for T {
    type Value = T;
    type Raw = T::Raw;
    const KIND: FieldKind = FieldKind::Struct(&T::LAYOUT);

    fn raw(value: &T) -> T::Raw {
        value.pack()
    }

    fn bits(value: &T, bit: u32) -> u32 {
        value.open_bits(bit)
    }

    fn put_tail(value: &T, out: &mut BytesMut) {
        value.put_tail(out);
    }

    fn read(raw: T::Raw, word: Word32, reader: &mut Reader, _: &'static str) -> Result<T, ArgsError> {
        T::unpack(&raw, word, reader)
    }
}

/// A struct that can be absent: all of it is 0 then.
impl<T: Struct> Field for Option<T> {
    type Value = Self;
    type Raw = T::Raw;
    const KIND: FieldKind = FieldKind::Struct(&T::LAYOUT);

    fn raw(value: &Self) -> T::Raw {
        value.as_ref().map_or_else(T::Raw::new_zeroed, T::pack)
    }

    fn bits(value: &Self, bit: u32) -> u32 {
        value.as_ref().map_or(0, |_| bit)
    }

    fn put_tail(value: &Self, out: &mut BytesMut) {
        if let Some(value) = value {
            value.put_tail(out);
        }
    }

    fn read(raw: T::Raw, word: Word32, reader: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
        let value = T::unpack(&raw, word, reader)?;
        Ok(word.is_set().then_some(value))
    }
}

/// A struct so many times. The fixed parts stand together, then the variable fields of each.
impl<T: Struct> Field for Vec<T> {
    type Value = Self;
    type Raw = U32;
    const KIND: FieldKind = FieldKind::Array(&T::LAYOUT);

    fn raw(value: &Self) -> U32 {
        u32::try_from(value.len()).unwrap_or(u32::MAX).into()
    }

    fn put_elements(value: &Self, out: &mut BytesMut) {
        for element in value {
            out.extend_from_slice(element.pack().as_bytes());
        }
    }

    fn put_tail(value: &Self, out: &mut BytesMut) {
        for element in value {
            element.put_tail(out);
        }
    }

    fn read(_: U32, word: Word32, reader: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
        let mut elements = Vec::new();
        while let Some(raw) = reader.element::<T::Raw>() {
            elements.push(T::unpack(&raw, word, reader)?);
        }
        Ok(elements)
    }
}
