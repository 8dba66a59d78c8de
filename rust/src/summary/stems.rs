//! Finding fast the lines of a block that may have a signal: most blocks have none, and most bytes are looked at once.

use std::sync::LazyLock;

use super::block::Block;
use super::signals::STEMS;
use super::terminal::PIECE;

/// Bytes of a stem that are looked for. A stem is as long or longer.
const GRAM: usize = 4;
/// Every second place is looked at, so a stem begins at one, or right before one.
const STEP: usize = 2;
/// Makes capitals small (and other bytes others, which costs a look at a place and no more).
const SMALL: u32 = 0x2020_2020;
/// A bit for each of these many hashes: so many that few are hit by chance, and the table fits into the processor's
/// first cache.
const BITS: u32 = 17;
const WORDS: usize = 1 << (BITS - 6);
/// Bytes that are looked at together.
const STRIDE: usize = 32;
/// Lists by which the stems are told apart: few have more than one.
const LISTS: u32 = 9;

/// What is looked for.
struct Stems {
    /// Which hashes of four bytes there are where a stem may be.
    hit: Box<[u64; WORDS]>,
    /// The stems, by the hash of their beginning.
    by_beginning: Vec<Vec<&'static [u8]>>,
}

static TABLE: LazyLock<Stems> = LazyLock::new(|| {
    let mut hit = Box::new([0; WORDS]);
    let mut by_beginning = vec![Vec::new(); 1 << LISTS];
    let mut add = |gram: [u8; GRAM]| {
        let hash = hash(gram, BITS);
        hit[hash >> 6] |= 1 << (hash & 63);
    };
    for stem in STEMS.iter().map(|stem| stem.as_bytes()) {
        let Some(beginning) = stem.first_chunk::<GRAM>() else { continue };
        by_beginning[hash(*beginning, LISTS)].push(stem);
        add(*beginning);
        let [first, second, third, _] = *beginning;
        match stem.get(1..).and_then(<[u8]>::first_chunk) {
            Some(second) => add(*second),
            // What stands before it may be anything.
            None => (0..=u8::MAX).for_each(|before| add([before, first, second, third])),
        }
    }
    Stems { hit, by_beginning }
});

fn hash(gram: [u8; GRAM], bits: u32) -> usize {
    let small = u32::from_le_bytes(gram) | SMALL;
    (small.wrapping_mul(0x9E37_79B1) >> (32 - bits)) as usize
}

/// Whether a stem begins at a place.
fn begins(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let Some(gram) = rest.first_chunk::<GRAM>() else { return false };
    let is_here = |stem: &&[u8]| rest.get(..stem.len()).is_some_and(|text| text.eq_ignore_ascii_case(stem));
    TABLE.by_beginning[hash(*gram, LISTS)].iter().any(is_here)
}

/// Returns the place of the first stem from `from` on.
fn find(text: &[u8], from: usize) -> Option<usize> {
    let hit: &[u64; WORDS] = &TABLE.hit;
    let bit = |gram: &[u8]| {
        let hash = gram.first_chunk().map_or(0, |gram| hash(*gram, BITS));
        hit[hash >> 6] >> (hash & 63) & 1
    };
    let mut at = from;
    // Many at a time, as there is hardly ever one among them: that takes half as long.
    while let Some(some) = text.get(at..at + STRIDE + GRAM - STEP) {
        if some.windows(GRAM).step_by(STEP).fold(0, |any, gram| any | bit(gram)) != 0 {
            for place in (at..at + STRIDE).step_by(STEP) {
                let is_hit = text.get(place..place + GRAM).is_some_and(|gram| bit(gram) != 0);
                if let Some(found) = is_hit.then(|| around(text, place, from)).flatten() {
                    return Some(found);
                }
            }
        }
        at += STRIDE;
    }
    (at.saturating_sub(1).max(from)..text.len()).find(|at| begins(text, *at))
}

/// Returns the place of a stem that begins right before a place, there, or right after it.
fn around(text: &[u8], place: usize, from: usize) -> Option<usize> {
    (place.saturating_sub(1).max(from)..=place + 1).find(|at| begins(text, *at))
}

/// Returns the indices of the lines that may have a signal.
pub(super) fn lines_of(block: &Block<'_>) -> Vec<usize> {
    let text = block.text();
    let mut found = Vec::new();
    let mut at = 0;
    let mut next = 0;
    while let Some(hit) = find(text, at) {
        // A stem may begin with the newline before its line.
        let place = hit + usize::from(text.get(hit) == Some(&b'\n'));
        let (index, end) = block.index_at(next, place);
        if index >= block.len() {
            break;
        }
        found.push(index);
        next = index + 1;
        at = end;
    }
    let special = |index: &usize| {
        let line = block.line(*index);
        line.len() > PIECE || memchr::memchr(b'\r', line).is_some()
    };
    // Lines that were written over, and long ones, are looked at in parts.
    if memchr::memchr(b'\r', text).is_some() || block.has_long_lines(PIECE) {
        found.extend((0..block.len()).filter(special));
    }
    found.push(0);
    found.sort_unstable();
    found.dedup();
    found.retain(|index| *index < block.len());
    found
}

#[cfg(test)]
mod tests {
    use super::super::block::Next;
    use super::*;

    #[test]
    fn a_stem_is_found_wherever_it_stands() {
        for stem in STEMS {
            for before in 0..70 {
                let text = format!("{}\nq{}{stem}z", "x ".repeat(before), "-".repeat(before % 3));
                let text = text.replace("q\n", "\n");
                let block = Block::new(text.as_bytes(), Next::default(), true);
                let last = block.len() - 1;
                assert!(lines_of(&block).contains(&last), "{stem:?} after {before}");
            }
        }
    }

    #[test]
    fn what_only_begins_like_a_stem_is_none() {
        let text = b"\nsession accepted by memory of the presentation, completed\nfil  file at\n";
        assert_eq!(find(text, 0), None);
    }
}
