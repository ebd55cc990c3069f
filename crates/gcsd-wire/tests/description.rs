//! The description of the protocol against its committed copy: what clients were written from does not move.

use std::path::{Path, PathBuf};

use gcsd_wire::describe;
use serde_json::Value;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol.json")
}

/// What `now` no longer has as it was in `before`. Additions break nothing, not even fields in bytes that were reserved.
fn breaches(before: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (section, key) in [
        ("opcodes", "code"),
        ("request_flags", "bit"),
        ("reply_flags", "bit"),
        ("piece_kinds", "code"),
        ("layers", "code"),
        ("classes", "code"),
        ("kinds", "code"),
        ("limits", "name"),
        ("structs", "name"),
    ] {
        for old in list(&before[section]) {
            let what = format!("{section} {}", old["name"].as_str().unwrap_or("?"));
            let Some(new) = list(&now[section]).iter().find(|new| new[key] == old[key]) else {
                found.push(format!("{what} is gone"));
                continue;
            };
            compare(&what, old, new, &mut found);
            for old in list(&old["fields"]) {
                let field = format!("{what}.{}", old["name"].as_str().unwrap_or("?"));
                match list(&new["fields"]).iter().find(|new| new["name"] == old["name"]) {
                    // What takes the place of reserved bytes may have their name, or leave some of them.
                    _ if old["type"] == "reserved" => {}
                    Some(new) => compare(&field, old, new, &mut found),
                    None => found.push(format!("{field} is gone")),
                }
            }
        }
    }
    if before["version"] != now["version"] {
        found.push("the version".to_owned());
    }
    found
}

/// All members but the words about them, and what may grow.
fn compare(what: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let Some(members) = old.as_object() else { return };
    for (member, old) in members {
        let new = &new[member];
        let same = match &member[..] {
            "about" | "fields" => true,
            // A flag that was reserved can be taken into use.
            "reserved" => *old == Value::Bool(true) || old == new,
            // A kind can come with more classes, a choice have more values.
            "classes" | "replies" => list(old).iter().all(|item| list(new).contains(item)),
            "values" => {
                let mut values = old.as_object().into_iter().flatten();
                values.all(|(number, name)| new[number] == *name)
            }
            // Limits may rise.
            "value" => new.as_u64() >= old.as_u64(),
            _ => old == new,
        };
        if !same {
            found.push(format!("{what}: {member} was {old}, and is {new}"));
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn what_clients_were_written_from_has_not_moved() {
    let now = describe::json();
    let committed = std::fs::read_to_string(path());
    if let Ok(committed) = &committed {
        let breaches = breaches(&parse(committed), &parse(&now));
        assert!(
            breaches.is_empty(),
            "this breaks clients:\n  {}\nGive it a number, a bit or reserved bytes of its own. (Before a version is released: delete \
             protocol.json and make it again.)",
            breaches.join("\n  ")
        );
    }
    if std::env::var_os("GCSD_UPDATE_DOCS").is_some() {
        std::fs::write(path(), &now).expect("protocol.json is written");
        return;
    }
    assert!(
        committed.is_ok_and(|committed| committed == now),
        "protocol.json is not what the table says: GCSD_UPDATE_DOCS=1 cargo test -p gcsd-wire --test description"
    );
}

#[test]
fn each_byte_that_moves_is_a_breach_and_an_addition_is_none() {
    let now = parse(&describe::json());
    assert_eq!(breaches(&now, &now), [""; 0]);
    let index = |section: &str, name: &str| {
        let place = list(&now[section]).iter().position(|item| item["name"] == name);
        place.expect("it is in the table")
    };
    let write_at = index("structs", "WriteAt.args");
    let start = index("opcodes", "StartUpload");
    let gap = index("kinds", "gap");
    type Change<'a> = &'a dyn Fn(&mut Value);
    let broken: [(&str, Change<'_>); 9] = [
        ("offset", &|now| {
            now["structs"][write_at]["fields"][1]["offset"] = 16.into()
        }),
        ("size", &|now| {
            now["structs"][write_at]["fields"][0]["size"] = 4.into()
        }),
        ("a type", &|now| {
            now["structs"][write_at]["fields"][2]["type"] = "u32".into()
        }),
        ("presence", &|now| {
            now["structs"][write_at]["fields"][1]["presence"]["bit"] = 5.into()
        }),
        ("a size", &|now| now["structs"][write_at]["size"] = 48.into()),
        ("a code", &|now| now["opcodes"][start]["code"] = 0x70.into()),
        ("a kind", &|now| now["kinds"][gap]["name"] = "hole".into()),
        ("a class", &|now| {
            now["kinds"][gap]["classes"] = Value::Array(Vec::new())
        }),
        ("a limit", &|now| now["limits"][0]["value"] = 1.into()),
    ];
    for (what, change) in broken {
        let mut changed = now.clone();
        change(&mut changed);
        assert_eq!(
            breaches(&now, &changed).len(),
            1,
            "{what}: {:?}",
            breaches(&now, &changed)
        );
    }
    for section in ["opcodes", "structs", "kinds", "request_flags"] {
        let mut changed = now.clone();
        let first = changed[section].as_array_mut().expect("a list").remove(0);
        assert_eq!(breaches(&now, &changed).len(), 1, "{first} is gone");
        assert_eq!(breaches(&changed, &now), [""; 0], "{first} was added");
    }
    // A field in place of reserved bytes.
    let mut before = now.clone();
    let fields = &mut before["structs"][write_at]["fields"];
    fields
        .as_array_mut()
        .expect("a list")
        .retain(|field| field["name"] != "body_crc32c");
    assert_eq!(breaches(&before, &now), [""; 0]);
}
