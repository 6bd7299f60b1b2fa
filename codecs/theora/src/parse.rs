//! The first phase of decoding: from a packet to everything that it says about its frame. No sample is touched, and
//! nothing depends on earlier frames.

use oggflv_common::BitReader;

use crate::coded_blocks::{self, SuperBlock};
use crate::frame_header::{FrameHeader, FrameType};
use crate::layout::Layout;
use crate::masks;
use crate::modes::{self, Mode};
use crate::motion::{self, MotionVector};
use crate::stream::Stream;
use crate::tokens::{self, Coefficient, OpenBlock};
use crate::{Error, FrameKind};
use crate::{block_qi, dc};

/// What a block is predicted from; none if it is not coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reference {
    None,
    Intra,
    Previous,
    Golden,
}

/// A parsed data packet. Arrays by block are in raster order and hold something for coded blocks only.
///
/// The buffers are reused from packet to packet. They grow with what packets hold, but never beyond 64 coefficients
/// and 64 tokens for each block of the frame.
#[derive(Clone, Debug)]
pub(crate) struct ParsedFrame {
    pub(crate) header: FrameHeader,
    /// What each block is predicted from.
    pub(crate) references: Vec<Reference>,
    /// Which blocks are coded, for each plane row by row from the bottom.
    pub(crate) coded_masks: [Vec<u64>; 3],
    /// MVECTS.
    pub(crate) vectors: Vec<MotionVector>,
    /// QIIS: index of the `qi` of the AC coefficients, 0 to 2.
    pub(crate) qiis: Vec<u8>,
    /// Quantized DC coefficients: as tokens have them, at the end without their prediction.
    pub(crate) dc: Vec<i16>,
    /// Where the AC coefficients of each block start.
    pub(crate) ac_starts: Vec<u32>,
    /// How many AC coefficients each block has.
    pub(crate) ac_counts: Vec<u8>,
    /// AC coefficients, block by block. Zeros are left out, but a block that has tokens beyond the first two
    /// coefficients has at least one entry.
    pub(crate) ac: Vec<Coefficient>,
    /// The coded blocks, in coded order.
    pub(crate) coded: Vec<u32>,
    /// Where in `coded` each plane starts; at the end, the number of coded blocks.
    pub(crate) plane_starts: [usize; 4],
    /// The coded blocks whose QIIS is above 0, in coded order.
    pub(crate) beyond_first_qi: Vec<u32>,
    /// MBMODES of inter frames: index and mode of the macro blocks that have one in the stream.
    pub(crate) modes: Vec<(u32, Mode)>,
    /// How much of each super block is coded; of inter frames only.
    pub(crate) super_blocks: Vec<SuperBlock>,
    /// The blocks that go on beyond their first tokens, in coded order.
    pub(crate) open: Vec<OpenBlock>,
    /// Tokens from coefficient 2 on, in stream order.
    pub(crate) tokens: Vec<u32>,
}

impl ParsedFrame {
    /// Buffers for frames of this layout.
    pub(crate) fn new(layout: &Layout) -> Self {
        let blocks = layout.blocks();
        Self {
            header: FrameHeader { frame_type: FrameType::Inter, qis: [63, 0, 0], nqis: 1 },
            references: vec![Reference::None; blocks],
            coded_masks: layout.planes.map(|plane| vec![0; plane.masks()]),
            vectors: vec![MotionVector::default(); blocks],
            qiis: vec![0; blocks],
            dc: vec![0; blocks],
            ac_starts: vec![0; blocks],
            ac_counts: vec![0; blocks],
            ac: Vec::new(),
            coded: Vec::with_capacity(blocks),
            plane_starts: [0; 4],
            beyond_first_qi: Vec::new(),
            modes: Vec::with_capacity(layout.macro_blocks.len()),
            super_blocks: Vec::with_capacity(layout.super_blocks.len()),
            open: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Parses a data packet: the first half of the complete frame decode (section 7.11). A packet that ends too early
    /// is taken as if zeros followed (section 5.2); an empty one codes no block.
    ///
    /// # Errors
    /// If the frame header is not that of a data packet or has reserved bits set.
    pub(crate) fn parse(&mut self, packet: &[u8], stream: &Stream) -> Result<FrameKind, Error> {
        if packet.is_empty() {
            self.header = FrameHeader { frame_type: FrameType::Inter, qis: [63, 0, 0], nqis: 1 };
            self.references.fill(Reference::None);
            self.coded_masks.iter_mut().for_each(|masks| masks.fill(0));
            self.coded.clear();
            self.plane_starts = [0; 4];
            return Ok(FrameKind::Repeat);
        }
        let layout = &stream.layout;
        let reader = &mut BitReader::new(packet);
        self.header = FrameHeader::read(reader)?;
        match self.header.frame_type {
            FrameType::Intra => coded_blocks::code_all(self, layout),
            FrameType::Inter => {
                coded_blocks::read(reader, self, layout);
                if self.coded.is_empty() {
                    return Ok(FrameKind::Repeat);
                }
                modes::read(reader, self, layout);
                motion::read(reader, self, layout);
            }
        }
        block_qi::read(reader, self);
        tokens::read(reader, self, &stream.tables);
        dc::undo_prediction(self, layout);
        Ok(match self.header.frame_type {
            FrameType::Intra => FrameKind::Key,
            FrameType::Inter => FrameKind::Inter,
        })
    }

    /// Sets what a block is predicted from, if it is coded.
    #[inline]
    pub(crate) fn predict(&mut self, block: usize, reference: Reference, vector: MotionVector) {
        if self.references[block] != Reference::None {
            self.references[block] = reference;
            self.vectors[block] = vector;
        }
    }

    /// Finds where the planes start among the coded blocks, which are in coded order, and makes the masks of coded blocks.
    pub(crate) fn find_coded(&mut self, layout: &Layout) {
        for (masks, plane) in self.coded_masks.iter_mut().zip(&layout.planes) {
            let rows = self.references[plane.range()].chunks_exact(plane.columns);
            let references = rows.flat_map(|row| row.chunks(masks::BLOCKS));
            masks.iter_mut().zip(references).for_each(|(mask, references)| *mask = masks::coded(references));
        }
        let [_, cb, cr] = layout.planes;
        let start = |first: usize| self.coded.partition_point(|&block| (block as usize) < first);
        self.plane_starts = [0, start(cb.first), start(cr.first), self.coded.len()];
    }
}
