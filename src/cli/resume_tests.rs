use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn identity() -> Identity {
    Identity {
        destination: "gs://b/o".into(),
        size: 3,
        modified: (1, 2),
        object: Value::Null,
    }
}

fn state(dir: &Path) -> PathBuf {
    let path = dir.join("state");
    let resume = Resume::open(&path, identity()).expect("a new state");
    assert_eq!(resume.begun(), None);
    assert!(!path.exists(), "nothing has begun");
    let token = Token::new("secret");
    resume.file.write(Begun::Whole(token)).expect("written");
    assert_eq!(resume.begun(), None, "it was this run that began");
    path
}

#[test]
fn a_state_is_private_and_is_read_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = state(dir.path());
    let mode = fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    let resume = Resume::open(&path, identity()).expect("the same");
    assert_eq!(resume.begun(), Some(&Begun::Whole(Token::new("secret"))));
    resume.remove().expect("removed");
    assert!(!path.exists());
}

/// What a run left that was killed while it wrote `text`: the file, and no lock.
fn killed(path: &Path, text: &str) {
    let mut temporary = Temporary::create(path.to_owned(), PRIVATE).expect("a file");
    temporary.file.write_all(text.as_bytes()).expect("written");
    let aside = path.with_file_name("aside");
    fs::rename(&temporary.path, &aside).expect("renamed");
    let left = temporary.path.clone();
    drop(temporary);
    fs::rename(aside, left).expect("renamed");
}

#[test]
fn what_a_killed_run_was_writing_is_taken_up_or_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = state(dir.path());
    let before = fs::read_to_string(&path).expect("the state");
    let next = before.replace("secret", "next");
    let open = || Resume::open(&path, identity()).expect("a state");
    let alone = || assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    let token = |text: &str| Some(Begun::Whole(Token::new(text)));
    // Half of it is nothing.
    killed(&path, &next[..next.len() / 2]);
    assert_eq!(open().begun().cloned(), token("secret"));
    alone();
    // All of it is what would have been next.
    killed(&path, &next);
    assert_eq!(open().begun().cloned(), token("next"));
    alone();
    // Nothing else was there yet.
    fs::remove_file(&path).expect("removed");
    killed(&path, &before);
    assert_eq!(open().begun().cloned(), token("secret"));
    alone();
    fs::remove_file(&path).expect("removed");
    killed(&path, "{");
    assert_eq!(open().begun(), None);
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
}

#[test]
fn a_state_that_was_removed_does_not_come_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state");
    let resume = Resume::open(&path, identity()).expect("a new state");
    let late = resume.store();
    resume.remove().expect("removed");
    late.write(Begun::Whole(Token::new("late"))).expect("no error");
    assert!(!path.exists());
}

#[test]
fn a_state_of_something_else_is_refused_and_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = state(dir.path());
    let refused = |of: Identity, what: &str| {
        let failure = Resume::open(&path, of).err().expect("refused").to_string();
        assert!(
            failure.starts_with("resume_refused: ") && failure.contains(what),
            "{failure}"
        );
        assert!(!failure.contains("secret"), "{failure}");
        assert!(path.exists());
    };
    let of = identity;
    refused(
        Identity { size: 4, ..of() },
        "had 3 bytes when the upload began, and has 4",
    );
    refused(
        Identity {
            modified: (1, 3),
            ..of()
        },
        "was written to",
    );
    refused(
        Identity {
            destination: "gs://b/p".into(),
            ..of()
        },
        "an upload to gs://b/o",
    );
    refused(
        Identity {
            object: Value::Bool(true),
            ..of()
        },
        "other flags",
    );
    let text = fs::read_to_string(&path).expect("text");
    for damaged in [
        &text[..text.len() / 2],
        "secret",
        "{}",
        &text.replace("_upload\": 1", "_upload\": 2"),
    ] {
        fs::write(&path, damaged).expect("written");
        refused(of(), "");
    }
    fs::write(&path, "").expect("written");
    assert!(Resume::open(&path, of()).is_ok(), "as mktemp makes it");
    assert!(Resume::open(&dir.path().join("no/such"), of()).is_err());
    assert!(Resume::open(dir.path(), of()).is_err());
}
