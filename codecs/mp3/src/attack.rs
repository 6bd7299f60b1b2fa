//! Where a sound sets in so suddenly that the noise of a long block would be heard before it (pre-echo), and the block
//! types that follow (11172-3, C.1.5.3.2 and figure C.7).

use crate::header::BlockType;
use crate::kernels::LANES;
use crate::tables::LINES;

/// Samples whose energies are compared.
const PIECE: usize = 64;
/// Samples, relative to the first one of a granule, within which an attack asks for short blocks in that granule: what
/// the three windows cover, -625 to 143, and some of what the filterbank smears. Where the windows of two granules overlap,
/// both are short, as an attack in the slope of a long one would spread over all of it.
const FROM: isize = -641;
const TO: isize = 191;
/// Pieces of a granule, and those among which an attack of a granule is looked for.
const PIECES: usize = LINES / PIECE;
const TESTED: usize = (TO - FROM) as usize / PIECE;
/// Samples before the first one of a granule that a [`Detector`] looks at.
pub(crate) const LOOK_BACK: usize = (-FROM) as usize + 1 - (TESTED - PIECES) * PIECE;
/// Energy of a piece that is too faint to matter.
const FAINT: f32 = PIECE as f32 * 1e-8;
/// How much louder an attack is than what earlier sounds mask. Sounds of many attacks, such as applause, hide the noise
/// before each, and short blocks would take the bits that they need. That hurts more where bits are scarce, and short
/// blocks gain less where they last longer, at low sampling rates.
fn ratio(sample_rate: u32) -> f32 {
    12.0 * (44100.0 / sample_rate as f32).max(1.0)
}

/// Time in seconds after which a tenth of a piece's energy goes on masking.
const DECAY_TIME: f64 = 0.032;

/// The search for attacks in one channel.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    /// [`ratio`].
    ratio: f32,
    /// How much of an energy goes on masking one piece later.
    decay: f32,
    /// What the sounds before the next granule still mask, as energy of a piece.
    masked: f32,
    /// Energies of the last pieces that the granule looked at last covers; the next one covers them as well.
    last: [f32; TESTED - PIECES],
}

impl Detector {
    pub(crate) fn new(sample_rate: u32) -> Self {
        let pieces = DECAY_TIME * f64::from(sample_rate) / PIECE as f64;
        Self {
            ratio: ratio(sample_rate),
            decay: libm::exp2(-libm::log2(10.0) / pieces) as f32,
            masked: 0.0,
            last: [0.0; TESTED - PIECES],
        }
    }

    /// Whether there is an attack in the granule that begins at `pcm[start]`; the one before it was looked at last.
    pub(crate) fn is_sudden(&mut self, pcm: &[f32], start: usize) -> bool {
        let mut energies = [0.0; TESTED];
        energies[..TESTED - PIECES].copy_from_slice(&self.last);
        for (i, energy) in energies[TESTED - PIECES..].iter_mut().enumerate() {
            *energy = high_frequency_energy(&pcm[start - LOOK_BACK + i * PIECE..][..PIECE + 1]);
        }
        let mut sudden = false;
        let mut masked = self.masked;
        for (i, energy) in energies.into_iter().enumerate() {
            sudden |= energy > FAINT && energy > self.ratio * masked;
            if i == PIECES {
                self.masked = masked;
            }
            masked = energy.max(self.decay * masked);
        }
        self.last.copy_from_slice(&energies[PIECES..]);
        sudden
    }
}

/// Energy of the differences of neighbouring samples, which stresses high frequencies, where attacks stand out.
fn high_frequency_energy(piece: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for j in (0..PIECE).step_by(LANES) {
        for lane in 0..LANES {
            let difference = piece[j + lane + 1] - piece[j + lane];
            sums[lane] += difference * difference;
        }
    }
    sums.iter().sum()
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

    /// Whether there is an attack in granule `granule`, the first one beginning at sample 300.
    fn found(pcm: &[f32], granule: usize) -> bool {
        let pcm = [&[0.0; LOOK_BACK], pcm].concat();
        let mut detector = Detector::new(44100);
        (0..=granule).fold(false, |_, g| detector.is_sudden(&pcm, LOOK_BACK + 300 + g * LINES))
    }

    #[test]
    fn clicks_are_found_where_short_windows_are() {
        let start = 2 * LINES + 300;
        for position in 0..4000 {
            let mut pcm: Vec<f32> = (0..4000).map(|i| 1e-3 * (i as f32 * 0.05).sin()).collect();
            pcm[position] += 0.5;
            let offset = position as isize - start as isize;
            let expected = (FROM..TO).contains(&offset);
            // A click touches two differences.
            if (FROM - 2..FROM + 2).contains(&offset) || (TO - 2..TO + 2).contains(&offset) {
                continue;
            }
            assert_eq!(found(&pcm, 2), expected, "click at {offset}");
        }
    }

    #[test]
    fn steady_sounds_have_no_attacks() {
        for step in [0.01f32, 0.1, 1.0, 2.0, 3.0] {
            let sine: Vec<f32> = (0..3000).map(|i| (i as f32 * step).sin()).collect();
            assert!(!found(&sine, 3));
        }
        let noise: Vec<f32> =
            (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        assert!(!found(&noise, 3));
    }

    #[test]
    fn one_attack_hides_those_that_follow_soon() {
        let click = |position: usize, height: f32| {
            let mut pcm = vec![0.0; 20 * LINES];
            pcm[2 * LINES] = 0.5;
            pcm[position] += height;
            found(&pcm, position / LINES)
        };
        assert!(!click(3 * LINES, 0.5) && !click(4 * LINES, 0.5));
        assert!(click(3 * LINES, 5.0));
        assert!(click(12 * LINES, 0.5));
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
