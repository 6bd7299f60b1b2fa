//! Tests of the decoder from outside.

// clippy takes helpers outside test functions for code that is not a test.
#![allow(clippy::unwrap_used)]

mod common;
mod conformance;
mod fuzz;
mod parallel;
mod robustness;
mod writer;
