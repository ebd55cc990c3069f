//! The examples do what they say.

#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../examples/in_a_test.rs"]
mod in_a_test;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../examples/with_faults.rs"]
mod with_faults;

use std::time::Duration;

use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn in_a_test() {
    let mut out = Vec::new();
    let run = timeout(PATIENCE, in_a_test::run(&mut out)).await;
    run.expect("in time").expect("it runs");
    let expected = "\
saving new.txt: 200 OK
saving old.txt: 412 Precondition Failed
new.txt: \"Hello!\", \"text/plain\"
old.txt: \"Nobody may overwrite me.\", null
2 uploads
";
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}

#[tokio::test]
async fn with_faults() {
    let mut out = Vec::new();
    let run = timeout(PATIENCE, with_faults::run(&mut out)).await;
    run.expect("in time").expect("it runs");
    let expected = "\
attempt 1: 503 Service Unavailable
attempt 2: no answer
attempt 3: 412 Precondition Failed
stored: \"Hello!\"
injected: {\"close\": 1, \"return\": 1}
";
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}
