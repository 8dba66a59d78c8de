//! Truncates a text that is streamed, or in memory.

use crate::lines;
use crate::summary::Summary;
use crate::truncate::{
    CHARACTER, Ends, Limit, Strategy, Truncated, join, marker, reserve, truncate_ends, whole,
};

/// Truncates a text that is in memory; it only examines its ends, and counts its newlines.
#[must_use]
pub fn truncate(data: &[u8], limit: Limit, hint: Option<&str>) -> Truncated {
    let size = data.len() as u64;
    if limit.strategy == Strategy::Summary && data.len() > limit.max_bytes {
        let mut truncator = Truncator::new(limit);
        truncator.feed(data);
        return truncator.render(limit.max_bytes, hint);
    }
    if data.len() <= limit.max_bytes && !limit.strategy.by_lines() {
        return whole(data, size);
    }
    let lines = lines::line_count(lines::count_newlines(data), data.last().copied());
    truncate_ends(Ends { head: data, tail: data, size, lines }, limit, hint)
}

/// Truncates a streamed text, holding no more than about three times the limit, and some MiB.
pub struct Truncator {
    limit: Limit,
    /// The limit, plus room to see all of a character.
    capacity: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    summary: Option<Summary>,
    size: u64,
    newlines: u64,
    last: Option<u8>,
}

impl Truncator {
    /// Creates a truncator.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let summary = (limit.strategy == Strategy::Summary).then(|| Summary::new(limit.max_bytes));
        let capacity = limit.max_bytes.saturating_add(CHARACTER);
        Self {
            limit,
            capacity,
            head: Vec::new(),
            tail: Vec::new(),
            summary,
            size: 0,
            newlines: 0,
            last: None,
        }
    }

    /// Takes the next part of the text.
    pub fn feed(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        self.newlines += lines::count_newlines(data);
        self.last = data.last().copied().or(self.last);
        if self.limit.strategy.keeps_head() {
            let room = (self.capacity - self.head.len()).min(data.len());
            self.head.extend_from_slice(&data[..room]);
        }
        if self.limit.strategy.keeps_tail() {
            self.feed_tail(data);
        }
        if let Some(summary) = &mut self.summary {
            summary.feed(data);
        }
    }

    fn feed_tail(&mut self, data: &[u8]) {
        let data = data.get(data.len().saturating_sub(self.capacity)..).unwrap_or(data);
        // Only discard once the buffer holds twice the capacity: each byte is moved once on average.
        if self.tail.len() + data.len() > self.capacity.saturating_mul(2) {
            let surplus = (self.tail.len() + data.len()).saturating_sub(self.capacity);
            self.tail.drain(..surplus.min(self.tail.len()));
        }
        self.tail.extend_from_slice(data);
    }

    /// The number of bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number of lines so far, including an unterminated last one.
    #[must_use]
    pub fn lines(&self) -> u64 {
        lines::line_count(self.newlines, self.last)
    }

    /// Whether [`Self::render`] will drop something.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.size > self.limit.max_bytes as u64
            || self.limit.strategy.by_lines() && self.lines() > self.limit.most_lines()
    }

    /// Returns the text so far, cut to `max_bytes`, which is at most the limit's own.
    #[must_use]
    pub fn render(&self, max_bytes: usize, hint: Option<&str>) -> Truncated {
        let limit = Limit { max_bytes: max_bytes.min(self.limit.max_bytes), ..self.limit };
        let tail = self.tail.get(self.tail.len().saturating_sub(self.capacity)..).unwrap_or(&self.tail);
        let ends = Ends { head: &self.head, tail, size: self.size, lines: self.lines() };
        match &self.summary {
            Some(summary) if self.size > limit.max_bytes as u64 => {
                render_summary(summary, ends, limit.max_bytes, hint)
            }
            _ => truncate_ends(ends, limit, hint),
        }
    }
}

fn render_summary(summary: &Summary, ends: Ends<'_>, max_bytes: usize, hint: Option<&str>) -> Truncated {
    let room = max_bytes.checked_sub(reserve(ends.size, ends.lines, hint)).filter(|room| *room > 0);
    let parts = summary.parts(ends, room.unwrap_or(max_bytes));
    let dropped_bytes = ends.size - parts.shown_bytes;
    let dropped_lines = ends.lines - parts.shown_lines;
    let marker = room.map(|_| marker(dropped_bytes, dropped_lines, hint)).unwrap_or_default();
    let content = join(&parts.first, &marker, &parts.last);
    Truncated { content, original_size: ends.size, truncated: true, dropped_bytes, dropped_lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, strategy: Strategy, max_bytes: usize, max_lines: u64) -> (String, u64, u64) {
        let cut = truncate(text.as_bytes(), Limit { strategy, max_bytes, max_lines }, None);
        assert!(cut.content.len() <= max_bytes, "{cut:?}");
        (String::from_utf8(cut.content).unwrap(), cut.dropped_bytes, cut.dropped_lines)
    }

    #[test]
    fn keeps_what_the_strategy_says() {
        let text = "0123456789\n".repeat(20);
        let head = cut(&text, Strategy::Head, 64, 9);
        assert_eq!(head.0, "0123456789\n0123456789\n--- [198 bytes (18 lines) truncated] ---\n");
        let tail = cut(&text, Strategy::Tail, 64, 9);
        assert_eq!(
            tail.0,
            "--- [198 bytes (18 lines) truncated] ---\n0123456789\n0123456789\n".get(..).unwrap()
        );
    }

    #[test]
    fn says_nothing_where_nothing_is_missing() {
        assert_eq!(cut("short\n", Strategy::Tail, 6, 1), ("short\n".to_owned(), 0, 0));
        assert_eq!(cut("", Strategy::HeadLines, 0, 0), (String::new(), 0, 0));
    }

    #[test]
    fn one_line_is_kept_whatever_the_limit_of_lines() {
        for strategy in [Strategy::HeadLines, Strategy::TailLines] {
            assert_eq!(cut("one", strategy, 16, 0), ("one".to_owned(), 0, 0));
            assert_eq!(cut("one\ntwo\n", strategy, 80, 0).1, 4);
        }
    }

    #[test]
    fn never_cuts_a_character() {
        let text = "é".repeat(300);
        for max_bytes in 0..120 {
            for (_, strategy) in Strategy::NAMES {
                cut(&text, strategy, max_bytes, 3);
            }
        }
    }

    #[test]
    fn a_stream_is_cut_like_the_whole() {
        let text = "line one\nsecond line is longer\n\nüöä\n".repeat(40);
        for (_, strategy) in Strategy::NAMES {
            let limit = Limit { strategy, max_bytes: 200, max_lines: 4 };
            let mut truncator = Truncator::new(limit);
            text.as_bytes().chunks(7).for_each(|chunk| truncator.feed(chunk));
            assert_eq!(
                truncator.render(200, Some("x")),
                truncate(text.as_bytes(), limit, Some("x")),
                "{strategy:?}"
            );
        }
    }
}
