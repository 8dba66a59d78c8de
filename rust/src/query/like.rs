//! Patterns with wildcards.

use memchr::memmem::Finder;

/// A part of a pattern.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text that stands there.
    Text(Vec<u8>),
    /// `?`: one character.
    One,
}

/// A pattern that the whole of a text matches or not.
#[derive(Clone, Debug)]
pub struct Like {
    /// What lies between the `*`.
    rows: Vec<Vec<Piece>>,
    /// What it contains, where it asks for nothing else.
    contains: Option<Finder<'static>>,
}

impl Like {
    /// A pattern of these rows, with a `*` between each two.
    #[must_use]
    pub fn new(rows: Vec<Vec<Piece>>) -> Self {
        let contains = match rows.as_slice() {
            [first, middle, last] if first.is_empty() && last.is_empty() => match middle.as_slice() {
                [Piece::Text(text)] => Some(Finder::new(text).into_owned()),
                [] => Some(Finder::new("").into_owned()),
                _ => None,
            },
            _ => None,
        };
        Self { rows, contains }
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        if let Some(finder) = &self.contains {
            return finder.find(text).is_some();
        }
        let Some((first, rest)) = self.rows.split_first() else { return text.is_empty() };
        let Some(mut at) = match_row(first, text, 0) else { return false };
        let Some((last, middle)) = rest.split_last() else { return at == text.len() };
        for row in middle {
            // The first place is as good as any: what follows may lie anywhere behind it.
            let Some(end) = (at..=text.len()).find_map(|start| match_row(row, text, start)) else {
                return false;
            };
            at = end;
        }
        (at..=text.len()).any(|start| match_row(last, text, start) == Some(text.len()))
    }
}

/// Returns where a row that begins at `at` ends in `text`.
fn match_row(row: &[Piece], text: &[u8], mut at: usize) -> Option<usize> {
    for piece in row {
        match piece {
            Piece::Text(part) => {
                if !text.get(at..)?.starts_with(part) {
                    return None;
                }
                at += part.len();
            }
            Piece::One => {
                text.get(at)?;
                at += 1;
                // The rest of the character.
                while text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    at += 1;
                }
            }
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str) -> Like {
        let mut rows = vec![Vec::new()];
        for char in pattern.chars() {
            match char {
                '*' => rows.push(Vec::new()),
                '?' => rows.last_mut().unwrap().push(Piece::One),
                _ => rows.last_mut().unwrap().push(Piece::Text(char.to_string().into_bytes())),
            }
        }
        Like::new(rows)
    }

    #[test]
    fn wildcards_stand_for_any_text_and_one_character() {
        for (pattern, text, expected) in [
            ("Jo*", "John", true),
            ("Jo*", "Mary Jo", false),
            ("*.pdf", "a.pdf.pdf", true),
            ("*.pdf", "a.pdf.", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*??", "é", false),
            ("*?é", "xé", true),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("ab", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(like(pattern).matches(text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
