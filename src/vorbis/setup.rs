//! Vorbis I, section 4.2.4: a walk over the setup header before the decoder sees it.
//!
//! The decoder allocates what the header claims, and an allocation that fails ends the process. So this
//! walk bounds what the header may claim. References between the parts (a mode's mapping, a mapping's
//! floors) cost nothing; the decoder checks those.

use super::bits::BitReader;
use super::{Error, header_body};

/// Most codebook entries in all codebooks together. libvorbis writes up to 19,413.
///
/// An entry costs the decoder up to 145 bytes while it builds the Huffman tree (a length, two tree
/// nodes of 48 bytes each with the allocator's share, 16 to 48 bytes of flattened tree): 38 MB.
pub(super) const MAX_ENTRIES: u64 = 1 << 18;

/// Most VQ scalars (entries x dimensions) in all codebooks together. libvorbis writes up to 85,928.
///
/// A scalar costs the decoder 4 bytes, and 4 more while it reads the multiplicands: 17 MB.
///
/// With the tables of fixed size (256 codebooks of 2 KB, 64 floors of up to 32 KB) no setup header makes
/// the decoder hold more than 64 MB.
pub(super) const MAX_VQ_SCALARS: u64 = 1 << 21;

/// What the residues must know of a codebook.
struct Codebook {
    dimensions: u32,
}

/// Walks the setup header `packet` of a stream with `channels` channels (1 at least): refuses it if it is
/// malformed, or if decoding it would cost too much memory or not end. Returns the block flag of each mode:
/// whether its blocks are long.
pub(super) fn check(packet: &[u8], channels: u32) -> Result<Vec<bool>, Error> {
    let mut bits = BitReader::new(header_body(packet, 5, "setup")?);
    let codebooks = codebooks(&mut bits)?;
    time_domain_transforms(&mut bits)?;
    for _ in 0..=bits.read(6, "vorbis_floor_count")? {
        floor(&mut bits)?;
    }
    for _ in 0..=bits.read(6, "vorbis_residue_count")? {
        residue(&mut bits, &codebooks)?;
    }
    for _ in 0..=bits.read(6, "vorbis_mapping_count")? {
        mapping(&mut bits, channels)?;
    }
    (0..=bits.read(6, "vorbis_mode_count")?).map(|_| mode(&mut bits)).collect()
}

/// The codebooks (section 3.2.1), bounded in sum.
fn codebooks(bits: &mut BitReader<'_>) -> Result<Vec<Codebook>, Error> {
    let count = bits.read(8, "vorbis_codebook_count")? + 1;
    let mut codebooks = Vec::new();
    let (mut entries_sum, mut scalars_sum) = (0, 0);
    for _ in 0..count {
        let sync = bits.read(24, "codebook sync pattern")?;
        if sync != 0x564342 {
            return Err(Error::Invalid { element: "codebook sync pattern", value: sync.into() });
        }
        let dimensions = bits.read(16, "codebook_dimensions")?;
        let entries = bits.read(24, "codebook_entries")?;
        if dimensions == 0 {
            return Err(Error::Invalid { element: "codebook_dimensions", value: 0 });
        }
        entries_sum += u64::from(entries);
        limit("codebook_entries in all codebooks", entries_sum, MAX_ENTRIES)?;
        codeword_lengths(bits, entries)?;
        scalars_sum += vq_lookup(bits, entries, dimensions, scalars_sum)?;
        codebooks.push(Codebook { dimensions });
    }
    Ok(codebooks)
}

/// Passes over the codeword lengths of `entries` entries (section 3.2.1).
fn codeword_lengths(bits: &mut BitReader<'_>, entries: u32) -> Result<(), Error> {
    const ELEMENT: &str = "codebook_codeword_lengths";
    if bits.flag("ordered")? {
        let mut length = bits.read(5, ELEMENT)? + 1;
        let mut current_entry = 0;
        while current_entry < entries {
            if length > 32 {
                return Err(Error::Invalid { element: ELEMENT, value: length.into() });
            }
            let left = entries - current_entry;
            let number = bits.read(ilog(left), ELEMENT)?;
            if number > left {
                return Err(Error::Invalid {
                    element: "number of entries of one length",
                    value: number.into(),
                });
            }
            current_entry += number;
            length += 1;
        }
    } else if bits.flag("sparse")? {
        for _ in 0..entries {
            if bits.flag("codebook entry flag")? {
                bits.skip(1, 5, ELEMENT)?;
            }
        }
    } else {
        bits.skip(entries.into(), 5, ELEMENT)?;
    }
    Ok(())
}

/// Passes over the vector lookup table (section 3.2.1) and returns how many scalars it unpacks to.
fn vq_lookup(bits: &mut BitReader<'_>, entries: u32, dimensions: u32, so_far: u64) -> Result<u64, Error> {
    let lookup_type = bits.read(4, "codebook_lookup_type")?;
    let scalars = u64::from(entries) * u64::from(dimensions);
    let lookup_values = match lookup_type {
        0 => return Ok(0),
        1 => lookup1_values(entries, dimensions).into(),
        2 => scalars,
        _ => return Err(Error::Invalid { element: "codebook_lookup_type", value: lookup_type.into() }),
    };
    limit("VQ scalars in all codebooks", so_far + scalars, MAX_VQ_SCALARS)?;
    bits.skip(2, 32, "codebook_minimum_value")?;
    let value_bits = bits.read(4, "codebook_value_bits")? + 1;
    bits.flag("codebook_sequence_p")?;
    bits.skip(lookup_values, value_bits, "codebook_multiplicands")?;
    Ok(scalars)
}

/// The greatest integer whose power of `dimensions` is at most `entries` (section 9.2.3).
fn lookup1_values(entries: u32, dimensions: u32) -> u32 {
    let fits = |base: u32| base.checked_pow(dimensions).is_some_and(|power| power <= entries);
    // Entries have 24 bits: with two dimensions or more the answer has at most 12.
    if dimensions == 1 {
        return entries;
    }
    let mut value = 0;
    for bit in (0..12).rev() {
        if fits(value | 1 << bit) {
            value |= 1 << bit;
        }
    }
    value
}

/// The time domain transforms (section 4.2.4): placeholders, all zero.
fn time_domain_transforms(bits: &mut BitReader<'_>) -> Result<(), Error> {
    for _ in 0..=bits.read(6, "vorbis_time_count")? {
        let value = bits.read(16, "vorbis_time_domain_transforms")?;
        if value != 0 {
            return Err(Error::Invalid { element: "vorbis_time_domain_transforms", value: value.into() });
        }
    }
    Ok(())
}

/// A floor of type 0 (section 6.2.1) or 1 (section 7.2.2).
fn floor(bits: &mut BitReader<'_>) -> Result<(), Error> {
    match bits.read(16, "vorbis_floor_types")? {
        0 => floor0(bits),
        1 => floor1(bits),
        value => Err(Error::Invalid { element: "vorbis_floor_types", value: value.into() }),
    }
}

fn floor0(bits: &mut BitReader<'_>) -> Result<(), Error> {
    // With one of these zero, the decoder's curve computation divides by zero, or does not end.
    for (width, element) in [(8, "floor0_order"), (16, "floor0_rate"), (16, "floor0_bark_map_size")] {
        if bits.read(width, element)? == 0 {
            return Err(Error::Invalid { element, value: 0 });
        }
    }
    bits.skip(1, 6 + 8, "floor0_amplitude_offset")?;
    let books = bits.read(4, "floor0_number_of_books")? + 1;
    bits.skip(books.into(), 8, "floor0_book_list")
}

fn floor1(bits: &mut BitReader<'_>) -> Result<(), Error> {
    let partitions = bits.read(5, "floor1_partitions")?;
    let mut partition_classes = Vec::new();
    for _ in 0..partitions {
        partition_classes.push(bits.read(4, "floor1_partition_class_list")? as usize);
    }
    let classes = partition_classes.iter().max().map_or(0, |&class| class + 1);
    let mut class_dimensions = [0; 16];
    for dimensions in &mut class_dimensions[..classes] {
        *dimensions = u64::from(bits.read(3, "floor1_class_dimensions")?) + 1;
        let subclasses = bits.read(2, "floor1_class_subclasses")?;
        if subclasses > 0 {
            bits.skip(1, 8, "floor1_class_masterbooks")?;
        }
        bits.skip(1 << subclasses, 8, "floor1_subclass_books")?;
    }
    bits.skip(1, 2, "floor1_multiplier")?;
    let rangebits = bits.read(4, "rangebits")?;
    let points = partition_classes.iter().map(|&class| class_dimensions[class]).sum();
    bits.skip(points, rangebits, "floor1_X_list")
}

/// A residue (section 8.6.1).
fn residue(bits: &mut BitReader<'_>, codebooks: &[Codebook]) -> Result<(), Error> {
    let residue_type = bits.read(16, "vorbis_residue_types")?;
    if residue_type > 2 {
        return Err(Error::Invalid { element: "vorbis_residue_types", value: residue_type.into() });
    }
    bits.skip(2, 24, "residue_end")?;
    let partition_size = bits.read(24, "residue_partition_size")? + 1;
    let classifications = bits.read(6, "residue_classifications")? + 1;
    bits.skip(1, 8, "residue_classbook")?;
    let mut cascades = Vec::new();
    for _ in 0..classifications {
        let low = bits.read(3, "residue_cascade")?;
        let high = if bits.flag("residue_cascade")? { bits.read(5, "residue_cascade")? } else { 0 };
        cascades.push(high << 3 | low);
    }
    for stage in cascades.iter().flat_map(|cascade| (0..8).filter(move |stage| cascade >> stage & 1 == 1)) {
        // The decoder reads no book for the last stage of the eight; no encoder uses it.
        limit("stage in residue_cascade", stage, 6)?;
        let book = bits.read(8, "residue_books")?;
        let Some(codebook) = codebooks.get(book as usize) else {
            return Err(Error::Invalid { element: "residue_books", value: book.into() });
        };
        // A vector longer than its partition would let one bit of a packet cost thousands of additions.
        limit("codebook_dimensions in a partition", codebook.dimensions.into(), partition_size.into())?;
    }
    Ok(())
}

/// Passes over a mapping (section 4.2.4).
fn mapping(bits: &mut BitReader<'_>, channels: u32) -> Result<(), Error> {
    bits.skip(1, 16, "vorbis_mapping_types")?;
    let submaps =
        if bits.flag("vorbis_mapping_submaps")? { bits.read(4, "vorbis_mapping_submaps")? + 1 } else { 1 };
    if bits.flag("vorbis_mapping_coupling_steps")? {
        let steps = bits.read(8, "vorbis_mapping_coupling_steps")? + 1;
        bits.skip(steps.into(), 2 * ilog(channels - 1), "vorbis_mapping_angle")?;
    }
    bits.skip(1, 2, "mapping reserved field")?;
    if submaps > 1 {
        bits.skip(channels.into(), 4, "vorbis_mapping_mux")?;
    }
    bits.skip(submaps.into(), 8 + 8 + 8, "vorbis_mapping_submap_residue")
}

/// A mode (section 4.2.4): its block flag.
fn mode(bits: &mut BitReader<'_>) -> Result<bool, Error> {
    let blockflag = bits.flag("vorbis_mode_blockflag")?;
    bits.skip(1, 16 + 16 + 8, "vorbis_mode_mapping")?;
    Ok(blockflag)
}

/// The position of the highest bit set, counted from 1; 0 of 0 (section 9.2.1).
pub(super) fn ilog(value: u32) -> u32 {
    32 - value.leading_zeros()
}

fn limit(element: &'static str, value: u64, limit: u64) -> Result<(), Error> {
    if value > limit { Err(Error::Limit { element, value, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup1_values_by_its_definition() {
        for (entries, dimensions, expected) in [
            (3126, 5, 5),
            (3125, 5, 5),
            (3124, 5, 4),
            (6561, 8, 3),
            (1, 1, 1),
            (0, 15, 0),
            (0xff_ffff, 2, 4095),
        ] {
            assert_eq!(lookup1_values(entries, dimensions), expected, "{entries} {dimensions}");
        }
        assert_eq!(lookup1_values(0xff_ffff, 1), 0xff_ffff);
        assert_eq!(lookup1_values(0xff_ffff, 65535), 1);
    }
}
