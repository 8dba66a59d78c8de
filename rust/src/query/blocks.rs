//! Looking at a block of lines.

use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;

use super::look::{Looker, Verdict};
use super::plan::{Plan, Wanted};
use crate::lines;

/// A record that matches.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of its line: in a block, from 0.
    pub line: u64,
    /// Where its line begins.
    pub start: u64,
    /// Where its line ends, the newline included.
    pub end: u64,
    /// What it is sorted by.
    pub key: Vec<u8>,
    /// Where what is given of it ends, in the text.
    pub text_end: usize,
}

/// What need not be given.
pub struct Limits<'a> {
    /// Set: nothing is, what matches is counted only.
    pub counting: &'a AtomicBool,
    /// What is sorted by this or a greater key: enough that come before it were given already.
    pub bound: Option<&'a [u8]>,
}

/// What was found in some lines.
#[derive(Debug, Default)]
pub struct Part {
    /// What comes before it in the order of the data, in whatever unit.
    pub order: u64,
    /// Records that match.
    pub matched: u64,
    /// Records that were looked at and are no JSON.
    pub bad: u64,
    /// The line of the first of them.
    pub first_bad: Option<u64>,
    /// Lines, where they are counted.
    pub lines: u64,
    /// The records that match, where they are wanted.
    pub found: Vec<Found>,
    /// What is given of them, each with a newline.
    pub text: Vec<u8>,
}

impl Part {
    /// Looks at `data`, which is whole lines; only the last may be unterminated.
    pub fn look(&mut self, data: &[u8], looker: &mut Looker, plan: &Plan, limits: &Limits<'_>) {
        if plan.needles.is_empty() {
            let mut at = 0;
            while at < data.len() {
                at = self.line(data, at, looker, plan, limits);
            }
            return;
        }
        let mut ways: Vec<Way<'_>> = plan.needles.iter().map(Way::new).collect();
        let escape = Finder::new("\\u");
        if plan.escapes {
            ways.push(Way::new(&escape));
        }
        let (mut at, mut counted) = (0, 0);
        while let Some(place) = ways.iter_mut().filter_map(|way| way.from(data, at)).min() {
            // Within the data: it was found there.
            let start = memchr::memrchr(b'\n', &data[at..place]).map_or(at, |newline| at + newline + 1);
            if plan.numbered {
                self.lines += lines::count_newlines(&data[counted..start]);
            }
            at = self.line(data, start, looker, plan, limits);
            counted = at;
        }
        if plan.numbered {
            let rest = &data[counted..];
            self.lines += lines::count_newlines(rest) + u64::from(!rest.is_empty() && !rest.ends_with(b"\n"));
        }
    }

    /// Looks at the line that begins at `start`; returns where the next one does.
    fn line(
        &mut self,
        data: &[u8],
        start: usize,
        looker: &mut Looker,
        plan: &Plan,
        limits: &Limits<'_>,
    ) -> usize {
        let rest = &data[start..];
        let (length, end) = match memchr::memchr(b'\n', rest) {
            Some(at) => (at, start + at + 1),
            None => (rest.len(), data.len()),
        };
        let line = &rest[..length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match looker.look(line, plan) {
            Verdict::Blank | Verdict::No => {}
            Verdict::Bad => {
                self.bad += 1;
                self.first_bad.get_or_insert(self.lines);
            }
            Verdict::Yes => {
                self.matched += 1;
                match plan.wanted {
                    Wanted::Groups(field) => looker.count(line, field, plan),
                    Wanted::Shapes => looker.describe(line, self.order + start as u64),
                    Wanted::Kinds => looker.kinds.add(line, self.order + start as u64),
                    Wanted::Records | Wanted::Sorted { .. } if !limits.counting.load(Ordering::Relaxed) => {
                        let key = looker.key(line, plan);
                        if limits.bound.is_some_and(|bound| key >= bound) {
                            self.lines += 1;
                            return end;
                        }
                        let key = key.to_vec();
                        looker.give(line, plan, &mut self.text);
                        self.text.push(b'\n');
                        self.found.push(Found {
                            line: self.lines,
                            start: start as u64,
                            end: end as u64,
                            key,
                            text_end: self.text.len(),
                        });
                    }
                    _ => {}
                }
            }
        }
        self.lines += 1;
        end
    }
}

/// Where a text lies next.
struct Way<'a> {
    finder: &'a Finder<'a>,
    next: Option<usize>,
    begun: bool,
}

impl<'a> Way<'a> {
    fn new(finder: &'a Finder<'_>) -> Self {
        Self { finder, next: None, begun: false }
    }

    /// Where it lies first, from `at` on. `at` never gets less.
    fn from(&mut self, data: &[u8], at: usize) -> Option<usize> {
        if !self.begun || self.next.is_some_and(|next| next < at) {
            self.begun = true;
            self.next = data.get(at..).and_then(|rest| self.finder.find(rest)).map(|next| at + next);
        }
        self.next
    }
}
