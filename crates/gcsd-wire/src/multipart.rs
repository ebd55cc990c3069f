//! What the requests on multipart uploads share (proto-spec.md, "Shared structs").

use bytes::Bytes;

use super::args::{ArgsError, WireArgs as _};
use super::table::wire_struct;
use gcsd_types::{BucketName, EncryptionKey, MAX_PARTS, MultipartRef, ObjectName, Part};

wire_struct! {
    /// A multipart upload. Its variable fields stand behind the struct that it is part of.
    impl MultipartRef: "MultipartRef"[24], part, checked by has_id {
        /// As in ObjectRef.
        bucket: BucketName;
        /// As in ObjectRef.
        object: ObjectName;
        /// The project that pays, for buckets where the requester does.
        user_project: Option<String>;
        /// What StartMultipart's reply gave, as it is; not empty, else `bad_args`.
        multipart_id: String;
        bits present;
        pad reserved 4;
        pad reserved2 8;
        /// The key that the upload was started with: 32 bytes.
        key: Option<EncryptionKey>, present[7];
    }
}

fn has_id(of: &MultipartRef) -> Result<(), ArgsError> {
    match of.multipart_id.is_empty() {
        true => Err(ArgsError::value("multipart_id", "is empty")),
        false => Ok(()),
    }
}

fn has_number(part: &Part) -> Result<(), ArgsError> {
    check_number(part.number)
}

/// Checks that `number` is one that a part can have.
pub(crate) fn check_number(number: u32) -> Result<(), ArgsError> {
    match (1..=MAX_PARTS).contains(&number) {
        true => Ok(()),
        false => Err(ArgsError::value("part_number", "is not 1 to 10,000")),
    }
}

wire_struct! {
    /// A part, as the list that completes the upload names it.
    impl Part: "Part"[8], part, checked by has_number {
        /// 1 to 10,000. The parts stand in the object in the order of their numbers.
        number: u32;
        /// GCS's entity tag of the part, with the quotes that it may have.
        etag: String;
        pad reserved 2;
    }
}

wire_struct! {
    /// The body of a CompleteMultipart: the parts that make the object.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct PartList: "PartList"[8], request, checked by PartList::check {
        /// 1 to 10,000; the parts' numbers rise. Else, and if the list has not this layout, `bad_args`.
        parts: Vec<Part>;
        pad reserved 4;
    }
}

impl PartList {
    fn check(&self) -> Result<(), ArgsError> {
        let count = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        if !(1..=MAX_PARTS).contains(&count) {
            return Err(ArgsError::value("part_count", "is not 1 to 10,000"));
        }
        if self.parts.windows(2).any(|two| two[0].number >= two[1].number) {
            return Err(ArgsError::value(
                "number",
                "is not higher than that of the part before",
            ));
        }
        Ok(())
    }
}

/// The longest list of parts, in bytes: room for [`MAX_PARTS`] entity tags of some 90 bytes.
pub const MAX_PARTS_LEN: u64 = 1 << 20;

/// The body of a CompleteMultipart: the parts that make the object.
pub fn encode_parts(parts: &[Part]) -> Bytes {
    let parts = parts.to_vec();
    PartList { parts }.to_bytes()
}

/// Reads the body of a CompleteMultipart. Its parts have rising numbers.
pub fn decode_parts(body: Bytes) -> Result<Vec<Part>, ArgsError> {
    PartList::decode(body).map(|list| list.parts)
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
