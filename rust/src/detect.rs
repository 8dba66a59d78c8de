//! Detects the content type from the beginning of the data.

use crate::json::{Scan, scan};
use crate::lines::is_blank;

/// The type of an item's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// One JSON object or array per line.
    Ndjson,
    /// One JSON object or array.
    Json,
    /// Anything else.
    Text,
}

impl ContentType {
    /// Its name in the metadata, and the extension of its file, except for `.txt`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// Detects the content type from the first bytes of the data.
///
/// `whole` says whether `prefix` is all of the data. `lines` is the number of lines in all of it, `last_nonblank` its
/// last byte that is not white space. If the prefix ends too early to be sure, it must be valid as far as it goes, and
/// for `json` the data must also end in the bracket that closes the first.
#[must_use]
pub fn content_type(prefix: &[u8], whole: bool, lines: u64, last_nonblank: Option<u8>) -> ContentType {
    if lines >= 2 && is_ndjson(prefix, whole) {
        ContentType::Ndjson
    } else if is_json(prefix, whole, last_nonblank) {
        ContentType::Json
    } else {
        ContentType::Text
    }
}

fn is_ndjson(prefix: &[u8], whole: bool) -> bool {
    let mut rest = prefix;
    let mut seen = 0;
    while seen < 2 && !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, later) = rest.split_at(end);
        let cut = later.is_empty() && !whole && !line.ends_with(b"\n");
        rest = later;
        if line.iter().all(|byte| is_blank(*byte)) {
            continue;
        }
        seen += 1;
        let good = match scan(line) {
            Scan::Complete(end) => line.iter().skip(end).all(|byte| is_blank(*byte)),
            Scan::Incomplete => cut,
            Scan::Invalid => false,
        };
        if !good {
            return false;
        }
    }
    seen > 0
}

fn is_json(prefix: &[u8], whole: bool, last_nonblank: Option<u8>) -> bool {
    let good = match scan(prefix) {
        Scan::Complete(end) => prefix.iter().skip(end).all(|byte| is_blank(*byte)),
        Scan::Incomplete => !whole,
        Scan::Invalid => false,
    };
    let opener = prefix.iter().copied().find(|byte| !is_blank(*byte));
    good && matches!((opener, last_nonblank), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(data: &[u8]) -> &'static str {
        let lines = crate::lines::line_count(crate::lines::count_newlines(data), data.last().copied());
        let last = data.iter().copied().rfind(|byte| !is_blank(*byte));
        content_type(data, true, lines, last).name()
    }

    #[test]
    fn follows_the_rules() {
        assert_eq!(detect(b""), "text");
        assert_eq!(detect(b"hello\n"), "text");
        assert_eq!(detect(b"{\"a\":1}\n"), "json");
        assert_eq!(detect(b"{\"a\":1}\n{\"a\":2}"), "ndjson");
        assert_eq!(detect(b"\n{\"a\":1}\n"), "ndjson");
        assert_eq!(detect(b"[1,\n2]\n"), "json");
        assert_eq!(detect(b"{\"a\":1}\nnot json\n"), "text");
        assert_eq!(detect(b"1\n2\n"), "text");
        assert_eq!(detect(b"[1] [2]\n"), "text");
        assert_eq!(detect(b"{\"a\":1}\r\n[]\r\n"), "ndjson");
    }

    #[test]
    fn believes_a_cut_prefix_as_far_as_it_goes() {
        assert_eq!(content_type(b"[{\"a\": \"xx", false, 1, Some(b']')), ContentType::Json);
        assert_eq!(content_type(b"[{\"a\": \"xx", false, 2, Some(b']')), ContentType::Ndjson);
        assert_eq!(content_type(b"[1] ", false, 1, Some(b']')), ContentType::Json);
        assert_eq!(content_type(b"[2024-01-01] INFO", false, 9, Some(b']')), ContentType::Text);
        assert_eq!(content_type(b"[\n1,", false, 9, Some(b'}')), ContentType::Text);
    }
}
