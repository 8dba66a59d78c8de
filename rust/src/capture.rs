//! Capturing the output of a process: both streams at once, in fixed chunks, within bounds.
//!
//! What is held is the limits and fixed buffers, whatever the process prints. Each stream goes into a
//! [`Truncator`]; and, once it must be kept whole, into a [`Writer`] too, from its first byte: until then
//! its beginning is *pending*, which is never more than the bound at which it would be kept.
//!
//! Where secrets are masked ([`Masks`]), the bound at which a stream is kept counts what came; what is cut and kept is
//! what is left of that.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::copy::Writer;
use crate::error::{Check, Error, Result};
use crate::fd::{self, CHUNK};
use crate::plain::Plain;
use crate::redact::Redactor;
use crate::truncate::{Limit, Truncated};
use crate::truncator::Truncator;

/// How long a wait lasts at most before signals are looked for: one that comes just before the wait begins
/// interrupts nothing. Less than a second, as `wait` takes it.
const SLICE: Duration = Duration::from_millis(100);

/// Why [`Capture::pump`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both streams are at their end.
    End,
    /// A stream must be kept whole from now on and has no writer: give it one, or say that it can have none.
    Keep(usize),
    /// The process has ended; its streams may still be open, held by a child of its own.
    Exited,
    /// The time is over.
    Timeout,
    /// Something was read, and a live follower must be told.
    Data,
}

/// What masks the secrets of one stream.
#[derive(Default)]
pub struct Masks {
    /// Whatever becomes of it.
    pub everywhere: Option<Redactor>,
    /// Then in what is shown, and not in what is kept whole.
    pub shown: Option<Redactor>,
}

/// One of the two streams.
pub struct Stream {
    truncator: Truncator,
    /// Bytes that came.
    size: u64,
    /// Makes plain what is shown; what is kept whole is as it came.
    plain: Option<Plain>,
    masks: Masks,
    open: bool,
    /// Whether it is at its end, and what a mask held back is let go.
    ended: bool,
    /// Above this many bytes it is kept whole; `None`: never.
    keep_above: Option<u64>,
    pending: Vec<u8>,
    /// Bytes that may be shown.
    max_bytes: usize,
    keeping: Keeping,
    /// The first bytes, for a live follower: what the strategy keeps need not have them.
    begun: Vec<u8>,
    /// How many bytes that are at most.
    live: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// Not needed so far; what came is pending.
    NotYet,
    /// Goes to the writer.
    Writer,
    /// Won't be kept, or can't.
    Never,
}

impl Stream {
    /// A stream that is cut to `limit`, and kept whole once it has more than `keep_above` bytes or is cut.
    #[must_use]
    pub fn new(limit: Limit, keep_above: Option<u64>) -> Self {
        let keeping = if keep_above.is_some() { Keeping::NotYet } else { Keeping::Never };
        let (pending, begun) = (Vec::new(), Vec::new());
        let truncator = Truncator::new(limit);
        let max_bytes = limit.max_bytes;
        Self {
            truncator,
            max_bytes,
            size: 0,
            plain: None,
            masks: Masks::default(),
            ended: false,
            open: true,
            keep_above,
            pending,
            keeping,
            begun,
            live: 0,
        }
    }

    /// Shows the text without what only a terminal understands.
    pub fn make_plain(&mut self) {
        self.plain = Some(Plain::default());
    }

    /// Whether it does.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Takes in what may be shown.
    fn show(&mut self, data: &[u8]) {
        let followed = data.len().min(self.live.saturating_sub(self.begun.len()));
        self.begun.extend_from_slice(&data[..followed]);
        self.truncator.feed(data);
    }

    /// Takes in what was read. Nothing of it is lost where the writer fails.
    fn take(
        &mut self,
        data: &[u8],
        writer: Option<(&mut Writer, BorrowedFd<'_>)>,
        check: Check<'_>,
    ) -> Result<()> {
        self.size += data.len() as u64;
        match &mut self.masks.everywhere {
            None => self.put(data, writer, check),
            Some(mask) => {
                let data = mask.feed(data);
                self.put(&data, writer, check)
            }
        }
    }

    /// Takes in what is held back: nothing follows it. Nothing of it is lost where the writer fails.
    fn end(&mut self, writer: Option<(&mut Writer, BorrowedFd<'_>)>, check: Check<'_>) -> Result<()> {
        self.ended = true;
        let held = self.masks.everywhere.as_mut().map(Redactor::finish).unwrap_or_default();
        let put = self.put(&held, writer, check);
        if let Some(plain) = &mut self.plain {
            let mut rest = Vec::new();
            plain.finish(&mut rest);
            self.mask_and_show(&rest);
        }
        let rest = self.masks.shown.as_mut().map(Redactor::finish).unwrap_or_default();
        self.show(&rest);
        put
    }

    fn mask_and_show(&mut self, data: &[u8]) {
        match &mut self.masks.shown {
            None => self.show(data),
            Some(mask) => {
                let shown = mask.feed(data);
                self.show(&shown);
            }
        }
    }

    fn put(
        &mut self,
        data: &[u8],
        writer: Option<(&mut Writer, BorrowedFd<'_>)>,
        check: Check<'_>,
    ) -> Result<()> {
        // Sequences of a terminal go first: one may stand amid a secret.
        if let Some(plain) = &mut self.plain {
            let mut shown = Vec::new();
            plain.feed(data, &mut shown);
            self.mask_and_show(&shown);
        } else {
            self.mask_and_show(data);
        }
        match (self.keeping, writer) {
            (Keeping::NotYet, _) => self.pending.extend_from_slice(data),
            (Keeping::Writer, Some((writer, file))) => writer.write(file, data, check)?,
            _ => {}
        }
        Ok(())
    }

    fn must_be_kept(&self) -> bool {
        let held = self.plain.as_ref().map_or(0, Plain::held);
        let shown = self.truncator.size() + held as u64;
        let is_over = self.truncator.is_over() || shown > self.max_bytes as u64;
        self.keeping == Keeping::NotYet && self.keep_above.is_some_and(|above| self.size > above || is_over)
    }

    /// The text so far, cut to `max_bytes`.
    #[must_use]
    pub fn render(&self, max_bytes: usize, hint: Option<&str>) -> Truncated {
        self.truncator.render(max_bytes, hint)
    }

    /// Bytes so far, as they came.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How much was masked, by name; of what is kept whole, or of what is shown.
    #[must_use]
    pub fn redacted(&self, kept: bool) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        let masks = [self.masks.everywhere.as_ref(), self.masks.shown.as_ref().filter(|_| !kept)];
        for (name, count) in masks.into_iter().flatten().flat_map(Redactor::counts) {
            *counts.entry(name).or_default() += count;
        }
        counts
    }

    /// The bytes that have come since the last call, for a follower who is shown all. Called after each
    /// [`Event::Data`] and at the end it leaves none out: `live` is more than one read, and what masks hold back.
    pub fn take_begun(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }

    /// The first bytes so far; those that a live follower is shown.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.begun
    }
}

/// Captures the output of one process.
pub struct Capture {
    /// stdout and stderr.
    pub streams: [Stream; 2],
    /// What both may have kept together before both are kept whole; the second is cut last.
    max_combined: u64,
    limits: [u64; 2],
    exit_seen: bool,
    buffer: Vec<u8>,
}

/// The writers of the two streams, and the files that they write to.
pub type Writers<'a> = [Option<(&'a mut Writer, BorrowedFd<'a>)>; 2];

impl Capture {
    /// A capture of streams that have been given limits.
    #[must_use]
    pub fn new(mut streams: [Stream; 2], limits: [u64; 2], max_combined: u64, live: u64) -> Self {
        for stream in &mut streams {
            stream.live = usize::try_from(live).unwrap_or(usize::MAX);
        }
        Self { streams, max_combined, limits, exit_seen: false, buffer: vec![0; CHUNK] }
    }

    /// Notes that a stream is not there, or that no more of it is read.
    pub fn close(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.open = false;
        }
    }

    /// Masks what is read from now on.
    pub fn mask(&mut self, stream: usize, masks: Masks) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.masks = masks;
        }
    }

    /// Reads until something happens, `timeout_ms` at most; `exit` is readable once the process has ended.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Write`] where a writer fails: forget it with [`Self::never_keep`] and go on, nothing that was
    /// read is lost; or what `check` returns.
    pub fn pump(
        &mut self,
        fds: [BorrowedFd<'_>; 2],
        exit: Option<BorrowedFd<'_>>,
        writers: &mut Writers<'_>,
        timeout_ms: u64,
        check: Check<'_>,
    ) -> Result<Event> {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            self.end_closed(writers, check)?;
            if let Some(stream) = self.to_be_kept() {
                return Ok(Event::Keep(stream));
            }
            if self.streams.iter().all(|stream| !stream.open) {
                return Ok(Event::End);
            }
            let ready =
                self.wait(fds, exit, SLICE.min(deadline.saturating_duration_since(Instant::now())))?;
            check()?;
            let mut data = false;
            for (number, ready) in ready.streams.into_iter().enumerate() {
                if ready {
                    data |= self.read_once(number, fds, writers, check)?;
                }
            }
            if data {
                return Ok(Event::Data);
            }
            if ready.exit {
                self.exit_seen = true;
                return Ok(Event::Exited);
            }
            // A command that never stops printing must not outlive its time either.
            if Instant::now() >= deadline {
                return Ok(Event::Timeout);
            }
        }
    }

    /// Lets go what was held back of streams that are at their end.
    fn end_closed(&mut self, writers: &mut Writers<'_>, check: Check<'_>) -> Result<()> {
        for (stream, writer) in self.streams.iter_mut().zip(writers) {
            if !stream.open && !stream.ended {
                let writer = writer.as_mut().map(|(writer, file)| (&mut **writer, *file));
                stream.end(writer, check)?;
            }
        }
        Ok(())
    }

    /// Waits; returns what is ready.
    fn wait(&self, fds: [BorrowedFd<'_>; 2], exit: Option<BorrowedFd<'_>>, slice: Duration) -> Result<Ready> {
        let mut polled = Vec::with_capacity(3);
        for (fd, stream) in fds.iter().zip(&self.streams) {
            if stream.open {
                polled.push(PollFd::from_borrowed_fd(*fd, PollFlags::IN));
            }
        }
        if let Some(exit) = exit.filter(|_| !self.exit_seen) {
            polled.push(PollFd::from_borrowed_fd(exit, PollFlags::IN));
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: slice.subsec_nanos().into() };
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Read(errno.into())),
        }
        let mut ready = Ready::default();
        for fd in &polled {
            let is_ready = !fd.revents().is_empty();
            let raw = fd.as_fd().as_raw_fd();
            for ((flag, stream), fd) in ready.streams.iter_mut().zip(&self.streams).zip(&fds) {
                *flag |= is_ready && stream.open && fd.as_raw_fd() == raw;
            }
            ready.exit |= is_ready && exit.is_some_and(|exit| exit.as_raw_fd() == raw);
        }
        Ok(ready)
    }

    /// Reads a chunk of a stream; returns whether a live follower must be told.
    fn read_once(
        &mut self,
        number: usize,
        fds: [BorrowedFd<'_>; 2],
        writers: &mut Writers<'_>,
        check: Check<'_>,
    ) -> Result<bool> {
        let (Some(stream), Some(fd), Some(writer)) =
            (self.streams.get_mut(number), fds.get(number), writers.get_mut(number))
        else {
            return Ok(false);
        };
        let count = fd::read(*fd, &mut self.buffer, check)?;
        if count == 0 {
            stream.open = false;
            return Ok(false);
        }
        let before = stream.begun.len();
        let writer = writer.as_mut().map(|(writer, file)| (&mut **writer, *file));
        // No more was read than there is room for.
        stream.take(&self.buffer[..count], writer, check)?;
        Ok(before < stream.begun.len())
    }

    /// Returns a stream that must be kept whole and is not yet.
    fn to_be_kept(&self) -> Option<usize> {
        let kept =
            self.streams.iter().zip(self.limits).map(|(stream, limit)| stream.size().min(limit)).sum::<u64>();
        self.streams.iter().position(|stream| {
            stream.must_be_kept()
                || kept > self.max_combined && stream.keeping == Keeping::NotYet && stream.size() > 0
        })
    }

    /// Gives a stream its writer: what is pending goes there first.
    ///
    /// # Errors
    /// As for [`Writer::write`]; then forget the writer with [`Self::never_keep`].
    pub fn keep(
        &mut self,
        stream: usize,
        writer: &mut Writer,
        file: BorrowedFd<'_>,
        check: Check<'_>,
    ) -> Result<()> {
        let Some(stream) = self.streams.get_mut(stream) else { return Ok(()) };
        stream.keeping = Keeping::Writer;
        let pending = std::mem::take(&mut stream.pending);
        writer.write(file, &pending, check)
    }

    /// Notes that a stream won't be kept whole.
    pub fn never_keep(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.keeping = Keeping::Never;
            stream.pending = Vec::new();
        }
    }
}

#[derive(Default)]
struct Ready {
    streams: [bool; 2],
    exit: bool,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::testing::{content, file_with, go_on};
    use crate::truncate::Strategy;

    /// Long enough for any step here; a test that waits for it has failed.
    const PATIENCE_MS: u64 = 60_000;

    fn pipe_with(data: &[u8]) -> OwnedFd {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        std::fs::File::from(writer).write_all(data).unwrap();
        reader
    }

    fn stream(max_bytes: usize, keep_above: Option<u64>) -> Stream {
        Stream::new(Limit { strategy: Strategy::Tail, max_bytes, max_lines: 1000 }, keep_above)
    }

    fn capture(streams: [Stream; 2], max_combined: u64) -> Capture {
        Capture::new(streams, [100, 100], max_combined, 0)
    }

    #[test]
    fn both_streams_are_read_to_their_end() {
        let (out, err) = (pipe_with(b"to stdout\n"), pipe_with(b"to stderr\n"));
        let mut capture = capture([stream(100, None), stream(100, None)], 1000);
        let fds = [out.as_fd(), err.as_fd()];
        let event = capture.pump(fds, None, &mut [None, None], PATIENCE_MS, &mut go_on).unwrap();
        assert_eq!(event, Event::End);
        let texts = capture.streams.each_mut().map(|stream| stream.render(100, None).content);
        assert_eq!(texts, [b"to stdout\n", b"to stderr\n"]);
    }

    #[test]
    fn what_is_cut_is_kept_whole_from_its_first_byte() {
        let data = b"0123456789\n".repeat(30);
        let (out, err) = (pipe_with(&data), pipe_with(b""));
        let mut capture = capture([stream(100, Some(1000)), stream(100, Some(1000))], 1000);
        let fds = [out.as_fd(), err.as_fd()];
        let event = capture.pump(fds, None, &mut [None, None], PATIENCE_MS, &mut go_on).unwrap();
        assert_eq!(event, Event::Keep(0));
        let (file, mut writer) = (file_with(b""), Writer::new(None, false));
        capture.keep(0, &mut writer, file.as_fd(), &mut go_on).unwrap();
        let mut writers = [Some((&mut writer, file.as_fd())), None];
        let event = capture.pump(fds, None, &mut writers, PATIENCE_MS, &mut go_on).unwrap();
        assert_eq!(event, Event::End);
        assert_eq!(content(&file), data);
        assert!(capture.streams[0].render(100, None).truncated);
    }

    #[test]
    fn both_are_kept_when_together_they_are_over_the_limit() {
        let (out, err) = (pipe_with(&[b'o'; 90]), pipe_with(&[b'e'; 90]));
        let mut capture = capture([stream(100, Some(1000)), stream(100, Some(1000))], 150);
        let fds = [out.as_fd(), err.as_fd()];
        for expected in [Event::Keep(0), Event::Keep(1), Event::End] {
            let event = capture.pump(fds, None, &mut [None, None], PATIENCE_MS, &mut go_on).unwrap();
            assert_eq!(event, expected);
            if let Event::Keep(stream) = event {
                capture.never_keep(stream);
            }
        }
    }

    #[test]
    fn a_stream_that_somebody_holds_open_does_not_hide_the_exit() {
        let (out, _held) = rustix::pipe::pipe().unwrap();
        let exited = pipe_with(b"");
        let mut capture = capture([stream(100, None), stream(100, None)], 1000);
        capture.close(1);
        let fds = [out.as_fd(), out.as_fd()];
        let mut pump =
            |wait| capture.pump(fds, Some(exited.as_fd()), &mut [None, None], wait, &mut go_on).unwrap();
        assert_eq!(pump(PATIENCE_MS), Event::Exited);
        // It is told once.
        assert_eq!(pump(0), Event::Timeout);
    }

    #[test]
    fn a_check_that_says_stop_ends_a_wait() {
        let (out, _held) = rustix::pipe::pipe().unwrap();
        let mut capture = capture([stream(100, None), stream(100, None)], 1000);
        let fds = [out.as_fd(), out.as_fd()];
        let stopped = capture.pump(fds, None, &mut [None, None], PATIENCE_MS, &mut || Err(Error::Stopped));
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
