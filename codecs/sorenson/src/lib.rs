//! Sorenson H.263 (FLV1) video encoder, with a small reference decoder.
