//! Reads and writes file descriptors set up by others: calls may be interrupted, non-blocking or partial.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::{Check, Error, Result};

/// The size of one read: large enough that system calls cost little, small enough to stay in a core's L2 cache
/// while it is read, counted, checksummed and written.
pub const CHUNK: usize = 256 * 1024;

/// The size that pipes are widened to: the most that an unprivileged process may request by default
/// (`/proc/sys/fs/pipe-max-size`). Fewer, larger reads halve the time for a pipe with small writes.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1024 * 1024;

/// How long a signal that arrives at the wrong moment may go unnoticed: five wake-ups a second while nothing arrives.
const SIGNAL_LATENCY_NS: i64 = 200_000_000;

/// Reads once, waiting for data. 0 is the end.
///
/// # Errors
/// [`Error::Read`], or what `check` returns.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8], check: Check<'_>) -> Result<usize> {
    await_ready(fd, PollFlags::IN, check)?;
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Ok(count) => return Ok(count),
            Err(errno) => wait(fd, errno, PollFlags::IN, Error::Read, check)?,
        }
    }
}

/// Reads at `offset`; 0 is the end.
///
/// # Errors
/// [`Error::Read`], or what `check` returns.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64, check: Check<'_>) -> Result<usize> {
    loop {
        match rustix::io::pread(fd, &mut *buffer, offset) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => check()?,
            Err(errno) => return Err(Error::Read(errno.into())),
        }
    }
}

/// Fills `buffer` from `offset`.
///
/// # Errors
/// [`Error::Damaged`] if the file ends first; otherwise as [`read_at`].
pub fn read_exact_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64, check: Check<'_>) -> Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match read_at(fd, &mut buffer[done..], offset + done as u64, check)? {
            0 => return Err(Error::Damaged("the data file is shorter than its metadata says")),
            count => done += count,
        }
    }
    Ok(())
}

/// Writes all of `data`.
///
/// # Errors
/// [`Error::Write`], or what `check` returns.
pub fn write_all(fd: BorrowedFd<'_>, mut data: &[u8], check: Check<'_>) -> Result<()> {
    while !data.is_empty() {
        match rustix::io::write(fd, data) {
            Ok(count) => {
                // In bounds: the kernel never writes more than it was given.
                data = &data[count..];
                // A write to a pipe is only partial if a signal interrupted it.
                if !data.is_empty() {
                    check()?;
                }
            }
            Err(errno) => wait(fd, errno, PollFlags::OUT, Error::Write, check)?,
        }
    }
    Ok(())
}

/// Returns whether a descriptor is a pipe.
#[must_use]
pub fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo())
}

/// Moves `len` bytes of a file, from `offset`, into a pipe: the kernel passes on its pages instead of copying them.
/// Returns how many were moved: fewer if the system can't.
///
/// # Errors
/// [`Error::Write`], or what `check` returns.
#[cfg(target_os = "linux")]
pub fn splice(
    file: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    pipe: BorrowedFd<'_>,
    check: Check<'_>,
) -> Result<usize> {
    let mut done = 0;
    while done < len {
        let mut at = offset + done as u64;
        let flags = rustix::pipe::SpliceFlags::empty();
        match rustix::pipe::splice(file, Some(&mut at), pipe, None, len - done, flags) {
            Ok(0) | Err(Errno::INVAL | Errno::NOSYS) => break,
            Ok(count) => {
                done += count;
                // The pipe is full, or a signal arrived: check before a call that may wait for long.
                if done < len {
                    check()?;
                }
            }
            Err(errno) => wait(pipe, errno, PollFlags::OUT, Error::Write, check)?,
        }
    }
    Ok(done)
}

/// Moves nothing: only Linux can.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn splice(
    _file: BorrowedFd<'_>,
    _offset: u64,
    _len: usize,
    _pipe: BorrowedFd<'_>,
    _check: Check<'_>,
) -> Result<usize> {
    Ok(0)
}

/// Returns whether a descriptor is a regular file.
#[must_use]
pub fn is_regular(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

/// Returns whether a descriptor can be both read and written.
#[must_use]
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

/// Returns the current position; `None` if there is none, as for a pipe.
#[must_use]
pub fn position(fd: BorrowedFd<'_>) -> Option<u64> {
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Current(0)).ok()
}

/// Copies at most `len` bytes from one file to another inside the kernel; file systems that can share blocks don't even
/// copy them. `from` is an offset, or `None` for the current position. Returns how many were copied: 0 at the end, or
/// if the system can't.
///
/// # Errors
/// [`Error::Write`], or what `check` returns.
#[cfg(target_os = "linux")]
pub fn copy_range(
    source: BorrowedFd<'_>,
    mut from: Option<u64>,
    out: BorrowedFd<'_>,
    len: usize,
    check: Check<'_>,
) -> Result<usize> {
    loop {
        match rustix::fs::copy_file_range(source, from.as_mut(), out, None, len) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => check()?,
            // The disk is full or the file too large: a plain write would fail, too.
            Err(errno @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) => {
                return Err(Error::Write(errno.into()));
            }
            // Another file system, a file opened for appending, no such call: the plain loop takes over, and reports
            // other errors.
            Err(_) => return Ok(0),
        }
    }
}

/// Copies nothing: only Linux can.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn copy_range(
    _source: BorrowedFd<'_>,
    _from: Option<u64>,
    _out: BorrowedFd<'_>,
    _len: usize,
    _check: Check<'_>,
) -> Result<usize> {
    Ok(0)
}

/// Waits until everything written to the file system of `fd` is on disk. Returns `false` if the system has no such
/// call.
///
/// # Errors
/// [`Error::Write`].
#[cfg(target_os = "linux")]
pub fn sync_file_system(fd: BorrowedFd<'_>) -> Result<bool> {
    match rustix::fs::syncfs(fd) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS) => Ok(false),
        Err(errno) => Err(Error::Write(errno.into())),
    }
}

/// Does nothing: only Linux can.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn sync_file_system(_fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(false)
}

/// Starts writing a part of a file to disk, so that a sync at the end has less to wait for.
pub fn start_writeback(fd: BorrowedFd<'_>, offset: u64, len: u64) {
    // This is only advice: if the system ignores it, the sync takes longer, nothing worse. On Linux it starts writing
    // dirty pages; those being written stay cached.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(fd, offset, std::num::NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (fd, offset, len);
}

/// Widens a pipe; does nothing to anything else.
pub fn widen_pipe(fd: BorrowedFd<'_>) {
    // If this fails (not a pipe, or the user's pipe memory is used up), the pipe is slower, nothing worse.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_SIZE);
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}

/// Waits until a call would not block; where that can't be told, the call itself waits.
///
/// A signal that arrives just before a blocking call doesn't interrupt it, so no call may block for long.
fn await_ready(fd: BorrowedFd<'_>, events: PollFlags, check: Check<'_>) -> Result<()> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: SIGNAL_LATENCY_NS };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => check()?,
            _ => return Ok(()),
        }
    }
}

/// Handles a failed call: `Ok` to try again, otherwise the error, made by `error` or returned by `check`.
///
/// The parent may have left stdin or stdout non-blocking, as Node.js does: then this waits.
fn wait(
    fd: BorrowedFd<'_>,
    errno: Errno,
    events: PollFlags,
    error: fn(std::io::Error) -> Error,
    check: Check<'_>,
) -> Result<()> {
    match errno {
        Errno::AGAIN => await_ready(fd, events, check),
        Errno::INTR => check(),
        errno => Err(error(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::testing::{content, file_with, go_on};

    #[test]
    fn reads_exactly_or_says_that_the_file_is_short() {
        let file = file_with(b"0123456789");
        let mut buffer = [0; 4];
        read_exact_at(file.as_fd(), &mut buffer, 5, &mut go_on).unwrap();
        assert_eq!(&buffer, b"5678");
        let short = read_exact_at(file.as_fd(), &mut buffer, 7, &mut go_on);
        assert!(matches!(short, Err(Error::Damaged(_))));
    }

    #[test]
    fn a_full_pipe_that_may_not_block_is_waited_for() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let data = vec![b'x'; 3 * PIPE];
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::fs::File::from(reader).read_to_end(&mut all).map(|_| all)
        });
        write_all(writer.as_fd(), &data, &mut go_on).unwrap();
        drop(writer);
        assert!(reading.join().unwrap().unwrap() == data);
    }

    /// More than a pipe holds.
    const PIPE: usize = 1024 * 1024;

    #[test]
    fn a_file_is_spliced_into_a_pipe_or_not_at_all() {
        let file = file_with(b"0123456789");
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let moved = splice(file.as_fd(), 4, 5, writer.as_fd(), &mut go_on).unwrap();
        drop(writer);
        let mut all = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"45678"[..moved]);
    }

    #[test]
    fn a_range_is_copied_from_an_offset_and_the_position_stays() {
        let (source, mut out) = (file_with(b"0123456789"), file_with(b""));
        out.write_all(b"so far ").unwrap();
        let copied = copy_range(source.as_fd(), Some(2), out.as_fd(), 3, &mut go_on).unwrap();
        assert_eq!(content(&out), [b"so far ", &b"234"[..copied]].concat());
        assert_eq!(position(source.as_fd()), Some(0));
    }

    #[test]
    fn what_a_descriptor_is() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let file = file_with(b"");
        assert!(is_pipe(reader.as_fd()) && !is_regular(reader.as_fd()));
        assert!(is_regular(file.as_fd()) && is_readable(file.as_fd()));
        assert_eq!(position(reader.as_fd()), None);
    }
}
