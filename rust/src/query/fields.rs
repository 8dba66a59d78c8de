//! The fields that records have, as a tree, with something known of each.

use std::collections::HashMap;

use super::value::decode_text;

/// Fields that are told apart: data with a name for each record has as many as it has records.
const MOST: usize = 1000;
/// Levels whose fields are told apart.
pub(super) const DEEPEST: usize = 16;
/// Where the field stands that a whole record is.
pub(super) const RECORD: usize = 0;

/// Where a field came first: in which record, and as how many-eth of the fields that it had.
type Place = (u64, usize);

/// The names of a field from outside in; `None` for the elements of an array.
pub type Path = Vec<Option<Vec<u8>>>;

#[derive(Debug, Default)]
struct Node<T> {
    name: Vec<u8>,
    outer: usize,
    is_element: bool,
    first: Place,
    inner: HashMap<Vec<u8>, usize>,
    /// The field of the elements; 0 where there is none.
    elements: usize,
    /// The field that followed it in the record before, and probably does in this one.
    next: usize,
    known: T,
}

/// Fields, each known by its place in the order in which they were met. The first is the whole record.
#[derive(Debug, Default)]
pub(super) struct Fields<T> {
    nodes: Vec<Node<T>>,
    /// Whether there were more fields than are told apart.
    more: bool,
    key: Vec<u8>,
}

impl<T: Default> Fields<T> {
    /// Whether there were more fields than are told apart.
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Makes the field that all of a record is.
    pub fn root(&mut self) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
    }

    /// What is known of a field.
    pub fn get(&mut self, at: usize) -> Option<&mut T> {
        self.nodes.get_mut(at).map(|node| &mut node.known)
    }

    /// The fields in a field, elements left out.
    pub fn inner(&self, at: usize) -> impl Iterator<Item = usize> {
        self.nodes.get(at).into_iter().flat_map(|node| node.inner.values().copied())
    }

    /// Returns the field of this name in `outer`; `None` where there are too many.
    ///
    /// `before` is the field that came before it, or `outer`.
    pub fn find(
        &mut self,
        name: &[u8],
        escaped: bool,
        outer: usize,
        before: usize,
        first: Place,
    ) -> Option<usize> {
        let guess = self.nodes.get(before)?.next;
        if let Some(node) = self.nodes.get_mut(guess).filter(|node| guess > 0 && node.outer == outer)
            && !escaped
            && !node.is_element
            && node.name == name
        {
            node.first = node.first.min(first);
            return Some(guess);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        if escaped {
            decode_text(name, &mut key);
        } else {
            key.extend_from_slice(name);
        }
        let found = self.named(&key, outer, first);
        self.key = key;
        if let Some(found) = found {
            self.nodes.get_mut(before)?.next = found;
        }
        found
    }

    fn named(&mut self, name: &[u8], outer: usize, first: Place) -> Option<usize> {
        if let Some(at) = self.nodes.get(outer)?.inner.get(name).copied() {
            return self.seen_at(at, first);
        }
        if self.nodes.len() > MOST {
            self.more = true;
            return None;
        }
        let at = self.nodes.len();
        self.nodes.push(Node { name: name.to_vec(), outer, first, ..Node::default() });
        self.nodes.get_mut(outer)?.inner.insert(name.to_vec(), at);
        Some(at)
    }

    /// Returns the field of the elements of `outer`. There is one for each field at most, so that they are few.
    pub fn elements(&mut self, outer: usize, first: Place) -> Option<usize> {
        let found = self.nodes.get(outer)?.elements;
        if found > 0 {
            return self.seen_at(found, first);
        }
        let at = self.nodes.len();
        self.nodes.push(Node { outer, first, is_element: true, ..Node::default() });
        self.nodes.get_mut(outer)?.elements = at;
        Some(at)
    }

    /// Records may be looked at in another order than theirs.
    fn seen_at(&mut self, at: usize, first: Place) -> Option<usize> {
        let node = self.nodes.get_mut(at)?;
        node.first = node.first.min(first);
        Some(at)
    }

    /// Takes in what another has found; `merge` does that for one field.
    pub fn merge(&mut self, other: &Self, merge: impl Fn(&mut T, &T)) {
        self.root();
        self.more |= other.more;
        // An outer field comes before those in it.
        let mut ours = vec![None; other.nodes.len()];
        for (at, node) in other.nodes.iter().enumerate() {
            let mine = match ours.get(node.outer).copied().flatten() {
                _ if at == RECORD => Some(RECORD),
                None => None,
                Some(outer) if node.is_element => self.elements(outer, node.first),
                Some(outer) => self.named(&node.name, outer, node.first),
            };
            if let Some(slot) = ours.get_mut(at) {
                *slot = mine;
            }
            if let Some(mine) = mine.and_then(|mine| self.get(mine)) {
                merge(mine, &node.known);
            }
        }
    }

    /// All fields, in the order in which they came first; the whole record is the first.
    pub fn described(&self) -> impl Iterator<Item = (Path, &T)> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|at| self.nodes.get(*at).map(|node| node.first));
        order.into_iter().filter_map(|at| Some((self.path(at), &self.nodes.get(at)?.known)))
    }

    fn path(&self, mut at: usize) -> Path {
        let mut names = Vec::new();
        while let Some(node) = self.nodes.get(at).filter(|_| at != RECORD) {
            names.push((!node.is_element).then(|| node.name.clone()));
            at = node.outer;
        }
        names.reverse();
        names
    }
}
