//! A part of the text, as lines.

use super::pool::Key;
use super::terminal::{PIECE, Units, units};

/// Bytes of a block at most: some thousand lines, which stay in the processor's cache.
pub(super) const BLOCK: usize = 256 * 1024;
/// Lines of the block before that are still known: as many as are looked at before an error.
const CARRIED: usize = 12;

/// A line, or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The number of the line, and which of the things that it showed one after the other.
    pub key: Key,
    /// What it says.
    pub text: &'a [u8],
    /// Whether this is what a terminal shows of the line at the end.
    pub stands: bool,
    /// Whether it is all of that.
    pub whole: bool,
}

/// Where the next block begins, and the lines right before it.
#[derive(Clone)]
pub(super) struct Next {
    number: u64,
    part: usize,
    before: Vec<Vec<u8>>,
}

impl Default for Next {
    fn default() -> Self {
        Self { number: 1, part: 0, before: Vec::new() }
    }
}

/// Lines that were fed, and those right before them.
pub(super) struct Block<'a> {
    text: &'a [u8],
    /// Where each line begins and ends in it.
    lines: Vec<(usize, usize)>,
    /// How many of the lines are complete: those that a newline ends, and the last of the text.
    pub ended: usize,
    at: Next,
    /// Whether there is a `\r` in it.
    has_returns: bool,
}

impl<'a> Block<'a> {
    /// The lines of `text`, which is plain.
    pub fn new(text: &'a [u8], at: Next, is_last: bool) -> Self {
        let mut lines = Vec::with_capacity(text.len() / 64);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            lines.push((start, end));
            start = end + 1;
        }
        let mut ended = lines.len();
        if start < text.len() {
            lines.push((start, text.len()));
            ended += usize::from(is_last);
        }
        let has_returns = memchr::memchr(b'\r', text).is_some();
        Self { text, lines, ended, at, has_returns }
    }

    /// All of it.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether one of the lines is longer than `most`.
    pub fn has_long_lines(&self, most: usize) -> bool {
        self.lines.iter().any(|(start, end)| end - start > most)
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of a line of the block.
    pub fn line(&self, index: usize) -> &'a [u8] {
        self.lines.get(index).map_or(b"", |(start, end)| &self.text[*start..*end])
    }

    /// The index of the line that has the byte at `at`, not before `from`; and where it ends.
    pub fn index_at(&self, from: usize, at: usize) -> (usize, usize) {
        let rest = self.lines.get(from..).unwrap_or_default();
        let index = from + rest.partition_point(|(_, end)| *end < at);
        (index, self.lines.get(index).map_or(self.text.len(), |(_, end)| *end))
    }

    /// The number of the line `back` lines before one of the block.
    pub fn number(&self, index: usize, back: usize) -> u64 {
        (self.at.number + index as u64).saturating_sub(back as u64)
    }

    /// Which part of its line a line of the block begins with: the first may have begun before it.
    fn first_part(&self, index: usize) -> usize {
        if index == 0 { self.at.part } else { 0 }
    }

    /// What stands there of a complete line.
    pub fn row(&self, index: usize) -> Row<'a> {
        standing(self.line(index), self.number(index, 0), self.first_part(index))
    }

    /// The same of the line `back` lines before, if it is still known.
    pub fn row_before(&self, index: usize, back: usize) -> Option<Row<'_>> {
        if let Some(index) = index.checked_sub(back) {
            return Some(self.row(index));
        }
        let place = (self.at.before.len() + index).checked_sub(back)?;
        Some(standing(self.at.before.get(place)?, self.number(index, back), 0))
    }

    /// What a complete line showed, if that was one thing, and short.
    pub fn only_part(&self, index: usize) -> Option<Row<'a>> {
        let text = self.line(index);
        let is_one =
            text.len() <= PIECE && index < self.ended && !(self.has_returns && text.contains(&b'\r'));
        let key = (self.number(index, 0), self.first_part(index));
        is_one.then_some(Row { key, text, stands: true, whole: true })
    }

    /// All that a line showed.
    pub fn parts(&self, index: usize) -> Vec<Row<'a>> {
        let Units { parts, stands, whole } = units(self.line(index));
        let (first, number, ended) = (self.first_part(index), self.number(index, 0), index < self.ended);
        let row = |(at, text)| {
            let is_last = at == stands;
            Row {
                key: (number, first + at),
                text,
                stands: ended && is_last,
                whole: whole && ended && is_last,
            }
        };
        parts.into_iter().enumerate().map(row).collect()
    }

    /// Where the block that follows begins.
    pub fn next(self) -> Next {
        let Self { ended, .. } = self;
        let is_open = ended < self.len();
        let part = if is_open { self.first_part(ended) + units(self.line(ended)).parts.len() } else { 0 };
        let carried = ended.min(CARRIED);
        let new: Vec<_> = (ended - carried..ended).map(|index| self.line(index).to_vec()).collect();
        let mut before = self.at.before;
        before.drain(..(before.len() + carried).saturating_sub(CARRIED));
        before.extend(new);
        Next { number: self.at.number + ended as u64, part, before }
    }
}

/// Returns how long the block is that the text begins with, which is a block long, or longer.
pub(super) fn end_of_block(text: &[u8]) -> usize {
    memchr::memrchr(b'\n', &text[..BLOCK]).map_or(BLOCK, |at| at + 1)
}

fn standing(line: &[u8], number: u64, first_part: usize) -> Row<'_> {
    let Units { parts, stands, whole } = units(line);
    Row {
        key: (number, first_part + stands),
        text: parts.get(stands).copied().unwrap_or(b""),
        stands: true,
        whole,
    }
}
