//! A text that is cut is within its limit, is cut the same however it is fed, adds up, and cuts no character.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use maxstage_core::truncate::{Limit, Strategy};
use maxstage_core::truncator::{Truncator, truncate};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    strategy: u8,
    max_bytes: u16,
    max_lines: u8,
    hint: Option<&'a str>,
    chunk: u8,
    data: &'a [u8],
}

fuzz_target!(|case: Case<'_>| {
    let (_, strategy) = Strategy::NAMES[usize::from(case.strategy) % Strategy::NAMES.len()];
    let max_bytes = usize::from(case.max_bytes);
    let limit = Limit { strategy, max_bytes, max_lines: case.max_lines.into() };
    let whole = truncate(case.data, limit, case.hint);
    assert!(whole.content.len() <= max_bytes);
    assert_eq!(whole.original_size, case.data.len() as u64);
    assert!(whole.dropped_bytes <= whole.original_size);
    assert_eq!(whole.truncated, whole.content != case.data);
    let mut truncator = Truncator::new(limit);
    case.data.chunks(usize::from(case.chunk).max(1)).for_each(|chunk| truncator.feed(chunk));
    assert_eq!(truncator.render(max_bytes, case.hint), whole);
    // A summary shows lines clipped, and is looked at by a target of its own.
    if strategy != Strategy::Summary && std::str::from_utf8(case.data).is_ok() {
        assert!(std::str::from_utf8(&whole.content).is_ok());
    }
});
