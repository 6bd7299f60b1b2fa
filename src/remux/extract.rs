//! The sound of a film as an MP3 file.

use std::io::Write;

use super::tags::milliseconds;
use super::walk::{self, Start, Walk};
use super::{GoOn, Job, Options, Report};
use crate::error::{Error, InputError};
use crate::flv::{SOUND_FORMAT_MP3, SOUND_FORMAT_MP3_8K, TagType, audio_codec_name};
use crate::mp3::{FrameHeader, Info, Seek, Splitter};

/// Is given the frames.
type TakeFrame<'a> = &'a mut dyn FnMut(&FrameHeader, &[u8]) -> Result<(), Error>;

impl Job<'_> {
    /// Writes the MP3 frames of all audio tags, behind one that tells players how long it is and where to seek.
    pub(super) fn write_mp3(&self, out: &mut dyn Write, go_on: GoOn<'_>) -> Result<Report, Error> {
        let (input, formats) = self.film.first();
        match formats.audio_codec() {
            Some(SOUND_FORMAT_MP3 | SOUND_FORMAT_MP3_8K) => {}
            Some(other) => {
                let problem = format!("its sound is {}", audio_codec_name(other));
                return Err(input.error(InputError::NoMp3(problem)));
            }
            None => return Err(input.error(InputError::NoMp3("it has no sound".to_owned()))),
        }
        let options = Options { video: false, ..self.options.clone() };
        let start = walk::find_start(self.film, &options, go_on)?;
        let mut seek = Seek::default();
        let mut rate = None;
        self.frames(&options, &start, go_on, &mut |header, _| {
            rate.get_or_insert((header.sample_rate, header.samples()));
            seek.add(header);
            Ok(())
        })?;
        let (Some(first), Some((sample_rate, samples))) = (seek.to_frame(), rate) else {
            return Err(input.error(InputError::NoMp3("its sound has no frames".to_owned())));
        };
        out.write_all(&first).map_err(|problem| self.output_error(problem))?;
        let mut bytes = first.len() as u64;
        let warnings = self.frames(&options, &start, go_on, &mut |_, frame| {
            bytes += frame.len() as u64;
            out.write_all(frame).map_err(|problem| self.output_error(problem))
        })?;
        let duration = i64::from(seek.frames()) * i64::from(samples) * 1000 / i64::from(sample_rate);
        Ok(Report {
            duration: milliseconds(duration),
            bytes,
            start: milliseconds(start.time),
            sounds: seek.frames().into(),
            warnings,
            ..Report::default()
        })
    }

    /// Gives on every frame that holds sound; returns what the user should know.
    fn frames(
        &self,
        options: &Options,
        start: &Start,
        go_on: GoOn<'_>,
        take: TakeFrame<'_>,
    ) -> Result<Vec<String>, Error> {
        let mut walk = Walk::new(self.film, options, start, true);
        let mut splitter = Splitter::default();
        let mut is_first = true;
        let mut is_over = false;
        while !is_over {
            match walk.next(go_on)? {
                Some(tag) if tag.tag_type == TagType::Audio => splitter.push(&tag.body[1..]),
                Some(_) => continue,
                None => {
                    splitter.finish();
                    is_over = true;
                }
            }
            while let Some((header, frame)) = splitter.next_frame() {
                // What an encoder said of the whole is not so of a part.
                if !std::mem::take(&mut is_first) || Info::parse(&header, frame).is_none() {
                    take(&header, frame)?;
                }
            }
        }
        let mut warnings = walk.into_warnings();
        if splitter.junk() > 0 {
            warnings.push(format!("{} bytes of sound are no MP3 frames and are left out", splitter.junk()));
        }
        Ok(warnings)
    }
}
