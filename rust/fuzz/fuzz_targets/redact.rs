//! What is masked does not depend on how the text is cut, nothing of a known secret is left, and what is held is bounded.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use maxstage_core::redact::Redactor;
use maxstage_core::redact::rules::{BLOCK, Row, Rules};

/// Pieces of secrets: random bytes alone would hardly ever be one.
const PIECES: [&[u8]; 14] = [
    b"tok_",
    b"aB3dE5fG7hJ9",
    b"password",
    b"=",
    b": \"",
    b"\"",
    b"https://user:",
    b"@host ",
    b"-----BEGIN PRIVATE KEY-----",
    b"\n",
    b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    b"-----END PRIVATE KEY-----",
    b" ",
    b"s3cr3t",
];

/// One rule of each kind; the table itself is Python's.
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let rule = |name: &str, anchor: &str, lead: &str, secret: &str, tail, check: &str, block| Row {
        name: name.to_owned(),
        anchors: vec![anchor.to_owned()],
        before: if name == "value" { vec!["p".to_owned()] } else { Vec::new() },
        edge: name == "token",
        lead: lead.to_owned(),
        secret: secret.to_owned(),
        tail,
        check: check.to_owned(),
        block,
    };
    let end = "-----END PRIVATE KEY-----";
    let key = format!(r"-----BEGIN PRIVATE KEY-----(?:(?s:.*?){end}|(?:\s+[A-Za-z0-9+/=]{{16,}})+)");
    let table = [
        rule("token", "tok_", "", "tok_[A-Za-z0-9]{8,}", 0, "mixed", false),
        rule("value", "assword", r#"assword\s*[:=]\s*"?"#, r#"[^\s"]{8,}"#, 0, "value", false),
        rule("url", "://", r"://[^\s:/@]*:", r"[^\s/]+@", 1, "literal", false),
        rule("key", "-----BEGIN ", "", &key, 0, "any", true),
    ];
    Arc::new(Rules::new(&table).unwrap())
});

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Known(u8),
    Random(&'a [u8]),
    Long(u8, u16),
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    text: Vec<Piece<'a>>,
    literals: Vec<&'a [u8]>,
    rules: bool,
    cuts: Vec<u8>,
}

fn masked(data: &[u8], case: &Case<'_>, cuts: &[u8]) -> (Vec<u8>, Vec<(String, u64)>) {
    let literals = case.literals.iter().filter(|literal| !literal.is_empty());
    let literals: Vec<Vec<u8>> = literals.map(|literal| literal.to_vec()).collect();
    let longest = literals.iter().map(Vec::len).max().unwrap_or(0);
    let mut redactor = Redactor::new(literals, case.rules.then(|| Arc::clone(&RULES))).unwrap();
    let (mut out, mut rest) = (Vec::new(), data);
    for cut in cuts {
        let (chunk, after) = rest.split_at(rest.len().min(usize::from(*cut)));
        out.extend(redactor.feed(chunk));
        assert!(redactor.held() <= BLOCK + longest + chunk.len() + 64);
        rest = after;
    }
    out.extend(redactor.feed(rest));
    out.extend(redactor.finish());
    assert_eq!(redactor.held(), 0);
    (out, redactor.counts().map(|(name, count)| (name.to_owned(), count)).collect())
}

fuzz_target!(|case: Case<'_>| {
    let mut data = Vec::new();
    for piece in &case.text {
        match piece {
            Piece::Known(number) => data.extend(PIECES[usize::from(*number) % PIECES.len()]),
            Piece::Random(text) => data.extend(*text),
            Piece::Long(byte, times) => data.extend(std::iter::repeat_n(*byte, usize::from(*times))),
        }
    }
    let whole = masked(&data, &case, &[]);
    assert_eq!(masked(&data, &case, &case.cuts), whole);
    // What the masks stand for is exactly the bytes of all matches.
    if !case.rules {
        let mut hidden = vec![false; data.len()];
        for literal in case.literals.iter().filter(|literal| !literal.is_empty()) {
            for at in 0..data.len() {
                if data[at..].starts_with(literal) {
                    hidden[at..at + literal.len()].fill(true);
                }
            }
        }
        let left = hidden.iter().filter(|hidden| !**hidden).count();
        let masks: u64 = whole.1.iter().map(|(_, count)| count).sum();
        assert_eq!(whole.0.len(), left + 3 * usize::try_from(masks).unwrap());
    }
});
