//! A small reference decoder, written from the standard apart from the encoder: it shares the printed tables only.
//!
//! It takes what FLV1 allows: both versions, I, P and disposable pictures, DQUANT, INTER4V, stuffing. Simplicity
//! comes before speed. No data makes it panic. It allocates at most 200 bytes for each byte of an I picture, and for
//! a P picture what its I picture took.

use crate::error::DecodeError;
use crate::tables::{
    CBPY, CHROMA_SIXTEENTHS, Code, DQUANT, MCBPC_I, MCBPC_P, MCBPC_STUFFING, MVD, TCOEF, TCOEF_ESCAPE, ZIGZAG,
};
use oggflv_common::{BitReader, Frame, FrameView, PixelFormat, Plane, PlaneView};

/// What repeats behind the right and the bottom edge of a reference, if the picture does not fill its macroblocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// The last samples of the macroblocks, as in ffmpeg.
    #[default]
    Coded,
    /// The last samples of the picture, as in decoders that crop it first.
    Visible,
}

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureInfo {
    /// Version of the escape code, 0 or 1.
    pub version: u8,
    /// Width in samples.
    pub width: usize,
    /// Height in samples.
    pub height: usize,
    /// Whether it is an I picture.
    pub key: bool,
    /// Whether no other picture refers to it.
    pub disposable: bool,
    /// PQUANT, 1 to 31.
    pub quantizer: u8,
    /// TemporalReference.
    pub temporal_reference: u8,
    /// The bits before the padding.
    pub bits: u64,
    /// How many macroblocks of each kind there are.
    pub macroblocks: MacroblockCounts,
}

impl PictureInfo {
    /// What the header at the start of a picture says, without decoding the picture. `bits` and `macroblocks` stay 0.
    ///
    /// # Errors
    /// If the data does not begin with a whole header that follows the standard.
    pub fn of_header(picture: &[u8]) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(picture);
        let info = read_header(&mut bits)?;
        if bits.is_past_end() {
            return Err(DecodeError::UnexpectedEnd { length: picture.len() });
        }
        Ok(info)
    }
}

/// How many macroblocks of a picture are coded in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacroblockCounts {
    /// Repeated from the reference.
    pub skipped: usize,
    /// With one vector.
    pub inter: usize,
    /// With a vector for each luma block.
    pub inter4v: usize,
    /// Without prediction.
    pub intra: usize,
}

/// Decodes pictures, one after the other.
#[derive(Clone, Debug)]
pub struct Decoder {
    edge: Edge,
    tables: Tables,
    /// Planes of whole macroblocks.
    shown: Option<Picture>,
    reference: Option<Picture>,
    /// How many pictures in a row gave coefficients to each macroblock without one that was intra.
    updates: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Picture {
    width: usize,
    height: usize,
    frame: Frame,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen no picture and repeats the edges of coded pictures.
    #[must_use]
    pub fn new() -> Self {
        Self::with_edge(Edge::Coded)
    }

    /// A decoder that has seen no picture.
    #[must_use]
    pub fn with_edge(edge: Edge) -> Self {
        Self { edge, tables: Tables::new(), shown: None, reference: None, updates: Vec::new() }
    }

    /// The picture decoded last, or a black one of 1x1 before that.
    ///
    /// The view has the size of the picture; its planes are those of whole macroblocks.
    #[must_use]
    pub fn picture(&self) -> FrameView<'_> {
        const BLACK: FrameView<'static> = FrameView {
            format: PixelFormat::Yuv420,
            planes: [
                PlaneView { width: 1, height: 1, stride: 1, data: &[16] },
                PlaneView { width: 1, height: 1, stride: 1, data: &[128] },
                PlaneView { width: 1, height: 1, stride: 1, data: &[128] },
            ],
        };
        let Some(picture) = &self.shown else { return BLACK };
        let mut view = picture.frame.view();
        for (pli, plane) in view.planes.iter_mut().enumerate() {
            (plane.width, plane.height) = PixelFormat::Yuv420.plane_size(pli, picture.width, picture.height);
        }
        view
    }

    /// The largest number of pictures that have given coefficients to any one macroblock since it was last intra.
    #[must_use]
    pub fn longest_update_chain(&self) -> u32 {
        self.updates.iter().copied().max().unwrap_or(0)
    }

    /// Decodes one picture.
    ///
    /// # Errors
    /// If the data is not a picture that follows the standard; the state of the decoder is as before then.
    pub fn decode(&mut self, data: &[u8]) -> Result<PictureInfo, DecodeError> {
        let mut bits = BitReader::new(data);
        let mut info = read_header(&mut bits)?;
        let (mb_width, mb_height) = (info.width.div_ceil(16), info.height.div_ceil(16));
        // A skipped macroblock has one bit, an intra one MCBPC, CBPY and six INTRADC.
        let least_bits = (mb_width * mb_height) as u64 * if info.key { 1 + 2 + 48 } else { 1 };
        if bits.is_past_end() || least_bits > data.len() as u64 * 8 - bits.position() {
            return Err(DecodeError::UnexpectedEnd { length: data.len() });
        }
        let reference = self.reference.as_ref().filter(|r| (r.width, r.height) == (info.width, info.height));
        if !info.key && reference.is_none() {
            return Err(DecodeError::NoReference);
        }
        let mut decoding = Decoding {
            tables: &self.tables,
            length: data.len(),
            version: info.version,
            key: info.key,
            quantizer: info.quantizer.into(),
            mb_width,
            limits: match self.edge {
                Edge::Coded => (16 * mb_width, 16 * mb_height),
                Edge::Visible => (info.width, info.height),
            },
            reference: reference.map(|r| &r.frame),
            frame: Frame::new(PixelFormat::Yuv420, 16 * mb_width, 16 * mb_height),
            vectors: vec![[[0; 2]; 4]; mb_width * mb_height],
            coded: vec![Coded::Untouched; mb_width * mb_height],
            counts: MacroblockCounts::default(),
            bits,
        };
        for mb_y in 0..mb_height {
            for mb_x in 0..mb_width {
                decoding.macroblock(mb_x, mb_y)?;
            }
        }
        (info.bits, info.macroblocks) = (decoding.bits.position(), decoding.counts);
        let (frame, coded) = (decoding.frame, decoding.coded);
        self.updates.resize(coded.len(), 0);
        for (updates, coded) in self.updates.iter_mut().zip(coded) {
            match coded {
                Coded::Untouched => {}
                Coded::Updated => *updates += 1,
                Coded::Intra => *updates = 0,
            }
        }
        let picture = Picture { width: info.width, height: info.height, frame };
        if !info.disposable {
            self.reference = Some(picture.clone());
        }
        self.shown = Some(picture);
        Ok(info)
    }
}

/// Reads the picture header up to PEI and what follows it.
fn read_header(bits: &mut BitReader<'_>) -> Result<PictureInfo, DecodeError> {
    let start = bits.read(17);
    if start != 1 {
        return Err(DecodeError::StartCode(start));
    }
    let version = bits.read(5);
    if version > 1 {
        return Err(DecodeError::Version(version));
    }
    let temporal_reference = bits.read(8) as u8;
    let code = bits.read(3);
    let (width, height) = match code {
        0 => (bits.read(8), bits.read(8)),
        1 => (bits.read(16), bits.read(16)),
        2 => (352, 288),
        3 => (176, 144),
        4 => (128, 96),
        5 => (320, 240),
        6 => (160, 120),
        _ => (0, 0),
    };
    if width == 0 || height == 0 {
        return Err(DecodeError::PictureSize { code, width, height });
    }
    let picture_type = bits.read(2);
    if picture_type == 3 {
        return Err(DecodeError::PictureType(picture_type));
    }
    bits.skip(1); // DeblockingFlag
    let quantizer = bits.read(5) as u8;
    if quantizer == 0 {
        return Err(DecodeError::Quantizer);
    }
    while bits.read_bit() {
        bits.skip(8); // ExtraInformation
    }
    Ok(PictureInfo {
        version: version as u8,
        width: width as usize,
        height: height as usize,
        key: picture_type == 0,
        disposable: picture_type == 2,
        quantizer,
        temporal_reference,
        bits: 0,
        macroblocks: MacroblockCounts::default(),
    })
}

/// What a picture does to a macroblock, for the count of updates.
#[derive(Clone, Copy, Debug)]
enum Coded {
    Untouched,
    Updated,
    Intra,
}

/// A picture being decoded.
struct Decoding<'a> {
    tables: &'a Tables,
    bits: BitReader<'a>,
    /// Bytes of data.
    length: usize,
    version: u8,
    key: bool,
    /// QUANT, which DQUANT changes.
    quantizer: i32,
    mb_width: usize,
    /// Size of what may be read of the luma plane of the reference.
    limits: (usize, usize),
    reference: Option<&'a Frame>,
    frame: Frame,
    /// Vectors of the luma blocks of every macroblock, in half samples.
    vectors: Vec<[[i32; 2]; 4]>,
    coded: Vec<Coded>,
    counts: MacroblockCounts,
}

impl Decoding<'_> {
    /// Decodes a macroblock (H.263, 5.3).
    fn macroblock(&mut self, mb_x: usize, mb_y: usize) -> Result<(), DecodeError> {
        let at = mb_y * self.mb_width + mb_x;
        let mcbpc = loop {
            if !self.key && self.bits.read_bit() {
                self.counts.skipped += 1;
                self.predict(mb_x, mb_y, &[[0; 2]; 4]);
                return self.check_end();
            }
            let table = if self.key { &self.tables.mcbpc_i } else { &self.tables.mcbpc_p };
            match table.read(&mut self.bits)? {
                Some(mcbpc) => break mcbpc,
                None => self.check_end()?, // stuffing
            }
        };
        let mut cbpy = self.tables.cbpy.read(&mut self.bits)?;
        if !mcbpc.intra {
            cbpy ^= 15;
        }
        if mcbpc.dquant {
            let dquant = DQUANT[self.bits.read(2) as usize];
            self.quantizer = (self.quantizer + i32::from(dquant)).clamp(1, 31);
        }
        if mcbpc.intra {
            self.counts.intra += 1;
            self.coded[at] = Coded::Intra;
        } else {
            let vectors = self.read_vectors(mb_x, mb_y, mcbpc.four)?;
            *(if mcbpc.four { &mut self.counts.inter4v } else { &mut self.counts.inter }) += 1;
            self.predict(mb_x, mb_y, &vectors);
        }
        let cbp = cbpy << 2 | mcbpc.cbpc;
        if cbp != 0 && !mcbpc.intra {
            self.coded[at] = Coded::Updated;
        }
        for block in 0..6 {
            let coefficients = self.block(mcbpc.intra, cbp >> (5 - block) & 1 != 0)?;
            self.add(mb_x, mb_y, block, &inverse_dct(&coefficients), mcbpc.intra);
        }
        self.check_end()
    }

    fn check_end(&self) -> Result<(), DecodeError> {
        if self.bits.is_past_end() {
            return Err(DecodeError::UnexpectedEnd { length: self.length });
        }
        Ok(())
    }

    /// Reads MVD and restores one or four vectors (H.263, 6.1.1 and F.2).
    fn read_vectors(&mut self, mb_x: usize, mb_y: usize, four: bool) -> Result<[[i32; 2]; 4], DecodeError> {
        let at = mb_y * self.mb_width + mb_x;
        for block in 0..if four { 4 } else { 1 } {
            let mut vector = [0; 2];
            for component in 0..2 {
                let predictor = self.predictor(mb_x, mb_y, block, component);
                let magnitude = self.tables.mvd.read(&mut self.bits)?;
                let difference = if magnitude != 0 && self.bits.read_bit() { -magnitude } else { magnitude };
                let sum = predictor + difference;
                vector[component] = (sum + 32).rem_euclid(64) - 32;
            }
            self.vectors[at][block] = vector;
        }
        if !four {
            self.vectors[at] = [self.vectors[at][0]; 4];
        }
        Ok(self.vectors[at])
    }

    /// Median of the vectors of three neighbouring blocks, on a grid of 8x8 luma samples (Figures 12 and F.1).
    fn predictor(&self, mb_x: usize, mb_y: usize, block: usize, component: usize) -> i32 {
        let (x, y) = ((2 * mb_x + block % 2) as isize, (2 * mb_y + block / 2) as isize);
        let on_grid = |x: isize, y: isize| {
            let outside = x < 0 || x >= 2 * self.mb_width as isize;
            (!outside).then(|| {
                let (x, y) = (x as usize, y as usize);
                self.vectors[y / 2 * self.mb_width + x / 2][y % 2 * 2 + x % 2][component]
            })
        };
        let left = on_grid(x - 1, y).unwrap_or(0);
        if y == 0 {
            return left;
        }
        let above = on_grid(x, y - 1).unwrap_or(0);
        let third = match block {
            0 => on_grid(x + 2, y - 1),
            1 | 2 => on_grid(x + 1, y - 1),
            _ => on_grid(x - 1, y - 1),
        };
        let mut all = [left, above, third.unwrap_or(0)];
        all.sort_unstable();
        all[1]
    }

    /// Predicts the macroblock from the reference.
    fn predict(&mut self, mb_x: usize, mb_y: usize, vectors: &[[i32; 2]; 4]) {
        let Some(reference) = self.reference else { return };
        let chroma = [0, 1].map(|component| {
            let sum: i32 = vectors.iter().map(|vector| vector[component]).sum();
            sum.div_euclid(16) * 2 + i32::from(CHROMA_SIXTEENTHS[sum.rem_euclid(16) as usize])
        });
        for pli in 0..3 {
            let (limit_x, limit_y) = PixelFormat::Yuv420.plane_size(pli, self.limits.0, self.limits.1);
            let from = &reference.planes[pli];
            let sample = |x: isize, y: isize| {
                let (x, y) = (x.clamp(0, limit_x as isize - 1), y.clamp(0, limit_y as isize - 1));
                i32::from(from.data()[y as usize * from.width() + x as usize])
            };
            let size = if pli == 0 { 16 } else { 8 };
            let to: &mut Plane = &mut self.frame.planes[pli];
            let stride = to.width();
            for row in 0..size {
                for column in 0..size {
                    let vector = if pli == 0 { vectors[row / 8 * 2 + column / 8] } else { chroma };
                    let (half_x, half_y) = (vector[0] & 1 != 0, vector[1] & 1 != 0);
                    let x = (mb_x * size + column) as isize + (vector[0] >> 1) as isize;
                    let y = (mb_y * size + row) as isize + (vector[1] >> 1) as isize;
                    let value = match (half_x, half_y) {
                        (false, false) => sample(x, y),
                        (true, false) => (sample(x, y) + sample(x + 1, y) + 1) / 2,
                        (false, true) => (sample(x, y) + sample(x, y + 1) + 1) / 2,
                        (true, true) => {
                            (sample(x, y) + sample(x + 1, y) + sample(x, y + 1) + sample(x + 1, y + 1) + 2)
                                / 4
                        }
                    };
                    to.data_mut()[(mb_y * size + row) * stride + mb_x * size + column] = value as u8;
                }
            }
        }
    }

    /// Reads the coefficients of a block (H.263, 5.4 and 6.2.1).
    fn block(&mut self, intra: bool, coded: bool) -> Result<[i32; 64], DecodeError> {
        let mut coefficients = [0; 64];
        let mut index = 0;
        if intra {
            let code = self.bits.read(8);
            coefficients[0] = match code {
                0 | 128 => return Err(DecodeError::IntraDc(code)),
                255 => 8 * 128,
                _ => 8 * code as i32,
            };
            index = 1;
        }
        let mut last = !coded;
        while !last {
            let (run, level);
            (last, run, level) = self.tcoef()?;
            index += run;
            if index > 63 {
                return Err(DecodeError::Run { index });
            }
            let q = self.quantizer;
            let magnitude = q * (2 * level.abs() + 1) - i32::from(q % 2 == 0);
            coefficients[usize::from(ZIGZAG[index])] = (magnitude * level.signum()).clamp(-2048, 2047);
            index += 1;
        }
        Ok(coefficients)
    }

    /// Reads LAST, RUN and LEVEL.
    fn tcoef(&mut self) -> Result<(bool, usize, i32), DecodeError> {
        if let Some((last, run, level)) = self.tables.tcoef.read(&mut self.bits)? {
            return Ok((last, run, if self.bits.read_bit() { -level } else { level }));
        }
        let width = match (self.version, self.version != 0 && self.bits.read_bit()) {
            (0, _) => 8,
            (_, false) => 7,
            (_, true) => 11,
        };
        let last = self.bits.read_bit();
        let run = self.bits.read(6) as usize;
        let level = (self.bits.read(width) as i32) << (32 - width) >> (32 - width);
        if level == 0 || level == -1 << (width - 1) {
            return Err(DecodeError::EscapedLevel(level));
        }
        Ok((last, run, level))
    }

    /// Adds a residual to block `block`, or puts it there.
    fn add(&mut self, mb_x: usize, mb_y: usize, block: usize, residual: &[i32; 64], intra: bool) {
        let (pli, x, y) = match block {
            0..=3 => (0, 16 * mb_x + block % 2 * 8, 16 * mb_y + block / 2 * 8),
            _ => (block - 3, 8 * mb_x, 8 * mb_y),
        };
        let plane = &mut self.frame.planes[pli];
        let stride = plane.width();
        for (i, r) in residual.iter().enumerate() {
            let sample = &mut plane.data_mut()[(y + i / 8) * stride + x + i % 8];
            let prediction = if intra { 0 } else { i32::from(*sample) };
            *sample = (prediction + r).clamp(0, 255) as u8;
        }
    }
}

/// The inverse transform with the roundings of ffmpeg's decoder, as sums over basis functions: rows to 11 bits less,
/// columns to 20 bits less; a row with its first coefficient alone is that times 8.
fn inverse_dct(coefficients: &[i32; 64]) -> [i32; 64] {
    /// 2^14 * sqrt(2) * cos(k pi / 16), with 16383 for k = 4.
    const COSINES: [i64; 9] = [0, 22725, 21407, 19266, 16383, 12873, 8867, 4520, 0];
    // Coefficient k = 0 has the same factor as k = 4; the angle is reduced to the first quadrant.
    let factor = |k: usize, x: usize| {
        let angle = (2 * x + 1) * k % 32;
        match (k, angle) {
            (0, _) => COSINES[4],
            (_, 0..=8) => COSINES[angle],
            (_, 9..=16) => -COSINES[16 - angle],
            (_, 17..=24) => -COSINES[angle - 16],
            _ => COSINES[32 - angle],
        }
    };
    let mut rows = [0i64; 64];
    for y in 0..8 {
        let row = &coefficients[8 * y..8 * y + 8];
        let shortcut = row[1..].iter().all(|&c| c == 0);
        for x in 0..8 {
            let sum: i64 = (0..8).map(|k| i64::from(row[k]) * factor(k, x)).sum();
            rows[8 * y + x] = if shortcut { 8 * i64::from(row[0]) } else { (sum + 1024) >> 11 };
        }
    }
    let mut out = [0; 64];
    for x in 0..8 {
        for y in 0..8 {
            let sum: i64 =
                (0..8).map(|k| (rows[8 * k + x] + if k == 0 { 32 } else { 0 }) * factor(k, y)).sum();
            out[8 * y + x] = (sum >> 20) as i32;
        }
    }
    out
}

/// MCBPC taken apart.
#[derive(Clone, Copy, Debug)]
struct Mcbpc {
    intra: bool,
    /// INTER4V.
    four: bool,
    /// DQUANT follows CBPY.
    dquant: bool,
    cbpc: u8,
}

/// Lookup tables, built from the printed ones.
#[derive(Clone, Debug)]
struct Tables {
    /// `None` is stuffing.
    mcbpc_i: Vlc<Option<Mcbpc>>,
    mcbpc_p: Vlc<Option<Mcbpc>>,
    cbpy: Vlc<u8>,
    /// Magnitude in half samples; a sign follows unless it is 0.
    mvd: Vlc<i32>,
    /// LAST, RUN, LEVEL without sign; `None` is the escape.
    tcoef: Vlc<Option<(bool, usize, i32)>>,
}

impl Tables {
    fn new() -> Self {
        let rows = |rows: &[[Code; 4]], kinds: &[(bool, bool, bool)]| {
            let mut codes = vec![(MCBPC_STUFFING, None)];
            for (row, &(intra, four, dquant)) in rows.iter().zip(kinds) {
                codes.extend(
                    (0..4).map(|cbpc| (row[usize::from(cbpc)], Some(Mcbpc { intra, four, dquant, cbpc }))),
                );
            }
            Vlc::new("MCBPC", &codes)
        };
        let (inter, inter_q, inter4v) = ((false, false, false), (false, false, true), (false, true, false));
        let (intra, intra_q) = ((true, false, false), (true, false, true));
        let mut tcoef = vec![(TCOEF_ESCAPE, None)];
        for (last, run, codes) in TCOEF {
            let coefficient = |(i, text)| (Code::parse(text), Some((last, usize::from(run), i as i32 + 1)));
            tcoef.extend(codes.iter().copied().enumerate().map(coefficient));
        }
        let cbpy: Vec<_> = CBPY.into_iter().zip(0..).collect();
        let mvd: Vec<_> = MVD.into_iter().zip(0..).collect();
        Self {
            mcbpc_i: rows(&MCBPC_I, &[intra, intra_q]),
            mcbpc_p: rows(&MCBPC_P, &[inter, inter_q, inter4v, intra, intra_q]),
            cbpy: Vlc::new("CBPY", &cbpy),
            mvd: Vlc::new("MVD", &mvd),
            tcoef: Vlc::new("TCOEF", &tcoef),
        }
    }
}

/// A code by the next 13 bits.
#[derive(Clone, Debug)]
struct Vlc<T> {
    element: &'static str,
    entries: Vec<Option<(u8, T)>>,
}

impl<T: Copy> Vlc<T> {
    const BITS: u32 = 13;

    fn new(element: &'static str, codes: &[(Code, T)]) -> Self {
        let mut entries = vec![None; 1 << Self::BITS];
        for (code, value) in codes {
            let free = Self::BITS - u32::from(code.len);
            let first = usize::from(code.bits) << free;
            entries[first..first + (1 << free)].fill(Some((code.len, *value)));
        }
        Self { element, entries }
    }

    fn read(&self, bits: &mut BitReader<'_>) -> Result<T, DecodeError> {
        let next = bits.peek(Self::BITS);
        let (len, value) =
            self.entries[next as usize].ok_or(DecodeError::CodeWord { element: self.element, bits: next })?;
        bits.skip(len.into());
        Ok(value)
    }
}
