//! The reference decoder against ffmpeg's, picture by picture; see golden/README.md.

mod common;

use common::samples;
use oggflv_sorenson::Decoder;

/// CRC-32 as in zlib and PNG.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 != 0 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

/// The pictures in the video tags of an FLV file.
fn pictures(file: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut pictures) = (&file[13..], Vec::new());
    while let Some(header) = rest.first_chunk::<11>() {
        let size = header[1..4].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        if header[0] == 9 {
            pictures.push(&rest[12..11 + size]);
        }
        rest = &rest[15 + size..];
    }
    pictures
}

#[test]
fn pictures_are_those_of_ffmpeg() {
    let files: [(&str, &[u8]); 4] = [
        ("moving", include_bytes!("golden/moving.flv")),
        ("noise", include_bytes!("golden/noise.flv")),
        ("cuts", include_bytes!("golden/cuts.flv")),
        ("ffmpeg", include_bytes!("golden/ffmpeg.flv")),
    ];
    let expected = include_str!("golden/crc32.txt");
    let (mut actual, mut inter4v) = (String::new(), 0);
    for (name, file) in files {
        let mut decoder = Decoder::new();
        for picture in pictures(file) {
            inter4v += decoder.decode(picture).unwrap().macroblocks.inter4v;
            actual += &format!("{name} {:08x}\n", crc32(&samples(&decoder.picture())));
        }
    }
    assert_eq!(actual, expected);
    assert!(inter4v > 100, "the files are to have many vectors: {inter4v}");
}
