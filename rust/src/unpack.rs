//! Inflating side by side: threads inflate whole members, which are taken in their order.

use std::os::fd::BorrowedFd;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::error::{Check, Result};
use crate::gzip::{self, Decoder, Member};
use crate::pack::workers;

/// Buffers of a worker: one that it fills, and one that is being taken.
const BUFFERS: usize = 2;

/// Fewer members are inflated by the caller.
const WORTH_THREADS: usize = 3;

/// Takes a member's data; `false` is enough.
pub type Take<'a> = &'a mut dyn FnMut(&Member, &[u8], Check<'_>) -> Result<bool>;

/// What one worker gives, and where its buffers go back to.
struct Lane {
    full: Receiver<Result<Vec<u8>>>,
    free: Sender<Vec<u8>>,
}

/// Inflates `members` by several threads, until `take` says enough. Returns whether it did: `false` where it is not
/// worth threads, or none are to be had, and then nothing was taken.
///
/// # Errors
/// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `take` returns.
pub fn inflate(file: BorrowedFd<'_>, members: &[Member], take: Take<'_>, check: Check<'_>) -> Result<bool> {
    let count = workers();
    if count < 2 || members.len() < WORTH_THREADS {
        return Ok(false);
    }
    std::thread::scope(|scope| {
        let start = |number| {
            let (give, full) = mpsc::channel();
            let (free, empty) = mpsc::channel();
            (0..BUFFERS).try_for_each(|_| free.send(Vec::new())).ok()?;
            let work = move || inflate_some(file, members.iter().skip(number).step_by(count), &give, &empty);
            std::thread::Builder::new().spawn_scoped(scope, work).ok()?;
            Some(Lane { full, free })
        };
        let lanes: Vec<Lane> = (0..count).map_while(start).collect();
        if lanes.len() < count {
            return Ok(false);
        }
        for (member, lane) in members.iter().zip(lanes.iter().cycle()) {
            let data = lane.full.recv().map_err(|_| gzip::DAMAGED)??;
            if !take(member, &data, check)? {
                break;
            }
            // The worker may have ended: that was its last.
            let _ = lane.free.send(data);
        }
        Ok(true)
    })
}

/// What a worker does: inflates its share, as long as somebody takes it.
fn inflate_some<'a>(
    file: BorrowedFd<'_>,
    members: impl Iterator<Item = &'a Member>,
    give: &Sender<Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    let mut decoder = Decoder::default();
    for member in members {
        let Ok(mut data) = empty.recv() else { return };
        // Signals are the caller's to look at.
        let result = decoder.inflate(file, member, &mut data, &mut || Ok(()));
        let failed = result.is_err();
        if give.send(result.map(|()| data)).is_err() || failed {
            return;
        }
    }
}
