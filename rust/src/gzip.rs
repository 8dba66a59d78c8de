//! Gzip in independent members, each of which names its own size.
//!
//! A stored file is a row of members (RFC 1952 allows any number), each at most [`MEMBER`] bytes of data
//! compressed on its own. `gunzip` reads the row as one stream. We also read any part of it without
//! inflating what lies before, as bgzip does, because each member's header carries an extra field `MX`:
//! the member's length, its length inflated, and its newlines, as three little-endian `u32`.

use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor, Crc, Decompressor};

use crate::error::{Check, Error, Result};
use crate::fd;
use crate::lines;

/// Data in one member. Members of 1 MiB cost half a percent of size against a single stream (64 KiB
/// ones cost 6%) and are what a read in the middle has to inflate.
pub const MEMBER: usize = 1024 * 1024;

/// Level 1: staging sits in pipelines, where time is worth more than the last few percent of size.
const LEVEL: i32 = 1;

/// Fixed header (10), length of the extra field (2), its tag and length (4), three `u32` (12).
const HEADER: usize = 28;
/// CRC-32 and length, each a `u32`.
const TRAILER: usize = 8;
/// Magic, DEFLATE, flag FEXTRA, no time, "fastest", unknown system; extra field of 16 bytes: `MX`, 12 bytes.
const LEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 255, 16, 0, b'M', b'X', 12, 0];

/// What a member may measure in the file: incompressible data grows by far less than its own size.
const MEMBER_FILE: std::ops::RangeInclusive<usize> = HEADER + TRAILER..=2 * MEMBER;

const DAMAGED: Error = Error::Damaged("the compressed data is damaged");

/// Compresses one member at a time.
pub struct Encoder {
    compressor: Compressor,
    member: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self { compressor: Compressor::new(level), member: Vec::new() }
    }
}

impl Encoder {
    /// Compresses `data`, at most [`MEMBER`] bytes; [`Self::compressed`] has the member then.
    ///
    /// # Errors
    /// [`Error::Write`] where the compressor refuses, which its own bound rules out.
    pub fn compress(&mut self, data: &[u8]) -> Result<()> {
        let bound = self.compressor.deflate_compress_bound(data.len());
        self.member.clear();
        self.member.resize(HEADER + bound + TRAILER, 0);
        let body = self.member.get_mut(HEADER..HEADER + bound).unwrap_or_default();
        let packed = self
            .compressor
            .deflate_compress(data, body)
            .map_err(|_| Error::Write(std::io::Error::other("compression failed")))?;
        self.member.truncate(HEADER + packed);
        let mut crc = Crc::new();
        crc.update(data);
        self.member.extend_from_slice(&crc.sum().to_le_bytes());
        self.member.extend_from_slice(&to_u32(data.len()).to_le_bytes());
        let sizes = [to_u32(self.member.len()), to_u32(data.len()), to_u32(count(data))];
        let header = LEAD.into_iter().chain(sizes.into_iter().flat_map(u32::to_le_bytes));
        for (byte, value) in self.member.iter_mut().zip(header) {
            *byte = value;
        }
        Ok(())
    }

    /// The member that was made last.
    #[must_use]
    pub fn compressed(&self) -> &[u8] {
        &self.member
    }
}

/// Compresses `data`, a [`MEMBER`] for each encoder at most, side by side.
///
/// # Errors
/// As [`Encoder::compress`].
pub fn compress(encoders: &mut [Encoder], data: &[u8]) -> Result<()> {
    // No data is one member as well.
    let parts = if data.is_empty() { vec![data] } else { data.chunks(MEMBER).collect() };
    let helpers = parts.len() - 1;
    let jobs = Mutex::new(encoders.iter_mut().zip(parts));
    let work = || {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((encoder, part)) = job else { return Ok(()) };
            encoder.compress(part)?;
        }
    };
    std::thread::scope(|scope| {
        let start = || std::thread::Builder::new().spawn_scoped(scope, work);
        // A thread may be refused, by a limit of processes or of memory: the others do its part.
        let running: Vec<_> = (0..helpers).filter_map(|_| start().ok()).collect();
        let own = work();
        let failed = || Err(Error::Write(std::io::Error::other("compression failed")));
        running.into_iter().map(|helper| helper.join().unwrap_or_else(|_| failed())).fold(own, Result::and)
    })
}

/// Where a member lies, in the file and in the data.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    file_offset: u64,
    file_len: usize,
    /// Where its data begins in the whole, inflated.
    pub offset: u64,
    /// How long its data is.
    pub len: usize,
    /// Newlines before it in the whole.
    pub newlines_before: u64,
    /// Newlines in it.
    pub newlines: u64,
}

/// Reads the members' headers, hopping from one to the next.
///
/// # Errors
/// [`Error::Damaged`] where the file is no row of our members; [`Error::Read`].
pub fn read_index(file: BorrowedFd<'_>, file_size: u64, check: Check<'_>) -> Result<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    let (mut file_offset, mut offset, mut newlines_before) = (0, 0, 0);
    while file_offset < file_size {
        let mut header = [0; HEADER];
        fd::read_exact_at(file, &mut header, file_offset, check)?;
        let (lead, sizes) = header.split_at(LEAD.len());
        let mut sizes = sizes
            .chunks_exact(4)
            .map(|four| four.iter().rev().fold(0_u32, |sum, b| sum << 8 | u32::from(*b)));
        let (Some(file_len), Some(len), Some(newlines)) = (sizes.next(), sizes.next(), sizes.next()) else {
            return Err(DAMAGED);
        };
        let (file_len, len) = (file_len as usize, len as usize);
        if lead != LEAD || len > MEMBER || !MEMBER_FILE.contains(&file_len) {
            return Err(DAMAGED);
        }
        members.push(Member {
            file_offset,
            file_len,
            offset,
            len,
            newlines_before,
            newlines: newlines.into(),
        });
        file_offset += file_len as u64;
        offset += len as u64;
        newlines_before += u64::from(newlines);
    }
    if file_offset == file_size { Ok(members) } else { Err(DAMAGED) }
}

/// Inflates one member at a time into a buffer that it keeps.
#[derive(Default)]
pub struct Decoder {
    decompressor: Decompressor,
    packed: Vec<u8>,
    data: Vec<u8>,
    /// Which member `data` is of, so that many small reads of one inflate it once.
    current: Option<u64>,
}

impl Decoder {
    /// Reads and inflates `member`, whose own checksum is checked.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Read`].
    pub fn inflate(&mut self, file: BorrowedFd<'_>, member: &Member, check: Check<'_>) -> Result<&[u8]> {
        if self.current != Some(member.file_offset) {
            self.current = None;
            self.packed.resize(member.file_len, 0);
            fd::read_exact_at(file, &mut self.packed, member.file_offset, check)?;
            self.data.resize(member.len, 0);
            match self.decompressor.gzip_decompress(&self.packed, &mut self.data) {
                // The trailer's checksum covers the data; the count of newlines is in nothing but our header.
                Ok(len) if len == member.len && lines::count_newlines(&self.data) == member.newlines => {
                    self.current = Some(member.file_offset);
                }
                _ => return Err(DAMAGED),
            }
        }
        Ok(&self.data)
    }
}

fn count(data: &[u8]) -> usize {
    usize::try_from(lines::count_newlines(data)).unwrap_or(usize::MAX)
}

/// A length within a member, which always fits.
fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::testing::{file_with, go_on};

    #[test]
    fn members_are_found_and_inflated() {
        let mut encoder = Encoder::default();
        let mut stored = Vec::new();
        for part in [&b"one\ntwo\n"[..], b"", b"three"] {
            encoder.compress(part).unwrap();
            stored.extend_from_slice(encoder.compressed());
        }
        let file = file_with(&stored);
        let members = read_index(file.as_fd(), stored.len() as u64, &mut go_on).unwrap();
        let starts: Vec<_> = members.iter().map(|member| (member.offset, member.newlines_before)).collect();
        assert_eq!(starts, [(0, 0), (8, 2), (8, 2)]);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.inflate(file.as_fd(), &members[2], &mut go_on).unwrap(), b"three");
        assert_eq!(decoder.inflate(file.as_fd(), &members[0], &mut go_on).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_row_that_ends_early_is_damaged() {
        let mut encoder = Encoder::default();
        encoder.compress(b"data").unwrap();
        let stored = encoder.compressed().to_vec();
        for size in 1..stored.len() {
            let file = file_with(&stored[..size]);
            let index = read_index(file.as_fd(), size as u64, &mut go_on);
            assert!(matches!(index, Err(Error::Damaged(_))), "{size}");
        }
    }
}
