//! Compression. A stored file is a sequence of *frames*, each at most [`FRAME`] bytes of data compressed independently,
//! so that all cores can work on one item and a read in the middle inflates one frame.
//!
//! To add a codec, add a file next to this one and a line to [`Codec::ALL`]; its twin is in
//! `python/maxstage/_pure/codec/`.

pub mod gzip;
pub mod pack;
pub mod unpack;
pub mod zstd;

use std::os::fd::BorrowedFd;

use crate::error::{Check, Error, Result};
use crate::fd;

/// The data in one frame, which a read in the middle has to inflate. Compared with a single stream, frames of 1 MiB add
/// half a percent to the size; frames of 64 KiB would add 6%.
pub const FRAME: usize = 1024 * 1024;

/// The error for a file that is not a sequence of our frames, or has changed.
pub const DAMAGED: Error = Error::Damaged("the compressed data is damaged");

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Members of RFC 1952, read by `gunzip`.
    Gzip,
    /// Frames of RFC 8878 in the seekable format, read by `zstd -d`.
    Zstd,
}

impl Codec {
    /// All codecs.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// The name that means no codec.
    pub const NONE: &'static str = "none";

    /// Its name in settings and metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Creates an encoder for frames.
    ///
    /// # Errors
    /// [`Error::Write`] if there is no memory for it.
    pub fn encoder(self) -> Result<Box<dyn Encode>> {
        Ok(match self {
            Self::Gzip => Box::new(gzip::Encoder::default()),
            Self::Zstd => Box::new(zstd::Encoder::new()?),
        })
    }

    /// Creates a decoder for frames.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        let inflate: Box<dyn Inflate> = match self {
            Self::Gzip => Box::new(gzip::Inflater::default()),
            Self::Zstd => Box::new(zstd::Inflater::default()),
        };
        Decoder { inflate, packed: Vec::new() }
    }

    /// Returns the positions of the frames in a file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not a sequence of our frames; [`Error::Read`].
    pub fn read_index(self, file: BorrowedFd<'_>, file_size: u64, check: Check<'_>) -> Result<Vec<Frame>> {
        match self {
            Self::Gzip => gzip::read_index(file, file_size, check),
            Self::Zstd => zstd::read_index(file, file_size, check),
        }
    }

    /// Whether the file ends with a table of the frames' sizes. Gzip members each contain their own.
    #[must_use]
    pub fn has_table(self) -> bool {
        self == Self::Zstd
    }

    /// Returns the bytes that follow the last frame, given the sizes of all frames; none if there is no table.
    ///
    /// # Errors
    /// [`Error::Write`] if there are more frames than the format allows.
    pub fn trailer(self, sizes: &[FrameSizes]) -> Result<Vec<u8>> {
        if self.has_table() { zstd::seek_table(sizes) } else { Ok(Vec::new()) }
    }
}

/// The sizes of a frame in the file and of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSizes {
    /// Bytes in the file.
    pub packed: u32,
    /// Bytes of data.
    pub data: u32,
}

/// The position of a frame in the file and in the data.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Where it begins in the file.
    pub file_offset: u64,
    /// Its length in the file.
    pub file_len: usize,
    /// Where its data begins in all of the data.
    pub offset: u64,
    /// The length of its data.
    pub len: usize,
    /// The newlines in it, if the file records them.
    pub newlines: Option<u64>,
}

/// Compresses one frame at a time.
pub trait Encode: Send {
    /// Compresses `data`, at most [`FRAME`] bytes, into `frame`.
    ///
    /// # Errors
    /// [`Error::Write`] if the compressor fails, which the size of its buffer rules out.
    fn compress(&mut self, data: &[u8], frame: &mut Vec<u8>) -> Result<()>;
}

/// Inflates one frame at a time.
pub trait Inflate: Send + Sync {
    /// Inflates `packed`, the bytes of `frame`, into `data`, which has the right length; verifies the checksum.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    fn inflate(&mut self, packed: &[u8], frame: &Frame, data: &mut [u8]) -> Result<()>;
}

/// Reads and inflates frames.
pub struct Decoder {
    inflate: Box<dyn Inflate>,
    packed: Vec<u8>,
}

impl Decoder {
    /// Reads and inflates `frame` into `data`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Read`].
    pub fn read(
        &mut self,
        file: BorrowedFd<'_>,
        frame: &Frame,
        data: &mut Vec<u8>,
        check: Check<'_>,
    ) -> Result<()> {
        self.packed.resize(frame.file_len, 0);
        fd::read_exact_at(file, &mut self.packed, frame.file_offset, check)?;
        data.resize(frame.len, 0);
        self.inflate.inflate(&self.packed, frame, data)
    }
}

/// The error for what shouldn't happen: the compressor, or one of its threads, failed.
#[must_use]
pub fn failed() -> Error {
    Error::Write(std::io::Error::other("compression failed"))
}

/// Converts a length for a frame's header or a seek table.
///
/// # Errors
/// [`Error::Write`] if it is too large.
pub fn frame_len(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| failed())
}
