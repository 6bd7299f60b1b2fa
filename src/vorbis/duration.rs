//! How long packets are, by their headers alone (Vorbis I, sections 4.2.2, 4.3.1 and 4.3.8).

use super::{Error, header_body, setup};

/// What the identification header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) channels: u8,
    /// Samples per second and channel; not 0.
    pub(crate) sample_rate: u32,
    /// Bits per second; 0 or less if the encoder did not say.
    pub(crate) nominal_bitrate: i32,
    /// Samples of a short and of a long block.
    block_sizes: [u16; 2],
}

impl Format {
    /// Parses the identification header (section 4.2.2).
    pub(crate) fn parse(identification: &[u8]) -> Result<Self, Error> {
        let body = header_body(identification, 1, "identification")?;
        let &[_, _, _, _, channels, r0, r1, r2, r3, _, _, _, _, n0, n1, n2, n3, _, _, _, _, sizes, ..] = body
        else {
            return Err(Error::NotHeader { header: "identification" });
        };
        let sample_rate = u32::from_le_bytes([r0, r1, r2, r3]);
        if sample_rate == 0 {
            return Err(Error::Invalid { element: "audio_sample_rate", value: 0 });
        }
        Ok(Self {
            channels,
            sample_rate,
            nominal_bitrate: i32::from_le_bytes([n0, n1, n2, n3]),
            block_sizes: [sizes & 15, sizes >> 4].map(|exponent| 1 << exponent),
        })
    }

    /// What tells the durations of packets, by the setup header.
    pub(crate) fn durations(&self, setup: &[u8]) -> Result<Durations, Error> {
        let long_modes = setup::check(setup, self.channels.max(1).into())?;
        Ok(Durations { block_sizes: self.block_sizes, long_modes, previous: None })
    }
}

/// Tells how many samples each packet of a stream completes.
#[derive(Clone, Debug)]
pub(crate) struct Durations {
    block_sizes: [u16; 2],
    /// Whether the blocks of a mode are long.
    long_modes: Vec<bool>,
    /// Size of the block before.
    previous: Option<u16>,
}

impl Durations {
    /// Samples a channel from the centre of the block before to that of this one; none if there is no block before, or if
    /// the packet is no audio packet.
    pub(crate) fn samples(&mut self, packet: &[u8]) -> i64 {
        let start = u16::from_le_bytes([
            packet.first().copied().unwrap_or(1),
            packet.get(1).copied().unwrap_or_default(),
        ]);
        // A bit that is 0, then the number of the mode in as many bits as the last one needs.
        let bits = usize::BITS - (self.long_modes.len() - 1).leading_zeros();
        let mode = usize::from(start >> 1) & ((1 << bits) - 1);
        let Some(&long) = self.long_modes.get(mode).filter(|_| start & 1 == 0) else { return 0 };
        let size = self.block_sizes[usize::from(long)];
        let previous = self.previous.replace(size);
        previous.map_or(0, |previous| i64::from(previous / 4) + i64::from(size / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ogg::Demuxer;
    use crate::vorbis::Decoder;

    /// The durations are those of what the decoder decodes.
    fn check(file: &[u8]) {
        let mut demuxer = Demuxer::new(file);
        let mut next = || demuxer.next_packet().unwrap().map(|packet| packet.data);
        let (identification, comment, setup) = (next().unwrap(), next().unwrap(), next().unwrap());
        let mut decoder = Decoder::new(&identification, &comment, &setup).unwrap();
        let format = Format::parse(&identification).unwrap();
        assert_eq!(
            (usize::from(format.channels), format.sample_rate),
            (decoder.channels(), decoder.sample_rate())
        );
        let mut durations = format.durations(&setup).unwrap();
        let mut packets = 0;
        while let Some(packet) = next() {
            let decoded = decoder.decode(&packet).unwrap().first().map_or(0, Vec::len);
            assert_eq!(durations.samples(&packet), decoded as i64, "packet {packets}");
            packets += 1;
        }
        assert!(packets > 5);
        assert_eq!((durations.samples(&[]), durations.samples(&[1])), (0, 0));
    }

    #[test]
    fn durations_are_those_of_decoded_sound() {
        check(include_bytes!("../../tests/vectors/vorbis/mono8.ogg"));
        check(include_bytes!("../../tests/vectors/vorbis/stereo.ogg"));
        check(include_bytes!("../../tests/vectors/vorbis/six.ogg"));
    }

    #[test]
    fn wrong_headers_are_refused() {
        let mut header = [&b"\x01vorbis"[..], &[0; 23]].concat();
        assert!(matches!(Format::parse(&header), Err(Error::Invalid { .. })));
        header[12] = 1;
        assert!(Format::parse(&header).is_ok());
        assert!(matches!(Format::parse(&header[..28]), Err(Error::NotHeader { .. })));
    }
}
