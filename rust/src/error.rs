//! The one error type of the data path.

use std::io;

/// What can stop the data path.
#[derive(Debug)]
pub enum Error {
    /// The source could not be read.
    Read(io::Error),
    /// The destination could not be written.
    Write(io::Error),
    /// The stored data is not what its index or its metadata says.
    Damaged(&'static str),
    /// The caller's check asked to stop: a signal handler raised.
    Stopped,
}

/// A result of the data path.
pub type Result<T> = std::result::Result<T, Error>;

/// Asks whether to go on, by returning [`Error::Stopped`] where not.
///
/// Called between chunks and whenever a system call was interrupted, so that Ctrl-C ends a copy that waits.
pub type Check<'a> = &'a mut dyn FnMut() -> Result<()>;
