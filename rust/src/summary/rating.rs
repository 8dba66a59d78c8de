//! Telling how much a line matters: by the words in it, where none of them says that all is well; and by its shape.
//!
//! The *kind* of a line is the line with each number one digit: `0` where it is nothing else, or `1`. Whatever is
//! told of a line is told of its kind, and so holds for all lines of that kind.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::signals::{
    COUNTED, DETAILS, DOMAINS, FINE, LEVELS, LIBRARIES, Matters, NEGATIONS, SIGNALS, STEMS,
};
use super::terminal::is_space;

/// Bytes of a line in which its level stands.
const LEVEL_WITHIN: usize = 160;
/// Bytes of a line, and words in them, by which sorts of lines are told apart.
const TEMPLATE_WITHIN: usize = 400;
const WORDS_OF_TEMPLATE: usize = 16;
/// Letters of a code, and digits.
const CODE_WITHIN: usize = 8;
const OPEN: &[u8] = "‘".as_bytes();
const CLOSE: &[u8] = "’".as_bytes();
/// Stands for what was struck out.
const STRUCK: u8 = 1;

/// What a line says by its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rating {
    /// How much it matters.
    pub matters: Matters,
    /// Whether it counts errors.
    pub is_tally: bool,
    /// Where the word is, in the line's kind, that says so.
    pub at: usize,
}

const NOTHING: Rating = Rating { matters: Matters::Nothing, is_tally: false, at: 0 };

/// A pattern of the tables.
struct Pattern {
    matters: Matters,
    text: &'static str,
    at_start: bool,
    /// Whether a word must begin, and end, with it.
    edges: (bool, bool),
    is_exact: bool,
}

impl Pattern {
    fn new(matters: Matters, pattern: &'static str) -> Self {
        let (at_start, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
        let text = pattern.trim_matches('~');
        let is_word_at = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
        Self {
            matters,
            text,
            at_start,
            edges: (
                !at_start && !pattern.starts_with('~') && is_word_at(text.as_bytes().first()),
                !pattern.ends_with('~') && is_word_at(text.as_bytes().last()),
            ),
            is_exact: text.bytes().any(|byte| byte.is_ascii_uppercase()),
        }
    }

    /// Returns where the pattern begins that was found in a line, if its edges are right.
    fn begins(&self, kind: &[u8], start: usize) -> Option<usize> {
        let end = start + self.text.len();
        let before = &kind[..start];
        if self.at_start && !before.iter().all(|byte| is_space(*byte))
            || self.edges.0 && before.last().is_some_and(|byte| is_word(*byte))
            || self.edges.1 && kind.get(end).is_some_and(|byte| is_word(*byte))
            || self.is_exact && kind.get(start..end) != Some(self.text.as_bytes())
        {
            return None;
        }
        Some(if self.at_start { 0 } else { start })
    }
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let of_class = |(matters, patterns): &(Matters, &'static [&'static str])| {
        let matters = *matters;
        patterns.iter().map(move |pattern| Pattern::new(matters, pattern)).collect::<Vec<_>>()
    };
    SIGNALS.iter().flat_map(of_class).collect()
});
static FOUND: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| any_of(PATTERNS.iter().map(|pattern| pattern.text)));
static STEM: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(STEMS));
static LIBRARY: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(LIBRARIES));
static DETAIL: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_of(DETAILS));

/// A search for words in any case. (It fails where there are more of them than can be numbered.)
pub(super) fn any_of<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Option<AhoCorasick> {
    AhoCorasick::builder().match_kind(MatchKind::Standard).ascii_case_insensitive(true).build(patterns).ok()
}

fn has(words: &LazyLock<Option<AhoCorasick>>, text: &[u8]) -> bool {
    words.as_ref().is_some_and(|words| words.is_match(text))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_word_low(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Makes `kind` the line with each number one digit.
pub(super) fn put_kind(line: &[u8], kind: &mut Vec<u8>) {
    kind.clear();
    kind.reserve(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len()));
        kind.extend_from_slice(text);
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, after) = after.split_at(digits);
        if digits > 0 {
            kind.push(if number.iter().all(|byte| *byte == b'0') { b'0' } else { b'1' });
        }
        rest = after;
    }
}

/// Returns the place in a line of a place in its kind.
pub(super) fn place_of(line: &[u8], at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let mut place = 0;
    let mut in_number = false;
    for (index, byte) in line.iter().enumerate() {
        let goes_on = byte.is_ascii_digit() && in_number;
        in_number = byte.is_ascii_digit();
        if goes_on {
            continue;
        }
        if place == at {
            return index;
        }
        place += 1;
    }
    line.len()
}

/// Returns the words of a line that lines of its sort have in common: none with a number, a quote or a path. Where there
/// are no such words (in JSON, say), these are the fields without a number; and a line without such a field is a sort
/// of its own. Rules (`-----`) are no words, and a finding is of the sort whose name it ends with.
pub(super) fn template(kind: &[u8]) -> Vec<u8> {
    if let Some(name) = name_of_finding(kind) {
        return name.to_vec();
    }
    let kind = kind.get(..TEMPLATE_WITHIN).unwrap_or(kind);
    let differs = |byte: &u8| byte.is_ascii_digit() || !byte.is_ascii() || b"'\"`/=\\".contains(byte);
    let words = kind.split(|byte| is_space(*byte)).filter(|word| !word.iter().any(differs) && !is_rule(word));
    let template = joined(words);
    if !template.is_empty() {
        return template;
    }
    let fields = kind.split(|byte| is_space(*byte) || *byte == b',');
    let template = joined(fields.filter(|field| !field.iter().any(u8::is_ascii_digit)));
    if template.is_empty() { kind.to_vec() } else { template }
}

/// Returns what stands in quotes in a line, the last of it: what an error is about.
pub(super) fn subject(kind: &[u8]) -> &[u8] {
    let text = kind.get(..TEMPLATE_WITHIN).unwrap_or(kind);
    let mut last: &[u8] = b"";
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let quoted = quoted_len(rest);
        last = quoted.map_or(last, |len| &rest[..len]);
        at += quoted.unwrap_or(1);
    }
    last
}

/// How long the word is, with its quotes, that the text begins with.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let is_quote = |byte: &u8| matches!(byte, b'\'' | b'"' | b'`');
    if let Some(rest) = text.strip_prefix(OPEN) {
        let end = rest.iter().position(|byte| is_space(*byte)).unwrap_or(rest.len());
        let close = memchr::memmem::find(rest.get(1..end)?, CLOSE)?;
        return Some(OPEN.len() + 1 + close + CLOSE.len());
    }
    let inside = text.strip_prefix(b"'").or(text.strip_prefix(b"\"")).or(text.strip_prefix(b"`"))?;
    let len = inside.iter().take_while(|byte| !is_quote(byte) && !is_space(**byte)).count();
    (len > 0 && inside.get(len).is_some_and(is_quote)).then_some(len + 2)
}

/// Whether a word is but a line that is drawn.
fn is_rule(word: &[u8]) -> bool {
    word.len() >= 4 && word.iter().all(|byte| b"_*-".contains(byte))
}

/// `x.py:3:1: W0612: … (unused-variable)`, `x.py:3: error: …  [no-untyped-def]`: the name with its brackets.
fn name_of_finding(kind: &[u8]) -> Option<&[u8]> {
    let end = kind.iter().rposition(|byte| !is_space(*byte))? + 1;
    let inside = kind[..end].strip_suffix(b")").or_else(|| kind[..end].strip_suffix(b"]"))?;
    let start = inside.iter().rposition(|byte| matches!(byte, b'(' | b'['))?;
    let name = &inside[start + 1..];
    let is_name = name.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'));
    let has_dash = name
        .windows(3)
        .any(|three| three[0].is_ascii_alphabetic() && three[1] == b'-' && three[2].is_ascii_alphabetic());
    let is_apart = start > 0 && is_space(kind[start - 1]);
    (is_name && has_dash && is_apart && has_shape_of_finding(kind)).then(|| &kind[start..end])
}

fn joined<'a>(words: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let words: Vec<_> = words.filter(|word| !word.is_empty()).take(WORDS_OF_TEMPLATE).collect();
    words.join(&b' ')
}

/// Whether there may be a signal in a line, or a frame.
pub(super) fn has_stem(line: &[u8]) -> bool {
    has(&STEM, line) || has(&STEM, &[b"\n", line.get(..8).unwrap_or(line)].concat())
}

/// Returns how much a line of this kind matters.
pub(super) fn rate(kind: &[u8]) -> Rating {
    if !has_stem(kind) {
        return NOTHING;
    }
    let mut kind = kind.to_vec();
    let mut low = kind.to_ascii_lowercase();
    strike_out(&mut kind, &mut low);
    let (matters, at) = by_words(&kind);
    if matters <= Matters::Error && is_code(&kind) {
        return Rating { matters: matters.min(Matters::Mention), is_tally: false, at };
    }
    if is_fine(&low) {
        return Rating { matters: matters.min(Matters::Mention), is_tally: false, at };
    }
    let tally = tally(&low);
    let matters = level(&kind).map_or(matters, |level| at_level(matters, level));
    match tally {
        Some(at) if matters > Matters::Warning => Rating { matters, is_tally: true, at },
        _ => Rating { matters, is_tally: false, at },
    }
}

fn by_words(kind: &[u8]) -> (Matters, usize) {
    let mut best = (Matters::Nothing, 0);
    let Some(words) = FOUND.as_ref() else { return best };
    for found in words.find_overlapping_iter(kind) {
        let Some(pattern) = PATTERNS.get(found.pattern().as_usize()) else { continue };
        if pattern.matters < best.0 {
            continue;
        }
        if let Some(at) = pattern.begins(kind, found.start())
            && (pattern.matters > best.0 || at < best.1)
        {
            best = (pattern.matters, at);
        }
    }
    best
}

/// Returns how much a line matters whose level is written on it.
fn at_level(matters: Matters, level: Matters) -> Matters {
    match level {
        Matters::Error => matters.max(Matters::Error),
        Matters::Warning if matters >= Matters::Error => Matters::Maybe,
        Matters::Warning => Matters::Warning,
        _ if matters == Matters::Fatal => Matters::Maybe,
        _ => matters.min(Matters::Mention),
    }
}

/// Strikes out what says that there were no errors: `0 failed`, `errors: 0`, `"error": null`.
fn strike_out(kind: &mut [u8], low: &mut [u8]) {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < low.len() {
        let end = negated(low, at).or_else(|| counted_none(low, at)).or_else(|| null(low, at));
        if let Some(end) = end {
            spans.push((at, end));
        }
        at = end.unwrap_or(at + 1);
    }
    for (start, end) in spans {
        low[start..end].fill(STRUCK);
        kind[start..end].fill(STRUCK);
    }
}

/// `no errors`: returns where it ends.
fn negated(low: &[u8], at: usize) -> Option<usize> {
    if !matches!(low[at], b'0' | b'n' | b'z' | b'w' | b'a') {
        return None;
    }
    if at > 0 && (is_word_low(low[at - 1]) || b".,-".contains(&low[at - 1])) {
        return None;
    }
    let rest = &low[at..];
    let word = NEGATIONS
        .iter()
        .find(|word| rest.strip_prefix(word.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' ')))?;
    let start = at + word.len() + 1;
    counted(low, start)
}

/// Returns where the word ends that begins at `at`, if it is one of those that are counted.
fn counted(low: &[u8], at: usize) -> Option<usize> {
    let rest = low.get(at..)?;
    let len = rest.iter().take_while(|byte| is_word_low(**byte)).count();
    COUNTED.iter().any(|word| word.as_bytes() == &rest[..len]).then_some(at + len)
}

/// `errors: 0`, `# fail 0`: returns where the word ends.
fn counted_none(low: &[u8], at: usize) -> Option<usize> {
    let end = counted_at_edge(low, at)?;
    let with_plural = low[end..].starts_with(b"(s)").then_some(end + 3);
    with_plural.filter(|end| is_count(low, *end, b'0')).or_else(|| is_count(low, end, b'0').then_some(end))
}

fn counted_at_edge(low: &[u8], at: usize) -> Option<usize> {
    if !matches!(low[at], b'e' | b'f' | b'w') || at > 0 && is_word_low(low[at - 1]) {
        return None;
    }
    counted(low, at)
}

/// Whether a number follows what is counted: after a colon, an equals sign or a space.
fn is_count(low: &[u8], at: usize, digit: u8) -> bool {
    let rest = &low[at..];
    let space = usize::from(rest.first() == Some(&b' '));
    let after = match rest.get(space) {
        Some(b':' | b'=') => space + 1 + usize::from(rest.get(space + 1) == Some(&b' ')),
        _ if space == 1 => 1,
        _ => return false,
    };
    let is_more = |byte: &u8| is_word_low(*byte) || b".:/".contains(byte);
    rest.get(after) == Some(&digit) && !rest.get(after + 1).is_some_and(is_more)
}

/// `"error": null`: returns where it ends.
fn null(low: &[u8], at: usize) -> Option<usize> {
    let rest = low[at..].strip_prefix(b"\"err")?;
    let rest = rest.strip_prefix(b"or").unwrap_or(rest);
    let rest = rest.strip_prefix(b"s").unwrap_or(rest);
    let rest = rest.strip_prefix(b"\":")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let nothing: [&[u8]; 6] = [b"null", b"false", b"0", b"\"\"", b"[]", b"{}"];
    let rest = nothing.iter().find_map(|word| rest.strip_prefix(*word))?;
    Some(low.len() - rest.len())
}

/// Returns where a line counts errors: `3 failed`, `14 previous errors`, `Failures: 2`.
fn tally(low: &[u8]) -> Option<usize> {
    (0..low.len()).find(|at| is_number_of(low, *at) || is_tally_at(low, *at))
}

fn is_number_of(low: &[u8], at: usize) -> bool {
    if low[at] != b'1' || low.get(at + 1) != Some(&b' ') {
        return false;
    }
    if at > 0 && (is_word_low(low[at - 1]) || b".:/#-".contains(&low[at - 1])) {
        return false;
    }
    let word = low[at + 2..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let after = at + 2 + word;
    counted(low, at + 2).is_some()
        || word > 0 && low.get(after) == Some(&b' ') && counted(low, after + 1).is_some()
}

fn is_tally_at(low: &[u8], at: usize) -> bool {
    let Some(end) = counted_at_edge(low, at) else { return false };
    is_count(low, end, b'1') || low[end..].starts_with(b"(s)") && is_count(low, end + 3, b'1')
}

/// Returns the level that is written on a line, if there is one.
fn level(line: &[u8]) -> Option<Matters> {
    level_word(line).map(|(level, _)| level)
}

fn level_word(line: &[u8]) -> Option<(Matters, &'static str)> {
    let line = line.get(..LEVEL_WITHIN).unwrap_or(line);
    let mut at = 0;
    while at < line.len() {
        let len = line[at..].iter().take_while(|byte| is_word(**byte)).count();
        if len == 0 {
            at += 1;
            continue;
        }
        let (before, rest) = line.split_at(at);
        let (word, after) = rest.split_at(len);
        if let Some(level) = level_of(before, word, after) {
            return Some(level);
        }
        at += len;
    }
    None
}

fn level_of(before: &[u8], word: &[u8], after: &[u8]) -> Option<(Matters, &'static str)> {
    let is_upper = word.iter().all(u8::is_ascii_uppercase);
    if !is_upper && !word.iter().all(u8::is_ascii_lowercase) {
        return None;
    }
    let is_level = is_upper
        || has_code(after)
        || match before.last() {
            Some(b'[' | b'<' | b'(' | b'=') => true,
            Some(b'"') => after
                .strip_prefix(b"\"")
                .is_some_and(|after| !after.starts_with(b":") && !after.starts_with(b" :")),
            None => after.first() == Some(&b':'),
            Some(_) => before.ends_with(b": ") && after.first() == Some(&b':'),
        };
    let find = |(level, words): &(Matters, &'static [&'static str])| {
        let word = words.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(word))?;
        Some((*level, *word))
    };
    LEVELS.iter().find_map(find).filter(|_| is_level)
}

/// Whether a code with a colon follows: ` TS2322:`, ` LNK2019:`.
fn has_code(after: &[u8]) -> bool {
    let Some(code) = after.strip_prefix(b" ") else { return false };
    let letters = code.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let digits = code[letters..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let within = 1..=CODE_WITHIN;
    within.contains(&letters) && within.contains(&digits) && code.get(letters + digits) == Some(&b':')
}

/// Whether a line is an entry of a log, by the date or time that it begins with.
pub(super) fn begins_with_time(line: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_separator = |byte: Option<&u8>| byte.is_some_and(|byte| b"-/:.".contains(byte));
    // 2026-01-31, 12:30:59, 31/01/2026
    let numbers =
        line.strip_prefix(b"[").or(line.strip_prefix(b"(")).or(line.strip_prefix(b"<")).unwrap_or(line);
    let first = digits(numbers);
    let rest = numbers.get(first + 1..).unwrap_or_default();
    let second = digits(rest);
    let is_date = (1..=4).contains(&first)
        && is_separator(numbers.get(first))
        && (1..=2).contains(&second)
        && is_separator(rest.get(second))
        && rest.get(second + 1).is_some_and(u8::is_ascii_digit);
    // Jan 31 12:
    let is_digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    let is_syslog = line.first().is_some_and(u8::is_ascii_uppercase)
        && (1..3).all(|at| line.get(at).is_some_and(u8::is_ascii_lowercase))
        && [3, 6].iter().all(|at| line.get(*at) == Some(&b' '))
        && (is_digit(4) || line.get(4) == Some(&b' '))
        && [5, 7, 8].iter().all(|at| is_digit(*at))
        && line.get(9) == Some(&b':');
    // E0131 12
    let is_glog = matches!(line, [b'D' | b'E' | b'F' | b'I' | b'V' | b'W', rest @ ..]
        if digits(rest) == 4 && rest.get(4) == Some(&b' ') && rest.get(5).is_some_and(u8::is_ascii_digit));
    is_date || is_syslog || is_glog
}

/// Whether a line in lower case says that a test passed.
pub(super) fn is_fine(low: &[u8]) -> bool {
    let text = trim_start(low);
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
    text[..end].ends_with(b"... ok") || FINE.iter().any(|sign| text[..end].starts_with(sign.as_bytes()))
}

/// Whether a line has a level of its own, and so is no part of an error before it.
pub(super) fn starts_entry(line: &[u8]) -> bool {
    level_word(line).is_some_and(|(_, word)| !matches!(word, "note" | "help"))
}

/// Whether a line is one of a program: shown beside its number, or as a change, or ending as they do.
fn is_code(kind: &[u8]) -> bool {
    let text = trim_start(kind);
    let is_gutter = match text.split_first() {
        Some((b'0' | b'1', rest)) => match trim_start(rest).split_first() {
            Some((b'|', rest)) => rest.first().is_none_or(|byte| is_space(*byte)),
            Some((b'+' | b'-', rest)) => rest.first().is_some_and(|byte| is_space(*byte)),
            _ => false,
        },
        Some((b'+' | b'-', rest)) => {
            rest.get(..4).is_some_and(|blanks| blanks.iter().all(|byte| is_space(*byte)))
        }
        _ => false,
    };
    let ends: [&[u8]; 7] = [b";", b"{", b"(", b"\\", b"):", b"&&", b"||"];
    let end = kind.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
    is_gutter
        || matches!(kind.first(), Some(b' ' | b'\t' | b'+' | b'-'))
            && ends.iter().any(|last| kind[..end].ends_with(last))
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    &text[blanks..]
}

/// Whether a line without any of the words is what a linter found: it begins with its code, or a place.
pub(super) fn is_finding(kind: &[u8]) -> bool {
    let is_entry = matches!(kind, [b'D' | b'I' | b'V' | b'W', b'1', b' ', b'1', b':', ..]);
    !is_entry && has_shape_of_finding(kind)
}

fn has_shape_of_finding(kind: &[u8]) -> bool {
    begins_with_code(kind) || begins_with_level(kind) || begins_with_place(trim_start(kind))
}

/// `F401 x imported but unused`
fn begins_with_code(kind: &[u8]) -> bool {
    let letters = kind.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let Some(rest) = kind[letters..].strip_prefix(b"1").filter(|_| (1..=4).contains(&letters)) else {
        return false;
    };
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    matches!(rest, [b' ', next, ..] if *next != b' ')
}

/// `03-17 16:13:38.811  1702  2395 E ActivityManager: `
fn begins_with_level(kind: &[u8]) -> bool {
    let len = kind.iter().take_while(|byte| b"01 .:-".contains(byte)).count();
    let is_number = matches!(kind.first(), Some(b'0' | b'1'));
    is_number && matches!(&kind[len..], [b'E' | b'F', b' ', next, ..] if next.is_ascii_alphabetic())
}

/// `src/x.c:12:3: note`, `x.cs(3,7): note`
fn begins_with_place(text: &[u8]) -> bool {
    let len = text.iter().take_while(|byte| !is_space(**byte) && !b":=(".contains(byte)).count();
    let (token, rest) = text.split_at(len);
    let extension = token.iter().rev().take_while(|byte| byte.is_ascii_lowercase()).count();
    let Some((b'.', name)) = token[..token.len() - extension].split_last() else { return false };
    let is_name = name.last().is_some_and(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'/'));
    if !(1..=5).contains(&extension) || !is_name {
        return false;
    }
    if let Some(rest) = rest.strip_prefix(b"(1") {
        return rest.starts_with(b")") || rest.starts_with(b",1)");
    }
    let Some(rest) = rest.strip_prefix(b":1") else { return false };
    let goes_on = |rest: &[u8]| {
        let rests = [rest.strip_prefix(b":").unwrap_or(rest), rest];
        rests.iter().any(|rest| rest.is_empty() || rest.starts_with(b" ") || rest.starts_with(b"in "))
    };
    rest.strip_prefix(b":1").is_some_and(goes_on) || goes_on(rest)
}

/// Whether a line is a frame of a stack: the line before the first says what happened.
pub(super) fn is_frame(kind: &[u8]) -> bool {
    let text = trim_start(kind);
    if text.len() == kind.len() {
        return false;
    }
    let is_frame = if let Some(rest) = text.strip_prefix(b"at ") {
        rest.first().is_some_and(|byte| *byte != b' ')
            && rest.iter().skip(1).any(|byte| matches!(byte, b'(' | b':'))
    } else if let Some(rest) = text.strip_prefix(b"from ") {
        let token = &rest[..rest.iter().take_while(|byte| **byte != b' ').count()];
        memchr::memmem::find_iter(token, b":1").any(|at| at > 0)
    } else {
        text.starts_with(b"File \"")
    };
    is_frame && has_stem(kind)
}

/// Whether a line in lower case names a file and a line of it: `x.rs:12`, `x.py", line 3`, `x.cs(3,7)`.
pub(super) fn has_place(low: &[u8]) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let is_place = |at: usize| {
        let rest = &low[at + 1..];
        let (extension, rest) =
            rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count());
        let separators: [&[u8]; 7] =
            [b":", b"(", b"\", line ", b"', line ", b", line ", b" line ", b":line "];
        (1..=5).contains(&extension.len())
            && !DOMAINS.iter().any(|domain| domain.as_bytes() == extension)
            && separators
                .iter()
                .any(|separator| rest.strip_prefix(*separator).is_some_and(|rest| is_digit(rest.first())))
    };
    memchr::memchr_iter(b'.', low).any(is_place)
        || memchr::memmem::find_iter(low, b"file:").any(|at| is_digit(low.get(at + 5)))
}

/// Whether a frame in lower case is in somebody else's code.
pub(super) fn is_library(low: &[u8]) -> bool {
    has(&LIBRARY, low)
}

/// Whether a line in lower case says what was expected, or found.
pub(super) fn is_detail(low: &[u8]) -> bool {
    has(&DETAIL, low)
}
