//! Vorbis I, section 4: headers and audio packets to PCM.

use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{HeaderReadError, IdentHeader, SetupHeader, read_header_ident, read_header_setup};

use super::{Comments, Error, Pcm, header_body, setup};
use crate::guard::quietly;

/// Most channels: those whose meaning the specification defines (section 4.3.9).
pub const MAX_CHANNELS: usize = 8;

/// Lowest sample rate accepted, in Hz: below, a small file would last for days.
pub const MIN_SAMPLE_RATE: u32 = 1_000;

/// Highest sample rate accepted, in Hz.
pub const MAX_SAMPLE_RATE: u32 = 768_000;

/// Largest amplitude that comes out; full scale is 1.
///
/// Lossy coding overshoots full scale a little. What is beyond this is no sound.
const MAX_AMPLITUDE: f32 = 16.0;

/// A decoder of one Vorbis stream, safe on any input.
///
/// The arithmetic is `lewton`'s. Before it sees the setup header, a walk bounds what it will allocate
/// (64 MB at most); the comment header it never sees; its panics become errors. The work for a packet is
/// bounded by the block size: 8 x 4096 coefficients, each with 8 residue passes, and with the order of a
/// floor of type 0 (255 at most).
///
/// `lewton` computes its windows and transforms from the platform's sine and cosine, so the last bit of a
/// sample may depend on the C library that a build is linked to.
pub struct Decoder {
    ident: IdentHeader,
    comments: Comments,
    setup: SetupHeader,
    /// Whether the blocks of a mode are long.
    long_modes: Vec<bool>,
    /// The right half of the previous block's window, which the next block overlaps.
    overlap: PreviousWindowRight,
    /// Samples after the centre of the previous block that are complete already.
    early: Pcm,
}

impl Decoder {
    /// Makes a decoder from the three header packets of a stream. The comment header may be empty: it was lost.
    ///
    /// # Errors
    /// If a header is malformed, or asks for more than [`MAX_CHANNELS`], for a sample rate out of range or for more than the
    /// memory named above.
    pub fn new(identification: &[u8], comment: &[u8], setup: &[u8]) -> Result<Self, Error> {
        header_body(identification, 1, "identification")?;
        let ident = header("identification header", || read_header_ident(identification))?;
        limit("audio_channels", ident.audio_channels.into(), MAX_CHANNELS as u64)?;
        limit("audio_sample_rate", ident.audio_sample_rate.into(), MAX_SAMPLE_RATE.into())?;
        if ident.audio_sample_rate < MIN_SAMPLE_RATE {
            return Err(Error::Invalid {
                element: "audio_sample_rate",
                value: ident.audio_sample_rate.into(),
            });
        }
        let comments = if comment.is_empty() { Comments::default() } else { Comments::parse(comment)? };
        let long_modes = setup::check(setup, ident.audio_channels.into())?;
        let setup = header("setup header", || {
            read_header_setup(setup, ident.audio_channels, (ident.blocksize_0, ident.blocksize_1))
        })?;
        let early = vec![Vec::new(); ident.audio_channels.into()];
        Ok(Self { ident, comments, setup, long_modes, overlap: PreviousWindowRight::new(), early })
    }

    /// Samples per second and channel, [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`].
    pub fn sample_rate(&self) -> u32 {
        self.ident.audio_sample_rate
    }

    /// Number of channels, 1..=[`MAX_CHANNELS`].
    pub fn channels(&self) -> usize {
        self.ident.audio_channels.into()
    }

    /// The comment header.
    pub fn comments(&self) -> &Comments {
        &self.comments
    }

    /// Decodes one audio packet to the samples from the centre of the previous block to the centre of this
    /// one (section 4.3.8), which is what granule positions count: at most 4096 a channel, or 8192 where the
    /// window flags of a malformed stream contradict each other. None for the first packet and the first
    /// after [`reset`](Self::reset); the one after that gives fewer than its due if it is a short block after
    /// a long one.
    ///
    /// Full scale is 1; overshoots are kept, up to 16. For the order of the channels see [`Pcm`].
    ///
    /// # Errors
    /// If the packet cannot be decoded. The decoder stays usable: after [`Error::NotAudio`] as if the
    /// packet had not been there, after any other error as if it had been reset.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Pcm, Error> {
        if packet.first().is_none_or(|first| first & 1 == 1) {
            return Err(Error::NotAudio);
        }
        let decoded =
            quietly(|| read_audio_packet_generic(&self.ident, &self.setup, packet, &mut self.overlap));
        let complete: Pcm = match decoded {
            Some(Ok(pcm)) => pcm,
            Some(Err(error)) => {
                self.reset();
                return Err(Error::Packet(error.to_string()));
            }
            None => {
                self.reset();
                return Err(Error::Panicked { what: "audio packet" });
            }
        };
        let start = u16::from_le_bytes([packet[0], packet.get(1).copied().unwrap_or(0)]);
        let mut pcm = self.up_to_centre(complete, start);
        for sample in pcm.iter_mut().flatten() {
            *sample = if sample.is_nan() { 0.0 } else { sample.clamp(-MAX_AMPLITUDE, MAX_AMPLITUDE) };
        }
        to_wave_order(&mut pcm);
        Ok(pcm)
    }

    /// Of the samples that a packet completed, and those completed early before, keeps back those after the
    /// centre of its block. `start` is the first 16 bits of the packet.
    fn up_to_centre(&mut self, complete: Pcm, start: u16) -> Pcm {
        let early = self.complete_after_centre(start);
        let mut pcm = std::mem::take(&mut self.early);
        for (channel, complete) in pcm.iter_mut().zip(complete) {
            channel.extend(complete);
            self.early.push(channel.split_off(channel.len().saturating_sub(early)));
        }
        pcm
    }

    /// How many samples after the centre of its block a packet completes, by its first 16 bits (section
    /// 4.3.1): where a short window follows a long block, those before that window.
    fn complete_after_centre(&self, start: u16) -> usize {
        let mode_bits = setup::ilog(self.long_modes.len() as u32 - 1);
        let mode = usize::from(start >> 1) & ((1 << mode_bits) - 1);
        let long = self.long_modes.get(mode).copied().unwrap_or(false);
        // After the packet type, the mode and the flag of the previous window.
        let next_window_long = start >> (1 + mode_bits + 1) & 1 == 1;
        if long && !next_window_long {
            ((1 << self.ident.blocksize_1) - (1 << self.ident.blocksize_0)) / 4
        } else {
            0
        }
    }

    /// Forgets the previous block, as is right after a loss: the next packet yields nothing and only
    /// primes the overlap.
    pub fn reset(&mut self) {
        self.overlap = PreviousWindowRight::new();
        self.early.iter_mut().for_each(Vec::clear);
    }
}

/// Reads a header under guard.
fn header<T>(what: &'static str, read: impl FnOnce() -> Result<T, HeaderReadError>) -> Result<T, Error> {
    match quietly(read) {
        Some(Ok(header)) => Ok(header),
        Some(Err(error)) => Err(Error::Header(format!("{what}: {error}"))),
        None => Err(Error::Panicked { what }),
    }
}

fn limit(element: &'static str, value: u64, limit: u64) -> Result<(), Error> {
    if value > limit { Err(Error::Limit { element, value, limit }) } else { Ok(()) }
}

/// Brings the channels from the order of section 4.3.9 into that of [`Pcm`].
pub(crate) fn to_wave_order(pcm: &mut Pcm) {
    match pcm.len() {
        // L C R ... → L R C ...
        3 | 5 => pcm.swap(1, 2),
        // L C R l r LFE → L R C LFE l r; the same with side and rear channels.
        6..=8 => {
            pcm.swap(1, 2);
            pcm[3..].rotate_right(1);
            match pcm.len() {
                // side left, side right, rear centre → rear centre, side left, side right
                7 => pcm[4..].rotate_right(1),
                // side left, side right, rear left, rear right → rear, side
                8 => pcm[4..].rotate_right(2),
                _ => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_in_wave_order() {
        let orders: [(&[&str], &[&str]); 8] = [
            (&["M"], &["M"]),
            (&["L", "R"], &["L", "R"]),
            (&["L", "C", "R"], &["L", "R", "C"]),
            (&["L", "R", "BL", "BR"], &["L", "R", "BL", "BR"]),
            (&["L", "C", "R", "BL", "BR"], &["L", "R", "C", "BL", "BR"]),
            (&["L", "C", "R", "BL", "BR", "LFE"], &["L", "R", "C", "LFE", "BL", "BR"]),
            (&["L", "C", "R", "SL", "SR", "BC", "LFE"], &["L", "R", "C", "LFE", "BC", "SL", "SR"]),
            (
                &["L", "C", "R", "SL", "SR", "BL", "BR", "LFE"],
                &["L", "R", "C", "LFE", "BL", "BR", "SL", "SR"],
            ),
        ];
        for (vorbis, wave) in orders {
            let number = |name: &&str| vorbis.iter().position(|v| v == name).unwrap() as f32;
            let mut pcm: Pcm = (0..vorbis.len()).map(|c| vec![c as f32]).collect();
            to_wave_order(&mut pcm);
            assert_eq!(pcm.concat(), wave.iter().map(number).collect::<Vec<_>>(), "{wave:?}");
        }
    }
}
