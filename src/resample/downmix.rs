//! ITU-R BS.775, annex 4: down-mixing to two channels.

use super::Error;

/// -3 dB, which the recommendation prints as 0.7071.
const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Weights of one source channel in the left and in the right channel.
type Weights = (f32, f32);

const LEFT: Weights = (1.0, 0.0);
const RIGHT: Weights = (0.0, 1.0);
const CENTRE: Weights = (MINUS_3_DB, MINUS_3_DB);
const LFE: Weights = (0.0, 0.0);
const SURROUND_LEFT: Weights = (MINUS_3_DB, 0.0);
const SURROUND_RIGHT: Weights = (0.0, MINUS_3_DB);
/// Half its power to each surround channel, and these as above.
const REAR_CENTRE: Weights = (MINUS_3_DB * MINUS_3_DB, MINUS_3_DB * MINUS_3_DB);

/// The layouts of three channels and more, in the order of [`Pcm`](crate::vorbis::Pcm).
const LAYOUTS: [&[Weights]; 6] = [
    &[LEFT, RIGHT, CENTRE],
    &[LEFT, RIGHT, SURROUND_LEFT, SURROUND_RIGHT],
    &[LEFT, RIGHT, CENTRE, SURROUND_LEFT, SURROUND_RIGHT],
    &[LEFT, RIGHT, CENTRE, LFE, SURROUND_LEFT, SURROUND_RIGHT],
    &[LEFT, RIGHT, CENTRE, LFE, REAR_CENTRE, SURROUND_LEFT, SURROUND_RIGHT],
    &[LEFT, RIGHT, CENTRE, LFE, SURROUND_LEFT, SURROUND_RIGHT, SURROUND_LEFT, SURROUND_RIGHT],
];

/// Most channels.
const MAX_CHANNELS: usize = LAYOUTS.len() + 2;

/// Brings 1 to 8 channels to 1 or 2: mono and stereo stay as they are, more become stereo.
///
/// Centre and surround channels go in at -3 dB, the LFE channel is left out. All weights are then scaled
/// by the same factor so that those of one output channel sum up to 1: what does not exceed full scale
/// before does not after.
pub struct Downmix {
    channels: usize,
    /// One entry a source channel; empty where nothing is to be mixed.
    weights: Vec<Weights>,
}

impl Downmix {
    /// A downmix of `channels` channels, in the order of [`Pcm`](crate::vorbis::Pcm).
    ///
    /// # Errors
    /// [`Error::Channels`] if there are none or more than 8.
    pub fn new(channels: usize) -> Result<Self, Error> {
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Error::Channels { channels, limit: MAX_CHANNELS });
        }
        let layout = if channels > 2 { LAYOUTS[channels - 3] } else { &[] };
        // Left and right mirror each other, so their sums are equal.
        let sum: f32 = layout.iter().map(|&(left, _)| left).sum();
        let weights = layout.iter().map(|&(left, right)| (left / sum, right / sum)).collect();
        Ok(Self { channels, weights })
    }

    /// Number of channels that come out: 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels.min(2)
    }

    /// Mixes a block of planar samples, of equal length in all channels.
    ///
    /// # Panics
    /// If the block has another number of channels than was announced.
    pub fn apply(&self, pcm: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        assert_eq!(pcm.len(), self.channels, "channels of a block");
        if self.weights.is_empty() {
            return pcm;
        }
        let mut mixed = vec![vec![0.0; pcm[0].len()]; 2];
        for (source, &(left, right)) in pcm.iter().zip(&self.weights) {
            for (out, weight) in mixed.iter_mut().zip([left, right]) {
                if weight != 0.0 {
                    for (out, sample) in out.iter_mut().zip(source) {
                        *out += weight * sample;
                    }
                }
            }
        }
        mixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a full-scale sample in the source channel `channel` alone gives.
    fn response(channels: usize, channel: usize) -> [f32; 2] {
        let mut pcm = vec![vec![0.0]; channels];
        pcm[channel][0] = 1.0;
        let mixed = Downmix::new(channels).unwrap().apply(pcm);
        [mixed[0][0], mixed[1][0]]
    }

    #[test]
    fn mono_and_stereo_stay() {
        for channels in 1..=2 {
            let pcm: Vec<_> = (0..channels).map(|c| vec![0.25 * (c + 1) as f32, -1.5]).collect();
            let downmix = Downmix::new(channels).unwrap();
            assert_eq!(downmix.channels(), channels);
            assert_eq!(downmix.apply(pcm.clone()), pcm);
        }
    }

    #[test]
    fn six_channels_by_the_recommendation() {
        let db = |ratio: f32| 20.0 * ratio.log10();
        let [left, none] = response(6, 0);
        assert!((left - 1.0 / 2.414_213_6).abs() < 1e-6 && none == 0.0);
        assert_eq!(response(6, 1), [0.0, left]);
        let [centre, same] = response(6, 2);
        assert!((db(centre / left) + 3.01).abs() < 0.01 && centre == same);
        assert_eq!(response(6, 3), [0.0, 0.0]);
        assert_eq!(response(6, 4), [centre, 0.0]);
        assert_eq!(response(6, 5), [0.0, centre]);
    }

    #[test]
    fn each_side_stays_on_its_side() {
        for (channels, left, right) in [(4, 2, 3), (5, 3, 4), (6, 4, 5), (7, 5, 6), (8, 4, 5), (8, 6, 7)] {
            let [l, r] = response(channels, left);
            assert!(l > 0.0 && r == 0.0, "{channels}");
            assert_eq!(response(channels, right), [0.0, l], "{channels}");
        }
        let [l, r] = response(7, 4);
        assert!(l == r && l > 0.0);
    }

    #[test]
    fn full_scale_everywhere_does_not_clip_nor_waste() {
        for channels in 3..=8 {
            for sign in [1.0, -1.0] {
                let mixed = Downmix::new(channels).unwrap().apply(vec![vec![sign]; channels]);
                for out in mixed.concat() {
                    assert!(out.abs() <= 1.0 + 2.0 * f32::EPSILON, "{channels}: {out}");
                    assert!(out.abs() > 0.9999, "{channels}: {out}");
                }
            }
        }
    }

    #[test]
    fn refuses_what_has_no_layout() {
        assert!(Downmix::new(0).is_err());
        assert!(Downmix::new(9).is_err());
    }
}
