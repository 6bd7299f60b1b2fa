//! The picture size of H.264, by the first sequence parameter set of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15,
//! 5.2.4.1; ITU-T H.264, 7.3.2.1.1).

use oggflv_common::BitReader;

/// Profiles whose parameter sets tell the chroma format.
const HIGH_PROFILES: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];
/// A parameter set is hardly longer; what comes after does not matter.
const MAX_BYTES: usize = 4096;

/// Width and height after cropping, 1 to 65535.
pub(super) fn picture_size(configuration: &[u8]) -> Option<(u32, u32)> {
    let count = configuration.get(5)? & 31;
    let length = usize::from(u16::from_be_bytes([*configuration.get(6)?, *configuration.get(7)?]));
    let set = configuration.get(8..8 + length)?;
    if count == 0 || *set.first()? & 31 != 7 {
        return None;
    }
    let payload = unescaped(&set[1..set.len().min(MAX_BYTES)]);
    let mut bits = BitReader::new(&payload);
    let size = read(&mut bits)?;
    (!bits.is_past_end()).then_some(size)
}

/// The payload without emulation_prevention_three_byte (7.3.1).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

fn read(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    let profile_idc = bits.read(8);
    bits.skip(8 + 8); // constraint flags, level_idc
    ue(bits)?; // seq_parameter_set_id
    let mut chroma_format_idc = 1;
    let mut separate_planes = false;
    if HIGH_PROFILES.contains(&profile_idc) {
        chroma_format_idc = ue(bits)?;
        separate_planes = chroma_format_idc == 3 && bits.read_bit();
        ue(bits)?; // bit_depth_luma_minus8
        ue(bits)?; // bit_depth_chroma_minus8
        bits.skip(1); // qpprime_y_zero_transform_bypass_flag
        if bits.read_bit() {
            for list in 0..if chroma_format_idc == 3 { 12 } else { 8 } {
                if bits.read_bit() {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    ue(bits)?; // log2_max_frame_num_minus4
    match ue(bits)? {
        0 => drop(ue(bits)?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.skip(1); // delta_pic_order_always_zero_flag
            ue(bits)?; // offset_for_non_ref_pic
            ue(bits)?; // offset_for_top_to_bottom_field
            for _ in 0..ue(bits)?.min(255) {
                ue(bits)?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    ue(bits)?; // max_num_ref_frames
    bits.skip(1); // gaps_in_frame_num_value_allowed_flag
    let width = 16 * (ue(bits)?.min(u16::MAX.into()) + 1);
    let map_units = 16 * (ue(bits)?.min(u16::MAX.into()) + 1);
    let frame_mbs_only = bits.read_bit();
    if !frame_mbs_only {
        bits.skip(1); // mb_adaptive_frame_field_flag
    }
    bits.skip(1); // direct_8x8_inference_flag
    let fields = if frame_mbs_only { 1 } else { 2 };
    let height = fields * map_units;
    let mut crop = [0; 4];
    if bits.read_bit() {
        for offset in &mut crop {
            *offset = ue(bits)?.min(u16::MAX.into());
        }
    }
    // SubWidthC and SubHeightC (table 6-1).
    let (sub_width, sub_height) = match chroma_format_idc {
        1 if !separate_planes => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = crop;
    let width = width.checked_sub(sub_width * (left + right))?;
    let height = height.checked_sub(sub_height * fields * (top + bottom))?;
    let is_side = |side| (1..=u32::from(u16::MAX)).contains(&side);
    (is_side(width) && is_side(height)).then_some((width, height))
}

/// 7.3.2.1.1.1: a list ends early where a step leads to 0.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(ue(bits)?);
            // se(v), table 9-3.
            let delta = if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 };
            next = (last + delta).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// ue(v), Exp-Golomb coded (9.1); `None` if it is longer than 32 bits can be.
fn ue(bits: &mut BitReader<'_>) -> Option<u32> {
    let zeros = bits.peek(32).leading_zeros();
    if zeros > 15 {
        return None;
    }
    bits.skip(zeros);
    Some(bits.read(zeros + 1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration record around a parameter set.
    fn record(set: &[u8]) -> Vec<u8> {
        let length = (set.len() as u16).to_be_bytes();
        [&[1, 66, 0, 30, 0xFF, 0xE1][..], &length, set].concat()
    }

    /// Writes bits as text.
    fn set(profile: u8, text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().filter(|byte| matches!(byte, b'0' | b'1')).collect();
        let bytes = bits
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | (bit - b'0') << (7 - at)));
        [0x67, profile, 0, 30].into_iter().chain(bytes).collect()
    }

    #[test]
    fn sizes() {
        // id 0, frame_num 0, POC type 0 and 0, 1 reference, no gaps, 20 x 15 macroblocks, frames, inference, no crop, no VUI.
        let plain = set(66, "1 1 1 1 010 0 000010100 0001111 1 1 0 0 1");
        assert_eq!(picture_size(&record(&plain)), Some((320, 240)));
        // 120 x 68 macroblocks, cropped by 4 pairs of rows at the bottom, high profile.
        let high = set(100, "1 010 1 1 0 0 1 1 1 010 0 0000001111000 0000001000100 1 1 1 1 1 1 00101 0 1");
        assert_eq!(picture_size(&record(&high)), Some((1920, 1080)));
        // The same in fields: 34 map units, cropped by 2 pairs of rows of each.
        let fields = set(66, "1 1 1 1 010 0 0000001111000 00000100010 0 0 1 1 1 1 1 011 0 1");
        assert_eq!(picture_size(&record(&fields)), Some((1920, 1080)));
    }

    #[test]
    fn what_is_cut_off_or_wrong_has_no_size() {
        let plain = record(&set(66, "1 1 1 1 010 0 000010100 0001111 1 1 0 0 1"));
        for length in 0..plain.len() {
            assert_eq!(picture_size(&plain[..length]), None, "{length}");
        }
        assert_eq!(picture_size(&record(&[0x68, 66, 0, 30, 0xFF, 0xFF])), None);
        assert_eq!(picture_size(&record(&[0x67, 66, 0, 30, 0, 0, 0, 0])), None);
        assert_eq!(unescaped(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
    }
}
