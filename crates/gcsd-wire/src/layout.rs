//! What the table says of a struct: its fields, where they stand, and when they hold a value.
//!
//! Everything that need not know a struct's Rust type works from this: the check of what a peer sent, the
//! [`dynamic`](crate::dynamic) codec of the command line, the tables of the specification and its description as JSON.

use crate::args::ArgsError;

/// A struct of the wire.
#[derive(Debug)]
pub struct StructLayout {
    /// Its name in the specification, such as `WriteAt.args`, or `ObjectRef` where several structs share it.
    pub name: &'static str,
    /// The size of the fixed part, in bytes.
    pub size: usize,
    /// What it is for.
    pub doc: &'static str,
    /// Its fields in their order. Those without bytes in the fixed part (flags, keys) are among them.
    pub fields: &'static [FieldLayout],
}

/// A field of a struct.
#[derive(Debug)]
pub struct FieldLayout {
    /// Its name.
    pub name: &'static str,
    /// Where it stands in the fixed part, in bytes from its start.
    pub offset: usize,
    /// How many bytes it has there; 0 for what is only a bit, or only stands behind the fixed part.
    pub size: usize,
    /// What it holds.
    pub kind: FieldKind,
    /// When it holds a value.
    pub presence: Presence,
    /// Fields of the struct in it that are refused here, and why.
    pub without: &'static [(&'static str, &'static str)],
    /// What it means.
    pub doc: &'static str,
}

/// What a field holds. Those with content of a variable length have that length in the fixed part, and the content behind it.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind {
    /// An unsigned integer.
    Number,
    /// An unsigned integer whose values have names.
    Choice(&'static [(u32, &'static str)]),
    /// Seconds since 1970-01-01 00:00 UTC.
    Time,
    /// A CRC32C.
    Crc32c,
    /// Bytes of a fixed number.
    Octets,
    /// A set of bits, which other fields are present by.
    Word,
    /// A bit of a word.
    Flag,
    /// Bytes without a meaning yet: 0 in requests, ignored in replies.
    Reserved,
    /// Text. The field holds its length.
    Text,
    /// Text that is a credential.
    Token,
    /// Bytes that are a credential.
    Secret,
    /// Text in JSON.
    Json,
    /// Numbers of one byte each.
    Bytes,
    /// All bytes behind the fixed part.
    Rest,
    /// A customer-supplied encryption key: 32 bytes behind the fixed part.
    Key,
    /// Another struct, whose variable fields stand behind this one.
    Struct(&'static StructLayout),
    /// A struct so many times, directly behind the fixed part; the field holds how often.
    Array(&'static StructLayout),
}

/// When a field holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always. Content of a variable length is absent where its length is 0.
    Always,
    /// Where a bit is set of the word with this path; an empty path is the word that the struct around it names.
    Bit(&'static [&'static str], u8),
    /// Where it is not 0.
    NotZero,
    /// Where not all of its bits are set.
    NotMax,
}

impl FieldKind {
    /// Whether the field holds the length of bytes behind the fixed part.
    pub fn is_counted(self) -> bool {
        matches!(
            self,
            Self::Text | Self::Token | Self::Secret | Self::Json | Self::Bytes
        )
    }
}

impl FieldLayout {
    /// The name that the field has in the specification's tables: that of what its bytes in the fixed part are.
    pub fn row(&self) -> String {
        match self.kind {
            FieldKind::Array(_) => format!("{}_count", self.name.trim_end_matches('s')),
            kind if kind.is_counted() => format!("{}_len", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Its bytes in the fixed part.
    pub fn of<'a>(&self, fixed: &'a [u8]) -> &'a [u8] {
        fixed
            .get(self.offset..self.offset + self.size)
            .unwrap_or_default()
    }

    /// The path and the mask of the bits that say whether the field holds a value.
    fn bits(&self) -> Option<(&'static [&'static str], u32)> {
        let Presence::Bit(path, bit) = self.presence else {
            return None;
        };
        let mask = match self.kind {
            FieldKind::Struct(of) if of.has_open_bits() => of.mask(&[]),
            _ => 1,
        };
        Some((path, mask << bit))
    }
}

impl StructLayout {
    /// Whether its fields are present by a word outside of it.
    pub fn has_open_bits(&self) -> bool {
        let open = |field: &FieldLayout| matches!(field.presence, Presence::Bit([], _));
        self.fields.iter().any(open)
    }

    /// The bits of the word at `path` that have a meaning.
    pub fn mask(&self, path: &[&str]) -> u32 {
        let own = self.fields.iter().filter_map(FieldLayout::bits);
        let own = own
            .filter(|(of, _)| *of == path)
            .fold(0, |mask, (_, bits)| mask | bits);
        let [first, rest @ ..] = path else { return own };
        let inner = self.fields.iter().find_map(|field| match field.kind {
            FieldKind::Struct(inner) if field.name == *first && !rest.is_empty() => Some(inner.mask(rest)),
            _ => None,
        });
        own | inner.unwrap_or(0)
    }

    /// Checks the fixed part of what a peer sent: reserved bytes and bits, values of fields that are absent, and fields that are
    /// refused here.
    pub(crate) fn check(&'static self, bytes: &[u8]) -> Result<(), ArgsError> {
        self.check_within(bytes, &mut [None; 4], 0, 0)
    }

    fn check_within(
        &'static self,
        bytes: &[u8],
        around: &mut [Option<(&'static StructLayout, &'static str)>; 4],
        depth: usize,
        open: u64,
    ) -> Result<(), ArgsError> {
        for field in self.fields {
            let found = field.of(bytes);
            // The bits from that of the field on, in the word that it is present by.
            let bits = match field.presence {
                Presence::Bit([], bit) => open >> bit,
                Presence::Bit(path, bit) => self.word(path, bytes) >> bit,
                _ => 1,
            };
            let by_bits = matches!(field.kind, FieldKind::Struct(of) if of.has_open_bits());
            if bits & 1 == 0 && !by_bits && found.iter().any(|byte| *byte != 0) {
                return Err(ArgsError::Absent(field.name));
            }
            match field.kind {
                FieldKind::Reserved if found.iter().any(|byte| *byte != 0) => {
                    return Err(ArgsError::Reserved(field.name));
                }
                FieldKind::Word => {
                    let mut known = self.mask(&[field.name]);
                    let mut path = [field.name; 5];
                    for at in (0..depth).rev() {
                        let Some((outer, name)) = around[at] else { continue };
                        path[at] = name;
                        known |= outer.mask(&path[at..=depth]);
                    }
                    let word = number(found);
                    if word & !u64::from(known) != 0 {
                        return Err(ArgsError::Reserved(field.name));
                    }
                }
                FieldKind::Struct(inner) => {
                    for (name, why) in field.without {
                        if inner.is_given(name, found) {
                            return Err(ArgsError::Value { field: name, why });
                        }
                    }
                    around[depth] = Some((self, field.name));
                    inner.check_within(found, around, depth + 1, bits)?;
                    around[depth] = None;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The word at `path`.
    fn word(&self, path: &[&str], bytes: &[u8]) -> u64 {
        let [first, rest @ ..] = path else { return 0 };
        let field = self.fields.iter().find(|field| field.name == *first);
        field.map_or(0, |field| match field.kind {
            FieldKind::Struct(inner) => inner.word(rest, field.of(bytes)),
            _ => number(field.of(bytes)),
        })
    }

    /// Whether the field `name` holds a value. `preconditions` does where one of them does.
    fn is_given(&self, name: &str, bytes: &[u8]) -> bool {
        self.fields.iter().any(|field| {
            let bits = match (field.kind, field.presence) {
                _ if field.name == name => field.bits(),
                // A field of a struct whose bits stand here.
                (FieldKind::Struct(inner), Presence::Bit(path, bit)) => {
                    let inner = inner.fields.iter().find(|inner| inner.name == name);
                    inner
                        .and_then(FieldLayout::bits)
                        .map(|(_, mask)| (path, mask << bit))
                }
                _ => return false,
            };
            match bits {
                Some(([word], mask)) => {
                    let mut words = self.fields.iter().filter(|field| field.name == *word);
                    words.any(|word| number(word.of(bytes)) & u64::from(mask) != 0)
                }
                Some(_) => false,
                None => field.name == name && number(field.of(bytes)) != 0,
            }
        })
    }

    /// How the fields lie: one behind the other, without holes, each at a multiple of its own size.
    pub(crate) const fn is_sound(&self, size: usize) -> bool {
        let (mut at, mut end) = (0, 0);
        while at < self.fields.len() {
            let field = &self.fields[at];
            let unit = match field.kind {
                FieldKind::Reserved | FieldKind::Octets => 1,
                FieldKind::Struct(inner) if inner.size.is_multiple_of(8) => 8,
                _ if field.size == 0 => 1,
                _ => field.size,
            };
            if field.offset != end || !field.offset.is_multiple_of(unit) {
                return false;
            }
            end += field.size;
            at += 1;
        }
        end == size && size == self.size && size.is_multiple_of(8)
    }
}

/// A little-endian number of up to 8 bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
