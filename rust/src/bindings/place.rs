use std::ffi::{CString, OsStr};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rustix::io::Errno;

use super::borrow;
use crate::place;

type Move = (i32, PyBackedBytes, i32, PyBackedBytes);

/// Rename each, unless something has the new name; return an errno for each, 0 where it was done. With `stop` the first
/// failure is the last, unless it is that the folder is on another file system.
// The moves were converted for this call.
#[allow(clippy::needless_pass_by_value)]
#[pyfunction]
#[pyo3(signature = (moves, /, *, stop = false))]
pub fn rename_new(py: Python<'_>, moves: Vec<Move>, stop: bool) -> PyResult<Vec<i32>> {
    let mut ready = Vec::with_capacity(moves.len());
    for (from, old, to, new) in &moves {
        let name = OsStr::new("<folder>");
        ready.push((borrow(*from, name)?, CString::new(&**old)?, borrow(*to, name)?, CString::new(&**new)?));
    }
    Ok(py.detach(|| {
        let mut codes = Vec::with_capacity(ready.len());
        for (from, old, to, new) in &ready {
            let renamed = place::rename_new(*from, old, *to, new);
            codes.push(renamed.map_or_else(Errno::raw_os_error, |()| 0));
            if stop && !matches!(renamed, Ok(()) | Err(Errno::XDEV)) {
                break;
            }
        }
        codes
    }))
}
