//! Which vector instructions the machine has.

use std::sync::OnceLock;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// None: plain Rust, which defines what the others compute.
    Scalar,
    /// SSE2 of x86-64.
    Sse2,
    /// AVX2 of x86-64, and all before it.
    Avx2,
    /// NEON of aarch64.
    Neon,
}

/// A set of vector instructions that this machine has: a value of this type is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Isa);

impl Level {
    /// No vector instructions.
    pub const SCALAR: Self = Self(Isa::Scalar);

    /// All levels that this machine has, the weakest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self::SCALAR];
        // Both baselines belong to their architecture.
        #[cfg(target_arch = "x86_64")]
        levels.push(Self(Isa::Sse2));
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            levels.push(Self(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Self(Isa::Neon));
        levels
    }

    /// The level to use, chosen once: the strongest, or the one that the environment variable `OGGFLV_SIMD` names
    /// (`scalar`, `sse2`, `avx2`, `neon`). If the machine does not have that one, or there is no such name, it is the
    /// strongest.
    #[must_use]
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Level> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let wanted = std::env::var("OGGFLV_SIMD").unwrap_or_default();
            Self::choose(&Self::available(), &wanted)
        })
    }

    fn choose(available: &[Self], wanted: &str) -> Self {
        let strongest = available.last().copied().unwrap_or(Self::SCALAR);
        available.iter().copied().find(|level| level.name() == wanted).unwrap_or(strongest)
    }

    /// The instructions.
    #[must_use]
    pub fn isa(self) -> Isa {
        self.0
    }

    /// The name that `OGGFLV_SIMD` has for this level.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            Isa::Sse2 => "sse2",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_among_what_is_there() {
        let all = [Level(Isa::Scalar), Level(Isa::Sse2), Level(Isa::Avx2)];
        assert_eq!(Level::choose(&all, ""), all[2]);
        assert_eq!(Level::choose(&all, "scalar"), all[0]);
        assert_eq!(Level::choose(&all, "sse2"), all[1]);
        assert_eq!(Level::choose(&all[..2], "avx2"), all[1], "clamped to what the machine has");
        assert_eq!(Level::choose(&all, "SSE9"), all[2]);
    }

    #[test]
    fn scalar_is_always_there() {
        assert_eq!(Level::available()[0], Level::SCALAR);
        assert!(Level::available().contains(&Level::active()));
    }
}
