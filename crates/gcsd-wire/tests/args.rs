//! Args come back from their bytes, and no bytes are too strange to be read.

mod values;

use bytes::Bytes;
use gcsd_types::{ComposeSource, Destination, EncryptionKey, ObjectRef, Part, Preconditions};
use gcsd_wire::layout::{FieldKind, StructLayout};
use gcsd_wire::multipart::{decode_parts, encode_parts};
use gcsd_wire::{
    ArgsError, ErrorReply, Opcode, PieceHead, Reply, ReplyHead, Request, RequestHead, WireArgs,
    compose_objects, delete_object, dynamic, hello, move_object, start_multipart,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use values::{bytes, damaged, error_reply, reply, request};

/// Few, because there are many opcodes.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Checks `property` of values of `strategy`, for each opcode.
fn for_each<T: std::fmt::Debug>(
    strategy: impl Fn(Opcode) -> BoxedStrategy<T>,
    property: impl Fn(Opcode, T) -> Result<(), TestCaseError>,
) {
    for &opcode in Opcode::ALL {
        let outcome = TestRunner::new(config()).run(&strategy(opcode), |value| property(opcode, value));
        outcome.unwrap_or_else(|error| panic!("{}: {error}", opcode.name()));
    }
}

#[test]
fn every_request_comes_back_from_its_bytes() {
    for_each(request, |opcode, request| {
        prop_assert_eq!(request.opcode(), opcode);
        prop_assert_eq!(Request::decode(opcode, request.to_bytes()), Ok(request));
        Ok(())
    });
}

#[test]
fn every_reply_comes_back_from_its_bytes() {
    for_each(reply, |opcode, reply| {
        prop_assert_eq!(reply.opcode(), opcode);
        prop_assert_eq!(Reply::decode(opcode, reply.to_bytes()), Ok(reply));
        Ok(())
    });
}

/// What was understood of some bytes is what its own bytes say.
fn is_stable<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    found: Result<T, E>,
    again: impl Fn(&T) -> Result<T, E>,
) -> Result<(), TestCaseError> {
    if let Ok(found) = found {
        let again = again(&found).map_err(|error| TestCaseError::fail(format!("{found:?}: {error:?}")))?;
        prop_assert_eq!(again, found);
    }
    Ok(())
}

#[test]
fn any_bytes_are_a_request_or_an_error() {
    let strange = |opcode| {
        let good = request(opcode).prop_map(|request| request.to_bytes());
        prop_oneof![bytes(), damaged(good)].boxed()
    };
    for_each(strange, |opcode, bytes| {
        is_stable(Request::decode(opcode, bytes.into()), |request| {
            Request::decode(opcode, request.to_bytes())
        })
    });
}

#[test]
fn any_bytes_are_a_reply_or_an_error() {
    let strange = |opcode| {
        let good = reply(opcode).prop_map(|reply| reply.to_bytes());
        prop_oneof![bytes(), damaged(good)].boxed()
    };
    for_each(strange, |opcode, bytes| {
        is_stable(Reply::decode(opcode, bytes.into()), |reply| {
            Reply::decode(opcode, reply.to_bytes())
        })
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_error_comes_back_from_its_bytes(error in error_reply()) {
        prop_assert_eq!(ErrorReply::decode(error.to_bytes()), Ok(error));
    }

    #[test]
    fn any_bytes_are_an_errors_args_or_none(
        bytes in prop_oneof![bytes(), damaged(error_reply().prop_map(|error| error.to_bytes()))],
    ) {
        is_stable(ErrorReply::decode(bytes.into()), |error| ErrorReply::decode(error.to_bytes()))?;
    }

    /// Each bit of a head is a field's, or must be what it is: none is lost.
    #[test]
    fn a_head_has_no_other_bytes(
        mut bytes in any::<[u8; 32]>(),
        magic in 0..3_u8,
        sound in any::<bool>(),
    ) {
        match magic {
            0 => bytes[..4].copy_from_slice(b"GCS?"),
            1 => bytes[..4].copy_from_slice(b"GCS!"),
            _ => {}
        }
        if sound {
            // The version, the flags that touch the framing, and the highest bit of the body's length.
            (bytes[4], bytes[6], bytes[31]) = (1, 0, bytes[31] & 0x7f);
        }
        let (request, reply) = (RequestHead::decode(&bytes), ReplyHead::decode(&bytes));
        prop_assert_eq!(request.is_ok() && sound, magic == 0 && sound);
        prop_assert_eq!(reply.is_ok() && sound, magic == 1 && sound);
        if let Ok(head) = request {
            prop_assert_eq!(head.encode(), bytes);
        }
        if let Ok(head) = reply {
            prop_assert_eq!(head.encode(), bytes);
        }
    }

    #[test]
    fn a_head_of_a_piece_has_no_other_bytes(
        len in prop_oneof![0..6_u32, any::<u32>()],
        rest in any::<[u8; 4]>(),
        sound in any::<bool>(),
    ) {
        let [kind, reserved @ ..] = rest;
        let (kind, reserved) = if sound { (kind % 4, [0; 3]) } else { (kind, reserved) };
        let [a, b, c, d] = len.to_le_bytes();
        let bytes = [a, b, c, d, kind, reserved[0], reserved[1], reserved[2]];
        if let Ok(head) = PieceHead::decode(&bytes) {
            prop_assert_eq!(head.encode(), bytes);
        }
    }

    #[test]
    fn a_list_of_parts_comes_back_from_its_bytes(
        parts in prop::collection::btree_map(1..=10_000_u32, "\\PC{0,20}", 1..40),
    ) {
        let parts: Vec<_> = parts.into_iter().map(|(number, etag)| Part { number, etag }).collect();
        prop_assert_eq!(decode_parts(encode_parts(&parts)), Ok(parts));
    }

    #[test]
    fn any_bytes_are_a_list_of_parts_or_an_error(
        bytes in prop_oneof![
            bytes(),
            damaged((1..2000_u32, "[a-z]{0,9}").prop_map(|(number, etag)| {
                encode_parts(&[Part { number, etag: etag.clone() }, Part { number: number + 1, etag }])
            })),
        ],
    ) {
        is_stable(decode_parts(bytes.into()), |parts| decode_parts(encode_parts(parts)))?;
    }

    /// A text that is longer than its length can say is cut between two characters.
    #[test]
    fn a_text_that_is_too_long_is_cut(first in 65_520..65_540_usize, character in any::<char>()) {
        let message = "x".repeat(first) + &character.to_string().repeat(10);
        let long = ErrorReply { message: message.clone(), ..ErrorReply::default() };
        let cut = ErrorReply::decode(long.to_bytes()).expect("good args").message;
        prop_assert!(message.starts_with(&cut));
        let room = usize::from(u16::MAX) - cut.len();
        prop_assert!(cut == message || room < character.len_utf8());
    }

    #[test]
    fn a_secret_that_is_too_long_is_cut(len in 65_530..65_540_usize) {
        let hello = hello::Args { secret: Bytes::from(vec![7; len]), ..hello::Args::default() };
        let cut = hello::Args::decode(hello.to_bytes()).expect("good args");
        prop_assert_eq!(cut.secret.len(), len.min(usize::from(u16::MAX)));
    }
}

/// The struct that the args of a reply's frame are, if they are any.
fn struct_of(opcode: Opcode, args: &Bytes) -> Option<&'static StructLayout> {
    opcode.reply(args.len())
}

/// What the table says of args is what the code does with them.
#[test]
fn args_by_their_fields_are_the_same_bytes() {
    let same = |layout, bytes: Bytes| {
        let values = dynamic::decode(layout, bytes.clone());
        let values = values.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(dynamic::encode(layout, &values), Ok(bytes));
        Ok(())
    };
    for_each(request, |opcode, request| same(opcode.args(), request.to_bytes()));
    for_each(reply, |opcode, reply| {
        let bytes = reply.to_bytes();
        struct_of(opcode, &bytes).map_or(Ok(()), |layout| same(layout, bytes))
    });
}

/// Where the reserved bytes of a struct stand, and those of the structs in it.
fn reserved(layout: &StructLayout, from: usize) -> Vec<usize> {
    let fields = layout.fields.iter();
    let places = fields.flat_map(|field| match field.kind {
        FieldKind::Reserved => (from + field.offset..from + field.offset + field.size).collect(),
        FieldKind::Struct(of) => reserved(of, from + field.offset),
        _ => Vec::new(),
    });
    places.collect()
}

#[test]
fn reserved_bytes_are_refused_in_requests_and_ignored_in_replies() {
    for_each(request, |opcode, request| {
        for at in reserved(opcode.args(), 0) {
            let mut bytes = request.to_bytes().to_vec();
            bytes[at] = 1;
            let refused = Request::decode(opcode, bytes.into());
            prop_assert!(matches!(refused, Err(ArgsError::Reserved(_))), "byte {}", at);
        }
        Ok(())
    });
    for_each(reply, |opcode, reply| {
        let bytes = reply.to_bytes();
        let layout = struct_of(opcode, &bytes);
        for at in layout.map_or(Vec::new(), |layout| reserved(layout, 0)) {
            let mut bytes = bytes.to_vec();
            bytes[at] = 1;
            prop_assert_eq!(
                Reply::decode(opcode, bytes.into()),
                Ok(reply.clone()),
                "byte {}",
                at
            );
        }
        Ok(())
    });
}

/// Sets a bit of a word, wherever it stands.
fn words(
    layout: &'static StructLayout,
    from: usize,
    path: &[&'static str],
    found: &mut Vec<(usize, u32)>,
    whole: &'static StructLayout,
) {
    for field in layout.fields {
        let path = [path, &[field.name]].concat();
        match field.kind {
            FieldKind::Word => found.push((from + field.offset, whole.mask(&path))),
            FieldKind::Struct(of) => words(of, from + field.offset, &path, found, whole),
            _ => {}
        }
    }
}

#[test]
fn undefined_bits_are_refused_in_requests() {
    for_each(request, |opcode, request| {
        let mut found = Vec::new();
        words(opcode.args(), 0, &[], &mut found, opcode.args());
        for (at, known) in found {
            for bit in (0..32).filter(|bit| known >> bit & 1 == 0) {
                let mut bytes = request.to_bytes().to_vec();
                bytes[at + bit / 8] |= 1 << (bit % 8);
                let refused = Request::decode(opcode, bytes.into());
                prop_assert!(
                    matches!(refused, Err(ArgsError::Reserved(_))),
                    "bit {} of {}",
                    bit,
                    at
                );
            }
        }
        Ok(())
    });
}

/// What is refused is named, with the reason.
#[test]
fn a_field_that_has_no_place_is_refused_by_its_name() {
    let of = |set: fn(&mut ObjectRef)| {
        let mut of = ObjectRef::new(
            "bucket".parse().expect("a name"),
            "object".parse().expect("a name"),
        );
        set(&mut of);
        of
    };
    let fields = |of: &mut ObjectRef| of.fields = Some("name".to_owned());
    let key = |of: &mut ObjectRef| of.key = Some(EncryptionKey::new([7; 32]));
    for (set, field) in [(fields as fn(&mut ObjectRef), "fields"), (key, "key")] {
        let bytes = delete_object::Args { of: of(set) }.to_bytes();
        let refused = Request::decode(Opcode::DeleteObject, bytes).expect_err("no place for it");
        assert!(
            matches!(refused, ArgsError::Value { field: name, .. } if name == field),
            "{refused}"
        );
    }
    let args = move_object::Args {
        source: of(|of| of.generation = Some(1)),
        destination: "other".parse().expect("a name"),
        preconditions: Preconditions::default(),
    };
    let refused = Request::decode(Opcode::MoveObject, args.to_bytes()).expect_err("no place for it");
    assert!(
        refused
            .to_string()
            .starts_with("the field 'generation' cannot be chosen"),
        "{refused}"
    );
    let mut destination = Destination::new(
        "bucket".parse().expect("a name"),
        "object".parse().expect("a name"),
    );
    destination.preconditions.if_metageneration_not_match = Some(1);
    let sources = vec![ComposeSource::new("part".parse().expect("a name"))];
    let args = compose_objects::Args {
        destination: destination.clone(),
        sources,
    };
    let refused = Request::decode(Opcode::ComposeObjects, args.to_bytes()).expect_err("no place for it");
    assert!(
        refused
            .to_string()
            .starts_with("the field 'if_metageneration_not_match' is a"),
        "{refused}"
    );
    let args = start_multipart::Args { destination };
    let refused = Request::decode(Opcode::StartMultipart, args.to_bytes()).expect_err("no place for it");
    assert!(
        refused
            .to_string()
            .starts_with("the field 'preconditions' cannot be given"),
        "{refused}"
    );
}
