//! Vorbis I, section 5: the comment header.

use super::{Error, header_body};

/// The comment header: who encoded the stream, and its user comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// Identification of the encoder.
    pub vendor: String,
    /// Field names and contents, in the order of the header.
    pub comments: Vec<(String, String)>,
}

impl Comments {
    /// Parses a comment header packet.
    ///
    /// Comments do not matter to the sound, so what is wrong with them costs no more than themselves:
    /// a list that ends early gives what was there, a comment without `=` is left out, and bytes that
    /// are no UTF-8 become U+FFFD. Memory stays in proportion to the packet, whatever lengths and
    /// counts it claims.
    ///
    /// # Errors
    /// [`Error::NotHeader`] if the packet is no comment header.
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        Ok(Self::parse_list(header_body(packet, 3, "comment")?))
    }

    /// The same for what follows the start of the packet, which other codecs have, too.
    pub(crate) fn parse_list(mut rest: &[u8]) -> Self {
        let mut parsed = Self::default();
        let Some(vendor) = take_string(&mut rest) else { return parsed };
        parsed.vendor = vendor;
        let count = take_u32(&mut rest).unwrap_or(0);
        for _ in 0..count {
            let Some(comment) = take_string(&mut rest) else { break };
            if let Some((name, content)) = comment.split_once('=') {
                parsed.comments.push((name.to_owned(), content.to_owned()));
            }
        }
        parsed
    }
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}

fn take_string(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_u32(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(vendor: &[u8], count: u32, comments: &[&[u8]]) -> Vec<u8> {
        let mut packet = b"\x03vorbis".to_vec();
        packet.extend((vendor.len() as u32).to_le_bytes());
        packet.extend(vendor);
        packet.extend(count.to_le_bytes());
        for comment in comments {
            packet.extend((comment.len() as u32).to_le_bytes());
            packet.extend(*comment);
        }
        packet
    }

    fn pair(name: &str, content: &str) -> (String, String) {
        (name.to_owned(), content.to_owned())
    }

    #[test]
    fn reads_vendor_and_comments_in_order() {
        let mut packet = header(b"us", 3, &[b"TITLE=a=b", b"no field", b"ARTIST=\xff"]);
        packet.push(1);
        let parsed = Comments::parse(&packet).unwrap();
        assert_eq!(parsed.vendor, "us");
        assert_eq!(parsed.comments, [pair("TITLE", "a=b"), pair("ARTIST", "\u{fffd}")]);
    }

    #[test]
    fn hostile_counts_and_lengths_cost_nothing() {
        let parsed = Comments::parse(&header(b"v", u32::MAX, &[b"A=1"])).unwrap();
        assert_eq!(parsed.comments, [pair("A", "1")]);
        assert!(parsed.comments.capacity() < 16);

        let mut packet = b"\x03vorbis".to_vec();
        packet.extend(u32::MAX.to_le_bytes());
        packet.extend([b'x'; 300]);
        assert_eq!(Comments::parse(&packet).unwrap(), Comments::default());
    }

    #[test]
    fn every_cut_of_the_header_is_read() {
        let packet = header(b"vendor", 2, &[b"A=1", b"B=2"]);
        for length in 7..packet.len() {
            assert!(Comments::parse(&packet[..length]).unwrap().comments.len() < 2, "{length}");
        }
        assert!(Comments::parse(&packet[..6]).is_err());
        assert!(Comments::parse(b"\x05vorbis").is_err());
    }
}
