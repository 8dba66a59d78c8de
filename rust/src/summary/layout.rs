//! Filling the room with what matters most, and putting it in order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::pool::{Candidate, Key};
use super::terminal::{GAP, clip};

/// A line is clipped to an eighth of the room, but not to less than the first of these or to more than the second; one
/// that is an error, the first of its sort, to a quarter.
const SHORTEST: usize = 160;
const LONGEST: usize = 500;
const SHARE: usize = 8;
const SHARE_OF_ERRORS: usize = 4;
const CERTAIN: u64 = 880;
/// How often more lines are tried for the room that is left, and how much of it is not worth it.
const ATTEMPTS: usize = 8;
const ENOUGH: usize = 16;

/// How much a line matters for standing so many thousandths of the room from an end of the text, on straight lines
/// between these points.
type Points = [(u64, u64)];
pub(super) const FIRST: &Points = &[(0, 800), (20, 420), (60, 260), (150, 120), (1000, 30)];
pub(super) const LAST: &Points = &[(0, 960), (30, 900), (120, 620), (250, 420), (500, 170), (1000, 60)];

/// Returns the value of the points at a place.
pub(super) fn worth_at(points: &Points, at: u64) -> u64 {
    let between = |pair: &&[(u64, u64)]| pair.get(1).is_some_and(|(right, _)| at <= *right);
    match points.windows(2).find(between) {
        Some([(left, high), (right, low)]) => high - (high - low) * (at - left) / (right - left),
        _ => 0,
    }
}

/// How many lines of each sort there were.
pub(super) type Counts = HashMap<Vec<u8>, u64>;

/// A line as it would be shown.
pub(super) struct Line<'a> {
    key: Key,
    text: Vec<u8>,
    /// How many bytes of the text that is.
    pub shown: usize,
    stands: bool,
    /// Whether it is all of the line.
    pub whole: bool,
    template: Option<&'a [u8]>,
    cost: usize,
}

impl<'a> Line<'a> {
    fn new(key: Key, candidate: &'a Candidate, most: usize, counts: &Counts) -> Self {
        let brief = candidate.brief.as_ref().filter(|_| candidate.text.len() > most || !candidate.whole);
        let (text, at) = brief.map_or((&candidate.text, candidate.at), |brief| (brief, 0));
        let clipped = clip(text, at, most);
        let signs =
            brief.map_or(0, |_| memchr::memmem::find_iter(&clipped.text[..clipped.shown], GAP).count());
        Self {
            key,
            shown: clipped.shown - signs * GAP.len(),
            stands: candidate.stands,
            whole: candidate.whole && brief.is_none() && clipped.shown == text.len(),
            template: candidate.template.as_deref(),
            cost: numbered(key.0, times_of(candidate, counts), &clipped.text).len(),
            text: clipped.text,
        }
    }
}

/// How many lines of its sort there were, where these are counted.
fn times_of(candidate: &Candidate, counts: &Counts) -> u64 {
    candidate.template.as_ref().and_then(|template| counts.get(template)).copied().unwrap_or_default()
}

/// The chosen lines, where they stand.
pub(super) struct Layout<'a> {
    /// The lines, in order.
    pub chosen: Vec<&'a Line<'a>>,
    /// The first lines, without a gap.
    pub first: Vec<u8>,
    /// Those in between, with their numbers.
    pub found: Vec<u8>,
    /// The last lines, without a gap.
    pub last: Vec<u8>,
}

impl<'a> Layout<'a> {
    fn new(mut chosen: Vec<&'a Line<'a>>, counts: &Counts, lines: u64) -> Self {
        chosen.sort_by_key(|line| line.key);
        let (first, last) = ends(&chosen, lines);
        let joined =
            |lines: &[&Line<'_>]| lines.iter().flat_map(|line| [&line.text[..], b"\n"].concat()).collect();
        Self {
            first: joined(&chosen[..first]),
            found: found(&chosen, first, last, counts),
            last: joined(&chosen[last..]),
            chosen,
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.found.len() + self.last.len()
    }
}

/// Returns how many lines stand at the beginning without a gap, and where those at the end begin.
fn ends(chosen: &[&Line<'_>], lines: u64) -> (usize, usize) {
    let is_next = |(number, line): (u64, &&Line<'_>)| line.key.0 == number && line.stands;
    let first = (1..).zip(chosen).take_while(|pair| is_next(*pair)).count();
    let rest = chosen[first..].iter().rev();
    let last = (0..=lines).rev().zip(rest).take_while(|pair| is_next(*pair)).count();
    (first, chosen.len() - last)
}

fn found(chosen: &[&Line<'_>], first: usize, last: usize, counts: &Counts) -> Vec<u8> {
    let mut shown: HashMap<&[u8], u64> = HashMap::new();
    for template in chosen.iter().filter_map(|line| line.template) {
        *shown.entry(template).or_default() += 1;
    }
    let mut text = Vec::new();
    for line in &chosen[first..last] {
        let mut more = 0;
        if let Some(template) = line.template {
            let times = counts.get(template).copied().unwrap_or_default();
            let shown = shown.entry(template).or_default();
            if times > *shown {
                // Said once of each.
                (more, *shown) = (times, times);
            }
        }
        text.extend_from_slice(&numbered(line.key.0, more, &line.text));
    }
    text
}

/// Returns a line with its number, and how often there were others like it.
fn numbered(number: u64, times: u64, text: &[u8]) -> Vec<u8> {
    let prefix = if times > 1 { format!("{number} ×{times}: ") } else { format!("{number}: ") };
    [prefix.as_bytes(), text, b"\n"].concat()
}

/// All that may be shown, what matters most first.
pub(super) fn by_worth<'a>(
    candidates: &'a BTreeMap<Key, Candidate>,
    counts: &Counts,
    room: usize,
) -> Vec<Line<'a>> {
    let most = |candidate: &Candidate| {
        let share = if candidate.score >= CERTAIN { SHARE_OF_ERRORS } else { SHARE };
        (room / share).clamp(SHORTEST, LONGEST)
    };
    let mut order: Vec<_> = candidates.iter().collect();
    // Of those that matter as much, the rarer come first: they say more.
    order.sort_by_cached_key(|(key, candidate)| {
        (Reverse(candidate.score), times_of(candidate, counts), **key)
    });
    order.into_iter().map(|(key, candidate)| Line::new(*key, candidate, most(candidate), counts)).collect()
}

/// Chooses what matters most of what fits.
pub(super) fn fill<'a>(by_worth: &'a [Line<'a>], counts: &Counts, lines: u64, room: usize) -> Layout<'a> {
    let mut best = Layout::new(Vec::new(), counts, lines);
    // Lines at the ends need no number: what that leaves is filled in further attempts.
    let (mut allowance, mut step) = (room, room);
    for _ in 0..ATTEMPTS {
        let layout = Layout::new(affordable(by_worth, allowance), counts, lines);
        if layout.len() <= room {
            step = room - layout.len();
            best = layout;
            if best.chosen.len() == by_worth.len() {
                break;
            }
        } else {
            allowance -= step;
            step /= 2;
        }
        if step < ENOUGH {
            break;
        }
        allowance += step;
    }
    best
}

fn affordable<'a>(lines: &'a [Line<'a>], mut allowance: usize) -> Vec<&'a Line<'a>> {
    let mut chosen = Vec::new();
    for line in lines {
        if let Some(rest) = allowance.checked_sub(line.cost) {
            allowance = rest;
            chosen.push(line);
        }
    }
    chosen
}
