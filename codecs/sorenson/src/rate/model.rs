//! How large pictures become, as a function of the quantiser.

/// A picture as rate control sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) key: bool,
    /// When it appears, in seconds after the first one.
    pub(super) time: f64,
    /// How long it stands, in seconds.
    pub(super) duration: f64,
    /// Bits at any quantiser.
    pub(super) fixed: f64,
    /// What the other bits go with.
    pub(super) demand: f64,
    /// Its quantiser, 1 to 31.
    pub(super) quantizer: f64,
}

/// What the bits beyond the fixed ones are divided by: the quantiser, and for key frames its power of 5/8.
///
/// Key frames lose less because every block keeps its INTRADC, and because their macroblocks are quantised finer than
/// the rest. Roots are exact to the last bit on every machine; powers are not.
pub(super) fn divisor(key: bool, quantizer: f64) -> f64 {
    let root = quantizer.sqrt();
    if key { root * root.sqrt().sqrt() } else { quantizer }
}

/// The sum of the demands of some pictures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Bits at any quantiser.
    pub(super) fixed: f64,
    /// What the other bits of P pictures and of key frames go with.
    pub(super) varying: [f64; 2],
}

impl Demand {
    pub(super) fn add(&mut self, picture: &Picture) {
        self.fixed += picture.fixed;
        self.varying[usize::from(picture.key)] += picture.demand;
    }

    /// Lets what is there count for less.
    pub(super) fn scale(&mut self, factor: f64) {
        self.fixed *= factor;
        self.varying = self.varying.map(|demand| demand * factor);
    }
}

/// Bits that one unit of demand makes, learned from pictures of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    bits: f64,
    demand: f64,
    /// What earlier pictures count for when the next one is added.
    memory: f64,
}

impl Model {
    /// Begins with `factor` bits for each unit, which counts as much as pictures of `demand`.
    pub(super) const fn new(factor: f64, demand: f64, memory: f64) -> Self {
        Self { bits: factor * demand, demand, memory }
    }

    pub(super) fn factor(&self) -> f64 {
        self.bits / self.demand
    }

    /// Learns that `demand` made `bits` at a quantiser of 1, by extrapolation.
    fn add(&mut self, bits: f64, demand: f64) {
        self.bits = self.bits * self.memory + bits;
        self.demand = self.demand * self.memory + demand;
    }
}

/// The models of P pictures and of key frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Models(pub(super) [Model; 2]);

impl Models {
    /// Bits for each unit of complexity in most videos.
    pub(super) const USUAL: Self = Self([Model::new(0.9, 1.0, 0.95), Model::new(0.6, 1.0, 0.8)]);

    /// For demands that are bits already.
    pub(super) const UNIT: Self = Self([Model::new(1.0, 1.0, 1.0); 2]);

    pub(super) fn learn(&mut self, picture: &Picture, bits: f64) {
        if picture.demand > 0.0 {
            let bits = (bits - picture.fixed).max(0.0) * divisor(picture.key, picture.quantizer);
            self.0[usize::from(picture.key)].add(bits, picture.demand);
        }
    }

    /// Bits of a picture at a quantiser.
    pub(super) fn bits(&self, picture: &Picture, quantizer: f64) -> f64 {
        let factor = self.0[usize::from(picture.key)].factor();
        picture.fixed + factor * picture.demand / divisor(picture.key, quantizer)
    }

    /// Bits of several pictures at one quantiser.
    pub(super) fn sum(&self, demand: &Demand, quantizer: f64) -> f64 {
        let [p, key] = [0, 1].map(|i| self.0[i].factor() * demand.varying[i]);
        demand.fixed + p / divisor(false, quantizer) + key / divisor(true, quantizer)
    }

    /// The quantiser, 1 to 31, at which all pictures that are left take `bits`, if `more` pictures follow that take what
    /// they take at the `last` quantiser.
    ///
    /// Without more of them the quantiser would leap at the end: sizes are known too late for the last pictures.
    pub(super) fn last_quantizer(&self, left: &Demand, bits: f64, more: &Demand, last: Option<f64>) -> f64 {
        let Some(last) = last else { return self.quantizer(left, bits) };
        let all = Demand {
            fixed: left.fixed + more.fixed,
            varying: [0, 1].map(|i| left.varying[i] + more.varying[i]),
        };
        self.quantizer(&all, bits + self.sum(more, last))
    }

    /// The quantiser, 1 to 31, at which several pictures take `bits`.
    pub(super) fn quantizer(&self, demand: &Demand, bits: f64) -> f64 {
        bisect(1.0, |quantizer| self.sum(demand, quantizer) <= bits)
    }
}

/// The least quantiser from `least` to 31 that is coarse enough, or 31 if none is.
pub(super) fn bisect(least: f64, enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (least, 31.0);
    if low >= high || enough(low) {
        return low;
    }
    while high - low > 1.0 / 64.0 {
        let middle = (low + high) / 2.0;
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiser_is_found() {
        let models = Models([Model::new(2.0, 1.0, 0.9), Model::new(0.5, 1.0, 0.9)]);
        let demand = Demand { fixed: 100.0, varying: [4000.0, 9000.0] };
        for wanted in [1.5, 7.0, 23.25] {
            let found = models.quantizer(&demand, models.sum(&demand, wanted));
            assert!((found - wanted).abs() < 0.02, "{found}, {wanted}");
        }
        assert_eq!(models.quantizer(&demand, 1e9), 1.0);
        assert_eq!(models.quantizer(&demand, 0.0), 31.0);
    }

    #[test]
    fn a_model_forgets() {
        let mut models = Models([Model::new(1.0, 1.0, 0.9); 2]);
        let picture =
            Picture { key: true, time: 0.0, duration: 0.1, fixed: 50.0, demand: 10.0, quantizer: 16.0 };
        for _ in 0..100 {
            models.learn(&picture, 250.0);
        }
        assert!((models.bits(&picture, 16.0) - 250.0).abs() < 0.1);
        // 16 to the power of 5/8.
        assert!((models.bits(&picture, 1.0) - (50.0 + 200.0 * 5.656_854)).abs() < 1.0);
        assert_eq!(models.0[0].factor(), 1.0);
    }
}
