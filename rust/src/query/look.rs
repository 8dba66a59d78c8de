//! Looking at one record: whether it matches, and what is wanted of it.

use super::decimal::Decimal;
use super::groups::Groups;
use super::kinds::Kinds;
use super::plan::{Kind, Plan, Wanted};
use super::shapes::Shapes;
use super::value::{Value, encode_text};
use super::walk::{Walker, skip_blank};

/// What a record is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No record: a blank line.
    Blank,
    /// No JSON.
    Bad,
    /// It does not match.
    No,
    /// It matches.
    Yes,
}

/// Looks at records, one at a time. Each thread has its own.
#[derive(Debug, Default)]
pub struct Looker {
    walker: Walker,
    /// What it has counted by value.
    pub groups: Groups,
    /// What it has described.
    pub shapes: Shapes,
    /// The kinds of values that it has seen.
    pub kinds: Kinds,
    key: Vec<u8>,
}

/// Where sorting puts a value: numbers, then texts, null at the end.
const NUMBER: u8 = 0x10;
const TEXT: u8 = 0x20;
const NULL: u8 = 0xff;

impl Looker {
    /// Looks at `line`, which has no end of line.
    pub fn look(&mut self, line: &[u8], plan: &Plan) -> Verdict {
        if plan.kind == Kind::Json && skip_blank(line, 0) == line.len() {
            return Verdict::Blank;
        }
        if plan.contains.iter().any(|finder| finder.find(line).is_none()) {
            return Verdict::No;
        }
        if plan.regex.as_ref().is_some_and(|regex| !regex.is_match(line)) {
            return Verdict::No;
        }
        if plan.kind == Kind::Json && !self.walker.walk(line, &plan.fields) {
            return Verdict::Bad;
        }
        match &plan.test {
            Some(test) if !test.holds(&|field| self.value(line, field, plan)) => Verdict::No,
            _ => Verdict::Yes,
        }
    }

    /// The value of a field of the record that was looked at last.
    fn value<'a>(&self, line: &'a [u8], field: usize, plan: &Plan) -> Value<'a> {
        match plan.kind {
            Kind::Line if plan.line_field == Some(field) => Value::Text(line.into()),
            Kind::Line => Value::Null,
            Kind::Json => {
                let range = self.walker.found.get(field).cloned().flatten();
                range.and_then(|range| line.get(range)).map_or(Value::Null, Value::of_json)
            }
        }
    }

    /// Counts the record that was looked at last by the value of a field.
    pub fn count(&mut self, line: &[u8], field: usize, plan: &Plan) {
        let value = self.value(line, field, plan);
        self.groups.add(&value, 1);
    }

    /// Adds to `out` what is given of the record that was looked at last.
    pub fn give(&self, line: &[u8], plan: &Plan, out: &mut Vec<u8>) {
        let Some(columns) = &plan.columns else { return out.extend_from_slice(line) };
        out.push(b'{');
        for (before, field) in columns {
            out.extend_from_slice(before);
            match (self.value(line, *field, plan), plan.kind) {
                (Value::Null, _) => out.extend_from_slice(b"null"),
                (value, Kind::Line) => encode_text(value.text(), out),
                _ => {
                    let range = self.walker.found.get(*field).cloned().flatten();
                    out.extend_from_slice(range.and_then(|range| line.get(range)).unwrap_or(b"null"));
                }
            }
        }
        out.push(b'}');
    }

    /// Describes the record that was looked at last; `order` is larger for later ones.
    pub fn describe(&mut self, line: &[u8], order: u64) {
        self.shapes.add(line, order);
    }

    /// The key by which the record that was looked at last is sorted.
    pub fn key(&mut self, line: &[u8], plan: &Plan) -> &[u8] {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        self.push_key(line, plan, &mut key);
        self.key = key;
        &self.key
    }

    fn push_key(&self, line: &[u8], plan: &Plan, key: &mut Vec<u8>) {
        let Wanted::Sorted { field, descending } = plan.wanted else { return };
        let value = self.value(line, field, plan);
        if value == Value::Null {
            return key.push(NULL);
        }
        if let Value::Number(number) = value {
            key.push(NUMBER);
            Decimal::new(number).push_key(key);
        } else {
            key.push(TEXT);
            for byte in value.text() {
                key.push(*byte);
                // So that no text is the beginning of another, in either direction.
                if *byte == 0 {
                    key.push(0xff);
                }
            }
            key.extend([0, 0]);
        }
        if descending {
            for byte in key {
                *byte = !*byte;
            }
        }
    }
}
