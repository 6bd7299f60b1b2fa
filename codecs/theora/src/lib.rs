//! Theora video decoder.
