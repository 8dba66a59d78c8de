//! Truncates text to a limit: the result, including a marker that says what is missing, is never longer.
//!
//! - No UTF-8 character is cut; bytes that are not UTF-8 pass through as they are.
//! - A *dropped line* is one whose end was dropped: its newline, or the end of the data if the last line
//!   has none. So the numbers of dropped and kept lines add up to the total.
//! - The marker is on its own line where the text was cut. If the limit has no room for it and at least one
//!   byte of text, the marker is omitted.

use crate::lines;

/// Bytes kept beyond the limit at either end, to see all of a character that the limit would cut.
pub(crate) const CHARACTER: usize = 4;

/// What to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The first bytes.
    Head,
    /// The last bytes.
    Tail,
    /// Half from each end.
    Both,
    /// The first lines, whole.
    HeadLines,
    /// The last lines, whole.
    TailLines,
    /// The first and last lines, and between them those that look like errors or warnings.
    Summary,
}

impl Strategy {
    /// All strategies by their names in settings.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("head", Self::Head),
        ("tail", Self::Tail),
        ("both", Self::Both),
        ("head_lines", Self::HeadLines),
        ("tail_lines", Self::TailLines),
        ("summary", Self::Summary),
    ];

    /// Returns the strategy with a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, strategy)| strategy)
    }

    pub(crate) fn by_lines(self) -> bool {
        matches!(self, Self::HeadLines | Self::TailLines)
    }

    pub(crate) fn keeps_head(self) -> bool {
        matches!(self, Self::Head | Self::Both | Self::HeadLines | Self::Summary)
    }

    pub(crate) fn keeps_tail(self) -> bool {
        matches!(self, Self::Tail | Self::Both | Self::TailLines | Self::Summary)
    }
}

/// A text after truncation, whether it was cut or short enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truncated {
    /// The text, marker included.
    pub content: Vec<u8>,
    /// The size before truncation.
    pub original_size: u64,
    /// Whether anything was dropped.
    pub truncated: bool,
    /// The number of bytes dropped.
    pub dropped_bytes: u64,
    /// The number of lines dropped.
    pub dropped_lines: u64,
}

/// The ends of a text, and its size. Each end has the limit's bytes and [`CHARACTER`] more, or the whole text.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// The first bytes.
    pub head: &'a [u8],
    /// The last bytes.
    pub tail: &'a [u8],
    /// The size of the whole text.
    pub size: u64,
    /// The number of lines of the whole text, including an unterminated last one.
    pub lines: u64,
}

/// The limits of one text.
#[derive(Clone, Copy)]
pub struct Limit {
    /// What to keep.
    pub strategy: Strategy,
    /// The most bytes, marker included.
    pub max_bytes: usize,
    /// The most lines, for the line strategies; one is always kept, cut by bytes if necessary.
    pub max_lines: u64,
}

impl Limit {
    pub(crate) fn most_lines(self) -> u64 {
        self.max_lines.max(1)
    }
}

/// Truncates a text whose two ends are known. Not for [`Strategy::Summary`], which needs all of it.
#[must_use]
pub fn truncate_ends(ends: Ends<'_>, limit: Limit, hint: Option<&str>) -> Truncated {
    let Ends { head, tail, size, lines } = ends;
    let fits = size <= limit.max_bytes as u64;
    if fits && (!limit.strategy.by_lines() || lines <= limit.most_lines()) {
        return whole(if head.len() as u64 == size { head } else { tail }, size);
    }
    let room = limit.max_bytes.checked_sub(reserve(size, lines, hint)).filter(|room| *room > 0);
    let budget = room.unwrap_or(limit.max_bytes);
    let most_lines = usize::try_from(limit.most_lines()).unwrap_or(usize::MAX);
    let (from_head, from_tail) = match limit.strategy {
        Strategy::Head | Strategy::Summary => (cut_head(head, budget), 0),
        Strategy::Tail => (0, cut_tail(tail, budget)),
        Strategy::Both => (cut_head(head, budget / 2), cut_tail(tail, budget - budget / 2)),
        Strategy::HeadLines => (cut_head_lines(head, budget, most_lines), 0),
        Strategy::TailLines => (0, cut_tail_lines(tail, budget, most_lines)),
    };
    let kept_head = head.get(..from_head).unwrap_or(head);
    let kept_tail = tail.get(tail.len().saturating_sub(from_tail)..).unwrap_or(tail);
    let dropped_bytes = size - (kept_head.len() + kept_tail.len()) as u64;
    let kept_lines = lines::count_newlines(kept_head)
        + lines::line_count(lines::count_newlines(kept_tail), kept_tail.last().copied());
    let dropped_lines = lines - kept_lines;
    let marker = room.map(|_| marker(dropped_bytes, dropped_lines, hint)).unwrap_or_default();
    let content = join(kept_head, &marker, kept_tail);
    Truncated { content, original_size: size, truncated: true, dropped_bytes, dropped_lines }
}

pub(crate) fn whole(data: &[u8], size: u64) -> Truncated {
    Truncated { content: data.to_vec(), original_size: size, ..Truncated::default() }
}

/// Returns head, marker and tail, with the marker on its own line; it is empty if there is no room for it.
pub(crate) fn join(head: &[u8], marker: &str, tail: &[u8]) -> Vec<u8> {
    let mut content = head.to_vec();
    if !marker.is_empty() {
        if head.last().is_some_and(|byte| *byte != b'\n') {
            content.push(b'\n');
        }
        content.extend_from_slice(marker.as_bytes());
        content.push(b'\n');
    }
    content.extend_from_slice(tail);
    content
}

/// Returns the bytes to reserve for the marker and the newlines around it: no marker for this text is longer.
pub(crate) fn reserve(size: u64, lines: u64, hint: Option<&str>) -> usize {
    marker(size, lines.max(2), hint).len() + 2
}

/// Returns the marker.
pub(crate) fn marker(bytes: u64, lines: u64, hint: Option<&str>) -> String {
    let bytes = count(bytes, "byte");
    let lines = if lines == 0 { String::new() } else { format!(" ({})", count(lines, "line")) };
    let hint = hint.map(|hint| format!("; whole output: {hint}")).unwrap_or_default();
    format!("--- [{bytes}{lines} truncated{hint}] ---")
}

/// Returns a number with its unit: `1 line`, `12,345 bytes`.
pub(crate) fn count(number: u64, unit: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {unit}{plural}", thousands(number))
}

/// Returns a number with commas: `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if place > 0 && place % 3 == 0 {
            text.push(',');
        }
    }
    text
}

/// Returns how many of the first bytes of `text` to keep: at most `budget`, without cutting a character.
pub(crate) fn cut_head(text: &[u8], budget: usize) -> usize {
    if budget >= text.len() {
        return text.len();
    }
    character_around(text, budget).map_or(budget, |(start, _)| start)
}

/// Returns how many of the last bytes of `text` to keep: at most `budget`, without cutting a character.
pub(crate) fn cut_tail(text: &[u8], budget: usize) -> usize {
    let Some(start) = text.len().checked_sub(budget) else { return text.len() };
    text.len() - character_around(text, start).map_or(start, |(_, end)| end)
}

/// Returns where the character that a cut at `at` would split begins and ends; `None` if it would split none.
pub(crate) fn character_around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let is_continuation = |byte: &u8| byte & 0xC0 == 0x80;
    text.get(at).filter(|byte| is_continuation(byte))?;
    let start = (at.saturating_sub(CHARACTER - 1)..at)
        .rev()
        .find(|at| text.get(*at).is_some_and(|byte| !is_continuation(byte)))?;
    let len = match text.get(start)? {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return None,
    };
    let character = text.get(start..start + len)?;
    (start + len > at && std::str::from_utf8(character).is_ok()).then_some((start, start + len))
}

fn cut_head_lines(text: &[u8], budget: usize, most: usize) -> usize {
    let region = text.get(..budget).unwrap_or(text);
    lines::after_newline(region, most.max(1) as u64)
        .or_else(|| memchr::memrchr(b'\n', region).map(|at| at + 1))
        .unwrap_or_else(|| cut_head(text, budget))
}

fn cut_tail_lines(text: &[u8], budget: usize, most: usize) -> usize {
    let start = text.len().saturating_sub(budget);
    let region = &text[start..];
    // A newline at the very end ends the last line; it does not begin another.
    let inner = &region[..region.len().saturating_sub(1)];
    if let Some(at) = memchr::memrchr_iter(b'\n', inner).nth(most.saturating_sub(1)) {
        return region.len() - at - 1;
    }
    let begins_line = start == 0 || text.get(start - 1) == Some(&b'\n');
    match memchr::memchr(b'\n', inner) {
        _ if begins_line => region.len(),
        Some(at) => region.len() - at - 1,
        None => cut_tail(text, budget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
