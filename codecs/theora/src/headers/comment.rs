//! The comment header (Theora specification, 6.3).

use super::strip_common_header;
use crate::Error;

/// What the comment header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment {
    /// Who wrote the stream.
    pub vendor: String,
    /// Field names as they stand in the stream (ASCII case does not matter in them) and their values, in stream
    /// order. A comment without "=" has an empty field name. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub comments: Vec<(String, String)>,
}

impl Comment {
    /// Decodes the second packet of a stream.
    ///
    /// # Errors
    /// If the packet is not a comment header, or a string is longer than what is left of the packet.
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        let mut rest = strip_common_header(packet, 0x81)?;
        let vendor = read_string(&mut rest, "the vendor string")?;
        let count = read_length(&mut rest, "NCOMMENTS")?;
        let mut comments = Vec::new();
        for _ in 0..count {
            let comment = read_string(&mut rest, "a user comment")?;
            comments.push(match comment.split_once('=') {
                Some((field, value)) => (field.to_owned(), value.to_owned()),
                None => (String::new(), comment),
            });
        }
        Ok(Self { vendor, comments })
    }
}

/// A 32-bit length, least significant byte first (6.3.1).
fn read_length(rest: &mut &[u8], element: &'static str) -> Result<usize, Error> {
    let (length, tail) = rest.split_first_chunk().ok_or(Error::Truncated { element })?;
    *rest = tail;
    Ok(u32::from_le_bytes(*length) as usize)
}

fn read_string(rest: &mut &[u8], element: &'static str) -> Result<String, Error> {
    let length = read_length(rest, element)?;
    let (string, tail) = rest.split_at_checked(length).ok_or(Error::Truncated { element })?;
    *rest = tail;
    Ok(String::from_utf8_lossy(string).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\x81theora\x03\0\0\0me!\x03\0\0\0\x07\0\0\0TITLE=\xFF\x04\0\0\0a=b=\x02\0\0\0no";

    #[test]
    fn strings_are_taken_apart() {
        let comment = Comment::parse(HEADER).unwrap();
        assert_eq!(comment.vendor, "me!");
        let expected = [("TITLE", "\u{FFFD}"), ("a", "b="), ("", "no")];
        assert_eq!(comment.comments, expected.map(|(field, value)| (field.to_owned(), value.to_owned())));
    }

    #[test]
    fn lengths_are_checked_against_the_packet() {
        for length in 7..HEADER.len() {
            let truncated = Comment::parse(&HEADER[..length]);
            assert!(matches!(truncated, Err(Error::Truncated { .. })), "{length} bytes");
        }
        let endless = b"\x81theora\0\0\0\0\xFF\xFF\xFF\xFF";
        assert_eq!(Comment::parse(endless), Err(Error::Truncated { element: "a user comment" }));
    }
}
