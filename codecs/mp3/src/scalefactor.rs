//! How scalefactors are coded: `scalefac_compress` and the bits it stands for (11172-3, 2.4.2.7; 13818-3, 2.4.3.2).

use crate::config::Version;
use crate::layout::{Layout, MAX_FACTORS};
use crate::tables::SCALEFACTOR_LENGTHS;
use oggflv_common::BitSink;

/// Groups of bands of a long block whose scalefactors the second granule can take over together (11172-3, 2.4.2.7).
pub(crate) const SCFSI_GROUPS: [std::ops::Range<usize>; 4] = [0..6, 6..11, 11..16, 16..21];

/// Scalefactors by band; zero behind the last one.
pub(crate) type Factors = [u32; MAX_FACTORS];

/// Scalefactors of a granule as they are written, and the syntax elements that go with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalefactors {
    /// Without what `preflag` adds.
    pub(crate) values: Factors,
    pub(crate) preflag: bool,
    pub(crate) scalefac_compress: u32,
    /// Numbers of bands and of bits of each, in the order of the bitstream.
    parts: [(usize, u32); 4],
    /// Groups that are not written, as those of the granule before are the same.
    pub(crate) scfsi: [bool; 4],
}

impl Scalefactors {
    /// The cheapest coding of `values`, none above the largest one of its band. `before` are the scalefactors of the
    /// first granule of the frame, if they may be taken over.
    pub(crate) fn choose(version: Version, layout: &Layout, values: Factors, before: Option<&Self>) -> Self {
        let parts = layout.factor_parts(version);
        let plain =
            Self { values, preflag: false, scalefac_compress: 0, parts: [(0, 0); 4], scfsi: [false; 4] }
                .sharing(before);
        let above =
            layout.windows == 1 && (0..layout.factors).all(|band| values[band] >= layout.pretab(band));
        let with_pretab = above.then(|| {
            let mut reduced = values;
            for (band, value) in reduced[..layout.factors].iter_mut().enumerate() {
                *value -= layout.pretab(band);
            }
            Self { values: reduced, preflag: true, ..plain }.sharing(before)
        });
        let mut best: Option<(u32, Self)> = None;
        let mut consider = |candidate: Self| {
            if candidate.fits() {
                let bits = candidate.bits();
                if best.is_none_or(|(least, _)| bits < least) {
                    best = Some((bits, candidate));
                }
            }
        };
        if version == Version::Mpeg1 {
            for candidate in [Some(plain), with_pretab].into_iter().flatten() {
                let [low, high] =
                    [0..parts[0][0], parts[0][0]..layout.factors].map(|part| candidate.length(part));
                let written = |bands: std::ops::Range<usize>| {
                    bands.filter(|&band| candidate.is_written(band)).count() as u32
                };
                let counts = [written(0..parts[0][0]), written(parts[0][0]..layout.factors)];
                let shortest = (0..)
                    .zip(SCALEFACTOR_LENGTHS)
                    .filter(|&(_, (slen1, slen2))| slen1 >= low && slen2 >= high)
                    .min_by_key(|&(_, (slen1, slen2))| slen1 * counts[0] + slen2 * counts[1]);
                if let Some((scalefac_compress, (slen1, slen2))) = shortest {
                    let parts = [(parts[0][0], slen1), (parts[0][1], slen2), (0, 0), (0, 0)];
                    consider(Self { scalefac_compress, parts, ..candidate });
                }
            }
        } else {
            consider(
                plain.with_lengths(parts[0], [4, 4, 3, 3], |l| ((l[0] * 5 + l[1]) << 4) + (l[2] << 2) + l[3]),
            );
            consider(plain.with_lengths(parts[1], [4, 4, 3, 0], |l| 400 + ((l[0] * 5 + l[1]) << 2) + l[2]));
            if let Some(with_pretab) = with_pretab {
                consider(with_pretab.with_lengths([11, 10, 0, 0], [3, 2, 0, 0], |l| 500 + l[0] * 3 + l[1]));
            }
        }
        best.map_or(plain, |(_, best)| best)
    }

    /// The scalefactor of a band with what `preflag` adds.
    pub(crate) fn effective(&self, layout: &Layout, band: usize) -> u32 {
        self.values[band] + if self.preflag { layout.pretab(band) } else { 0 }
    }

    /// Marks the groups that are the same in `before`.
    fn sharing(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.scfsi = SCFSI_GROUPS.map(|group| self.values[group.clone()] == before.values[group]);
        }
        self
    }

    /// Whether the value of a band is written.
    fn is_written(&self, band: usize) -> bool {
        !SCFSI_GROUPS.iter().zip(self.scfsi).any(|(group, shared)| shared && group.contains(&band))
    }

    /// Bits that the largest written value of some bands needs.
    fn length(&self, bands: std::ops::Range<usize>) -> u32 {
        let largest =
            bands.filter(|&band| self.is_written(band)).map(|band| self.values[band]).max().unwrap_or(0);
        u32::BITS - largest.leading_zeros()
    }

    /// The shortest lengths, none above `longest`, for the parts of a format, and the `scalefac_compress` they have.
    fn with_lengths(self, bands: [usize; 4], longest: [u32; 4], compress: impl Fn([u32; 4]) -> u32) -> Self {
        let mut first = 0;
        let lengths = std::array::from_fn(|part| {
            first += bands[part];
            self.length(first - bands[part]..first).min(longest[part])
        });
        Self {
            parts: std::array::from_fn(|part| (bands[part], lengths[part])),
            scalefac_compress: compress(lengths),
            ..self
        }
    }

    /// Each written value beside the number of bits it gets.
    fn coded(&self) -> impl Iterator<Item = (u32, u32)> {
        let lengths = self.parts.into_iter().flat_map(|(bands, length)| std::iter::repeat_n(length, bands));
        let coded = self.values.into_iter().zip(lengths).enumerate();
        coded.filter(|&(band, _)| self.is_written(band)).map(|(_, coded)| coded)
    }

    fn fits(&self) -> bool {
        self.coded().all(|(value, length)| value >> length == 0)
    }

    /// Bits of all scalefactors.
    pub(crate) fn bits(&self) -> u32 {
        self.coded().map(|(_, length)| length).sum()
    }

    pub(crate) fn write(&self, out: &mut impl BitSink) {
        for (value, length) in self.coded() {
            out.put(value, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitReader, BitWriter};

    /// Lengths by band as 13818-3, 2.4.3.2 derives them from `scalefac_compress`, and whether preflag is set.
    fn lengths_of_mpeg2(compress: u32, short: bool) -> (Vec<u32>, bool) {
        let (bands, lengths, preflag) = match compress {
            0..400 => {
                let high = compress >> 4;
                let bands = if short { [9; 4] } else { [6, 5, 5, 5] };
                (bands, [high / 5, high % 5, (compress % 16) >> 2, compress % 4], false)
            }
            400..500 => {
                let high = (compress - 400) >> 2;
                let bands = if short { [9, 9, 12, 6] } else { [6, 5, 7, 3] };
                (bands, [high / 5, high % 5, (compress - 400) % 4, 0], false)
            }
            _ => ([11, 10, 0, 0], [(compress - 500) / 3, (compress - 500) % 3, 0, 0], true),
        };
        let lengths =
            bands.into_iter().zip(lengths).flat_map(|(bands, length)| vec![length; bands]).collect();
        (lengths, preflag)
    }

    fn examples(layout: &Layout) -> Vec<Factors> {
        (0..200u32)
            .map(|seed| {
                let mut values = [0; MAX_FACTORS];
                for band in 0..layout.factors {
                    let value =
                        seed.wrapping_mul(2_654_435_761).rotate_left(band as u32 * 5) % (seed % 16 + 1);
                    let pretab = if seed % 3 == 0 { layout.pretab(band) } else { 0 };
                    values[band] = (value + pretab).min(layout.largest_factors[band]);
                }
                values
            })
            .collect()
    }

    #[test]
    fn written_values_read_back_in_every_version() {
        for (version, layout) in [Version::Mpeg1, Version::Mpeg2, Version::Mpeg25]
            .into_iter()
            .flat_map(|version| [Layout::long(0), Layout::short(0)].map(|layout| (version, layout)))
        {
            for values in examples(&layout) {
                let coded = Scalefactors::choose(version, &layout, values, None);
                let (lengths, preflag) = if version == Version::Mpeg1 {
                    let (slen1, slen2) = SCALEFACTOR_LENGTHS[coded.scalefac_compress as usize];
                    let parts = if layout.windows == 1 { (11, 10) } else { (18, 18) };
                    ([vec![slen1; parts.0], vec![slen2; parts.1]].concat(), coded.preflag)
                } else {
                    lengths_of_mpeg2(coded.scalefac_compress, layout.windows == 3)
                };
                assert_eq!(preflag, coded.preflag);
                let mut writer = BitWriter::new();
                coded.write(&mut writer);
                assert_eq!(writer.bits(), u64::from(coded.bits()));
                let bytes = writer.into_bytes();
                let mut reader = BitReader::new(&bytes);
                for band in 0..layout.factors {
                    let value = reader.read(lengths[band]) + if preflag { layout.pretab(band) } else { 0 };
                    assert_eq!(value, values[band], "band {band} of {values:?}");
                }
            }
        }
    }

    #[test]
    fn groups_that_are_the_same_are_not_written_again() {
        let layout = Layout::long(0);
        let mut values = [0; MAX_FACTORS];
        values[..21].copy_from_slice(&[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 3, 2, 3, 1, 4, 6, 2, 6, 4, 3]);
        let first = Scalefactors::choose(Version::Mpeg1, &layout, values, None);
        let same = Scalefactors::choose(Version::Mpeg1, &layout, values, Some(&first));
        assert_eq!((same.scfsi, same.bits()), ([true; 4], 0));
        values[7] = 0;
        let other = Scalefactors::choose(Version::Mpeg1, &layout, values, Some(&first));
        assert_eq!(other.scfsi, [true, false, true, true]);
        let mut writer = BitWriter::new();
        other.write(&mut writer);
        assert_eq!(writer.bits(), 5 * 3);
    }

    #[test]
    fn pretab_is_used_where_it_saves_bits() {
        let layout = Layout::long(0);
        let mut values = [0; MAX_FACTORS];
        (0..21).for_each(|band| values[band] = layout.pretab(band));
        for version in [Version::Mpeg1, Version::Mpeg2] {
            let coded = Scalefactors::choose(version, &layout, values, None);
            assert!(coded.preflag && coded.bits() == 0);
        }
    }
}
