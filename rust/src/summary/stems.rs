//! Finding fast the lines of a block that may have a signal: most blocks have none, and most bytes are looked at once.

use std::sync::LazyLock;

use super::block::Block;
use super::signals::STEMS;
use super::terminal::PIECE;

/// Bytes of a stem that are looked for.
const GRAM: usize = 4;
/// Makes capitals small (and other bytes others, which costs a look at a line and no more).
const SMALL: u32 = 0x2020_2020;
/// A bit for each of these many hashes: the table fits into the processor's first cache.
const BITS: u32 = 15;

/// Which hashes of four bytes a stem begins with.
static BEGINNINGS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut table = vec![0; 1 << (BITS - 6)];
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

/// Returns the indices of the lines that may have a signal.
pub(super) fn lines_of(block: &Block<'_>) -> Vec<usize> {
    let text = block.text();
    let table: &[u64] = &BEGINNINGS;
    let mut found = Vec::new();
    let mut at = 0;
    let mut next = 0;
    while let Some(hit) = text[at..].windows(GRAM).position(|gram| {
        let hash = gram.first_chunk().map_or(0, |gram| hash(*gram));
        table.get(hash >> 6).is_some_and(|bits| bits & (1 << (hash & 63)) != 0)
    }) {
        // A stem may begin with the newline before its line.
        let place = at + hit + usize::from(text[at + hit] == b'\n');
        let (index, end) = block.index_at(next, place);
        if index >= block.len() {
            break;
        }
        found.push(index);
        next = index + 1;
        at = end.min(text.len());
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
