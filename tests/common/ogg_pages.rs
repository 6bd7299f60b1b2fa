//! Ogg pages made by hand, from RFC 3533 alone: nothing here is shared with the demuxer.

// Each test takes what it needs.
#![allow(dead_code)]

/// Flag: the first packet continues one of the page before.
pub(crate) const CONTINUED: u8 = 1;
/// Flag: beginning of a logical bitstream.
pub(crate) const BOS: u8 = 2;
/// Flag: end of a logical bitstream.
pub(crate) const EOS: u8 = 4;

/// The page checksum, by polynomial division.
pub(crate) fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// Sets the checksum of a page right.
pub(crate) fn seal(page: &mut [u8]) {
    page[22..26].fill(0);
    let crc = checksum(page).to_le_bytes();
    page[22..26].copy_from_slice(&crc);
}

/// A page with these lacing values and segments.
pub(crate) fn raw_page(
    serial: u32,
    sequence: u32,
    flags: u8,
    granule_pos: i64,
    lacing: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule_pos.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend(sequence.to_le_bytes());
    page.extend([0; 4]);
    page.push(lacing.len() as u8);
    page.extend(lacing);
    page.extend(body);
    seal(&mut page);
    page
}

/// The lacing values of a whole packet.
pub(crate) fn lacing(len: usize) -> Vec<u8> {
    let mut lacing = vec![255; len / 255];
    lacing.push((len % 255) as u8);
    lacing
}

/// A page of whole packets.
pub(crate) fn page(serial: u32, sequence: u32, flags: u8, granule_pos: i64, packets: &[&[u8]]) -> Vec<u8> {
    let lacing = packets.iter().flat_map(|packet| lacing(packet.len())).collect::<Vec<_>>();
    raw_page(serial, sequence, flags, granule_pos, &lacing, &packets.concat())
}

/// Packs packets into pages of at most `segments` segments each; the first packet has page 0 for itself. The
/// granule position of a page is 100 times the number of packets that ended so far, -1 where none ends.
pub(crate) fn pages(serial: u32, packets: &[Vec<u8>], segments: usize) -> Vec<Vec<u8>> {
    let mut all = vec![page(serial, 0, BOS, 0, &[&packets[0]])];
    let values = packets[1..].iter().flat_map(|packet| lacing(packet.len())).collect::<Vec<_>>();
    let mut body = &packets[1..].concat()[..];
    let (mut ended, mut continued) = (1, false);
    let count = values.chunks(segments).len();
    for (index, lacing) in values.chunks(segments).enumerate() {
        let (segments, rest) = body.split_at(lacing.iter().map(|&value| usize::from(value)).sum());
        body = rest;
        let ends = lacing.iter().filter(|&&value| value < 255).count() as i64;
        ended += ends;
        let flags = if continued { CONTINUED } else { 0 } | if index + 1 == count { EOS } else { 0 };
        let granule_pos = if ends == 0 { -1 } else { 100 * ended };
        all.push(raw_page(serial, index as u32 + 1, flags, granule_pos, lacing, segments));
        continued = lacing.last() == Some(&255);
    }
    all
}

/// Random numbers (xorshift64*), the same ones everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % limit
    }

    /// Bytes, with many a capture pattern among them.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            match self.below(8) {
                0 => bytes.extend(b"OggS"),
                1 => bytes.extend(b"OggS\0\0"),
                2 => bytes.push(b'O'),
                _ => bytes.push(self.below(256) as u8),
            }
        }
        bytes.truncate(len);
        bytes
    }
}
