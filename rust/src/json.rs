//! Just enough JSON to recognize an object or array, without keeping values and without recursion.
//!
//! The grammar is that of RFC 8259. Bytes above 0x7F are accepted inside strings. We need to know whether a
//! text that was *cut off* is valid so far, which parsers that return values don't report reliably.

use crate::lines::is_blank;

/// What the beginning of the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A whole object or array, ending before this offset.
    Complete(usize),
    /// Valid so far, but it ends too early.
    Incomplete,
    /// Not a JSON object or array.
    Invalid,
}

/// What may come next.
#[derive(Clone, Copy)]
enum Expect {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    Colon,
    CommaOrClose,
}

/// How a scan of a token ended.
type Token = Result<usize, Scan>;

/// Scans the object or array at the beginning of `data`, after white space.
#[must_use]
pub fn scan(data: &[u8]) -> Scan {
    match scan_container(data) {
        Ok(end) => Scan::Complete(end),
        Err(scan) => scan,
    }
}

/// Returns the field names of the objects on the first lines of `data`, as they are written, in order of appearance.
/// A last line that is cut off is ignored.
#[must_use]
pub fn field_names(data: &[u8]) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = Vec::new();
    let complete = &data[..memchr::memrchr(b'\n', data).map_or(0, |at| at + 1)];
    for line in complete.split(|byte| *byte == b'\n') {
        for name in keys(line) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Returns the keys of the object in `line`, or as many as can be read.
fn keys(line: &[u8]) -> Vec<&[u8]> {
    let mut keys = Vec::new();
    let mut at = skip_blank(line, 0);
    if line.get(at) != Some(&b'{') {
        return keys;
    }
    loop {
        let start = skip_blank(line, at + 1);
        let Ok(end) = scan_string(line, start) else { break };
        if line.get(start) != Some(&b'"') {
            break;
        }
        let value = skip_blank(line, skip_blank(line, end) + 1);
        let Some(first) = line.get(value) else { break };
        let after = match first {
            b'{' | b'[' => scan_container(&line[value..]).map(|len| value + len),
            first => scan_scalar(line, value, *first),
        };
        // Without its two quotes: the string is complete.
        keys.push(&line[start + 1..end - 1]);
        let Ok(after) = after else { break };
        at = skip_blank(line, after);
        if line.get(at) != Some(&b',') {
            break;
        }
    }
    keys
}

fn skip_blank(data: &[u8], at: usize) -> usize {
    at + data.iter().skip(at).take_while(|byte| is_blank(**byte)).count()
}

fn scan_container(data: &[u8]) -> Token {
    let mut open: Vec<u8> = Vec::new();
    let mut expect = Expect::Value;
    let mut at = 0;
    loop {
        let byte = loop {
            match data.get(at) {
                None => return Err(Scan::Incomplete),
                Some(byte) if is_blank(*byte) => at += 1,
                Some(byte) => break *byte,
            }
        };
        match (expect, byte) {
            (Expect::Value | Expect::ValueOrClose, b'{') => {
                open.push(byte);
                expect = Expect::KeyOrClose;
                at += 1;
            }
            (Expect::Value | Expect::ValueOrClose, b'[') => {
                open.push(byte);
                expect = Expect::ValueOrClose;
                at += 1;
            }
            (Expect::ValueOrClose | Expect::CommaOrClose, b']')
            | (Expect::KeyOrClose | Expect::CommaOrClose, b'}') => {
                if open.pop() != Some(if byte == b']' { b'[' } else { b'{' }) {
                    return Err(Scan::Invalid);
                }
                at += 1;
                if open.is_empty() {
                    return Ok(at);
                }
                expect = Expect::CommaOrClose;
            }
            // The top-level value must be an object or array.
            (Expect::Value | Expect::ValueOrClose, _) if !open.is_empty() => {
                at = scan_scalar(data, at, byte)?;
                expect = Expect::CommaOrClose;
            }
            (Expect::Key | Expect::KeyOrClose, b'"') => {
                at = scan_string(data, at)?;
                expect = Expect::Colon;
            }
            (Expect::Colon, b':') => {
                at += 1;
                expect = Expect::Value;
            }
            (Expect::CommaOrClose, b',') => {
                at += 1;
                expect = if open.last() == Some(&b'{') { Expect::Key } else { Expect::Value };
            }
            _ => return Err(Scan::Invalid),
        }
    }
}

fn scan_scalar(data: &[u8], at: usize, first: u8) -> Token {
    if first == b'"' {
        return scan_string(data, at);
    }
    // In bounds: `first` is there.
    let rest = &data[at..];
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let (word, later) = rest.split_at(len);
    // A word cut off by the end of the data is only invalid if its beginning is.
    let cut = later.is_empty();
    let literal = [&b"true"[..], b"false", b"null"]
        .into_iter()
        .any(|name| name == word || cut && name.starts_with(word));
    let number = first == b'-' || first.is_ascii_digit();
    match (literal || number, cut) {
        (true, true) => Err(Scan::Incomplete),
        (true, false) if literal || is_number(word) => Ok(at + len),
        _ => Err(Scan::Invalid),
    }
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, rest) = split_digits(word);
    if whole.is_empty() || whole.len() > 1 && whole.starts_with(b"0") {
        return false;
    }
    let rest = match rest.strip_prefix(b".").map(split_digits) {
        Some(([], _)) => return false,
        Some((_, rest)) => rest,
        None => rest,
    };
    match rest.split_first() {
        None => true,
        Some((b'e' | b'E', power)) => {
            let power = power.strip_prefix(b"+").or(power.strip_prefix(b"-")).unwrap_or(power);
            !power.is_empty() && power.iter().all(u8::is_ascii_digit)
        }
        Some(_) => false,
    }
}

fn split_digits(word: &[u8]) -> (&[u8], &[u8]) {
    word.split_at(word.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// `at` is the opening quote; returns the offset past the closing one.
fn scan_string(data: &[u8], at: usize) -> Token {
    let mut at = at + 1;
    loop {
        match data.get(at).ok_or(Scan::Incomplete)? {
            b'"' => return Ok(at + 1),
            b'\\' => at = scan_escape(data, at + 1)?,
            0..0x20 => return Err(Scan::Invalid),
            _ => at += 1,
        }
    }
}

/// `at` is the byte after the backslash.
fn scan_escape(data: &[u8], at: usize) -> Token {
    match data.get(at).ok_or(Scan::Incomplete)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
        b'u' => {
            let rest = &data[at + 1..];
            let digits = &rest[..rest.len().min(4)];
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return Err(Scan::Invalid);
            }
            if digits.len() < 4 { Err(Scan::Incomplete) } else { Ok(at + 5) }
        }
        _ => Err(Scan::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_objects_and_arrays() {
        for text in ["{}", "[]", r#" {"a":[1,-2.5e+3,"x\u00e9\n",null,true,{"b":{}}]}"#, "[0]"] {
            assert_eq!(scan(text.as_bytes()), Scan::Complete(text.len()), "{text}");
        }
        assert_eq!(scan(b"{} x"), Scan::Complete(2));
    }

    #[test]
    fn names_fields_in_order() {
        let data = b"{\"a\": {\"x\": 1}, \"b\":[1,2] ,\"c\":\"}\"}\n[1]\n{}\n{\"b\":1,\"d\":null}\n{\"cut";
        assert_eq!(field_names(data), [&b"a"[..], b"b", b"c", b"d"]);
    }

    #[test]
    fn every_cut_is_incomplete() {
        let text = br#"{"a":[1,-2.5e+3,"x\u00e9\n",null,true,{"b":{}}]}"#;
        for end in 0..text.len() {
            assert_eq!(scan(&text[..end]), Scan::Incomplete, "{end}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "1 ",
            "\"a\"",
            "{a:1}",
            "[1,]",
            "{\"a\"}",
            "[01]",
            "[1.]",
            "[nul]",
            "[\"\\x\"]",
            "[}",
            "[1 2]",
            "[\"\n\"]",
            "{,}",
            "[NaN]",
            "[+1]",
        ] {
            assert_eq!(scan(text.as_bytes()), Scan::Invalid, "{text}");
        }
    }
}
