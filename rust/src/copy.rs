//! Writing an item: bytes in, file out; counted, checksummed and sampled on the way, in constant memory.

use std::os::fd::BorrowedFd;

use crate::detect::{self, ContentType};
use crate::error::{Check, Result};
use crate::fd::{self, CHUNK};
use crate::gzip::{self, Encoder, MEMBER};
use crate::lines;

/// What is kept of the beginning, to tell the content type and the source from: several records of any usual size.
pub const PREFIX: usize = 64 * 1024;

/// Threads that compress one item at most: each holds 2 MiB, and more wait for the disk.
const MOST_WORKERS: usize = 4;

/// How often a copy that never waits asks whether to go on: every 8 MiB, a few milliseconds.
const CHECK_EVERY: u64 = 8 * 1024 * 1024;

/// Newlines per block of the data, so that a line in the middle is found without reading what lies before.
///
/// Constant in size: when [`LineIndex::MOST`] blocks are full, neighbours are merged and blocks are twice as long.
#[derive(Clone, Debug)]
pub struct LineIndex {
    /// Bytes in a block.
    pub block: u64,
    /// Newlines in each block; the last may be shorter.
    pub counts: Vec<u64>,
    filled: u64,
}

impl Default for LineIndex {
    fn default() -> Self {
        Self { block: Self::SMALLEST, counts: Vec::new(), filled: 0 }
    }
}

impl LineIndex {
    /// The first block length: reading it takes less time than starting a process.
    pub const SMALLEST: u64 = 1024 * 1024;
    /// Blocks at most: 6 KB of JSON.
    pub const MOST: usize = 1024;

    /// An index that was stored.
    #[must_use]
    pub fn from_parts(block: u64, counts: Vec<u64>) -> Self {
        Self { block, counts, filled: 0 }
    }

    /// Counts the newlines of the next `data`.
    fn count(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.filled == 0 {
                self.open_block();
            }
            let room = usize::try_from(self.block - self.filled).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(room.min(data.len()));
            if let Some(last) = self.counts.last_mut() {
                *last += lines::count_newlines(now);
            }
            self.filled = (self.filled + now.len() as u64) % self.block;
            data = later;
        }
    }

    fn open_block(&mut self) {
        if self.counts.len() == Self::MOST {
            self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.block *= 2;
        }
        self.counts.push(0);
    }

    /// All newlines so far.
    #[must_use]
    pub fn newlines(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// How many members are compressed at once.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS)
}

/// Writes one item.
pub struct Writer {
    /// As many as compress side by side; none where the item is not compressed.
    encoders: Vec<Encoder>,
    /// Data that waits until all of them have something to do.
    pending: Vec<u8>,
    buffer: Vec<u8>,
    crc: crc32fast::Hasher,
    index: LineIndex,
    prefix: Vec<u8>,
    last: Option<u8>,
    last_nonblank: Option<u8>,
    byte_size: u64,
    stored_size: u64,
}

impl Writer {
    /// A writer of nothing yet.
    #[must_use]
    pub fn new(compress: bool) -> Self {
        Self {
            encoders: if compress {
                (0..workers()).map(|_| Encoder::default()).collect()
            } else {
                Vec::new()
            },
            pending: Vec::new(),
            buffer: Vec::new(),
            crc: crc32fast::Hasher::new(),
            index: LineIndex::default(),
            prefix: Vec::new(),
            last: None,
            last_nonblank: None,
            byte_size: 0,
            stored_size: 0,
        }
    }

    /// Writes `data` to `out`.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`], or what `check` returns.
    pub fn write(&mut self, out: BorrowedFd<'_>, data: &[u8], check: Check<'_>) -> Result<()> {
        for chunk in data.chunks(CHUNK) {
            self.observe(chunk);
            self.store(out, chunk, check)?;
        }
        Ok(())
    }

    /// Copies from `source` until its end, or until `limit` bytes were copied. Returns whether it was the end.
    ///
    /// # Errors
    /// [`crate::error::Error::Read`], [`crate::error::Error::Write`], or what `check` returns.
    pub fn copy_from(
        &mut self,
        out: BorrowedFd<'_>,
        source: BorrowedFd<'_>,
        limit: u64,
        check: Check<'_>,
    ) -> Result<bool> {
        fd::widen_pipe(source);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        let end = self.copy_chunks(out, source, limit, &mut buffer, check);
        self.buffer = buffer;
        end
    }

    fn copy_chunks(
        &mut self,
        out: BorrowedFd<'_>,
        source: BorrowedFd<'_>,
        limit: u64,
        buffer: &mut [u8],
        check: Check<'_>,
    ) -> Result<bool> {
        let (mut left, mut checked) = (limit, 0);
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = fd::read(source, buffer.get_mut(..most).unwrap_or_default(), check)?;
            if count == 0 {
                return Ok(true);
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            self.observe(chunk);
            self.store(out, chunk, check)?;
            left -= count as u64;
            checked += count as u64;
            if checked >= CHECK_EVERY {
                check()?;
                checked = 0;
            }
        }
        Ok(false)
    }

    /// Writes what is still pending. Nothing may be written after it.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`], or what `check` returns.
    pub fn finish(&mut self, out: BorrowedFd<'_>, check: Check<'_>) -> Result<()> {
        // An empty item is one empty member: no bytes at all are not a gzip file.
        if !self.encoders.is_empty() && (!self.pending.is_empty() || self.stored_size == 0) {
            self.store_members(out, check)?;
        }
        Ok(())
    }

    fn observe(&mut self, chunk: &[u8]) {
        self.crc.update(chunk);
        self.index.count(chunk);
        self.byte_size += chunk.len() as u64;
        self.last = chunk.last().copied().or(self.last);
        self.last_nonblank =
            chunk.iter().rev().copied().find(|byte| !detect::is_blank(*byte)).or(self.last_nonblank);
        let room = PREFIX.saturating_sub(self.prefix.len()).min(chunk.len());
        self.prefix.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }

    fn store(&mut self, out: BorrowedFd<'_>, mut chunk: &[u8], check: Check<'_>) -> Result<()> {
        if self.encoders.is_empty() {
            self.stored_size += chunk.len() as u64;
            return fd::write_all(out, chunk, check);
        }
        while !chunk.is_empty() {
            let room = MEMBER * self.encoders.len() - self.pending.len();
            let (now, later) = chunk.split_at(chunk.len().min(room));
            self.pending.extend_from_slice(now);
            if now.len() == room {
                self.store_members(out, check)?;
            }
            chunk = later;
        }
        Ok(())
    }

    fn store_members(&mut self, out: BorrowedFd<'_>, check: Check<'_>) -> Result<()> {
        // An empty item is one member as well.
        let count = self.pending.len().div_ceil(MEMBER).max(1);
        gzip::compress(&mut self.encoders, &self.pending)?;
        for encoder in self.encoders.iter().take(count) {
            let member = encoder.compressed();
            fd::write_all(out, member, check)?;
            self.stored_size += member.len() as u64;
        }
        self.pending.clear();
        Ok(())
    }

    /// Bytes taken in.
    #[must_use]
    pub fn byte_size(&self) -> u64 {
        self.byte_size
    }

    /// Bytes written out; less where the item is compressed.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        self.stored_size
    }

    /// Lines taken in; an unterminated last one counts.
    #[must_use]
    pub fn line_count(&self) -> u64 {
        lines::line_count(self.index.newlines(), self.last)
    }

    /// CRC-32 (IEEE 802.3, as in gzip) of the bytes taken in.
    #[must_use]
    pub fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// The first [`PREFIX`] bytes taken in.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Newlines per block.
    #[must_use]
    pub fn line_index(&self) -> &LineIndex {
        &self.index
    }

    /// What the bytes look like.
    #[must_use]
    pub fn content_type(&self) -> ContentType {
        let whole = self.byte_size == self.prefix.len() as u64;
        detect::content_type(&self.prefix, whole, self.line_count(), self.last_nonblank)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::error::Error;
    use crate::testing::{content, file_with, go_on};

    #[test]
    fn copies_counts_and_samples() {
        let data = b"{\"a\": 1}\n{\"a\": 2}\n  \nrest".repeat(30_000);
        let (source, target) = (file_with(&data), file_with(b""));
        let mut writer = Writer::new(false);
        assert!(!writer.copy_from(target.as_fd(), source.as_fd(), 100, &mut go_on).unwrap());
        assert_eq!(writer.byte_size(), 100);
        assert!(writer.copy_from(target.as_fd(), source.as_fd(), u64::MAX, &mut go_on).unwrap());
        writer.finish(target.as_fd(), &mut go_on).unwrap();
        assert_eq!(content(&target), data);
        assert_eq!((writer.byte_size(), writer.line_count()), (data.len() as u64, 90_001));
        assert_eq!(writer.crc32(), crc32fast::hash(&data));
        assert_eq!(writer.prefix(), &data[..PREFIX]);
        assert_eq!(writer.content_type(), ContentType::Ndjson);
    }

    #[test]
    fn the_index_never_grows_beyond_its_bound() {
        let mut index = LineIndex { block: 4, counts: Vec::new(), filled: 0 };
        for _ in 0..LineIndex::MOST * 3 {
            index.count(b"\n\nxyz");
        }
        assert!(index.counts.len() <= LineIndex::MOST);
        assert_eq!(index.block, 16);
        assert_eq!(index.newlines(), 2 * 3 * LineIndex::MOST as u64);
        assert_eq!(index.counts.len(), (5 * 3 * LineIndex::MOST).div_ceil(16));
    }

    #[test]
    fn a_check_that_says_stop_ends_the_copy() {
        let (source, _writing_end) = rustix::pipe::pipe().unwrap();
        let target = file_with(b"");
        let stopped =
            Writer::new(false).copy_from(target.as_fd(), source.as_fd(), 10, &mut || Err(Error::Stopped));
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
