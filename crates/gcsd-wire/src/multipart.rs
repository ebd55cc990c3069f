//! What the requests on multipart uploads share (proto-spec.md, "Shared structs").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, bit, fit, fit_optional, known_bits};
use super::object::{KEY_BIT, key, put_key};
use gcsd_types::{BucketName, MAX_PARTS, MultipartRef, ObjectName, Part};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawMultipartRef {
    bucket_len: U16,
    object_len: U16,
    user_project_len: U16,
    multipart_id_len: U16,
    pub(super) present: U32,
    /// The opcode's own number, or reserved.
    pub(super) number: U32,
}
const _: () = assert!(size_of::<RawMultipartRef>() == 16);

impl RawMultipartRef {
    /// The struct; `extra` are the opcode's own bits of `present`, `number` is its own number.
    pub(super) fn pack(of: &MultipartRef, extra: u32, number: u32) -> Self {
        Self {
            bucket_len: fit(of.bucket.as_str()).1.into(),
            object_len: fit(of.object.as_str()).1.into(),
            user_project_len: fit_optional(&of.user_project).1.into(),
            multipart_id_len: fit(&of.multipart_id).1.into(),
            present: (bit(of.key.as_ref(), KEY_BIT) | extra).into(),
            number: number.into(),
        }
    }

    /// Reads the variable fields; `extra` are the bits that `present` may have beside `key`.
    pub(super) fn unpack(&self, extra: u32, reader: &mut Reader) -> Result<MultipartRef, ArgsError> {
        let present = known_bits(self.present.get(), KEY_BIT | extra, "present")?;
        let bucket = BucketName::new(reader.text(self.bucket_len.get().into(), "bucket")?)?;
        let object = ObjectName::new(reader.text(self.object_len.get().into(), "object")?)?;
        let user_project = reader.optional_text(self.user_project_len.get().into(), "user_project")?;
        let multipart_id = reader.optional_text(self.multipart_id_len.get().into(), "multipart_id")?;
        Ok(MultipartRef {
            bucket,
            object,
            multipart_id: multipart_id.ok_or(ArgsError::Value {
                field: "multipart_id",
                why: "is empty",
            })?,
            user_project,
            key: key(present, reader)?,
        })
    }

    /// As [`unpack`](Self::unpack), where the opcode has neither bits nor a number of its own.
    pub(super) fn unpack_alone(&self, reader: &mut Reader) -> Result<MultipartRef, ArgsError> {
        if self.number.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        self.unpack(0, reader)
    }
}

/// Appends the variable fields of a [`MultipartRef`].
pub(super) fn put_multipart_ref(out: &mut BytesMut, of: &MultipartRef) {
    for (text, _) in [
        fit(of.bucket.as_str()),
        fit(of.object.as_str()),
        fit_optional(&of.user_project),
        fit(&of.multipart_id),
    ] {
        out.extend_from_slice(text.as_bytes());
    }
    put_key(out, of.key.as_ref());
}

/// A part's number, provided that it is one.
pub(super) fn part_number(number: u32) -> Result<u32, ArgsError> {
    match (1..=MAX_PARTS).contains(&number) {
        true => Ok(number),
        false => Err(ArgsError::Value {
            field: "part_number",
            why: "is not 1 to 10,000",
        }),
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawPart {
    number: U32,
    etag_len: U16,
    reserved: U16,
}
const _: () = assert!(size_of::<RawPart>() == 8);

impl RawPart {
    pub(super) fn pack(part: &Part) -> Self {
        Self {
            number: part.number.into(),
            etag_len: fit(&part.etag).1.into(),
            reserved: U16::ZERO,
        }
    }

    /// Reads the entity tag, which stands behind all parts.
    pub(super) fn unpack(&self, reader: &mut Reader) -> Result<Part, ArgsError> {
        if self.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        Ok(Part {
            number: part_number(self.number.get())?,
            etag: reader.text(self.etag_len.get().into(), "etag")?,
        })
    }
}

/// The longest list of parts, in bytes: room for [`MAX_PARTS`] entity tags of some 90 bytes.
pub const MAX_PARTS_LEN: u64 = 1 << 20;

/// The body of a CompleteMultipart: the parts that make the object.
pub fn encode_parts(parts: &[Part]) -> Bytes {
    use zerocopy::IntoBytes as _;
    let mut out = BytesMut::new();
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for part in parts {
        out.extend_from_slice(RawPart::pack(part).as_bytes());
    }
    for part in parts {
        out.extend_from_slice(fit(&part.etag).0.as_bytes());
    }
    out.freeze()
}

/// Reads the body of a CompleteMultipart. Its parts have rising numbers.
pub fn decode_parts(body: Bytes) -> Result<Vec<Part>, ArgsError> {
    let mut reader = Reader::new(body);
    let [count, reserved]: [U32; 2] = reader.fixed()?;
    if reserved.get() != 0 {
        return Err(ArgsError::Reserved("reserved"));
    }
    if !(1..=MAX_PARTS).contains(&count.get()) {
        return Err(ArgsError::Value {
            field: "part_count",
            why: "is not 1 to 10,000",
        });
    }
    let parts = (0..count.get())
        .map(|_| reader.fixed())
        .collect::<Result<Vec<RawPart>, _>>()?;
    let parts = parts
        .iter()
        .map(|part| part.unpack(&mut reader))
        .collect::<Result<Vec<_>, _>>()?;
    if parts.windows(2).any(|two| two[0].number >= two[1].number) {
        return Err(ArgsError::Value {
            field: "number",
            why: "is not higher than that of the part before",
        });
    }
    reader.end(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_parts_comes_back_and_is_in_order() {
        let part = |number, etag: &str| Part {
            number,
            etag: etag.to_owned(),
        };
        let parts = vec![part(1, "\"a\""), part(3, ""), part(10_000, "ü")];
        let bytes = encode_parts(&parts);
        assert_eq!(bytes.len(), 8 + 3 * 8 + 3 + 2);
        assert_eq!(decode_parts(bytes.clone()), Ok(parts));
        for len in 0..bytes.len() {
            assert!(decode_parts(bytes.slice(..len)).is_err(), "{len}");
        }
        for bad in [
            vec![],
            vec![part(0, "a")],
            vec![part(10_001, "a")],
            vec![part(2, "a"), part(2, "b")],
            vec![part(2, "a"), part(1, "b")],
        ] {
            assert!(decode_parts(encode_parts(&bad)).is_err(), "{bad:?}");
        }
        // A count alone makes no room.
        assert!(decode_parts(Bytes::from_static(&[0xff; 8])).is_err());
    }
}
