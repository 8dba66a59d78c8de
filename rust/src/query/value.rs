//! The value of a field: what kind it is, and what it says.

use std::borrow::Cow;

/// A value as it lies in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Null, or missing.
    Null,
    /// A text, without escapes.
    Text(Cow<'a, [u8]>),
    /// A number as it is written.
    Number(&'a [u8]),
    /// `true` or `false`.
    Bool(&'a [u8]),
    /// An array or an object as it is written.
    Nested(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The value of JSON that is right.
    #[must_use]
    pub fn of_json(json: &'a [u8]) -> Self {
        match json {
            [b'"', text @ .., b'"'] => {
                if memchr::memchr(b'\\', text).is_none() {
                    return Self::Text(Cow::Borrowed(text));
                }
                let mut decoded = Vec::with_capacity(text.len());
                decode_text(text, &mut decoded);
                Self::Text(Cow::Owned(decoded))
            }
            [b't' | b'f', ..] => Self::Bool(json),
            [b'{' | b'[', ..] => Self::Nested(json),
            [b'n', ..] | [] => Self::Null,
            _ => Self::Number(json),
        }
    }

    /// What it says, as text; nothing for null.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Null => b"",
            Self::Text(text) => text,
            Self::Number(text) | Self::Bool(text) | Self::Nested(text) => text,
        }
    }

    /// The number that it is, or that its text is written like.
    #[must_use]
    pub fn number(&self) -> Option<&[u8]> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) if super::walk::is_number(text) => Some(text),
            _ => None,
        }
    }
}

/// Adds the text of a JSON string, given without its quotes, to `out`.
pub fn decode_text(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        // It was found there.
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((kind, after)) = rest.split_first() else { return };
        rest = after;
        match kind {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut code = unit(rest);
                rest = rest.get(4..).unwrap_or_default();
                if (0xd800..0xdc00).contains(&code) && rest.starts_with(b"\\u") {
                    let low = unit(&rest[2..]);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        rest = rest.get(6..).unwrap_or_default();
                    }
                }
                push_code(code, out);
            }
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// The number that four hex digits are.
fn unit(digits: &[u8]) -> u32 {
    digits.iter().take(4).fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or(0))
}

/// Adds a code point as UTF-8 encodes it: also half of a surrogate pair, which UTF-8 has not.
fn push_code(code: u32, out: &mut Vec<u8>) {
    if let Some(char) = char::from_u32(code) {
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let [_, _, high, low] = code.to_be_bytes();
        out.extend([0xe0 | high >> 4, 0x80 | (high & 0xf) << 2 | low >> 6, 0x80 | low & 0x3f]);
    }
}

/// Adds `text` as a JSON string; bytes above 0x7F stay as they are.
pub fn encode_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 | 0x7f => out.extend(format!("\\u{byte:04x}").into_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let cases: [(&[u8], &[u8]); 5] = [
            (br#""\u0048ello\n\/\"""#, b"Hello\n/\""),
            (br#""\ud83d\ude00""#, "\u{1f600}".as_bytes()),
            (br#""\ud83d!""#, b"\xed\xa0\xbd!"),
            (br#""\ud83d\u0041""#, b"\xed\xa0\xbdA"),
            (b"\"\xff\\u00e9\"", b"\xff\xc3\xa9"),
        ];
        for (json, text) in cases {
            assert_eq!(Value::of_json(json).text(), text);
        }
    }
}
