//! How scalefactors are coded: `scalefac_compress` and the bits it stands for (11172-3, 2.4.2.7; 13818-3, 2.4.3.2).

use crate::config::Version;
use crate::tables::{PRETAB, SCALEFACTOR_LENGTHS};
use oggflv_common::BitSink;

/// Scalefactor bands of a long block that have a scalefactor.
pub(crate) const SCALEFACTORS: usize = 21;

/// The largest scalefactor that every format can code, by band.
pub(crate) const LIMITS: [u32; SCALEFACTORS] =
    [15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];

/// Scalefactors of a granule as they are written, and the syntax elements that go with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scalefactors {
    /// Without what `preflag` adds.
    pub(crate) values: [u32; SCALEFACTORS],
    pub(crate) preflag: bool,
    pub(crate) scalefac_compress: u32,
    /// Numbers of bands and of bits of each, in the order of the bitstream.
    parts: [(usize, u32); 4],
}

impl Scalefactors {
    /// The cheapest coding of `values`, none above its entry of [`LIMITS`].
    pub(crate) fn choose(version: Version, values: [u32; SCALEFACTORS]) -> Self {
        let plain = Self { values, ..Self::default() };
        let with_pretab = (0..SCALEFACTORS).all(|band| values[band] >= PRETAB[band]).then(|| Self {
            values: std::array::from_fn(|band| values[band] - PRETAB[band]),
            preflag: true,
            ..Self::default()
        });
        let mut best: Option<Self> = None;
        let mut consider = |candidate: Self| {
            if candidate.fits() && best.is_none_or(|best| candidate.bits() < best.bits()) {
                best = Some(candidate);
            }
        };
        if version == Version::Mpeg1 {
            for (scalefac_compress, (slen1, slen2)) in (0..).zip(SCALEFACTOR_LENGTHS) {
                let parts = [(11, slen1), (10, slen2), (0, 0), (0, 0)];
                for candidate in [Some(plain), with_pretab].into_iter().flatten() {
                    consider(Self { scalefac_compress, parts, ..candidate });
                }
            }
        } else {
            consider(
                plain.with_lengths([6, 5, 5, 5], [4, 4, 3, 3], |l| {
                    ((l[0] * 5 + l[1]) << 4) + (l[2] << 2) + l[3]
                }),
            );
            consider(
                plain.with_lengths([6, 5, 7, 3], [4, 4, 3, 0], |l| 400 + ((l[0] * 5 + l[1]) << 2) + l[2]),
            );
            if let Some(with_pretab) = with_pretab {
                consider(with_pretab.with_lengths([11, 10, 0, 0], [3, 2, 0, 0], |l| 500 + l[0] * 3 + l[1]));
            }
        }
        best.unwrap_or(plain)
    }

    /// The shortest lengths, none above `longest`, for the parts of a format, and the `scalefac_compress` they have.
    fn with_lengths(self, bands: [usize; 4], longest: [u32; 4], compress: impl Fn([u32; 4]) -> u32) -> Self {
        let mut first = 0;
        let lengths = std::array::from_fn(|part| {
            let values = &self.values[first..first + bands[part]];
            first += bands[part];
            let largest = values.iter().copied().max().unwrap_or(0);
            (u32::BITS - largest.leading_zeros()).min(longest[part])
        });
        Self {
            parts: std::array::from_fn(|part| (bands[part], lengths[part])),
            scalefac_compress: compress(lengths),
            ..self
        }
    }

    /// Each value beside the number of bits it gets.
    fn coded(&self) -> impl Iterator<Item = (u32, u32)> {
        let lengths = self.parts.into_iter().flat_map(|(bands, length)| std::iter::repeat_n(length, bands));
        self.values.into_iter().zip(lengths)
    }

    fn fits(&self) -> bool {
        self.coded().all(|(value, length)| value >> length == 0)
    }

    /// Bits of all scalefactors.
    pub(crate) fn bits(&self) -> u32 {
        self.parts.iter().map(|&(bands, length)| bands as u32 * length).sum()
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
    fn lengths_of_mpeg2(compress: u32) -> (Vec<u32>, bool) {
        let (bands, lengths, preflag) = match compress {
            0..400 => {
                let high = compress >> 4;
                ([6, 5, 5, 5], [high / 5, high % 5, (compress % 16) >> 2, compress % 4], false)
            }
            400..500 => {
                let high = (compress - 400) >> 2;
                ([6, 5, 7, 3], [high / 5, high % 5, (compress - 400) % 4, 0], false)
            }
            _ => ([11, 10, 0, 0], [(compress - 500) / 3, (compress - 500) % 3, 0, 0], true),
        };
        let lengths =
            bands.into_iter().zip(lengths).flat_map(|(bands, length)| vec![length; bands]).collect();
        (lengths, preflag)
    }

    fn examples() -> impl Iterator<Item = [u32; SCALEFACTORS]> {
        (0..200u32).map(|seed| {
            std::array::from_fn(|band| {
                let value = seed.wrapping_mul(2_654_435_761).rotate_left(band as u32 * 5) % (seed % 16 + 1);
                (value + if seed % 3 == 0 { PRETAB[band] } else { 0 }).min(LIMITS[band])
            })
        })
    }

    #[test]
    fn written_values_read_back_in_every_version() {
        for version in [Version::Mpeg1, Version::Mpeg2, Version::Mpeg25] {
            for values in examples() {
                let coded = Scalefactors::choose(version, values);
                let (lengths, preflag) = if version == Version::Mpeg1 {
                    let (slen1, slen2) = SCALEFACTOR_LENGTHS[coded.scalefac_compress as usize];
                    ([vec![slen1; 11], vec![slen2; 10]].concat(), coded.preflag)
                } else {
                    lengths_of_mpeg2(coded.scalefac_compress)
                };
                assert_eq!(preflag, coded.preflag);
                let mut writer = BitWriter::new();
                coded.write(&mut writer);
                assert_eq!(writer.bits(), u64::from(coded.bits()));
                let bytes = writer.into_bytes();
                let mut reader = BitReader::new(&bytes);
                for band in 0..SCALEFACTORS {
                    let value = reader.read(lengths[band]) + if preflag { PRETAB[band] } else { 0 };
                    assert_eq!(value, values[band], "band {band} of {values:?}");
                }
            }
        }
    }

    #[test]
    fn pretab_is_used_where_it_saves_bits() {
        let values = std::array::from_fn(|band| PRETAB[band]);
        for version in [Version::Mpeg1, Version::Mpeg2] {
            let coded = Scalefactors::choose(version, values);
            assert!(coded.preflag && coded.bits() == 0);
        }
    }
}
