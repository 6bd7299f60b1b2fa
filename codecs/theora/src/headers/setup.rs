//! The setup header (Theora specification, 6.4).

use oggflv_common::BitReader;

use super::strip_common_header;
use crate::Error;
use crate::huffman::HuffmanTable;
use crate::quant::QuantizationParameters;

/// What the setup header says: loop filter limits, quantization parameters and Huffman tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// LFLIMS: the loop filter limit of each `qi`, 0 to 127.
    pub(crate) loop_filter_limits: [u8; 64],
    pub(crate) quantization: QuantizationParameters,
    /// HTS: five groups of 16 tables.
    pub(crate) huffman_tables: Vec<HuffmanTable>,
}

impl Setup {
    /// Decodes the third packet of a stream.
    ///
    /// # Errors
    /// If the packet is not a setup header or is cut short, if a quant range reaches beyond `qi` 63 or names a base
    /// matrix that is not there, and if a Huffman table has more than 32 entries or codes of more than 32 bits.
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        let mut reader = BitReader::new(strip_common_header(packet, 0x82)?);
        let loop_filter_limits = read_loop_filter_limits(&mut reader);
        let quantization = QuantizationParameters::read(&mut reader)?;
        let huffman_tables =
            (0..80).map(|table| HuffmanTable::read(&mut reader, table)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { loop_filter_limits, quantization, huffman_tables })
    }
}

/// Section 6.4.1.
fn read_loop_filter_limits(reader: &mut BitReader<'_>) -> [u8; 64] {
    let nbits = reader.read(3);
    std::array::from_fn(|_| reader.read(nbits) as u8)
}
