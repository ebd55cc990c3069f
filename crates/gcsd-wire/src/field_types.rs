//! The types of fields that are not structs: numbers, bits, texts, credentials.

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::FromZeros as _;
use zerocopy::little_endian::{U16, U32, U64};

use crate::args::{ArgsError, Reader, fit};
use crate::field::{Field, Word32};
use crate::layout::{FieldKind, Presence};
use gcsd_types::{BucketName, Crc32c, EncryptionKey, ObjectName};

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
