//! The page checksum (RFC 3533, section 6, field 7), for any range of a growing input.
//!
//! The checksum is a CRC of 32 bits with generator polynomial 0x04c11db7, most significant bit first, initial
//! value 0 and no final inversion. With that initial value it is linear: if `P(n)` is the CRC of the first
//! `n` bytes of the input, the CRC of the bytes `a..b` is `P(b) + P(a) x^(8(b-a))`. So every input byte is
//! hashed once, and the checksum of a page, or of anything that only looks like one, then costs a constant.
//! That is what keeps resynchronisation linear on inputs full of false pages, which would otherwise cost up
//! to 65,307 hashed bytes for each false header.

const POLYNOMIAL: u32 = 0x04c1_1db7;

/// Distance in bytes between two stored values of `P`.
pub(super) const STRIDE: usize = 32;

/// `a x mod POLYNOMIAL`.
const fn times_x(a: u32) -> u32 {
    (a << 1) ^ (if a >> 31 != 0 { POLYNOMIAL } else { 0 })
}

/// `a b mod POLYNOMIAL`, both polynomials over GF(2).
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product = times_x(product) ^ (if b >> bit & 1 != 0 { a } else { 0 });
    }
    product
}

/// `SLICES[k][v]` is the CRC of the byte `v` followed by `k` zero bytes.
static SLICES: [[u32; 256]; 8] = {
    let mut slices = [[0; 256]; 8];
    let mut value = 0;
    while value < 256 {
        let mut crc = (value as u32) << 24;
        let mut slice = 0;
        while slice < 8 {
            let mut bit = 0;
            while bit < 8 {
                crc = times_x(crc);
                bit += 1;
            }
            slices[slice][value] = crc;
            slice += 1;
        }
        value += 1;
    }
    slices
};

/// `ZEROS[0][n]` is `x^(8n)`, `ZEROS[1][n]` is `x^(8*256*n)`, both mod `POLYNOMIAL`.
static ZEROS: [[u32; 256]; 2] = {
    let mut zeros = [[1; 256]; 2];
    let mut step = 1 << 8;
    let mut digit = 0;
    while digit < 2 {
        let mut n = 1;
        while n < 256 {
            zeros[digit][n] = multiply(zeros[digit][n - 1], step);
            n += 1;
        }
        step = multiply(zeros[digit][255], step);
        digit += 1;
    }
    zeros
};

/// The CRC of what `crc` is the CRC of, followed by `bytes`.
pub(super) fn update(mut crc: u32, bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let [p, q, r, s] = (crc ^ u32::from_be_bytes([word[0], word[1], word[2], word[3]])).to_be_bytes();
        crc = SLICES[7][usize::from(p)]
            ^ SLICES[6][usize::from(q)]
            ^ SLICES[5][usize::from(r)]
            ^ SLICES[4][usize::from(s)]
            ^ SLICES[3][usize::from(word[4])]
            ^ SLICES[2][usize::from(word[5])]
            ^ SLICES[1][usize::from(word[6])]
            ^ SLICES[0][usize::from(word[7])];
    }
    for &byte in rest {
        crc = (crc << 8) ^ SLICES[0][usize::from((crc >> 24) as u8 ^ byte)];
    }
    crc
}

/// The CRC of what `crc` is the CRC of, followed by `count` zero bytes; `count` is less than 65,536.
pub(super) fn append_zeros(crc: u32, count: usize) -> u32 {
    multiply(multiply(crc, ZEROS[0][count & 255]), ZEROS[1][count >> 8])
}

/// `P` at every multiple of [`STRIDE`] bytes of a window into the input, for the CRC of any range in it.
#[derive(Debug, Default)]
pub(super) struct PrefixCrc {
    /// `P` at the offsets 0, `STRIDE`, 2 `STRIDE`, ... of the window.
    prefixes: Vec<u32>,
    /// `P` at the end of the last whole stride, which is not among `prefixes` yet.
    next: u32,
    /// How many bytes were hashed so far: the measure of work the tests bound.
    #[cfg(test)]
    pub(super) hashed: std::cell::Cell<u64>,
}

impl PrefixCrc {
    /// Takes in what the window has gained at its end.
    pub(super) fn extend(&mut self, window: &[u8]) {
        for stride in window.chunks_exact(STRIDE).skip(self.prefixes.len()) {
            self.prefixes.push(self.next);
            self.next = self.hash(self.next, stride);
        }
    }

    /// The window has lost its first `count` strides.
    pub(super) fn forget(&mut self, count: usize) {
        self.prefixes.drain(..count);
    }

    /// The CRC of `window[start..end]`, shorter than 65,536 bytes; `window` is what was last extended to.
    pub(super) fn of_range(&self, window: &[u8], start: usize, end: usize) -> u32 {
        self.prefix(window, end) ^ append_zeros(self.prefix(window, start), end - start)
    }

    fn prefix(&self, window: &[u8], end: usize) -> u32 {
        let stride = end / STRIDE;
        let crc = *self.prefixes.get(stride).unwrap_or(&self.next);
        self.hash(crc, &window[stride * STRIDE..end])
    }

    fn hash(&self, crc: u32, bytes: &[u8]) -> u32 {
        #[cfg(test)]
        self.hashed.set(self.hashed.get() + bytes.len() as u64);
        update(crc, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: polynomial division, one bit at a time.
    fn by_bits(bytes: &[u8]) -> u32 {
        bytes.iter().fold(0, |crc, &byte| {
            let mut crc = crc ^ (u32::from(byte) << 24);
            for _ in 0..8 {
                crc = times_x(crc);
            }
            crc
        })
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn update_divides_by_the_polynomial() {
        // CRC-32/MPEG-2's check value has initial value ff ff ff ff: as a prefix that is the inversion of 4
        // bytes.
        assert_eq!(update(0xffff_ffff, b"123456789"), 0x0376_e6e7);
        let bytes = noise(100);
        for len in 0..bytes.len() {
            assert_eq!(update(0, &bytes[..len]), by_bits(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn append_zeros_is_hashing_zeros() {
        for count in [0, 1, 2, 255, 256, 257, 4095, 65_281, 65_535] {
            let zeros = vec![0; count];
            assert_eq!(append_zeros(0x89ab_cdef, count), update(0x89ab_cdef, &zeros), "{count} zeros");
        }
    }

    #[test]
    fn ranges_of_a_moving_window() {
        let bytes = noise(70_000);
        let mut prefixes = PrefixCrc::default();
        let mut start = 0;
        for end in [0, 5, 31, 32, 100, 66_000, 66_001, 70_000] {
            prefixes.extend(&bytes[start..end]);
            let window = &bytes[start..end];
            for from in [0, 1, 17, 31, 32, 33, 1000] {
                for to in [from, from + 1, from + 64, from + 65_000] {
                    if to <= window.len() {
                        let expected = update(0, &window[from..to]);
                        assert_eq!(
                            prefixes.of_range(window, from, to),
                            expected,
                            "{from}..{to} of {start}..{end}"
                        );
                    }
                }
            }
            if end == 66_000 {
                prefixes.forget(7);
                start = 7 * STRIDE;
            }
        }
    }
}
