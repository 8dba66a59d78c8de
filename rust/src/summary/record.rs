//! What a record of a log tells: of one that is too long to be shown, the fields that say what happened are kept, and
//! signs stand for the others.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::rating::any_of;
use super::signals::TOLD;
use super::terminal::GAP;
use crate::truncate::cut_head;

/// A record that is no longer stays as it is; and how much is shown of a value.
const SHORT: usize = 160;
const VALUE: usize = 160;

static TELLS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(TOLD));

/// A name with its value: where the name begins, where the value does, and where it ends.
struct Pair {
    start: usize,
    value: usize,
    end: usize,
    tells: bool,
}

/// Returns the fields of a JSON record that tell what happened, and the one in which `at` is, with signs where others are
/// missing; nothing if it is no record, is short, or has none of them.
pub(super) fn brief(text: &[u8], at: usize) -> Option<Vec<u8>> {
    if text.len() <= SHORT || !text.starts_with(b"{\"") {
        return None;
    }
    let mut found = Vec::new();
    let mut end = 0;
    for pair in pairs(text).filter(|pair| pair.tells || pair.start < at && at < pair.end) {
        let between = &text[end..pair.start];
        let is_all = matches!(between, b"{" | b"," | b", ");
        found.extend_from_slice(if is_all { between } else { GAP });
        let value = &text[pair.value..pair.end];
        let shown = cut_head(value, VALUE);
        found.extend_from_slice(&text[pair.start..pair.value + shown]);
        found.extend_from_slice(if shown < value.len() { GAP } else { b"" });
        end = pair.end;
    }
    if end == 0 {
        return None;
    }
    found.extend_from_slice(if text.len() - end <= 1 { &text[end..] } else { GAP });
    Some(found)
}

/// The names that have a simple value, at any depth.
fn pairs(text: &[u8]) -> impl Iterator<Item = Pair> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr::memchr(b'"', text.get(at..)?)?;
            let name = string_end(text, start);
            at = name;
            if let Some(value) = value_start(text, name) {
                at = value_end(text, value);
                if at > value {
                    let tells = TELLS.as_ref().is_some_and(|words| words.is_match(&text[start..name]));
                    return Some(Pair { start, value, end: at, tells });
                }
                at = name;
            }
        }
    })
}

/// Returns where a string ends that begins at `start`, or the text does.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' if at + 1 == text.len() => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn value_start(text: &[u8], at: usize) -> Option<usize> {
    let blank = |at: usize| usize::from(text.get(at) == Some(&b' '));
    let colon = at + blank(at);
    (text.get(colon) == Some(&b':')).then(|| colon + 1 + blank(colon + 1))
}

fn value_end(text: &[u8], at: usize) -> usize {
    if text.get(at) == Some(&b'"') {
        return string_end(text, at);
    }
    let is_simple = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-+.".contains(byte);
    at + text.iter().skip(at).take_while(is_simple).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(record: &str) -> Vec<u8> {
        record.replace("FILL", &"x".repeat(SHORT)).into_bytes()
    }

    #[test]
    fn what_tells_what_happened_is_kept() {
        let record = long(
            r#"{"level":"error","msg":"a \"b\"","pad":"FILL","request":{"uri":"/a","n":[1]},"status":502}"#,
        );
        let expected = r#"{"level":"error","msg":"a \"b\""…"uri":"/a"…"status":502}"#;
        assert_eq!(brief(&record, 0), Some(expected.as_bytes().to_vec()));
    }

    #[test]
    fn the_field_with_the_word_is_kept_too() {
        let record = long(r#"{"pad":"FILL","note":"cannot write"}"#);
        let at = record.len() - 10;
        assert_eq!(brief(&record, at), Some("…\"note\":\"cannot write\"}".as_bytes().to_vec()));
        assert_eq!(brief(&record, 0), None);
    }

    #[test]
    fn what_is_no_record_or_is_cut_does_no_harm() {
        assert_eq!(brief(&long("FILL"), 0), None);
        assert_eq!(brief(br#"{"level":"error"}"#, 0), None);
        let cut = long(r#"{"msg":"FILL"#);
        for text in [cut.clone(), [&cut[..], b"\\"].concat(), long(r#"{"FILL"#)] {
            assert!(brief(&text, 0).is_none_or(|brief| brief.len() <= text.len() + 2 * GAP.len()));
        }
    }
}
