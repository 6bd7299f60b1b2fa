//! What several tests need.

// Each takes a part of it.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod film;
pub(crate) mod flv_file;
pub(crate) mod memory;
pub(crate) mod ogg_pages;
pub(crate) mod sample;
