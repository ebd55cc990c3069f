//! Retry tests: a list of faults per method, kept under an id that a client sends with all its requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::instruction::Fault;
use super::plan::known_instruction;
use crate::error::Error;
use crate::lock::locked;
use crate::operation::NAMES;
use crate::random;

/// The most tests that are kept; the oldest are dropped first.
const MAX_TESTS: usize = 1000;

/// Every test that was created and not deleted.
#[derive(Debug, Default)]
pub(crate) struct RetryTests(Mutex<Tests>);

#[derive(Debug, Default)]
struct Tests {
    by_id: BTreeMap<String, Test>,
    /// The keys, oldest first.
    order: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Test {
    /// By method, as text.
    instructions: BTreeMap<&'static str, VecDeque<String>>,
}

/// The first instruction of a test for a method.
#[derive(Debug)]
pub(super) struct Due {
    id: String,
    method: &'static str,
    word: String,
}

impl RetryTests {
    /// What a call to the operation `method` meets under test `id`: 404 if there is no such test.
    pub(super) fn due(&self, id: &str, method: &'static str) -> Result<Option<(Vec<Fault>, Due)>, Error> {
        let tests = locked(&self.0);
        let test = tests.by_id.get(id).ok_or_else(|| not_found(id))?;
        let Some(word) = test.instructions.get(method).and_then(VecDeque::front) else {
            return Ok(None);
        };
        let faults = known_instruction(word)?;
        let (id, word) = (id.to_owned(), word.clone());
        Ok(Some((faults, Due { id, method, word })))
    }

    /// Removes an instruction that has been carried out.
    pub(super) fn done(&self, due: &Due) {
        let mut tests = locked(&self.0);
        let words = tests
            .by_id
            .get_mut(&due.id)
            .and_then(|test| test.instructions.get_mut(due.method));
        if let Some(words) = words
            && words.front() == Some(&due.word)
        {
            words.pop_front();
        }
    }

    pub(super) fn create(&self, body: &Map<String, Value>) -> Result<Value, Error> {
        if !matches!(body.get("transport").and_then(Value::as_str), None | Some("HTTP")) {
            return Err(Error::invalid("This server speaks HTTP only."));
        }
        let by_method = body.get("instructions").and_then(Value::as_object);
        let by_method = by_method.ok_or_else(|| Error::required("instructions"))?;
        let mut test = Test::default();
        for (name, words) in by_method {
            let method = NAMES.iter().find(|method| *method == name);
            let method =
                method.ok_or_else(|| Error::invalid(format!("No fault can be injected into '{name}'.")))?;
            let words = words.as_array().ok_or_else(|| Error::required("instructions"))?;
            for word in words {
                let word = word.as_str().unwrap_or_default();
                known_instruction(word)?;
                test.instructions
                    .entry(method)
                    .or_default()
                    .push_back(word.to_owned());
            }
        }
        let id = random::hex_id()?;
        let shown = test.show(&id);
        let mut tests = locked(&self.0);
        if tests.order.len() >= MAX_TESTS
            && let Some(oldest) = tests.order.pop_front()
        {
            tests.by_id.remove(&oldest);
        }
        tests.order.push_back(id.clone());
        tests.by_id.insert(id, test);
        Ok(shown)
    }

    pub(super) fn get(&self, id: &str) -> Result<Value, Error> {
        let tests = locked(&self.0);
        tests
            .by_id
            .get(id)
            .map(|test| test.show(id))
            .ok_or_else(|| not_found(id))
    }

    pub(super) fn list(&self) -> Value {
        let tests = locked(&self.0);
        let all: Vec<Value> = tests.by_id.iter().map(|(id, test)| test.show(id)).collect();
        json!({ "retry_test": all })
    }

    pub(super) fn delete(&self, id: &str) -> Result<(), Error> {
        let mut tests = locked(&self.0);
        tests.by_id.remove(id).ok_or_else(|| not_found(id))?;
        tests.order.retain(|known| known != id);
        Ok(())
    }
}

impl Test {
    fn show(&self, id: &str) -> Value {
        json!({
            "id": id,
            "instructions": self.instructions,
            "completed": self.instructions.values().all(VecDeque::is_empty),
            "transport": "HTTP",
        })
    }
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    Error::new(
        StatusCode::NOT_FOUND,
        "notFound",
        format!("Retry Test {id} does not exist."),
    )
}
