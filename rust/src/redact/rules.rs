//! What a credential looks like: rules that begin where a fixed text, an *anchor*, stands.
//!
//! A rule sees nothing but [`CONTEXT`] bytes before the anchor and its window behind it: so it says the same however
//! the text is cut into chunks, and text without an anchor costs no more than the search for one.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::finder::Finder;

/// Bytes before an anchor that a rule may look at: the longest word that [`Row::before`] has.
pub const CONTEXT: usize = 16;

/// Bytes from an anchor on that a rule of one line looks at: more than any token has but a stuffed JWT, whose rest is
/// masked as it comes.
pub const LINE: usize = 8 * 1024;

/// The same of a rule over several lines: the longest private key in use (RSA, 16,384 bits) takes 12.7 KiB.
pub const BLOCK: usize = 16 * 1024;

/// A rule, as the table of `maxstage.output.redaction_rules` has it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is counted under it.
    pub name: String,
    /// Where to look: one of these texts. None may begin with another one.
    pub anchors: Vec<String>,
    /// What stands right before the anchor, in lower case, any of these; none: anything.
    pub before: Vec<String>,
    /// Whether the anchor begins a word.
    pub edge: bool,
    /// Matches from the anchor to where the secret begins; empty: it begins with the anchor.
    pub lead: String,
    /// Matches the secret.
    pub secret: String,
    /// Bytes at the end of that match that are none of the secret.
    pub tail: usize,
    /// What else must hold.
    pub check: String,
    /// Whether it reaches over line ends.
    pub block: bool,
}

/// What else must hold of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    Any,
    /// It has two of: small letters, capitals, digits.
    Mixed,
    /// It does not begin as a template does.
    Literal,
    /// It is the value of an assignment, and looks random.
    Value,
}

impl Check {
    const NAMES: [(&'static str, Self); 4] =
        [("any", Self::Any), ("mixed", Self::Mixed), ("literal", Self::Literal), ("value", Self::Value)];
}

/// A pattern, matched where it is asked for.
#[derive(Debug)]
struct Pattern(DFA);

impl Pattern {
    fn new(pattern: &str) -> Result<Self, String> {
        let dfa = DFA::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern)
            .map_err(|error| format!("the pattern {pattern} is no good: {error}"))?;
        Ok(Self(dfa))
    }

    /// Where the match ends that begins at `start`.
    fn end(&self, cache: &mut Cache, text: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        // It fails only where it was told to give up, and it was not.
        self.0.try_search_fwd(cache, &input).ok().flatten().map(|found| found.offset())
    }
}

#[derive(Debug)]
struct Rule {
    name: usize,
    before: Vec<Vec<u8>>,
    edge: bool,
    lead: Option<Pattern>,
    secret: Pattern,
    tail: usize,
    check: Check,
    block: bool,
}

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
    /// The number of its name.
    pub name: usize,
    /// Whether the window ended before it did: what follows of the word belongs to it.
    pub runs_on: bool,
}

/// What is known where an anchor stands.
pub enum Answer {
    /// What the rules found; they are done with the anchor.
    Found,
    /// So many bytes must be there, or for the rules of one line the end of the line.
    Undecided {
        /// Bytes of the buffer.
        until: usize,
        /// Whether the end of a line will do.
        line: bool,
    },
}

/// Rules, ready to be matched.
#[derive(Debug)]
pub struct Rules {
    names: Vec<String>,
    table: Vec<Rule>,
    anchors: Vec<Vec<u8>>,
    /// The rules of each anchor, in the order of the table.
    of_anchor: Vec<Vec<usize>>,
    finder: Finder,
}

/// What matching needs for each rule and stream: caches, filled as far as they are used; and up to where the rule has
/// looked, since an anchor in what it took for a value (or not) is no other one: else a line of nothing but anchors would be
/// read again from each of them.
#[derive(Debug, Default)]
pub struct Matching {
    lead: Option<Cache>,
    secret: Option<Cache>,
    looked_to: usize,
}

impl Rules {
    /// Makes a table ready.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(rows: &[Row]) -> Result<Self, String> {
        let (mut names, mut table) = (Vec::<String>::new(), Vec::new());
        let (mut anchors, mut of_anchor) = (Vec::<Vec<u8>>::new(), Vec::<Vec<usize>>::new());
        for (number, row) in rows.iter().enumerate() {
            let name = names.iter().position(|name| *name == row.name).unwrap_or_else(|| {
                names.push(row.name.clone());
                names.len() - 1
            });
            let check = Check::NAMES.iter().find(|(known, _)| *known == row.check);
            let (_, check) = check.ok_or_else(|| format!("unknown check {}", row.check))?;
            if row.before.iter().any(|word| word.len() > CONTEXT) {
                return Err(format!("{}: a word before the anchor has more than {CONTEXT} bytes", row.name));
            }
            table.push(Rule {
                name,
                before: row.before.iter().map(|word| word.clone().into_bytes()).collect(),
                edge: row.edge,
                lead: if row.lead.is_empty() { None } else { Some(Pattern::new(&row.lead)?) },
                secret: Pattern::new(&row.secret)?,
                tail: row.tail,
                check: *check,
                block: row.block,
            });
            for anchor in &row.anchors {
                let known = anchors.iter().position(|known| known == anchor.as_bytes());
                if let Some(known) = known {
                    of_anchor[known].push(number);
                } else {
                    anchors.push(anchor.clone().into_bytes());
                    of_anchor.push(vec![number]);
                }
            }
        }
        let finder = Finder::new(&anchors)?;
        Ok(Self { names, table, anchors, of_anchor, finder })
    }

    /// The names, in the order of the table.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The anchors.
    #[must_use]
    pub fn anchors(&self) -> &[Vec<u8>] {
        &self.anchors
    }

    /// Adds where anchors begin, from `from` to before `until`, and which they are; in order.
    pub fn find_anchors(&self, text: &[u8], from: usize, until: usize, found: &mut Vec<(usize, usize)>) {
        self.finder.each(text, from, |start, _, anchor| {
            if start < until {
                found.push((start, anchor));
            }
            start < until
        });
        found.sort_unstable();
    }

    /// Adds what the rules of an anchor find.
    ///
    /// # Arguments
    /// `text` is what is known so far, and `whole` whether nothing follows it.
    pub fn examine(
        &self,
        text: &[u8],
        start: usize,
        anchor: usize,
        whole: bool,
        matching: &mut Vec<Matching>,
        found: &mut Vec<Span>,
    ) -> Answer {
        matching.resize_with(self.table.len(), Default::default);
        let known = found.len();
        let mut looked = Vec::new();
        for number in self.of_anchor.get(anchor).into_iter().flatten() {
            let (Some(rule), Some(matching)) = (self.table.get(*number), matching.get_mut(*number)) else {
                continue;
            };
            if start < matching.looked_to || !rule.may_begin(text, start) {
                continue;
            }
            let until = start + if rule.block { BLOCK } else { LINE };
            let mut window = &text[..until.min(text.len())];
            let line_end = if rule.block { None } else { memchr::memchr2(b'\n', b'\r', &window[start..]) };
            if let Some(length) = line_end {
                window = &window[..start + length];
            } else if !whole && text.len() < until {
                found.truncate(known);
                return Answer::Undecided { until, line: !rule.block };
            }
            if let Some((mut span, is_secret)) = rule.find(window, start, matching) {
                looked.push((*number, span.end));
                span.runs_on = span.end == until;
                if is_secret {
                    found.push(span);
                }
            }
        }
        // Not before all have decided: what is undecided is looked at again.
        for (number, end) in looked {
            if let Some(matching) = matching.get_mut(number) {
                matching.looked_to = end;
            }
        }
        Answer::Found
    }
}

impl Matching {
    /// Notes that so many bytes before are gone.
    pub fn shift(&mut self, gone: usize) {
        self.looked_to = self.looked_to.saturating_sub(gone);
    }
}

impl Rule {
    fn may_begin(&self, text: &[u8], start: usize) -> bool {
        let before = &text[start.saturating_sub(CONTEXT)..start];
        if self.edge && before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return false;
        }
        self.before.is_empty()
            || self.before.iter().any(|word| {
                before.len() >= word.len() && before[before.len() - word.len()..].eq_ignore_ascii_case(word)
            })
    }

    /// Returns what matches, and whether it is a secret.
    fn find(&self, window: &[u8], start: usize, matching: &mut Matching) -> Option<(Span, bool)> {
        let begin = match &self.lead {
            None => start,
            Some(lead) => {
                lead.end(matching.lead.get_or_insert_with(|| lead.0.create_cache()), window, start)?
            }
        };
        let cache = matching.secret.get_or_insert_with(|| self.secret.0.create_cache());
        let end = self.secret.end(cache, window, begin)?.checked_sub(self.tail)?;
        let value = window.get(begin..end).filter(|value| !value.is_empty())?;
        let good = match self.check {
            Check::Any => true,
            Check::Mixed => kinds(value) > 1,
            Check::Literal => !matches!(value[0], b'$' | b'{' | b'<' | b'*'),
            Check::Value => is_value(window, begin, end),
        };
        Some((Span { start: begin, end, name: self.name, runs_on: false }, good))
    }
}

/// How many kinds a text has of: small letters, capitals, digits.
fn kinds(text: &[u8]) -> usize {
    let kinds: [fn(&u8) -> bool; 3] = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    kinds.into_iter().filter(|kind| text.iter().any(kind)).count()
}

/// Prefixes of what is no secret: our own tokens, checksums, templates.
const HARMLESS: [&[u8]; 9] = [b"max:", b"sha1", b"sha256", b"sha384", b"sha512", b"md5", b"$", b"*", b"%("];

/// Whether the value of an assignment, from `start` to `end`, is a literal that looks random, and no code.
fn is_value(window: &[u8], start: usize, end: usize) -> bool {
    let value = &window[start..end];
    if is_path(value) || HARMLESS.iter().any(|prefix| value.starts_with(prefix)) {
        return false;
    }
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`');
    let (last, next) = (start.checked_sub(1).and_then(|at| window.get(at)), window.get(end));
    if last.is_some_and(is_quote) {
        // A quoted value goes on to its quote; one with blanks in it is a phrase.
        return next.is_some_and(|next| is_quote(next) || *next == b'\\') && looks_random(value);
    }
    if next.is_some_and(|next| matches!(next, b'(' | b'[' | b'{')) {
        return false;
    }
    // KEY=value, as in an environment, a query or a log; anything else may be code, where a value is a name.
    let is_data = last == Some(&b'=')
        && next
            .is_none_or(|next| next.is_ascii_whitespace() || is_quote(next) || matches!(next, b'&' | b';'));
    looks_random(value) && (is_data || !is_name(value) || is_random_name(value))
}

/// Whether a text is a path or a URL. A secret in base64 may begin with a slash, but hardly with a folder or two.
fn is_path(text: &[u8]) -> bool {
    let slashes = memchr::memchr_iter(b'/', text).count();
    let prefixes: [&[u8]; 4] = [b"/", b"./", b"../", b"~/"];
    slashes > 1
        && (prefixes.iter().any(|prefix| text.starts_with(prefix))
            || memchr::memmem::find(text, b"://").is_some())
}

/// Whether a text is a name, or names with dots between them.
fn is_name(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'.').all(|word| {
        word.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
            && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

/// Whether a name can only be random: hex digits, or a long one that changes its kind of character all the time.
fn is_random_name(name: &[u8]) -> bool {
    const LONG: usize = 16;
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let hex = name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let Changes { count, of } = changes(name);
    name.len() >= LONG && !name.contains(&b'.') && (hex && digits > 2 || digits > 1 && count * 2 >= of)
}

/// Whether a text looks random: letters and digits, mixed, and not too few different ones. (Shannon's entropy takes
/// `correct-horse-battery` for random and `Tr0ub4dor` not; and its logarithms differ between two libraries.) Few hex
/// digits are a handle, as our own ids and short hashes are.
fn looks_random(text: &[u8]) -> bool {
    const SHORTEST: usize = 8;
    const WITHOUT_DIGITS: usize = 20;
    const DIFFERENT: usize = 6;
    const HANDLE: usize = 16;
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mut seen = [false; 256];
    for byte in text {
        seen[usize::from(*byte)] = true;
    }
    let Changes { count, of } = changes(text);
    let is_handle = text.len() < HANDLE && text.iter().all(u8::is_ascii_hexdigit);
    letters + digits >= SHORTEST
        && letters > 0
        && !is_handle
        && (digits > 0 || letters >= WITHOUT_DIGITS)
        && seen.into_iter().filter(|seen| *seen).count() >= DIFFERENT
        && count * 10 >= of * 3
}

/// How often the kind of character changes from one letter or digit to the next, and how often it could.
struct Changes {
    count: usize,
    of: usize,
}

fn changes(text: &[u8]) -> Changes {
    let kind = |byte: &u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let kinds: Vec<u8> = text.iter().filter_map(kind).collect();
    let count = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    Changes { count, of: kinds.len().saturating_sub(1) }
}
