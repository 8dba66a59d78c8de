//! Walking through one JSON text: all of it is checked, and the fields asked for are found.
//!
//! Written for this one purpose, since parsers that find a field quickly (sonic-rs) check nothing behind it and take the
//! first of equal keys, and those that check everything (jiter) also make numbers and texts of it, and limit the nesting.

use std::ops::Range;

use super::value::decode_text;

/// A part of a field: the key in an object, or the number of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A key, in UTF-8, without escapes.
    Key(Vec<u8>),
    /// The number of an element, from 0.
    Item(usize),
}

/// The fields asked for, as a tree.
#[derive(Debug, Default)]
pub struct Fields {
    root: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    keys: Vec<(Vec<u8>, Node)>,
    items: Vec<(usize, Node)>,
    /// The field that ends here.
    field: Option<usize>,
    /// All fields that end here or further in.
    within: Vec<usize>,
}

impl Node {
    fn child(&mut self, part: &Part) -> &mut Node {
        match part {
            Part::Key(key) => {
                let at = self.keys.iter().position(|(one, _)| one == key).unwrap_or_else(|| {
                    self.keys.push((key.clone(), Node::default()));
                    self.keys.len() - 1
                });
                // It was found there, or put there.
                &mut self.keys[at].1
            }
            Part::Item(item) => {
                let at = self.items.iter().position(|(one, _)| one == item).unwrap_or_else(|| {
                    self.items.push((*item, Node::default()));
                    self.items.len() - 1
                });
                // As above.
                &mut self.items[at].1
            }
        }
    }
}

impl Fields {
    /// The tree of fields, of which the first has number 0.
    #[must_use]
    pub fn new(paths: &[Vec<Part>]) -> Self {
        let mut root = Node::default();
        for (number, path) in paths.iter().enumerate() {
            let mut node = &mut root;
            node.within.push(number);
            for part in path {
                node = node.child(part);
                node.within.push(number);
            }
            node.field = Some(number);
        }
        Self { root, count: paths.len() }
    }
}

/// Where the fields of a record lie, and what walking needs; made once, used for each record.
#[derive(Debug, Default)]
pub struct Walker {
    /// Where each field's value lies in the record; `None` where it is missing.
    pub found: Vec<Option<Range<usize>>>,
    open: Vec<u8>,
    key: Vec<u8>,
}

impl Walker {
    /// Walks through `data`, one JSON value. Returns whether it is one.
    pub fn walk(&mut self, data: &[u8], fields: &Fields) -> bool {
        self.found.clear();
        self.found.resize(fields.count, None);
        let Some(end) = self.value(data, skip_blank(data, 0), &fields.root) else { return false };
        skip_blank(data, end) == data.len()
    }

    /// Walks through the value at `at`, which `node` is for; returns where it ends. Recurses as deep as the fields are.
    fn value(&mut self, data: &[u8], at: usize, node: &Node) -> Option<usize> {
        let end = match data.get(at)? {
            b'{' if !node.keys.is_empty() => self.object(data, at + 1, node)?,
            b'[' if !node.items.is_empty() => self.array(data, at + 1, node)?,
            _ => skip_value(data, at, &mut self.open)?,
        };
        if let Some(slot) = node.field.and_then(|field| self.found.get_mut(field)) {
            *slot = Some(at..end);
        }
        Some(end)
    }

    fn object(&mut self, data: &[u8], at: usize, node: &Node) -> Option<usize> {
        let mut at = skip_blank(data, at);
        if data.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            if data.get(at) != Some(&b'"') {
                return None;
            }
            let (after, escaped) = string_end(data, at + 1)?;
            // Without its quotes, of which there are two.
            let mut key = &data[at + 1..after - 1];
            at = skip_blank(data, after);
            if data.get(at) != Some(&b':') {
                return None;
            }
            at = skip_blank(data, at + 1);
            if escaped {
                self.key.clear();
                decode_text(key, &mut self.key);
                key = &self.key;
            }
            at = match node.keys.iter().find(|(name, _)| name == key) {
                None => skip_value(data, at, &mut self.open)?,
                Some((_, child)) => {
                    // A key that comes again: the last one wins, with all that is in it.
                    for field in &child.within {
                        if let Some(slot) = self.found.get_mut(*field) {
                            *slot = None;
                        }
                    }
                    self.value(data, at, child)?
                }
            };
            at = skip_blank(data, at);
            match data.get(at)? {
                b',' => at = skip_blank(data, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn array(&mut self, data: &[u8], at: usize, node: &Node) -> Option<usize> {
        let mut at = skip_blank(data, at);
        if data.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        let mut number = 0;
        loop {
            at = match node.items.iter().find(|(item, _)| *item == number) {
                None => skip_value(data, at, &mut self.open)?,
                Some((_, child)) => self.value(data, at, child)?,
            };
            number += 1;
            at = skip_blank(data, at);
            match data.get(at)? {
                b',' => at = skip_blank(data, at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }
}

/// Returns where the next byte that is no white space lies.
#[inline]
#[must_use]
pub fn skip_blank(data: &[u8], mut at: usize) -> usize {
    while matches!(data.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Returns where the value at `at` ends; `None` where there is none. `open` is what it needs for the nesting.
pub(super) fn skip_value(data: &[u8], mut at: usize, open: &mut Vec<u8>) -> Option<usize> {
    open.clear();
    loop {
        match data.get(at)? {
            b'"' => at = string_end(data, at + 1)?.0,
            b'{' => {
                at = skip_blank(data, at + 1);
                if data.get(at) == Some(&b'}') {
                    at += 1;
                } else {
                    open.push(b'{');
                    at = skip_key(data, at)?;
                    continue;
                }
            }
            b'[' => {
                at = skip_blank(data, at + 1);
                if data.get(at) == Some(&b']') {
                    at += 1;
                } else {
                    open.push(b'[');
                    continue;
                }
            }
            b't' => at = skip_word(data, at, b"true")?,
            b'f' => at = skip_word(data, at, b"false")?,
            b'n' => at = skip_word(data, at, b"null")?,
            _ => at = number_end(data, at)?,
        }
        // What is open goes on, or is closed.
        loop {
            let Some(outer) = open.last() else { return Some(at) };
            at = skip_blank(data, at);
            match (outer, data.get(at)?) {
                (b'{', b',') => {
                    at = skip_key(data, skip_blank(data, at + 1))?;
                    break;
                }
                (b'[', b',') => {
                    at = skip_blank(data, at + 1);
                    break;
                }
                (b'{', b'}') | (b'[', b']') => {
                    open.pop();
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

/// Returns where the value of the key at `at` begins.
#[inline]
fn skip_key(data: &[u8], at: usize) -> Option<usize> {
    if data.get(at) != Some(&b'"') {
        return None;
    }
    let at = skip_blank(data, string_end(data, at + 1)?.0);
    (data.get(at) == Some(&b':')).then(|| skip_blank(data, at + 1))
}

fn skip_word(data: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    data.get(at..)?.starts_with(word).then_some(at + word.len())
}

const ONES: u64 = 0x0101_0101_0101_0101;
const QUOTES: u64 = ONES * 0x22;
const BACKSLASHES: u64 = ONES * 0x5c;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` that is zero; those above the first may be set wrongly.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Returns the offset past the closing quote of a string, which begins before `at`, and whether it has escapes.
#[inline]
pub(super) fn string_end(data: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        // Eight bytes at a time, as long as none of them is a quote, a backslash or a control character.
        while let Some(eight) = data.get(at..at + 8).and_then(|part| <[u8; 8]>::try_from(part).ok()) {
            let word = u64::from_le_bytes(eight);
            let quotes = zeros(word ^ QUOTES);
            let backslashes = zeros(word ^ BACKSLASHES);
            let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let first = quotes | backslashes | controls;
            if first != 0 {
                at += (first.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match data.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at = escape_end(data, at + 1)?;
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// `at` is the byte after the backslash.
fn escape_end(data: &[u8], at: usize) -> Option<usize> {
    match data.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => data.get(at + 1..at + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 5),
        _ => None,
    }
}

/// Returns where the number at `at` ends: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
#[inline]
fn number_end(data: &[u8], at: usize) -> Option<usize> {
    let mut at = at + usize::from(data.get(at) == Some(&b'-'));
    at = match data.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits_end(data, at),
        _ => return None,
    };
    if data.get(at) == Some(&b'.') {
        let end = digits_end(data, at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if matches!(data.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(data.get(at + 1), Some(b'+' | b'-')));
        let end = digits_end(data, at);
        if end == at {
            return None;
        }
        at = end;
    }
    Some(at)
}

/// Whether `text` is a number, and nothing else.
#[must_use]
pub fn is_number(text: &[u8]) -> bool {
    number_end(text, 0) == Some(text.len())
}

#[inline]
fn digits_end(data: &[u8], mut at: usize) -> usize {
    while data.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Part {
        Part::Key(name.as_bytes().to_vec())
    }

    fn found<'a>(text: &'a str, path: &[Part]) -> Option<&'a str> {
        let mut walker = Walker::default();
        assert!(walker.walk(text.as_bytes(), &Fields::new(&[path.to_vec()])), "{text}");
        walker.found[0].clone().map(|range| &text[range])
    }

    #[test]
    fn a_field_is_found_where_it_lies() {
        let text = r#" {"a": {"b": [1, {"c": "x\"y"}]}, "d":-1.5e3 } "#;
        assert_eq!(found(text, &[key("d")]), Some("-1.5e3"));
        assert_eq!(found(text, &[key("a"), key("b"), Part::Item(0)]), Some("1"));
        assert_eq!(found(text, &[key("a"), key("b"), Part::Item(1), key("c")]), Some(r#""x\"y""#));
        assert_eq!(found(text, &[key("a"), key("b"), Part::Item(2)]), None);
        assert_eq!(found(text, &[key("a"), key("d")]), None);
        assert_eq!(found("[1,[2,3]]", &[Part::Item(1)]), Some("[2,3]"));
    }

    #[test]
    fn the_last_of_equal_keys_wins_with_all_that_is_in_it() {
        assert_eq!(found(r#"{"a":1,"\u0061":2}"#, &[key("a")]), Some("2"));
        assert_eq!(found(r#"{"a":{"b":1},"a":{}}"#, &[key("a"), key("b")]), None);
        assert_eq!(found(r#"{"a":{"b":1},"a":2}"#, &[key("a"), key("b")]), None);
    }

    #[test]
    fn any_nesting_is_taken() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut walker = Walker::default();
        assert!(walker.walk(deep.as_bytes(), &Fields::default()));
        assert!(!walker.walk(&deep.as_bytes()[1..], &Fields::default()));
    }

    #[test]
    fn refuses_what_is_not_json() {
        let wrong = [
            "",
            " ",
            "{",
            "{}x",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "01",
            "1.",
            "-",
            ".5",
            "1e",
            "nul",
            "nulls",
            "\"",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u123\"",
            "[}",
            "{]",
            "NaN",
            "'a'",
            "\u{feff}1",
            "{1:2}",
            "[1 2]",
            "\0",
            "\"\0\"",
            "\"01234567\u{1f}\"",
        ];
        for text in wrong {
            assert!(!Walker::default().walk(text.as_bytes(), &Fields::default()), "{text}");
        }
        for text in ["1", "\"\\uD800\"", "[]", "{}", "null", " [1 , 2] ", "-0.0E+10", "\"01234567\u{e9}89\""]
        {
            assert!(Walker::default().walk(text.as_bytes(), &Fields::default()), "{text}");
        }
        assert!(Walker::default().walk(b"\"\xff\xfe\"", &Fields::default()));
    }
}
