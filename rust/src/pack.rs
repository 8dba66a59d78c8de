//! Compressing side by side: threads compress whole members, which are given out in their order.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::gzip::{self, Encoder, MEMBER};

/// Threads that work on one item at most: more wait for the disk.
const MOST_WORKERS: usize = 4;

/// Members that a worker has at once: one that it works on, and one so that it never waits for the next.
const AHEAD: usize = 2;

/// How many threads work side by side.
#[must_use]
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS)
}

/// Two buffers that go to a worker and come back: the data, and its member.
#[derive(Default)]
struct Job {
    data: Vec<u8>,
    member: Vec<u8>,
}

/// A thread that compresses what it is sent, in order. It ends when nothing more can come.
struct Worker {
    jobs: Sender<Job>,
    /// Locked by nobody: so that the whole may be shared with other threads.
    done: Mutex<Receiver<Result<Job>>>,
}

impl Worker {
    /// A new thread; `None` where the system refuses one.
    fn start() -> Option<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (results, done) = mpsc::channel();
        let work = move || {
            let mut encoder = Encoder::default();
            for mut job in todo {
                let result = encoder.compress(&job.data, &mut job.member);
                if results.send(result.map(|()| job)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(work).ok()?;
        Some(Self { jobs, done: Mutex::new(done) })
    }
}

/// Takes the members in their order.
pub type Put<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// Compresses data as it comes.
#[derive(Default)]
pub struct Packer {
    /// Started with the first full member: what is smaller is compressed here.
    workers: Vec<Worker>,
    /// Which workers have a member, oldest first.
    busy: VecDeque<usize>,
    next: usize,
    pending: Vec<u8>,
    spare: Vec<Job>,
    /// Whether there is a member at all.
    begun: bool,
}

impl Packer {
    /// Takes `data` in, and gives out members that are ready.
    ///
    /// # Errors
    /// What `put` returns, or [`crate::error::Error::Write`].
    pub fn pack(&mut self, mut data: &[u8], put: Put<'_>) -> Result<()> {
        self.collect_ready(put)?;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(MEMBER - self.pending.len()));
            self.pending.extend_from_slice(now);
            if self.pending.len() == MEMBER {
                self.submit(put)?;
            }
            data = later;
        }
        Ok(())
    }

    /// Gives out what is left.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub fn finish(&mut self, put: Put<'_>) -> Result<()> {
        while !self.busy.is_empty() {
            self.collect(put)?;
        }
        // Nothing at all is one empty member: no bytes are not a gzip file.
        if !self.pending.is_empty() || !self.begun {
            self.compress_here(put)?;
        }
        // The threads end, and their buffers go: many items may be finished before they are published.
        *self = Self { begun: true, ..Self::default() };
        Ok(())
    }

    fn submit(&mut self, put: Put<'_>) -> Result<()> {
        if !self.begun {
            self.workers = (0..workers()).map_while(|_| Worker::start()).collect();
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
        // Each in turn: so the oldest member is always the first that its worker gives back.
        let worker = self.workers.get(self.next).ok_or_else(gzip::failed)?;
        worker.jobs.send(job).map_err(|_| gzip::failed())?;
        self.busy.push_back(self.next);
        self.next = (self.next + 1) % self.workers.len();
        Ok(())
    }

    /// Gives out the oldest member, waiting for it.
    fn collect(&mut self, put: Put<'_>) -> Result<()> {
        let done = self.oldest().ok_or_else(gzip::failed)?;
        let job = done.recv().map_err(|_| gzip::failed())??;
        self.give_out(job, put)
    }

    /// Gives out what is ready: a producer may pause.
    fn collect_ready(&mut self, put: Put<'_>) -> Result<()> {
        while let Some(Ok(job)) = self.oldest().map(|done| done.try_recv()) {
            self.give_out(job?, put)?;
        }
        Ok(())
    }

    /// Where the oldest member that is being compressed will come from.
    fn oldest(&mut self) -> Option<&mut Receiver<Result<Job>>> {
        let worker = self.busy.front().and_then(|at| self.workers.get_mut(*at))?;
        Some(worker.done.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_out(&mut self, job: Job, put: Put<'_>) -> Result<()> {
        self.busy.pop_front();
        put(&job.member)?;
        self.spare.push(job);
        Ok(())
    }

    fn compress_here(&mut self, put: Put<'_>) -> Result<()> {
        let mut member = Vec::new();
        Encoder::default().compress(&self.pending, &mut member)?;
        self.begun = true;
        self.pending.clear();
        put(&member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_members_in_their_order() {
        let data: Vec<u8> =
            (0..u32::try_from(11 * MEMBER / 4 + 5).unwrap()).flat_map(u32::to_le_bytes).collect();
        let (mut packer, mut stored) = (Packer::default(), Vec::new());
        let mut keep = |member: &[u8]| {
            stored.push(member.to_vec());
            Ok(())
        };
        for chunk in data.chunks(300_000) {
            packer.pack(chunk, &mut keep).unwrap();
        }
        packer.finish(&mut keep).unwrap();
        let mut expected = Vec::new();
        for (part, member) in data.chunks(MEMBER).zip(&stored) {
            Encoder::default().compress(part, &mut expected).unwrap();
            assert!(*member == expected);
        }
        assert_eq!(stored.len(), 12);
    }
}
