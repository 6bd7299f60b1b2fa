//! What a stream's comments say of the film, and what of it becomes metadata of the output.

use crate::vorbis::Comments;

/// Longer texts are left out: they are pictures or worse.
const MAX_TEXT: usize = 4096;
/// More names than this are left out.
const MAX_NAMES: usize = 64;
/// Names that speak of the source's encoding, or hold pictures.
const UNWANTED: [&str; 10] = [
    "encoder",
    "encoder_options",
    "duration",
    "coverart",
    "metadata_block_picture",
    "handler_name",
    "vendor_id",
    "major_brand",
    "minor_version",
    "compatible_brands",
];

/// Names and texts.
pub(crate) type Texts = Vec<(String, String)>;

/// The comments of a comment header packet of Theora (specification, 6.3), Vorbis (I, 5), Opus (RFC 7845, 5.2) or FLAC
/// (format, METADATA_BLOCK_VORBIS_COMMENT); None if it is another packet. What is damaged is left out.
pub(crate) fn of_header(packet: &[u8]) -> Option<Texts> {
    let flac = packet.first().is_some_and(|first| first & 0x7F == 4) && packet.len() > 4;
    let list = [&b"\x81theora"[..], b"\x03vorbis", b"OpusTags"]
        .iter()
        .find_map(|start| packet.strip_prefix(*start))
        .or_else(|| flac.then(|| &packet[4..]))?;
    Some(Comments::parse_list(list).comments)
}

/// What becomes metadata: of the streams' comments in order of precedence, those that speak of the film, with names in
/// small letters; texts of one name in one stream are put in one. What the user wants (`own`) comes first, and an empty
/// text leaves a name out.
pub(crate) fn metadata(streams: &[Texts], own: &[(String, String)]) -> Texts {
    let mut texts: Texts = own.to_vec();
    for comments in streams {
        let known = texts.len();
        for (name, text) in comments {
            let name = name.to_ascii_lowercase();
            let plain =
                name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b' '));
            let wanted =
                plain && !name.is_empty() && !name.starts_with('_') && !UNWANTED.contains(&name.as_str());
            if !wanted || text.is_empty() || text.len() > MAX_TEXT {
                continue;
            }
            match texts.iter().position(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                Some(index) if index < known => {}
                Some(index) if texts[index].1.len() + text.len() < MAX_TEXT => {
                    texts[index].1 += "; ";
                    texts[index].1 += text;
                }
                None if texts.len() < MAX_NAMES + own.len() => texts.push((name, text.clone())),
                _ => {}
            }
        }
    }
    texts.retain(|(_, text)| !text.is_empty());
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(start: &[u8], comments: &[&str]) -> Vec<u8> {
        let mut packet = [start, &[2, 0, 0, 0], b"me", &(comments.len() as u32).to_le_bytes()[..]].concat();
        for comment in comments {
            packet.extend((comment.len() as u32).to_le_bytes());
            packet.extend(comment.as_bytes());
        }
        packet
    }

    #[test]
    fn comments_become_metadata() {
        let long = format!("LYRICS={}", "la".repeat(3000));
        let video =
            ["TITLE=A film", "encoder=x", "Artist=A", "ARTIST=B", "no equals sign", "_STATS=1", &long, "ü=1"];
        let video = of_header(&header(b"\x81theora", &video)).unwrap();
        let sound =
            of_header(&header(b"\x03vorbis", &["title=Its sound", "ARTIST=C", "date=2009-01-01"])).unwrap();
        let texts = |own: &[(&str, &str)]| {
            let own: Texts =
                own.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            metadata(&[video.clone(), sound.clone()], &own)
        };
        let expected = |texts: &[(&str, &str)]| -> Texts {
            texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        assert_eq!(texts(&[]), expected(&[("title", "A film"), ("artist", "A; B"), ("date", "2009-01-01")]));
        assert_eq!(
            texts(&[("Title", "Mine"), ("artist", ""), ("show", "x")]),
            expected(&[("Title", "Mine"), ("show", "x"), ("date", "2009-01-01")])
        );
    }

    #[test]
    fn headers_of_all_codecs_are_known() {
        for start in [&b"\x81theora"[..], b"\x03vorbis", b"OpusTags", b"\x84\0\0\x20", b"\x04\0\0\x20"] {
            let comments = of_header(&header(start, &["a=b"])).unwrap();
            assert_eq!(comments, [("a".to_owned(), "b".to_owned())]);
        }
        for other in [&b""[..], b"\x80theora", b"\x01vorbis", b"OpusHead", b"\xFF\xF8"] {
            assert_eq!(of_header(other), None);
        }
        // As long as it claims, but not there.
        assert_eq!(of_header(b"OpusTags\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), Some(vec![]));
    }
}
