//! Gzip in independent members, each of which names its own size.
//!
//! A stored file is a row of members (RFC 1952 allows any number), each at most [`MEMBER`] bytes of data
//! compressed on its own. `gunzip` reads the row as one stream. We also read any part of it without
//! inflating what lies before, as bgzip does, because each member's header carries an extra field `MX`:
//! the member's length, its length inflated, and its newlines, as three little-endian `u32`.

use std::os::fd::BorrowedFd;

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

/// The error for what is no row of our members, or has changed.
pub const DAMAGED: Error = Error::Damaged("the compressed data is damaged");

/// Compresses one member at a time.
pub struct Encoder {
    compressor: Compressor,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()) }
    }
}

impl Encoder {
    /// Makes `member` the member of `data`, which is at most [`MEMBER`] bytes.
    ///
    /// # Errors
    /// [`Error::Write`] where the compressor refuses, which its own bound rules out.
    pub fn compress(&mut self, data: &[u8], member: &mut Vec<u8>) -> Result<()> {
        let bound = self.compressor.deflate_compress_bound(data.len());
        // What it held is overwritten: nothing is gained by clearing it first.
        member.resize(HEADER + bound + TRAILER, 0);
        let body = member.get_mut(HEADER..HEADER + bound).unwrap_or_default();
        let packed = self.compressor.deflate_compress(data, body).map_err(|_| failed())?;
        member.truncate(HEADER + packed);
        let mut crc = Crc::new();
        crc.update(data);
        member.extend_from_slice(&crc.sum().to_le_bytes());
        member.extend_from_slice(&to_u32(data.len()).to_le_bytes());
        let sizes = [to_u32(member.len()), to_u32(data.len()), to_u32(count(data))];
        let header = LEAD.into_iter().chain(sizes.into_iter().flat_map(u32::to_le_bytes));
        for (byte, value) in member.iter_mut().zip(header) {
            *byte = value;
        }
        Ok(())
    }
}

/// The error for what can't happen: the compressor, or a thread of it, gave up.
#[must_use]
pub fn failed() -> Error {
    Error::Write(std::io::Error::other("compression failed"))
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

/// Inflates one member at a time.
#[derive(Default)]
pub struct Decoder {
    decompressor: Decompressor,
    packed: Vec<u8>,
}

impl Decoder {
    /// Reads and inflates `member`, whose own checksum is checked, into `data`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Read`].
    pub fn inflate(
        &mut self,
        file: BorrowedFd<'_>,
        member: &Member,
        data: &mut Vec<u8>,
        check: Check<'_>,
    ) -> Result<()> {
        self.packed.resize(member.file_len, 0);
        fd::read_exact_at(file, &mut self.packed, member.file_offset, check)?;
        data.resize(member.len, 0);
        match self.decompressor.gzip_decompress(&self.packed, data) {
            // The trailer's checksum covers the data; the count of newlines is in nothing but our header.
            Ok(len) if len == member.len && lines::count_newlines(data) == member.newlines => Ok(()),
            _ => Err(DAMAGED),
        }
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
        let (mut encoder, mut member, mut stored) = (Encoder::default(), Vec::new(), Vec::new());
        for part in [&b"one\ntwo\n"[..], b"", b"three"] {
            encoder.compress(part, &mut member).unwrap();
            stored.extend_from_slice(&member);
        }
        let file = file_with(&stored);
        let members = read_index(file.as_fd(), stored.len() as u64, &mut go_on).unwrap();
        let starts: Vec<_> = members.iter().map(|member| (member.offset, member.newlines_before)).collect();
        assert_eq!(starts, [(0, 0), (8, 2), (8, 2)]);
        let (mut decoder, mut data) = (Decoder::default(), Vec::new());
        for (member, expected) in members.iter().zip([&b"one\ntwo\n"[..], b"", b"three"]).rev() {
            decoder.inflate(file.as_fd(), member, &mut data, &mut go_on).unwrap();
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
}
