//! How many samples packets of sound hold, by their first bytes.

use crate::vorbis;

/// What tells the lengths of a stream's packets.
pub(super) enum Lengths {
    Unknown,
    /// All packets have the same length.
    Fixed(i64),
    Vorbis(vorbis::Durations),
    Opus,
    Flac,
}

impl Lengths {
    /// Samples a channel of the next packet, at the rate that granule positions count; 0 if it does not say.
    pub(super) fn samples(&mut self, packet: &[u8]) -> i64 {
        match self {
            Self::Unknown => 0,
            Self::Fixed(samples) => *samples,
            Self::Vorbis(durations) => durations.samples(packet),
            Self::Opus => opus_samples(packet),
            Self::Flac => flac_samples(packet).unwrap_or(0),
        }
    }
}

/// Samples at 48 kHz of an Opus packet (RFC 6716, section 3.1), 120 ms at most.
fn opus_samples(packet: &[u8]) -> i64 {
    let Some(&toc) = packet.first() else { return 0 };
    let config = toc >> 3;
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..16 => 480 << (config & 1),
        _ => 120 << (config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| i64::from(count & 63)),
    };
    (frame * frames).min(5760)
}

/// Samples of a FLAC frame, by its header (RFC 9639, section 9.1).
fn flac_samples(packet: &[u8]) -> Option<i64> {
    let &[0xff, _, codes, _, number, ..] = packet else { return None };
    // Behind the fixed part stands the frame's number, coded as in UTF-8, and then the block size if it is uncommon.
    let behind = 4 + (number.leading_ones() as usize).max(1);
    Some(match codes >> 4 {
        0 => return None,
        1 => 192,
        code @ 2..=5 => 144 << code,
        6 => i64::from(*packet.get(behind)?) + 1,
        7 => i64::from(u16::from_be_bytes([*packet.get(behind)?, *packet.get(behind + 1)?])) + 1,
        code => 1 << code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_packets() {
        // CELT 2.5 ms, SILK 60 ms, hybrid 20 ms, each once; 20 ms twice; 2.5 ms 6 times; more than fits.
        let packets: [&[u8]; 6] =
            [&[16 << 3], &[3 << 3], &[13 << 3], &[1 << 3 | 1], &[16 << 3 | 3, 6], &[27, 63]];
        assert_eq!(packets.map(opus_samples), [120, 2880, 960, 1920, 720, 5760]);
        assert_eq!((opus_samples(&[]), opus_samples(&[3])), (0, 0));
    }

    #[test]
    fn flac_frames() {
        let frame =
            |code: u8, rest: &[u8]| flac_samples(&[&[0xff, 0xf8, code << 4 | 9, 0x18][..], rest].concat());
        assert_eq!([1, 2, 5, 8, 12, 15].map(|code| frame(code, &[0])), {
            [192, 576, 4608, 256, 4096, 32768].map(Some)
        });
        assert_eq!(frame(6, &[0x7f, 99]), Some(100));
        // A number of two bytes.
        assert_eq!(frame(7, &[0xc2, 0x80, 1, 0]), Some(257));
        assert_eq!((frame(0, &[0]), frame(7, &[0, 1]), flac_samples(b"\x04abcdef")), (None, None, None));
    }
}
