//! Quantization parameters and matrices (Theora specification, 6.4.2 and 6.4.3).

use oggflv_common::BitReader;

use crate::Error;
use crate::tables::ZIG_ZAG;

/// A quantization matrix in zig-zag order. Values are 8 to 4096.
pub(crate) type Matrix = [u16; 64];

/// The set of quant ranges of one quantization type and color plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct QuantRanges {
    /// QRSIZES: sizes of the ranges; their sum is 63.
    sizes: Vec<u8>,
    /// QRBMIS: base matrix at the start of each range, and at the end of the last one.
    base_matrices: Vec<u16>,
}

/// The quantization parameters of the setup header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuantizationParameters {
    /// ACSCALE by `qi`.
    ac_scale: [u16; 64],
    /// DCSCALE by `qi`.
    dc_scale: [u16; 64],
    /// BMS: base matrices in natural order.
    base_matrices: Vec<[u8; 64]>,
    /// By quantization type (0 intra, 1 inter) and plane.
    ranges: [[QuantRanges; 3]; 2],
}

/// The number of bits that `value` takes without leading zeros.
fn ilog(value: usize) -> u32 {
    usize::BITS - value.leading_zeros()
}

impl QuantizationParameters {
    /// Section 6.4.2.
    pub(crate) fn read(reader: &mut BitReader<'_>) -> Result<Self, Error> {
        let ac_scale = read_scale(reader);
        let dc_scale = read_scale(reader);
        let nbms = reader.read(9) as usize + 1;
        let mut base_matrices = Vec::new();
        for _ in 0..nbms {
            base_matrices.push(std::array::from_fn(|_| reader.read(8) as u8));
            if reader.is_past_end() {
                return Err(Error::Truncated { element: "BMS" });
            }
        }
        let mut ranges: [[QuantRanges; 3]; 2] = Default::default();
        for qti in 0..2 {
            for pli in 0..3 {
                let newqr = (qti == 0 && pli == 0) || reader.read_bit();
                ranges[qti][pli] = if newqr {
                    read_ranges(reader, nbms)?
                } else if qti > 0 && reader.read_bit() {
                    ranges[qti - 1][pli].clone()
                } else {
                    ranges[(3 * qti + pli - 1) / 3][(pli + 2) % 3].clone()
                };
            }
        }
        if reader.is_past_end() {
            return Err(Error::Truncated { element: "the quantization parameters" });
        }
        Ok(Self { ac_scale, dc_scale, base_matrices, ranges })
    }

    /// Section 6.4.3: the matrix of one quantization type, plane and `qi`.
    fn matrix(&self, qti: usize, pli: usize, qi: usize) -> Matrix {
        let ranges = &self.ranges[qti][pli];
        let (mut qri, mut qi_start) = (0, 0);
        while qi > qi_start + usize::from(ranges.sizes[qri]) {
            qi_start += usize::from(ranges.sizes[qri]);
            qri += 1;
        }
        let size = usize::from(ranges.sizes[qri]);
        let qi_end = qi_start + size;
        let start = &self.base_matrices[usize::from(ranges.base_matrices[qri])];
        let end = &self.base_matrices[usize::from(ranges.base_matrices[qri + 1])];
        std::array::from_fn(|zzi| {
            let ci = usize::from(ZIG_ZAG[zzi]);
            let weighted =
                2 * (qi_end - qi) * usize::from(start[ci]) + 2 * (qi - qi_start) * usize::from(end[ci]);
            let base = (weighted + size) / (2 * size);
            let scale = if ci == 0 { self.dc_scale[qi] } else { self.ac_scale[qi] };
            let min = [[16, 8], [32, 16]][qti][usize::from(ci > 0)];
            (usize::from(scale) * base / 100 * 4).min(4096).max(min) as u16
        })
    }
}

fn read_scale(reader: &mut BitReader<'_>) -> [u16; 64] {
    let nbits = reader.read(4) + 1;
    std::array::from_fn(|_| reader.read(nbits) as u16)
}

fn read_ranges(reader: &mut BitReader<'_>, nbms: usize) -> Result<QuantRanges, Error> {
    let read_base_matrix = |reader: &mut BitReader<'_>| {
        let bmi = reader.read(ilog(nbms - 1)) as usize;
        if bmi >= nbms {
            let (value, max) = (bmi as u64, nbms as u64 - 1);
            return Err(Error::OutOfRange { element: "QRBMIS", value, min: 0, max });
        }
        Ok(bmi as u16)
    };
    let mut ranges = QuantRanges::default();
    ranges.base_matrices.push(read_base_matrix(reader)?);
    let mut qi = 0;
    while qi < 63 {
        let size = reader.read(ilog(62 - qi)) as usize + 1;
        qi += size;
        ranges.sizes.push(size as u8);
        ranges.base_matrices.push(read_base_matrix(reader)?);
    }
    if qi > 63 {
        let element = "the sum of QRSIZES";
        return Err(Error::OutOfRange { element, value: qi as u64, min: 63, max: 63 });
    }
    Ok(ranges)
}

/// All quantization matrices of a stream.
#[derive(Clone, Debug)]
pub(crate) struct QuantizationMatrices {
    /// By quantization type, plane and `qi`.
    matrices: Vec<Matrix>,
}

impl QuantizationMatrices {
    pub(crate) fn new(parameters: &QuantizationParameters) -> Self {
        let indices = (0..2 * 3 * 64).map(|i| (i / 192, i / 64 % 3, i % 64));
        Self { matrices: indices.map(|(qti, pli, qi)| parameters.matrix(qti, pli, qi)).collect() }
    }

    /// The matrix of a quantization type (0 intra, 1 inter), plane and `qi`.
    #[inline]
    pub(crate) fn get(&self, qti: usize, pli: usize, qi: u8) -> &Matrix {
        &self.matrices[(qti * 3 + pli) * 64 + usize::from(qi)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitSink, BitWriter};

    /// Two base matrices (all 100 and all 201), the ranges 0..=10 and 10..=63 from one to the other and back in the
    /// first set, one range in the second, which the third copies; inter copies intra but for Cr, which copies Cb.
    fn parameters() -> BitWriter {
        let mut writer = BitWriter::new();
        for scale in [100, 50] {
            writer.put(15, 4);
            (0..64).for_each(|qi| writer.put(scale + qi, 16));
        }
        writer.put(1, 9);
        (0..64).for_each(|_| writer.put(100, 8));
        (0..64).for_each(|_| writer.put(201, 8));
        for (value, bits) in [(0, 1), (9, 6), (1, 1), (52, 6), (0, 1)] {
            writer.put(value, bits);
        }
        for (value, bits) in [(1, 1), (0, 1), (62, 6), (0, 1)] {
            writer.put(value, bits);
        }
        writer.put(0, 1);
        for (newqr, rpqr) in [(0, 1), (0, 1), (0, 0)] {
            writer.put(newqr, 1);
            writer.put(rpqr, 1);
        }
        writer
    }

    #[test]
    fn ranges_are_read_and_copied() {
        let bytes = parameters().into_bytes();
        let parameters = QuantizationParameters::read(&mut BitReader::new(&bytes)).unwrap();
        let luma = QuantRanges { sizes: vec![10, 53], base_matrices: vec![0, 1, 0] };
        let chroma = QuantRanges { sizes: vec![63], base_matrices: vec![0, 0] };
        let set = [luma, chroma.clone(), chroma];
        assert_eq!(parameters.ranges, [set.clone(), set]);
    }

    #[test]
    fn matrices_are_interpolated_rounded_and_clamped() {
        let bytes = parameters().into_bytes();
        let parameters = QuantizationParameters::read(&mut BitReader::new(&bytes)).unwrap();
        // qi 5: half way from 100 to 201 is 150.5, rounded up; 105 * 151 / 100 * 4.
        assert_eq!(parameters.matrix(0, 0, 5)[1], 105 * 151 / 100 * 4);
        assert_eq!(parameters.matrix(0, 0, 5)[0], 55 * 151 / 100 * 4);
        // The border of two ranges belongs to both; past it the way leads back.
        assert_eq!(parameters.matrix(1, 0, 10)[63], 110 * 201 / 100 * 4);
        // (2 * 52 * 201 + 2 * 1 * 100 + 53) / 106 is 199.6 truncated after rounding.
        assert_eq!(
            parameters.matrix(1, 0, 11)[63],
            (111 * ((2 * 52 * 201 + 200 + 53) / 106) / 100 * 4) as u16
        );
        assert_eq!(parameters.matrix(0, 0, 63)[7], 163 * 4);

        let scaled = |scale| QuantizationParameters {
            ac_scale: [scale; 64],
            dc_scale: [scale; 64],
            ..parameters.clone()
        };
        let (fine, coarse) = (scaled(1), scaled(u16::MAX));
        assert_eq!([fine.matrix(0, 1, 0)[0], fine.matrix(0, 1, 0)[1]], [16, 8]);
        assert_eq!([fine.matrix(1, 1, 0)[0], fine.matrix(1, 1, 0)[1]], [32, 16]);
        assert_eq!([coarse.matrix(0, 1, 0)[0], coarse.matrix(1, 1, 0)[1]], [4096, 4096]);
    }

    #[test]
    fn ranges_must_end_at_63() {
        let mut writer = BitWriter::new();
        // One base matrix takes no bits to name; 32 leaves 31 to go, of which 5 bits can count 32.
        writer.put(31, 6);
        writer.put(31, 5);
        let bytes = writer.into_bytes();
        let error = Error::OutOfRange { element: "the sum of QRSIZES", value: 64, min: 63, max: 63 };
        assert_eq!(read_ranges(&mut BitReader::new(&bytes), 1), Err(error));
    }

    #[test]
    fn base_matrices_must_exist() {
        let error = Error::OutOfRange { element: "QRBMIS", value: 3, min: 0, max: 2 };
        assert_eq!(read_ranges(&mut BitReader::new(&[0xFF]), 3), Err(error));
    }

    #[test]
    fn truncation_is_an_error() {
        let bytes = parameters().into_bytes();
        for length in [0, 100, 200, bytes.len() - 1] {
            let result = QuantizationParameters::read(&mut BitReader::new(&bytes[..length]));
            assert!(matches!(result, Err(Error::Truncated { .. })), "{length} bytes");
        }
    }
}
