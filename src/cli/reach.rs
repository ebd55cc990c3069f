//! What the sources of a copy reach: a copy that is made there would be read again as one of them, without end.

use super::gs_url::BucketUrl;
use super::pattern::Pattern;
use gcsd_types::BucketName;

/// The names that a walk finds, without listing any.
#[derive(Debug)]
pub(super) struct Reach {
    bucket: BucketName,
    /// Of names, or of what they have up to a '/' where `below`. `None` matches everything.
    pattern: Option<Pattern>,
    /// Objects that match are found.
    objects: bool,
    /// What lies below a name that matches is found.
    below: bool,
}

impl Reach {
    /// What a walk to `url` finds.
    pub(super) fn new(url: &BucketUrl, recursive: bool) -> Self {
        let text = url.prefix.as_str();
        let stripped = text.strip_suffix('/').unwrap_or(text);
        let spans = url.is_pattern() && text.contains("**");
        let pattern = match (spans, url.is_pattern()) {
            (true, _) => Pattern::new(text),
            (false, true) => Pattern::new(stripped),
            (false, false) => Pattern::exactly(stripped),
        };
        Self {
            bucket: url.bucket.clone(),
            pattern: (!text.is_empty()).then_some(pattern),
            objects: spans || stripped.len() == text.len(),
            below: recursive && !spans,
        }
    }

    /// Whether it finds an object of this name.
    pub(super) fn finds(&self, bucket: &BucketName, name: &str) -> bool {
        if *bucket != self.bucket {
            return false;
        }
        let Some(pattern) = &self.pattern else {
            return self.below;
        };
        let mut slashes = name.match_indices('/');
        self.objects && pattern.matches(name)
            || self.below && slashes.any(|(slash, _)| pattern.matches(&name[..slash]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_walk_does() {
        let bucket = BucketName::new("bucket").expect("a name");
        for (url, recursive, yes, no) in [
            ("gs://bucket/d", false, &["d"][..], &["d/x", "dd"][..]),
            ("gs://bucket/d", true, &["d", "d/x", "d/x/y"], &["dd", "x/d"]),
            ("gs://bucket/d/", true, &["d/x", "d/"], &["d"]),
            ("gs://bucket", true, &["d", "d/x"], &[]),
            ("gs://bucket", false, &[], &["d"]),
            ("gs://bucket/*.gz", false, &["a.gz"], &["a", "d/a.gz"]),
            ("gs://bucket/d*", true, &["d1", "d/x/y"], &["e/d"]),
            ("gs://bucket/**.gz", false, &["a.gz", "d/a.gz"], &["a"]),
            ("gs://bucket/**/x", true, &["d/x"], &["d/x/y"]),
        ] {
            let reach = Reach::new(&url.parse().expect(url), recursive);
            for name in yes {
                assert!(reach.finds(&bucket, name), "{url} {name}");
            }
            for name in no {
                assert!(!reach.finds(&bucket, name), "{url} {name}");
            }
            let other = BucketName::new("other").expect("a name");
            assert!(!reach.finds(&other, "d"));
        }
        let literal: BucketUrl = "gs://bucket/a*".parse().expect("a URL");
        let literal = Reach::new(&literal.literally(), false);
        assert!(literal.finds(&bucket, "a*") && !literal.finds(&bucket, "ab"));
    }
}
