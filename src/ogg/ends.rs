//! How far the logical bitstreams of a file go, without reading all of it.

use std::io::{self, Read, Seek, SeekFrom};

use super::demuxer::Damage;
use super::scanner::PageScanner;

/// Bytes at the end of a file that are looked through: those of the largest streams for some seconds.
const TAIL: u64 = 1 << 20;

/// More streams than this are not looked for.
const MAX_ENDS: usize = 64;

/// Where a logical bitstream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// Serial number of the stream.
    pub serial: u32,
    /// Granule position of its last page that has one.
    pub granule_pos: i64,
}

/// The ends of the streams that have pages near the end of `input`, in order of first appearance there. Where a chain
/// uses a serial number twice, the later stream counts. The input is left at its start.
///
/// # Errors
/// Those of the input.
pub fn stream_ends<R: Read + Seek>(mut input: R) -> io::Result<Vec<StreamEnd>> {
    let end = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(end.saturating_sub(TAIL)))?;
    let mut scanner = PageScanner::new(&mut input);
    let mut ends: Vec<StreamEnd> = Vec::new();
    while let Some(page) = scanner.next_page(&mut Damage::default())? {
        let (serial, granule_pos) = (page.serial(), page.granule_pos());
        if granule_pos < 0 {
            continue;
        }
        let known = ends.iter().position(|end| end.serial == serial);
        match known {
            Some(index) => ends[index].granule_pos = granule_pos,
            None if ends.len() < MAX_ENDS => ends.push(StreamEnd { serial, granule_pos }),
            None => {}
        }
    }
    input.seek(SeekFrom::Start(0))?;
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ogg::Demuxer;
    use std::io::Cursor;

    #[test]
    fn the_ends_are_those_that_reading_all_of_it_finds() {
        let file = include_bytes!("../../tests/media/flash-click.ogv");
        let mut expected: Vec<StreamEnd> = Vec::new();
        let mut demuxer = Demuxer::new(&file[..]);
        while let Some(packet) = demuxer.next_packet().unwrap() {
            let serial = demuxer.streams()[packet.stream].serial;
            let granule_pos = packet.page_granule_pos.unwrap();
            expected.retain(|end| end.serial != serial);
            expected.push(StreamEnd { serial, granule_pos });
        }
        assert_eq!(expected.len(), 2);
        // What stands before the last MiB is not looked at.
        for bytes_before in [0, 3 << 20] {
            let mut input = Cursor::new([vec![0; bytes_before], file.to_vec()].concat());
            let mut ends = stream_ends(&mut input).unwrap();
            ends.sort_by_key(|end| end.serial);
            expected.sort_by_key(|end| end.serial);
            assert_eq!(ends, expected);
            assert_eq!(input.position(), 0);
        }
    }

    #[test]
    fn what_is_no_ogg_has_no_ends() {
        assert_eq!(stream_ends(Cursor::new(vec![7; 5000])).unwrap(), []);
        assert_eq!(stream_ends(Cursor::new(b"OggS".repeat(1 << 19))).unwrap(), []);
    }
}
