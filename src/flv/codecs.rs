//! What the first bytes of audio and video tags say: codecs, rates, sizes (FLV specification, E.4.2 and E.4.3).

use oggflv_common::BitReader;
use oggflv_sorenson::decoder::PictureInfo;

use super::sps;

/// The name of a CodecID (FLV specification, E.4.3.1).
pub(crate) fn video_codec_name(id: u8) -> String {
    match id {
        1 => "JPEG",
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "VP6",
        5 => "VP6 with alpha",
        6 => "Screen video 2",
        7 => "H.264",
        other => return format!("codec {other}"),
    }
    .to_owned()
}

/// The name of a SoundFormat (E.4.2.1).
pub(crate) fn audio_codec_name(id: u8) -> String {
    match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        10 => "AAC",
        11 => "Speex",
        other => return format!("codec {other}"),
    }
    .to_owned()
}

/// Sample rate and channels by the first byte of an audio tag (E.4.2.1).
pub(crate) fn sound_format(format: u8) -> (u32, u32) {
    let rate = match format >> 4 {
        4 | 11 => 16_000,
        5 | 14 => 8_000,
        _ => [5_500, 11_025, 22_050, 44_100][usize::from(format >> 2 & 3)],
    };
    (rate, 1 + u32::from(format & 1))
}

/// Width and height by what follows the first byte of a video tag, where that tells; `codec` is the CodecID.
pub(crate) fn picture_size(codec: u8, data: &[u8]) -> Option<(u32, u32)> {
    match codec {
        2 => {
            let info = PictureInfo::of_header(data).ok()?;
            Some((info.width as u32, info.height as u32))
        }
        // BlockWidth, ImageWidth, BlockHeight, ImageHeight (E.4.3.2).
        3 | 6 => {
            let mut bits = BitReader::new(data);
            bits.skip(4);
            let width = bits.read(12);
            bits.skip(4);
            let size = (width, bits.read(12));
            (!bits.is_past_end()).then_some(size)
        }
        4 => vp6_size(*data.first()?, data.get(1..)?),
        // Between them OffsetToAlpha (E.4.3.3.2).
        5 => vp6_size(*data.first()?, data.get(4..)?),
        // AVCPacketType 0 and CompositionTime stand before the decoder configuration (E.4.3.2).
        7 if data.first() == Some(&0) => sps::picture_size(data.get(4..)?),
        _ => None,
    }
}

/// Width and height of a VP6 key frame: its rows and columns of macroblocks, less HorizontalAdjustment and
/// VerticalAdjustment (E.4.3.3.1).
fn vp6_size(adjustment: u8, frame: &[u8]) -> Option<(u32, u32)> {
    let (&first, &second) = (frame.first()?, frame.get(1)?);
    if first & 0x80 != 0 {
        return None;
    }
    // The simple profile, and two partitions, have the second one's offset here.
    let has_offset = first & 1 != 0 || second & 6 == 0;
    let at = if has_offset { 4 } else { 2 };
    let (rows, columns) = (u32::from(*frame.get(at)?), u32::from(*frame.get(at + 1)?));
    let size = (
        (16 * columns).checked_sub((adjustment >> 4).into())?,
        (16 * rows).checked_sub((adjustment & 15).into())?,
    );
    (size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_the_first_bytes() {
        let sorenson = [0, 0, 0x84, 0, 0x81, 0x10, 0x10, 0x28];
        for (codec, data, expected) in [
            (2, &sorenson[..5], None),
            (3, &[0x30, 0xA0, 0x30, 0x78][..], Some((160, 120))),
            (3, &[0x30, 0xA0, 0x30], None),
            (4, &[0x08, 0x20, 0x06, 23, 40, 23, 40], Some((640, 360))),
            (4, &[0x08, 0x21, 0x06, 0, 9, 23, 40, 23, 40], Some((640, 360))),
            (4, &[0x08, 0xA0, 0x06, 23, 40, 23, 40], None),
            (5, &[0, 1, 2, 3, 0x20, 0x06, 2, 1, 2, 1], Some((16, 32))),
            (4, &[0xFF, 0x20, 0x06, 0, 0, 0, 0], None),
            (7, &[1, 0, 0, 0], None),
            (7, &[], None),
        ] {
            assert_eq!(picture_size(codec, data), expected, "{codec} {data:?}");
        }
    }
}
