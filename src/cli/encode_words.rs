//! `gcsd encode`: the words behind the opcode, sorted by what they are about.

use bytes::Bytes;

use super::body::BodyWords;
use crate::cli::exit::Failure;
use crate::cli::units;
use gcsd_types::Part;
use gcsd_wire::Opcode;
use gcsd_wire::head::CHECKED;
use gcsd_wire::multipart::encode_parts;

/// The words of a request, sorted.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) sequence: Option<u64>,
    pub(super) upload: Option<u32>,
    pub(super) flags: u16,
    pub(super) body: BodyWords,
    /// The range is the object's last: its total is offset plus length.
    pub(super) last: bool,
    /// The parts of a CompleteMultipart.
    pub(super) parts: Vec<String>,
    /// URLs, in their order.
    pub(super) urls: Vec<String>,
    /// Fields of the args.
    pub(super) fields: Vec<(String, Option<String>)>,
}

impl Words {
    /// Sorts the words of a request.
    pub(super) fn sort(opcode: Opcode, words: Vec<String>) -> Result<Self, Failure> {
        let mut sorted = Self::default();
        for word in words {
            if word.starts_with("gs://") {
                sorted.urls.push(word);
                continue;
            }
            match word.split_once('=') {
                Some((name, value)) => sorted.value(opcode, name, value)?,
                None => sorted.flag(opcode, &word),
            }
        }
        sorted.body.check()?;
        if sorted.last && sorted.body.streamed {
            return Err(Failure::usage("last: a body in pieces is the last range anyway"));
        }
        Ok(sorted)
    }

    fn value(&mut self, opcode: Opcode, name: &str, value: &str) -> Result<(), Failure> {
        let size = || number(value).map_err(|problem| Failure::usage(problem).at(name));
        match name {
            "sequence" => self.sequence = Some(size()?),
            "upload" if opcode.has_upload() => {
                let id = gcsd_types::digits(value).ok_or_else(|| format!("'{value}' is no upload id"));
                self.upload = Some(id.map_err(|problem| Failure::usage(problem).at(name))?);
            }
            "part" if opcode == Opcode::CompleteMultipart => self.parts.push(value.to_owned()),
            "body" if opcode.has_body() => match value.strip_prefix('@') {
                Some(path) => self.body.file = Some(path.into()),
                None => {
                    let problem = format!("'{value}' is not @FILE, or @- for standard input");
                    return Err(Failure::usage(problem)
                        .at(name)
                        .advise("give the bytes themselves by text="));
                }
            },
            "text" if opcode.has_body() => self.body.text = Some(value.to_owned()),
            "body_len" if opcode.has_body() => self.body.len = Some(size()?),
            _ => self.fields.push((name.to_owned(), Some(value.to_owned()))),
        }
        Ok(())
    }

    fn flag(&mut self, opcode: Opcode, word: &str) {
        match word {
            "checked" => self.flags |= CHECKED,
            "streamed" if opcode.may_stream() => self.body.streamed = true,
            "abort" if opcode.may_stream() => (self.body.streamed, self.body.abort) = (true, true),
            "last" if opcode == Opcode::WriteAt => self.last = true,
            _ => self.fields.push((word.to_owned(), None)),
        }
    }
}

/// Reads a number: with a unit, or in hexadecimal.
pub(super) fn number(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            let only = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = only.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
            number.ok_or_else(|| format!("'{text}' is no number"))
        }
        None => units::size(text),
    }
}

/// The body of a CompleteMultipart.
pub(super) fn parts(words: &[String]) -> Result<Bytes, Failure> {
    let part = |word: &String| {
        let parsed = word
            .split_once('=')
            .and_then(|(number, etag)| Some((gcsd_types::digits(number)?, etag)));
        let (number, etag) = parsed.ok_or_else(|| {
            Failure::usage(format!(
                "'{word}' is not N=ETAG: a part's number, and what its reply gave"
            ))
            .at("part")
        })?;
        let etag = etag.to_owned();
        Ok(Part { number, etag })
    };
    let parts: Vec<_> = words.iter().map(part).collect::<Result<_, Failure>>()?;
    Ok(encode_parts(&parts))
}
