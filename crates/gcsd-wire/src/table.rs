//! The declaration of a struct, from which its bytes, its Rust type and its description follow.

/// Declares a struct of the wire.
///
/// ```text
/// wire_struct! {
///     /// What it is for.
///     #[derive(Clone, PartialEq)]
///     pub struct WriteAtArgs: "WriteAt.args"[40], request {
///         /// What the field means.
///         offset: u64;
///         /// Bit 0 of `present` says whether it holds a value.
///         total: Option<u64>, present[0];
///         bits present;
///         pad reserved 4;
///         pad reserved2 8;
///     }
/// }
/// ```
///
/// * `name: Type as Codec` where the type alone does not say how its value becomes bytes.
/// * `name: Struct where not(field = "why")` refuses a field of the struct that stands there.
/// * `flag name, word[bit]` describes a bit that another field is present by.
/// * `bits word` is a set of bits, `pad name len` are reserved bytes.
/// * `request` refuses what is reserved, `reply` ignores it, `part` never stands for itself.
/// * `checked by function` looks at the value that was read.
/// * `impl Type: ...` in place of `pub struct` is for a type that exists.
macro_rules! wire_struct {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        $vis:vis struct $name:ident: $wire:literal[$size:literal], $use:ident $(, checked by $check:path)? { $($lines:tt)* }
    ) => {
        $crate::table::wire_struct! {
            @munch { $($lines)* } [] []
            own { $(#[doc = $doc])+ #[derive($($($derive),+)?)] $vis $name }
            { [$(#[doc = $doc])+] $name $wire $size $use [$($check)?] }
        }
    };
    (
        $(#[doc = $doc:literal])+
        impl $name:ident: $wire:literal[$size:literal], $use:ident $(, checked by $check:path)? { $($lines:tt)* }
    ) => {
        $crate::table::wire_struct! {
            @munch { $($lines)* } [] []
            foreign {}
            { [$(#[doc = $doc])+] $name $wire $size $use [$($check)?] }
        }
    };

    // The lines, one by one: all fields go to the first list, those with a value to the second, too.
    (@munch { pad $name:ident $len:literal; $($rest:tt)* } [$($all:tt)*] [$($values:tt)*] $($more:tt)*) => {
        $crate::table::wire_struct! {
            @munch { $($rest)* }
            [$($all)* { $name { [u8; $len] } { $crate::layout::FieldKind::Reserved } { Always } {} {} }]
            [$($values)*] $($more)*
        }
    };
    (@munch { $(#[doc = $doc:literal])* bits $name:ident; $($rest:tt)* } [$($all:tt)*] [$($values:tt)*] $($more:tt)*) => {
        $crate::table::wire_struct! {
            @munch { $($rest)* }
            [$($all)* {
                $name { zerocopy::little_endian::U32 } { $crate::layout::FieldKind::Word } { Always } {} { $($doc)* }
            }]
            [$($values)*] $($more)*
        }
    };
    (@munch {
        $(#[doc = $doc:literal])+ flag $name:ident, $($word:ident).+ [$bit:literal]; $($rest:tt)*
    } [$($all:tt)*] [$($values:tt)*] $($more:tt)*) => {
        $crate::table::wire_struct! {
            @munch { $($rest)* }
            [$($all)* {
                $name { [u8; 0] } { $crate::layout::FieldKind::Flag } { Bit(&[$(stringify!($word)),+], $bit) } {}
                { $($doc)+ }
            }]
            [$($values)*] $($more)*
        }
    };
    (@munch {
        $(#[doc = $doc:literal])+ $name:ident: $type:ty as $codec:ty
        $(, $($word:ident).+ [$bit:literal])? $(where not($($no:ident = $why:expr),+))?; $($rest:tt)*
    } [$($all:tt)*] [$($values:tt)*] $($more:tt)*) => {
        $crate::table::wire_struct! {
            @munch { $($rest)* }
            [$($all)* {
                $name { <$codec as $crate::field::Field>::Raw } { <$codec as $crate::field::Field>::KIND }
                { $(Bit(&[$(stringify!($word)),+], $bit))? $codec } { $($((stringify!($no), $why),)+)? } { $($doc)+ }
            }]
            [$($values)* { [$(#[doc = $doc])+] $name { $type } { $codec } { $(($($word).+) $bit)? } }] $($more)*
        }
    };
    (@munch {
        $(#[doc = $doc:literal])+ $name:ident: $type:ty
        $(, $($word:ident).+ [$bit:literal])? $(where not($($no:ident = $why:expr),+))?; $($rest:tt)*
    } [$($all:tt)*] [$($values:tt)*] $($more:tt)*) => {
        $crate::table::wire_struct! {
            @munch {
                $(#[doc = $doc])+ $name: $type as $type
                $(, $($word).+ [$bit])? $(where not($($no = $why),+))?; $($rest)*
            } [$($all)*] [$($values)*] $($more)*
        }
    };

    // A type of its own, without values.
    (@munch {} [$($all:tt)*] [] own { $(#[$attribute:meta])+ $vis:vis $name:ident } { $($head:tt)* }) => {
        $(#[$attribute])+
        #[derive(Debug)]
        $vis struct $name;

        $crate::table::wire_struct! { @code [$($all)*] [] { $($head)* } }
    };
    // A type of its own.
    (@munch {} [$($all:tt)*]
        [$({ [$(#[$doc:meta])+] $field:ident { $type:ty } { $codec:ty } { $($word:tt)* } })*]
        own { $(#[$attribute:meta])+ $vis:vis $name:ident } { $($head:tt)* }
    ) => {
        $(#[$attribute])+
        $vis struct $name {
            $($(#[$doc])+ pub $field: $type,)*
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), <$codec as $crate::field::Field>::shown(&self.$field)))*
                    .finish()
            }
        }

        $crate::table::wire_struct! {
            @code [$($all)*] [$({ $field { $codec } { $($word)* } })*] { $($head)* }
        }
    };
    (@munch {} [$($all:tt)*]
        [$({ [$(#[$doc:meta])+] $field:ident { $type:ty } { $codec:ty } { $($word:tt)* } })*]
        foreign {} { $($head:tt)* }
    ) => {
        $crate::table::wire_struct! {
            @code [$($all)*] [$({ $field { $codec } { $($word)* } })*] { $($head)* }
        }
    };

    (@code
        [$({ $field:ident { $raw:ty } { $kind:expr } { $($presence:tt)* } { $($without:tt)* } { $($doc:literal)* } })*]
        [$({ $value:ident { $codec:ty } { $($word:tt)* } })*]
        { [$(#[doc = $about:literal])+] $name:ident $wire:literal $size:literal $use:ident [$($check:path)?] }
    ) => {
        const _: () = {
            use $crate::field::Struct;
            use $crate::layout::{FieldLayout, StructLayout};

            #[derive(
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable, zerocopy::Unaligned,
                Clone, Copy,
            )]
            #[repr(C)]
            pub(crate) struct Raw {
                $(pub(crate) $field: $raw,)*
            }

            const _: () = assert!(<$name as Struct>::LAYOUT.is_sound($size), $wire);

            impl Struct for $name {
                type Raw = Raw;
                const LAYOUT: StructLayout = StructLayout {
                    name: $wire,
                    size: size_of::<Raw>(),
                    doc: concat!($($about),+),
                    fields: &[$(FieldLayout {
                        name: stringify!($field),
                        offset: std::mem::offset_of!(Raw, $field),
                        size: size_of::<$raw>(),
                        kind: $kind,
                        presence: $crate::table::wire_struct!(@presence $($presence)*),
                        without: &[$($without)*],
                        doc: concat!("", $($doc),*),
                    }),*],
                };

                fn pack(&self) -> Raw {
                    let mut raw: Raw = zerocopy::FromZeros::new_zeroed();
                    let _ = &mut raw;
                    $(raw.$value = <$codec as $crate::field::Field>::raw(&self.$value);)*
                    $($crate::table::wire_struct!(@set raw, <$codec as $crate::field::Field>::bits, &self.$value, $($word)*);)*
                    raw
                }

                fn put_elements(&self, out: &mut bytes::BytesMut) {
                    $(<$codec as $crate::field::Field>::put_elements(&self.$value, out);)*
                    let _ = out;
                }

                fn put_tail(&self, out: &mut bytes::BytesMut) {
                    $(<$codec as $crate::field::Field>::put_tail(&self.$value, out);)*
                    let _ = out;
                }

                fn unpack(
                    raw: &Raw,
                    _: $crate::field::Word32,
                    reader: &mut $crate::args::Reader,
                ) -> Result<Self, $crate::args::ArgsError> {
                    let value = Self {$(
                        $value: <$codec as $crate::field::Field>::read(
                            raw.$value,
                            $crate::table::wire_struct!(@word raw, $($word)*),
                            reader,
                            stringify!($value),
                        )?,
                    )*};
                    let _ = (raw, reader);
                    $($check(&value)?;)?
                    Ok(value)
                }
            }
        };

        $crate::table::wire_struct!(@args $name $use);
    };

    (@presence Bit($path:expr, $bit:literal) $($codec:ty)?) => { $crate::layout::Presence::Bit($path, $bit) };
    (@presence Always) => { $crate::layout::Presence::Always };
    (@presence $codec:ty) => { <$codec as $crate::field::Field>::PRESENCE };

    (@set $raw:ident, $bits:expr, $value:expr,) => {};
    (@set $raw:ident, $bits:expr, $value:expr, ($($word:ident).+) $bit:literal) => {
        $raw.$($word).+ = ($raw.$($word).+.get() | $bits($value, 1 << $bit)).into()
    };

    (@word $raw:ident,) => { $crate::field::Word32 { word: 0, bit: 0 } };
    (@word $raw:ident, ($($word:ident).+) $bit:literal) => {
        $crate::field::Word32 { word: $raw.$($word).+.get(), bit: 1 << $bit }
    };

    (@args $name:ident part) => {};
    (@args $name:ident request) => { $crate::table::wire_struct!(@args $name true); };
    (@args $name:ident reply) => { $crate::table::wire_struct!(@args $name false); };
    (@args $name:ident $request:literal) => {
        impl $crate::args::WireArgs for $name {
            const LAYOUTS: &'static [&'static $crate::layout::StructLayout] =
                &[&<Self as $crate::field::Struct>::LAYOUT];

            fn encode(&self, out: &mut bytes::BytesMut) {
                $crate::field::encode(self, out);
            }

            fn decode(bytes: bytes::Bytes) -> Result<Self, $crate::args::ArgsError> {
                $crate::field::decode(bytes, $request)
            }
        }
    };
}

/// Args that users see as another type than the table does.
macro_rules! wire_args_as {
    ($name:ty, $table:ty, $request:literal) => {
        impl $crate::args::WireArgs for $name {
            const LAYOUTS: &'static [&'static $crate::layout::StructLayout] =
                &[&<$table as $crate::field::Struct>::LAYOUT];

            fn encode(&self, out: &mut bytes::BytesMut) {
                $crate::field::encode(&<$table>::from(self), out);
            }

            fn decode(bytes: bytes::Bytes) -> Result<Self, $crate::args::ArgsError> {
                <$table as TryInto<Self>>::try_into($crate::field::decode(bytes, $request)?)
                    .map_err($crate::args::ArgsError::from)
            }
        }
    };
}

pub(crate) use {wire_args_as, wire_struct};
