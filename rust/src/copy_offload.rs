//! Copies inside the kernel, while a second thread reads what was copied, to count or checksum it.

use std::os::fd::BorrowedFd;
use std::sync::mpsc::{self, Receiver};

use crate::error::{Check, Error, Result};
use crate::fd::{self, CHUNK};

/// Bytes copied by one call: few enough that the second thread isn't far behind, enough to wake it rarely.
const STEP: usize = 4 * 1024 * 1024;

/// Below this a second thread costs more than it saves.
pub const WORTH_A_THREAD: u64 = 1024 * 1024;

/// What to copy, where to, and where to read it back.
#[derive(Clone, Copy)]
pub struct Plan<'fd> {
    /// The file to copy.
    pub source: BorrowedFd<'fd>,
    /// Where to start; `None` for its current position, which advances.
    pub from: Option<u64>,
    /// Where to copy to, at its current position.
    pub out: BorrowedFd<'fd>,
    /// The maximum number of bytes.
    pub len: u64,
    /// The file that the second thread reads: of the two, the one that nobody else changes.
    pub reread: BorrowedFd<'fd>,
    /// Where the copied data starts in that file.
    pub reread_at: u64,
}

/// Copies, and passes everything copied to `observe`, in order. Returns the number of bytes: fewer than `len` at the
/// end of the source, or if the system can't copy them.
///
/// # Errors
/// [`crate::error::Error::Write`], [`crate::error::Error::Read`], or what `check` returns.
pub fn copy(plan: Plan<'_>, observe: &mut (dyn FnMut(&[u8]) + Send), check: Check<'_>) -> Result<u64> {
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel::<usize>();
        let reader =
            std::thread::Builder::new().spawn_scoped(scope, move || reread(plan, &receiver, observe));
        // A limit on processes or memory may prevent the thread: then the plain loop takes over.
        let Ok(reader) = reader else { return Ok(0) };
        let copied = copy_steps(plan, &mut |count| sender.send(count).is_ok(), check);
        drop(sender);
        let failed = || Err(Error::Read(std::io::Error::other("the thread that reads beside failed")));
        let read = reader.join().unwrap_or_else(|_| failed());
        copied.and_then(|count| read.map(|()| count))
    })
}

/// Copies step by step, calling `done` after each, until that returns `false`.
fn copy_steps(plan: Plan<'_>, done: &mut dyn FnMut(usize) -> bool, check: Check<'_>) -> Result<u64> {
    let mut copied = 0;
    while copied < plan.len {
        let step = usize::try_from(plan.len - copied).unwrap_or(STEP).min(STEP);
        let from = plan.from.map(|from| from + copied);
        let count = fd::copy_range(plan.source, from, plan.out, step, check)?;
        if count == 0 || !done(count) {
            break;
        }
        copied += count as u64;
        check()?;
    }
    Ok(copied)
}

/// Reads what was copied; `counts` receives the bytes of each step.
fn reread(plan: Plan<'_>, counts: &Receiver<usize>, observe: &mut (dyn FnMut(&[u8]) + Send)) -> Result<()> {
    let (mut buffer, mut at) = (vec![0; CHUNK], plan.reread_at);
    for mut left in counts {
        while left > 0 {
            let part = &mut buffer[..left.min(CHUNK)];
            // The other thread checks for signals.
            fd::read_exact_at(plan.reread, part, at, &mut || Ok(()))?;
            observe(part);
            at += part.len() as u64;
            left -= part.len();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::testing::{content, file_with, go_on};

    fn plan<'fd>(source: &'fd File, out: &'fd File, len: u64) -> Plan<'fd> {
        let (source, out) = (source.as_fd(), out.as_fd());
        Plan { source, from: Some(3), out, len, reread: source, reread_at: 3 }
    }

    #[test]
    fn all_that_is_copied_is_observed_in_order() {
        let data: Vec<u8> = (0..9_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (source, out) = (file_with(&data), file_with(b""));
        let mut seen = Vec::new();
        let copied =
            copy(plan(&source, &out, 8_500_000), &mut |part| seen.extend_from_slice(part), &mut go_on)
                .unwrap();
        let end = 3 + usize::try_from(copied).unwrap();
        // None at all where the file system can't: then the plain loop does it.
        assert!(copied == 0 || copied == 8_500_000);
        assert!(seen == data[3..end]);
        assert!(content(&out) == data[3..end]);
    }

    #[test]
    fn a_check_that_says_stop_ends_the_copy() {
        let (source, out) = (file_with(&vec![b'x'; 9_000_000]), file_with(b""));
        let mut seen = 0;
        let stopped =
            copy(plan(&source, &out, 8_000_000), &mut |part| seen += part.len(), &mut || Err(Error::Stopped));
        assert!(matches!(stopped, Err(Error::Stopped) | Ok(0)));
        assert_eq!(seen, content(&out).len());
    }
}
