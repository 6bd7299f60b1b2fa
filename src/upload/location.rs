//! Where an object is: `s3://bucket/key`.

use std::fmt;
use std::str::FromStr;

/// What the name of an object begins with.
pub const SCHEME: &str = "s3://";
/// Bytes of a key at most (Amazon S3 User Guide, "Naming Amazon S3 objects").
const MAX_KEY_BYTES: usize = 1024;

/// A bucket and a key in it, or a prefix of keys: one that ends with a slash, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Name of the bucket.
    pub bucket: String,
    /// The key, or the prefix.
    pub key: String,
}

impl Location {
    /// Whether this is a prefix, not an object.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The object `name` below this prefix.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self { bucket: self.bucket.clone(), key: format!("{}{name}", self.key) }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bucket, key) = match text.strip_prefix(SCHEME) {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => return Err("a name such as s3://bucket/key.flv".to_owned()),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(is_plain) {
            return Err(format!("{bucket:?} is no name of a bucket; the form is s3://bucket/key.flv"));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(format!("the key has {} bytes, more than the {MAX_KEY_BYTES} of S3", key.len()));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let cases = [
            ("s3://streams.example.com/a/b.flv", "streams.example.com", "a/b.flv", false),
            ("s3://bucket/", "bucket", "", true),
            ("s3://bucket", "bucket", "", true),
            ("s3://bucket/films/", "bucket", "films/", true),
            ("s3://bucket//x y", "bucket", "/x y", false),
        ];
        for (text, bucket, key, is_prefix) in cases {
            let location: Location = text.parse().unwrap();
            assert_eq!((&*location.bucket, &*location.key), (bucket, key));
            assert_eq!(location.is_prefix(), is_prefix, "{text}");
        }
        let films: Location = "s3://bucket/films/".parse().unwrap();
        assert_eq!(films.join("a.flv").to_string(), "s3://bucket/films/a.flv");
        for wrong in ["", "bucket/key", "s3:/bucket/key", "s3://", "s3:///key", "s3://buck et/key"] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
        assert!(format!("s3://bucket/{}", "k".repeat(1025)).parse::<Location>().is_err());
    }
}
