use pyo3::prelude::*;

use crate::lines;

/// Count the `\n` bytes in `data`.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn count_newlines(data: &[u8]) -> u64 {
    lines::count_newlines(data)
}
