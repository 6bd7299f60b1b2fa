//! The tags of a part of a film, from one file to the next.

use std::collections::VecDeque;
use std::fs::File;

use super::tags::{Tag, Tags, milliseconds};
use super::{Film, GoOn, Options};
use crate::error::{Error, InputError};
use crate::flv::TagType;
use crate::time::Time;

/// Bytes after which the user is asked whether to go on.
pub(super) const ASK_BYTES: u64 = 1 << 20;
/// How far tags may be out of order: a part is over when they are behind its end by this.
const DISORDER: i64 = 10_000;
/// What a tag lasts at most, where only the next one would tell.
const LONGEST_TAG: i64 = 1000;

/// Where a part begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// Milliseconds of the film.
    pub(super) time: i64,
    /// Which of all tags is the first picture.
    tag: u64,
}

/// Finds the last key frame that is not behind the start of the part, or the first one there is. Without pictures it is the
/// first sound that is not before.
pub(super) fn find_start(film: &Film, options: &Options, go_on: GoOn<'_>) -> Result<Start, Error> {
    if options.start == Time::ZERO {
        return Ok(Start::default());
    }
    let wanted = options.start.milliseconds();
    let has_pictures = film.first().1.video.is_some() && options.video;
    let all = Options { start: Time::ZERO, end: Time::MAX, ..options.clone() };
    let mut walk = Walk::new(film, &all, &Start::default(), true);
    let (mut found, mut is_behind) = (None, false);
    while let Some(tag) = walk.next(go_on)? {
        is_behind |= tag.time >= wanted && tag.tag_type != TagType::Script;
        let start = Some(Start { time: tag.time, tag: walk.number });
        match tag.tag_type {
            TagType::Video if is_start(&tag) && (found.is_none() || tag.time <= wanted) => found = start,
            TagType::Audio if !has_pictures && tag.time >= wanted => found = found.or(start),
            _ => {}
        }
        if found.is_some() && tag.time > wanted + DISORDER {
            break;
        }
    }
    let end = milliseconds(walk.end());
    match found {
        _ if !is_behind && end <= options.start => {
            Err(film.first().0.error(InputError::StartsBehindEnd { end }))
        }
        Some(start) => Ok(start),
        None => Ok(Start { time: wanted, tag: 0 }),
    }
}

/// Whether decoding can begin with a tag.
fn is_start(tag: &Tag) -> bool {
    tag.is_key_frame && !tag.is_header && !tag.is_end
}

/// Goes over the tags of a part.
pub(super) struct Walk<'a> {
    film: &'a Film,
    options: &'a Options,
    start: Start,
    /// Whether sound is wanted.
    sound: bool,
    /// Which input is read.
    index: usize,
    tags: Option<Tags<'a, &'a File>>,
    /// Where the input that is read begins in the film.
    base: i64,
    /// Where sound and pictures end so far, and how long their last tags last.
    ends: [(i64, i64); 2],
    /// Where the last script data stand.
    last_script: i64,
    /// Which tag of all was read last, from 1 on.
    number: u64,
    /// What sets the decoders up, of sound and of pictures, before the part.
    headers: [Option<Tag>; 2],
    ready: VecDeque<Tag>,
    /// Whether a key frame of the input came.
    has_key_frame: bool,
    /// Pictures of the input that were left out since the key frame that they need is missing.
    undecodable: u64,
    /// Where what was given ends.
    end: i64,
    asked: u64,
    warnings: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(film: &'a Film, options: &'a Options, start: &Start, sound: bool) -> Self {
        Self {
            film,
            options,
            start: *start,
            sound: sound && options.sound,
            index: 0,
            tags: None,
            base: 0,
            ends: [(0, 0); 2],
            last_script: 0,
            number: 0,
            headers: [None, None],
            ready: VecDeque::new(),
            has_key_frame: false,
            undecodable: 0,
            end: 0,
            asked: 0,
            warnings: Vec::new(),
        }
    }

    /// The next tag, its time counted from the start of the part.
    pub(super) fn next(&mut self, go_on: GoOn<'_>) -> Result<Option<Tag>, Error> {
        loop {
            if let Some(tag) = self.ready.pop_front() {
                return Ok(Some(tag));
            }
            let Some(tag) = self.read(go_on)? else { return Ok(None) };
            self.number += 1;
            self.take(tag);
        }
    }

    /// Where the part ends, in milliseconds from its start.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// What the user should know, a sentence each, once there is no further tag.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The next tag of the film, of any input.
    fn read(&mut self, go_on: GoOn<'_>) -> Result<Option<Tag>, Error> {
        loop {
            let Some((input, formats)) = self.film.inputs.get(self.index) else { return Ok(None) };
            if self.tags.is_none() {
                let tags = input.rewound().and_then(|file| Tags::new(file, formats));
                self.tags = Some(tags.map_err(|problem| input.error(problem))?);
                self.has_key_frame = false;
                self.asked = 0;
            }
            let Some(tags) = &mut self.tags else { return Ok(None) };
            if tags.offset() >= self.asked + ASK_BYTES {
                self.asked = tags.offset();
                if go_on().is_break() {
                    return Err(Error::Interrupted);
                }
            }
            let over = self.options.end.milliseconds().saturating_add(DISORDER);
            match tags.next_tag().map_err(|problem| input.error(problem))? {
                Some(tag) if self.base + tag.time <= over => return Ok(Some(tag)),
                Some(_) => {
                    self.warn();
                    self.tags = None;
                    self.index = self.film.inputs.len();
                }
                None => {
                    self.warn();
                    self.tags = None;
                    self.index += 1;
                    self.base = self.ends.iter().map(|(time, length)| time + length).max().unwrap_or(0);
                }
            }
        }
    }

    /// Collects what there is to say of the input that was read.
    fn warn(&mut self) {
        let Some(tags) = &self.tags else { return };
        let several = self.film.inputs.len() > 1;
        let name = self.film.inputs.get(self.index).map_or("", |(input, _)| &input.name);
        let named = |warning| if several { format!("{name}: {warning}") } else { warning };
        self.warnings.extend(tags.warnings().into_iter().map(named));
        let pictures = std::mem::take(&mut self.undecodable);
        if self.options.video
            && self.film.inputs.get(self.index).is_some_and(|(_, formats)| formats.lacks_key_frame())
        {
            self.warnings.push(named("there is no key frame: players show nothing, or garbage".to_owned()));
        } else if pictures > 0 {
            let what = "pictures are left out, since the key frame before them is missing";
            self.warnings.push(named(format!("{pictures} {what}")));
        }
    }

    /// Gives a tag on if it belongs to the part.
    fn take(&mut self, mut tag: Tag) {
        let time = self.base + tag.time;
        let kind = match tag.tag_type {
            TagType::Audio => 0,
            TagType::Video => 1,
            TagType::Script => {
                // As near to its own time as does not go back.
                let time = time.max(self.last_script);
                self.last_script = time;
                let is_metadata = tag.body.starts_with(b"\x02\x00\x0AonMetaData");
                let is_inside = time >= self.start.time && time < self.options.end.milliseconds();
                if !is_metadata && is_inside {
                    tag.time = time - self.start.time;
                    self.ready.push_back(tag);
                }
                return;
            }
        };
        let (last, length) = &mut self.ends[kind];
        if time > *last {
            *length = (time - *last).min(LONGEST_TAG);
            *last = time;
        }
        let length = *length;
        let is_wanted = if kind == 0 { self.sound } else { self.options.video };
        let is_last = self.index + 1 == self.film.inputs.len();
        if !is_wanted || tag.is_end && !is_last {
            return;
        }
        let is_before = if kind == 0 { time < self.start.time } else { self.number < self.start.tag };
        if is_before {
            if tag.is_header {
                self.headers[kind] = Some(tag);
            }
            return;
        }
        if time >= self.options.end.milliseconds() {
            return;
        }
        if kind == 1 && !tag.is_header {
            self.has_key_frame |= is_start(&tag);
            let has_some = self.film.inputs.get(self.index).is_some_and(|(_, formats)| formats.has_key_frame);
            if !self.has_key_frame && has_some {
                self.undecodable += 1;
                return;
            }
        }
        if let Some(mut header) = self.headers[kind].take().filter(|_| !tag.is_header) {
            header.time = (time - self.start.time).max(0);
            self.ready.push_back(header);
        }
        tag.time = (time - self.start.time).max(0);
        self.end = self
            .end
            .max((tag.time + length).min(self.options.end.milliseconds().saturating_sub(self.start.time)));
        self.ready.push_back(tag);
    }
}
