//! Gzip in independent members, each of which records its own size.
//!
//! A frame is a gzip member (RFC 1952 allows any number in a file). `gunzip` reads all of them as one stream. Like
//! bgzip, we can also read any part without inflating everything before it, because each member's header has an extra
//! field `MX`: the member's length, its inflated length, and its newlines, as three little-endian `u32`.

use std::os::fd::BorrowedFd;

use libdeflater::{CompressionLvl, Compressor, Crc, Decompressor};

use super::{DAMAGED, Encode, FRAME, Frame, Inflate, failed, frame_len};
use crate::error::{Check, Result};
use crate::fd;
use crate::lines;

/// Level 1: in pipelines, time matters more than the last few percent of size.
const LEVEL: i32 = 1;

/// Magic, DEFLATE, flag FEXTRA, no time, "fastest", unknown system; extra field of 16 bytes: `MX`, 12 bytes.
const LEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 255, 16, 0, b'M', b'X', 12, 0];
/// The lead and three `u32`.
const HEADER: usize = LEAD.len() + 12;
/// CRC-32 and length, each a `u32`.
const TRAILER: usize = 8;

/// The valid sizes of a member in the file: incompressible data grows by far less than its own size.
const MEMBER_FILE: std::ops::RangeInclusive<usize> = HEADER + TRAILER..=2 * FRAME;

/// Compresses one member at a time.
pub struct Encoder {
    compressor: Compressor,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()) }
    }
}

impl Encode for Encoder {
    fn compress(&mut self, data: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        let bound = self.compressor.deflate_compress_bound(data.len());
        // Its old content is overwritten, so there is no need to clear it first.
        frame.resize(HEADER + bound + TRAILER, 0);
        // In bounds, since it was resized above.
        let body = &mut frame[HEADER..HEADER + bound];
        let packed = self.compressor.deflate_compress(data, body).map_err(|_| failed())?;
        frame.truncate(HEADER + packed);
        let mut crc = Crc::new();
        crc.update(data);
        frame.extend_from_slice(&crc.sum().to_le_bytes());
        frame.extend_from_slice(&frame_len(data.len())?.to_le_bytes());
        let newlines = u32::try_from(lines::count_newlines(data)).map_err(|_| failed())?;
        let sizes = [frame_len(frame.len())?, frame_len(data.len())?, newlines];
        let header = LEAD.into_iter().chain(sizes.into_iter().flat_map(u32::to_le_bytes));
        for (byte, value) in frame.iter_mut().zip(header) {
            *byte = value;
        }
        Ok(())
    }
}

/// Reads the members' headers, skipping from one to the next.
///
/// # Errors
/// [`crate::error::Error::Damaged`] if the file is not a sequence of our members; [`crate::error::Error::Read`].
pub fn read_index(file: BorrowedFd<'_>, file_size: u64, check: Check<'_>) -> Result<Vec<Frame>> {
    let mut frames: Vec<Frame> = Vec::new();
    let (mut file_offset, mut offset) = (0, 0);
    while file_offset < file_size {
        let mut header = [0; HEADER];
        fd::read_exact_at(file, &mut header, file_offset, check)?;
        let (lead, sizes) = header.split_at(LEAD.len());
        let [file_len, len, newlines] = three_numbers(sizes).ok_or(DAMAGED)?;
        let (file_len, len) = (file_len as usize, len as usize);
        if lead != LEAD || len > FRAME || !MEMBER_FILE.contains(&file_len) {
            return Err(DAMAGED);
        }
        frames.push(Frame { file_offset, file_len, offset, len, newlines: Some(newlines.into()) });
        file_offset += file_len as u64;
        offset += len as u64;
    }
    if file_offset == file_size { Ok(frames) } else { Err(DAMAGED) }
}

/// Parses three little-endian `u32`.
fn three_numbers(bytes: &[u8]) -> Option<[u32; 3]> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let numbers: [[u8; 4]; 3] = fours.try_into().ok()?;
    rest.is_empty().then(|| numbers.map(u32::from_le_bytes))
}

/// Inflates one member at a time.
#[derive(Default)]
pub struct Inflater {
    decompressor: Decompressor,
}

impl Inflate for Inflater {
    fn inflate(&mut self, packed: &[u8], frame: &Frame, data: &mut [u8]) -> Result<()> {
        match self.decompressor.gzip_decompress(packed, data) {
            // The trailer's checksum covers the data, but not the number of newlines in our header.
            Ok(len) if len == data.len() && Some(lines::count_newlines(data)) == frame.newlines => Ok(()),
            _ => Err(DAMAGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::codec::Codec;
    use crate::error::Error;
    use crate::testing::{file_with, go_on};

    #[test]
    fn members_are_found_and_inflated() {
        let (mut encoder, mut member, mut stored) = (Encoder::default(), Vec::new(), Vec::new());
        let parts = [&b"one\ntwo\n"[..], b"", b"three"];
        for part in parts {
            encoder.compress(part, &mut member).unwrap();
            stored.extend_from_slice(&member);
        }
        let file = file_with(&stored);
        let frames = read_index(file.as_fd(), stored.len() as u64, &mut go_on).unwrap();
        let starts: Vec<_> = frames.iter().map(|frame| (frame.offset, frame.newlines)).collect();
        assert_eq!(starts, [(0, Some(2)), (8, Some(0)), (8, Some(0))]);
        let (mut decoder, mut data) = (Codec::Gzip.decoder(), Vec::new());
        for (frame, expected) in frames.iter().zip(parts).rev() {
            decoder.read(file.as_fd(), frame, &mut data, &mut go_on).unwrap();
            assert_eq!(data, expected);
        }
    }

    #[test]
    fn a_row_that_ends_early_is_damaged() {
        let mut stored = Vec::new();
        Encoder::default().compress(b"data", &mut stored).unwrap();
        for size in 1..stored.len() {
            let file = file_with(&stored[..size]);
            let index = read_index(file.as_fd(), size as u64, &mut go_on);
            assert!(matches!(index, Err(Error::Damaged(_))), "{size}");
        }
    }

    #[test]
    fn a_count_of_newlines_that_is_wrong_is_damage() {
        let mut stored = Vec::new();
        Encoder::default().compress(b"a\nb\n", &mut stored).unwrap();
        stored[LEAD.len() + 8] += 1;
        let file = file_with(&stored);
        let frames = read_index(file.as_fd(), stored.len() as u64, &mut go_on).unwrap();
        let read = Codec::Gzip.decoder().read(file.as_fd(), &frames[0], &mut Vec::new(), &mut go_on);
        assert!(matches!(read, Err(Error::Damaged(_))));
    }
}
