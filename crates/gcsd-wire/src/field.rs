//! The types that a field of the table can have, and how each of them becomes bytes.

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::args::{ArgsError, Reader, fit};
use crate::layout::{FieldKind, Presence, StructLayout};
use gcsd_types::{BucketName, Crc32c, EncryptionKey, ObjectName};

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

    /// Appends what stands behind that.
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
    fn is_set(self) -> bool {
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

/// Values of a fixed size: as they are, and where a bit says that they are there.
macro_rules! fixed {
    ($($value:ty, $raw:ty, $kind:ident, $to:expr, $from:expr;)*) => {$(
        impl Field for $value {
            type Value = Self;
            type Raw = $raw;
            const KIND: FieldKind = FieldKind::$kind;

            fn raw(value: &Self) -> $raw {
                ($to)(*value)
            }

            fn read(raw: $raw, _: Word32, _: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
                Ok(($from)(raw))
            }
        }

        impl Field for Option<$value> {
            type Value = Self;
            type Raw = $raw;
            const KIND: FieldKind = FieldKind::$kind;

            fn raw(value: &Self) -> $raw {
                value.map_or_else(<$raw>::new_zeroed, $to)
            }

            fn bits(value: &Self, bit: u32) -> u32 {
                value.map_or(0, |_| bit)
            }

            fn read(raw: $raw, word: Word32, _: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
                Ok(word.is_set().then(|| ($from)(raw)))
            }
        }
    )*};
}

fixed! {
    u8, u8, Number, |value| value, |raw| raw;
    u16, U16, Number, U16::new, |raw: U16| raw.get();
    u32, U32, Number, U32::new, |raw: U32| raw.get();
    u64, U64, Number, U64::new, |raw: U64| raw.get();
    [u8; 3], [u8; 3], Octets, |value| value, |raw| raw;
    [u8; 4], [u8; 4], Octets, |value| value, |raw| raw;
    [u8; 16], [u8; 16], Octets, |value| value, |raw| raw;
    Crc32c, U32, Crc32c, |Crc32c(value)| U32::new(value), |raw: U32| Crc32c(raw.get());
}

/// Numbers of which one value means something else.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident, $value:ty, $raw:ty, $kind:ident, $presence:ident, $to:expr, $from:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl Field for $name {
            type Value = $value;
            type Raw = $raw;
            const KIND: FieldKind = FieldKind::$kind;
            const PRESENCE: Presence = Presence::$presence;

            fn raw(value: &$value) -> $raw {
                <$raw>::new(($to)(*value))
            }

            fn read(raw: $raw, _: Word32, _: &mut Reader, _: &'static str) -> Result<$value, ArgsError> {
                Ok(($from)(raw.get()))
            }
        }
    )*};
}

numbers! {
    /// 0: there is none.
    NotZero, Option<u32>, U32, Number, NotZero, |value: Option<u32>| value.unwrap_or(0), |raw| Some(raw).filter(|raw| *raw > 0);
    /// 0 is not worth showing.
    OrZero, u32, U32, Number, NotZero, |value| value, |raw| raw;
    /// The highest number: it is unknown.
    NotMax, Option<u64>, U64, Number, NotMax, |value: Option<u64>| value.unwrap_or(u64::MAX), |raw| Some(raw).filter(|raw| *raw < u64::MAX);
    /// Seconds since 1970.
    Time, u64, U64, Time, Always, |value| value, |raw| raw;
}

/// Contents behind the fixed part, whose length stands in it.
macro_rules! counted {
    ($($(#[$doc:meta])* $name:ty, $value:ty, $raw:ty, $len:ty, $kind:ident, $bytes:expr, $read:expr;)*) => {$(
        impl Field for $name {
            type Value = $value;
            type Raw = $raw;
            const KIND: FieldKind = FieldKind::$kind;

            fn raw(value: &$value) -> $raw {
                let bytes: fn(&$value) -> &[u8] = $bytes;
                <$len>::try_from(bytes(value).len()).unwrap_or(<$len>::MAX).into()
            }

            fn put_tail(value: &$value, out: &mut BytesMut) {
                let bytes: fn(&$value) -> &[u8] = $bytes;
                out.extend_from_slice(bytes(value));
            }

            fn read(raw: $raw, _: Word32, reader: &mut Reader, name: &'static str) -> Result<$value, ArgsError> {
                let len = usize::try_from(raw.get()).unwrap_or(usize::MAX);
                ($read)(reader, len, name)
            }

            fn shown(value: &$value) -> &dyn fmt::Debug {
                match Self::KIND {
                    FieldKind::Token | FieldKind::Secret => &"[redacted]",
                    _ => value,
                }
            }
        }
    )*};
}

/// Text that is a credential.
pub(crate) enum Token {}
/// Bytes that are a credential.
pub(crate) enum Secret {}
/// Text in JSON.
pub(crate) enum Json {}

/// As many bytes as a length of 16 bits can say.
fn short(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(usize::from(u16::MAX))]
}

fn optional(text: &Option<String>) -> &[u8] {
    fit(text.as_deref().unwrap_or(""))
}

counted! {
    String, Self, U16, u16, Text, |text| fit(text), Reader::text;
    Option<String>, Self, U16, u16, Text, optional, Reader::optional_text;
    BucketName, Self, U16, u16, Text, |name: &Self| fit(name.as_str()),
        |reader: &mut Reader, len, name| Ok(Self::new(reader.text(len, name)?)?);
    ObjectName, Self, U16, u16, Text, |name: &Self| fit(name.as_str()),
        |reader: &mut Reader, len, name| Ok(Self::new(reader.text(len, name)?)?);
    Token, String, U16, u16, Token, |text| fit(text), Reader::text;
    Secret, Bytes, U16, u16, Secret, |bytes| short(bytes), |reader: &mut Reader, len, _| reader.bytes(len);
    Json, Bytes, U32, u32, Json, |bytes: &Bytes| &bytes[..], Reader::json;
    Box<[u8]>, Self, U16, u16, Bytes, |bytes| short(bytes), |reader: &mut Reader, len, _| Ok(reader.bytes(len)?.as_ref().into());
}

/// A bit.
impl Field for bool {
    type Value = Self;
    type Raw = [u8; 0];
    const KIND: FieldKind = FieldKind::Flag;

    fn raw(_: &Self) -> [u8; 0] {
        []
    }

    fn bits(value: &Self, bit: u32) -> u32 {
        if *value { bit } else { 0 }
    }

    fn read(_: [u8; 0], word: Word32, _: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
        Ok(word.is_set())
    }
}

/// A key, where a bit says that there is one.
impl Field for Option<EncryptionKey> {
    type Value = Self;
    type Raw = [u8; 0];
    const KIND: FieldKind = FieldKind::Key;

    fn raw(_: &Self) -> [u8; 0] {
        []
    }

    fn bits(value: &Self, bit: u32) -> u32 {
        value.as_ref().map_or(0, |_| bit)
    }

    fn put_tail(value: &Self, out: &mut BytesMut) {
        if let Some(key) = value {
            out.extend_from_slice(key.expose());
        }
    }

    fn read(_: [u8; 0], word: Word32, reader: &mut Reader, _: &'static str) -> Result<Self, ArgsError> {
        match word.is_set() {
            true => Ok(Some(EncryptionKey::new(reader.array()?))),
            false => Ok(None),
        }
    }
}

/// All bytes behind the fixed part.
pub(crate) enum Rest {}

impl Field for Rest {
    type Value = Bytes;
    type Raw = [u8; 0];
    const KIND: FieldKind = FieldKind::Rest;

    fn raw(_: &Bytes) -> [u8; 0] {
        []
    }

    fn put_tail(value: &Bytes, out: &mut BytesMut) {
        out.extend_from_slice(value);
    }

    fn read(_: [u8; 0], _: Word32, reader: &mut Reader, _: &'static str) -> Result<Bytes, ArgsError> {
        Ok(reader.rest())
    }
}

/// Declares a number whose values have names. No other value is understood.
macro_rules! choice {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$about:meta])* $value:ident = $number:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $value = $number,)+
        }

        impl $crate::field::Field for $name {
            type Value = Self;
            type Raw = zerocopy::little_endian::U32;
            const KIND: $crate::layout::FieldKind = $crate::layout::FieldKind::Choice(&[$(($number, $text)),+]);

            fn raw(value: &Self) -> Self::Raw {
                (*value as u32).into()
            }

            fn read(
                raw: Self::Raw,
                _: $crate::field::Word32,
                _: &mut $crate::args::Reader,
                name: &'static str,
            ) -> Result<Self, $crate::args::ArgsError> {
                match raw.get() {
                    $($number => Ok(Self::$value),)+
                    _ => Err($crate::args::ArgsError::value(name, "is none that is defined")),
                }
            }
        }
    };
}

pub(crate) use choice;
