//! A list of names on standard input.

use std::io::{self, BufRead, BufReader};

use tokio::sync::mpsc;

use super::exit::{Exit, Failure};

/// Names that are read ahead.
const AHEAD: usize = 64;

/// More bytes than a URL of an object has.
const LONGEST: usize = 4096;

/// How many bytes of names are held where all of a list must be known.
const HELD: usize = 64 << 20;

/// Names as they come.
pub(super) struct NameList {
    names: mpsc::Receiver<Result<String, Failure>>,
}

impl NameList {
    /// Reads standard input, where each name ends with the byte `end`.
    pub(super) fn stdin(end: u8) -> Result<Self, Failure> {
        let failed = |error| Failure::io("standard input", &error);
        gcsd_stdio::stdin()
            .and_then(|input| Self::read(input, end))
            .map_err(failed)
    }

    fn read(input: impl io::Read + Send + 'static, end: u8) -> io::Result<Self> {
        let (sender, names) = mpsc::channel(AHEAD);
        let read = move || {
            split(BufReader::new(input), end, |name| {
                sender.blocking_send(name).is_ok()
            })
        };
        // Nobody waits for this thread: a list that comes slowly must not hold up the exit.
        let _reader = std::thread::Builder::new().name("names".into()).spawn(read)?;
        Ok(Self { names })
    }

    /// The next name, or what stands in its place; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<String, Failure>> {
        self.names.recv().await
    }

    /// All names.
    pub(super) async fn all(mut self) -> Result<Vec<String>, Failure> {
        let (mut all, mut bytes) = (Vec::new(), 0);
        while let Some(name) = self.next().await {
            let name = name?;
            bytes += name.len();
            if bytes > HELD {
                let what =
                    "the list is too long to see whether two of its names have one target: give it in pieces";
                return Err(Failure::usage(what).at("standard input"));
            }
            all.push(name);
        }
        Ok(all)
    }
}

/// Calls `take` with each name, until that says that nobody takes any more.
fn split(mut input: impl BufRead, end: u8, mut take: impl FnMut(Result<String, Failure>) -> bool) {
    let (mut name, mut number) = (Vec::new(), 0_u64);
    loop {
        let (ended, used) = match input.fill_buf() {
            Ok([]) => {
                if !name.is_empty() {
                    // Of a list that was cut, this could be the beginning of a name, and another object's.
                    let what = "the list ends within a name: it may have been cut";
                    take(Err(bad(number + 1, what)));
                }
                return;
            }
            Ok(bytes) => {
                let found = bytes.iter().position(|byte| *byte == end);
                let part = &bytes[..found.unwrap_or(bytes.len())];
                // What is too long is read to its end, and not held.
                let room = (LONGEST + 1).saturating_sub(name.len());
                name.extend_from_slice(&part[..part.len().min(room)]);
                (found.is_some(), found.map_or(bytes.len(), |at| at + 1))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                take(Err(Failure::io("standard input", &error)));
                return;
            }
        };
        input.consume(used);
        if !ended {
            continue;
        }
        number += 1;
        let mut whole = std::mem::take(&mut name);
        if end == b'\n' && whole.last() == Some(&b'\r') {
            // No name ends so.
            whole.pop();
        }
        let next = match String::from_utf8(whole) {
            Ok(empty) if empty.is_empty() => continue,
            Ok(long) if long.len() > LONGEST => Err(bad(number, "it is longer than any name")),
            Ok(name) => Ok(name),
            Err(_) => Err(bad(number, "it is not UTF-8")),
        };
        if !take(next) {
            return;
        }
    }
}

/// That a name of the list is none.
fn bad(number: u64, what: &str) -> Failure {
    Failure::new(Exit::Usage, "usage", what).at(format_args!("name {number} on standard input"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[u8], end: u8) -> Vec<Result<String, String>> {
        let mut found = Vec::new();
        // A buffer that names do not fit into.
        split(BufReader::with_capacity(3, text), end, |name| {
            found.push(name.map_err(|failure| failure.to_string()));
            true
        });
        found
    }

    fn good(names: &[&str]) -> Vec<Result<String, String>> {
        names.iter().map(|name| Ok((*name).to_owned())).collect()
    }

    #[test]
    fn names_end_with_their_byte_and_nothing_else() {
        assert_eq!(names(b"", b'\n'), []);
        assert_eq!(names(b"a\nb c\r\n\n*\td\n", b'\n'), good(&["a", "b c", "*\td"]));
        assert_eq!(names(b"a\nb\0c\r\0", 0), good(&["a\nb", "c\r"]));
        for cut in [&b"a\nb"[..], b"a\n\0"] {
            let found = names(cut, b'\n');
            assert_eq!(found[0], Ok("a".to_owned()));
            let text = found[1].as_ref().expect_err("it is cut");
            assert!(text.contains("may have been cut: name 2 on"), "{text}");
        }
        let long = [
            &b"x".repeat(LONGEST)[..],
            b"\n",
            &b"x".repeat(LONGEST + 1),
            b"\n\xff\nz\n",
        ]
        .concat();
        let found = names(&long, b'\n');
        assert_eq!(found.len(), 4);
        assert!(found[0].is_ok() && found[1].is_err() && found[2].is_err());
        assert_eq!(found[3], Ok("z".to_owned()));
    }

    #[tokio::test]
    async fn who_takes_no_more_ends_the_reading() {
        let endless = io::repeat(b'\n').chain(io::empty());
        drop(NameList::read(endless, b'\n').expect("a thread"));
        let many = "name\n".repeat(10 * AHEAD);
        let list = NameList::read(io::Cursor::new(many), b'\n').expect("a thread");
        assert_eq!(list.all().await.expect("names").len(), 10 * AHEAD);
    }

    use std::io::Read as _;
}
