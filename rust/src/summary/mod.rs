//! A summary of a text that streams by, for an agent that debugs: the lines that matter, with their numbers, between the
//! first and the last. Nothing is made up: every line shown is one of the text as a terminal shows it, perhaps
//! clipped. The same text gives the same summary, however it is fed.
//!
//! - The text is taken in *blocks* of complete lines. In each, the lines with a word of the tables are *rated*
//!   ([`rating`]): an error, a failed test, a tally, a warning. At the beginning of a text every line is looked at, for
//!   what linters find, and for sorts of lines that are rare.
//! - The first line of its sort matters most, each further one less: a *template* is what lines of one sort have in
//!   common. The lines around an error matter with it: its file, its frames, what was expected ([`context`]).
//! - What may be shown is kept in a [`pool`] within a bound.
//! - At the end the first lines, the last and those of the pool compete for the room ([`layout`]).

mod block;
mod context;
mod layout;
mod pool;
mod rating;
mod record;
mod signals;
mod stems;
mod terminal;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use self::block::{BLOCK, Block, Next, Row, end_of_block};
use self::context::Trail;
use self::layout::Counts;
use self::pool::{Candidate, Key, Pool};
use self::rating::{
    Rating, has_place, is_finding, is_fine, is_frame, is_library, place_of, put_kind, rate, subject, template,
};
use self::record::brief;
use self::signals::Matters;
use self::terminal::{clip, plain};
use crate::detect::{self, ContentType};
use crate::json;
use crate::lines::{count_newlines, is_blank, line_count};
use crate::truncate::{Ends, count, cut_head, cut_tail};

/// Bytes from the beginning in which every line is looked at: longer than most outputs, and soon done.
const LOOKED_AT: u64 = 2 * 1024 * 1024;
/// Sorts of lines that are counted; more can't be shown anyway.
const KINDS: usize = 4096;
/// Bytes of a line that are kept, and of one by which it is known again.
const CLIP: usize = 500;
const ALIKE_WITHIN: usize = 400;
/// Bytes of the beginning that are looked at for JSON records.
const SAMPLE: usize = 64 * 1024;
/// Bytes of lines kept beyond the limit: what will be shown is known only at the end.
const SPARE: usize = 64 * 1024;

/// How much a line matters that counts errors.
const WORTH_OF_TALLY: u64 = 930;
/// The same of one that is rare, for each halving of the share that rare lines have.
const WORTH_OF_RARITY: u64 = 40;
/// Lines of one sort that are rare.
const RARE: u64 = 3;
/// What matters less is not kept.
const LEAST: u64 = 8;
/// Errors of one sort, and like one another, whose neighbours are looked at.
const FOLLOWED: u64 = 20;
const FOLLOWED_ALIKE: u64 = 8;
/// Lines within which the next frame is of the same stack.
const SAME_STACK: u64 = 4;

fn worth(matters: Matters) -> u64 {
    match matters {
        Matters::Fatal => 1000,
        Matters::Failed => 960,
        Matters::Error => 880,
        Matters::Finding => 520,
        Matters::Maybe => 430,
        Matters::Warning => 230,
        Matters::Mention => 60,
        Matters::Nothing => 0,
    }
}

/// A line that was seen.
#[derive(Clone)]
struct Seen {
    key: Key,
    text: Vec<u8>,
    whole: bool,
}

impl Seen {
    fn new(row: Row<'_>) -> Self {
        Self { key: row.key, text: row.text.to_vec(), whole: row.whole }
    }

    fn row(&self) -> Row<'_> {
        Row { key: self.key, text: &self.text, stands: true, whole: self.whole }
    }
}

/// What is known of all lines of a kind.
#[derive(Clone)]
struct Rated {
    rating: Rating,
    is_frame: bool,
    is_finding: bool,
    template: Arc<[u8]>,
    /// The template with what stands in quotes, if something does.
    about: Option<Arc<[u8]>>,
}

/// How many lines have a template, and the first of them.
#[derive(Clone)]
struct Sort {
    first: Seen,
    count: u64,
}

/// What stands before the marker and after it, and how much of the text that is.
pub struct Parts {
    /// Before the marker.
    pub first: Vec<u8>,
    /// After it.
    pub last: Vec<u8>,
    /// Bytes of the text in them.
    pub shown_bytes: u64,
    /// Lines of the text in them, each whole.
    pub shown_lines: u64,
}

/// Keeps the lines that matter, within a bound.
#[derive(Clone)]
pub struct Summary {
    bound: usize,
    buffer: Vec<u8>,
    sample: Vec<u8>,
    is_terminated: bool,
    taken: u64,
    next: Next,
    pool: Pool,
    templates: Counts,
    alike: Counts,
    /// What errors are about, by their templates; and how many things that is.
    subjects: HashSet<Arc<[u8]>>,
    abouts: Counts,
    trail: Option<Trail>,
    last_error: u64,
    last_frame: Option<u64>,
    first: Vec<Seen>,
    first_bytes: usize,
    last: Vec<Seen>,
    sorts: HashMap<Vec<u8>, Sort>,
    looked_at: u64,
    /// Remembers what would be found out again.
    rated: HashMap<Vec<u8>, Rated>,
    /// The kind of the line that was rated last.
    kind: Vec<u8>,
}

impl Summary {
    /// A summary of nothing yet, for a limit of `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            bound: max_bytes,
            buffer: Vec::new(),
            sample: Vec::new(),
            is_terminated: false,
            taken: 0,
            next: Next::default(),
            pool: Pool::new(max_bytes.saturating_add(SPARE)),
            templates: HashMap::new(),
            alike: HashMap::new(),
            subjects: HashSet::new(),
            abouts: HashMap::new(),
            trail: None,
            last_error: 0,
            last_frame: None,
            first: Vec::new(),
            first_bytes: 0,
            last: Vec::new(),
            sorts: HashMap::new(),
            looked_at: 0,
            rated: HashMap::new(),
            kind: Vec::new(),
        }
    }

    /// Takes in the next part of the text.
    pub fn feed(&mut self, data: &[u8]) {
        let room = SAMPLE.saturating_sub(self.sample.len()).min(data.len());
        self.sample.extend_from_slice(&data[..room]);
        self.is_terminated = data.last().map_or(self.is_terminated, |byte| *byte == b'\n');
        let mut rest = data;
        // What a block is depends on the text alone, however it is fed.
        while self.buffer.len() + rest.len() >= BLOCK {
            if self.buffer.is_empty() {
                let (block, later) = rest.split_at(end_of_block(rest));
                self.take_block(block, false);
                rest = later;
                continue;
            }
            let (now, later) = rest.split_at(BLOCK.saturating_sub(self.buffer.len()).min(rest.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            let end = end_of_block(&self.buffer);
            let mut buffer = std::mem::take(&mut self.buffer);
            self.take_block(&buffer[..end], false);
            buffer.drain(..end);
            self.buffer = buffer;
        }
        self.buffer.extend_from_slice(rest);
    }

    fn take_block(&mut self, data: &[u8], is_last: bool) {
        let text = plain(data);
        let block = Block::new(&text, std::mem::take(&mut self.next), is_last);
        self.keep_ends(&block);
        let is_looked_at = self.taken < LOOKED_AT;
        self.taken += data.len() as u64;
        let mut done = 0;
        if is_looked_at {
            self.look_at(&block);
            for index in 0..block.len() {
                self.take_line(&block, index, true);
            }
            done = block.len();
        } else {
            for index in stems::lines_of(&block) {
                self.follow(&block, done, index);
                self.take_line(&block, index, false);
                done = index + 1;
            }
        }
        self.follow(&block, done, block.ended);
        self.next = block.next();
    }

    /// Keeps the first lines, and the last so far.
    fn keep_ends(&mut self, block: &Block<'_>) {
        for index in 0..block.ended {
            if self.first_bytes > self.bound {
                break;
            }
            let row = block.row(index);
            self.first_bytes += row.text.len() + 1;
            self.first.push(Seen::new(row));
        }
        let mut used = 0;
        let mut start = block.ended;
        while start > 0 && used <= self.bound {
            start -= 1;
            used += block.row(start).text.len() + 1;
        }
        let mut kept = self.last.len();
        while kept > 0 && used <= self.bound {
            kept -= 1;
            used += self.last[kept].text.len() + 1;
        }
        self.last.drain(..kept);
        self.last.extend((start..block.ended).map(|index| Seen::new(block.row(index))));
    }

    /// Counts the lines of each sort.
    fn look_at(&mut self, block: &Block<'_>) {
        for row in (0..block.ended).map(|index| block.row(index)) {
            if row.text.iter().all(|byte| is_blank(*byte)) {
                continue;
            }
            self.looked_at += 1;
            let sort = self.rated_line(row.text).template;
            if let Some(known) = self.sorts.get_mut(&*sort) {
                known.count += 1;
            } else if self.sorts.len() < KINDS {
                let text = &row.text[..cut_head(row.text, 2 * CLIP)];
                let whole = row.whole && text.len() == row.text.len();
                self.sorts
                    .insert(sort.to_vec(), Sort { first: Seen::new(Row { text, whole, ..row }), count: 1 });
            }
        }
    }

    fn take_line(&mut self, block: &Block<'_>, index: usize, is_looked_at: bool) {
        if let Some(row) = block.only_part(index) {
            self.take(block, index, row, is_looked_at);
            return;
        }
        for row in block.parts(index) {
            self.take(block, index, row, is_looked_at);
        }
    }

    /// What is known of lines like this one; its kind is kept.
    fn rated_line(&mut self, line: &[u8]) -> Rated {
        let mut kind = std::mem::take(&mut self.kind);
        put_kind(line, &mut kind);
        let known = self.rated(&kind);
        self.kind = kind;
        known
    }

    fn rated(&mut self, kind: &[u8]) -> Rated {
        if let Some(known) = self.rated.get(kind) {
            return known.clone();
        }
        let template = template(kind);
        let about = Some(subject(kind)).filter(|subject| !subject.is_empty());
        let known = Rated {
            rating: rate(kind),
            is_frame: is_frame(kind),
            is_finding: is_finding(kind),
            about: about.map(|about| [&template, &b"\n"[..], about].concat().into()),
            template: template.into(),
        };
        if kind.len() <= ALIKE_WITHIN {
            if self.rated.len() >= KINDS {
                self.rated.clear();
            }
            self.rated.insert(kind.to_vec(), known.clone());
        }
        known
    }

    fn take(&mut self, block: &Block<'_>, index: usize, row: Row<'_>, is_looked_at: bool) {
        let mut rated = self.rated_line(row.text);
        let mut matters = rated.rating.matters;
        if rated.is_frame {
            matters = Matters::Nothing;
            if self.trail.is_none() && self.last_frame.is_none_or(|last| row.key.0 > last + SAME_STACK) {
                self.blame(block, index);
            }
            self.last_frame = Some(row.key.0);
        } else if matches!(matters, Matters::Nothing | Matters::Maybe) && is_looked_at && rated.is_finding {
            if matters == Matters::Nothing && self.is_place_of_error(row) {
                return;
            }
            matters = Matters::Finding;
        }
        let followed = if matters < Matters::Finding { self.step(row) } else { 0 };
        if matters == Matters::Nothing {
            self.offer(row, 0, followed, None);
            return;
        }
        rated.rating.matters = matters;
        let score = self.score(block, (index, 0), row, &rated);
        self.offer(row, rated.rating.at, score.max(followed), Some(&rated.template));
    }

    /// Whether what looks like a finding is a place of the error before it; then it is offered as that.
    fn is_place_of_error(&mut self, row: Row<'_>) -> bool {
        let followed = self.step(row);
        let is_place =
            followed >= worth(Matters::Finding) || followed > 0 && is_library(&row.text.to_ascii_lowercase());
        if is_place {
            let alike = count_one(&mut self.alike, row.text.get(..ALIKE_WITHIN).unwrap_or(row.text));
            self.offer(row, 0, if alike == 1 { followed } else { followed / (2 * alike) }, None);
        }
        is_place
    }

    /// Returns how much a line with a signal matters among those like it; begins to follow an error. The line is `at.1`
    /// lines before the one of the block at `at.0`.
    fn score(&mut self, block: &Block<'_>, at: (usize, usize), row: Row<'_>, rated: &Rated) -> u64 {
        let Rating { matters, is_tally, .. } = rated.rating;
        let worth = worth(matters).max(if is_tally { WORTH_OF_TALLY } else { 0 });
        let rank = self.rank(rated);
        // Of what a linter found, one of each sort comes first.
        let fresh = if matters == Matters::Finding { worth * 2 / (1 + rank) } else { worth * 5 / (4 + rank) };
        if matters >= Matters::Finding {
            self.trail = None;
        }
        if fresh < LEAST {
            // Nobody will ask how many were like this one.
            self.last_error = if matters >= Matters::Finding { row.key.0 } else { self.last_error };
            return fresh;
        }
        // Names of tests, and places, that differ in digits are different things.
        let is_exact = matters == Matters::Failed
            || is_tally
            || matters >= Matters::Error && has_place(&row.text.to_ascii_lowercase());
        let known_by = if is_exact { row.text } else { &self.kind };
        let alike = count_one(&mut self.alike, known_by.get(..ALIKE_WITHIN).unwrap_or(known_by));
        let score = if alike == 1 { fresh } else { fresh / (2 * alike) };
        if matters < Matters::Finding {
            return score;
        }
        if rank <= FOLLOWED && alike <= FOLLOWED_ALIKE {
            if alike == 1 {
                self.look_back(block, at, score);
            }
            self.trail = Some(Trail::new(score, fresh));
        }
        self.last_error = row.key.0;
        score
    }

    /// Counts a line, and returns which of its sort it is; of what errors are about, each is counted once.
    fn rank(&mut self, rated: &Rated) -> u64 {
        let rank = count_one(&mut self.templates, &rated.template);
        let about = rated.about.as_ref().filter(|_| rated.rating.matters >= Matters::Error);
        if let Some(about) = about.filter(|about| !self.subjects.contains(*about))
            && self.subjects.len() < KINDS
        {
            self.subjects.insert(Arc::clone(about));
            return count_one(&mut self.abouts, &rated.template);
        }
        rank
    }

    fn look_back(&mut self, block: &Block<'_>, (index, back): (usize, usize), score: u64) {
        for (distance, lines) in (1..=context::BEFORE).zip(1..) {
            if let Some(row) = self.row_before(block, index, back + lines) {
                self.offer(row, 0, context::before(score, distance, row.text), None);
            }
        }
    }

    /// Returns a line before an error, unless there was another error meanwhile.
    fn row_before<'a>(&self, block: &'a Block<'_>, index: usize, back: usize) -> Option<Row<'a>> {
        let is_new = block.number(index, back) > self.last_error;
        let row = block.row_before(index, back).filter(|_| is_new)?;
        (!row.text.iter().all(|byte| is_blank(*byte))).then_some(row)
    }

    /// Takes the line before a stack for an error: it says what happened, in whatever words.
    fn blame(&mut self, block: &Block<'_>, index: usize) {
        let Some(row) = self.row_before(block, index, 1) else { return };
        let mut rated = self.rated_line(row.text);
        rated.rating.matters = Matters::Error;
        let score = self.score(block, (index, 1), row, &rated);
        self.offer(row, 0, score, Some(&rated.template));
    }

    /// Follows an error through the lines from `start` to before `end`.
    fn follow(&mut self, block: &Block<'_>, start: usize, end: usize) {
        for index in start..end.min(block.ended) {
            if self.trail.is_none() {
                break;
            }
            let row = block.row(index);
            let score = self.step(row);
            self.offer(row, 0, score, None);
        }
    }

    /// Returns how much a line matters for what it follows.
    fn step(&mut self, row: Row<'_>) -> u64 {
        let Some(trail) = self.trail.as_mut().filter(|_| row.stands) else { return 0 };
        let score = trail.follow(row.text);
        if trail.is_over {
            self.trail = None;
        }
        score
    }

    fn offer(&mut self, row: Row<'_>, at: usize, score: u64, sort: Option<&[u8]>) {
        if score >= LEAST {
            self.pool.offer(row.key, candidate(row, at, score, sort.map(<[u8]>::to_vec)));
        }
    }

    /// The summary of the text so far, in `room` bytes. `ends` are those of the same text.
    #[must_use]
    pub fn parts(&self, ends: Ends<'_>, room: usize) -> Parts {
        let facts = self.facts(ends.lines, room / 8);
        let room = room - facts.len();
        let mut done = self.clone();
        if !done.buffer.is_empty() {
            let buffer = std::mem::take(&mut done.buffer);
            done.take_block(&buffer, true);
        }
        if ends.lines == 1 {
            return done.one_line(ends, room);
        }
        let candidates = done.candidates(room);
        let lines = layout::by_worth(&candidates, &done.templates, room);
        let filled = layout::fill(&lines, &done.templates, ends.lines, room);
        if filled.chosen.is_empty() {
            return by_bytes(&facts, ends, room);
        }
        let shown_lines = filled.chosen.iter().filter(|line| line.whole).count() as u64;
        let mut shown_bytes = filled.chosen.iter().map(|line| line.shown as u64).sum::<u64>() + shown_lines;
        let mut last = filled.last;
        if !self.is_terminated && last.pop().is_some() {
            shown_bytes -= u64::from(filled.chosen.last().is_some_and(|line| line.whole));
        }
        let first = [facts, filled.first, filled.found].concat();
        Parts { first, last, shown_bytes, shown_lines }
    }

    /// Both ends of a line, and what matters in it.
    fn one_line(mut self, ends: Ends<'_>, room: usize) -> Parts {
        self.pool.lines.retain(|_, candidate| !candidate.stands);
        let counts = Counts::new();
        let lines = layout::by_worth(&self.pool.lines, &counts, room / 3);
        let filled = layout::fill(&lines, &counts, 1, room / 3);
        let mut parts = by_bytes(b"", ends, room - filled.found.len());
        if !filled.found.is_empty() && !parts.first.is_empty() {
            parts = by_bytes(b"", ends, room - filled.found.len() - 1);
            parts.first.push(b'\n');
        }
        parts.first.extend_from_slice(&filled.found);
        parts.shown_bytes += filled.chosen.iter().map(|line| line.shown as u64).sum::<u64>();
        parts
    }

    /// The lines that may be shown: those with signals, the rare ones, and those at the ends.
    fn candidates(&self, room: usize) -> BTreeMap<Key, Candidate> {
        let mut found = self.pool.lines.clone();
        self.add_rare(&mut found);
        add_end(&mut found, self.first.iter(), layout::FIRST, room);
        add_end(&mut found, self.last.iter().rev(), layout::LAST, room);
        found
    }

    /// Adds the first line of each sort that is rare: the rarer these are among all, the more each says.
    fn add_rare(&self, found: &mut BTreeMap<Key, Candidate>) {
        let is_few = |sort: &&Sort| sort.count <= RARE && !is_fine(&sort.first.text.to_ascii_lowercase());
        let few = || self.sorts.values().filter(is_few);
        let lines: u64 = few().map(|sort| sort.count).sum();
        let Some(bits) = self.looked_at.checked_div(lines).and_then(u64::checked_ilog2) else { return };
        for sort in few() {
            add(found, sort.first.row(), WORTH_OF_RARITY * u64::from(bits) / sort.count);
        }
    }

    /// For NDJSON: how many records there are, and what fields the first ones have.
    fn facts(&self, lines: u64, most: usize) -> Vec<u8> {
        let last = self.sample.iter().copied().rfind(|byte| !is_blank(*byte));
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
}

/// Counts one more; where no more can be told apart, each is a new one.
fn count_one(counts: &mut Counts, key: &[u8]) -> u64 {
    if let Some(seen) = counts.get_mut(key) {
        *seen += 1;
        return *seen;
    }
    if counts.len() < KINDS {
        counts.insert(key.to_vec(), 1);
    }
    1
}

fn add_end<'a>(
    found: &mut BTreeMap<Key, Candidate>,
    seen: impl Iterator<Item = &'a Seen>,
    points: &[(u64, u64)],
    room: usize,
) {
    let mut used = 0;
    for row in seen.map(Seen::row) {
        if used > room {
            break;
        }
        add(found, row, layout::worth_at(points, (used * 1000 / room.max(1)) as u64));
        used += row.text.len() + 1;
    }
}

/// Adds a line, or lets it matter more.
fn add(found: &mut BTreeMap<Key, Candidate>, row: Row<'_>, score: u64) {
    if let Some(known) = found.get_mut(&row.key) {
        known.score = known.score.max(score);
    } else if score > 0 {
        found.insert(row.key, candidate(row, 0, score, None));
    }
}

fn candidate(row: Row<'_>, at: usize, score: u64, template: Option<Vec<u8>>) -> Candidate {
    let place = place_of(row.text, at);
    let clipped = clip(row.text, place, CLIP);
    let whole = row.whole && row.text.len() <= CLIP;
    let brief = brief(row.text, place);
    Candidate { score, text: clipped.text, at: clipped.at, stands: row.stands, whole, template, brief }
}

/// Both ends: where no line fits, they tell more than nothing.
fn by_bytes(facts: &[u8], ends: Ends<'_>, room: usize) -> Parts {
    let first = plain(&ends.head[..cut_head(ends.head, room / 2)]);
    let from = ends.tail.len() - cut_tail(ends.tail, room - room / 2);
    let last = plain(&ends.tail[from..]);
    let shown_lines = count_newlines(&first) + line_count(count_newlines(&last), last.last().copied());
    let shown_bytes = (first.len() + last.len()) as u64;
    Parts { first: [facts, &first].concat(), last: last.into_owned(), shown_bytes, shown_lines }
}
