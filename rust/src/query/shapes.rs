//! What records have: their fields, with types, and what values they have.

use super::decimal::Decimal;
use super::fields::{DEEPEST, Fields, Path, RECORD};
use super::value::Value;
use super::walk::{skip_blank, skip_value, string_end};

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

/// What is known of a field.
#[derive(Debug, Default)]
struct Known {
    shape: Shape,
    /// The value in the record that is looked at, and in which record that was.
    value: std::ops::Range<usize>,
    record: u64,
    is_there: bool,
}

/// The fields of records.
#[derive(Debug, Default)]
pub struct Shapes {
    fields: Fields<Known>,
    touched: Vec<usize>,
    records: u64,
    /// Fields seen in the record that is looked at.
    seen: usize,
    open: Vec<u8>,
}

impl Shapes {
    /// Takes in a record, which is JSON. `order` is larger for later ones.
    pub fn add(&mut self, json: &[u8], order: u64) {
        self.fields.root();
        self.records += 1;
        self.seen = 0;
        self.touched.clear();
        let at = skip_blank(json, 0);
        self.value(json, at, RECORD, 0, order);
        for at in std::mem::take(&mut self.touched) {
            if let Some(known) = self.fields.get(at).filter(|known| known.is_there)
                && let Some(value) = json.get(known.value.clone())
            {
                known.shape.add(value, order);
            }
        }
    }

    /// Whether there were more fields than are told apart.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.fields.more()
    }

    /// Notes the value of a node; returns where it ends.
    fn value(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let end = if json.get(at) == Some(&b'{') && depth < DEEPEST {
            self.object(json, at + 1, node, depth, order)?
        } else {
            skip_value(json, at, &mut self.open)?
        };
        let record = self.records;
        let one = self.fields.get(node)?;
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
            self.seen += 1;
            let inner = self.fields.find(name, escaped, node, before, (order, self.seen));
            at = skip_blank(json, skip_blank(json, after) + 1);
            at = match inner {
                None => skip_value(json, at, &mut self.open)?,
                Some(inner) => {
                    before = inner;
                    if self.fields.get(inner)?.record == self.records {
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
            if let Some(known) = self.fields.get(at) {
                known.is_there = false;
            }
            nodes.extend(self.fields.inner(at));
        }
    }

    /// Takes in what another has found.
    pub fn merge(&mut self, other: &Self) {
        self.fields.merge(&other.fields, |mine, theirs| mine.shape.merge(&theirs.shape));
    }

    /// All fields, in the order in which they came first; the first is the whole record.
    pub fn described(&self) -> impl Iterator<Item = (Path, &Shape)> {
        self.fields.described().map(|(path, known)| (path, &known.shape))
    }
}
