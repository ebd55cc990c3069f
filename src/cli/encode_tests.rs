//! Tests of `gcsd encode`.

use clap::{Args as _, FromArgMatches as _};
use gcsd_types::Crc32c;
use gcsd_wire::dynamic::Value;
use gcsd_wire::layout::StructLayout;
use gcsd_wire::{HEAD_LEN, Request};
use tempfile::NamedTempFile;

use super::values::crc32c;
use super::*;

/// What a command line comes to.
fn run(line: &[&str]) -> Result<Vec<u8>, Failure> {
    let command = EncodeArgs::augment_args(Command::new("encode"));
    let matches = command.get_matches_from(["encode"].iter().chain(line));
    let args = EncodeArgs::from_arg_matches(&matches).expect("an opcode");
    let mut out = Vec::new();
    write(args, &mut out).map(|()| out)
}

/// The bytes that a command line makes.
fn encode(line: &[&str]) -> Vec<u8> {
    run(line).unwrap_or_else(|failure| panic!("{line:?}: {failure}"))
}

/// The request that a command line makes, and its head and body.
fn frame(line: &[&str]) -> (RequestHead, Request, Vec<u8>) {
    let bytes = encode(line);
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a head");
    let head = RequestHead::decode(head).expect("a good head");
    let (args, body) = rest.split_at(usize::try_from(head.args_len).expect("short"));
    let opcode = Opcode::from_code(head.opcode).expect("an opcode");
    let request = Request::decode(opcode, args.to_vec().into()).expect("good args");
    (head, request, body.to_vec())
}

fn request(line: &[&str]) -> Request {
    frame(line).1
}

/// What is wrong with a command line.
fn problem(line: &[&str]) -> String {
    run(line).expect_err("a bad line").to_string()
}

#[test]
fn a_range_is_a_head_args_and_its_bytes() {
    let (head, request, body) = frame(&["write-at", "text=hello", "last", "offset=256KiB"]);
    assert_eq!((head.opcode, head.sequence, head.upload), (0x11, 0x11, 1));
    assert_eq!((head.args_len, head.body_len), (40, 5));
    assert_eq!(body, b"hello");
    let Request::WriteAt(args) = request else {
        panic!("no range")
    };
    assert_eq!((args.offset, args.total), (262_144, Some(262_144 + 5)));
    let (head, ..) = frame(&["WriteAt", "text=hello", "sequence=0x21", "upload=9"]);
    assert_eq!((head.sequence, head.upload), (0x21, 9));
}

#[test]
fn a_file_is_a_body() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"0123456789").expect("a full file");
    let body = format!("body=@{}", file.path().display());
    assert_eq!(frame(&["write-at", &body]).2, b"0123456789");
    assert_eq!(frame(&["write-at", &body, "body_len=3"]).2, b"012");
    assert!(problem(&["write-at", &body, "body_len=11"]).contains("end 1 before"));
    assert!(problem(&["write-at", "body=hello"]).contains("text="));
    assert!(problem(&["write-at", &body, "text=x"]).contains("exclude"));
}

#[test]
fn a_body_in_pieces_ends_or_is_taken_back() {
    let piece = [&[5, 0, 0, 0, 1, 0, 0, 0][..], b"hello"].concat();
    let (head, _, body) = frame(&["write-at", "streamed", "text=hello"]);
    assert_eq!((head.flags, head.body_len), (1, 0));
    let end = [
        &[4, 0, 0, 0, 2, 0, 0, 0][..],
        &Crc32c::of(b"hello").0.to_le_bytes(),
    ]
    .concat();
    assert_eq!(body, [&piece[..], &end].concat());
    let (_, _, body) = frame(&["put-object", "gs://bucket/o", "abort", "text=hello"]);
    assert_eq!(body, [&piece[..], &[0, 0, 0, 0, 3, 0, 0, 0]].concat());
    assert!(problem(&["write-at", "streamed", "text=x", "last"]).contains("anyway"));
    // The heads of a checked request's pieces are checked.
    let bytes = encode(&["write-at", "checked", "streamed", "text=hello"]);
    let pieces = &bytes[HEAD_LEN + 44..];
    let head = pieces.first_chunk().expect("a piece");
    assert_eq!(
        gcsd_wire::PieceHead::decode_checked(head),
        Ok(gcsd_wire::PieceHead::Data(5))
    );
}

#[test]
fn a_checked_request_has_its_checksum() {
    let bytes = encode(&["ping", "echo=hello?", "checked", "sequence=17"]);
    assert_eq!(bytes.len(), HEAD_LEN + 10);
    let (head, args) = bytes.split_first_chunk().expect("a head");
    let args = args.to_vec().into();
    assert_eq!(gcsd_wire::check::verify(head, &args), Some("hello?".into()));
}

#[test]
fn checksums_in_both_notations() {
    let crc = Crc32c::of(b"hello world");
    assert_eq!(crc32c("yZRlqg=="), Ok(crc));
    assert_eq!(crc32c("c99465aa"), Ok(crc));
    assert!(crc32c("c99465a").is_err() && crc32c("").is_err() && crc32c("+9465aaf").is_err());
}

#[test]
fn a_list_is_asked_for_below_a_prefix() {
    let line = [
        "list-objects",
        "gs://bucket/a/b#",
        "delimiter=/",
        "max_results=7",
        "versions",
    ];
    let Request::ListObjects(args) = request(&line) else {
        panic!("no list")
    };
    assert_eq!(
        (args.query.bucket.as_str(), args.query.prefix.as_deref()),
        ("bucket", Some("a/b#"))
    );
    assert_eq!((args.query.max_results, args.query.versions), (Some(7), true));
    let Request::ListObjects(args) = request(&["list-objects", "bucket=bucket"]) else {
        panic!("no list")
    };
    assert_eq!(args.query.prefix, None);
}

#[test]
fn a_composition_has_its_sources_in_order() {
    let line = [
        "compose-objects",
        "gs://bucket/to",
        "source=a",
        "source=b#8",
        "sources=c#9#",
    ];
    let Request::ComposeObjects(args) = request(&line) else {
        panic!("no composition")
    };
    let names = args
        .sources
        .iter()
        .map(|source| (source.object.as_str(), source.generation));
    assert_eq!(
        names.collect::<Vec<_>>(),
        [("a", None), ("b", Some(8)), ("c#9", None)]
    );
    assert_eq!(args.destination.object.as_str(), "to");
    assert!(problem(&["compose-objects", "gs://bucket/to"]).contains("source_count"));
}

#[test]
fn copies_and_moves_tell_their_two_objects_apart() {
    let line = [
        "rewrite-object",
        "gs://from-here/a",
        "gs://to-there/b",
        "source.generation=7",
        "destination.if_generation_match=0",
        "source.if_metageneration_match=3",
        "max_bytes=1MiB",
    ];
    let Request::RewriteObject(args) = request(&line) else {
        panic!("no copy")
    };
    assert_eq!(args.rewrite.source.bucket.as_str(), "from-here");
    assert_eq!(args.rewrite.source.generation, Some(7));
    assert_eq!(args.rewrite.source.preconditions.if_metageneration_match, Some(3));
    assert_eq!(args.rewrite.destination.object.as_str(), "b");
    assert_eq!(
        args.rewrite.destination.preconditions.if_generation_match,
        Some(0)
    );
    assert_eq!(args.rewrite.max_bytes, Some(1 << 20));
    let twofold = problem(&[
        "rewrite-object",
        "gs://a-b/a",
        "gs://a-b/b",
        "if_generation_match=0",
    ]);
    assert!(
        twofold.contains("could be destination.preconditions"),
        "{twofold}"
    );

    let line = [
        "move-object",
        "gs://bucket/a",
        "gs://bucket/b",
        "source.if_generation_match=5",
        "preconditions.if_generation_match=0",
    ];
    let Request::MoveObject(args) = request(&line) else {
        panic!("no move")
    };
    assert_eq!(
        (args.source.object.as_str(), args.destination.as_str()),
        ("a", "b")
    );
    assert_eq!(args.source.preconditions.if_generation_match, Some(5));
    assert_eq!(args.preconditions.if_generation_match, Some(0));
    assert!(problem(&["move-object", "gs://bucket/a", "gs://other/b"]).contains("its bucket"));
    assert!(problem(&["move-object", "gs://bucket/a", "gs://bucket/b", "generation=1"]).contains("live one"));
}

#[test]
fn the_parts_of_an_object_stand_in_the_body() {
    let of = ["gs://bucket/o", "multipart_id=id"];
    let (_, _, body) = frame(&[&["complete-multipart"][..], &of, &["part=1=\"a\"", "part=2=b=c"]].concat());
    let parts = gcsd_wire::multipart::decode_parts(body.into()).expect("a list");
    let parts: Vec<_> = parts
        .iter()
        .map(|part| (part.number, part.etag.as_str()))
        .collect();
    assert_eq!(parts, [(1, "\"a\""), (2, "b=c")]);
    let (head, ..) = frame(
        &[
            &["upload-part"][..],
            &of,
            &["part_number=7", "streamed", "text=x"],
        ]
        .concat(),
    );
    assert_eq!((head.opcode, head.flags), (0x31, 1));
    for bad in ["part=x", "part=x=a", "part=-1=a"] {
        assert!(
            problem(&[&["complete-multipart"][..], &of, &[bad]].concat()).contains("N=ETAG"),
            "{bad}"
        );
    }
}

#[test]
fn secrets_and_keys_are_read_from_files() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"open sesame open sesame open ses").expect("a full file");
    let path = file.path().display();
    let Request::Hello(hello) = request(&["hello", &format!("secret=@{path}")]) else {
        panic!("no hello")
    };
    assert_eq!(hello.secret, "open sesame open sesame open ses");
    assert_eq!((hello.min_version, hello.max_version), (1, 1));
    let line = ["stat-object", "gs://bucket/o", &format!("key=@{path}")];
    let Request::StatObject(stat) = request(&line) else {
        panic!("no object")
    };
    assert_eq!(
        stat.of.key.expect("a key").expose(),
        b"open sesame open sesame open ses"
    );
    for bad in [
        &["hello", "secret=sesame"][..],
        &["stat-object", "gs://bucket/o", "key=sesame"],
    ] {
        let problem = problem(bad);
        assert!(
            problem.contains("=@FILE") && !problem.contains("sesame"),
            "{problem}"
        );
    }
}

#[test]
fn errors_name_the_right_field() {
    for (line, part) in [
        (&["write-at", "ofset=1"][..], "did you mean offset?"),
        (&["write-at", "strea"], "did you mean streamed?"),
        (
            &["stat-object", "gs://bucket/o", "zzzzzzzz=1"],
            "gcsd encode stat-object --help",
        ),
        (&["write-at", "offset"], "offset=..."),
        (&["write-at", "offset=x"], "offset"),
        (&["finish-upload"], "total=NUMBER"),
        (&["cancel"], "target=NUMBER"),
        (
            &["compose-objects", "gs://bucket/o", "sorce=a"],
            "did you mean source?",
        ),
        (
            &["compose-objects", "gs://bucket/o", "source.generation=1"],
            "behind the one",
        ),
        (&["stat-object"], "gs://BUCKET/OBJECT"),
        (
            &["delete-object", "gs://bucket/o", "fields=x"],
            "'of.fields' selects from JSON",
        ),
        (&["ping", "gs://bucket/o"], "no further object"),
        (&["write-at", "object_crc32c=00000000"], "object_crc32c"),
    ] {
        let problem = problem(line);
        assert!(problem.contains(part), "{line:?}: {problem}");
    }
}

#[test]
fn each_opcode_is_a_subcommand_that_lists_its_fields() {
    let mut command = EncodeArgs::augment_args(Command::new("encode"));
    command.build();
    for opcode in Opcode::ALL {
        let name = opcode.stem().replace('_', "-");
        let sub = command.find_subcommand_mut(&name).expect("a subcommand");
        let help = sub.render_long_help().to_string();
        for leaf in leaves(opcode.args()).iter().filter(|leaf| leaf.refused.is_none()) {
            let field = leaf.field.name.trim_end_matches('s');
            assert!(help.contains(field), "{name}: {}", leaf.name());
        }
        assert!(help.contains("sequence=NUMBER"), "{name}");
        assert!(!help.contains("As in"), "{name}: the help refers to other places");
    }
}

/// The words by which a request is shown, and with which it is made.
fn words_of(layout: &'static StructLayout, args: Vec<u8>, files: &mut Vec<NamedTempFile>) -> Vec<String> {
    let leaves = leaves(layout);
    let names = crate::cli::fields::short_names(&leaves);
    let values = gcsd_wire::dynamic::decode(layout, args.into()).expect("good args");
    let mut words = Vec::new();
    for (at, value) in values {
        let name = &names[at];
        let mut file = |bytes: &[u8]| {
            let file = NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), bytes).expect("a full file");
            let word = format!("{name}=@{}", file.path().display());
            files.push(file);
            word
        };
        match (leaves[at].field.kind, value) {
            (_, Value::Flag) => words.push(name.clone()),
            (FieldKind::Crc32c, Value::Number(number)) => words.push(format!("{name}={number:08x}")),
            (_, Value::Number(number)) => words.push(format!("{name}={number}")),
            (FieldKind::Secret | FieldKind::Key, Value::Bytes(bytes)) => words.push(file(&bytes)),
            (_, Value::Bytes(bytes)) => {
                let text = String::from_utf8(bytes.to_vec()).expect("text");
                words.push(format!("{name}={text}"));
            }
            (FieldKind::Array(of), Value::List(each)) => {
                let one = name.trim_end_matches('s');
                let fields = gcsd_wire::dynamic::leaves(of);
                for (at, value) in each.into_iter().flatten() {
                    match (value, fields[at].field.name) {
                        (Value::Bytes(bytes), _) => {
                            words.push(format!(
                                "{one}={}",
                                String::from_utf8(bytes.to_vec()).expect("text")
                            ));
                        }
                        (Value::Number(number), field) => words.push(format!("{one}.{field}={number}")),
                        (other, field) => panic!("{field}: {other:?}"),
                    }
                }
            }
            (kind, value) => panic!("{name}: {kind:?} {value:?}"),
        }
    }
    words
}

/// Each golden vector of a request is what `encode` makes of the words by which `decode` shows it.
#[test]
fn every_request_can_be_made_from_its_words() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut made = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(directory).expect("the vectors") {
        let path = entry.expect("an entry").path();
        if !path.to_str().is_some_and(|name| name.ends_with(".request.hex")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a vector");
        let hex = text
            .lines()
            .flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace());
        let bytes: Vec<u8> = hex
            .map(|pair| u8::from_str_radix(pair, 16).expect("hex"))
            .collect();
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().expect("a head");
        let request = RequestHead::decode(head).expect("a good head");
        let opcode = Opcode::from_code(request.opcode).expect("an opcode");
        let (args, body) = rest.split_at(usize::try_from(request.args_len).expect("short"));
        let args = &args[..args.len() - if request.checked() { 4 } else { 0 }];
        let mut files = Vec::new();
        let mut words = vec![opcode.name().to_owned(), format!("sequence={}", request.sequence)];
        words.extend(words_of(opcode.args(), args.to_vec(), &mut files));
        words.extend(opcode.has_upload().then(|| format!("upload={}", request.upload)));
        words.extend(request.checked().then(|| "checked".to_owned()));
        words.extend(request.streamed().then(|| "streamed".to_owned()));
        if opcode == Opcode::CompleteMultipart {
            let parts = gcsd_wire::multipart::decode_parts(body.to_vec().into()).expect("parts");
            words.extend(
                parts
                    .iter()
                    .map(|part| format!("part={}={}", part.number, part.etag)),
            );
        } else if !body.is_empty() && !request.streamed() {
            words.push(format!(
                "text={}",
                String::from_utf8(body.to_vec()).expect("text")
            ));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut encoded = encode(&words);
        let mut expected = bytes.clone();
        if request.streamed() {
            // How a body is cut into pieces is the sender's.
            encoded.truncate(HEAD_LEN + rest.len() - body.len());
            expected.truncate(HEAD_LEN + rest.len() - body.len());
        }
        assert_eq!(encoded, expected, "{}: {words:?}", path.display());
        made.insert(opcode as u8);
    }
    assert_eq!(made.len(), Opcode::ALL.len());
}
