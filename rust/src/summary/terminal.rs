//! Lines as a terminal shows them: without colours, and what follows a `\r` over what was there.

use std::borrow::Cow;

use crate::truncate::{character_around, cut_head};

/// Stands where a line was clipped.
pub(super) const GAP: &[u8] = "…".as_bytes();
/// A longer line is looked at in pieces: a signal in each of them is found.
pub(super) const PIECE: usize = 2048;

const ESCAPE: u8 = 0x1B;
const BELL: u8 = 0x07;

/// Whether a byte is white space within a line.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns the text without colours and other escape sequences, and without the `\r` of line ends.
pub(super) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(ESCAPE, b'\r', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut without = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = memchr::memchr(ESCAPE, &text[at..]) {
        without.extend_from_slice(&text[at..at + found]);
        at += found;
        at += escape_len(&text[at..]);
    }
    without.extend_from_slice(&text[at..]);
    // Only now: a colour may stand between the two.
    let mut kept = 0;
    for at in 0..without.len() {
        if without[at] != b'\r' || without.get(at + 1) != Some(&b'\n') {
            without[kept] = without[at];
            kept += 1;
        }
    }
    without.truncate(kept);
    Cow::Owned(without)
}

/// Returns how long the escape sequence is that `text` begins with; one that is cut is its first byte alone.
fn escape_len(text: &[u8]) -> usize {
    let run = |from: usize, range: std::ops::RangeInclusive<u8>| {
        from + text.iter().skip(from).take_while(|byte| range.contains(*byte)).count()
    };
    match text.get(1) {
        Some(b'[') => {
            let end = run(run(2, b'0'..=b'?'), b' '..=b'/');
            if matches!(text.get(end), Some(b'@'..=b'~')) { end + 1 } else { 2 }
        }
        Some(b']') => {
            let is_end = |byte: &u8| matches!(*byte, BELL | ESCAPE | b'\n');
            let end = text.iter().skip(2).position(is_end).map_or(text.len(), |at| at + 2);
            match text.get(end) {
                Some(&BELL) => end + 1,
                Some(&ESCAPE) if text.get(end + 1) == Some(&b'\\') => end + 2,
                _ => end,
            }
        }
        _ => {
            let end = run(1, b' '..=b'/');
            if matches!(text.get(end), Some(b'0'..=b'~')) { end + 1 } else { 1 }
        }
    }
}

/// What a line shows.
pub(super) struct Units<'a> {
    /// One after the other, each no longer than a piece.
    pub parts: Vec<&'a [u8]>,
    /// Which of them stands there at the end.
    pub stands: usize,
    /// Whether that is all that does.
    pub whole: bool,
}

/// Returns what a line shows one after the other: what follows a `\r` is written over what was there.
pub(super) fn units(line: &[u8]) -> Units<'_> {
    let mut found = Units { parts: Vec::new(), stands: 0, whole: true };
    let is_shown = |part: &&[u8]| !part.iter().all(|byte| is_space(*byte));
    let parts = line.split(|byte| *byte == b'\r');
    let is_simple = line.len() <= PIECE && memchr::memchr(b'\r', line).is_none();
    for mut part in parts.filter(|part| is_simple || is_shown(part)) {
        found.stands = found.parts.len();
        found.whole = part.len() <= PIECE;
        while part.len() > PIECE {
            let (piece, rest) = part.split_at(cut_head(part, PIECE));
            found.parts.push(piece);
            part = rest;
        }
        found.parts.push(part);
    }
    if found.parts.is_empty() {
        found.parts.push(b"");
    }
    found
}

/// A line that was clipped, or was short enough.
pub(super) struct Clipped {
    /// What is left, with signs where something is missing.
    pub text: Vec<u8>,
    /// Where what matters is in it.
    pub at: usize,
    /// How many bytes of the line there are.
    pub shown: usize,
}

/// Returns no more than `most` bytes of a line: those around `at`.
pub(super) fn clip(text: &[u8], at: usize, most: usize) -> Clipped {
    if text.len() <= most {
        return Clipped { text: text.to_vec(), at, shown: text.len() };
    }
    let room = most.saturating_sub(2 * GAP.len());
    let start = at.saturating_sub(room / 4).min(text.len() - room);
    let start = character_around(text, start).map_or(start, |(_, end)| end);
    let rest = &text[start..];
    let shown = &rest[..cut_head(rest, room)];
    let before = if start > 0 { GAP } else { b"" };
    let after = if start + shown.len() < text.len() { GAP } else { b"" };
    let at = at.saturating_sub(start) + before.len();
    Clipped { text: [before, shown, after].concat(), at, shown: shown.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_no_escapes() {
        let text = b"\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]0;title\x07 \x1b(Bx\x1b\r\n\x1b[";
        assert_eq!(&*plain(text), b"red link x\n");
        assert!(matches!(plain(b"plain text\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_follows_a_return_stands() {
        let units = units(b" 1%\r \r100%\r ");
        assert_eq!((units.parts, units.stands, units.whole), (vec![&b" 1%"[..], b"100%"], 1, true));
    }

    #[test]
    fn a_clip_cuts_no_character() {
        let text = "é".repeat(300);
        for at in 0..600 {
            let clipped = clip(text.as_bytes(), at, 101);
            assert!(clipped.text.len() <= 101);
            assert!(std::str::from_utf8(&clipped.text).is_ok());
        }
    }
}
