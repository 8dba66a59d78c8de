//! What kinds of values each field has, elements of arrays included: all that choosing a type for it needs.
//!
//! A part of what [`super::shapes`] tells, for less: no values are kept or compared.

use super::fields::{DEEPEST, Fields, Path, RECORD};
use super::walk::{skip_blank, skip_value, string_end};

/// Null.
pub const NULL: u32 = 1;
/// `true` and `false`.
pub const BOOL: u32 = 1 << 1;
/// A whole number of 64 bits, with a sign.
pub const INTEGER: u32 = 1 << 2;
/// One of at most 38 digits, which is what 128 bits hold.
pub const LONG: u32 = 1 << 3;
/// A number that a double comes close to.
pub const DECIMAL: u32 = 1 << 4;
/// A number that no machine type holds, like 1e400.
pub const HUGE: u32 = 1 << 5;
/// A text that is none of the following.
pub const TEXT: u32 = 1 << 6;
/// A date: `2024-03-01`.
pub const DATE: u32 = 1 << 7;
/// A date and a time.
pub const TIME: u32 = 1 << 8;
/// A date and a time, with the distance to UTC or `Z`.
pub const ZONED: u32 = 1 << 9;
/// An object.
pub const OBJECT: u32 = 1 << 10;
/// An array.
pub const ARRAY: u32 = 1 << 11;
/// An object in which a key comes twice.
pub const TWICE: u32 = 1 << 12;
/// An object or an array that was not looked into, since it lies too deep.
pub const DEEP: u32 = 1 << 13;
/// A record that is no UTF-8, or names half of a surrogate pair.
pub const BROKEN: u32 = 1 << 14;

const INTEGER_DIGITS: usize = 18;
const LONG_DIGITS: usize = 38;
/// Digits that a double has room for before its point; what has more, or an exponent, is tried.
const DECIMAL_DIGITS: usize = 300;

/// What is known of a field.
#[derive(Debug, Default)]
struct Known {
    kinds: u32,
    /// The object in which it came last.
    object: u64,
}

/// The fields of records, with the kinds of their values.
#[derive(Debug, Default)]
pub struct Kinds {
    fields: Fields<Known>,
    /// Objects seen.
    objects: u64,
    /// Fields seen in the record that is looked at.
    seen: usize,
    open: Vec<u8>,
}

impl Kinds {
    /// Takes in a record, which is JSON. `order` is larger for later ones.
    pub fn add(&mut self, json: &[u8], order: u64) {
        self.fields.root();
        self.seen = 0;
        self.value(json, skip_blank(json, 0), RECORD, 0, order);
        if let Some(known) = self.fields.get(RECORD).filter(|_| is_broken(json)) {
            known.kinds |= BROKEN;
        }
    }

    /// Whether there were more fields than are told apart.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.fields.more()
    }

    /// Notes a value; returns where it ends.
    fn value(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let deep = if depth < DEEPEST { 0 } else { DEEP };
        let (kind, end) = match json.get(at)? {
            b'{' if deep == 0 => (OBJECT, self.object(json, at + 1, node, depth, order)?),
            b'[' if deep == 0 => (ARRAY, self.array(json, at + 1, node, depth, order)?),
            first => {
                let end = skip_value(json, at, &mut self.open)?;
                let kind = match first {
                    b'{' => OBJECT | deep,
                    b'[' => ARRAY | deep,
                    b'"' => kind_of_text(json.get(at + 1..end - 1)?),
                    b't' | b'f' => BOOL,
                    b'n' => NULL,
                    _ => kind_of_number(json.get(at..end)?),
                };
                (kind, end)
            }
        };
        self.fields.get(node)?.kinds |= kind;
        Some(end)
    }

    fn object(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let mut at = skip_blank(json, at);
        if json.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        self.objects += 1;
        let object = self.objects;
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
                    if std::mem::replace(&mut self.fields.get(inner)?.object, object) == object {
                        self.fields.get(node)?.kinds |= TWICE;
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

    fn array(&mut self, json: &[u8], at: usize, node: usize, depth: usize, order: u64) -> Option<usize> {
        let mut at = skip_blank(json, at);
        if json.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        self.seen += 1;
        let elements = self.fields.elements(node, (order, self.seen))?;
        loop {
            at = skip_blank(json, self.value(json, at, elements, depth + 1, order)?);
            if json.get(at) != Some(&b',') {
                return Some(at + 1);
            }
            at = skip_blank(json, at + 1);
        }
    }

    /// Takes in what another has found.
    pub fn merge(&mut self, other: &Self) {
        self.fields.merge(&other.fields, |mine, theirs| mine.kinds |= theirs.kinds);
    }

    /// All fields with their kinds, in the order in which they came first; the first is the whole record.
    #[must_use]
    pub fn described(&self) -> Vec<(Path, u32)> {
        self.fields.described().map(|(path, known)| (path, known.kinds)).collect()
    }
}

/// Whether a record is no UTF-8, or has escapes that name no character.
fn is_broken(json: &[u8]) -> bool {
    if std::str::from_utf8(json).is_err() {
        return true;
    }
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = &rest[at..];
        rest = match unit(escape) {
            Some(0xd800..0xdc00) if matches!(escape.get(6..).and_then(unit), Some(0xdc00..0xe000)) => {
                &escape[12..]
            }
            Some(0xd800..0xe000) => return true,
            _ => escape.get(2..).unwrap_or_default(),
        };
    }
    false
}

/// The number that an escape names, at which `text` begins.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn kind_of_number(text: &[u8]) -> u32 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) {
        return if digits.len() <= INTEGER_DIGITS || parse::<i64>(text).is_some() {
            INTEGER
        } else if digits.len() <= LONG_DIGITS {
            LONG
        } else {
            HUGE
        };
    }
    let is_plain = text.len() < DECIMAL_DIGITS && memchr::memchr2(b'e', b'E', text).is_none();
    let fits = is_plain || parse::<f64>(text).is_some_and(f64::is_finite);
    if fits { DECIMAL } else { HUGE }
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The kind of a JSON string, given without its quotes.
fn kind_of_text(text: &[u8]) -> u32 {
    let Some((_, rest)) = date_end(text).map(|end| text.split_at(end)) else { return TEXT };
    let Some((b'T' | b' ', time)) = rest.split_first() else {
        return if rest.is_empty() { DATE } else { TEXT };
    };
    match time_end(time).map(|end| time.split_at(end).1) {
        Some([]) => TIME,
        Some(zone) if is_zone(zone) => ZONED,
        _ => TEXT,
    }
}

/// Where a date at the beginning of `text` ends.
fn date_end(text: &[u8]) -> Option<usize> {
    let date = text.first_chunk::<10>()?;
    if (date[4], date[7]) != (b'-', b'-') {
        return None;
    }
    let year = two(date, 0)? * 100 + two(date, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match two(date, 5)? {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (year > 0 && (1..=days).contains(&two(date, 8)?)).then_some(10)
}

/// Where a time at the beginning of `text` ends: hours and minutes, seconds, and up to six digits of them.
fn time_end(text: &[u8]) -> Option<usize> {
    if two(text, 0)? > 23 || text.get(2) != Some(&b':') || two(text, 3)? > 59 {
        return None;
    }
    if text.get(5) != Some(&b':') {
        return Some(5);
    }
    if two(text, 6)? > 59 {
        return None;
    }
    if text.get(8) != Some(&b'.') {
        return Some(8);
    }
    let digits = text.iter().skip(9).take_while(|digit| digit.is_ascii_digit()).count();
    (1..=6).contains(&digits).then_some(9 + digits)
}

fn is_zone(text: &[u8]) -> bool {
    let minutes = match (text.first(), text.len()) {
        (Some(b'Z'), 1) => return true,
        (Some(b'+' | b'-'), 3) => Some(0),
        (Some(b'+' | b'-'), 6) if text[3] == b':' => two(text, 4),
        _ => return false,
    };
    // The largest distance anywhere is 14 hours.
    two(text, 1).is_some_and(|hours| hours < 15) && minutes.is_some_and(|minutes| minutes < 60)
}

/// The number that the two digits at `at` are.
fn two(text: &[u8], at: usize) -> Option<u32> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(10));
    Some(digit(at)? * 10 + digit(at + 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(lines: &[&str]) -> Vec<(String, u32)> {
        let mut all = Kinds::default();
        for (order, line) in (1..).zip(lines) {
            let mut one = Kinds::default();
            one.add(line.as_bytes(), order);
            all.merge(&one);
        }
        let name = |part: &Option<Vec<u8>>| {
            part.as_ref().map_or("[]".into(), |name| format!(".{}", String::from_utf8_lossy(name)))
        };
        all.described().iter().map(|(path, kinds)| (path.iter().map(name).collect(), *kinds)).collect()
    }

    #[test]
    fn each_kind_is_told() {
        let cases = [
            ("null", NULL),
            ("true", BOOL),
            ("-17", INTEGER),
            ("9223372036854775807", INTEGER),
            ("9223372036854775808", LONG),
            ("123456789012345678901234567890123456789", HUGE),
            ("1.0", DECIMAL),
            ("1e5", DECIMAL),
            ("1e400", HUGE),
            ("\"x\"", TEXT),
            ("\"2024-02-29\"", DATE),
            ("\"2023-02-29\"", TEXT),
            ("\"2024-03-01T10:00\"", TIME),
            ("\"2024-03-01 10:00:00.123456\"", TIME),
            ("\"2024-03-01T10:00:00.1234567\"", TEXT),
            ("\"2024-03-01T10:00:00Z\"", ZONED),
            ("\"2024-03-01T10:00:00+05:30\"", ZONED),
            ("\"2024-03-01T24:00:00\"", TEXT),
            ("\"2024-03-01x\"", TEXT),
            ("{}", OBJECT),
            ("[]", ARRAY),
        ];
        for (text, kind) in cases {
            assert_eq!(kinds(&[text]), [(String::new(), kind)], "{text}");
        }
    }

    #[test]
    fn fields_come_in_the_order_of_the_data_with_elements() {
        let lines = [r#"{"a": [1, {"b": null}]}"#, r#"{"c": 1, "a": [2.5], "a": "x"}"#];
        let expected = [
            ("", OBJECT | TWICE),
            (".a", ARRAY | TEXT),
            (".a[]", INTEGER | DECIMAL | OBJECT),
            (".a[].b", NULL),
            (".c", INTEGER),
        ];
        assert_eq!(kinds(&lines), expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn what_is_no_text_is_told() {
        for text in [r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud800\u0041""#, r#""\ud800\ud800\udc00""#] {
            assert_eq!(kinds(&[text]), [(String::new(), TEXT | BROKEN)], "{text}");
        }
        for text in [r#""\ud83d\ude00""#, r#""\\ud800""#, r#""\n""#] {
            assert_eq!(kinds(&[text]), [(String::new(), TEXT)], "{text}");
        }
    }

    #[test]
    fn too_many_fields_and_levels_are_told() {
        let many: Vec<String> = (0..2000).map(|at| format!("\"f{at}\":1")).collect();
        let mut all = Kinds::default();
        all.add(format!("{{{}}}", many.join(",")).as_bytes(), 1);
        assert!(all.more());
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let found = kinds(&[&deep]);
        assert_eq!(found.len(), DEEPEST + 1);
        assert_eq!(found.last().map(|(_, kinds)| *kinds), Some(ARRAY | DEEP));
    }
}
