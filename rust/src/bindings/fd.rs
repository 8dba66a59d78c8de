use std::ffi::OsStr;

use pyo3::prelude::*;

use super::{Names, borrow, detached};
use crate::fd;

/// Wait until everything written to the file system of a descriptor is on disk; return false if the system can't.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub fn sync_file_system(py: Python<'_>, fd: i32) -> PyResult<bool> {
    let file = borrow(fd, OsStr::new(""))?;
    detached(py, Names::default(), |_| fd::sync_file_system(file))
}
