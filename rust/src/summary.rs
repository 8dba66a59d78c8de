//! A summary of a text that streams by, for an agent that debugs: its first and last lines, and between
//! them the lines that look like errors or warnings, each with its line number. Nothing is made up: every
//! line shown is one of the text, perhaps clipped. The same text gives the same summary, however it is fed.

use std::collections::{BTreeMap, HashMap, VecDeque};

use aho_corasick::AhoCorasick;

use crate::detect::{self, ContentType};
use crate::json;
use crate::truncate::{
    Ends, Limit, Strategy, Truncated, count, cut_head, join, marker, reserve, truncate_ends,
};

/// Bytes of a line that are looked at and shown: an error says what it is at the beginning.
const CLIP: usize = 240;
/// Lines of one kind that are shown; more are only counted.
const OF_A_KIND: u32 = 3;
/// Kinds that are told apart; a text with more has errors enough.
const KINDS: usize = 4096;
/// Lines shown before and after a line that is an error for certain: the file, the frame, the source line.
const BEFORE: usize = 2;
const AFTER: u32 = 2;
/// Bytes of the beginning that are looked at for JSON records.
const SAMPLE: usize = 64 * 1024;
/// Shares of the room for the first lines (an eighth) and the last (a quarter); errors get the rest.
const FIRST: usize = 8;
const LAST: usize = 4;

/// A line with none of these, in any case, is neither an error nor a warning.
const WORDS: [&str; 14] = [
    "error",
    "warn",
    "fail",
    "exception",
    "traceback",
    "panic",
    "fatal",
    "critical",
    "caused by",
    "undefined",
    "fault",
    "assert",
    "abort",
    "e   ",
];
/// What makes a line an error for certain, in lower case, anywhere in it.
const CERTAIN: [&str; 12] = [
    ": error:",
    "error[",
    "panicked at",
    "traceback (most recent call last)",
    "caused by:",
    "exception in thread",
    "segmentation fault",
    "undefined reference",
    "fatal",
    "critical",
    "assertionerror",
    "unhandled",
];
/// The same, at its beginning.
const CERTAIN_START: [&str; 5] = ["error:", "error ", "failed ", "fail:", "panic:"];
/// What makes a line harmless though it has one of the words.
const HARMLESS: [&str; 9] = [
    "passed",
    "0 error",
    "no error",
    "errors: 0",
    "errors=0",
    "0 failed",
    "0 warning",
    "... ok",
    "without error",
];

/// How much a line matters.
const CERTAINLY: u8 = 4;
const PROBABLY: u8 = 3;
const CONTEXT: u8 = 2;
const WARNING: u8 = 1;

/// Keeps the lines that matter, within a bound.
pub struct Summary {
    words: Option<AhoCorasick>,
    /// Bytes of lines kept at most.
    bound: usize,
    /// By what matters least last: (255 - score, number) to the clipped line.
    kept: BTreeMap<(u8, u64), Vec<u8>>,
    kept_bytes: usize,
    kinds: HashMap<Vec<u8>, u32>,
    before: VecDeque<Vec<u8>>,
    after: u32,
    line: Vec<u8>,
    number: u64,
    sample: Vec<u8>,
}

impl Summary {
    /// A summary of nothing yet, for a limit of `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            words: AhoCorasick::builder().ascii_case_insensitive(true).build(WORDS).ok(),
            bound: max_bytes,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            kinds: HashMap::new(),
            before: VecDeque::new(),
            after: 0,
            line: Vec::new(),
            number: 1,
            sample: Vec::new(),
        }
    }

    /// Takes in the next part of the text.
    pub fn feed(&mut self, data: &[u8]) {
        let room = SAMPLE.saturating_sub(self.sample.len()).min(data.len());
        self.sample.extend_from_slice(&data[..room]);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', data) {
            let rest = &data[start..end];
            start = end + 1;
            if self.line.is_empty() {
                self.take_line(rest.get(..CLIP).unwrap_or(rest));
            } else {
                self.extend_line(rest);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
                self.line = line;
                self.line.clear();
            }
        }
        self.extend_line(&data[start..]);
    }

    fn extend_line(&mut self, rest: &[u8]) {
        let room = CLIP.saturating_sub(self.line.len()).min(rest.len());
        self.line.extend_from_slice(&rest[..room]);
    }

    /// Takes in a line without its newline, clipped.
    fn take_line(&mut self, line: &[u8]) {
        let score = match &self.words {
            Some(words) if words.is_match(line) => self.rate(line),
            _ => 0,
        };
        if score == CERTAINLY {
            for (back, text) in (1..).zip(std::mem::take(&mut self.before)) {
                self.keep(CONTEXT, self.number.saturating_sub(back), &text);
            }
        }
        if score > 0 {
            self.keep(score, self.number, line);
        } else if self.after > 0 {
            self.keep(CONTEXT, self.number, line);
        }
        self.after = if score == CERTAINLY { AFTER } else { self.after.saturating_sub(1) };
        // The oldest buffer is used again: nothing is allocated for a line that does not matter.
        let oldest = if self.before.len() < BEFORE { None } else { self.before.pop_back() };
        let mut text = oldest.unwrap_or_default();
        text.clear();
        text.extend_from_slice(line);
        self.before.push_front(text);
        self.number += 1;
    }

    /// Returns how much a line matters; 0 for one that does not, or that is like enough others.
    fn rate(&mut self, line: &[u8]) -> u8 {
        let score = rate(line);
        if score == 0 {
            return 0;
        }
        // Lines that differ in nothing but numbers are of one kind.
        let kind: Vec<u8> = line.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect();
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            return 0;
        }
        let seen = self.kinds.entry(kind).or_insert(0);
        *seen += 1;
        if *seen > OF_A_KIND { 0 } else { score }
    }

    fn keep(&mut self, score: u8, number: u64, line: &[u8]) {
        let key = (u8::MAX - score, number);
        let other_scores = [CERTAINLY, PROBABLY, CONTEXT, WARNING].map(|score| (u8::MAX - score, number));
        if line.is_empty() || other_scores.iter().any(|key| self.kept.contains_key(key)) {
            return;
        }
        self.kept_bytes += line.len();
        self.kept.insert(key, line.to_vec());
        while self.kept_bytes > self.bound {
            let Some((_, dropped)) = self.kept.pop_last() else { break };
            self.kept_bytes -= dropped.len();
        }
    }

    /// The summary of the text so far, at most `max_bytes` long. `ends` are those of the same text.
    #[must_use]
    pub fn render(&self, ends: Ends<'_>, max_bytes: usize, hint: Option<&str>) -> Truncated {
        let Ends { head, tail, size, lines } = ends;
        let room = max_bytes.checked_sub(reserve(size, lines, hint)).filter(|room| *room > 0);
        let budget = room.unwrap_or(max_bytes);
        let facts = self.facts(lines, budget / LAST);
        let budget = budget - facts.len();
        let first = whole_lines(head, budget / FIRST, false);
        let last = whole_lines(tail, budget / LAST, true);
        let between = (lines_in(first) + 1, lines.saturating_sub(lines_in(last)));
        let (found, shown_bytes, shown_lines) = self.between(between, budget - first.len() - last.len());
        if first.is_empty() && last.is_empty() && found.is_empty() {
            // One long line, say: its two ends tell more than nothing.
            let both = Limit { strategy: Strategy::Both, max_bytes, max_lines: lines };
            return truncate_ends(ends, both, hint);
        }
        let mut text = facts;
        text.extend_from_slice(first);
        text.extend_from_slice(&found);
        let dropped_bytes = size - (first.len() + last.len()) as u64 - shown_bytes;
        let dropped_lines = lines - lines_in(first) - lines_in(last) - shown_lines;
        let marker = room.map(|_| marker(dropped_bytes, dropped_lines, hint)).unwrap_or_default();
        let content = join(&text, &marker, last);
        Truncated { content, original_size: size, truncated: true, dropped_bytes, dropped_lines }
    }

    /// For NDJSON: how many records there are, and what fields the first ones have.
    fn facts(&self, lines: u64, most: usize) -> Vec<u8> {
        let last = self.sample.iter().copied().rfind(|byte| !detect::is_blank(*byte));
        if detect::content_type(&self.sample, false, lines, last) != ContentType::Ndjson {
            return Vec::new();
        }
        let fields = json::field_names(&self.sample);
        let mut text = format!("{}; fields:", count(lines, "record")).into_bytes();
        for (number, name) in fields.iter().enumerate() {
            text.extend_from_slice(if number == 0 { b" " } else { b", " });
            text.extend_from_slice(name);
        }
        text.truncate(cut_head(&text, most.saturating_sub(1)));
        if !text.is_empty() {
            text.push(b'\n');
        }
        text
    }

    /// Returns the lines that matter of those from `range.0` to `range.1`, in order; how many of the text's
    /// bytes they show; and how many of them are shown whole, their end included.
    fn between(&self, range: (u64, u64), room: usize) -> (Vec<u8>, u64, u64) {
        let mut chosen = BTreeMap::new();
        let mut used = 0;
        for ((_, number), line) in &self.kept {
            if *number < range.0 || *number > range.1 {
                continue;
            }
            let text = [number.to_string().as_bytes(), b": ", line, b"\n"].concat();
            if used + text.len() > room {
                break;
            }
            used += text.len();
            chosen.insert(*number, (text, line.len()));
        }
        let whole = chosen.values().filter(|(_, len)| *len < CLIP).count() as u64;
        let bytes = chosen.values().map(|(_, len)| *len as u64 + u64::from(*len < CLIP)).sum();
        (chosen.into_values().flat_map(|(text, _)| text).collect(), bytes, whole)
    }
}

fn lines_in(text: &[u8]) -> u64 {
    crate::lines::line_count(crate::lines::count_newlines(text), text.last().copied())
}

/// Returns the whole lines at one end of `text` that fit in `room`.
fn whole_lines(text: &[u8], room: usize, at_end: bool) -> &[u8] {
    if at_end {
        let start = text.len().saturating_sub(room);
        let region = &text[start..];
        let inner = &region[..region.len().saturating_sub(1)];
        let skip = memchr::memchr(b'\n', inner).map_or(region.len(), |at| at + 1);
        &region[skip..]
    } else {
        let region = text.get(..room).unwrap_or(text);
        &region[..memchr::memrchr(b'\n', region).map_or(0, |at| at + 1)]
    }
}

fn rate(line: &[u8]) -> u8 {
    let lower = line.to_ascii_lowercase();
    let has =
        |words: &[&str]| words.iter().any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some());
    if has(&HARMLESS) {
        0
    } else if line.starts_with(b"E   ")
        || has(&CERTAIN)
        || CERTAIN_START.iter().any(|word| lower.starts_with(word.as_bytes()))
    {
        CERTAINLY
    } else if has(&["error", "fail", "exception", "panic", "fault", "abort"]) {
        PROBABLY
    } else if has(&["warn"]) {
        WARNING
    } else {
        0
    }
}
