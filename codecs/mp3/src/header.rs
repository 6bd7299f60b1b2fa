//! Frame header and side information (11172-3 and 13818-3, 2.4.1.3, 2.4.1.7).

use crate::config::{Format, Version};
use oggflv_common::BitSink;

/// `block_type` of a granule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockType {
    #[default]
    Long = 0,
    Start = 1,
    Short = 2,
    Stop = 3,
}

impl BlockType {
    pub(crate) const ALL: [Self; 4] = [Self::Long, Self::Start, Self::Short, Self::Stop];
}

/// Side information of one channel of one granule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GranuleInfo {
    /// Bits of scalefactors and Huffman codes, at most 4095.
    pub(crate) part2_3_length: u32,
    /// Pairs of lines that the three regions hold, at most 288.
    pub(crate) big_values: u32,
    /// Quantiser step: 2^((global_gain - 210) / 4); at most 255.
    pub(crate) global_gain: u32,
    /// Lengths of the scalefactors: 4 bits in MPEG-1, 9 bits otherwise.
    pub(crate) scalefac_compress: u32,
    pub(crate) block_type: BlockType,
    /// Quantiser steps of each window of a short block are finer by 2^(2 subblock_gain); 0 to 7.
    pub(crate) subblock_gain: [u32; 3],
    /// Huffman table of each region; window switching leaves the third one out.
    pub(crate) table_select: [u32; 3],
    /// Scalefactor bands of the first region, less one.
    pub(crate) region0_count: u32,
    /// Scalefactor bands of the second region, less one.
    pub(crate) region1_count: u32,
    /// Whether the table of [`PRETAB`](crate::tables::PRETAB) is added to the scalefactors; MPEG-1 only.
    pub(crate) preflag: bool,
    /// Whether a scalefactor counts 2 rather than 1 in units of a factor of sqrt(2).
    pub(crate) scalefac_scale: bool,
    pub(crate) count1table_select: u32,
}

/// Header and side information of one frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameInfo {
    /// 1 to 14, by which the length of the frame follows.
    pub(crate) bitrate_index: u32,
    /// Whether the frame is one byte longer.
    pub(crate) padding: bool,
    /// Whether the channels are the middle and the side rather than left and right.
    pub(crate) mid_side: bool,
    /// Whether the second granule of a channel takes over the scalefactors of the first one, in four groups of bands;
    /// MPEG-1 only.
    pub(crate) scfsi: [[bool; 4]; 2],
    /// Bytes of earlier frames at which the main data begins.
    pub(crate) main_data_begin: u32,
    /// `[granule][channel]`.
    pub(crate) granules: [[GranuleInfo; 2]; 2],
}

impl FrameInfo {
    /// Writes the four bytes of the header and the side information.
    pub(crate) fn write(&self, format: &Format, out: &mut impl BitSink) {
        self.write_header(format, out);
        self.write_side_info(format, out);
    }

    fn write_header(&self, format: &Format, out: &mut impl BitSink) {
        out.put(0x7FF, 11); // syncword
        out.put(
            match format.version {
                Version::Mpeg1 => 0b11,
                Version::Mpeg2 => 0b10,
                Version::Mpeg25 => 0b00,
            },
            2,
        );
        out.put(0b01, 2); // Layer III
        out.put(1, 1); // protection_bit: no CRC
        out.put(self.bitrate_index, 4);
        out.put(format.sampling_frequency, 2);
        out.put(u32::from(self.padding), 1);
        out.put(0, 1); // private_bit
        out.put(if format.channels == 1 { 0b11 } else { 0b01 }, 2); // mode: joint stereo
        out.put(if self.mid_side { 0b10 } else { 0b00 }, 2); // mode_extension: no intensity stereo
        out.put(0, 1); // copyright
        out.put(1, 1); // original
        out.put(0, 2); // emphasis
    }

    fn write_side_info(&self, format: &Format, out: &mut impl BitSink) {
        if format.version == Version::Mpeg1 {
            out.put(self.main_data_begin, 9);
            out.put(0, if format.channels == 1 { 5 } else { 3 }); // private_bits
            for group in self.scfsi[..format.channels].iter().flatten() {
                out.put(u32::from(*group), 1);
            }
        } else {
            out.put(self.main_data_begin, 8);
            out.put(0, format.channels as u32); // private_bits
        }
        for channels in &self.granules[..format.granules()] {
            for granule in &channels[..format.channels] {
                granule.write(format.version, out);
            }
        }
    }
}

impl GranuleInfo {
    fn write(&self, version: Version, out: &mut impl BitSink) {
        out.put(self.part2_3_length, 12);
        out.put(self.big_values, 9);
        out.put(self.global_gain, 8);
        out.put(self.scalefac_compress, if version == Version::Mpeg1 { 4 } else { 9 });
        out.put(u32::from(self.block_type != BlockType::Long), 1); // window_switching_flag
        if self.block_type == BlockType::Long {
            for table in self.table_select {
                out.put(table, 5);
            }
            out.put(self.region0_count, 4);
            out.put(self.region1_count, 3);
        } else {
            out.put(self.block_type as u32, 2);
            out.put(0, 1); // mixed_block_flag
            for table in &self.table_select[..2] {
                out.put(*table, 5);
            }
            for gain in self.subblock_gain {
                out.put(gain, 3);
            }
        }
        if version == Version::Mpeg1 {
            out.put(u32::from(self.preflag), 1);
        }
        out.put(u32::from(self.scalefac_scale), 1);
        out.put(self.count1table_select, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitCounter, BitWriter};

    #[test]
    fn lengths_are_those_of_the_standard() {
        for sample_rate in crate::tables::SAMPLE_RATES {
            for channels in 1..=2 {
                let format = Format::new(sample_rate, channels).unwrap();
                for block_type in BlockType::ALL {
                    let granule = GranuleInfo { block_type, ..GranuleInfo::default() };
                    let mut counter = BitCounter::new();
                    FrameInfo { granules: [[granule; 2]; 2], ..FrameInfo::default() }
                        .write(&format, &mut counter);
                    assert_eq!(counter.bits(), 8 * (4 + format.side_info_len() as u64));
                }
            }
        }
    }

    #[test]
    fn header_of_128_kbit_stereo() {
        let format = Format::new(44100, 2).unwrap();
        let mut writer = BitWriter::new();
        FrameInfo { bitrate_index: 9, padding: true, ..FrameInfo::default() }
            .write_header(&format, &mut writer);
        assert_eq!(writer.into_bytes(), [0xFF, 0xFB, 0x92, 0x44]);
    }
}
