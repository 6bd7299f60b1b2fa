//! The sound of an MP3 file.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::frame::FrameHeader;
use super::info::Info;
use super::splitter::Splitter;
use crate::error::InputError;
use crate::flv::AudioFormat;
use crate::time::Time;

/// How much is read at once.
const CHUNK: usize = 1 << 15;
/// Bytes without a frame at the start after which the file is taken for something else.
const LONGEST_SEARCH: u64 = 1 << 20;
/// Sample rates of MP3 that FLV can carry.
const RATES: [u32; 4] = [44_100, 22_050, 11_025, 8_000];

/// The frames of a file that hold sound.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    input: R,
    splitter: Splitter,
    header: FrameHeader,
    info: Info,
    /// What was found and not given.
    ready: VecDeque<Vec<u8>>,
    given: u64,
    ended: bool,
}

impl<R: Read> Frames<R> {
    /// Finds the first frame.
    ///
    /// # Errors
    /// Those of the input; if it is no MP3 file, or of a sample rate that FLV cannot carry.
    pub(crate) fn new(input: R) -> Result<Self, InputError> {
        let header =
            FrameHeader { is_mpeg1: true, sample_rate: 44_100, channels: 2, length: 0, has_crc: false };
        let mut frames = Self {
            input,
            splitter: Splitter::default(),
            header,
            info: Info::default(),
            ready: VecDeque::new(),
            given: 0,
            ended: false,
        };
        let (header, first) = loop {
            if let Some((header, frame)) = frames.splitter.next_frame() {
                break (header, frame.to_vec());
            }
            if frames.ended || frames.splitter.junk() > LONGEST_SEARCH {
                return Err(InputError::NotMp3);
            }
            frames.fill()?;
        };
        if !RATES.contains(&header.sample_rate) {
            return Err(InputError::Mp3Rate { rate: header.sample_rate });
        }
        frames.header = header;
        match Info::parse(&header, &first) {
            Some(info) => frames.info = info,
            None => frames.ready.push_back(first),
        }
        Ok(frames)
    }

    /// What the frames sound like.
    pub(crate) fn format(&self) -> AudioFormat {
        AudioFormat { sample_rate: self.header.sample_rate, stereo: self.header.channels == 2 }
    }

    /// By how much decoders delay the sound.
    pub(crate) fn delay(&self) -> Time {
        Time::from_units(self.info.delay.into(), self.header.sample_rate, 1)
    }

    /// The next frame, and when it has to be given to a decoder that is given the first one at the start.
    ///
    /// # Errors
    /// Those of the input.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<(Time, Vec<u8>)>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                let time = self.end();
                self.given += 1;
                return Ok(Some((time, frame)));
            }
            if let Some((_, frame)) = self.splitter.next_frame() {
                self.ready.push_back(frame.to_vec());
            } else if self.ended {
                return Ok(None);
            } else {
                self.fill()?;
            }
        }
    }

    /// When the frames end that were given.
    pub(crate) fn end(&self) -> Time {
        let samples = self.given * u64::from(self.header.samples());
        Time::from_units(samples as i64, self.header.sample_rate, 1)
    }

    /// Bytes passed over so far that are neither frames nor tags.
    pub(crate) fn junk(&self) -> u64 {
        self.splitter.junk()
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let count = (&mut self.input).take(CHUNK as u64).read_to_end(&mut chunk)?;
        self.splitter.push(&chunk);
        if count < CHUNK {
            self.ended = true;
            self.splitter.finish();
        }
        Ok(())
    }
}
