//! Reads an item: all of it, a range of bytes, or the offset where a line begins.
//!
//! Offsets refer to the data as it was staged, whether the file is compressed or not. Files are never edited in place,
//! so ranges stay valid while one is open.

use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;

use crate::codec::{Codec, Decoder, FRAME, Frame, unpack};
use crate::copy_offload::{self, Plan};
use crate::error::{Check, Result};
use crate::fd::{self, CHUNK};
use crate::lines;
use crate::observe::LineIndex;

/// The bytes per step when searching for the last lines, from the end.
const BACKWARDS: usize = 64 * 1024;

/// A part of the data with the number of newlines before it.
struct Block {
    offset: u64,
    newlines_before: u64,
}

/// A part of the data that can be read by itself.
pub enum Piece<'a> {
    /// Bytes of a plain file.
    Plain {
        /// Where they begin.
        start: u64,
        /// How many there are.
        len: usize,
    },
    /// A frame.
    Packed {
        /// The frame.
        frame: &'a Frame,
        /// The offset in its data where the piece begins.
        from: usize,
        /// The offset where it ends, exclusive.
        to: usize,
    },
}

/// A stored item's data.
pub struct Reader {
    size: u64,
    blocks: Vec<Block>,
    packed: Option<Packed>,
}

/// The additional state for a compressed file.
struct Packed {
    codec: Codec,
    frames: Vec<Frame>,
    decoder: Decoder,
    /// The offset of the frame that was inflated last, so that many small reads inflate it only once.
    current: Option<u64>,
    data: Vec<u8>,
}

impl Reader {
    /// Creates a reader for a plain file of `size` bytes, with its line index if it has one.
    #[must_use]
    pub fn plain(size: u64, index: Option<&LineIndex>) -> Self {
        Self { size, blocks: indexed_blocks(size, index), packed: None }
    }

    /// Creates a reader for a file of `file_size` bytes compressed by `codec`, with its line index if it has one and
    /// the file doesn't count its own newlines.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`].
    pub fn packed(
        codec: Codec,
        file: BorrowedFd<'_>,
        file_size: u64,
        index: Option<&LineIndex>,
        check: Check<'_>,
    ) -> Result<Self> {
        let frames = codec.read_index(file, file_size, check)?;
        let size = frames.iter().map(|frame| frame.len as u64).sum();
        let blocks = blocks_of(&frames).unwrap_or_else(|| indexed_blocks(size, index));
        let (decoder, data) = (codec.decoder(), Vec::new());
        Ok(Self { size, blocks, packed: Some(Packed { codec, frames, decoder, current: None, data }) })
    }

    /// The size of the data.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The codec, if the file is compressed.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.packed.as_ref().map(|packed| packed.codec)
    }

    /// Returns the pieces of the data from `start` up to `end`, which can be read independently: blocks of `block`
    /// bytes, or frames.
    pub fn pieces(&self, start: u64, end: u64, block: u64) -> impl Iterator<Item = Piece<'_>> {
        let end = end.min(self.size);
        let frames: &[Frame] = self.packed.as_ref().map_or(&[], |packed| &packed.frames);
        let first = frames.partition_point(|frame| frame.offset + frame.len as u64 <= start);
        let packed =
            frames.iter().skip(first).take_while(move |frame| frame.offset < end).map(move |frame| {
                // An offset beyond the frame is its end.
                let within = |offset: u64| {
                    usize::try_from(offset.saturating_sub(frame.offset))
                        .map_or(frame.len, |at| at.min(frame.len))
                };
                Piece::Packed { frame, from: within(start), to: within(end) }
            });
        let upto = if self.packed.is_some() { start } else { end };
        let step = usize::try_from(block).unwrap_or(usize::MAX);
        let plain = (start..upto).step_by(step).map(move |at| {
            // A block fits into memory.
            Piece::Plain { start: at, len: usize::try_from((upto - at).min(block)).unwrap_or_default() }
        });
        plain.chain(packed)
    }

    /// Passes the data from `start` up to `end` to `take`, chunk by chunk, until it returns `false`.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `take` or `check` return.
    pub fn chunks(
        &mut self,
        file: BorrowedFd<'_>,
        start: u64,
        end: u64,
        check: Check<'_>,
        take: &mut dyn FnMut(&[u8], Check<'_>) -> Result<bool>,
    ) -> Result<()> {
        let end = end.min(self.size);
        if end <= start {
            return Ok(());
        }
        match &mut self.packed {
            None => plain_chunks(file, start, end, check, take),
            Some(packed) => packed_chunks(file, packed, start, end, check, take),
        }
    }

    /// Writes the data from `start` up to `end`, and updates `crc` with it.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], [`crate::error::Error::Write`], what `check`
    /// returns.
    pub fn copy_to(
        &mut self,
        file: BorrowedFd<'_>,
        out: BorrowedFd<'_>,
        (start, end): (u64, u64),
        crc: &mut crc32fast::Hasher,
        check: Check<'_>,
    ) -> Result<()> {
        let start = start + self.copy_in_kernel(file, out, (start, end), crc, check)?;
        // For a pipe, the data is only read for the checksum.
        let mut splicing = self.packed.is_none() && fd::is_pipe(out);
        if splicing {
            fd::widen_pipe(out);
        }
        let mut at = start;
        self.chunks(file, start, end, check, &mut |chunk, check| {
            crc.update(chunk);
            let moved = if splicing { fd::splice(file, at, chunk.len(), out, check)? } else { 0 };
            splicing = splicing && moved == chunk.len();
            // In bounds: no more is moved than was asked for.
            fd::write_all(out, &chunk[moved..], check)?;
            at += chunk.len() as u64;
            // Check before the next write, which may wait for a slow reader.
            check()?;
            Ok(true)
        })
    }

    /// Updates `crc` with the data from `start` up to `end`, and returns the newlines in each `block` bytes of it.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `check` returns.
    pub fn measure(
        &mut self,
        file: BorrowedFd<'_>,
        (start, end): (u64, u64),
        block: NonZeroU64,
        crc: &mut crc32fast::Hasher,
        check: Check<'_>,
    ) -> Result<Vec<u64>> {
        let mut index = LineIndex::of_blocks(block);
        self.chunks(file, start, end, check, &mut |chunk, _| {
            crc.update(chunk);
            index.count(chunk);
            Ok(true)
        })?;
        Ok(index.counts)
    }

    /// Copies as much as the kernel can copy between files by itself; returns the number of bytes.
    fn copy_in_kernel(
        &self,
        file: BorrowedFd<'_>,
        out: BorrowedFd<'_>,
        (start, end): (u64, u64),
        crc: &mut crc32fast::Hasher,
        check: Check<'_>,
    ) -> Result<u64> {
        let len = end.min(self.size).saturating_sub(start);
        if len < copy_offload::WORTH_A_THREAD || self.packed.is_some() || !fd::is_regular(out) {
            return Ok(0);
        }
        let plan = Plan { source: file, from: Some(start), out, len, reread: file, reread_at: start };
        copy_offload::copy(plan, &mut |chunk| crc.update(chunk), check)
    }

    /// Returns where line `number` begins (1 is the first); the end of the data if there are fewer lines.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `check` returns.
    pub fn line_offset(&mut self, file: BorrowedFd<'_>, number: u64, check: Check<'_>) -> Result<u64> {
        let Some(ends) = number.checked_sub(1).filter(|ends| *ends > 0) else { return Ok(0) };
        let after = self.blocks.partition_point(|block| block.newlines_before < ends);
        let Some(block) = after.checked_sub(1).and_then(|at| self.blocks.get(at)) else {
            return Ok(self.size);
        };
        let (mut at, mut left, mut found) = (block.offset, ends - block.newlines_before, None);
        // Stop at the end of the block, or more frames of compressed data would be inflated ahead.
        let (start, end) = (at, self.blocks.get(after).map_or(self.size, |next| next.offset));
        self.chunks(file, start, end, check, &mut |chunk, _| {
            if let Some(past) = lines::after_newline(chunk, left) {
                found = Some(at + past as u64);
                return Ok(false);
            }
            left -= lines::count_newlines(chunk);
            at += chunk.len() as u64;
            Ok(true)
        })?;
        Ok(found.unwrap_or(end))
    }

    /// Returns where the last `count` lines begin.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `check` returns.
    pub fn tail_offset(&mut self, file: BorrowedFd<'_>, count: u64, check: Check<'_>) -> Result<u64> {
        let Some(last) = self.size.checked_sub(1).filter(|_| count > 0) else { return Ok(self.size) };
        let step = self.packed.as_ref().map_or(BACKWARDS, |_| FRAME) as u64;
        // A newline at the very end ends the last line; it does not begin another.
        let (mut left, mut end) = (count, last);
        while end > 0 {
            // Steps are aligned with frames, so that each is inflated once.
            let start = (end - 1) / step * step;
            let mut part = Vec::new();
            self.chunks(file, start, end, check, &mut |chunk, _| {
                part.extend_from_slice(chunk);
                Ok(true)
            })?;
            for at in memchr::memrchr_iter(b'\n', &part) {
                left -= 1;
                if left == 0 {
                    return Ok(start + at as u64 + 1);
                }
            }
            end = start;
        }
        Ok(0)
    }
}

fn plain_chunks(
    file: BorrowedFd<'_>,
    start: u64,
    end: u64,
    check: Check<'_>,
    take: &mut dyn FnMut(&[u8], Check<'_>) -> Result<bool>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(end.saturating_sub(start)).unwrap_or(CHUNK))];
    let mut at = start;
    while at < end {
        // A number that doesn't fit into a usize is more than a buffer holds.
        let most = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let chunk = &mut buffer[..most];
        fd::read_exact_at(file, chunk, at, check)?;
        at += chunk.len() as u64;
        if !take(chunk, check)? {
            break;
        }
    }
    Ok(())
}

fn packed_chunks(
    file: BorrowedFd<'_>,
    packed: &mut Packed,
    start: u64,
    end: u64,
    check: Check<'_>,
    take: &mut dyn FnMut(&[u8], Check<'_>) -> Result<bool>,
) -> Result<()> {
    let first = packed.frames.partition_point(|frame| frame.offset + frame.len as u64 <= start);
    let after = packed.frames.partition_point(|frame| frame.offset < end);
    // In order, since `start` is before `end`.
    let frames = &packed.frames[first..after];
    let mut take_part = |frame: &Frame, data: &[u8], check: Check<'_>| {
        // An offset beyond the frame is its end.
        let within = |offset: u64| {
            usize::try_from(offset.saturating_sub(frame.offset)).map_or(data.len(), |at| at.min(data.len()))
        };
        take(&data[within(start)..within(end)], check)
    };
    if unpack::inflate(packed.codec, file, frames, &mut take_part, check)? {
        return Ok(());
    }
    for frame in frames {
        if packed.current != Some(frame.offset) {
            packed.current = None;
            packed.decoder.read(file, frame, &mut packed.data, check)?;
            packed.current = Some(frame.offset);
        }
        if !take_part(frame, &packed.data, check)? {
            break;
        }
    }
    Ok(())
}

/// Returns the frames as blocks, if each has its number of newlines.
fn blocks_of(frames: &[Frame]) -> Option<Vec<Block>> {
    let mut newlines_before = 0;
    let block = |frame: &Frame| {
        let block = Block { offset: frame.offset, newlines_before };
        newlines_before += frame.newlines?;
        Some(block)
    };
    frames.iter().map(block).collect()
}

/// Returns the blocks of an index; without one, all of the data is one block.
fn indexed_blocks(size: u64, index: Option<&LineIndex>) -> Vec<Block> {
    let mut blocks = vec![Block { offset: 0, newlines_before: 0 }];
    if let Some(index) = index {
        let (mut offset, mut newlines_before) = (0, 0);
        for count in &index.counts {
            offset += index.block;
            newlines_before += count;
            blocks.push(Block { offset, newlines_before });
        }
    }
    blocks.retain(|block| block.offset == 0 || block.offset < size);
    blocks
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::copy::Writer;
    use crate::testing::{file_with, go_on};

    /// Two and a half megabytes, stored plain and compressed, and readers of each.
    fn stored(data: &[u8]) -> Vec<(File, Reader)> {
        let mut readers = Vec::new();
        for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            let (file, mut writer) = (file_with(b""), Writer::new(codec, false));
            writer.write(file.as_fd(), data, &mut go_on).unwrap();
            writer.finish(file.as_fd(), &mut go_on).unwrap();
            for index in [None, Some(writer.seen().line_index())] {
                let reader = match codec {
                    None => Reader::plain(writer.seen().byte_size(), index),
                    Some(codec) => {
                        let size = writer.stored_size();
                        Reader::packed(codec, file.as_fd(), size, index, &mut go_on).unwrap()
                    }
                };
                readers.push((file.try_clone().unwrap(), reader));
            }
        }
        readers
    }

    #[test]
    fn finds_lines_from_either_end() {
        let data = b"0123456\n".repeat(320_000);
        for (file, mut reader) in stored(&data) {
            for line in [1, 2, 131_072, 131_073, 131_074, 262_145, 320_000] {
                assert_eq!(reader.line_offset(file.as_fd(), line, &mut go_on).unwrap(), (line - 1) * 8);
                let last = 320_001 - line;
                assert_eq!(reader.tail_offset(file.as_fd(), last, &mut go_on).unwrap(), (line - 1) * 8);
            }
            assert_eq!(reader.line_offset(file.as_fd(), 320_002, &mut go_on).unwrap(), reader.size());
            assert_eq!(reader.tail_offset(file.as_fd(), 999_999, &mut go_on).unwrap(), 0);
            assert_eq!(reader.tail_offset(file.as_fd(), 0, &mut go_on).unwrap(), reader.size());
        }
    }

    #[test]
    fn measures_in_blocks() {
        let data = b"0123456\n".repeat(320_000);
        let block = NonZeroU64::new(1 << 20).unwrap();
        for (file, mut reader) in stored(&data) {
            let mut crc = crc32fast::Hasher::new();
            let counts = reader.measure(file.as_fd(), (0, u64::MAX), block, &mut crc, &mut go_on).unwrap();
            assert_eq!(counts, [131_072, 131_072, 57_856]);
            assert_eq!(crc.finalize(), crc32fast::hash(&data));
            let counts = reader
                .measure(file.as_fd(), (1, 10), block, &mut crc32fast::Hasher::new(), &mut go_on)
                .unwrap();
            assert_eq!(counts, [1]);
        }
    }

    #[test]
    fn gives_ranges_and_stops_when_told() {
        let data: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251) as u8).collect();
        for (file, mut reader) in stored(&data) {
            let mut seen = Vec::new();
            reader
                .chunks(file.as_fd(), 1_000_000, 2_200_000, &mut go_on, &mut |chunk, _| {
                    seen.extend_from_slice(chunk);
                    Ok(true)
                })
                .unwrap();
            assert_eq!(seen, data[1_000_000..2_200_000]);
            let mut calls = 0;
            reader
                .chunks(file.as_fd(), 0, u64::MAX, &mut go_on, &mut |_, _| {
                    calls += 1;
                    Ok(false)
                })
                .unwrap();
            assert_eq!(calls, 1);
        }
    }
}
