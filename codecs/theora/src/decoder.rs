//! The complete frame decode (Theora specification, 7.11).

use oggflv_common::FrameView;

use crate::Error;
use crate::headers::{Identification, Setup};
use crate::parse::ParsedFrame;
use crate::picture::Picture;
use crate::recon::{PlaneTask, Sources};
use crate::stream::Stream;
use crate::unchanged::{self, UnchangedBlocks, UnchangedMasks};

/// What a caller lets a stream use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Luma samples of the coded frame. Memory grows with it: three pictures of up to three planes, and up to 8 bytes
    /// for each sample of a plane in packets made to that end.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 16 Mi luma samples, as in a frame of 4096x4096.
    fn default() -> Self {
        Self { max_pixels: 16 << 20 }
    }
}

/// What a data packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An intra frame, on which later frames depend alone.
    Key,
    /// An inter frame.
    Inter,
    /// The frame before stands once more: the packet was empty or coded no block.
    Repeat,
}

/// Decodes the data packets of one stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    stream: Stream,
    frame: ParsedFrame,
    /// The golden and the previous frame, which may be the same, and at least one that is neither.
    pictures: [Picture; 3],
    golden: usize,
    previous: usize,
    /// The frame before the previous one, unless its picture has been used again.
    before_previous: Option<usize>,
    /// Which blocks of the previous frame are as they were in the frame before it.
    unchanged: UnchangedMasks,
    /// Whether the last packet brought no new frame.
    repeated: bool,
}

impl Decoder {
    /// A decoder for the stream with these headers. Inter frames before the first key frame predict from grey
    /// pictures: every sample is 0x80.
    ///
    /// # Errors
    /// If the coded frame is larger than the limits allow.
    pub fn new(identification: Identification, setup: Setup, limits: &Limits) -> Result<Self, Error> {
        let stream = Stream::new(identification, &setup, limits)?;
        let layout = &stream.layout;
        Ok(Self {
            frame: ParsedFrame::new(layout),
            pictures: [0, 1, 2].map(|_| Picture::new(layout)),
            golden: 0,
            previous: 0,
            before_previous: None,
            unchanged: UnchangedMasks::default(),
            repeated: true,
            stream,
        })
    }

    /// The identification header of the stream.
    #[must_use]
    pub fn identification(&self) -> &Identification {
        &self.stream.identification
    }

    /// Decodes a data packet. One that is cut short decodes as if zeros followed.
    ///
    /// # Errors
    /// If the packet is a header, or an intra frame with reserved bits set. The picture stays as it was, and decoding
    /// may go on with the next packet.
    pub fn decode(&mut self, packet: &[u8]) -> Result<FrameKind, Error> {
        self.repeated = true;
        let kind = self.frame.parse(packet, &self.stream)?;
        if kind == FrameKind::Repeat {
            return Ok(kind);
        }
        self.repeated = false;
        let next = self.reconstruct();
        unchanged::find(&mut self.unchanged, &self.frame, &self.stream);
        (self.before_previous, self.previous) = (Some(self.previous), next);
        if kind == FrameKind::Key {
            self.golden = next;
        }
        Ok(kind)
    }

    /// The second phase: makes a picture from the parsed frame and the references, and tells which.
    fn reconstruct(&mut self) -> usize {
        let is_free = |index: &usize| *index != self.golden && *index != self.previous;
        // The frame before the previous one has much that need not be copied.
        let next = self.before_previous.filter(is_free).or_else(|| (0..3).find(is_free)).unwrap_or_default();
        let kept = (self.before_previous == Some(next)).then_some(&self.unchanged);
        let mut picture = std::mem::take(&mut self.pictures[next]);
        let (previous, golden) = (&self.pictures[self.previous], &self.pictures[self.golden]);
        for (pli, samples) in picture.planes.iter_mut().enumerate() {
            let task = PlaneTask::new(&self.frame, &self.stream, pli);
            let kept = kept.map(|kept| [&kept[pli][..]]);
            let (previous, golden) = (&previous.planes[pli], &golden.planes[pli]);
            task.run(samples, &Sources { previous, golden, kept: kept.as_ref().map(|maps| &maps[..]) });
        }
        self.pictures[next] = picture;
        next
    }

    /// The picture region of the last frame that was decoded. Before the first frame it is grey.
    ///
    /// On a subsampled axis the chroma planes run from floor(offset / 2) to ceil((offset + length) / 2), so that they
    /// cover an odd picture region (section 4.4.4).
    #[must_use]
    pub fn picture(&self) -> FrameView<'_> {
        let planes = &self.pictures[self.previous].planes;
        self.stream.picture([&planes[0], &planes[1], &planes[2]])
    }

    /// Which blocks of a plane (0 is Y, 1 Cb, 2 Cr) are as they were in the picture of the packet before, that is the
    /// picture that the decoder had before the last call of [`decode`](Self::decode); before the first one it is grey.
    /// A packet that repeats the frame, or is refused, leaves all blocks as they were.
    ///
    /// Blocks have 8x8 samples of their plane. All samples of an unchanged block are the same, but a block that is not
    /// called unchanged may have the same samples, too. Who skips pictures has to combine the maps of all packets
    /// between.
    ///
    /// # Panics
    /// If `pli` is above 2.
    #[must_use]
    pub fn unchanged(&self, pli: usize) -> UnchangedBlocks<'_> {
        UnchangedBlocks::new(&self.stream, pli, (!self.repeated).then_some(&self.unchanged))
    }
}
