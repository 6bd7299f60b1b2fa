//! Frames out of headers and main data (11172-3, 2.4.2.7 and figure C.9): the main data of a frame begins as far before
//! its header as the reservoir holds bytes, so it flows through the frames on its own.

use std::collections::VecDeque;

/// Frames that still lack main data.
#[derive(Debug, Default)]
pub(crate) struct FrameQueue {
    /// Header and side information of each frame, and how many bytes of main data it takes.
    headers: VecDeque<(Vec<u8>, usize)>,
    main_data: Vec<u8>,
}

impl FrameQueue {
    /// Appends a frame's header and side information, the `slot` of main data behind it, and the main data of this
    /// frame, which goes on where that of the frame before ended. Hands out every frame that is complete by it.
    pub(crate) fn push(&mut self, header: Vec<u8>, slot: usize, main_data: &[u8], frames: &mut Vec<Vec<u8>>) {
        self.headers.push_back((header, slot));
        self.main_data.extend_from_slice(main_data);
        while let Some((header, slot)) = self.headers.pop_front() {
            if self.main_data.len() < slot {
                self.headers.push_front((header, slot));
                break;
            }
            let mut frame = header;
            frame.extend_from_slice(&self.main_data[..slot]);
            self.main_data.drain(..slot);
            frames.push(frame);
        }
    }

    /// Fills what is left of the last frames with zeros and hands them out.
    pub(crate) fn flush(&mut self, frames: &mut Vec<Vec<u8>>) {
        for (header, slot) in self.headers.drain(..) {
            let mut frame = header;
            let length = frame.len() + slot;
            frame.extend(self.main_data.drain(..slot.min(self.main_data.len())));
            frame.resize(length, 0);
            frames.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_data_flows_through_the_frames() {
        let (mut queue, mut frames) = (FrameQueue::default(), Vec::new());
        queue.push(vec![0xA0], 4, &[1, 2], &mut frames);
        assert!(frames.is_empty());
        queue.push(vec![0xA1], 4, &[3, 4, 5], &mut frames);
        assert_eq!(frames, [[0xA0, 1, 2, 3, 4]]);
        queue.push(vec![0xA2], 4, &[6, 7, 8, 9, 10, 11, 12], &mut frames);
        assert_eq!(frames[1..], [[0xA1, 5, 6, 7, 8], [0xA2, 9, 10, 11, 12]]);
        queue.push(vec![0xA3], 3, &[13], &mut frames);
        queue.flush(&mut frames);
        assert_eq!(frames[3], [0xA3, 13, 0, 0]);
    }
}
