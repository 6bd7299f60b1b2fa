//! Moving pictures from integers alone, and how to judge what became of them.
#![allow(dead_code, unreachable_pub)] // each test program uses some of it

use oggflv_common::{Frame, FrameView, PixelFormat};
use oggflv_sorenson::{Config, Encoder, Packet};

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A textured plane that pans by (3, 2) half samples a frame, and a block that crosses it.
    Moving,
    /// The same frame all the time.
    Static,
    /// Nothing in common from one sample to the next.
    Noise,
    /// A still texture with a little noise on it, new in each frame.
    Grain,
    /// The pan, but every sixth frame begins another scene.
    Cuts,
}

fn hash(x: u32, y: u32, z: u32) -> u32 {
    let mut h = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ z.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ h >> 15).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ h >> 12).wrapping_mul(0x297A_2D39);
    h ^ h >> 15
}

/// Smooth noise, 0 to 255: a grid of random values every 8 samples, interpolated; `x`, `y` in half samples.
fn texture(x: i32, y: i32, seed: u32) -> i32 {
    let (gx, gy, fx, fy) = (x >> 4, y >> 4, x & 15, y & 15);
    let at = |x: i32, y: i32| (hash(x as u32, y as u32, seed) & 255) as i32;
    let top = at(gx, gy) * (16 - fx) + at(gx + 1, gy) * fx;
    let bottom = at(gx, gy + 1) * (16 - fx) + at(gx + 1, gy + 1) * fx;
    (top * (16 - fy) + bottom * fy) >> 8
}

fn sample(content: Content, pli: usize, x: i32, y: i32, n: i32) -> u8 {
    let seed = 77 + pli as u32;
    let grain = (hash(x as u32, y as u32, 1000 + n as u32 * 3 + pli as u32) & 15) as i32 - 8;
    let pan = |seed| {
        let block = 20 + 2 * n;
        let inside = pli == 0 && (block..block + 24).contains(&x) && (10..30).contains(&y);
        if inside { 230 - (x - block + y) * 3 } else { texture(2 * x + 3 * n, 2 * y + 2 * n, seed) }
    };
    let value = match content {
        Content::Moving => pan(seed),
        Content::Static => texture(2 * x, 2 * y, seed),
        Content::Noise => (hash(x as u32, y as u32, n as u32 * 3 + seed) & 255) as i32,
        Content::Grain => texture(2 * x, 2 * y, seed) + grain,
        Content::Cuts => pan(seed + n as u32 / 6 * 3),
    };
    value.clamp(0, 255) as u8
}

/// Frame `n` of `content`.
pub fn frame(content: Content, width: usize, height: usize, n: usize) -> Frame {
    let mut frame = Frame::new(PixelFormat::Yuv420, width, height);
    for (pli, plane) in frame.planes.iter_mut().enumerate() {
        let width = plane.width();
        for (i, s) in plane.data_mut().iter_mut().enumerate() {
            *s = sample(content, pli, (i % width) as i32, (i / width) as i32, n as i32);
        }
    }
    frame
}

/// All samples of the planes, Y, Cb, Cr.
pub fn samples(view: &FrameView<'_>) -> Vec<u8> {
    view.planes.iter().flat_map(|plane| plane.rows().flatten().copied()).collect()
}

/// Squared error between two pictures, per plane, and how many samples each plane has.
pub fn squared_errors(a: &FrameView<'_>, b: &FrameView<'_>) -> [(u64, usize); 3] {
    [0, 1, 2].map(|pli| {
        let (a, b) = (a.planes[pli], b.planes[pli]);
        assert_eq!((a.width, a.height), (b.width, b.height));
        let pairs = a.rows().flatten().zip(b.rows().flatten());
        (pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum(), a.width * a.height)
    })
}

/// Peak signal-to-noise ratio in decibels.
pub fn psnr(error: u64, samples: usize) -> f64 {
    10.0 * (255.0f64.powi(2) * samples as f64 / (error as f64).max(1e-9)).log10()
}

/// Encodes `count` frames.
pub fn encode(config: &Config, content: Content, count: usize) -> Vec<Packet> {
    let mut encoder = Encoder::new(config.clone()).expect("the settings are in range");
    (0..count)
        .map(|n| encoder.encode(&frame(content, config.width, config.height, n)).expect("the frame fits"))
        .collect()
}
