//! The lines that may be shown, within a bound: where there are too many, those go that matter least, of these the
//! last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The number of a line, and which of the things that it showed one after the other.
pub(super) type Key = (u64, usize);

/// A line that may be shown.
#[derive(Clone)]
pub(super) struct Candidate {
    /// How much it matters.
    pub score: u64,
    /// The line, clipped around what matters.
    pub text: Vec<u8>,
    /// Where that is.
    pub at: usize,
    /// Whether this is what a terminal shows of the line at the end.
    pub stands: bool,
    /// Whether it is all of that.
    pub whole: bool,
    /// What it has in common with lines of its sort, where these are counted.
    pub template: Option<Vec<u8>>,
    /// What to show where not all of it fits, if that is not just a clip.
    pub brief: Option<Vec<u8>>,
}

impl Candidate {
    /// How many bytes are kept.
    fn size(&self) -> usize {
        self.text.len() + self.brief.as_ref().map_or(0, Vec::len)
    }
}

/// Keeps the candidates that matter most.
#[derive(Clone)]
pub(super) struct Pool {
    bound: usize,
    bytes: usize,
    order: BTreeSet<(u64, Reverse<Key>)>,
    /// What is kept.
    pub lines: BTreeMap<Key, Candidate>,
}

impl Pool {
    /// A pool for `bound` bytes of lines.
    pub fn new(bound: usize) -> Self {
        Self { bound, bytes: 0, order: BTreeSet::new(), lines: BTreeMap::new() }
    }

    /// Takes a candidate in; of two of the same line, the one that matters more.
    pub fn offer(&mut self, key: Key, candidate: Candidate) {
        if let Some(known) = self.lines.get(&key) {
            if candidate.score <= known.score {
                return;
            }
            self.bytes -= known.size();
            self.order.remove(&(known.score, Reverse(key)));
        }
        self.bytes += candidate.size();
        self.order.insert((candidate.score, Reverse(key)));
        self.lines.insert(key, candidate);
        while self.bytes > self.bound {
            let Some((_, Reverse(worst))) = self.order.pop_first() else { break };
            self.bytes -= self.lines.remove(&worst).map_or(0, |dropped| dropped.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_what_matters_least_goes_first() {
        let mut pool = Pool::new(3);
        for (number, score) in [(1, 5), (2, 5), (3, 9), (1, 4), (4, 5)] {
            let (template, brief) = (None, None);
            let candidate =
                Candidate { score, text: vec![b'x'], at: 0, stands: true, whole: true, template, brief };
            pool.offer((number, 0), candidate);
        }
        assert_eq!(pool.lines.keys().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
