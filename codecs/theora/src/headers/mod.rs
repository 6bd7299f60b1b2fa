//! The three header packets (Theora specification, chapter 6).

mod comment;
mod identification;
mod setup;

pub use comment::Comment;
pub use identification::Identification;
pub use setup::Setup;

use crate::Error;

/// Whether the packet is a header, which a set first bit tells; an empty packet is not (section 6.1).
#[must_use]
pub fn is_header(packet: &[u8]) -> bool {
    packet.first().is_some_and(|&byte| byte & 0x80 != 0)
}

/// The common header (section 6.1): checks type and signature and hands out what follows them.
fn strip_common_header(packet: &[u8], header_type: u8) -> Result<&[u8], Error> {
    packet
        .strip_prefix(&[header_type])
        .and_then(|rest| rest.strip_prefix(b"theora"))
        .ok_or(Error::NotTheHeader { expected: header_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bit_makes_a_header() {
        assert!(is_header(&[0x80]) && is_header(&[0xFF, 0]));
        assert!(!is_header(&[0x7F]) && !is_header(&[]));
    }

    #[test]
    fn the_common_header_is_type_and_signature() {
        assert_eq!(strip_common_header(b"\x81theora!", 0x81), Ok(&b"!"[..]));
        let refused = Err(Error::NotTheHeader { expected: 0x81 });
        assert_eq!(strip_common_header(b"\x80theora!", 0x81), refused);
        assert_eq!(strip_common_header(b"\x81vorbis!", 0x81), refused);
        assert_eq!(strip_common_header(b"\x81theor", 0x81), refused);
    }
}
