//! The encoder against the reference decoder, and against figures that a wrong encoder would miss.

mod common;

use common::{Content, encode, frame, psnr, samples, squared_errors};
use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson::decoder::Edge;
use oggflv_sorenson::{Config, ConfigError, Decoder, EncodeError, Encoder};

const CONTENTS: [Content; 5] =
    [Content::Moving, Content::Static, Content::Noise, Content::Grain, Content::Cuts];

fn config(width: usize, height: usize, quantizer: u8) -> Config {
    Config { width, height, quantizer, keyint: 250 }
}

/// Encodes, decodes with either edge rule, and demands the encoder's reconstruction from both.
fn roundtrip(config: Config, content: Content, count: usize) {
    let mut encoder = Encoder::new(config.clone()).expect("the settings are in range");
    let mut decoders = [Decoder::with_edge(Edge::Coded), Decoder::with_edge(Edge::Visible)];
    for n in 0..count {
        let packet = encoder.encode(&frame(content, config.width, config.height, n)).expect("the frame fits");
        let reconstruction = samples(&encoder.reconstruction().view());
        for decoder in &mut decoders {
            let info = decoder.decode(&packet.data).expect("the picture is good");
            assert_eq!((info.width, info.height), (config.width, config.height));
            assert_eq!(info.temporal_reference, n as u8);
            assert_eq!((info.key, info.disposable, info.version), (packet.key, false, 1));
            let padding = packet.data.len() as u64 * 8 - info.bits;
            assert!(padding < 8, "{padding} bits of padding");
            assert!(samples(&decoder.picture()) == reconstruction, "{config:?} {content:?} frame {n}");
        }
    }
}

#[test]
fn decoders_show_the_reconstruction_at_any_size() {
    let sizes = [
        (1, 1),
        (2, 3),
        (16, 16),
        (17, 33),
        (31, 15),
        (40, 24),
        (128, 96),
        (160, 120),
        (176, 144),
        (255, 1),
        (1, 255),
        (256, 8),
        (129, 71),
    ];
    for (width, height) in sizes {
        roundtrip(config(width, height, 4), Content::Moving, 6);
    }
}

#[test]
fn decoders_show_the_reconstruction_at_any_quantiser() {
    for quantizer in 1..=31 {
        roundtrip(config(72, 56, quantizer), CONTENTS[usize::from(quantizer) % 5], 5);
    }
}

#[test]
fn decoders_show_the_reconstruction_of_any_content() {
    for content in CONTENTS {
        for quantizer in [1, 2, 9, 31] {
            roundtrip(Config { keyint: 7, ..config(90, 70, quantizer) }, content, 16);
        }
    }
}

/// A pan by 5 samples towards every side makes vectors that would leave a picture of partial macroblocks.
#[test]
fn visible_samples_never_come_from_behind_the_edge() {
    for (dx, dy) in [(5, 0), (-5, 0), (0, 5), (0, -5), (5, 5), (-5, -5)] {
        for (width, height) in [(40, 40), (39, 41), (48, 56)] {
            let big = frame(Content::Static, 160, 160, 0);
            let mut encoder = Encoder::new(config(width, height, 3)).unwrap();
            let mut decoders = [Decoder::with_edge(Edge::Coded), Decoder::with_edge(Edge::Visible)];
            let mut inter = 0;
            for n in 0..8isize {
                let mut cut = Frame::new(PixelFormat::Yuv420, width, height);
                for (pli, plane) in cut.planes.iter_mut().enumerate() {
                    let scale = if pli == 0 { 1 } else { 2 };
                    let (left, top) = ((50 + dx * n) / scale, (50 + dy * n) / scale);
                    let (stride, width) = (big.planes[pli].width(), plane.width());
                    for (i, s) in plane.data_mut().iter_mut().enumerate() {
                        let at = (top as usize + i / width) * stride + left as usize + i % width;
                        *s = big.planes[pli].data()[at];
                    }
                }
                let packet = encoder.encode(&cut).unwrap();
                let pictures = decoders.each_mut().map(|decoder| {
                    let info = decoder.decode(&packet.data).unwrap();
                    inter += info.macroblocks.inter + info.macroblocks.inter4v;
                    samples(&decoder.picture())
                });
                assert!(pictures[0] == pictures[1], "pan {dx},{dy} at {width}x{height}, frame {n}");
            }
            assert!(inter > 40, "hardly any vectors: {inter}");
        }
    }
}

/// Luma and chroma PSNR at least, and bytes at most.
#[test]
fn quality_and_size() {
    let cases = [
        (Content::Moving, 2, 45.0, 43.6, 32_500),
        (Content::Moving, 5, 39.3, 37.8, 14_600),
        (Content::Moving, 12, 34.0, 32.0, 7_400),
        (Content::Moving, 31, 28.8, 25.6, 3_800),
        (Content::Static, 4, 43.5, 43.5, 4_000),
        (Content::Noise, 8, 31.3, 31.3, 250_000),
        (Content::Grain, 3, 38.0, 38.0, 60_000),
        (Content::Grain, 8, 32.7, 32.7, 3_000),
        (Content::Cuts, 6, 38.0, 36.6, 15_000),
    ];
    for (content, quantizer, least_y, least_c, most) in cases {
        let config = config(144, 112, quantizer);
        let mut decoder = Decoder::new();
        let (mut errors, mut counts) = ([0; 2], [0; 2]);
        let packets = encode(&config, content, 12);
        for (n, packet) in packets.iter().enumerate() {
            decoder.decode(&packet.data).unwrap();
            let source = frame(content, 144, 112, n);
            for (pli, (error, count)) in
                squared_errors(&decoder.picture(), &source.view()).into_iter().enumerate()
            {
                errors[pli.min(1)] += error;
                counts[pli.min(1)] += count;
            }
        }
        let (y, c) = (psnr(errors[0], counts[0]), psnr(errors[1], counts[1]));
        let bytes: usize = packets.iter().map(|packet| packet.data.len()).sum();
        assert!(y >= least_y, "{content:?} at {quantizer}: Y {y:.2} dB");
        assert!(c >= least_c, "{content:?} at {quantizer}: C {c:.2} dB");
        assert!(bytes <= most, "{content:?} at {quantizer}: {bytes} bytes");
    }
}

#[test]
fn a_static_scene_costs_one_bit_a_macroblock() {
    // The first pictures refine what the key frame left.
    let packets = encode(&config(176, 144, 4), Content::Static, 20);
    // 17 + 5 + 8 + 3 + 2 + 1 + 5 + 1 bits of header, 11x9 macroblocks.
    assert_eq!(packets[19].data.len(), (42 + 99usize).div_ceil(8));
}

#[test]
fn a_skipped_picture_repeats_the_last_one() {
    let mut encoder = Encoder::new(config(176, 144, 6)).unwrap();
    let mut decoder = Decoder::new();
    decoder.decode(&encoder.encode(&frame(Content::Moving, 176, 144, 0)).unwrap().data).unwrap();
    let before = samples(&encoder.reconstruction().view());
    let packet = encoder.encode_skipped();
    let info = decoder.decode(&packet.data).unwrap();
    assert!(!packet.key && !info.key);
    assert_eq!(info.macroblocks.skipped, 99);
    assert_eq!(info.bits, 17 + 5 + 8 + 3 + 2 + 1 + 5 + 1 + 99);
    assert!(samples(&decoder.picture()) == before && samples(&encoder.reconstruction().view()) == before);
}

#[test]
fn a_skipped_picture_first_is_a_black_key_frame() {
    let mut encoder = Encoder::new(config(20, 20, 6)).unwrap();
    let mut decoder = Decoder::new();
    let packet = encoder.encode_skipped();
    assert!(packet.key);
    decoder.decode(&packet.data).unwrap();
    assert_eq!(samples(&decoder.picture()), samples(&Frame::new(PixelFormat::Yuv420, 20, 20).view()));
}

#[test]
fn key_frames_come_when_due_or_asked_for() {
    let mut encoder = Encoder::new(Config { keyint: 5, ..config(32, 32, 8) }).unwrap();
    let mut keys = Vec::new();
    for n in 0..14 {
        if n == 7 {
            encoder.request_keyframe();
        }
        if encoder.encode(&frame(Content::Static, 32, 32, n)).unwrap().key {
            keys.push(n);
        }
    }
    assert_eq!(keys, [0, 5, 7, 12]);
}

/// H.263, 4.4: no macroblock gets coefficients 132 times in a row without being intra.
#[test]
fn macroblocks_are_refreshed() {
    let config = Config { keyint: u32::MAX, ..config(48, 32, 1) };
    let mut encoder = Encoder::new(config).unwrap();
    let mut decoder = Decoder::new();
    let (mut longest, mut keys) = (0, 0);
    for n in 0..300 {
        let info = decoder.decode(&encoder.encode(&frame(Content::Grain, 48, 32, n)).unwrap().data).unwrap();
        longest = longest.max(decoder.longest_update_chain());
        keys += u32::from(info.key);
    }
    assert_eq!(keys, 1);
    assert_eq!(longest, 131);
}

/// A grey picture: header, then MCBPC 1, CBPY 0011 and six INTRADC, 128 being coded as 255.
#[test]
fn bytes_of_a_grey_key_frame() {
    let mut encoder = Encoder::new(config(16, 16, 7)).unwrap();
    let mut grey = Frame::new(PixelFormat::Yuv420, 16, 16);
    grey.planes[0].data_mut().fill(128);
    grey.planes[1].data_mut().fill(100);
    let packet = encoder.encode(&grey).unwrap();
    // Start code and version 1, TR 0, size 0: 16x16, I, deblocking, PQUANT 7, no extra information.
    let header = "00000000000000001 00001 00000000 000 00010000 00010000 00 1 00111 0";
    let macroblock = "1 0011 11111111 11111111 11111111 11111111 01100100 11111111";
    let text: String = (header.to_owned() + macroblock).replace(' ', "");
    let bits: Vec<u8> = text.bytes().map(|digit| digit - b'0').collect();
    let bytes: Vec<u8> = bits
        .chunks(8)
        .map(|bits| bits.iter().zip((0..8).rev()).map(|(bit, place)| bit << place).sum())
        .collect();
    assert_eq!(packet.data, bytes);
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = Encoder::new(config(0, 600, 5)).unwrap_err();
    assert_eq!(error, ConfigError::Range { name: "width", value: 0, least: 1, most: 65535 });
    assert!(Encoder::new(config(16, 65536, 5)).is_err());
    assert!(Encoder::new(config(16, 16, 32)).is_err());
    assert!(Encoder::new(config(16, 16, 0)).is_err());
    assert!(Encoder::new(Config { keyint: 0, ..config(16, 16, 5) }).is_err());
    let mut encoder = Encoder::new(config(16, 16, 5)).unwrap();
    let other = Frame::new(PixelFormat::Yuv444, 16, 16);
    assert_eq!(encoder.encode(&other), Err(EncodeError::Format(PixelFormat::Yuv444)));
    let small = Frame::new(PixelFormat::Yuv420, 15, 16);
    assert_eq!(encoder.encode(&small), Err(EncodeError::Size { frame: (15, 16), encoder: (16, 16) }));
}
