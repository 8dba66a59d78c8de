//! The one error type of the data path.

use std::io;

/// What can stop the data path.
#[derive(Debug)]
pub enum Error {
    /// The source could not be read.
    Read(io::Error),
    /// The destination could not be written.
    Write(io::Error),
    /// The stored data doesn't match its index or its metadata.
    Damaged(&'static str),
    /// The caller's check asked to stop, since a signal handler raised an exception.
    Stopped,
}

/// A result of the data path.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns [`Error::Stopped`] to stop an operation.
///
/// Called between chunks and whenever a system call was interrupted, so that Ctrl-C ends a copy that is waiting.
pub type Check<'a> = &'a mut dyn FnMut() -> Result<()>;
