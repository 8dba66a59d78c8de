//! Zstandard in independent frames, with a table of them at the end.
//!
//! The file follows the *seekable format* of the zstd project (`contrib/seekable_format`, version 0.1.0): frames of
//! RFC 8878, then a skippable frame with the compressed and inflated length of each. `zstd -d` reads it as one stream.
//! Each frame has a checksum of its data. The file doesn't record newlines; the item's metadata does.

use std::os::fd::BorrowedFd;

use zstd_safe::{CCtx, CParameter, DCtx};

use super::{DAMAGED, Encode, FRAME, Frame, FrameSizes, Inflate, failed, frame_len};
use crate::error::{Check, Error, Result};
use crate::fd;

/// zstd's own default: beyond it, time grows faster than size shrinks.
const LEVEL: i32 = 3;

/// Magic number of the skippable frame that is a seek table.
const TABLE_MAGIC: u32 = 0x184D_2A5E;
/// Magic number at the very end of the table.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Magic and length.
const TABLE_HEADER: usize = 8;
/// A frame's two lengths.
const ENTRY: usize = 8;
/// Number of frames, descriptor, magic.
const FOOTER: usize = 9;

/// The most frames that the format allows in one file.
const MOST_FRAMES: usize = 1 << 27;

/// The largest valid size of a frame in the file: incompressible data grows by far less than its own size.
const MOST_PACKED: u32 = 2 * 1024 * 1024;

/// Compresses one frame at a time.
pub struct Encoder {
    context: CCtx<'static>,
}

impl Encoder {
    /// Creates an encoder with our level.
    ///
    /// # Errors
    /// [`Error::Write`] if there is no memory for it.
    pub fn new() -> Result<Self> {
        let no_memory = || Error::Write(std::io::ErrorKind::OutOfMemory.into());
        let mut context = CCtx::try_create().ok_or_else(no_memory)?;
        for parameter in [CParameter::CompressionLevel(LEVEL), CParameter::ChecksumFlag(true)] {
            context.set_parameter(parameter).map_err(|_| failed())?;
        }
        Ok(Self { context })
    }
}

impl Encode for Encoder {
    fn compress(&mut self, data: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        frame.clear();
        frame.reserve(zstd_safe::compress_bound(data.len()));
        self.context.compress2(frame, data).map_err(|_| failed())?;
        Ok(())
    }
}

/// Returns the table of all frames, which ends the file.
///
/// # Errors
/// [`Error::Write`] if there are more frames than the format allows: 2^27, which is 128 TiB of data.
pub fn seek_table(sizes: &[FrameSizes]) -> Result<Vec<u8>> {
    if sizes.len() > MOST_FRAMES {
        return Err(Error::Write(std::io::ErrorKind::FileTooLarge.into()));
    }
    let count = frame_len(sizes.len())?;
    let length = frame_len(sizes.len() * ENTRY + FOOTER)?;
    let mut table = Vec::with_capacity(TABLE_HEADER + sizes.len() * ENTRY + FOOTER);
    table.extend(TABLE_MAGIC.to_le_bytes());
    table.extend(length.to_le_bytes());
    for size in sizes {
        table.extend(size.packed.to_le_bytes());
        table.extend(size.data.to_le_bytes());
    }
    table.extend(count.to_le_bytes());
    // Descriptor: no checksums in the table, since each frame has its own.
    table.push(0);
    table.extend(SEEKABLE_MAGIC.to_le_bytes());
    Ok(table)
}

/// Reads the seek table.
///
/// # Errors
/// [`Error::Damaged`] if it is not one of ours, or doesn't match the file; [`Error::Read`].
pub fn read_index(file: BorrowedFd<'_>, file_size: u64, check: Check<'_>) -> Result<Vec<Frame>> {
    let footer_at = file_size.checked_sub(FOOTER as u64).ok_or(DAMAGED)?;
    let mut footer = [0; FOOTER];
    fd::read_exact_at(file, &mut footer, footer_at, check)?;
    let [c0, c1, c2, c3, descriptor, magic @ ..] = footer;
    let count = u32::from_le_bytes([c0, c1, c2, c3]);
    if u32::from_le_bytes(magic) != SEEKABLE_MAGIC || descriptor != 0 {
        return Err(DAMAGED);
    }
    let length = u64::from(count) * ENTRY as u64 + FOOTER as u64;
    // Checked against the file size before anything that large is allocated.
    let table_at = file_size.checked_sub(TABLE_HEADER as u64 + length).ok_or(DAMAGED)?;
    let mut table = vec![0; usize::try_from(footer_at - table_at).map_err(|_| DAMAGED)?];
    fd::read_exact_at(file, &mut table, table_at, check)?;
    let (header, entries) = table.split_at(TABLE_HEADER);
    let length = u32::try_from(length).map_err(|_| DAMAGED)?;
    if two_numbers(header) != Some([TABLE_MAGIC, length]) {
        return Err(DAMAGED);
    }
    frames_of(entries, table_at)
}

fn frames_of(entries: &[u8], table_at: u64) -> Result<Vec<Frame>> {
    let mut frames = Vec::with_capacity(entries.len() / ENTRY);
    let (mut file_offset, mut offset) = (0, 0);
    for entry in entries.chunks(ENTRY) {
        let [packed, len] = two_numbers(entry).ok_or(DAMAGED)?;
        let (file_len, len) = (packed as usize, len as usize);
        if packed == 0 || packed > MOST_PACKED || len > FRAME {
            return Err(DAMAGED);
        }
        frames.push(Frame { file_offset, file_len, offset, len, newlines: None });
        file_offset += file_len as u64;
        offset += len as u64;
    }
    if file_offset == table_at { Ok(frames) } else { Err(DAMAGED) }
}

/// Parses two little-endian `u32`.
fn two_numbers(bytes: &[u8]) -> Option<[u32; 2]> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let numbers: [[u8; 4]; 2] = fours.try_into().ok()?;
    rest.is_empty().then(|| numbers.map(u32::from_le_bytes))
}

/// Inflates one frame at a time.
#[derive(Default)]
pub struct Inflater {
    context: DCtx<'static>,
}

impl Inflate for Inflater {
    fn inflate(&mut self, packed: &[u8], _frame: &Frame, data: &mut [u8]) -> Result<()> {
        match self.context.decompress(data, packed) {
            Ok(len) if len == data.len() => Ok(()),
            _ => Err(DAMAGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::codec::Codec;
    use crate::testing::{file_with, go_on};

    fn stored(parts: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut frame) = (Encoder::new().unwrap(), Vec::new());
        let (mut file, mut sizes) = (Vec::new(), Vec::new());
        for part in parts {
            encoder.compress(part, &mut frame).unwrap();
            file.extend_from_slice(&frame);
            sizes.push(FrameSizes {
                packed: u32::try_from(frame.len()).unwrap(),
                data: u32::try_from(part.len()).unwrap(),
            });
        }
        file.extend(seek_table(&sizes).unwrap());
        file
    }

    #[test]
    fn frames_are_found_and_inflated() {
        let parts = [&b"one\ntwo\n"[..], b"", b"three"];
        let stored = stored(&parts);
        let file = file_with(&stored);
        let frames = read_index(file.as_fd(), stored.len() as u64, &mut go_on).unwrap();
        assert_eq!(frames.iter().map(|frame| frame.offset).collect::<Vec<_>>(), [0, 8, 8]);
        let (mut decoder, mut data) = (Codec::Zstd.decoder(), Vec::new());
        for (frame, expected) in frames.iter().zip(parts).rev() {
            decoder.read(file.as_fd(), frame, &mut data, &mut go_on).unwrap();
            assert_eq!(data, expected);
        }
    }

    #[test]
    fn a_file_that_is_cut_or_altered_is_damaged() {
        let stored = stored(&[b"some data\n", b"more data\n"]);
        for size in 0..stored.len() {
            let file = file_with(&stored[..size]);
            assert!(matches!(read_index(file.as_fd(), size as u64, &mut go_on), Err(Error::Damaged(_))));
        }
        for at in 0..stored.len() {
            let mut altered = stored.clone();
            altered[at] ^= 0x41;
            let file = file_with(&altered);
            let all = read_index(file.as_fd(), altered.len() as u64, &mut go_on).and_then(|frames| {
                let (mut decoder, mut data, mut whole) = (Codec::Zstd.decoder(), Vec::new(), Vec::new());
                for frame in &frames {
                    decoder.read(file.as_fd(), frame, &mut data, &mut go_on)?;
                    whole.extend_from_slice(&data);
                }
                Ok(whole)
            });
            // A bit that says nothing of the data may change; the data may not.
            if let Ok(data) = all {
                assert_eq!(data, b"some data\nmore data\n", "{at}");
            }
        }
    }
}
