use pyo3::prelude::*;

use crate::lines;

/// Return the CRC-32 `crc` updated with `data`.
#[pyfunction]
#[pyo3(signature = (data, crc = 0, /))]
pub fn crc32(data: &[u8], crc: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    hasher.update(data);
    hasher.finalize()
}

/// Count the `\n` bytes in `data`.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn count_newlines(data: &[u8]) -> u64 {
    lines::count_newlines(data)
}
