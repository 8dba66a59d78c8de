//! Counts by value.

use std::collections::HashMap;

use super::decimal::Decimal;
use super::value::Value;

/// Bytes that a group takes besides its texts, about.
const OVERHEAD: usize = 96;

/// How often each value came.
#[derive(Debug, Default)]
pub struct Groups {
    texts: HashMap<Vec<u8>, u64>,
    /// Numbers by what they are, with the least of the ways that they were written.
    numbers: HashMap<Vec<u8>, (Vec<u8>, u64)>,
    /// Bools, arrays and objects.
    others: HashMap<Vec<u8>, u64>,
    nulls: u64,
    bytes: usize,
}

/// A value, and how often it came.
pub type Group = (&'static str, Vec<u8>, u64);

impl Groups {
    /// Counts a value.
    pub fn add(&mut self, value: &Value<'_>, count: u64) {
        match value {
            Value::Null => self.nulls += count,
            Value::Text(text) => add_to(&mut self.texts, text, count, &mut self.bytes),
            Value::Bool(text) | Value::Nested(text) => add_to(&mut self.others, text, count, &mut self.bytes),
            Value::Number(number) => {
                let mut key = Vec::new();
                Decimal::new(number).push_key(&mut key);
                let size = key.len() + number.len() + OVERHEAD;
                let (written, sum) = self.numbers.entry(key).or_insert_with(|| {
                    self.bytes += size;
                    (number.to_vec(), 0)
                });
                if number < &written.as_slice() {
                    *written = number.to_vec();
                }
                *sum += count;
            }
        }
    }

    /// Bytes that all of it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all groups out: what kind of value, its text, and its count.
    pub fn drain(&mut self) -> Vec<Group> {
        let Self { texts, numbers, others, nulls, .. } = std::mem::take(self);
        let texts = texts.into_iter().map(|(text, count)| ("text", text, count));
        let numbers = numbers.into_values().map(|(written, count)| ("number", written, count));
        let others = others.into_iter().map(|(json, count)| ("json", json, count));
        let nulls = (nulls > 0).then_some(("null", Vec::new(), nulls));
        texts.chain(numbers).chain(others).chain(nulls).collect()
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &mut Self) {
        for (kind, text, count) in other.drain() {
            let value = match kind {
                "text" => Value::Text(text.into()),
                "number" => {
                    self.add(&Value::Number(&text), count);
                    continue;
                }
                "json" => {
                    self.add(&Value::Nested(&text), count);
                    continue;
                }
                _ => Value::Null,
            };
            self.add(&value, count);
        }
    }
}

fn add_to(map: &mut HashMap<Vec<u8>, u64>, text: &[u8], count: u64, bytes: &mut usize) {
    // A key is made only for a value that is new.
    if let Some(sum) = map.get_mut(text) {
        *sum += count;
    } else {
        *bytes += text.len() + OVERHEAD;
        map.insert(text.to_vec(), count);
    }
}
