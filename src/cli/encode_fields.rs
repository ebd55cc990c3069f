//! `gcsd encode`: the args of a request, from the words that name their fields.

use bytes::Bytes;

use super::values::{distance, parse};
use super::words::Words;
use crate::cli::exit::Failure;
use crate::cli::fields::short_names;
use gcsd_types::EncryptionKey;
use gcsd_wire::dynamic::{self, Leaf, Value, Values, leaves};
use gcsd_wire::layout::{FieldKind, Presence};
use gcsd_wire::{Opcode, Request, VERSION};

/// Numbers that have no sensible value unless somebody gives one.
const REQUIRED: [&str; 2] = ["total", "target"];

/// What can come from the environment.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) secret: Option<Bytes>,
    pub(super) token: Option<String>,
    pub(super) key: Option<EncryptionKey>,
}

/// The bytes of the args.
pub(super) fn encode(
    opcode: Opcode,
    words: &Words,
    settings: Settings,
    body_len: u64,
) -> Result<Bytes, Failure> {
    let mut args = Filling {
        leaves: leaves(opcode.args()),
        values: Values::new(),
    };
    args.urls(opcode, &words.urls)?;
    for (name, value) in &words.fields {
        args.word(opcode, name, value.as_deref())?;
    }
    args.settings(settings);
    args.defaults(words.last, body_len)?;
    let bytes = dynamic::encode(opcode.args(), &args.values).map_err(Failure::usage)?;
    // What the daemon would refuse is refused here.
    match Request::decode(opcode, bytes.clone()) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let advice = args.missing_name();
            Err(Failure::usage(error).at(opcode.name()).advise_if(advice))
        }
    }
}

/// The args of a request as they are being filled in.
struct Filling {
    leaves: Vec<Leaf>,
    values: Values,
}

impl Filling {
    /// Takes the names of buckets and objects from URLs: of the source first, where there is one.
    fn urls(&mut self, opcode: Opcode, urls: &[String]) -> Result<(), Failure> {
        let of = |leaf: &Leaf| leaf.path[..leaf.path.len() - 1].join(".");
        let named = self.leaves.iter().filter(|leaf| leaf.field.name == "bucket");
        let mut places: Vec<String> = named.map(of).collect();
        places.sort_by_key(|place| place != "source");
        let mut places = places.into_iter();
        let mut first = None;
        for url in urls {
            let (bucket, object) = url["gs://".len()..]
                .split_once('/')
                .unwrap_or((&url["gs://".len()..], ""));
            match places.next() {
                Some(place) => {
                    let within = |name: &str| match place.as_str() {
                        "" => name.to_owned(),
                        place => format!("{place}.{name}"),
                    };
                    self.text(&within("bucket"), bucket);
                    let rest = ["object", "prefix"].map(within);
                    let name = rest.iter().find(|name| self.place(name).is_some());
                    match name {
                        _ if object.is_empty() => {}
                        Some(name) => self.text(name, object),
                        None => {
                            return Err(Failure::usage("a bucket is meant, and this is an object").at(url));
                        }
                    }
                    first = Some(bucket);
                }
                // The new name of a move is not a struct of its own.
                None if opcode == Opcode::MoveObject && self.value("destination").is_none() => {
                    if first != Some(bucket) {
                        return Err(Failure::usage("a move stays in its bucket").at(url));
                    }
                    self.text("destination", object);
                }
                None => {
                    let problem = format!("{} takes no further object by its URL", opcode.name());
                    return Err(Failure::usage(problem).at(url));
                }
            }
        }
        Ok(())
    }

    /// Takes a word: `NAME=VALUE`, or the name of a bit.
    fn word(&mut self, opcode: Opcode, name: &str, value: Option<&str>) -> Result<(), Failure> {
        if let (Some(value), Some(at)) = (value, self.array(name)) {
            let element = self.element(at, value)?;
            match self.values.iter_mut().find(|(of, _)| *of == at) {
                Some((_, Value::List(list))) => list.push(element),
                _ => self.values.push((at, Value::List(vec![element]))),
            }
            return Ok(());
        }
        if self.of_last_element(name, value)? {
            return Ok(());
        }
        let at = self.find(opcode, name)?;
        let leaf = &self.leaves[at];
        if let Some(why) = leaf.refused {
            let problem = format!("the field '{}' {why}", leaf.name());
            return Err(Failure::usage(problem).at(opcode.name()));
        }
        let value = parse(leaf, value).map_err(|failure| failure.or_at(name))?;
        self.values.retain(|(of, _)| *of != at);
        self.values.extend(value.map(|value| (at, value)));
        Ok(())
    }

    /// The array whose elements the word names: `source`, or `sources`.
    fn array(&self, name: &str) -> Option<usize> {
        let is_array = |leaf: &Leaf| matches!(leaf.field.kind, FieldKind::Array(_));
        let named = |leaf: &Leaf| leaf.field.name == name || leaf.field.name.strip_suffix('s') == Some(name);
        self.leaves.iter().position(|leaf| is_array(leaf) && named(leaf))
    }

    /// Takes `source.FIELD=VALUE` for the source before it; `false` where the word is none of that kind.
    fn of_last_element(&mut self, name: &str, value: Option<&str>) -> Result<bool, Failure> {
        let split = name.split_once('.');
        let Some((at, field)) = split.and_then(|(array, field)| Some((self.array(array)?, field))) else {
            return Ok(false);
        };
        let FieldKind::Array(of) = self.leaves[at].field.kind else {
            return Ok(false);
        };
        let leaves = leaves(of);
        let Some(place) = leaves.iter().position(|leaf| leaf.field.name == field) else {
            return Ok(false);
        };
        let list = self.values.iter_mut().find(|(of, _)| *of == at);
        let Some((_, Value::List(elements))) = list else {
            return Err(Failure::usage(format!(
                "{name}= stands behind the one that it is about"
            )));
        };
        let value = parse(&leaves[place], value).map_err(|failure| failure.or_at(name))?;
        if let Some(element) = elements.last_mut() {
            element.retain(|(of, _)| *of != place);
            element.extend(value.map(|value| (place, value)));
        }
        Ok(true)
    }

    /// An element of an array: `NAME`, or `NAME#GENERATION`.
    fn element(&self, at: usize, text: &str) -> Result<Values, Failure> {
        let FieldKind::Array(of) = self.leaves[at].field.kind else {
            return Ok(Values::new());
        };
        let leaves = leaves(of);
        let place = |name: &str| leaves.iter().position(|leaf| leaf.field.name == name);
        let (name, generation) = match text.rsplit_once('#') {
            Some((name, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (name, digits),
            _ => (text, ""),
        };
        let mut values = Values::new();
        values.extend(place("object").map(|at| (at, Value::Bytes(name.to_owned().into()))));
        if !generation.is_empty() {
            let problem = |_| Failure::usage(format!("'{generation}' is no generation")).at(text);
            let generation = generation.parse().map_err(problem)?;
            values.extend(place("generation").map(|at| (at, Value::Number(generation))));
        }
        Ok(values)
    }

    /// The field of this name: its whole path, or what is enough of it.
    fn find(&self, opcode: Opcode, name: &str) -> Result<usize, Failure> {
        if let Some(at) = self.place(name) {
            return Ok(at);
        }
        let wanted: Vec<&str> = name.split('.').collect();
        let fitting = |leaf: &Leaf| {
            let mut path = leaf.path.iter();
            leaf.path.last() == wanted.last() && wanted.iter().all(|part| path.any(|name| name == part))
        };
        let found: Vec<usize> = (0..self.leaves.len())
            .filter(|at| fitting(&self.leaves[*at]))
            .collect();
        let usable = |at: &usize| self.leaves[*at].refused.is_none();
        let taken: Vec<usize> = found.iter().copied().filter(usable).collect();
        match (&found[..], &taken[..]) {
            ([at], _) | (_, [at]) => return Ok(*at),
            ([], _) => {}
            _ => {
                let names: Vec<_> = taken.iter().map(|at| self.leaves[*at].name()).collect();
                let problem = format!("'{name}' could be {}", names.join(" or "));
                return Err(Failure::usage(problem).at(opcode.name()));
            }
        }
        let mut names = short_names(&self.leaves);
        names.extend(super::help::words(opcode).map(str::to_owned));
        let arrays = self
            .leaves
            .iter()
            .filter(|leaf| self.array(leaf.field.name).is_some());
        names.extend(arrays.map(|leaf| leaf.field.name.trim_end_matches('s').to_owned()));
        let nearest = names.iter().min_by_key(|known| distance(known, name));
        let failure = Failure::usage(format!("{} has no field '{name}'", opcode.name()));
        let advice = match nearest {
            Some(nearest) if distance(nearest, name) <= 1 + name.len() / 2 => {
                format!("did you mean {nearest}?")
            }
            _ => format!(
                "its fields: gcsd encode {} --help",
                opcode.stem().replace('_', "-")
            ),
        };
        Err(failure.advise(advice))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.name() == name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let at = self.place(name)?;
        self.values
            .iter()
            .find(|(of, _)| *of == at)
            .map(|(_, value)| value)
    }

    fn text(&mut self, name: &str, text: &str) {
        let at = self.place(name);
        self.values
            .extend(at.map(|at| (at, Value::Bytes(text.to_owned().into()))));
    }

    /// Fills in what the environment has, where the words do not say.
    fn settings(&mut self, settings: Settings) {
        let Settings { secret, token, key } = settings;
        let key = key.map(|key| Bytes::copy_from_slice(key.expose()));
        for (wanted, bytes) in [
            ("secret", secret),
            ("token", token.map(Bytes::from)),
            ("key", key),
        ] {
            let mut places = (0..self.leaves.len()).filter(|at| {
                let leaf = &self.leaves[*at];
                leaf.field.name == wanted && leaf.refused.is_none() && leaf.path[0] != "source"
            });
            if let (Some(at), Some(bytes)) = (places.next(), bytes)
                && !self.values.iter().any(|(of, _)| *of == at)
            {
                self.values.push((at, Value::Bytes(bytes)));
            }
        }
    }

    /// Fills in what follows from the rest, and looks for what is missing.
    fn defaults(&mut self, last: bool, body_len: u64) -> Result<(), Failure> {
        if last {
            let offset = match self.value("offset") {
                Some(Value::Number(offset)) => *offset,
                _ => 0,
            };
            let total = offset.checked_add(body_len);
            let total = total.ok_or_else(|| Failure::usage("offset plus the length is beyond 2^64"))?;
            if self.value("total").is_some() {
                return Err(Failure::usage("last: total= says the same").at("total"));
            }
            self.values
                .extend(self.place("total").map(|at| (at, Value::Number(total))));
        }
        for name in ["min_version", "max_version"] {
            if self.value(name).is_none() {
                let number = Value::Number(VERSION.into());
                self.values.extend(self.place(name).map(|at| (at, number)));
            }
        }
        for name in REQUIRED {
            let always = |at: usize| self.leaves[at].field.presence == Presence::Always;
            if self.place(name).is_some_and(always) && self.value(name).is_none() {
                return Err(Failure::usage(format!("{name}=NUMBER is missing")));
            }
        }
        Ok(())
    }

    /// What to do about a name that is missing.
    fn missing_name(&self) -> Option<&'static str> {
        let given = |leaf: &Leaf| self.value(&leaf.name()).is_some();
        let mut names = self.leaves.iter().filter(|leaf| leaf.field.name == "bucket");
        names
            .any(|leaf| !given(leaf))
            .then_some("name it by its URL, gs://BUCKET/OBJECT, or by bucket= and object=")
    }
}
