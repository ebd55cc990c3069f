//! Tokens of all ages, lengths and keys.

use super::*;
use gcsd_wire::Status;

const WEEK: u64 = 604_800;

fn sealed(sealer: &Sealer) -> String {
    sealed_at(now(), sealer).0
}

fn sealed_at(now: u64, sealer: &Sealer) -> (String, u64) {
    let session = SessionUri::parse("https://storage.googleapis.com/u?upload_id=secret").expect("a URI");
    let bucket = BucketName::new("bucket").expect("a name");
    let object = ObjectName::new("an object").expect("a name");
    let sealed = sealer.seal_at(now, &session, &bucket, &object, None);
    sealed.expect("sealed")
}

fn key(digit: char) -> String {
    String::from_iter([digit; 64])
}

#[test]
fn a_token_opens_with_its_key_only() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let token = sealed(&sealer);
    let opened = sealer.open(&token).expect("the same key");
    assert_eq!(opened.object.as_str(), "an object");
    assert_eq!(
        opened.session.expose(),
        "https://storage.googleapis.com/u?upload_id=secret"
    );
    let foreign = Sealer::from_text(&key('b')).expect("a key");
    assert_eq!(
        foreign.open(&token).expect_err("another key").status.kind(),
        Some(Kind::BadToken)
    );
    let rotated = Sealer::from_text(&format!("{} # new\n\n{}\n", key('b'), key('a'))).expect("two keys");
    assert!(rotated.open(&token).is_ok());
}

#[test]
fn an_upload_has_one_name_wherever_its_token_is_opened() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let session = SessionUri::parse("https://storage.googleapis.com/u?upload_id=secret").expect("a URI");
    let token = sealed(&sealer);
    let name = sealer.name_of(&session).expect("a key");
    assert_eq!(name.len(), NAME_LEN);
    assert!(
        name.bytes()
            .all(|digit| matches!(digit, b'a'..=b'z' | b'2'..=b'7')),
        "{name}"
    );
    let rotated = Sealer::from_text(&format!("{}\n{}\n", key('b'), key('a'))).expect("two keys");
    for sealer in [&sealer, &rotated] {
        assert_eq!(sealer.open(&token).expect("the key").upload_name, name);
    }
    // It is the same in every version, so that logs of several can be read together.
    assert_eq!(name, "uv2na3e5opr4");
    let parts = sealer.name_of_parts("an id");
    assert_eq!((parts.len(), &parts), (NAME_LEN, &sealer.name_of_parts("an id")));
    assert_ne!(parts, sealer.name_of_parts("another id"));
    // Neither another upload nor another key has it.
    let other = SessionUri::parse("https://storage.googleapis.com/u?upload_id=secres").expect("a URI");
    assert_ne!(sealer.name_of(&other), Some(name.clone()));
    assert_ne!(rotated.name_of(&session), Some(name.clone()));
    assert_ne!(sealer.name_of_parts(session.expose()), name);
}

#[test]
fn a_token_opens_whatever_the_clock_says() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    // Sealed by daemons whose clocks are at the beginning of time, a week and a year behind, and a year ahead.
    for sealed_at_time in [0, now() - WEEK - 1, now() - 53 * WEEK, now() + 53 * WEEK] {
        let (token, expires) = sealed_at(sealed_at_time, &sealer);
        assert_eq!(expires, sealed_at_time + WEEK);
        let opened = sealer.open(&token).expect("GCS decides");
        assert_eq!(opened.expires, expires);
    }
    let before = now();
    let session = SessionUri::parse("https://storage.googleapis.com/u?upload_id=id").expect("a URI");
    let (bucket, object) = (BucketName::new("bucket"), ObjectName::new("object"));
    let (_, expires) = sealer
        .seal(&session, &bucket.expect("a name"), &object.expect("a name"), None)
        .expect("sealed");
    assert!((before + WEEK..=now() + WEEK).contains(&expires));
}

#[test]
fn no_altered_token_opens() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let token = sealed(&sealer);
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        assert!(sealer.open(&altered).is_err(), "altered at {at}");
        assert!(sealer.open(&token[..at]).is_err(), "cut at {at}");
    }
    assert!(sealer.open(&"A".repeat(1 << 20)).is_err());
}

#[test]
fn no_token_beyond_the_limit_is_looked_at() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let object = ObjectName::new("an object").expect("a name");
    let bucket = BucketName::new("bucket").expect("a name");
    let sealed = |filler: usize| {
        let uri = format!(
            "https://storage.googleapis.com/u?upload_id={}",
            "i".repeat(filler)
        );
        let session = SessionUri::parse(&uri).expect("a URI");
        sealer
            .seal_at(0, &session, &bucket, &object, None)
            .expect("sealed")
            .0
    };
    // Four characters of base64 hold three bytes.
    let filler = (MAX_TOKEN - sealed(0).len()) / 4 * 3;
    let longest = (filler..filler + 3)
        .map(sealed)
        .find(|token| token.len() == MAX_TOKEN)
        .expect("every length that base64 has");
    let opened = sealer.open(&longest).expect("just short enough");
    assert_eq!(opened.object, object);
    let too_long = sealed(filler + 3);
    assert!(too_long.len() > MAX_TOKEN);
    let of_version_3 = |token: &str| {
        let mut token = URL_SAFE_NO_PAD.decode(token).expect("base64");
        token[0] = 3;
        URL_SAFE_NO_PAD.encode(token)
    };
    for (token, kind) in [
        (too_long.clone(), Kind::BadToken),
        (of_version_3(&longest), Kind::TokenExpired),
        (of_version_3(&too_long), Kind::BadToken),
    ] {
        let refused = sealer.open(&token).expect_err("not of this version, or too long");
        assert_eq!(refused.status.kind(), Some(kind), "{} bytes", token.len());
    }
}

#[test]
fn a_token_of_another_version_starts_the_upload_anew() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let token = URL_SAFE_NO_PAD.decode(sealed(&sealer)).expect("base64");
    let status = |token: &[u8]| {
        let refused = sealer.open(&URL_SAFE_NO_PAD.encode(token));
        refused.expect_err("no token of this version").status
    };
    // As a daemon of the next version would seal it, whatever stands behind the key's id.
    for version in [0, 3, 255] {
        let mut next = token.clone();
        next[0] = version;
        let restart = Status::new(Kind::TokenExpired, Retry::Restart);
        assert_eq!(status(&next), restart);
        assert_eq!(status(&next[..1 + KEY_ID_LEN]), restart);
    }
    // Altered, or of another fleet: starting anew is not for the daemon to say.
    let bad = Status::new(Kind::BadToken, Retry::Never);
    for at in [1, KEY_ID_LEN, 1 + KEY_ID_LEN, token.len() - 1] {
        let mut altered = token.clone();
        altered[at] ^= 1;
        assert_eq!(status(&altered), bad, "altered at {at}");
    }
    assert_eq!(status(&[2]), bad);
}

#[test]
fn the_longest_names_have_tokens_that_open() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    for character in ["\u{1}", "%", "x", "\u{7f}\u{80}"] {
        let name = character.repeat(1024 / character.len());
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (bucket, id) = ("b".repeat(222), "i".repeat(300));
        let uri = format!(
            "https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={escaped}&upload_id={id}"
        );
        let session = SessionUri::parse(&uri).expect("a URI");
        let bucket = BucketName::new(bucket).expect("a name");
        let object = ObjectName::new(name).expect("a name");
        let identity = "i".repeat(64);
        let sealed = sealer.seal(&session, &bucket, &object, Some(&identity));
        let (token, _) = sealed.expect("sealed");
        assert!(
            token.len() <= MAX_TOKEN,
            "{} bytes for {character:?}",
            token.len()
        );
        let opened = sealer.open(&token).expect("the same key");
        assert_eq!((opened.object, opened.identity), (object, Some(identity)));
    }
}

#[test]
fn whose_a_token_is_stands_in_its_version_and_under_its_seal() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let session = SessionUri::parse("https://storage.googleapis.com/u?upload_id=id").expect("a URI");
    let bucket = BucketName::new("bucket").expect("a name");
    let object = ObjectName::new("object").expect("a name");
    for (identity, version) in [(None, TOKEN_VERSION), (Some("backup"), OWNED_VERSION)] {
        let sealed = sealer.seal(&session, &bucket, &object, identity);
        let (token, _) = sealed.expect("sealed");
        assert_eq!(
            sealer.open(&token).expect("the same key").identity.as_deref(),
            identity
        );
        let mut bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
        assert_eq!(bytes[0], version);
        // As if it were the other kind.
        bytes[0] = TOKEN_VERSION + OWNED_VERSION - version;
        let refused = sealer.open(&URL_SAFE_NO_PAD.encode(bytes));
        let refused = refused.expect_err("the version is sealed").status;
        assert_eq!(refused, Status::new(Kind::BadToken, Retry::Never));
    }
}

#[test]
fn keys_are_checked() {
    assert_eq!(
        Sealer::from_text("# none\n").expect_err("empty"),
        TokenKeyError::Empty
    );
    assert_eq!(
        Sealer::from_text("abc").expect_err("short"),
        TokenKeyError::Line(1)
    );
    assert_eq!(
        Sealer::from_text(&format!("{}\n{}", key('a'), key('g'))).expect_err("g"),
        TokenKeyError::Line(2)
    );
    // Not every text of 64 characters is a number.
    assert_eq!(
        Sealer::from_text(&"+a".repeat(32)).expect_err("a sign"),
        TokenKeyError::Line(1)
    );
    let generated = Sealer::generate_text().expect("a key");
    assert!(Sealer::from_text(&generated).is_ok());
    assert_ne!(Sealer::generate_text(), Ok(generated));
}

#[test]
fn no_key_is_shown() {
    let sealer = Sealer::from_text(&format!("{}\n{}", key('a'), key('b'))).expect("two keys");
    assert_eq!(format!("{sealer:?}"), "Sealer { keys: 2 }");
}

#[test]
fn keys_can_be_exchanged_while_they_are_used() {
    let sealer = Sealer::from_text(&key('a')).expect("a key");
    let token = sealed(&sealer);
    let exchanged = |text: &str| {
        sealer.replace(Sealer::from_text(text).expect("keys"));
        sealer.open(&token).is_ok()
    };
    assert!(!exchanged(&key('b')));
    assert!(exchanged(&format!("{}\n{}\n", key('b'), key('a'))));
    // The first one seals.
    let new = sealed(&sealer);
    assert!(exchanged(&key('a')));
    assert!(sealer.open(&new).is_err());
}
