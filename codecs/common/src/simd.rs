//! Which vector instructions to use.

use std::sync::OnceLock;

/// A set of vector instructions. Greater ones include what smaller ones of the same architecture can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain code, which defines what the others compute.
    Scalar,
    /// SSE2, which every x86-64 processor has.
    Sse2,
    /// AVX2.
    Avx2,
    /// NEON, which every 64-bit ARM processor has.
    Neon,
}

impl Level {
    /// All levels that this processor has, in ascending order.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)] // some processors have no more
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            levels.push(Self::Sse2);
            if std::arch::is_x86_feature_detected!("avx2") {
                levels.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Self::Neon);
        levels
    }

    /// The level to use: the greatest one, or what the environment variable `OGGFLV_SIMD` names (`scalar`, `sse2`,
    /// `avx2`, `neon`) if the processor has it. Looked up once.
    #[must_use]
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Level> = OnceLock::new();
        *ACTIVE.get_or_init(|| Self::choose(std::env::var("OGGFLV_SIMD").ok().as_deref(), &Self::available()))
    }

    /// The greatest of `available` up to the one that `name` names; an unknown name counts as none.
    fn choose(name: Option<&str>, available: &[Self]) -> Self {
        let wanted = match name {
            Some("scalar") => Self::Scalar,
            Some("sse2") => Self::Sse2,
            Some("avx2") => Self::Avx2,
            _ => Self::Neon,
        };
        available.iter().copied().filter(|level| *level <= wanted).max().unwrap_or(Self::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_only_lowers_the_level() {
        let x86 = [Level::Scalar, Level::Sse2, Level::Avx2];
        assert_eq!(Level::choose(None, &x86), Level::Avx2);
        assert_eq!(Level::choose(Some("sse2"), &x86), Level::Sse2);
        assert_eq!(Level::choose(Some("scalar"), &x86), Level::Scalar);
        assert_eq!(Level::choose(Some("nonsense"), &x86), Level::Avx2);
        assert_eq!(Level::choose(Some("avx2"), &x86[..2]), Level::Sse2);
        assert_eq!(Level::choose(Some("avx2"), &[Level::Scalar, Level::Neon]), Level::Scalar);
    }

    #[test]
    fn scalar_is_always_there() {
        assert_eq!(Level::available()[0], Level::Scalar);
        assert!(Level::available().contains(&Level::active()));
    }
}
