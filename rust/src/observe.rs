//! Observes bytes on their way: counts, a checksum, and a sample of the beginning.

use std::num::NonZeroU64;

use crate::detect::{self, ContentType};
use crate::lines;

/// The bytes kept from the beginning, to detect the content type and the source: several records of usual size.
pub const PREFIX: usize = 64 * 1024;

/// Newlines per block of the data, to find a line in the middle without reading everything before it.
///
/// Its size is bounded: when [`LineIndex::MOST`] blocks are full, neighbours are merged, which doubles the block size.
#[derive(Clone, Debug)]
pub struct LineIndex {
    /// Bytes in a block.
    pub block: u64,
    /// Newlines in each block; the last block may be shorter.
    pub counts: Vec<u64>,
    filled: u64,
    most: usize,
}

impl Default for LineIndex {
    fn default() -> Self {
        Self { block: Self::SMALLEST, counts: Vec::new(), filled: 0, most: Self::MOST }
    }
}

impl LineIndex {
    /// The initial block size: reading a block takes less time than starting a process.
    pub const SMALLEST: u64 = 1024 * 1024;
    /// The most blocks: 6 KB of JSON.
    pub const MOST: usize = 1024;

    /// Creates an index from stored counts.
    #[must_use]
    pub fn from_parts(block: u64, counts: Vec<u64>) -> Self {
        Self { block, counts, filled: 0, most: Self::MOST }
    }

    /// Creates an index whose block size never changes, however many blocks there are.
    #[must_use]
    pub fn of_blocks(block: NonZeroU64) -> Self {
        Self { block: block.get(), counts: Vec::new(), filled: 0, most: usize::MAX }
    }

    /// Counts the newlines of the next `data`.
    pub fn count(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.filled == 0 {
                self.open_block();
            }
            // If the room exceeds a usize, all of the data fits.
            let room =
                usize::try_from(self.block - self.filled).map_or(data.len(), |room| room.min(data.len()));
            let (now, later) = data.split_at(room);
            if let Some(last) = self.counts.last_mut() {
                *last += lines::count_newlines(now);
            }
            self.filled = (self.filled + now.len() as u64) % self.block;
            data = later;
        }
    }

    fn open_block(&mut self) {
        if self.counts.len() == self.most {
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

/// Observes bytes as they pass by.
#[derive(Default)]
pub struct Observer {
    crc: crc32fast::Hasher,
    index: LineIndex,
    prefix: Vec<u8>,
    last: Option<u8>,
    last_nonblank: Option<u8>,
    byte_size: u64,
}

impl Observer {
    /// Observes the next `chunk`.
    pub fn observe(&mut self, chunk: &[u8]) {
        self.crc.update(chunk);
        self.index.count(chunk);
        self.byte_size += chunk.len() as u64;
        self.last = chunk.last().copied().or(self.last);
        self.last_nonblank =
            chunk.iter().rev().copied().find(|byte| !lines::is_blank(*byte)).or(self.last_nonblank);
        let room = PREFIX.saturating_sub(self.prefix.len()).min(chunk.len());
        self.prefix.extend_from_slice(&chunk[..room]);
    }

    /// The number of bytes.
    #[must_use]
    pub fn byte_size(&self) -> u64 {
        self.byte_size
    }

    /// The number of lines, including an unterminated last one.
    #[must_use]
    pub fn line_count(&self) -> u64 {
        lines::line_count(self.index.newlines(), self.last)
    }

    /// The CRC-32 of the bytes (IEEE 802.3, as in gzip).
    #[must_use]
    pub fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// The first [`PREFIX`] bytes.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Newlines per block.
    #[must_use]
    pub fn line_index(&self) -> &LineIndex {
        &self.index
    }

    /// The detected content type.
    #[must_use]
    pub fn content_type(&self) -> ContentType {
        let whole = self.byte_size == self.prefix.len() as u64;
        detect::content_type(&self.prefix, whole, self.line_count(), self.last_nonblank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_never_grows_beyond_its_bound() {
        let mut index = LineIndex { block: 4, ..LineIndex::default() };
        for _ in 0..LineIndex::MOST * 3 {
            index.count(b"\n\nxyz");
        }
        assert!(index.counts.len() <= LineIndex::MOST);
        assert_eq!(index.block, 16);
        assert_eq!(index.newlines(), 2 * 3 * LineIndex::MOST as u64);
        assert_eq!(index.counts.len(), (5 * 3 * LineIndex::MOST).div_ceil(16));
    }
}
