//! Filters: tests of a record's fields.

use std::cmp::Ordering;

use super::decimal::Decimal;
use super::like::Like;
use super::value::Value;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Operator {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// A filter. It nests as deep as its author wrote it, which the parser bounds.
#[derive(Clone, Debug)]
pub enum Test {
    /// All of these.
    All(Vec<Test>),
    /// Any of these.
    Any(Vec<Test>),
    /// Not this.
    Not(Box<Test>),
    /// The field is null or missing.
    Null(usize),
    /// The field compares so with a text, or with a number.
    Compare(usize, Operator, Vec<u8>, Option<Decimal>),
    /// The field's text matches.
    Like(usize, Box<Like>),
}

impl Test {
    /// Whether it holds, of the fields that `value` gives.
    pub fn holds<'a>(&self, value: &impl Fn(usize) -> Value<'a>) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(value)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(value)),
            Self::Not(test) => !test.holds(value),
            Self::Null(field) => value(*field) == Value::Null,
            Self::Compare(field, operator, text, number) => {
                compare(&value(*field), *operator, text, number.as_ref())
            }
            Self::Like(field, like) => match value(*field) {
                Value::Null => false,
                value => like.matches(value.text()),
            },
        }
    }
}

fn compare(value: &Value<'_>, operator: Operator, text: &[u8], number: Option<&Decimal>) -> bool {
    match (value, number) {
        (Value::Null, _) => false,
        (value, None) => operator.holds(value.text().cmp(text)),
        (value, Some(number)) => match value.number() {
            Some(written) => operator.holds(Decimal::new(written).cmp(number)),
            None => operator == Operator::Equal && value.text() == text,
        },
    }
}
