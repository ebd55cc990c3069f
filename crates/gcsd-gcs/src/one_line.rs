//! Text of others in messages and logs: one bounded line, without secrets.

/// The longest message, in bytes.
pub(super) const MAX_MESSAGE: usize = 512;
/// What introduces a secret in a text: what follows, up to a delimiter, is left out.
const SECRETS: [&str; 6] = [
    "upload_id=",
    "bearer ",
    "access_token",
    "id_token",
    "refresh_token",
    "assertion=",
];

/// Makes one line of `text`, at most `max` bytes, with the secrets that it may quote left out.
///
/// A server's text can quote the URL that was asked for, and that of a session is a credential.
pub(super) fn one_line(text: &str, max: usize) -> String {
    // What is kept is short, so that a long text costs no more than a short one.
    let text = cut(text, max * 4);
    let lower = text.to_ascii_lowercase();
    let mut line = String::with_capacity(text.len().min(max));
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        if at < skip_to {
            continue;
        }
        if let Some(secret) = SECRETS.iter().find(|secret| lower[at..].starts_with(**secret)) {
            let tail = &text[at + secret.len()..];
            let quoted = tail.trim_start_matches(['"', ':', '=', ' ']);
            let value = quoted
                .find(|c: char| {
                    c.is_whitespace() || matches!(c, '"' | '\'' | '&' | '<' | '>' | ')' | ',' | '}')
                })
                .unwrap_or(quoted.len());
            line.push_str(secret);
            line.push_str("(redacted)");
            skip_to = text.len() - quoted.len() + value;
            continue;
        }
        match c {
            c if c.is_whitespace() => {
                if !line.ends_with(' ') && !line.is_empty() {
                    line.push(' ');
                }
            }
            c if c.is_control() => line.push('?'),
            c => line.push(c),
        }
    }
    let line = line.trim_end();
    cut(line, max).to_owned()
}

/// The longest start of `text` that has at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_bounded_line_without_secrets() {
        assert_eq!(one_line("  a\r\n b\tc\u{7}  ", 100), "a b c?");
        assert_eq!(one_line("äöü", 3), "ä");
        assert_eq!(one_line(&"x".repeat(10_000), 512).len(), 512);
        for text in [
            "no PUT https://h/u?upload_id=SECRET&x=1",
            "Authorization: Bearer SECRET, x",
            r#"body=<{"access_token": "SECRET","n":1}>"#,
            r#"{"id_token":"SECRET"}"#,
            "UPLOAD_ID=SECRET",
        ] {
            let line = one_line(text, 512);
            assert!(!line.contains("SECRET"), "{line}");
            assert!(line.contains("(redacted)"), "{line}");
        }
        assert_eq!(
            one_line("at https://h/u?upload_id=abc&x=1 now", 512),
            "at https://h/u?upload_id=(redacted)&x=1 now"
        );
    }
}
