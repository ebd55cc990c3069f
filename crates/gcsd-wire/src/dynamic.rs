//! Args by the names of their fields, for tools that know requests and replies from the table alone: `gcsd encode` and `decode`.

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, Reader};
use super::layout::{FieldKind, FieldLayout, Presence, StructLayout, number};
use gcsd_types::EncryptionKey;

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, or a checksum.
    Number(u64),
    /// A bit that is set.
    Flag,
    /// Bytes, or text.
    Bytes(Bytes),
    /// The structs of an array.
    List(Vec<Values>),
}

/// Values, each with the place of its leaf in [`leaves`].
pub type Values = Vec<(usize, Value)>;

/// A field that holds a value itself, wherever in nested structs it stands.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The names of the fields that it stands in, and its own.
    pub path: Vec<&'static str>,
    /// What the table says of it.
    pub field: &'static FieldLayout,
    /// Why it is refused here, if it is.
    pub refused: Option<&'static str>,
    offset: usize,
    /// The words and bits by which it is present: its own, and that of the struct around it.
    bits: Vec<(usize, u32)>,
}

impl Leaf {
    /// Its path, with dots.
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    fn of<'a>(&self, fixed: &'a [u8]) -> &'a [u8] {
        fixed
            .get(self.offset..self.offset + self.field.size)
            .unwrap_or_default()
    }
}

/// What the structs around a leaf say of it.
#[derive(Clone, Default)]
struct Around {
    path: Vec<&'static str>,
    offset: usize,
    bits: Vec<(usize, u32)>,
    /// The word of fields whose bits stand outside of their struct.
    open: Option<(usize, u8)>,
    without: Vec<(&'static str, &'static str)>,
    refused: Option<&'static str>,
}

/// The fields of a struct that hold values, in the order in which their variable contents stand behind it.
pub fn leaves(layout: &'static StructLayout) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(layout, &Around::default(), &mut found);
    found
}

fn collect(layout: &'static StructLayout, around: &Around, found: &mut Vec<Leaf>) {
    for field in layout.fields {
        let mut inner = around.clone();
        inner.path.push(field.name);
        inner.offset += field.offset;
        inner.open = None;
        let refusal = around.without.iter().find(|(name, _)| *name == field.name);
        inner.refused = inner.refused.or(refusal.map(|(_, why)| *why));
        if let Presence::Bit(path, bit) = field.presence {
            let word = match (path, around.open) {
                ([], Some((word, first))) => (word, first + bit),
                _ => (around.offset + word_offset(layout, path), bit),
            };
            match field.kind {
                FieldKind::Struct(of) if of.has_open_bits() => inner.open = Some(word),
                _ => inner.bits.push((word.0, 1 << word.1)),
            }
        }
        match field.kind {
            FieldKind::Word | FieldKind::Reserved => {}
            FieldKind::Struct(of) => {
                inner.without.extend_from_slice(field.without);
                collect(of, &inner, found);
            }
            _ => found.push(Leaf {
                path: inner.path,
                field,
                refused: inner.refused,
                offset: inner.offset,
                bits: inner.bits,
            }),
        }
    }
}

/// Where the word at `path` stands.
fn word_offset(layout: &StructLayout, path: &[&str]) -> usize {
    let [first, rest @ ..] = path else { return 0 };
    let field = layout.fields.iter().find(|field| field.name == *first);
    field.map_or(0, |field| match field.kind {
        FieldKind::Struct(of) => field.offset + word_offset(of, rest),
        _ => field.offset,
    })
}

/// Reads args: the values of the fields that hold one.
pub fn decode(layout: &'static StructLayout, args: Bytes) -> Result<Values, ArgsError> {
    let mut reader = Reader::new(args);
    let fixed = reader.bytes(layout.size)?;
    let leaves = leaves(layout);
    let mut elements = Vec::new();
    for leaf in &leaves {
        if let FieldKind::Array(of) = leaf.field.kind {
            let count = usize::try_from(number(leaf.of(&fixed))).unwrap_or(usize::MAX);
            elements.push(reader.bytes(count.saturating_mul(of.size))?);
        }
    }
    let mut elements = elements.into_iter();
    let values = read(&leaves, &fixed, &mut elements, &mut reader)?;
    reader.end(values)
}

fn read(
    leaves: &[Leaf],
    fixed: &[u8],
    elements: &mut impl Iterator<Item = Bytes>,
    reader: &mut Reader,
) -> Result<Values, ArgsError> {
    let mut values = Vec::new();
    for (at, leaf) in leaves.iter().enumerate() {
        let raw = leaf.of(fixed);
        let word = |offset: usize| number(fixed.get(offset..offset + 4).unwrap_or_default());
        let mut present = leaf.bits.iter().all(|(at, bit)| word(*at) & u64::from(*bit) != 0);
        let value = match leaf.field.kind {
            FieldKind::Array(of) => {
                let of_leaves = self::leaves(of);
                let fixed = elements.next().unwrap_or_default();
                let each = fixed.chunks(of.size);
                let each = each.map(|fixed| read(&of_leaves, fixed, &mut std::iter::empty(), reader));
                Value::List(each.collect::<Result<_, _>>()?)
            }
            FieldKind::Flag => Value::Flag,
            FieldKind::Octets => Value::Bytes(Bytes::copy_from_slice(raw)),
            FieldKind::Key if !present => continue,
            FieldKind::Key => Value::Bytes(reader.bytes(EncryptionKey::LEN)?),
            FieldKind::Rest => Value::Bytes(reader.rest()),
            kind if kind.is_counted() => {
                let len = usize::try_from(number(raw)).unwrap_or(usize::MAX);
                present &= len > 0;
                Value::Bytes(reader.bytes(len)?)
            }
            _ => {
                let value = number(raw);
                present &= match leaf.field.presence {
                    Presence::NotZero => value != 0,
                    Presence::NotMax => value != u64::MAX >> (64 - 8 * raw.len().clamp(1, 8)),
                    _ => true,
                };
                Value::Number(value)
            }
        };
        if present {
            values.push((at, value));
        }
    }
    Ok(values)
}

/// The bytes of args with these values; all others are absent, or 0.
pub fn encode(layout: &'static StructLayout, values: &Values) -> Result<Bytes, ArgsError> {
    let (mut elements, mut tail) = (BytesMut::new(), BytesMut::new());
    let fixed = write(layout, values, &mut elements, &mut tail)?;
    Ok([fixed, elements, tail].concat().into())
}

fn write(
    layout: &'static StructLayout,
    values: &Values,
    elements: &mut BytesMut,
    tail: &mut BytesMut,
) -> Result<BytesMut, ArgsError> {
    let mut fixed = BytesMut::zeroed(layout.size);
    for (at, leaf) in leaves(layout).iter().enumerate() {
        let Some((_, value)) = values.iter().find(|(of, _)| *of == at) else {
            if leaf.field.presence == Presence::NotMax {
                fixed[leaf.offset..leaf.offset + leaf.field.size].fill(u8::MAX);
            }
            continue;
        };
        for (word, bit) in &leaf.bits {
            let bytes = &mut fixed[*word..*word + 4];
            let set = number(bytes) | u64::from(*bit);
            bytes.copy_from_slice(&set.to_le_bytes()[..4]);
        }
        let size = leaf.field.size;
        let raw = &mut fixed[leaf.offset..leaf.offset + size];
        let put = |raw: &mut [u8], number: u64| {
            let bytes = number.to_le_bytes();
            let (low, high) = bytes.split_at(size.min(bytes.len()));
            if high.iter().any(|byte| *byte != 0) {
                return Err(ArgsError::value(
                    leaf.field.name,
                    "is more than its field can hold",
                ));
            }
            raw.copy_from_slice(low);
            Ok(())
        };
        match value {
            Value::Flag => {}
            Value::Number(number) => put(raw, *number)?,
            Value::List(each) => {
                put(raw, each.len() as u64)?;
                let FieldKind::Array(of) = leaf.field.kind else {
                    continue;
                };
                for values in each {
                    let fixed = write(of, values, &mut BytesMut::new(), tail)?;
                    elements.extend_from_slice(&fixed);
                }
            }
            Value::Bytes(bytes) => match leaf.field.kind {
                FieldKind::Octets if bytes.len() == size => raw.copy_from_slice(bytes),
                FieldKind::Octets => {
                    return Err(ArgsError::value(leaf.field.name, "has another number of bytes"));
                }
                kind => {
                    if kind.is_counted() {
                        put(raw, bytes.len() as u64)?;
                    }
                    tail.extend_from_slice(bytes);
                }
            },
        }
    }
    Ok(fixed)
}
