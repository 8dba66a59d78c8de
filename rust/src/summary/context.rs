//! The lines around an error: its file, its frames, the source, what was expected.

use std::collections::VecDeque;

use super::rating::{begins_with_time, has_place, is_detail, is_fine, is_library, starts_entry};
use super::terminal::is_space;

/// Lines before an error that are looked at: a test says what went wrong before it says its name, and frames may come
/// before the message.
pub(super) const BEFORE: u64 = 12;
/// Lines after an error that are looked at: a stack is not much longer, without the libraries' frames.
const AFTER: u64 = 40;
/// Entries of a log after an error that are looked at.
const ENTRIES: u64 = 2;
/// Places that are known again, where one function calls itself.
const SEEN: usize = 8;
/// Lines from an error up to which one that names no place may follow a blank line.
const NEAR: u64 = 6;

/// Returns how much a line matters that stands `distance` lines before an error.
pub(super) fn before(score: u64, distance: u64, line: &[u8]) -> u64 {
    let low = line.to_ascii_lowercase();
    if is_fine(&low) {
        0
    } else if starts_entry(line) || begins_with_time(line) {
        if distance <= 2 { score * 15 / (100 * distance) } else { 0 }
    } else if has_place(&low) {
        score * if is_library(&low) { 30 } else { 75 } / (90 + 10 * distance)
    } else if distance <= 2 {
        score * 45 / (100 * distance)
    } else if is_detail(&low) {
        score * 45 / (90 + 10 * distance)
    } else {
        0
    }
}

/// Follows the lines after an error as long as they belong to it.
#[derive(Clone)]
pub(super) struct Trail {
    score: u64,
    first_place: u64,
    distance: u64,
    blanks: u64,
    places: u64,
    libraries: u64,
    seen: VecDeque<Vec<u8>>,
    /// Whether the next line is no part of it.
    pub is_over: bool,
}

impl Trail {
    /// A trail of an error of `score`; the first place that it names matters like `first_place`, which is more where
    /// the same error was seen elsewhere.
    pub fn new(score: u64, first_place: u64) -> Self {
        Self {
            score,
            first_place,
            distance: 0,
            blanks: 0,
            places: 0,
            libraries: 0,
            seen: VecDeque::new(),
            is_over: false,
        }
    }

    /// Returns how much the next line matters.
    pub fn follow(&mut self, line: &[u8]) -> u64 {
        self.distance += 1;
        self.is_over = self.distance >= AFTER;
        let Some(first) = line.first().filter(|_| !line.iter().all(|byte| is_space(*byte))) else {
            self.blanks += 1;
            return 0;
        };
        let low = line.to_ascii_lowercase();
        if starts_entry(line) || is_fine(&low) {
            self.is_over = true;
            return 0;
        }
        if begins_with_time(line) {
            self.is_over = self.distance >= ENTRIES;
            return self.score * 30 / (60 + 60 * self.distance);
        }
        if has_place(&low) {
            return self.place(low);
        }
        if self.blanks > 0 && self.distance > NEAR && !is_space(*first) {
            self.is_over = true;
            return 0;
        }
        if is_detail(&low) {
            return self.score * 75 / (95 + 5 * self.distance + 30 * self.blanks);
        }
        self.score * 60 / (80 + 20 * self.distance + 60 * self.blanks)
    }

    fn place(&mut self, low: Vec<u8>) -> u64 {
        if self.seen.contains(&low) {
            // One function calls itself: the same frames, over and over.
            return self.score / 16;
        }
        let is_library = is_library(&low);
        if self.seen.len() == SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(low);
        if is_library {
            self.libraries += 1;
            return self.first_place * 40 / (100 + 15 * self.libraries);
        }
        self.places += 1;
        let worth = if self.places == 1 { self.first_place } else { self.score };
        worth * 92 / (96 + 4 * self.places)
    }
}
