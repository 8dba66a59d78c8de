//! Finding fast the lines of a block that may have a signal: most blocks have none, and most bytes are looked at once.

use std::sync::LazyLock;

use super::block::Block;
use super::signals::STEMS;
use super::terminal::PIECE;

/// Bytes of a stem that are looked for.
const GRAM: usize = 4;
/// Makes capitals small (and other bytes others, which costs a look at a line and no more).
const SMALL: u32 = 0x2020_2020;
/// A bit for each of these many hashes: so many that few are hit by chance, and the table fits into the processor's
/// first cache.
const BITS: u32 = 17;
const WORDS: usize = 1 << (BITS - 6);
/// Places that are looked at together.
const STRIDE: usize = 16;

/// Which hashes of four bytes a stem begins with.
static BEGINNINGS: LazyLock<Box<[u64; WORDS]>> = LazyLock::new(|| {
    let mut table = Box::new([0; WORDS]);
    for stem in STEMS {
        if let Some(gram) = stem.as_bytes().first_chunk::<GRAM>() {
            let hash = hash(*gram);
            table[hash >> 6] |= 1 << (hash & 63);
        }
    }
    table
});

fn hash(gram: [u8; GRAM]) -> usize {
    let small = u32::from_le_bytes(gram) | SMALL;
    (small.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize
}

/// Returns the place of the first four bytes, from `from` on, with which a stem may begin.
fn find(text: &[u8], from: usize) -> Option<usize> {
    let table: &[u64; WORDS] = &BEGINNINGS;
    let bit = |gram: &[u8]| {
        let hash = gram.first_chunk().map_or(0, |gram| hash(*gram));
        table[hash >> 6] >> (hash & 63) & 1
    };
    let mut at = from;
    // Many at a time, as there is hardly ever one among them: that takes half as long.
    while let Some(some) = text.get(at..at + STRIDE + GRAM - 1) {
        if some.windows(GRAM).fold(0, |any, gram| any | bit(gram)) != 0 {
            break;
        }
        at += STRIDE;
    }
    let rest = text.get(at..).unwrap_or_default();
    rest.windows(GRAM).position(|gram| bit(gram) != 0).map(|hit| at + hit)
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
