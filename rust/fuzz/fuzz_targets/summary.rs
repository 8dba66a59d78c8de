//! A summary is within its limit, the same however the text is fed, and made of lines that look like those of logs.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use maxstage_core::truncate::{Limit, Strategy};
use maxstage_core::truncator::{Truncator, truncate};

/// Pieces of logs: random bytes alone would hardly ever look like an error.
const PIECES: [&[u8]; 16] = [
    b"error: ",
    b"warning: ",
    b"FAILED ",
    b"Traceback (most recent call last):",
    b"E   assert 1 == 2",
    b"panicked at src/main.rs:10:5",
    b"0 errors",
    b"passed",
    b"\x1b[31m",
    b"\x1b[0m",
    b"\r",
    b"\n",
    b"\n\n",
    b"  File \"x.py\", line 3",
    "ü€😀".as_bytes(),
    b"{\"level\": \"error\"}\n",
];

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Known(u8),
    Any(&'a [u8]),
    Repeated(u8, u8),
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    max_bytes: u16,
    chunk: u8,
    pieces: Vec<Piece<'a>>,
}

fuzz_target!(|case: Case<'_>| {
    let known = |number: u8| PIECES[usize::from(number) % PIECES.len()];
    let mut data = Vec::new();
    for piece in &case.pieces {
        match piece {
            Piece::Known(number) => data.extend_from_slice(known(*number)),
            Piece::Any(bytes) => data.extend_from_slice(bytes),
            Piece::Repeated(number, count) => data.extend(known(*number).repeat(usize::from(*count))),
        }
    }
    let max_bytes = usize::from(case.max_bytes);
    let limit = Limit { strategy: Strategy::Summary, max_bytes, max_lines: 1000 };
    let whole = truncate(&data, limit, Some("max retrieve max:a1b2c3d4"));
    assert!(whole.content.len() <= max_bytes.max(data.len().min(max_bytes)));
    assert!(whole.dropped_bytes <= data.len() as u64);
    let mut truncator = Truncator::new(limit);
    data.chunks(usize::from(case.chunk).max(1)).for_each(|chunk| truncator.feed(chunk));
    assert_eq!(truncator.render(max_bytes, Some("max retrieve max:a1b2c3d4")), whole);
});
