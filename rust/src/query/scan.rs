//! Looking through data: blocks of it on all cores, in their order.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::blocks::{Found, Limits, Part};
use super::groups::{Group, Groups};
use super::kinds::Kinds;
use super::look::Looker;
use super::plan::{Plan, Wanted};
use super::shapes::Shapes;
use crate::codec::pack::workers;
use crate::codec::{DAMAGED, Decoder};
use crate::error::{Check, Result};
use crate::fd;
use crate::read::{Piece, Reader};

/// Bytes in a block: many lines, and little enough to stay in a core's cache while it is looked at.
pub const BLOCK: u64 = 512 * 1024;

/// Bytes of one record: what is longer is hardly one, and would be held whole.
pub const MOST_RECORD: usize = 16 * 1024 * 1024;

/// Blocks that each thread may be ahead.
const AHEAD: usize = 2;

/// How long a signal may wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Bits that tell the places in a part apart.
const PART_BITS: u32 = 32;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A record that was given: the number of its line, where it begins, and what is given of it.
pub struct Given {
    /// The number of its line, from 1; 0 where lines are not counted.
    pub line: u64,
    /// Where it begins.
    pub start: u64,
    /// What it is sorted by.
    pub key: Vec<u8>,
    /// Where what is given of it ends, in [`Scan::text`].
    pub text_end: usize,
}

/// A look through data that comes bit by bit.
pub struct Scan {
    plan: Plan,
    lookers: Vec<Looker>,
    own: Looker,
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
    /// Whether that line is too long for a record, and not held any more.
    too_long: bool,
    /// Where the next byte lies that comes.
    at: u64,
    /// Where the line that is carried begins.
    line_start: u64,
    /// Lines that have ended.
    lines: u64,
    /// Records that match.
    pub matched: u64,
    /// Records that are no JSON.
    pub bad: u64,
    /// The line of the first of them, from 1.
    pub first_bad: Option<u64>,
    /// The records given since they were last taken.
    pub given: Vec<Given>,
    /// What is given of them, each with a newline.
    pub text: Vec<u8>,
    /// Records given.
    pub count: u64,
    /// Where the line after the last record that was given begins, and how many lines lie before it.
    pub resume: (u64, u64),
    /// Whether nothing more is wanted.
    pub full: bool,
    /// The key of the last of the sorted records that can be wanted, once there are so many.
    bound: Option<Vec<u8>>,
    /// Parts that were looked at.
    parts: u64,
}

/// A part of the data that one thread looks at.
enum Work<'a> {
    Bytes(&'a [u8]),
    Stored(Piece<'a>),
}

/// A part, and how many parts come before it.
type Job<'a> = (u64, Work<'a>);

/// What a thread found in its part, and the lines that its part begins and ends with, which go on in others.
struct Done {
    head: Vec<u8>,
    part: Part,
    middle: u64,
    tail: Vec<u8>,
    whole: bool,
}

impl Scan {
    /// A look for `plan`.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let lookers = (0..workers()).map(|_| Looker::default()).collect();
        Self {
            plan,
            lookers,
            own: Looker::default(),
            carry: Vec::new(),
            too_long: false,
            at: 0,
            line_start: 0,
            lines: 0,
            matched: 0,
            bad: 0,
            first_bad: None,
            given: Vec::new(),
            text: Vec::new(),
            count: 0,
            resume: (0, 0),
            full: false,
            bound: None,
            parts: 0,
        }
    }

    /// Begins with other data, at `offset` of it, before which `lines` lines lie.
    pub fn begin(&mut self, offset: u64, lines: u64) {
        self.carry.clear();
        self.too_long = false;
        (self.at, self.line_start, self.lines) = (offset, offset, lines);
        self.resume = (offset, lines);
    }

    /// Looks at more data.
    ///
    /// # Errors
    /// What `check` returns.
    pub fn feed(&mut self, data: &[u8], check: Check<'_>) -> Result<()> {
        let size = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        self.run(None, data.chunks(size).map(Work::Bytes).collect(), check)
    }

    /// Looks at the data of `reader` from `start` to before `end`.
    ///
    /// # Errors
    /// [`crate::error::Error::Damaged`], [`crate::error::Error::Read`], what `check` returns.
    pub fn read(
        &mut self,
        file: BorrowedFd<'_>,
        reader: &Reader,
        (start, end): (u64, u64),
        check: Check<'_>,
    ) -> Result<()> {
        let jobs = reader.pieces(start, end, BLOCK).map(Work::Stored).collect();
        self.run(Some((file, reader)), jobs, check)
    }

    /// Takes out what was described.
    pub fn take_shapes(&mut self) -> Shapes {
        let mut all = Shapes::default();
        for looker in self.lookers.iter_mut().chain([&mut self.own]) {
            all.merge(&std::mem::take(&mut looker.shapes));
        }
        all
    }

    /// Takes out the kinds of values that were seen.
    pub fn take_kinds(&mut self) -> Kinds {
        let mut all = Kinds::default();
        for looker in self.lookers.iter_mut().chain([&mut self.own]) {
            all.merge(&std::mem::take(&mut looker.kinds));
        }
        all
    }

    /// Looks at what is left: a last line that nothing ends.
    pub fn finish(&mut self) {
        if !self.carry.is_empty() || self.too_long {
            let line = std::mem::take(&mut self.carry);
            self.own_line(&line);
        }
    }

    /// Takes out what was counted by value.
    pub fn take_groups(&mut self) -> Vec<Group> {
        let mut all = Groups::default();
        for looker in self.lookers.iter_mut().chain([&mut self.own]) {
            all.merge(&mut looker.groups);
        }
        all.drain()
    }

    /// Bytes that counting by value takes, about.
    #[must_use]
    pub fn group_bytes(&self) -> usize {
        self.lookers.iter().chain([&self.own]).map(|looker| looker.groups.bytes()).sum()
    }

    /// Sorts what was given since it was last taken, and keeps no more than can be wanted.
    pub fn sort(&mut self) {
        let text = std::mem::take(&mut self.text);
        let given = std::mem::take(&mut self.given);
        let starts = [0].into_iter().chain(given.iter().map(|one| one.text_end)).collect::<Vec<_>>();
        let mut rows: Vec<(usize, Given)> = starts.into_iter().zip(given).collect();
        // Stable: what is equal stays in the order of the data.
        rows.sort_by(|a, b| a.1.key.cmp(&b.1.key));
        let most = usize::try_from(self.plan.skip.saturating_add(self.plan.most)).unwrap_or(usize::MAX);
        rows.truncate(most);
        if let Some((_, last)) = rows.last().filter(|_| rows.len() == most)
            && self.bound.as_ref().is_none_or(|bound| last.key < *bound)
        {
            self.bound = Some(last.key.clone());
        }
        for (start, mut one) in rows {
            self.text.extend_from_slice(text.get(start..one.text_end).unwrap_or_default());
            one.text_end = self.text.len();
            self.given.push(one);
        }
    }

    fn run(
        &mut self,
        stored: Option<(BorrowedFd<'_>, &Reader)>,
        parts: Vec<Work<'_>>,
        check: Check<'_>,
    ) -> Result<()> {
        // A line that ends in a part comes before the others of it.
        let jobs = (self.parts..).zip(parts).collect();
        let mut lookers = std::mem::take(&mut self.lookers);
        let result = self.run_with(&mut lookers, stored, jobs, check);
        self.lookers = lookers;
        if matches!(self.plan.wanted, Wanted::Sorted { .. }) {
            self.sort();
        }
        result
    }

    fn run_with(
        &mut self,
        lookers: &mut [Looker],
        stored: Option<(BorrowedFd<'_>, &Reader)>,
        jobs: Vec<Job<'_>>,
        check: Check<'_>,
    ) -> Result<()> {
        let (flag, bound) = (AtomicBool::new(self.is_counting()), self.bound.clone());
        let limits = Limits { counting: &flag, bound: bound.as_deref() };
        let threads = if jobs.len() > 1 { lookers.len() } else { 0 };
        // Borrowed for the threads; what is found is merged here.
        let plan = std::mem::replace(&mut self.plan, Plan::nothing());
        let result = std::thread::scope(|scope| {
            let (plan, limits) = (&plan, &limits);
            let start = |looker| {
                let (jobs, todo) = channel();
                let (give, done) = channel();
                let work = move || work(looker, plan, limits, stored, &todo, &give);
                std::thread::Builder::new().spawn_scoped(scope, work).ok()?;
                Some((jobs, done))
            };
            let lanes: Vec<Lane<'_>> = lookers.iter_mut().take(threads).map_while(start).collect();
            if lanes.is_empty() {
                return jobs.into_iter().try_for_each(|job| {
                    if self.full {
                        return Ok(());
                    }
                    let mut own = std::mem::take(&mut self.own);
                    let mut decoder = decoder_of(stored);
                    let done = look(job, &mut own, plan, limits, stored, decoder.as_mut(), &mut Vec::new());
                    self.own = own;
                    self.merge(plan, done?, limits);
                    check()
                });
            }
            self.share(&lanes, plan, jobs, limits, check)
        });
        self.plan = plan;
        result
    }

    /// Hands parts to the threads, and takes in what they find, in order.
    fn share<'a>(
        &mut self,
        lanes: &[Lane<'a>],
        plan: &Plan,
        jobs: Vec<Job<'a>>,
        limits: &Limits<'_>,
        check: Check<'_>,
    ) -> Result<()> {
        let count = jobs.len();
        let mut todo = jobs.into_iter().zip(lanes.iter().cycle());
        for (job, lane) in todo.by_ref().take(lanes.len() * AHEAD) {
            lane.0.send(job).map_err(|_| DAMAGED)?;
        }
        for (_, lane) in (0..count).zip(lanes.iter().cycle()) {
            let done = loop {
                match lane.1.recv_timeout(PATIENCE) {
                    Ok(done) => break done?,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => check()?,
                    // The thread is gone: it never is before its work.
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Err(DAMAGED),
                }
            };
            self.merge(plan, done, limits);
            check()?;
            if self.full {
                break;
            }
            if let Some((job, lane)) = todo.next() {
                lane.0.send(job).map_err(|_| DAMAGED)?;
            }
        }
        Ok(())
    }

    fn is_counting(&self) -> bool {
        matches!(self.plan.wanted, Wanted::Records) && self.count >= self.plan.most
    }

    fn merge(&mut self, plan: &Plan, done: Done, limits: &Limits<'_>) {
        if !self.too_long {
            self.carry.extend_from_slice(&done.head);
        }
        self.at += done.head.len() as u64;
        if self.carry.len() > MOST_RECORD {
            self.too_long = true;
            self.carry = Vec::new();
        }
        if !done.whole {
            self.parts += 1;
            return;
        }
        let line = std::mem::take(&mut self.carry);
        self.look_at(plan, &line);
        self.lines += 1;
        if !self.full {
            self.take(plan, &done.part, self.at);
        }
        self.at += done.middle + done.tail.len() as u64;
        self.line_start = self.at - done.tail.len() as u64;
        self.carry = done.tail;
        self.parts += 1;
        limits
            .counting
            .store(matches!(plan.wanted, Wanted::Records) && self.count >= plan.most, Ordering::Relaxed);
    }

    fn own_line(&mut self, line: &[u8]) {
        let plan = std::mem::replace(&mut self.plan, Plan::nothing());
        self.look_at(&plan, line);
        self.plan = plan;
        if matches!(self.plan.wanted, Wanted::Sorted { .. }) {
            self.sort();
        }
    }

    /// Looks at the line that was carried, which begins at `line_start`.
    fn look_at(&mut self, plan: &Plan, line: &[u8]) {
        let mut part = Part::default();
        if std::mem::take(&mut self.too_long) {
            (part.bad, part.first_bad) = (1, Some(0));
        } else {
            let text = if self.line_start == 0 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
            part.order = self.parts << PART_BITS;
            let limits = Limits { counting: &AtomicBool::new(false), bound: None };
            part.look(text, &mut self.own, plan, &limits);
        }
        part.lines = 0;
        for found in &mut part.found {
            // Not the length of what was looked at: a byte order mark was cut off.
            found.end = self.at - self.line_start;
        }
        self.take(plan, &part, self.line_start);
    }

    /// Takes in what was found in lines that begin at `offset`.
    fn take(&mut self, plan: &Plan, part: &Part, offset: u64) {
        let before = self.matched;
        self.matched += part.matched;
        self.bad += part.bad;
        if let (None, Some(line)) = (self.first_bad, part.first_bad) {
            self.first_bad = Some(self.lines + line + 1);
        }
        if matches!(plan.wanted, Wanted::Records) {
            let skip = usize::try_from(plan.skip.saturating_sub(before)).unwrap_or(usize::MAX);
            let room = usize::try_from(plan.most - self.count).unwrap_or(usize::MAX);
            self.give(part, skip, room, offset);
            if self.count == plan.most && !plan.count_rest {
                self.full = true;
            }
        } else {
            self.give(part, 0, usize::MAX, offset);
        }
        self.lines += part.lines;
    }

    fn give(&mut self, part: &Part, skip: usize, room: usize, offset: u64) {
        let mut at =
            skip.checked_sub(1).and_then(|last| part.found.get(last)).map_or(0, |found| found.text_end);
        for found in part.found.iter().skip(skip).take(room) {
            self.text.extend_from_slice(part.text.get(at..found.text_end).unwrap_or_default());
            at = found.text_end;
            let Found { line, start, end, key, .. } = found;
            let number = self.lines + line + 1;
            self.given.push(Given {
                line: number,
                start: offset + start,
                key: key.clone(),
                text_end: self.text.len(),
            });
            self.resume = (offset + end, number);
            self.count += 1;
        }
    }
}

type Lane<'a> = (Sender<Job<'a>>, Receiver<Result<Done>>);

fn decoder_of(stored: Option<(BorrowedFd<'_>, &Reader)>) -> Option<Decoder> {
    stored.and_then(|(_, reader)| reader.codec()).map(crate::codec::Codec::decoder)
}

/// What a thread does: looks at what it is sent, as long as somebody takes what it finds.
fn work(
    looker: &mut Looker,
    plan: &Plan,
    limits: &Limits<'_>,
    stored: Option<(BorrowedFd<'_>, &Reader)>,
    todo: &Receiver<Job<'_>>,
    give: &Sender<Result<Done>>,
) {
    let mut decoder = decoder_of(stored);
    let mut buffer = Vec::new();
    while let Ok(job) = todo.recv() {
        let done = look(job, looker, plan, limits, stored, decoder.as_mut(), &mut buffer);
        let failed = done.is_err();
        if give.send(done).is_err() || failed {
            return;
        }
    }
}

fn look(
    job: Job<'_>,
    looker: &mut Looker,
    plan: &Plan,
    limits: &Limits<'_>,
    stored: Option<(BorrowedFd<'_>, &Reader)>,
    decoder: Option<&mut Decoder>,
    buffer: &mut Vec<u8>,
) -> Result<Done> {
    let (number, job) = job;
    let data = match (job, stored) {
        (Work::Bytes(data), _) => data,
        (Work::Stored(_), None) => &[],
        // Signals are the caller's to look at.
        (Work::Stored(piece), Some((file, _))) => load(&piece, file, decoder, buffer)?,
    };
    let Some(first) = memchr::memchr(b'\n', data) else {
        return Ok(Done {
            head: data.to_vec(),
            part: Part::default(),
            middle: 0,
            tail: Vec::new(),
            whole: false,
        });
    };
    let last = memchr::memrchr(b'\n', data).unwrap_or(first);
    let (head, rest) = data.split_at(first + 1);
    let (middle, tail) = rest.split_at(last - first);
    let mut part = Part { order: (number << PART_BITS) + head.len() as u64, ..Part::default() };
    part.look(middle, looker, plan, limits);
    Ok(Done { head: head.to_vec(), part, middle: middle.len() as u64, tail: tail.to_vec(), whole: true })
}

fn load<'b>(
    piece: &Piece<'_>,
    file: BorrowedFd<'_>,
    decoder: Option<&mut Decoder>,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8]> {
    match (piece, decoder) {
        (Piece::Plain { start, len }, _) => {
            buffer.resize(*len, 0);
            fd::read_exact_at(file, buffer, *start, &mut || Ok(()))?;
            Ok(buffer)
        }
        (Piece::Packed { frame, from, to }, Some(decoder)) => {
            decoder.read(file, frame, buffer, &mut || Ok(()))?;
            buffer.get(*from..*to).ok_or(DAMAGED)
        }
        (Piece::Packed { .. }, None) => Err(DAMAGED),
    }
}
