//! What records have: their fields, with types, and what values they have.

use std::collections::HashMap;

use super::decimal::Decimal;
use super::value::Value;
use super::walk::{skip_blank, skip_value, string_end};

/// Fields that are told apart: data with a name for each record has as many as it has records.
pub(super) const MOST_FIELDS: usize = 1000;
/// Levels of objects whose fields are told apart.
pub(super) const DEEPEST: usize = 16;
/// Examples of a field's values.
const EXAMPLES: usize = 3;
/// Bytes that are kept of a value: more than anybody wants to see.
const MOST_KEPT: usize = 256;

/// Different values that are counted one by one.
const EXACT: usize = 256;
/// Bits of a hash that choose a register.
const BITS: u32 = 12;

/// Types of values, in the order of [`Shape::types`].
pub const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "object", "array"];

/// How many different values there are.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    /// Their hashes, in order, as long as they are few.
    pub few: Vec<u64>,
    /// After that, the registers of a `HyperLogLog` sketch.
    pub registers: Vec<u8>,
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        if !self.registers.is_empty() {
            // There are as many registers as these bits have values.
            let at = (hash >> (u64::BITS - BITS)) as usize;
            let rank = (hash << BITS | 1 << (BITS - 1)).leading_zeros() + 1;
            if let (Some(register), Ok(rank)) = (self.registers.get_mut(at), u8::try_from(rank)) {
                *register = rank.max(*register);
            }
        } else if let Err(at) = self.few.binary_search(&hash) {
            self.few.insert(at, hash);
            if self.few.len() > EXACT {
                self.registers = vec![0; 1 << BITS];
                for hash in std::mem::take(&mut self.few) {
                    self.add(hash);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        if !other.registers.is_empty() {
            if self.registers.is_empty() {
                self.registers = vec![0; 1 << BITS];
            }
            for (ours, theirs) in self.registers.iter_mut().zip(&other.registers) {
                *ours = (*theirs).max(*ours);
            }
            for hash in std::mem::take(&mut self.few) {
                self.add(hash);
            }
        }
        for hash in &other.few {
            self.add(*hash);
        }
    }
}

/// Spreads the bits of a checksum: those of a CRC are not spread enough to count by.
fn spread(crc: u32) -> u64 {
    let mut hash = u64::from(crc).wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// Two values, the least and the greatest: what they are compared by, and what is shown.
type Range = Option<[(Vec<u8>, Vec<u8>); 2]>;

/// What is known of a field.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// How many values are of each type.
    pub types: [u64; 6],
    /// The least and the greatest number.
    pub numbers: Range,
    /// The least and the greatest text.
    pub texts: Range,
    /// How many different values there are: of numbers, texts and bools.
    pub distinct: Distinct,
    /// The first values that differ, as JSON, with where they came.
    pub examples: Vec<(u64, Vec<u8>)>,
}

impl Shape {
    fn add(&mut self, json: &[u8], order: u64) {
        let value = Value::of_json(json);
        let (kind, text) = match &value {
            Value::Null => {
                self.types[0] += 1;
                return;
            }
            Value::Bool(text) => (1, *text),
            Value::Number(text) => (2, *text),
            Value::Text(text) => (3, text.as_ref()),
            Value::Nested(text) => (if json.starts_with(b"{") { 4 } else { 5 }, *text),
        };
        self.types[kind] += 1;
        self.example(json, order);
        let mut key = Vec::new();
        match kind {
            2 => {
                Decimal::new(text).push_key(&mut key);
                widen(&mut self.numbers, &key, text);
            }
            3 => widen(&mut self.texts, text, text),
            _ => {}
        }
        if kind < 4 {
            // One kind's values never equal another's.
            let mut crc = crc32fast::Hasher::new_with_initial(u32::try_from(kind).unwrap_or_default());
            crc.update(if kind == 2 { &key } else { text });
            self.distinct.add(spread(crc.finalize()));
        }
    }

    fn example(&mut self, json: &[u8], order: u64) {
        // Records come nearly in order: most are later than what there is.
        if self.examples.len() == EXAMPLES && self.examples.last().is_some_and(|(last, _)| *last <= order) {
            return;
        }
        let json = cut(json);
        match self.examples.iter_mut().find(|(_, one)| one == json) {
            Some((first, _)) => *first = order.min(*first),
            None => self.examples.push((order, json.to_vec())),
        }
        self.examples.sort();
        self.examples.truncate(EXAMPLES);
    }

    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.types.iter_mut().zip(other.types) {
            *ours += theirs;
        }
        for (key, shown) in other.numbers.iter().flatten() {
            widen(&mut self.numbers, key, shown);
        }
        for (key, shown) in other.texts.iter().flatten() {
            widen(&mut self.texts, key, shown);
        }
        self.distinct.merge(&other.distinct);
        for (order, json) in &other.examples {
            self.example(json, *order);
        }
    }
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..MOST_KEPT).unwrap_or(text)
}

/// Lets a range begin or end with a value, if that lies outside of it.
fn widen(range: &mut Range, key: &[u8], shown: &[u8]) {
    let key = cut(key);
    match range {
        None => *range = Some([(key.to_vec(), cut(shown).to_vec()), (key.to_vec(), cut(shown).to_vec())]),
        Some([least, greatest]) => {
            // Of the ways to write a number the least is shown.
            if (key, cut(shown)) < (least.0.as_slice(), least.1.as_slice()) {
                *least = (key.to_vec(), cut(shown).to_vec());
            }
            if key > greatest.0.as_slice() || key == greatest.0 && cut(shown) < greatest.1.as_slice() {
                *greatest = (key.to_vec(), cut(shown).to_vec());
            }
        }
    }
}

/// A field, and the fields in it.
#[derive(Debug, Default)]
struct Node {
    name: Vec<u8>,
    outer: usize,
    /// Where it came first: in which record, and as how many-eth of the fields that it had.
    first: (u64, usize),
    shape: Shape,
    inner: HashMap<Vec<u8>, usize>,
    /// The field that followed it in the record before, and probably does in this one.
    next: usize,
    /// The value in the record that is looked at, and in which record that was.
    value: std::ops::Range<usize>,
    record: u64,
    is_there: bool,
}

/// The fields of records.
#[derive(Debug, Default)]
pub struct Shapes {
    nodes: Vec<Node>,
    touched: Vec<usize>,
    records: u64,
    /// Fields seen in the record that is looked at.
    seen: usize,
    /// Whether there were more fields than are told apart.
    pub more: bool,
    open: Vec<u8>,
    key: Vec<u8>,
}

/// A field: its names from outside in, and what is known of it.
pub struct Described {
    /// The names.
    pub path: Vec<Vec<u8>>,
    /// What is known of it.
    pub shape: Shape,
}

impl Shapes {
    /// Takes in a record, which is JSON. `order` is larger for later ones.
    pub fn add(&mut self, json: &[u8], order: u64) {
        if self.nodes.is_empty() {
            // All of the record.
            self.nodes.push(Node::default());
        }
        self.records += 1;
        self.seen = 0;
        self.touched.clear();
        let at = skip_blank(json, 0);
        self.value(json, at, 0, 0, order);
        for at in std::mem::take(&mut self.touched) {
            if let Some(node) = self.nodes.get_mut(at).filter(|node| node.is_there)
                && let Some(value) = json.get(node.value.clone())
            {
                node.shape.add(value, order);
            }
        }
    }

    /// Notes the value of a node; returns where it ends.
    fn value(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let end = if json.get(at) == Some(&b'{') && depth < DEEPEST {
            self.object(json, at + 1, node, depth, order)?
        } else {
            skip_value(json, at, &mut self.open)?
        };
        let record = self.records;
        let one = self.nodes.get_mut(node)?;
        (one.value, one.is_there) = (at..end, true);
        if one.record != record {
            one.record = record;
            self.touched.push(node);
        }
        Some(end)
    }

    fn object(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let mut at = skip_blank(json, at);
        if json.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        let mut before = node;
        loop {
            let (after, escaped) = string_end(json, at + 1)?;
            let name = json.get(at + 1..after - 1)?;
            let inner = self.inner(name, escaped, node, before, order);
            at = skip_blank(json, skip_blank(json, after) + 1);
            at = match inner {
                None => skip_value(json, at, &mut self.open)?,
                Some(inner) => {
                    self.nodes.get_mut(before)?.next = inner;
                    before = inner;
                    if self.nodes.get(inner)?.record == self.records {
                        // A key that comes again: the last one wins, with all that is in it.
                        self.forget(inner);
                    }
                    self.value(json, at, inner, depth + 1, order)?
                }
            };
            at = skip_blank(json, at);
            if json.get(at) != Some(&b',') {
                return Some(at + 1);
            }
            at = skip_blank(json, at + 1);
        }
    }

    /// Forgets the values of a field, and of those in it, in the record that is looked at.
    fn forget(&mut self, node: usize) {
        let mut nodes = vec![node];
        while let Some(at) = nodes.pop() {
            if let Some(node) = self.nodes.get_mut(at) {
                node.is_there = false;
                nodes.extend(node.inner.values());
            }
        }
    }

    /// Returns the field of this name in `outer`; `None` where there are too many.
    fn inner(
        &mut self,
        name: &[u8],
        escaped: bool,
        outer: usize,
        before: usize,
        order: u64,
    ) -> Option<usize> {
        self.seen += 1;
        let first = (order, self.seen);
        let found = self.find(name, escaped, outer, before, first)?;
        let node = self.nodes.get_mut(found)?;
        // A line that ends in a block is looked at after the others of it.
        node.first = node.first.min(first);
        Some(found)
    }

    fn find(
        &mut self,
        name: &[u8],
        escaped: bool,
        outer: usize,
        before: usize,
        first: (u64, usize),
    ) -> Option<usize> {
        let guess = self.nodes.get(before)?.next;
        if let Some(node) = self.nodes.get(guess).filter(|node| guess > 0 && node.outer == outer)
            && !escaped
            && node.name == name
        {
            return Some(guess);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        if escaped {
            super::value::decode_text(name, &mut key);
        } else {
            key.extend_from_slice(name);
        }
        let found = self.nodes.get(outer)?.inner.get(&key).copied();
        if found.is_none() && self.nodes.len() <= MOST_FIELDS {
            let at = self.nodes.len();
            self.nodes.push(Node { name: key.clone(), outer, first, ..Node::default() });
            self.nodes.get_mut(outer)?.inner.insert(key, at);
            return Some(at);
        }
        self.more |= found.is_none();
        self.key = key;
        found
    }

    /// Takes in what another has found.
    pub fn merge(&mut self, other: &Self) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        self.more |= other.more;
        // An outer field comes before those in it.
        let mut ours = vec![0; other.nodes.len()];
        for (at, node) in other.nodes.iter().enumerate() {
            let mine = if at == 0 {
                Some(0)
            } else {
                let outer = ours.get(node.outer).copied().unwrap_or_default();
                self.merged(&node.name, outer, node.first)
            };
            if let (Some(mine), Some(slot)) = (mine, ours.get_mut(at)) {
                *slot = mine;
                if let Some(mine) = self.nodes.get_mut(mine) {
                    mine.shape.merge(&node.shape);
                }
            }
        }
    }

    fn merged(&mut self, name: &[u8], outer: usize, first: (u64, usize)) -> Option<usize> {
        if let Some(at) = self.nodes.get(outer)?.inner.get(name).copied() {
            let node = self.nodes.get_mut(at)?;
            node.first = node.first.min(first);
            return Some(at);
        }
        let at = self.nodes.len();
        self.nodes.push(Node { name: name.to_vec(), outer, first, ..Node::default() });
        self.nodes.get_mut(outer)?.inner.insert(name.to_vec(), at);
        Some(at)
    }

    /// All fields, in the order in which they came first; the first is the whole record.
    #[must_use]
    pub fn described(&self) -> Vec<Described> {
        let mut order: Vec<&Node> = self.nodes.iter().collect();
        order.sort_by_key(|node| node.first);
        let path = |node: &Node| {
            let (mut names, mut node) = (Vec::new(), node);
            while !std::ptr::eq(node, &raw const self.nodes[0]) {
                names.push(node.name.clone());
                // Its outer field was there before it.
                node = &self.nodes[node.outer];
            }
            names.reverse();
            names
        };
        order.into_iter().map(|node| Described { path: path(node), shape: node.shape.clone() }).collect()
    }
}
