//! Where a sound sets in so suddenly that the noise of a long block would be heard before it (pre-echo), and the block
//! types that follow (11172-3, C.1.5.3.2 and figure C.7).

use crate::header::BlockType;
use crate::tables::LINES;

/// Samples whose energies are compared.
const PIECE: usize = 64;
/// Pieces that an attack must stand out from.
const BEFORE: usize = 8;
/// Samples, relative to the first one of a granule, within which an attack asks for short blocks in that granule: as
/// seen through the filterbank, most of what the three windows cover.
const FROM: isize = -577;
const TO: isize = 63;
/// Samples before the first one of a granule that [`is_sudden`] looks at, and samples behind it.
pub(crate) const LOOK_BACK: usize = (-FROM) as usize + PIECE * BEFORE + 1;
/// How much louder an attack is than the pieces before it.
const RATIO: f32 = 10.0;
/// Energy of a piece that is too faint to matter.
const FAINT: f32 = PIECE as f32 * 1e-8;

/// Whether there is an attack in the granule that begins at `pcm[start]`.
pub(crate) fn is_sudden(pcm: &[f32], start: usize) -> bool {
    let first = start - LOOK_BACK;
    let mut energies = [0f32; BEFORE + (TO - FROM) as usize / PIECE];
    for (i, energy) in energies.iter_mut().enumerate() {
        let piece = &pcm[first + i * PIECE..][..PIECE + 1];
        // The difference of neighbouring samples stresses high frequencies, where attacks stand out.
        let mut sums = [0f32; 8];
        for j in 0..PIECE {
            let difference = piece[j + 1] - piece[j];
            sums[j % 8] += difference * difference;
        }
        *energy = sums.iter().sum();
    }
    (BEFORE..energies.len()).any(|i| {
        let before: f32 = energies[i - BEFORE..i].iter().sum::<f32>() / BEFORE as f32;
        energies[i] > FAINT && energies[i] > RATIO * before
    })
}

/// The block type of a granule by that of the granule before and by whether this one and the next have attacks.
pub(crate) fn block_type(before: BlockType, sudden: bool, next_sudden: bool) -> BlockType {
    let after_short = before == BlockType::Short;
    match (sudden, after_short, next_sudden) {
        (true, ..) => BlockType::Short,
        // Between two short blocks there is no room for a long one.
        (false, true, true) => BlockType::Short,
        (false, true, false) => BlockType::Stop,
        (false, false, true) => BlockType::Start,
        (false, false, false) => BlockType::Long,
    }
}

/// Samples behind the first one of the frame's last granule that the analysis of a frame needs.
pub(crate) const LOOK_AHEAD: usize = LINES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_found_where_short_windows_are() {
        let start = 2000;
        for position in 0..4000 {
            let mut pcm: Vec<f32> = (0..4000).map(|i| 1e-3 * (i as f32 * 0.05).sin()).collect();
            pcm[position] += 0.5;
            let offset = position as isize - start as isize;
            let expected = (FROM..TO).contains(&offset);
            // A click touches two differences.
            if (FROM - 2..FROM + 2).contains(&offset) || (TO - 2..TO + 2).contains(&offset) {
                continue;
            }
            assert_eq!(is_sudden(&pcm, start), expected, "click at {offset}");
        }
    }

    #[test]
    fn steady_sounds_have_no_attacks() {
        for step in [0.01f32, 0.1, 1.0, 2.0, 3.0] {
            let sine: Vec<f32> = (0..3000).map(|i| (i as f32 * step).sin()).collect();
            assert!(!is_sudden(&sine, 2000));
        }
        let noise: Vec<f32> =
            (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        assert!(!is_sudden(&noise, 2000));
    }

    #[test]
    fn every_pair_of_neighbouring_block_types_is_legal() {
        for before in BlockType::ALL {
            for sudden in [false, true] {
                // What was announced comes true: a start block is followed by an attack, and only then.
                if (before == BlockType::Start) != sudden && before != BlockType::Short {
                    continue;
                }
                for next in [false, true] {
                    let this = block_type(before, sudden, next);
                    let short_before = matches!(before, BlockType::Start | BlockType::Short);
                    assert_eq!(short_before, matches!(this, BlockType::Short | BlockType::Stop));
                }
            }
        }
    }
}
