//! The inner loops in vector instructions of x86-64.

mod avx2;
mod sse2;

pub(super) use avx2::kernels as avx2;
pub(super) use sse2::Sse2;
