//! Masking secrets in a text that streams by: values that are known, and what looks like a credential.
//!
//! - What is masked does not depend on how the text is cut into chunks: it is the union of all matches. Where two
//!   overlap, one mask stands for both, counted under the one that begins first (of those, the longest; of those, the
//!   one named first). Matches that only touch have a mask each.
//! - What could still become a match is held back: a beginning of a known value, or the line (of a private key, the
//!   block) in which something that a rule looks for has begun, [`rules::BLOCK`] bytes at most. All else goes on at once.

pub mod finder;
pub mod rules;

use std::sync::Arc;

use finder::Finder;
use rules::{Answer, CONTEXT, Matching, Rules, Span};

/// What stands for a secret.
pub const MASK: &[u8] = b"***";

/// What known values are counted under.
pub const SECRET: &str = "secret";

/// Texts that are looked for as they are.
struct Literals {
    texts: Vec<Vec<u8>>,
    finder: Finder,
}

/// Masks secrets.
pub struct Redactor {
    literals: Option<Literals>,
    rules: Option<Arc<Rules>>,
    matching: Vec<Matching>,
    /// Where anchors are; kept for its room.
    anchors: Vec<(usize, usize)>,
    /// What goes before, for rules that look back, and then what is undecided.
    buffer: Vec<u8>,
    /// The first byte of the buffer that is undecided.
    at: usize,
    /// Matches that begin in what is undecided, though what tells of them was before.
    spans: Vec<Span>,
    /// Up to here is masked; it may lie beyond `at`.
    masked: usize,
    /// Whether the mask goes on as long as the word does.
    runs_on: bool,
    /// Nothing new can be said before so many bytes are there, or a line ends.
    waiting: Option<(usize, bool)>,
    /// Of known values, and of each name of the rules.
    counts: Vec<u64>,
}

impl Redactor {
    /// Masks `literals`, none of which may be empty, and what `rules` find.
    ///
    /// # Errors
    /// What is wrong with the literals.
    pub fn new(mut literals: Vec<Vec<u8>>, rules: Option<Arc<Rules>>) -> Result<Self, String> {
        if literals.iter().any(Vec::is_empty) {
            return Err("a secret must not be empty".to_owned());
        }
        let counts = vec![0; 1 + rules.as_ref().map_or(0, |rules| rules.names().len())];
        // Of those that begin alike, the longest is to be found.
        literals.sort_by_key(|literal| std::cmp::Reverse(literal.len()));
        let literals = if literals.is_empty() {
            None
        } else {
            let finder = Finder::new(&literals)?;
            Some(Literals { texts: literals, finder })
        };
        Ok(Self {
            literals,
            rules,
            matching: Vec::new(),
            anchors: Vec::new(),
            buffer: Vec::new(),
            at: 0,
            spans: Vec::new(),
            masked: 0,
            runs_on: false,
            waiting: None,
            counts,
        })
    }

    /// Takes in the next part of the text; returns what is decided.
    pub fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        self.buffer.extend_from_slice(data);
        if let Some((until, line)) = self.waiting
            && self.buffer.len() < until
            && !(line && memchr::memchr2(b'\n', b'\r', data).is_some())
        {
            return Vec::new();
        }
        self.decide(false)
    }

    /// Returns the rest: the text is at its end.
    pub fn finish(&mut self) -> Vec<u8> {
        self.decide(true)
    }

    /// Bytes that are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// How much was masked, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let names = self.rules.iter().flat_map(|rules| rules.names()).map(String::as_str);
        std::iter::once(SECRET).chain(names).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// Finds what is decided, and returns it.
    fn decide(&mut self, whole: bool) -> Vec<u8> {
        let mut until = self.buffer.len();
        self.waiting = None;
        if !whole {
            let literals = self.literals.iter().map(|literals| literals.texts.as_slice());
            for texts in literals.chain(self.rules.iter().map(|rules| rules.anchors())) {
                until = until.min(first_beginning(&self.buffer, self.at, texts));
            }
        }
        self.match_rules(&mut until, whole);
        self.match_literals(until);
        self.spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end), span.name));
        self.advance(until)
    }

    /// Lets the rules look at each anchor before `until`, which becomes the first that is undecided.
    fn match_rules(&mut self, until: &mut usize, whole: bool) {
        let Some(rules) = &self.rules else { return };
        self.anchors.clear();
        rules.find_anchors(&self.buffer, self.at, *until, &mut self.anchors);
        for (start, anchor) in &self.anchors {
            let known = self.spans.len();
            let answer =
                rules.examine(&self.buffer, *start, *anchor, whole, &mut self.matching, &mut self.spans);
            // The names of rules come after that of known values.
            self.spans[known..].iter_mut().for_each(|span| span.name += 1);
            if let Answer::Undecided { until: length, line } = answer {
                *until = *start;
                self.waiting = Some((length, line));
                break;
            }
        }
    }

    fn match_literals(&mut self, until: usize) {
        let Some(literals) = &self.literals else { return };
        literals.finder.each(&self.buffer, self.at, |start, end, _| {
            if start < until {
                self.spans.push(Span { start, end, name: 0, runs_on: false });
            }
            start < until
        });
    }

    /// Returns what is before `until`, masked, and lets go of it.
    fn advance(&mut self, until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until - self.at);
        let spans = std::mem::take(&mut self.spans);
        for span in &spans {
            if span.start >= until {
                self.spans.push(*span);
                continue;
            }
            self.copy_to(span.start, &mut out);
            let goes_on = self.runs_on && self.buffer.get(span.start).is_some_and(|byte| is_of_word(*byte));
            if span.start >= self.masked && !goes_on {
                out.extend_from_slice(MASK);
                if let Some(count) = self.counts.get_mut(span.name) {
                    *count += 1;
                }
                self.runs_on = false;
            }
            if span.end > self.masked {
                self.masked = span.end;
                self.runs_on |= span.runs_on;
            }
        }
        self.copy_to(until, &mut out);
        let gone = until.saturating_sub(CONTEXT);
        self.buffer.drain(..gone);
        self.at = until - gone;
        self.masked = self.masked.saturating_sub(gone);
        self.matching.iter_mut().for_each(|one| one.shift(gone));
        for span in &mut self.spans {
            span.start -= gone;
            span.end -= gone;
        }
        self.waiting = self.waiting.map(|(length, line)| (length - gone, line));
        out
    }

    /// Goes on to `to`: masked bytes are left out, all others copied.
    fn copy_to(&mut self, to: usize, out: &mut Vec<u8>) {
        self.at = self.at.max(self.masked.min(to));
        if self.runs_on && self.at == self.masked && self.at < to {
            let rest = &self.buffer[self.at..to];
            let length = rest.iter().position(|byte| !is_of_word(*byte));
            self.runs_on = length.is_none();
            self.at += length.unwrap_or(rest.len());
            self.masked = self.at;
        }
        if self.at < to {
            out.extend_from_slice(&self.buffer[self.at..to]);
            self.at = to;
        }
    }
}

/// Whether a byte goes on with a word that was longer than a rule looks at: any that tokens, base64 and URLs have.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-.~%".contains(&byte)
}

/// Where the first of the last bytes is that may be the beginning of one of `texts`; the end where none is.
fn first_beginning(buffer: &[u8], from: usize, texts: &[Vec<u8>]) -> usize {
    let mut first = [false; 256];
    let mut longest = 1;
    for text in texts {
        longest = longest.max(text.len());
        if let Some(byte) = text.first() {
            first[usize::from(*byte)] = true;
        }
    }
    let from = from.max((buffer.len() + 1).saturating_sub(longest));
    (from..buffer.len())
        .find(|at| {
            let rest = &buffer[*at..];
            first[usize::from(rest[0])]
                && texts.iter().any(|text| text.len() > rest.len() && text.starts_with(rest))
        })
        .unwrap_or(buffer.len())
}

#[cfg(test)]
mod tests {
    use super::rules::Row;
    use super::*;

    fn token_rules() -> Arc<Rules> {
        let row = Row {
            name: "token".to_owned(),
            anchors: vec!["tok_".to_owned()],
            before: Vec::new(),
            edge: true,
            lead: String::new(),
            secret: "tok_[A-Za-z0-9]{8,}".to_owned(),
            tail: 0,
            check: "mixed".to_owned(),
            block: false,
        };
        Arc::new(Rules::new(&[row]).unwrap())
    }

    fn masked(data: &[u8], literals: &[&str], chunk: usize) -> (String, Vec<(String, u64)>) {
        let literals = literals.iter().map(|literal| literal.as_bytes().to_vec()).collect();
        let mut redactor = Redactor::new(literals, Some(token_rules())).unwrap();
        let mut out: Vec<u8> = data.chunks(chunk).flat_map(|chunk| redactor.feed(chunk)).collect();
        out.extend(redactor.finish());
        let counts = redactor.counts().map(|(name, count)| (name.to_owned(), count)).collect();
        (String::from_utf8(out).unwrap(), counts)
    }

    #[test]
    fn secrets_are_masked_however_the_text_is_cut() {
        let text = b"a tok_aB3dE5fG7 b hunter2 hunter2hunter2 c\ntok_short xtok_aB3dE5fG7\n";
        for chunk in 1..text.len() {
            let (shown, counts) = masked(text, &["hunter2", "2hun"], chunk);
            assert_eq!(shown, "a *** b *** *** c\ntok_short xtok_aB3dE5fG7\n");
            assert_eq!(counts, [("secret".to_owned(), 2), ("token".to_owned(), 1)]);
        }
    }

    #[test]
    fn a_token_longer_than_the_window_is_masked_to_its_end() {
        let text = ["x tok_", &"aB3".repeat(10_000), " y"].concat();
        for chunk in [1000, 8192, 50_000] {
            assert_eq!(masked(text.as_bytes(), &[], chunk).0, "x *** y");
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut redactor = Redactor::new(vec![b"never-there".to_vec()], Some(token_rules())).unwrap();
        for _ in 0..100 {
            redactor.feed(&b"tok_".repeat(1000));
            assert!(redactor.held() <= rules::LINE + 4000);
        }
    }

    #[test]
    fn many_texts_are_looked_for_in_groups() {
        let texts: Vec<String> = (0..200).map(|number| format!("secret-{number:03}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (shown, counts) = masked(texts.join(" ").as_bytes(), &texts, 100);
        assert_eq!(shown, vec!["***"; 200].join(" "));
        assert_eq!(counts, [("secret".to_owned(), 200)]);
    }
}
