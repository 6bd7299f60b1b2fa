//! FLV tags (FLV specification, E.4.1 to E.4.3).

use std::io::{self, Write};

use byteorder::{BE, WriteBytesExt};

/// Bytes of a tag before its body.
pub(super) const HEADER_BYTES: u64 = 11;
/// Bytes of the field PreviousTagSize behind a tag.
pub(super) const PREVIOUS_TAG_SIZE_BYTES: u64 = 4;
/// The largest body that the 24-bit field DataSize can state.
pub(super) const MAX_BODY_BYTES: usize = (1 << 24) - 1;

/// TagType of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagType {
    Audio = 8,
    Video = 9,
    Script = 18,
}

impl TagType {
    /// The type with this number.
    pub(crate) fn known(number: u8) -> Option<Self> {
        [Self::Audio, Self::Video, Self::Script].into_iter().find(|&known| known as u8 == number)
    }
}

/// Writes one tag, whose body is `head` followed by `data`, and the PreviousTagSize behind it.
///
/// # Errors
/// Those of `out`; and [`io::ErrorKind::InvalidInput`] if the body is longer than [`MAX_BODY_BYTES`].
pub(super) fn write(
    out: &mut impl Write,
    tag_type: TagType,
    timestamp: u32,
    head: &[u8],
    data: &[u8],
) -> io::Result<()> {
    let body = head.len() + data.len();
    if body > MAX_BODY_BYTES {
        let what = format!("an FLV tag holds at most {MAX_BODY_BYTES} bytes, not {body}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    out.write_u8(tag_type as u8)?;
    out.write_u24::<BE>(body as u32)?;
    // The low 24 bits come first, TimestampExtended holds the upper 8.
    out.write_u24::<BE>(timestamp & 0xFF_FFFF)?;
    out.write_u8((timestamp >> 24) as u8)?;
    out.write_u24::<BE>(0)?; // StreamID
    out.write_all(head)?;
    out.write_all(data)?;
    out.write_u32::<BE>(HEADER_BYTES as u32 + body as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_tag() {
        let mut out = Vec::new();
        write(&mut out, TagType::Video, 0x1234_5678, &[0x12], &[0xAA, 0xBB]).unwrap();
        let expected = [
            9, 0, 0, 3, // TagType, DataSize
            0x34, 0x56, 0x78, 0x12, // Timestamp, TimestampExtended
            0, 0, 0, // StreamID
            0x12, 0xAA, 0xBB, // body
            0, 0, 0, 14, // PreviousTagSize
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn a_body_of_more_than_24_bits_is_refused() {
        let error = write(&mut io::sink(), TagType::Video, 0, &[0], &vec![0; MAX_BODY_BYTES]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
