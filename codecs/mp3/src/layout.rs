//! How the lines of a granule fall into scalefactor bands, in the order in which they are coded.

use crate::config::Version;
use crate::kernels::LANES;
use crate::psycho;
use crate::scalefactor::SCFSI_GROUPS;
use crate::tables::{
    LINES, LONG_BAND_LIMITS, LONG_BANDS, PRETAB, SAMPLE_RATES, SHORT_BAND_LIMITS, SHORT_BANDS, WINDOWS,
};

/// The most bands that a granule has: those of the three windows of a short block.
pub(crate) const MAX_BANDS: usize = SHORT_BANDS * WINDOWS;
/// The most scalefactors that a granule has.
pub(crate) const MAX_FACTORS: usize = (SHORT_BANDS - 1) * WINDOWS;

/// The most lines that a band has, filled up to a multiple of [`LANES`].
pub(crate) const MAX_WIDTH: usize = 192;
/// Lines of a granule where each band is filled up to a multiple of [`LANES`].
pub(crate) const PADDED_LINES: usize = LINES + MAX_BANDS * (LANES - 2);

/// Bands of long or of short blocks. Short blocks are coded band by band, in each the lines of the first window, then
/// those of the second and the third (11172-3, 2.4.3.4.8); each of these counts as a band here.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// First line of each band and, behind the last, the end; the rest is [`LINES`] too.
    limits: [usize; MAX_BANDS + 1],
    /// The same where each band is filled up to a multiple of [`LANES`].
    padded: [usize; MAX_BANDS + 1],
    /// Number of bands.
    pub(crate) bands: usize,
    /// Number of bands that have a scalefactor; those without are the last ones.
    pub(crate) factors: usize,
    /// The largest scalefactor of each band; 0 for bands that have none.
    pub(crate) largest_factors: [u32; MAX_BANDS],
    /// Windows of which a band is coded: 1 or 3.
    pub(crate) windows: usize,
    /// Bands of the first region where window switching fixes it (11172-3, 2.4.2.7).
    pub(crate) first_region: usize,
    /// What noise in a band weighs: the width of the band in thirds of a Bark.
    pub(crate) weights: [f32; MAX_BANDS],
    /// Energy that cannot be heard in quiet in a band, in squared lines.
    pub(crate) quiet: [f32; MAX_BANDS],
}

impl Layout {
    /// Bands of long blocks at the sampling rate in row `row` of the tables.
    pub(crate) fn long(row: usize) -> Self {
        let mut limits = [LINES; MAX_BANDS + 1];
        limits[..=LONG_BANDS].copy_from_slice(&LONG_BAND_LIMITS[row]);
        let (weights, quiet) = hearing(row, &LONG_BAND_LIMITS[row], 1);
        Self {
            limits,
            padded: padded(&limits),
            bands: LONG_BANDS,
            factors: LONG_BANDS - 1,
            largest_factors: largest_factors(11, LONG_BANDS - 1),
            windows: 1,
            first_region: 8,
            weights,
            quiet,
        }
    }

    /// Bands of short blocks, likewise.
    pub(crate) fn short(row: usize) -> Self {
        let mut limits = [LINES; MAX_BANDS + 1];
        for (band, pair) in SHORT_BAND_LIMITS[row].windows(2).enumerate() {
            for window in 0..WINDOWS {
                limits[band * WINDOWS + window] = pair[0] * WINDOWS + window * (pair[1] - pair[0]);
            }
        }
        let (weights, quiet) = hearing(row, &SHORT_BAND_LIMITS[row], WINDOWS);
        Self {
            limits,
            padded: padded(&limits),
            bands: MAX_BANDS,
            factors: MAX_FACTORS,
            largest_factors: largest_factors(18, MAX_FACTORS),
            windows: WINDOWS,
            first_region: 9,
            weights,
            quiet,
        }
    }

    /// Lines of a band.
    pub(crate) fn lines(&self, band: usize) -> std::ops::Range<usize> {
        self.limits[band]..self.limits[band + 1]
    }

    /// Places of a band among lines where each band is filled up to a multiple of [`LANES`].
    pub(crate) fn padded(&self, band: usize) -> std::ops::Range<usize> {
        self.padded[band]..self.padded[band + 1]
    }

    /// Bands whose scalefactors have the same number of bits: the four parts of MPEG-2, of which two each have the same
    /// length in MPEG-1, and of long blocks the groups of `scfsi`.
    pub(crate) fn factor_groups(&self) -> [std::ops::Range<usize>; 4] {
        if self.windows == 1 { SCFSI_GROUPS } else { [0..9, 9..18, 18..27, 27..36] }
    }

    /// First line of a band, or the end of the spectrum.
    pub(crate) fn first_line(&self, band: usize) -> usize {
        self.limits[band]
    }

    /// What `preflag` adds to the scalefactor of a band; nothing in short blocks.
    pub(crate) fn pretab(&self, band: usize) -> u32 {
        if self.windows == 1 { PRETAB[band] } else { 0 }
    }

    /// Where the line `line` (0 to 17) of window-wise transformed subbands goes: `[subband * 18 + window * 6 + i]`.
    pub(crate) fn short_order(row: usize) -> [usize; LINES] {
        let limits = &SHORT_BAND_LIMITS[row];
        std::array::from_fn(|from| {
            let (subband, window, i) = (from / 18, from % 18 / 6, from % 6);
            let line = subband * 6 + i;
            let band = limits.iter().rposition(|&first| first <= line).unwrap_or(0);
            let width = limits[band + 1] - limits[band];
            limits[band] * WINDOWS + window * width + line - limits[band]
        })
    }

    /// Bands that each of the parts of the scalefactors has in MPEG-1 and, in two ways, in MPEG-2 (11172-3, 2.4.2.7;
    /// 13818-3, 2.4.3.2).
    pub(crate) fn factor_parts(&self, version: Version) -> [[usize; 4]; 2] {
        match (version, self.windows) {
            (Version::Mpeg1, 1) => [[11, 10, 0, 0]; 2],
            (Version::Mpeg1, _) => [[18, 18, 0, 0]; 2],
            (_, 1) => [[6, 5, 5, 5], [6, 5, 7, 3]],
            _ => [[9, 9, 9, 9], [9, 9, 12, 6]],
        }
    }
}

/// [`Layout::largest_factors`] where the first `long` of `factors` scalefactors have up to four bits, the others three.
fn largest_factors(long: usize, factors: usize) -> [u32; MAX_BANDS] {
    let mut largest = [0; MAX_BANDS];
    largest[..long].fill(15);
    largest[long..factors].fill(7);
    largest
}

/// Bands that begin at `limits`, each of them filled up.
fn padded(limits: &[usize; MAX_BANDS + 1]) -> [usize; MAX_BANDS + 1] {
    let mut padded = [0; MAX_BANDS + 1];
    for band in 0..MAX_BANDS {
        padded[band + 1] = padded[band] + (limits[band + 1] - limits[band]).next_multiple_of(LANES);
    }
    padded
}

/// [`Layout::weights`] and [`Layout::quiet`] of bands that begin at `limits`, each of them coded for `windows` windows.
fn hearing(row: usize, limits: &[usize], windows: usize) -> ([f32; MAX_BANDS], [f32; MAX_BANDS]) {
    let (mut weights, mut quiet) = ([0.0; MAX_BANDS], [0.0; MAX_BANDS]);
    let hertz_per_line = f64::from(SAMPLE_RATES[row]) / 2.0 / limits[limits.len() - 1] as f64;
    for (band, pair) in limits.windows(2).enumerate() {
        let [low, high] = [pair[0], pair[1]].map(|line| psycho::bark(line as f64 * hertz_per_line));
        let least = (pair[0]..pair[1])
            .map(|line| psycho::energy_in_quiet((line as f64 + 0.5) * hertz_per_line))
            .fold(1.0, f64::min);
        for window in 0..windows {
            weights[band * windows + window] = (3.0 * (high - low)) as f32;
            quiet[band * windows + window] = least as f32;
        }
    }
    (weights, quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_the_lines_once() {
        for row in 0..9 {
            for layout in [Layout::long(row), Layout::short(row)] {
                let all: Vec<usize> = (0..layout.bands).flat_map(|band| layout.lines(band)).collect();
                assert_eq!(all, (0..LINES).collect::<Vec<_>>());
                assert!((0..layout.bands).all(|band| layout.lines(band).len() % 2 == 0));
                assert!((0..layout.bands).all(|band| layout.padded(band).len() <= MAX_WIDTH));
                assert!(layout.padded(layout.bands - 1).end <= PADDED_LINES);
                for version in [Version::Mpeg1, Version::Mpeg2] {
                    for parts in layout.factor_parts(version) {
                        assert_eq!(parts.iter().sum::<usize>(), layout.factors);
                    }
                }
            }
        }
    }

    #[test]
    fn short_blocks_are_a_permutation_that_keeps_windows_apart() {
        for row in 0..9 {
            let order = Layout::short_order(row);
            let mut seen = order;
            seen.sort_unstable();
            assert!(seen.iter().enumerate().all(|(i, &line)| i == line));
            let layout = Layout::short(row);
            for (from, &to) in order.iter().enumerate() {
                let band = (0..layout.bands).find(|&band| layout.lines(band).contains(&to)).unwrap();
                assert_eq!(band % WINDOWS, from % 18 / 6);
            }
        }
    }
}
