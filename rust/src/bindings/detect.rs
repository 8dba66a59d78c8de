use pyo3::prelude::*;

use crate::detect;

/// Tell `ndjson`, `json` or `text` from the first bytes of the data.
#[pyfunction]
#[pyo3(signature = (prefix, /, *, whole, lines, last_nonblank))]
pub fn content_type(prefix: &[u8], whole: bool, lines: u64, last_nonblank: Option<u8>) -> &'static str {
    detect::content_type(prefix, whole, lines, last_nonblank).name()
}
