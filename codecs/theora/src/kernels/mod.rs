//! The inner loops over samples.

pub(crate) mod scalar;
