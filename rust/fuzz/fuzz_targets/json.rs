//! What another reader takes for a JSON object or array, ours does too; and of a cut one it says that it may go on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maxstage_core::json::{Scan, field_names, scan};
use serde_json::value::RawValue;

fuzz_target!(|data: &[u8]| {
    let found = scan(data);
    let _ = field_names(data);
    let container = data.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| b"{[".contains(byte));
    let mut reader = serde_json::Deserializer::from_slice(data);
    reader.disable_recursion_limit();
    // Deeply nested data ends the other reader's stack.
    if data.iter().filter(|byte| b"{[".contains(byte)).count() > 500 {
        return;
    }
    let valid = <&RawValue as serde::Deserialize>::deserialize(&mut reader).is_ok() && reader.end().is_ok();
    if valid && container {
        let Scan::Complete(end) = found else { panic!("{found:?}") };
        assert!(data[end..].iter().all(u8::is_ascii_whitespace));
        for cut in 1..data.len().min(64) {
            assert_ne!(scan(&data[..cut]), Scan::Invalid);
        }
    }
});
