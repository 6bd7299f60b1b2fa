//! The code tables of ITU-T H.263, written as printed there.
//!
//! Encoder and reference decoder share this file and nothing else.

/// A code word: the `len` (1 to 13) bits of `bits`, right-aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) bits: u16,
    pub(crate) len: u8,
}

impl Code {
    /// Reads a code word as the standard prints it; spaces are ignored.
    pub(crate) const fn parse(text: &str) -> Self {
        let text = text.as_bytes();
        let (mut bits, mut len, mut i) = (0, 0, 0);
        while i < text.len() {
            match text[i] {
                b'0' => {
                    bits <<= 1;
                    len += 1;
                }
                b'1' => {
                    bits = bits << 1 | 1;
                    len += 1;
                }
                b' ' => {}
                _ => panic!("a code word has the digits 0 and 1"),
            }
            i += 1;
        }
        Self { bits, len }
    }
}

const fn codes<const N: usize>(texts: [&str; N]) -> [Code; N] {
    let mut codes = [Code { bits: 0, len: 0 }; N];
    let mut i = 0;
    while i < N {
        codes[i] = Code::parse(texts[i]);
        i += 1;
    }
    codes
}

/// Figure 14: the place in the block, row by row, of each coefficient in the order of transmission.
#[rustfmt::skip]
pub(crate) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10,
    17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34,
    27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36,
    29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63,
];

/// Table 7: MCBPC in I pictures, by the two bits of CBPC (Cb is the higher one): first INTRA, then INTRA+Q.
#[rustfmt::skip]
pub(crate) const MCBPC_I: [[Code; 4]; 2] = [
    codes(["1",    "001",     "010",     "011"]),
    codes(["0001", "0000 01", "0000 10", "0000 11"]),
];

/// Table 8: MCBPC in P pictures, by macroblock type and CBPC.
/// INTER4V+Q belongs to later versions of the standard and is not used in FLV1.
#[rustfmt::skip]
pub(crate) const MCBPC_P: [[Code; 4]; 5] = [
    /* INTER   */ codes(["1",       "0011",        "0010",        "0001 01"]),
    /* INTER+Q */ codes(["011",     "0000 111",    "0000 110",    "0000 0010 1"]),
    /* INTER4V */ codes(["010",     "0000 101",    "0000 100",    "0000 0101"]),
    /* INTRA   */ codes(["0001 1",  "0000 0100",   "0000 0011",   "0000 011"]),
    /* INTRA+Q */ codes(["0001 00", "0000 0010 0", "0000 0001 1", "0000 0001 0"]),
];

/// Tables 7 and 8: stuffing, the same in both.
pub(crate) const MCBPC_STUFFING: Code = Code::parse("0000 0000 1");

/// Table 13: CBPY of INTRA macroblocks, by the coded luma blocks (block 1 is the highest bit).
/// INTER macroblocks use it with all four bits inverted.
#[rustfmt::skip]
pub(crate) const CBPY: [Code; 16] = codes([
    "0011",   "0010 1",  "0010 0",  "1001",
    "0001 1", "0111",    "0000 10", "1011",
    "0001 0", "0000 11", "0101",    "1010",
    "0100",   "1000",    "0110",    "11",
]);

/// Table 14: MVD by magnitude in half samples. A sign bit (1 is negative) follows, except after 0;
/// 32 (-16 samples) only exists as negative.
#[rustfmt::skip]
pub(crate) const MVD: [Code; 33] = codes([
    "1",
    "01", "001", "0001", "0000 11", "0000 101", "0000 100", "0000 011", "0000 0101 1",
    "0000 0101 0", "0000 0100 1", "0000 0100 01", "0000 0100 00", "0000 0011 11", "0000 0011 10", "0000 0011 01", "0000 0011 00",
    "0000 0010 11", "0000 0010 10", "0000 0010 01", "0000 0010 00", "0000 0001 11", "0000 0001 10", "0000 0001 01", "0000 0001 00",
    "0000 0000 111", "0000 0000 110", "0000 0000 101", "0000 0000 100", "0000 0000 011", "0000 0000 010", "0000 0000 0011", "0000 0000 0010",
]);

/// Table 16: TCOEF, as (LAST, RUN, code words for LEVEL 1, 2, ...). A sign bit (1 is negative) follows each.
#[rustfmt::skip]
pub(crate) const TCOEF: [(bool, u8, &[&str]); 68] = [
    (false, 0, &["10", "1111", "0101 01", "0010 111", "0001 1111", "0001 0010 1", "0001 0010 0", "0000 1000 01", "0000 1000 00", "0000 0000 111", "0000 0000 110", "0000 0100 000"]),
    (false, 1, &["110", "0101 00", "0001 1110", "0000 0011 11", "0000 0100 001", "0000 0101 0000"]),
    (false, 2, &["1110", "0001 1101", "0000 0011 10", "0000 0101 0001"]),
    (false, 3, &["0110 1", "0001 0001 1", "0000 0011 01"]),
    (false, 4, &["0110 0", "0001 0001 0", "0000 0101 0010"]),
    (false, 5, &["0101 1", "0000 0011 00", "0000 0101 0011"]),
    (false, 6, &["0100 11", "0000 0010 11", "0000 0101 0100"]),
    (false, 7, &["0100 10", "0000 0010 10"]),
    (false, 8, &["0100 01", "0000 0010 01"]),
    (false, 9, &["0100 00", "0000 0010 00"]),
    (false, 10, &["0010 110", "0000 0101 0101"]),
    (false, 11, &["0010 101"]),
    (false, 12, &["0010 100"]),
    (false, 13, &["0001 1100"]),
    (false, 14, &["0001 1011"]),
    (false, 15, &["0001 0000 1"]),
    (false, 16, &["0001 0000 0"]),
    (false, 17, &["0000 1111 1"]),
    (false, 18, &["0000 1111 0"]),
    (false, 19, &["0000 1110 1"]),
    (false, 20, &["0000 1110 0"]),
    (false, 21, &["0000 1101 1"]),
    (false, 22, &["0000 1101 0"]),
    (false, 23, &["0000 0100 010"]),
    (false, 24, &["0000 0100 011"]),
    (false, 25, &["0000 0101 0110"]),
    (false, 26, &["0000 0101 0111"]),
    (true, 0, &["0111", "0000 1100 1", "0000 0000 101"]),
    (true, 1, &["0011 11", "0000 0000 100"]),
    (true, 2, &["0011 10"]),
    (true, 3, &["0011 01"]),
    (true, 4, &["0011 00"]),
    (true, 5, &["0010 011"]),
    (true, 6, &["0010 010"]),
    (true, 7, &["0010 001"]),
    (true, 8, &["0010 000"]),
    (true, 9, &["0001 1010"]),
    (true, 10, &["0001 1001"]),
    (true, 11, &["0001 1000"]),
    (true, 12, &["0001 0111"]),
    (true, 13, &["0001 0110"]),
    (true, 14, &["0001 0101"]),
    (true, 15, &["0001 0100"]),
    (true, 16, &["0001 0011"]),
    (true, 17, &["0000 1100 0"]),
    (true, 18, &["0000 1011 1"]),
    (true, 19, &["0000 1011 0"]),
    (true, 20, &["0000 1010 1"]),
    (true, 21, &["0000 1010 0"]),
    (true, 22, &["0000 1001 1"]),
    (true, 23, &["0000 1001 0"]),
    (true, 24, &["0000 1000 1"]),
    (true, 25, &["0000 0001 11"]),
    (true, 26, &["0000 0001 10"]),
    (true, 27, &["0000 0001 01"]),
    (true, 28, &["0000 0001 00"]),
    (true, 29, &["0000 0100 100"]),
    (true, 30, &["0000 0100 101"]),
    (true, 31, &["0000 0100 110"]),
    (true, 32, &["0000 0100 111"]),
    (true, 33, &["0000 0101 1000"]),
    (true, 34, &["0000 0101 1001"]),
    (true, 35, &["0000 0101 1010"]),
    (true, 36, &["0000 0101 1011"]),
    (true, 37, &["0000 0101 1100"]),
    (true, 38, &["0000 0101 1101"]),
    (true, 39, &["0000 0101 1110"]),
    (true, 40, &["0000 0101 1111"]),
];

/// Table 16: the code word before LAST, RUN and LEVEL in fixed lengths.
pub(crate) const TCOEF_ESCAPE: Code = Code::parse("0000 011");

/// Table F.1: the sum of four vector components, in sixteenths of a sample, to half samples.
pub(crate) const CHROMA_SIXTEENTHS: [i16; 16] = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2];

/// The largest difference from one DQUANT: Table 12, by the two bits.
pub(crate) const DQUANT: [i8; 4] = [-1, -2, 1, 2];

#[cfg(test)]
mod tests {
    use super::*;

    /// Kraft sum in units of 2^-13, after a check that no code word starts another.
    fn kraft(codes: &[Code]) -> u32 {
        for (i, a) in codes.iter().enumerate() {
            for b in &codes[i + 1..] {
                let len = a.len.min(b.len);
                assert_ne!(a.bits >> (a.len - len), b.bits >> (b.len - len), "{a:?} {b:?}");
            }
        }
        codes.iter().map(|code| 1 << (13 - code.len)).sum()
    }

    #[test]
    fn mcbpc() {
        // What is missing: nine zeros, and six zeros followed by 1 in I pictures.
        let i = [MCBPC_I.concat(), vec![MCBPC_STUFFING]].concat();
        assert_eq!(kraft(&i), 8192 - 8192 / 64 + 8192 / 512);
        // What is missing: ten code words of INTER4V+Q and emulation of start codes, under eight zeros.
        let p = [MCBPC_P.concat(), vec![MCBPC_STUFFING]].concat();
        assert_eq!(kraft(&p), 8192 - 8192 / 512);
    }

    #[test]
    fn cbpy() {
        // Five zeros are not used.
        assert_eq!(kraft(&CBPY), 8192 - 8192 / 32);
    }

    #[test]
    fn mvd() {
        let mut all = vec![MVD[0]];
        for (magnitude, code) in MVD.iter().enumerate().skip(1) {
            for sign in if magnitude == 32 { 1..2 } else { 0..2 } {
                all.push(Code { bits: code.bits << 1 | sign, len: code.len + 1 });
            }
        }
        // Not used: eleven zeros, and the code word of +16 samples with the one beside it.
        assert_eq!(kraft(&all), 8192 - 8192 / 2048 - 1);
    }

    #[test]
    fn tcoef() {
        let mut all = vec![TCOEF_ESCAPE];
        for (_, _, levels) in TCOEF {
            all.extend(levels.iter().map(|text| Code::parse(text)));
        }
        assert_eq!(all.len(), 103);
        // Not used: nine zeros.
        assert_eq!(kraft(&all), 8192 - 8192 / 512);
    }

    #[test]
    fn zigzag_is_a_permutation_by_diagonals() {
        let mut seen = [false; 64];
        let mut diagonal = 0;
        for place in ZIGZAG {
            assert!(!std::mem::replace(&mut seen[usize::from(place)], true));
            let next = place / 8 + place % 8;
            assert!(next == diagonal || next == diagonal + 1);
            diagonal = next;
        }
    }
}
