//! What the tests share: vectors and checksums.

use std::path::PathBuf;

use oggflv_theora::{Decoder, FrameKind, Identification, Limits, Setup};

/// The packets of a vector, the three headers first. Each stands after its length, 32 bits, least significant byte
/// first.
pub(crate) fn packets(name: &str) -> Vec<Vec<u8>> {
    let file = std::fs::read(path(name, "pkt")).unwrap();
    let mut rest = &file[..];
    let mut packets = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (packet, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        packets.push(packet.to_vec());
        rest = tail;
    }
    packets
}

/// The file of a vector with these packets.
pub(crate) fn pack(packets: &[Vec<u8>]) -> Vec<u8> {
    let pack = |packet: &Vec<u8>| [&(packet.len() as u32).to_le_bytes()[..], packet].concat();
    packets.iter().flat_map(pack).collect()
}

/// What libtheora made of each data packet of a vector: the name of its kind and the checksum of its picture.
pub(crate) fn expected(name: &str) -> Vec<String> {
    std::fs::read_to_string(path(name, "crc")).unwrap().lines().map(str::to_owned).collect()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn path(name: &str, extension: &str) -> PathBuf {
    directory().join(format!("{name}.{extension}"))
}

/// The names of all vectors.
pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let vectors = files.filter(|path| path.extension().is_some_and(|extension| extension == "pkt"));
    let mut names: Vec<String> =
        vectors.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A decoder from the first three packets.
pub(crate) fn decoder(packets: &[Vec<u8>]) -> Result<Decoder, oggflv_theora::Error> {
    let setup = Setup::parse(&packets[2])?;
    Decoder::new(Identification::parse(&packets[0])?, setup, &Limits { max_pixels: 1 << 20 })
}

/// Decodes a packet and describes it as the lines of a vector's checksums do.
pub(crate) fn decode(decoder: &mut Decoder, packet: &[u8]) -> String {
    let kind = match decoder.decode(packet) {
        Ok(FrameKind::Key) => "key",
        Ok(FrameKind::Inter) => "inter",
        // libtheora tells an empty packet from one that codes no block.
        Ok(FrameKind::Repeat) if packet.is_empty() => "dup",
        Ok(FrameKind::Repeat) => "inter",
        Err(_) => "bad",
    };
    format!("{kind} {:08x}", picture_crc(decoder))
}

/// The CRC-32 of the visible picture: rows from the top, Y, then Cb, then Cr.
pub(crate) fn picture_crc(decoder: &Decoder) -> u32 {
    let rows = decoder.picture().planes.into_iter().flat_map(|plane| plane.rows());
    !rows.flatten().fold(!0, |crc, &sample| {
        (0..8).fold(
            crc ^ u32::from(sample),
            |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ crc >> 1 } else { crc >> 1 },
        )
    })
}

/// A generator of numbers that are the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % limit
    }
}
