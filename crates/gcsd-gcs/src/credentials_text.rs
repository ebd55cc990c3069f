//! Why there is no access token, in one line for a person.

use std::error::Error as StdError;

use google_cloud_auth::errors::CredentialsError;
use serde_json::Value;

use super::credentials::CredentialsSource;
use super::one_line::one_line;

/// What Google's library adds to its messages. We say it once, in our words.
const PHRASES: [&str; 4] = [
    "but future attempts may succeed",
    "and future attempts will not succeed",
    "Subsequent calls with this credential might succeed.",
    "Subsequent calls with this credential will also fail.",
];

/// What `error` says, where the credentials come from, and what to do.
pub(super) fn explain(source: &CredentialsSource, error: &CredentialsError) -> String {
    let cause = cause(error);
    match (source.path(), error.is_transient()) {
        (None, _) => {
            let looked = CredentialsSource::looked(|name| std::env::var_os(name));
            format!(
                "no credentials: {looked}, and the metadata server gives no token ({cause}); name a file with --credentials or \
                 GOOGLE_APPLICATION_CREDENTIALS, log in with 'gcloud auth application-default login', or go without \
                 (--anonymous)"
            )
        }
        (Some(path), true) => {
            let path = path.display();
            format!("no access token for {path}: {cause}; is the token server reachable from here?")
        }
        (Some(path), false) => {
            let path = path.display();
            format!(
                "no access token for {path}: {cause}; check that its key or login is still valid, or replace the file: a \
                 new one is read without a restart"
            )
        }
    }
}

/// The innermost cause, and what a token server said. Each part is bounded and without secrets.
fn cause(error: &CredentialsError) -> String {
    let mut texts = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    let innermost = texts.last().map(|text| plain(text)).unwrap_or_default();
    match texts.iter().find_map(|text| oauth_error(text)) {
        Some(said) => one_line(&format!("{innermost}: {said}"), 200),
        None => one_line(&innermost, 160),
    }
}

/// `text` without what a server answered, without URLs, and without the library's phrases.
fn plain(text: &str) -> String {
    let text = text.split("body=<").next().unwrap_or_default();
    let text = text.split(" for url (").next().unwrap_or_default();
    let text = PHRASES
        .iter()
        .fold(text.to_owned(), |text, phrase| text.replace(phrase, ""));
    text.trim().trim_end_matches([',', '.', ':']).to_owned()
}

/// The error in a token server's answer (RFC 6749, section 5.2), which the library quotes whole.
fn oauth_error(text: &str) -> Option<String> {
    let body = text.split_once("body=<")?.1;
    let body: Value = serde_json::from_str(&body[..body.rfind('>')?]).ok()?;
    let error = body.get("error")?.as_str()?;
    Some(match body.get("error_description").and_then(Value::as_str) {
        Some(description) => format!("{error}, {description}"),
        None => error.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_and_without_what_else_a_server_said() {
        let body =
            r#"{"error":"invalid_grant","error_description":"Token has been revoked.","echo":"l3aked"}"#;
        let answered =
            std::io::Error::other("HTTP status client error (400 Bad Request) for url (http://h/t?k=l3aked)");
        let unreachable = std::io::Error::other("Connection refused (os error 111)");
        for (error, expected) in [
            (
                CredentialsError::new(false, format!("failed to fetch token, body=<{body}>"), answered),
                "HTTP status client error (400 Bad Request): invalid_grant, Token has been revoked.",
            ),
            (
                CredentialsError::new(true, "failed to fetch token", unreachable),
                "Connection refused (os error 111)",
            ),
            (
                CredentialsError::from_msg(
                    true,
                    "Could not connect. Subsequent calls with this credential might succeed.",
                ),
                "Could not connect",
            ),
            (CredentialsError::from_msg(false, "bad, body=<l3aked"), "bad"),
        ] {
            assert_eq!(cause(&error), expected, "{error}");
        }
    }

    #[test]
    fn what_is_missing_and_what_to_do_is_said() {
        let refused = CredentialsError::from_msg(false, "revoked");
        let line = explain(&CredentialsSource::File("key.json".into()), &refused);
        assert!(
            line.starts_with("no access token for key.json: revoked; check"),
            "{line}"
        );
        let late = CredentialsError::from_msg(true, "timed out");
        let line = explain(&CredentialsSource::File("key.json".into()), &late);
        assert!(
            line.contains("timed out; is the token server reachable"),
            "{line}"
        );
        // Without a file.
        let line = explain(&CredentialsSource::Anonymous, &late);
        assert!(
            line.contains("the metadata server gives no token (timed out); name a file"),
            "{line}"
        );
    }
}
