//! What the demuxer must make of an input, written down naively: everything in memory, every checksum by
//! itself, packets put together byte by byte, no limits.

use oggflv::ogg::{Codec, Packet, Stream};

use super::ogg_pages::{BOS, CONTINUED, EOS, checksum};

struct Logical {
    index: usize,
    serial: u32,
    next_sequence: u32,
    /// The page that came last.
    last: Vec<u8>,
    /// The packet that goes on with the next page.
    open: Option<Vec<u8>>,
    lost: bool,
    ended: bool,
}

/// The length of the page at the start of `bytes`, if an intact one is there.
fn page_len(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 27 || !bytes.starts_with(b"OggS\0") || bytes[5] > 7 {
        return None;
    }
    let header = 27 + usize::from(bytes[26]);
    let len = header + bytes.get(27..header)?.iter().map(|&lacing| usize::from(lacing)).sum::<usize>();
    let mut page = bytes.get(..len)?.to_vec();
    page[22..26].fill(0);
    (checksum(&page).to_le_bytes() == bytes[22..26]).then_some(len)
}

/// All streams and packets of an input.
pub(crate) fn demux(input: &[u8]) -> (Vec<Stream>, Vec<Packet>) {
    let (mut streams, mut packets) = (Vec::<Stream>::new(), Vec::new());
    let (mut link, mut current, mut has_data) = (0, Vec::<Logical>::new(), false);
    let mut at = 0;
    while at < input.len() {
        let Some(len) = page_len(&input[at..]) else {
            at += 1;
            continue;
        };
        let page = &input[at..at + len];
        at += len;
        let word =
            |from: usize| u32::from_le_bytes([page[from], page[from + 1], page[from + 2], page[from + 3]]);
        let (flags, serial, sequence) = (page[5], word(14), word(18));
        let granule_pos = (i64::from(word(10)) << 32) | i64::from(word(6));
        let (lacing, mut body) = page[27..].split_at(usize::from(page[26]));
        if current.iter().any(|stream| stream.last == page) {
            continue;
        }

        if flags & BOS != 0 {
            let first = lacing.iter().take_while(|&&value| value == 255).count();
            let first = 255 * first + lacing.get(first).map_or(0, |&value| usize::from(value));
            let codec = Codec::identify(&body[..first]);
            let text = matches!(codec, Codec::Skeleton | Codec::Cmml | Codec::Kate | Codec::Unknown);
            let taken = current.iter().any(|stream| stream.serial == serial);
            let over = !current.is_empty() && current.iter().all(|stream| stream.ended);
            if taken || over || (has_data && !text) {
                link += 1;
                current.clear();
                has_data = false;
            }
            let index = streams.len();
            streams.push(Stream { link, serial, codec });
            current.push(Logical {
                index,
                serial,
                next_sequence: sequence,
                last: Vec::new(),
                open: None,
                lost: false,
                ended: false,
            });
        }
        let Some(stream) = current.iter_mut().find(|stream| stream.serial == serial) else { continue };
        stream.last = page.to_vec();
        has_data |= granule_pos > 0;
        stream.ended |= flags & EOS != 0;
        if !streams[stream.index].codec.is_decoded() {
            continue;
        }
        if sequence != stream.next_sequence {
            stream.lost = true;
            stream.open = None;
        }
        stream.next_sequence = sequence.wrapping_add(1);
        if lacing.is_empty() {
            continue;
        }
        // The packet being put together; None while one without a beginning passes by.
        let mut packet = match (flags & CONTINUED != 0, stream.open.take()) {
            (true, Some(start)) => Some(start),
            (false, None) => Some(Vec::new()),
            (continued, _) => {
                stream.lost = true;
                if continued { None } else { Some(Vec::new()) }
            }
        };
        for (index, &value) in lacing.iter().enumerate() {
            let (segment, rest) = body.split_at(usize::from(value));
            body = rest;
            if let Some(packet) = &mut packet {
                packet.extend(segment);
            }
            if value == 255 {
                continue;
            }
            if let Some(data) = packet.replace(Vec::new()) {
                let after_on_page = lacing[index + 1..].iter().filter(|&&value| value < 255).count() as u32;
                packets.push(Packet {
                    stream: stream.index,
                    data,
                    page_granule_pos: (granule_pos != -1).then_some(granule_pos),
                    after_on_page,
                    lost_before: std::mem::take(&mut stream.lost),
                    last_on_eos_page: flags & EOS != 0 && after_on_page == 0,
                });
            }
        }
        if lacing.last() == Some(&255) {
            stream.open = packet;
        }
    }
    (streams, packets)
}
