//! `proto-spec.md` against the code: vectors, statuses, opcodes, sizes and cross references.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gcsd_types::{
    BucketInfo, BucketName, BucketQuery, BucketRef, ComposeSource, Destination, MultipartRef, ObjectInfo,
    ObjectName, ObjectQuery, ObjectRef, Page, Part, PartsPage, Preconditions, Rewrite, Rewritten, StoredPart,
};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::progress::Progress;
use gcsd_wire::{
    ErrorReply, HEAD_LEN, Kind, Layer, Opcode, PIECE_HEAD_LEN, Retry, WireArgs, abort_multipart,
    attach_upload, cancel_upload, complete_multipart, compose_objects, delete_object, finish_upload, hello,
    list_buckets, list_objects, list_parts, move_object, page, patch_object, ping, put_object, read_at,
    rewrite_object, start_multipart, start_upload, stat_bucket, stat_object, upload_part, write_at,
};

use crate::support::vectors;

fn spec() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-spec.md");
    std::fs::read_to_string(path).expect("the specification")
}

/// The cells of a table's row, without back ticks.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
    Some(
        inner
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect(),
    )
}

/// The rows of all tables whose header starts with `header`.
fn rows(spec: &str, header: &str) -> Vec<Vec<String>> {
    let mut lines = spec.lines();
    let mut rows = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with(header) {
            rows.extend(lines.by_ref().skip(1).map_while(cells));
        }
    }
    rows
}

/// The names and bytes of the vectors that the text shows.
fn shown(spec: &str) -> Vec<(&str, Vec<u8>)> {
    let blocks = spec.split("\n```").filter_map(|block| block.strip_prefix("hex "));
    let named = blocks.filter_map(|block| block.split_once('\n'));
    named
        .map(|(name, text)| (name, vectors::bytes_of(text)))
        .collect()
}

#[test]
fn each_vector_that_is_shown_is_the_file() {
    let spec = spec();
    let shown = shown(&spec);
    for (name, bytes) in &shown {
        assert_eq!(*bytes, vectors::read(name), "proto-spec.md and {name}.hex differ");
    }
    let names: BTreeSet<_> = shown.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), shown.len(), "a vector is shown twice");
    for opcode in Opcode::ALL {
        for direction in ["request", "reply"] {
            let name = format!("{}.{direction}", opcode.stem());
            assert!(names.contains(name.as_str()), "{name} is not shown");
        }
    }
}

#[test]
fn each_kind_stands_in_the_table_of_statuses() {
    let rows = rows(&spec(), "| kind | name | layer |");
    let listed: Vec<_> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
        .collect();
    let kinds = Kind::ALL.iter();
    let expected: Vec<_> = kinds
        .map(|kind| {
            (
                format!("{:#04x}", *kind as u8),
                kind.name().to_owned(),
                kind.layer().name().to_owned(),
            )
        })
        .collect();
    assert_eq!(listed, expected);
    let classes = [
        Retry::Never,
        Retry::Same,
        Retry::Query,
        Retry::Restart,
        Retry::Reconnect,
    ];
    for row in rows {
        let known = |name: &str| classes.iter().any(|class| class.name() == name);
        assert!(row[3].split(", ").all(known), "{row:?}");
    }
}

#[test]
fn the_tables_of_layers_and_classes_are_the_codes() {
    let spec = spec();
    let numbers_and_names = |header| -> Vec<(String, String)> {
        rows(&spec, header)
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect()
    };
    let layers = [
        Layer::Client,
        Layer::Daemon,
        Layer::Network,
        Layer::Gcs,
        Layer::Credentials,
    ];
    let expected: Vec<_> = layers
        .map(|layer| ((layer as u8).to_string(), layer.name().to_owned()))
        .into();
    assert_eq!(numbers_and_names("| layer | name | at fault"), expected);
    let classes = [
        Retry::Never,
        Retry::Same,
        Retry::Query,
        Retry::Restart,
        Retry::Reconnect,
    ];
    let expected: Vec<_> = classes
        .map(|class| ((class as u8).to_string(), class.name().to_owned()))
        .into();
    assert_eq!(numbers_and_names("| retry | name | means"), expected);
}

#[test]
fn each_opcode_has_a_row_and_a_section() {
    let spec = spec();
    let rows = rows(&spec, "| opcode | name | upload | body |");
    let listed: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: Vec<_> = Opcode::ALL
        .iter()
        .map(|opcode| (format!("{:#04x}", *opcode as u8), opcode.name().to_owned()))
        .collect();
    assert_eq!(listed, expected);
    for (opcode, row) in Opcode::ALL.iter().zip(&rows) {
        assert_eq!(
            (!row[2].is_empty(), !row[3].is_empty()),
            (opcode.has_upload(), opcode.has_body()),
            "{row:?}"
        );
        assert_eq!(row[3].ends_with("pieces"), opcode.may_stream(), "{row:?}");
        let heading = format!(" {}\n\nOpcode `{:#04x}`.", opcode.name(), *opcode as u8);
        let (_, rest) = spec
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no section {heading:?}"));
        let section = rest.split("\n##").next().unwrap_or_default();
        let args = format!("**{}.args**: ", opcode.name());
        for part in [&args[..], "*GCS:*", "*Errors:*"] {
            assert!(section.contains(part), "{} says nothing of {part}", opcode.name());
        }
    }
}

/// The sizes of the fixed structs as the code has them: those of values without variable fields.
fn sizes() -> Vec<(&'static str, usize)> {
    let bucket = BucketName::new("abc").expect("a name");
    let object = ObjectName::new("o").expect("a name");
    let names = 4;
    let start = start_upload::Args::new(bucket.clone(), object.clone());
    let attached = attach_upload::Reply {
        expires: 0,
        bucket: bucket.clone(),
        object: object.clone(),
    };
    let of = ObjectRef::new(bucket.clone(), object.clone());
    let welcome = hello::Reply {
        version: 1,
        features: 0,
        max_args: 0,
        max_in_flight: 0,
        max_uploads: 0,
        alignment: 0,
        drain_cap: 0,
        idle_timeout_ms: 0,
        client_timeout_ms: 0,
        gcs_timeout_ms: 0,
        server: String::new(),
    };
    let progress = Progress::of(0).to_bytes().len();
    let read = read_at::Args {
        of: of.clone(),
        range: read_at::Range::From(0),
        decompress: false,
    };
    let first = read_at::Start {
        object: ObjectInfo::default(),
        offset: 0,
        len: None,
    };
    let last = read_at::End {
        sent: 0,
        crc32c: gcsd_types::Crc32c::default(),
    };
    let info = stat_object::Reply {
        object: ObjectInfo::default(),
    }
    .to_bytes()
    .len();
    let stat = stat_object::Args { of: of.clone() }.to_bytes().len() - names;
    let source = ComposeSource::new(object.clone());
    let destination = Destination::new(bucket.clone(), object);
    let put = put_object::Args {
        destination: destination.clone(),
        object_crc32c: None,
    }
    .to_bytes()
    .len()
        - names;
    let made = put_object::Reply {
        received: 0,
        received_crc32c: gcsd_types::Crc32c::default(),
        object: ObjectInfo::default(),
    };
    let start_multipart_args = start_multipart::Args {
        destination: destination.clone(),
    }
    .to_bytes()
    .len()
        - names;
    let parts_of = MultipartRef {
        bucket: destination.bucket.clone(),
        object: destination.object.clone(),
        multipart_id: "i".into(),
        user_project: None,
        key: None,
    };
    let named = names + parts_of.multipart_id.len();
    let upload = upload_part::Args {
        of: parts_of.clone(),
        part_number: 1,
        part_crc32c: None,
    };
    let uploaded = upload_part::Reply {
        received: 0,
        received_crc32c: gcsd_types::Crc32c::default(),
        etag: String::new(),
    };
    let list_of_parts = list_parts::Args {
        of: parts_of.clone(),
        after: 0,
        max_parts: 0,
    };
    let part = Part {
        number: 1,
        etag: String::new(),
    };
    let stored = PartsPage {
        parts: vec![StoredPart {
            part: part.clone(),
            size: 0,
        }],
        next_after: None,
    }
    .to_bytes()
    .len();
    let listed = |parts: usize| encode_parts(&vec![part.clone(); parts]).len();
    let multipart = abort_multipart::Args { of: parts_of }.to_bytes().len() - named;
    let compose = |sources: usize| {
        let (destination, sources) = (destination.clone(), vec![source.clone(); sources]);
        let args = compose_objects::Args { destination, sources };
        args.to_bytes().len()
    };
    let rewrite = rewrite_object::Args {
        rewrite: Box::new(Rewrite {
            source: of.clone(),
            destination: destination.clone(),
            max_bytes: None,
            token: None,
        }),
    };
    let step = rewrite_object::Reply {
        rewritten: Rewritten {
            rewritten: 0,
            size: 0,
            token: None,
            object: None,
        },
    };
    let patch = patch_object::Args {
        object: destination.clone(),
        generation: None,
    };
    let rename = move_object::Args {
        source: of.clone(),
        destination: source.object.clone(),
        preconditions: Preconditions::default(),
    };
    let buckets = list_buckets::Args {
        query: BucketQuery::new(""),
    };
    let bucket_ref = stat_bucket::Args {
        of: BucketRef::new(bucket.clone()),
    };
    let bucket_info = stat_bucket::Reply {
        bucket: BucketInfo::default(),
    };
    let delete = delete_object::Args { of }.to_bytes().len() - names;
    let query = ObjectQuery::new(bucket);
    let list = list_objects::Args { query }.to_bytes().len() - 3;
    let page_end = page::Reply::End(page::End {
        sent: 0,
        page: Page::default(),
    });
    vec![
        ("RequestHead", HEAD_LEN),
        ("ReplyHead", HEAD_LEN),
        ("PieceHead", PIECE_HEAD_LEN),
        ("ErrorReply", ErrorReply::default().to_bytes().len()),
        ("Preconditions", 4 * size_of::<u64>()),
        ("ObjectRef", stat),
        ("ObjectInfo", info),
        ("Progress", progress),
        ("Hello.args", hello::Args::default().to_bytes().len()),
        ("Hello.reply", welcome.to_bytes().len()),
        ("Ping.args", ping::Args::default().to_bytes().len()),
        ("Ping.reply", ping::Reply::default().to_bytes().len()),
        ("StartUpload.args", start.to_bytes().len() - names),
        (
            "StartUpload.reply",
            start_upload::Reply {
                token: String::new(),
                expires: 0,
            }
            .to_bytes()
            .len(),
        ),
        ("WriteAt.args", write_at::Args::default().to_bytes().len()),
        ("WriteAt.reply", progress),
        ("QueryUpload.args", 0),
        ("QueryUpload.reply", progress),
        (
            "FinishUpload.args",
            finish_upload::Args::default().to_bytes().len(),
        ),
        ("FinishUpload.reply", progress),
        ("CancelUpload.args", 0),
        (
            "CancelUpload.reply",
            cancel_upload::Reply::Cancelled.to_bytes().len(),
        ),
        (
            "AttachUpload.args",
            attach_upload::Args {
                token: String::new(),
                key: None,
            }
            .to_bytes()
            .len(),
        ),
        ("AttachUpload.reply", attached.to_bytes().len() - names),
        ("DetachUpload.args", 0),
        ("DetachUpload.reply", 0),
        ("ReadAt.args", read.to_bytes().len() - names),
        ("ReadAt.start", read_at::Reply::Start(first).to_bytes().len()),
        ("ReadAt.end", read_at::Reply::End(last).to_bytes().len()),
        ("PutObject.args", put),
        ("PutObject.reply", made.to_bytes().len()),
        ("StatObject.args", stat),
        ("StatObject.reply", info),
        ("ListObjects.args", list),
        ("Page", page_end.to_bytes().len()),
        ("ListObjects.end", page_end.to_bytes().len()),
        ("DeleteObject.args", delete),
        ("DeleteObject.reply", 0),
        ("Destination", compose(0) - names),
        ("ComposeObjects.args", compose(0) - names),
        ("Source", compose(2) - compose(1) - 1),
        ("ComposeObjects.reply", info),
        ("RewriteObject.args", rewrite.to_bytes().len() - 2 * names),
        ("RewriteObject.reply", step.to_bytes().len()),
        ("PatchObject.args", patch.to_bytes().len() - names),
        ("PatchObject.reply", info),
        ("MoveObject.args", rename.to_bytes().len() - names - 1),
        ("MoveObject.reply", info),
        ("ListBuckets.args", buckets.to_bytes().len()),
        ("ListBuckets.end", page_end.to_bytes().len()),
        ("MultipartRef", multipart),
        ("StartMultipart.args", start_multipart_args),
        (
            "StartMultipart.reply",
            start_multipart::Reply {
                multipart_id: String::new(),
            }
            .to_bytes()
            .len(),
        ),
        ("UploadPart.args", upload.to_bytes().len() - named),
        ("UploadPart.reply", uploaded.to_bytes().len()),
        ("ListParts.args", list_of_parts.to_bytes().len() - named),
        ("ListParts.reply", PartsPage::default().to_bytes().len()),
        ("StoredPart", stored - PartsPage::default().to_bytes().len()),
        ("CompleteMultipart.args", multipart),
        ("PartList", listed(0)),
        ("Part", listed(1) - listed(0)),
        (
            "CompleteMultipart.reply",
            complete_multipart::Reply {
                generation: None,
                crc32c: None,
                etag: String::new(),
            }
            .to_bytes()
            .len(),
        ),
        ("AbortMultipart.args", multipart),
        (
            "AbortMultipart.reply",
            abort_multipart::Reply::Aborted.to_bytes().len(),
        ),
        ("StatBucket.args", bucket_ref.to_bytes().len() - 3),
        ("StatBucket.reply", bucket_info.to_bytes().len()),
    ]
}

#[test]
fn the_layouts_have_the_sizes_of_the_code_and_no_holes() {
    let spec = spec();
    let mut listed = Vec::new();
    for part in spec.split("\n**").skip(1) {
        let Some((name, rest)) = part.split_once("**: ") else {
            continue;
        };
        let Some((Ok(size), rest)) = rest
            .split_once(" bytes")
            .map(|(size, rest)| (size.parse::<usize>(), rest))
        else {
            continue;
        };
        let rest = rest.split("\n#").next().unwrap_or_default();
        let table = rows(rest, "| offset | size | field |");
        let mut end = 0;
        for row in &table {
            let number = |at: usize| row[at].parse::<usize>().expect("a number");
            let (offset, len) = (number(0), number(1));
            assert_eq!(offset, end, "a hole or an overlap in {name} before {}", row[2]);
            assert!(
                offset % len.min(8) == 0 || row[2].starts_with("reserved"),
                "{name}.{} is askew",
                row[2]
            );
            end += len;
        }
        let structs = ["Progress", "Object", "Page", "Destination", "MultipartRef"];
        let shared = table.is_empty() && (size == 0 || structs.iter().any(|name| rest.contains(name)));
        assert!(
            shared || end == size,
            "{name} has {size} bytes and a table of {end}"
        );
        listed.push((name.to_owned(), size));
    }
    let mut expected: Vec<_> = sizes()
        .into_iter()
        .map(|(name, size)| (name.to_owned(), size))
        .collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

/// The sources below `directory`.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_section_that_the_code_names_exists() {
    let spec = spec();
    let headings: BTreeSet<_> = spec
        .lines()
        .filter_map(|line| {
            line.strip_prefix("##")?
                .trim_start_matches('#')
                .trim()
                .split_once(' ')
        })
        .map(|(_number, title)| title)
        .collect();
    let mut files = Vec::new();
    for folder in ["src", "crates"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut references = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        for part in text.split("(proto-spec.md, \"").skip(1) {
            let title = part.split('"').next().unwrap_or_default();
            assert!(
                headings.contains(title),
                "{} names the section {title:?}",
                file.display()
            );
            references += 1;
        }
    }
    assert!(
        references > Opcode::ALL.len(),
        "the code names the sections that it carries out"
    );
}

#[test]
fn links_within_the_specification_lead_somewhere() {
    let spec = spec();
    let anchor = |title: &str| -> String {
        let kept = title.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let anchors: BTreeSet<_> = spec
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    let links: Vec<_> = spec
        .split("](#")
        .skip(1)
        .filter_map(|part| part.split(')').next())
        .collect();
    assert!(links.len() >= 13);
    for link in links {
        assert!(anchors.contains(link), "{link}");
    }
}
