//! Compression. A stored file is a row of *frames*, each at most [`FRAME`] bytes of data compressed on its own, so that
//! all cores work on one item and a read in the middle inflates one frame.
//!
//! A codec is a file beside this one and a line in [`Codec::ALL`]; its twin is in `python/maxstage/_pure/codec/`.

pub mod gzip;
pub mod pack;
pub mod unpack;
pub mod zstd;

use std::os::fd::BorrowedFd;

use crate::error::{Check, Error, Result};
use crate::fd;

/// Data in one frame. Frames of 1 MiB cost half a percent of size against a single stream (64 KiB ones cost 6%) and are
/// what a read in the middle has to inflate.
pub const FRAME: usize = 1024 * 1024;

/// The error for what is no row of our frames, or has changed.
pub const DAMAGED: Error = Error::Damaged("the compressed data is damaged");

/// A way to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Members of RFC 1952, read by `gunzip`.
    Gzip,
    /// Frames of RFC 8878 in the seekable format, read by `zstd -d`.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// What stands for no codec, where one is named.
    pub const NONE: &'static str = "none";

    /// Its name, as settings and metadata have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Something that compresses frames.
    ///
    /// # Errors
    /// [`Error::Write`] where there is no memory for it.
    pub fn encoder(self) -> Result<Box<dyn Encode>> {
        Ok(match self {
            Self::Gzip => Box::new(gzip::Encoder::default()),
            Self::Zstd => Box::new(zstd::Encoder::new()?),
        })
    }

    /// Something that inflates frames.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        let inflate: Box<dyn Inflate> = match self {
            Self::Gzip => Box::new(gzip::Inflater::default()),
            Self::Zstd => Box::new(zstd::Inflater::default()),
        };
        Decoder { inflate, packed: Vec::new() }
    }

    /// Tells where the frames of a file lie.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is no row of our frames; [`Error::Read`].
    pub fn read_index(self, file: BorrowedFd<'_>, file_size: u64, check: Check<'_>) -> Result<Vec<Frame>> {
        match self {
            Self::Gzip => gzip::read_index(file, file_size, check),
            Self::Zstd => zstd::read_index(file, file_size, check),
        }
    }

    /// Whether the file ends with a table of the frames' sizes. Members of gzip each name their own.
    #[must_use]
    pub fn has_table(self) -> bool {
        self == Self::Zstd
    }

    /// What is written behind the last frame, given the sizes of all; nothing where there is no table.
    ///
    /// # Errors
    /// [`Error::Write`]: the format has no room for so many.
    pub fn trailer(self, sizes: &[FrameSizes]) -> Result<Vec<u8>> {
        if self.has_table() { zstd::seek_table(sizes) } else { Ok(Vec::new()) }
    }
}

/// How long a frame is: in the file, and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSizes {
    /// Bytes in the file.
    pub packed: u32,
    /// Bytes of data.
    pub data: u32,
}

/// Where a frame lies, in the file and in the data.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Where it begins in the file.
    pub file_offset: u64,
    /// How long it is there.
    pub file_len: usize,
    /// Where its data begins in the whole.
    pub offset: u64,
    /// How long its data is.
    pub len: usize,
    /// Newlines in it, where the file tells.
    pub newlines: Option<u64>,
}

/// Compresses one frame at a time.
pub trait Encode: Send {
    /// Makes `frame` the frame of `data`, which is at most [`FRAME`] bytes.
    ///
    /// # Errors
    /// [`Error::Write`] where the compressor refuses, which its own bound rules out.
    fn compress(&mut self, data: &[u8], frame: &mut Vec<u8>) -> Result<()>;
}

/// Inflates one frame at a time.
pub trait Inflate: Send + Sync {
    /// Inflates `packed`, the bytes of `frame`, into `data`, which has the length of its data; checks its checksum.
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

/// The error for what can't happen: the compressor, or a thread of it, gave up.
#[must_use]
pub fn failed() -> Error {
    Error::Write(std::io::Error::other("compression failed"))
}

/// A length as a frame's header or a seek table has it.
///
/// # Errors
/// [`Error::Write`]: it is no length of a frame.
pub fn frame_len(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| failed())
}
