//! Looking for many texts at once.

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

/// Texts that one vector search looks for at full speed.
const GROUP: usize = 48;

/// Finds the first of many texts.
#[derive(Debug)]
pub struct Finder {
    /// Each with the number of its first text.
    groups: Vec<(usize, Search)>,
}

#[derive(Debug)]
enum Search {
    /// By vector instructions: 3 GB/s and more. (The automaton's own choice of bytes to look for suits logs badly.)
    Vector(packed::Searcher),
    /// Where the machine has none. Not the fastest form: that takes a kilobyte for each byte of a text.
    Automaton(AhoCorasick),
}

impl Finder {
    /// Looks for `texts`, of which none is empty. Of those that begin at one place it finds the one named first.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(texts: &[Vec<u8>]) -> Result<Self, String> {
        let groups = texts.chunks(GROUP).enumerate().map(|(number, texts)| {
            let vector = packed::Config::new().builder().extend(texts).build();
            let search = match vector {
                Some(searcher) => Search::Vector(searcher),
                None => Search::Automaton(
                    AhoCorasick::builder()
                        .match_kind(MatchKind::LeftmostFirst)
                        .kind(Some(AhoCorasickKind::ContiguousNFA))
                        .prefilter(false)
                        .build(texts)
                        .map_err(|error| format!("too many texts: {error}"))?,
                ),
            };
            Ok((number * GROUP, search))
        });
        Ok(Self { groups: groups.collect::<Result<_, String>>()? })
    }

    /// Calls `found` with each place at or after `from` where a text begins, where it ends, and its number: group by
    /// group, in each from left to right, until `found` says that no more are wanted. Each byte may begin one.
    pub fn each(&self, data: &[u8], from: usize, mut found: impl FnMut(usize, usize, usize) -> bool) {
        for (first, search) in &self.groups {
            let mut at = from;
            while at < data.len() {
                let next = match search {
                    Search::Vector(searcher) => searcher.find_in(data, (at..data.len()).into()),
                    Search::Automaton(automaton) => automaton.find(Input::new(data).range(at..)),
                };
                let Some(next) = next else { break };
                if !found(next.start(), next.end(), first + next.pattern().as_usize()) {
                    break;
                }
                at = next.start() + 1;
            }
        }
    }
}
