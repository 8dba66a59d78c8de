//! Compresses in parallel: threads compress whole frames, which are output in order.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use super::{Codec, FRAME, FrameSizes, failed, frame_len};
use crate::error::Result;

/// The most threads that work on one item: more would wait for the disk.
const MOST_WORKERS: usize = 4;

/// Frames that a worker has at once: the current one, and another so that it never has to wait.
const AHEAD: usize = 2;

/// Returns how many threads work in parallel.
#[must_use]
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS)
}

/// Two buffers that go to a worker and come back: the data and its frame.
#[derive(Default)]
struct Job {
    data: Vec<u8>,
    frame: Vec<u8>,
}

/// A thread that compresses what it is sent, in order. It ends when the channel is closed.
struct Worker {
    jobs: Sender<Job>,
    /// Never locked; the mutex only makes the struct `Sync`.
    done: Mutex<Receiver<Result<Job>>>,
}

impl Worker {
    /// Starts a thread; `None` if the system refuses it, or its memory.
    fn start(codec: Codec) -> Option<Self> {
        let mut encoder = codec.encoder().ok()?;
        let (jobs, todo) = mpsc::channel::<Job>();
        let (results, done) = mpsc::channel();
        let work = move || {
            for mut job in todo {
                let result = encoder.compress(&job.data, &mut job.frame);
                if results.send(result.map(|()| job)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(work).ok()?;
        Some(Self { jobs, done: Mutex::new(done) })
    }
}

/// Receives the frames in order.
pub type Put<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// Compresses data as it comes.
pub struct Packer {
    codec: Codec,
    /// Started with the first full frame; smaller data is compressed by the caller's thread.
    workers: Vec<Worker>,
    /// Which workers have a frame, oldest first.
    busy: VecDeque<usize>,
    next: usize,
    pending: Vec<u8>,
    spare: Vec<Job>,
    /// Whether there has been a frame.
    begun: bool,
    /// The sizes of all frames, if the file ends with a table of them: 8 bytes for each MiB of data.
    sizes: Vec<FrameSizes>,
}

impl Packer {
    /// Creates a packer.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            workers: Vec::new(),
            busy: VecDeque::new(),
            next: 0,
            pending: Vec::new(),
            spare: Vec::new(),
            begun: false,
            sizes: Vec::new(),
        }
    }

    /// Takes `data`, and outputs frames that are ready.
    ///
    /// # Errors
    /// What `put` returns, or [`crate::error::Error::Write`].
    pub fn pack(&mut self, mut data: &[u8], put: Put<'_>) -> Result<()> {
        self.collect_ready(put)?;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(FRAME - self.pending.len()));
            self.pending.extend_from_slice(now);
            if self.pending.len() == FRAME {
                self.submit(put)?;
            }
            data = later;
        }
        Ok(())
    }

    /// Outputs the rest.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub fn finish(&mut self, put: Put<'_>) -> Result<()> {
        while !self.busy.is_empty() {
            self.collect(put)?;
        }
        // Empty data is one empty frame, since an empty file is not a gzip file.
        if !self.pending.is_empty() || !self.begun {
            self.compress_here(put)?;
        }
        let trailer = self.codec.trailer(&self.sizes)?;
        // End the threads and free their buffers, since many items may be finished before they are published.
        *self = Self { begun: true, ..Self::new(self.codec) };
        if trailer.is_empty() { Ok(()) } else { put(&trailer) }
    }

    fn submit(&mut self, put: Put<'_>) -> Result<()> {
        if !self.begun {
            self.workers = (0..workers()).map_while(|_| Worker::start(self.codec)).collect();
        }
        if self.workers.is_empty() {
            return self.compress_here(put);
        }
        if self.busy.len() == self.workers.len() * AHEAD {
            self.collect(put)?;
        }
        self.begun = true;
        let mut job = self.spare.pop().unwrap_or_default();
        std::mem::swap(&mut job.data, &mut self.pending);
        self.pending.clear();
        // Workers take turns, so the oldest frame is always the first that its worker returns.
        let worker = self.workers.get(self.next).ok_or_else(failed)?;
        worker.jobs.send(job).map_err(|_| failed())?;
        self.busy.push_back(self.next);
        self.next = (self.next + 1) % self.workers.len();
        Ok(())
    }

    /// Waits for the oldest frame and outputs it.
    fn collect(&mut self, put: Put<'_>) -> Result<()> {
        let done = self.oldest().ok_or_else(failed)?;
        let job = done.recv().map_err(|_| failed())??;
        self.give_out(job, put)
    }

    /// Outputs frames that are ready, since the producer may pause.
    fn collect_ready(&mut self, put: Put<'_>) -> Result<()> {
        while let Some(Ok(job)) = self.oldest().map(|done| done.try_recv()) {
            self.give_out(job?, put)?;
        }
        Ok(())
    }

    /// Returns the channel that the oldest frame in progress will come from.
    fn oldest(&mut self) -> Option<&mut Receiver<Result<Job>>> {
        let worker = self.busy.front().and_then(|at| self.workers.get_mut(*at))?;
        Some(worker.done.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_out(&mut self, job: Job, put: Put<'_>) -> Result<()> {
        self.busy.pop_front();
        self.put_frame(&job.frame, job.data.len(), put)?;
        self.spare.push(job);
        Ok(())
    }

    fn compress_here(&mut self, put: Put<'_>) -> Result<()> {
        let mut frame = Vec::new();
        self.codec.encoder()?.compress(&self.pending, &mut frame)?;
        self.begun = true;
        self.put_frame(&frame, self.pending.len(), put)?;
        self.pending.clear();
        Ok(())
    }

    fn put_frame(&mut self, frame: &[u8], data: usize, put: Put<'_>) -> Result<()> {
        if self.codec.has_table() {
            self.sizes.push(FrameSizes { packed: frame_len(frame.len())?, data: frame_len(data)? });
        }
        put(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_frames_in_their_order() {
        let data: Vec<u8> =
            (0..u32::try_from(11 * FRAME / 4 + 5).unwrap()).flat_map(u32::to_le_bytes).collect();
        for codec in Codec::ALL {
            let (mut packer, mut stored) = (Packer::new(codec), Vec::new());
            let mut keep = |frame: &[u8]| {
                stored.push(frame.to_vec());
                Ok(())
            };
            for chunk in data.chunks(300_000) {
                packer.pack(chunk, &mut keep).unwrap();
            }
            packer.finish(&mut keep).unwrap();
            let (mut encoder, mut expected, mut sizes) = (codec.encoder().unwrap(), Vec::new(), Vec::new());
            for (part, frame) in data.chunks(FRAME).zip(&stored) {
                encoder.compress(part, &mut expected).unwrap();
                assert!(*frame == expected);
                sizes.push(FrameSizes {
                    packed: frame_len(frame.len()).unwrap(),
                    data: frame_len(part.len()).unwrap(),
                });
            }
            if codec.has_table() {
                assert_eq!(stored.pop(), codec.trailer(&sizes).ok());
            }
            assert_eq!(stored.len(), 12);
        }
    }

    #[test]
    fn nothing_is_one_empty_frame() {
        for codec in Codec::ALL {
            let mut stored = Vec::new();
            let mut keep = |frame: &[u8]| {
                stored.extend_from_slice(frame);
                Ok(())
            };
            Packer::new(codec).finish(&mut keep).unwrap();
            let file = crate::testing::file_with(&stored);
            let frames = codec
                .read_index(std::os::fd::AsFd::as_fd(&file), stored.len() as u64, &mut crate::testing::go_on)
                .unwrap();
            assert_eq!(frames.iter().map(|frame| frame.len).collect::<Vec<_>>(), [0]);
        }
    }
}
