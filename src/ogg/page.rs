//! An Ogg page: header fields and lacing values (RFC 3533, section 6).

/// The bytes a page starts with.
pub(super) const CAPTURE_PATTERN: &[u8; 4] = b"OggS";
/// Size in bytes of a page header without its segment table.
pub(super) const HEADER_LEN: usize = 27;
/// Where the header keeps its checksum.
pub(super) const CHECKSUM: std::ops::Range<usize> = 22..26;
/// Largest possible page: header, 255 lacing values, 255 segments of 255 bytes.
pub(super) const MAX_PAGE_LEN: usize = HEADER_LEN + 255 + 255 * 255;

const CONTINUED: u8 = 1;
const BOS: u8 = 2;
const EOS: u8 = 4;

/// A page, or what may be one: nothing is checked here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// The page from its capture pattern on.
    bytes: &'a [u8],
}

impl<'a> Page<'a> {
    /// Takes `bytes` for a page: at least [`HEADER_LEN`] bytes, what each method below needs, and any number
    /// more.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Page { bytes }
    }

    /// No field has a value that RFC 3533 does not define: another capture pattern, a version other than 0,
    /// an unknown flag.
    pub(super) fn is_plausible(self) -> bool {
        self.bytes.starts_with(CAPTURE_PATTERN)
            && self.bytes[4] == 0
            && self.bytes[5] & !(CONTINUED | BOS | EOS) == 0
    }

    /// Size of header and segment table, known once [`HEADER_LEN`] bytes are there.
    pub(super) fn header_len(self) -> usize {
        HEADER_LEN + usize::from(self.bytes[26])
    }

    /// Size of the whole page, known once header and segment table are there.
    pub(super) fn len(self) -> usize {
        self.header_len() + self.segments().iter().map(|&lacing| usize::from(lacing)).sum::<usize>()
    }

    /// The fixed part of the header.
    pub(super) fn header(self) -> [u8; HEADER_LEN] {
        self.field(0)
    }

    /// The segment table: lacing values. One below 255 ends a packet.
    pub(super) fn segments(self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..self.header_len()]
    }

    /// The segments' bytes.
    pub(super) fn body(self) -> &'a [u8] {
        &self.bytes[self.header_len()..self.len()]
    }

    /// The first bytes of the body carry on a packet of the page before.
    pub(super) fn is_continued(self) -> bool {
        self.bytes[5] & CONTINUED != 0
    }

    /// Beginning of a logical bitstream.
    pub(super) fn is_bos(self) -> bool {
        self.bytes[5] & BOS != 0
    }

    /// End of a logical bitstream.
    pub(super) fn is_eos(self) -> bool {
        self.bytes[5] & EOS != 0
    }

    /// Granule position of the last packet that ends on this page, -1 if none does.
    pub(super) fn granule_pos(self) -> i64 {
        i64::from_le_bytes(self.field(6))
    }

    /// Serial number of the logical bitstream.
    pub(super) fn serial(self) -> u32 {
        u32::from_le_bytes(self.field(14))
    }

    /// Number of the page in its logical bitstream.
    pub(super) fn sequence(self) -> u32 {
        u32::from_le_bytes(self.field(18))
    }

    /// CRC of the page with these four bytes taken as zero.
    pub(super) fn checksum(self) -> [u8; 4] {
        self.field(CHECKSUM.start)
    }

    /// How many packets end on this page.
    pub(super) fn packet_ends(self) -> u32 {
        self.segments().iter().map(|&lacing| u32::from(lacing < 255)).sum()
    }

    /// Size in bytes of the body up to the first end of a packet, or of all of it if no packet ends here.
    pub(super) fn first_piece_len(self) -> usize {
        let full = self.segments().iter().take_while(|&&lacing| lacing == 255).count();
        255 * full + self.segments().get(full).map_or(0, |&lacing| usize::from(lacing))
    }

    /// Size in bytes of what follows the end of the last packet that ends here: the packet the next page
    /// continues. None if there is no such packet.
    pub(super) fn open_piece_len(self) -> Option<usize> {
        match self.segments().iter().rev().take_while(|&&lacing| lacing == 255).count() {
            0 => None,
            count => Some(255 * count),
        }
    }

    fn field<const N: usize>(self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[at..at + N]);
        field
    }
}
