//! CRC-64/NVME, the checksum that S3 recommends: those of the parts give that of the whole.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;

/// The CRC-64/NVME of some bytes. Prints as S3 writes it: eight bytes, the highest first, in Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc64(u64);

impl Crc64 {
    /// That of no bytes.
    pub const EMPTY: Self = Self(0);

    /// That of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes))
    }

    /// That of these bytes with others behind them, which are `bytes` many.
    #[must_use]
    pub fn followed_by(self, next: Self, bytes: u64) -> Self {
        if bytes == 0 {
            return self;
        }
        Self(crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, self.0, next.0, bytes))
    }
}

impl fmt::Display for Crc64 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_STANDARD.encode(self.0.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, from the definition: polynomial AD93D23594C93659, reflected, all ones before and after.
    fn by_definition(bytes: &[u8]) -> u64 {
        let mut crc = u64::MAX;
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { 0x9A6C_9329_AC4B_C9B5 } else { 0 };
            }
        }
        !crc
    }

    #[test]
    fn it_is_the_one_of_the_definition() {
        // The check value of the catalogue of CRCs.
        assert_eq!(by_definition(b"123456789"), 0xAE8B_1486_0A79_9888);
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        for len in [0, 1, 7, 255, 256, 4097, 100_000] {
            assert_eq!(Crc64::of(&bytes[..len]).0, by_definition(&bytes[..len]), "{len} bytes");
        }
        assert_eq!(Crc64::of(b"123456789").to_string(), "rosUhgp5mIg=");
    }

    #[test]
    fn parts_make_up_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
        for cut in [0, 1, 8, 5000, 99_999, 100_000] {
            let (first, second) = bytes.split_at(cut);
            let whole = Crc64::of(first).followed_by(Crc64::of(second), second.len() as u64);
            assert_eq!(whole, Crc64::of(&bytes), "cut at {cut}");
        }
        assert_eq!(Crc64::EMPTY.followed_by(Crc64::of(&bytes), 100_000), Crc64::of(&bytes));
    }
}
