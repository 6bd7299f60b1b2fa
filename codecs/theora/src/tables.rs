//! Tables of the specification that more than one stage uses.

/// Zig-zag order: the index in natural (row-major) order of each coefficient (Theora specification, figure 2.8).
#[rustfmt::skip]
pub(crate) const ZIG_ZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10,
    17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34,
    27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36,
    29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zig_zag_walks_the_diagonals() {
        let mut walk = Vec::new();
        for diagonal in 0..15u8 {
            let mut cells: Vec<(u8, u8)> =
                (0..=diagonal).map(|row| (row, diagonal - row)).filter(|&(r, c)| r < 8 && c < 8).collect();
            // Odd diagonals run downwards, even ones upwards.
            if diagonal % 2 == 0 {
                cells.reverse();
            }
            walk.extend(cells.iter().map(|(row, column)| row * 8 + column));
        }
        assert_eq!(walk, ZIG_ZAG);
    }
}
