//! Writes an item to a file in constant memory, and counts, checksums and samples its bytes on the way.

use std::os::fd::BorrowedFd;

use crate::codec::Codec;
use crate::codec::pack::Packer;
use crate::copy_offload::{self, Plan};
use crate::error::{Check, Result};
use crate::fd::{self, CHUNK};
use crate::observe::Observer;

/// How often a copy that never waits checks for signals: every 8 MiB, which takes a few milliseconds.
const CHECK_EVERY: u64 = 8 * 1024 * 1024;

/// The least bytes between two hints to start writing to disk: enough for long writes, yet few enough that the disk is
/// never idle for long. For data that the kernel copies, the hint comes at the end of the call.
const WRITEBACK_EVERY: u64 = 8 * 1024 * 1024;

/// Writes one item.
pub struct Writer {
    /// Compresses the data; `None` to store it as it is.
    packer: Option<Packer>,
    buffer: Vec<u8>,
    seen: Observer,
    stored_size: u64,
    /// The end of the last hint to start writing to disk; `None` if nobody will wait for the disk.
    synced_upto: Option<u64>,
}

impl Writer {
    /// Creates a writer that compresses with `codec`. With `sync`, writing to disk starts early, since the caller will
    /// wait for it.
    #[must_use]
    pub fn new(codec: Option<Codec>, sync: bool) -> Self {
        Self {
            packer: codec.map(Packer::new),
            buffer: Vec::new(),
            seen: Observer::default(),
            stored_size: 0,
            synced_upto: sync.then_some(0),
        }
    }

    /// Writes `data` to `out`.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`], or what `check` returns.
    pub fn write(&mut self, out: BorrowedFd<'_>, data: &[u8], check: Check<'_>) -> Result<()> {
        for chunk in data.chunks(CHUNK) {
            self.seen.observe(chunk);
            self.store(out, chunk, check)?;
        }
        Ok(())
    }

    /// Copies from `source` up to its end, or `limit` bytes. Returns whether the end was reached.
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
        let left = limit - self.copy_in_kernel(out, source, limit, check)?;
        fd::widen_pipe(source);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        let end = self.copy_chunks(out, source, left, &mut buffer, check);
        self.buffer = buffer;
        end
    }

    /// Copies as much as the kernel can copy between files by itself; returns the number of bytes.
    fn copy_in_kernel(
        &mut self,
        out: BorrowedFd<'_>,
        source: BorrowedFd<'_>,
        limit: u64,
        check: Check<'_>,
    ) -> Result<u64> {
        if limit < copy_offload::WORTH_A_THREAD
            || self.packer.is_some()
            || !fd::is_regular(source)
            || !fd::is_regular(out)
        {
            return Ok(0);
        }
        let Some(reread_at) = fd::position(out).filter(|_| fd::is_readable(out)) else { return Ok(0) };
        // Read back the copy, not the source, which may be changing.
        let plan = Plan { source, from: None, out, len: limit, reread: out, reread_at };
        let seen = &mut self.seen;
        let copied = copy_offload::copy(plan, &mut |chunk| seen.observe(chunk), check)?;
        self.note_stored(out, copied);
        Ok(copied)
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
            // A number that doesn't fit into a usize is more than a buffer holds.
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let count = fd::read(source, &mut buffer[..most], check)?;
            if count == 0 {
                return Ok(true);
            }
            let chunk = &buffer[..count];
            self.seen.observe(chunk);
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

    /// Writes what is still pending. Nothing may be written afterwards.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`], or what `check` returns.
    pub fn finish(&mut self, out: BorrowedFd<'_>, check: Check<'_>) -> Result<()> {
        self.buffer = Vec::new();
        let Some(mut packer) = self.packer.take() else { return Ok(()) };
        let result = packer.finish(&mut |member| self.write_out(out, member, check));
        self.packer = Some(packer);
        result
    }

    fn store(&mut self, out: BorrowedFd<'_>, chunk: &[u8], check: Check<'_>) -> Result<()> {
        let Some(mut packer) = self.packer.take() else { return self.write_out(out, chunk, check) };
        let result = packer.pack(chunk, &mut |member| self.write_out(out, member, check));
        self.packer = Some(packer);
        result
    }

    fn write_out(&mut self, out: BorrowedFd<'_>, data: &[u8], check: Check<'_>) -> Result<()> {
        fd::write_all(out, data, check)?;
        self.note_stored(out, data.len() as u64);
        Ok(())
    }

    fn note_stored(&mut self, out: BorrowedFd<'_>, count: u64) {
        self.stored_size += count;
        if let Some(upto) = self.synced_upto.filter(|upto| self.stored_size - upto >= WRITEBACK_EVERY) {
            fd::start_writeback(out, upto, self.stored_size - upto);
            self.synced_upto = Some(self.stored_size);
        }
    }

    /// The number of bytes written to the file: the compressed size if the item is compressed.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        self.stored_size
    }

    /// The observations about the data, before compression.
    #[must_use]
    pub fn seen(&self) -> &Observer {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::detect::ContentType;
    use crate::error::Error;
    use crate::observe::PREFIX;
    use crate::testing::{content, file_with, go_on};

    #[test]
    fn copies_counts_and_samples() {
        let data = b"{\"a\": 1}\n{\"a\": 2}\n  \nrest".repeat(30_000);
        let (source, target) = (file_with(&data), file_with(b""));
        let mut writer = Writer::new(None, false);
        assert!(!writer.copy_from(target.as_fd(), source.as_fd(), 100, &mut go_on).unwrap());
        assert_eq!(writer.seen().byte_size(), 100);
        assert!(writer.copy_from(target.as_fd(), source.as_fd(), u64::MAX, &mut go_on).unwrap());
        writer.finish(target.as_fd(), &mut go_on).unwrap();
        assert_eq!(content(&target), data);
        assert_eq!((writer.seen().byte_size(), writer.seen().line_count()), (data.len() as u64, 90_001));
        assert_eq!(writer.seen().crc32(), crc32fast::hash(&data));
        assert_eq!(writer.seen().prefix(), &data[..PREFIX]);
        assert_eq!(writer.seen().content_type(), ContentType::Ndjson);
    }

    #[test]
    fn a_check_that_says_stop_ends_the_copy() {
        let (source, _writing_end) = rustix::pipe::pipe().unwrap();
        let target = file_with(b"");
        let stopped = Writer::new(None, false)
            .copy_from(target.as_fd(), source.as_fd(), 10, &mut || Err(Error::Stopped));
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
