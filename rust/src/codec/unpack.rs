//! Inflates in parallel: threads inflate whole frames, which are consumed in order.

use std::os::fd::BorrowedFd;
use std::sync::mpsc::{self, Receiver, Sender};

use super::pack::workers;
use super::{Codec, DAMAGED, Frame};
use crate::error::{Check, Result};

/// Buffers per worker: one that it fills, and one that is being consumed.
const BUFFERS: usize = 2;

/// The fewest frames that are worth starting threads.
const WORTH_THREADS: usize = 3;

/// Consumes a frame's data; returns `false` to stop.
pub type Take<'a> = &'a mut dyn FnMut(&Frame, &[u8], Check<'_>) -> Result<bool>;

/// The channels of a worker: full buffers from it, and free ones back to it.
struct Lane {
    full: Receiver<Result<Vec<u8>>>,
    free: Sender<Vec<u8>>,
}

/// Inflates `frames` with several threads, until `take` returns `false`. Returns `false`, without calling `take`, if
/// threads aren't worth it or can't be started.
///
/// # Errors
/// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `take` returns.
pub fn inflate(
    codec: Codec,
    file: BorrowedFd<'_>,
    frames: &[Frame],
    take: Take<'_>,
    check: Check<'_>,
) -> Result<bool> {
    let count = workers();
    if count < 2 || frames.len() < WORTH_THREADS {
        return Ok(false);
    }
    std::thread::scope(|scope| {
        let start = |number| {
            let (give, full) = mpsc::channel();
            let (free, empty) = mpsc::channel();
            (0..BUFFERS).try_for_each(|_| free.send(Vec::new())).ok()?;
            let work =
                move || inflate_some(codec, file, frames.iter().skip(number).step_by(count), &give, &empty);
            std::thread::Builder::new().spawn_scoped(scope, work).ok()?;
            Some(Lane { full, free })
        };
        let lanes: Vec<Lane> = (0..count).map_while(start).collect();
        if lanes.len() < count {
            return Ok(false);
        }
        for (frame, lane) in frames.iter().zip(lanes.iter().cycle()) {
            let data = lane.full.recv().map_err(|_| DAMAGED)??;
            if !take(frame, &data, check)? {
                break;
            }
            // If the worker has ended, this was its last frame.
            let _ = lane.free.send(data);
        }
        Ok(true)
    })
}

/// Inflates a worker's share of the frames, until nobody takes them any more.
fn inflate_some<'a>(
    codec: Codec,
    file: BorrowedFd<'_>,
    frames: impl Iterator<Item = &'a Frame>,
    give: &Sender<Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    let mut decoder = codec.decoder();
    for frame in frames {
        let Ok(mut data) = empty.recv() else { return };
        // The caller checks for signals.
        let result = decoder.read(file, frame, &mut data, &mut || Ok(()));
        let failed = result.is_err();
        if give.send(result.map(|()| data)).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::copy::Writer;
    use crate::error::Error;
    use crate::testing::{content, file_with, go_on};

    fn stored(codec: Codec, data: &[u8]) -> std::fs::File {
        let (file, mut writer) = (file_with(b""), Writer::new(Some(codec), false));
        writer.write(file.as_fd(), data, &mut go_on).unwrap();
        writer.finish(file.as_fd(), &mut go_on).unwrap();
        file
    }

    #[test]
    fn frames_come_in_their_order_until_it_is_enough() {
        let data: Vec<u8> = (0..7_000_000_u32).map(|number| (number % 251) as u8).collect();
        for codec in Codec::ALL {
            let file = stored(codec, &data);
            let size = content(&file).len() as u64;
            let frames = codec.read_index(file.as_fd(), size, &mut go_on).unwrap();
            for most in [1, 3, usize::MAX] {
                let (mut seen, mut count) = (Vec::new(), 0);
                let mut take = |_: &Frame, part: &[u8], _: Check<'_>| {
                    seen.extend_from_slice(part);
                    count += 1;
                    Ok(count < most)
                };
                if inflate(codec, file.as_fd(), &frames, &mut take, &mut go_on).unwrap() {
                    assert!(data.starts_with(&seen));
                    assert_eq!(count, most.min(frames.len()));
                }
            }
        }
    }

    #[test]
    fn damage_ends_it() {
        for codec in Codec::ALL {
            let packed = content(&stored(codec, &vec![b'x'; 5_000_000]));
            let file = file_with(&packed);
            let frames = codec.read_index(file.as_fd(), packed.len() as u64, &mut go_on).unwrap();
            let mut altered = packed.clone();
            // In the third frame's body.
            altered[usize::try_from(frames[2].file_offset).unwrap() + frames[2].file_len / 2] ^= 0xff;
            let file = file_with(&altered);
            let mut count = 0;
            let mut take = |_: &Frame, _: &[u8], _: Check<'_>| {
                count += 1;
                Ok(true)
            };
            match inflate(codec, file.as_fd(), &frames, &mut take, &mut go_on) {
                Err(Error::Damaged(_)) => assert_eq!(count, 2),
                // One core: nothing was begun.
                result => assert!(matches!(result, Ok(false))),
            }
        }
    }
}
