//! The vectors of a picture, and the prediction of each from its neighbours (H.263, 6.1.1 and F.2).

use super::Mv;

/// The vectors of the four luma blocks of each macroblock; zero where a macroblock is intra or skipped.
#[derive(Clone, Debug)]
pub(crate) struct MotionField {
    mb_width: usize,
    mvs: Vec<[Mv; 4]>,
}

impl MotionField {
    pub(crate) fn new(mb_width: usize, mb_height: usize) -> Self {
        Self { mb_width, mvs: vec![[Mv::ZERO; 4]; mb_width * mb_height] }
    }

    pub(crate) fn get(&self, mb_x: usize, mb_y: usize) -> &[Mv; 4] {
        &self.mvs[mb_y * self.mb_width + mb_x]
    }

    pub(crate) fn set(&mut self, mb_x: usize, mb_y: usize, mvs: [Mv; 4]) {
        self.mvs[mb_y * self.mb_width + mb_x] = mvs;
    }

    /// The vectors of a row of macroblocks.
    pub(crate) fn row(&self, mb_y: usize) -> &[[Mv; 4]] {
        &self.mvs[mb_y * self.mb_width..][..self.mb_width]
    }

    pub(crate) fn row_mut(&mut self, mb_y: usize) -> &mut [[Mv; 4]] {
        &mut self.mvs[mb_y * self.mb_width..][..self.mb_width]
    }

    /// The three candidate predictors MV1 (left), MV2 (above) and MV3 (above right) of block `bi` (0 to 3) of a
    /// macroblock, whose own blocks before `bi` have the vectors `own`. Block 0 stands for the whole macroblock too.
    pub(crate) fn candidates(&self, mb_x: usize, mb_y: usize, bi: usize, own: &[Mv; 4]) -> [Mv; 3] {
        let left = |block: usize| if mb_x == 0 { Mv::ZERO } else { self.get(mb_x - 1, mb_y)[block] };
        let mv1 = match bi {
            0 => left(1),
            2 => left(3),
            _ => own[bi - 1],
        };
        if bi >= 2 {
            return [mv1, own[0], own[1]];
        }
        if mb_y == 0 {
            return [mv1; 3];
        }
        let above = self.get(mb_x, mb_y - 1)[bi + 2];
        let above_right = if mb_x + 1 == self.mb_width { Mv::ZERO } else { self.get(mb_x + 1, mb_y - 1)[2] };
        [mv1, above, above_right]
    }

    /// The predictor: the median of the candidates, component by component.
    pub(crate) fn predict(&self, mb_x: usize, mb_y: usize, bi: usize, own: &[Mv; 4]) -> Mv {
        let [a, b, c] = self.candidates(mb_x, mb_y, bi, own);
        Mv { x: median(a.x, b.x, c.x), y: median(a.y, b.y, c.y) }
    }
}

fn median(a: i16, b: i16, c: i16) -> i16 {
    a.max(b).min(a.min(b).max(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_three() {
        for (a, b, c) in
            [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1), (2, 2, 9), (-7, 2, 2)]
        {
            assert_eq!(median(a, b, c), 2);
        }
    }

    #[test]
    fn edges_of_the_picture() {
        let mv = |x| Mv { x, y: -x };
        let mut field = MotionField::new(2, 2);
        field.set(0, 0, [mv(1), mv(2), mv(3), mv(4)]);
        field.set(1, 0, [mv(5), mv(6), mv(7), mv(8)]);
        field.set(0, 1, [mv(9), mv(10), mv(11), mv(12)]);
        let none = [Mv::ZERO; 4];
        assert_eq!(field.predict(0, 0, 0, &none), Mv::ZERO);
        assert_eq!(field.predict(1, 0, 0, &none), mv(2), "the first row takes the left vector");
        assert_eq!(field.candidates(0, 1, 0, &none), [Mv::ZERO, mv(3), mv(7)]);
        assert_eq!(field.candidates(1, 1, 0, &none), [mv(10), mv(7), Mv::ZERO]);
        let own = [mv(20), mv(21), mv(22), mv(23)];
        assert_eq!(field.candidates(1, 1, 1, &own), [mv(20), mv(8), Mv::ZERO]);
        assert_eq!(field.candidates(1, 1, 2, &own), [mv(12), mv(20), mv(21)]);
        assert_eq!(field.candidates(1, 1, 3, &own), [mv(22), mv(20), mv(21)]);
        assert_eq!(field.candidates(0, 0, 2, &own), [Mv::ZERO, mv(20), mv(21)]);
    }
}
